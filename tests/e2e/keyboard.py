"""An explorer used by the keyboard alone: Tab from control to control, keys that move them."""

from contextlib import suppress

from playwright.sync_api import TimeoutError

from inception_edu.commands.lab import ROOT

PHOTO = ROOT / "inception_edu" / "assets" / "photos" / "coffee.jpg"

STATE = """box => {
  const picture = box.querySelector('img'), canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  canvas.getContext('2d').drawImage(picture, 0, 0);
  return [canvas.toDataURL(), box.querySelector('pre[aria-live]').innerText] }"""
CONTROLS = """box => [...box.children]
  .filter(part => !part.matches('.widget-html, .widget-image')).length"""
# Which part of the box has the focus (-1: none), and what has it.
FOCUS = """box => {
  const at = document.activeElement;
  const [high, now] = ['max', 'now'].map(x => at.getAttribute('aria-value' + x));
  const last = at.tagName === 'SELECT' && at.selectedIndex === at.options.length - 1;
  const taken = at.matches('.widget-readout, .mod-active');  // to type in, or pressed already
  const kind = at.matches('.widget-upload') ? 'upload' : at.getAttribute('role') ?? at.type;
  return {
    part: [...box.children].findIndex(part => part.contains(at)),
    kind: taken ? '' : kind, last: last || (now && now === high) }}"""


def tour(page, explorer) -> tuple[int, list[tuple[bool, bool]]]:
    """Tab through an explorer and move each control once.

    Returns how many controls it has and, for each that was reached and moved, whether picture
    and words changed.
    """
    explorer.evaluate("box => box.closest('.jp-Cell').focus()")  # as the arrow keys do
    for _ in range(9):  # past the cell's own buttons
        page.keyboard.press("Tab")
        if explorer.evaluate(FOCUS)["part"] >= 0:
            break
    changed, seen = [], set()
    while (focus := explorer.evaluate(FOCUS))["part"] >= 0:
        if focus["part"] not in seen and focus["kind"]:
            seen.add(focus["part"])
            changed.append(move(page, explorer, focus))
        page.keyboard.press("Tab")
    return explorer.evaluate(CONTROLS), changed


def move(page, explorer, focus: dict) -> tuple[bool, bool]:
    """Move the control in focus, or upload a photo; whether picture and words changed."""
    page.wait_for_timeout(400)  # the last move's picture is drawn sharply
    before = explorer.evaluate(STATE)
    if focus["kind"] == "upload":
        choose(page)
    else:
        for key in keys(focus):
            page.keyboard.press(key)
    picture = words = False
    left = 20  # seconds; once one of the two has changed, the other has 2
    while left > 0 and not (picture and words):
        page.wait_for_timeout(100)
        picture, words = map(str.__ne__, before, explorer.evaluate(STATE))
        left = min(left - 0.1, 2 if picture or words else left)
    return picture, words


def choose(page) -> None:
    """Choose a photo in the dialog that Space opens. A busy browser may swallow the key: then it
    is pressed again, as a user would."""
    for patience in (20, 40, 120):  # seconds
        with suppress(TimeoutError):
            with page.expect_file_chooser(timeout=1000 * patience) as dialog:
                page.keyboard.press("Space")
            return dialog.value.set_files(PHOTO)
    raise AssertionError("Space opens no dialog")


def keys(focus: dict) -> tuple[str, ...]:
    """What moves a control. A closed list's arrow keys are JupyterLab's, so Space opens it
    (jupyter-widgets/ipywidgets, issue 3912)."""
    if focus["kind"] == "slider":
        return ("ArrowLeft" if focus["last"] else "ArrowRight",)
    if focus["kind"].startswith("select"):
        return "Space", "ArrowUp" if focus["last"] else "ArrowDown", "Enter"
    return ("Space",)
