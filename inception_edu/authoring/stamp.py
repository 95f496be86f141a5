"""What is written from the lessons that exist: the links between them, and their table."""

import re
from pathlib import Path

from inception_edu.authoring.notebook import dumps, read, tags

FIRST_CELL = re.compile(
    r"# ([^\n]+).*?^\*\*Question:\*\* ([^\n]+).*?^\*\*Time:\*\* (\d+) minutes", re.S | re.M
)


def lessons(folder: Path) -> list[tuple[str, str, str, str]]:
    """File, title, question and minutes of each notebook; ValueError if one is missing."""
    found = []
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        if not (match := FIRST_CELL.match(read(path).cells[0].source)):
            lines = "'# title', '**Question:** ...', '**Time:** N minutes'"
            raise ValueError(f"{path.name}: its first cell must have the lines {lines}, in order")
        found.append((path.name, *match.groups()))
    return found


def table(series: list[tuple[str, str, str, str]], folder: str = "") -> str:
    """The lessons as a Markdown table, with links into `folder`."""
    rows = [f"| [{title}]({folder}{file}) | {asks} | {n} |" for file, title, asks, n in series]
    return "\n".join(["| lesson | question | minutes |", "|---|---|---|", *rows])


def links(series: list[tuple[str, str, str, str]], file: str) -> str:
    """Previous, contents and next, as far as they exist."""
    names = [f"[{title}]({name})" for name, title, _, _ in series]
    i = [name for name, _, _, _ in series].index(file)
    parts = [f"← {x}" for x in names[:i][-1:]] + [f"[Contents]({series[0][0]})"]
    return " · ".join(parts + [f"{x} →" for x in names[i + 1 :][:1]])


def stamped(page: Path) -> str:
    """The text of a notebook, or of the README beside their folder, with all this written anew."""
    if page.suffix == ".md":
        new = table(lessons(page.parent / "notebooks"), "notebooks/")
        new = f"<!-- lessons -->\n{new}\n<!-- /lessons -->"
        old = page.read_text(encoding="utf-8")
        return re.sub(r"<!-- lessons -->.*<!-- /lessons -->", lambda _: new, old, flags=re.S)
    nb, series = read(page), lessons(page.parent)
    for cell in nb.cells:
        if "nav" in tags(cell):
            cell.source = links(series, page.name)
        elif "map" in tags(cell):
            cell.source = table(series)
    return dumps(nb)
