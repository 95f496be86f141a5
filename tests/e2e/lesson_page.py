"""A notebook open in JupyterLab: run, read and changed as a student would."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chromium import watch

NOTEBOOK = "window.jupyterapp.shell.currentWidget"
# Shown, its file loaded and its kernel up: only then may a command be given.
READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.isVisible && panel.context?.isReady && panel.sessionContext.isReady
    && panel.sessionContext.session?.kernel?.status === 'idle' }"""
CELLS = f"""() => [...{NOTEBOOK}.content.model.cells].map(cell => ({{
  source: cell.sharedModel.getSource(), tags: cell.getMetadata('tags') ?? [],
  code: cell.type === 'code', count: cell.executionCount ?? null,
  outputs: cell.type === 'code' ? cell.outputs.toJSON() : [] }}))"""
# An error ends Run All: no other cell will get a number.
DONE = f"""() => {{
  const code = [...{NOTEBOOK}.content.model.cells].filter(cell => cell.type === 'code');
  const failed = out => Array.from({{length: out.length}}, (_, i) => out.get(i).type === 'error');
  return code.every(cell => cell.executionCount || !cell.sharedModel.getSource().trim())
    || code.some(cell => failed(cell.outputs).includes(true)) }}"""
RUN = f"""([i, source]) => {{
  const notebook = {NOTEBOOK}.content;
  if (source !== null) notebook.model.cells.get(i).sharedModel.setSource(source);
  notebook.activeCellIndex = i;
  notebook.deselectAll();
  window.jupyterapp.commands.execute('notebook:run-cell') }}"""
RAN = f"""([i, before]) => {{
  const count = {NOTEBOOK}.content.model.cells.get(i).executionCount;
  return count && count !== before }}"""
LIVE_WITH_PICTURE = {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}


@contextmanager
def opened(browser, lab, name: str) -> Iterator["LessonPage"]:
    """A notebook in a window of its own; page and kernel are gone afterwards."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    try:
        yield LessonPage(page, lab, name)
    finally:
        with suppress(Exception):  # the browser may be gone already
            page.evaluate(f"() => {NOTEBOOK}?.sessionContext?.shutdown()")
            page.close()


class LessonPage:
    """A notebook in a page of the browser; `faults` holds what `watch` found."""

    def __init__(self, page, lab, name: str) -> None:
        self.page = page
        self.faults = watch(page, lab.url)
        page.set_default_timeout(180_000)  # ms; of two cores others may be busy, too
        page.goto(lab.page(name))
        page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.wait_for_function(READY)

    def cells(self) -> list[dict]:
        """Source, tags, execution count and outputs of every cell, as JupyterLab has them."""
        return self.page.evaluate(CELLS)

    def run_all(self, *, within: float = 600) -> None:
        """What the menu's Run All Cells does, until the last cell or an error is done."""
        # Not awaited (the braces): the wait below has a time limit.
        self.page.evaluate("() => {window.jupyterapp.commands.execute('notebook:run-all-cells')}")
        with suppress(Exception):  # out of time: the next line says where
            self.page.wait_for_function(DONE, timeout=within * 1000, polling=500)
        assert self.page.evaluate(DONE), f"Run All takes over {within} s, at {self.unfinished()}"

    def unfinished(self) -> str:
        """The first code cell that has not run."""
        cells = enumerate(self.cells())
        return next(
            (f"cell {i}: {c['source']}" for i, c in cells if c["code"] and not c["count"]), ""
        )

    def run(self, i: int, source: str | None = None) -> None:
        """Run cell i, with another source if one is given."""
        before = self.cells()[i]["count"]
        self.page.evaluate(RUN, [i, source])
        self.page.wait_for_function(RAN, arg=[i, before], polling=100)

    def changed(self) -> bool:
        """Whether JupyterLab says that the notebook has changes that are not saved."""
        return self.page.evaluate(f"() => {NOTEBOOK}.context.model.dirty")

    def command(self, name: str) -> None:
        """Give one of JupyterLab's commands, and wait until it is done."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def select(self, i: int) -> None:
        """Make cell i the active one."""
        self.page.evaluate(f"i => {{ {NOTEBOOK}.content.activeCellIndex = i }}", i)

    def complaints(self) -> list[str]:
        """Errors and everything on stderr, each with the cell that it came from."""
        return [
            f"cell {i}: {out.get('evalue', '')}{''.join(out.get('text', ''))}"[:500]
            for i, cell in enumerate(self.cells())
            for out in cell["outputs"]
            if out["output_type"] == "error" or out.get("name") == "stderr"
        ]

    def output(self, i: int):
        """The element that shows what cell i gave."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(i)
        return cell.locator(".jp-Cell-outputArea")

    def explorers(self) -> list:
        """The explorers in the page, in order: boxes of controls, picture and words."""
        cells = self.page.locator(".jp-Notebook .jp-Cell")
        shown = [
            cells.nth(i).locator(".widget-vbox:has(> .widget-image)").first
            for i, cell in enumerate(self.cells())
            if any(out.get("data", {}).keys() >= LIVE_WITH_PICTURE for out in cell["outputs"])
        ]
        for explorer in shown:
            explorer.wait_for()
        return shown

    def theme(self, name: str) -> None:
        """Change to "JupyterLab Dark" or "JupyterLab Light"."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        dark = str(name.endswith("Light")).lower()
        self.page.wait_for_selector(f"body[data-jp-theme-light='{dark}']", state="attached")

    def screenshot(self, path: Path, show=None) -> None:
        """Save what the window shows, scrolled to the element `show`."""
        if show is not None:
            show.scroll_into_view_if_needed()
        self.page.wait_for_timeout(200)  # pictures are decoded
        self.page.screenshot(path=path)
