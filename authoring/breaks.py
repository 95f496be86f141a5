"""Where a lecture turns the page: the slide types of a lesson's cells, by rule or by its author."""

import re

from nbformat import NotebookNode

from authoring.fill import FOLD
from authoring.notebook import tags

TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
NEW_PAGE = {"slide", "subslide"}
IMPORT = re.compile(r"^(from|import) ", re.M)
ASKS = re.compile(r"\*\*(Guess first|Your task)")
HEADING = re.compile(r"^##? ", re.M)


def slide_types(nb: NotebookNode) -> list[str]:
    """What each cell is in a lecture: its author's choice, else the rule's.

    "slide" and "subslide" turn the page, a "fragment" comes later on the same one, "-" at once.
    """
    types, shown, asked = [], None, False  # the last cell not skipped; whether it left a question
    set_up = next((c for c in nb.cells if c.cell_type == "code" and "colab" not in tags(c)), None)
    for cell in nb.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if not kind and cell is set_up and IMPORT.search(cell.source):
            kind = "skip"
        kind = kind or _rule(cell, shown, asked)
        types.append(kind)
        if kind not in ("skip", "notes"):
            shown, asked = cell, asks(cell)
    return types


def is_guess(cell: NotebookNode) -> bool:
    """Whether it is the cell that a learner's guess is put into."""
    return cell.cell_type == "code" and cell.source.startswith("guess")


def asks(cell: NotebookNode) -> bool:
    """Whether it is a guess's question, or the cell that the guess is put into."""
    return is_guess(cell) or "**Guess first.**" in cell.source


def _rule(cell: NotebookNode, shown: NotebookNode | None, asked: bool) -> str:
    if shown is None:
        return "slide"
    if tags(cell) & {"nav", "colab"}:
        return "skip"
    if cell.cell_type != "code":
        text = FOLD.sub("", cell.source)
        if HEADING.search(text):
            return "slide"
        if not text.strip():  # hints and solutions
            return "skip"
        concludes = text.startswith("**What we saw.**") and not ASKS.search(text)
        return "fragment" if concludes and not asked else "subslide"
    if is_guess(cell) or "exercise" in tags(cell):
        return "-"
    if asked:  # a guess and its answer are never on one page
        return "subslide"
    if "exercise" in tags(shown):  # the check of an answer that nobody typed
        return "skip"
    return "fragment" if shown.cell_type != "code" else "-"


def set_breaks(nb: NotebookNode) -> None:
    """Write the types, in place, into the cells whose author chose none; "-" is not written."""
    for cell, kind in zip(nb.cells, slide_types(nb), strict=True):
        if kind != "-":
            cell.metadata["slideshow"] = {"slide_type": kind}


def faults(nb: NotebookNode) -> list[str]:
    """One line for every slide type that is unknown, or that puts an answer beside its guess."""
    found, asked = [], None
    for i, (cell, kind) in enumerate(zip(nb.cells, slide_types(nb), strict=True)):
        if kind not in TYPES:
            found.append(f"cell {i}: slide type {kind!r} must be one of {', '.join(sorted(TYPES))}")
        elif kind in ("skip", "notes"):
            continue
        elif asked is not None and not is_guess(cell) and kind not in NEW_PAGE:
            found.append(
                f"cell {i} shows the answer beside the guess of cell {asked}: make it a subslide"
            )
        asked = i if asks(cell) else None
    return found
