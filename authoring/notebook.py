"""A lesson's one form on disk: the same lesson run twice gives the same file."""

import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from authoring.compare import joined, keep_close
from authoring.pictures import difference, drawn_by
from inception_edu.files import write

UNCOMPARED = "nbval-ignore-output"
PNG = re.compile(r'"image/png": "([^"]*)"')


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


def dumps(nb: NotebookNode) -> str:
    """The text of a notebook's file."""
    return nbformat.writes(nb, indent=1).rstrip("\n") + "\n"


def save(file: Path, text: str) -> None:
    """Write a file whole or not at all, into a folder made if need be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"out must be a folder that can be made, got {file.parent} ({error.strerror})"
        raise OSError(why) from error
    write(file, text.encode())


def tags(cell: NotebookNode) -> set[str]:
    """The cell's tags."""
    return set(cell.metadata.get("tags", []))


def code(nb: NotebookNode) -> list[NotebookNode]:
    """The code cells."""
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def normalise(nb: NotebookNode) -> NotebookNode:
    """Rewrite, in place, what differs from run to run and means nothing; returns the notebook."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nb.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    nb.nbformat, nb.nbformat_minor = 4, 5
    for i, cell in enumerate(nb.cells):
        cell.id = f"cell-{i:02d}"
        kept = {k: v for k, v in cell.metadata.items() if k in ("cellView", "jupyter", "slideshow")}
        cell.metadata = NotebookNode(kept | ({"tags": sorted(tags(cell))} if tags(cell) else {}))
    for count, cell in enumerate(code(nb), start=1):
        cell.execution_count, cell.outputs = count, joined(cell.outputs)
        for out in cell.outputs:
            if "data" in out:  # a widget's id belongs to one kernel only
                out.data.pop("application/vnd.jupyter.widget-view+json", None)
            if out.output_type == "execute_result":
                out.execution_count = count
            if "text" in out:  # progress leaves its last state, by the rule nbval compares with
                out.text = re.sub(r"^.*\r(?=[^\n])", "", out.text, flags=re.M)
    return nb


def keep_old(old: NotebookNode, new: NotebookNode) -> None:
    """Give `new` its old bytes back: pictures drawn alike by the same code beside the same words
    and, where all compared cells came out as they were, the outputs of the uncompared ones."""
    pairs = list(zip(code(old), code(new), strict=True))
    compared = [pair for pair in pairs if UNCOMPARED not in tags(pair[0])]
    for was, cell in compared:
        if drawn_by(was.outputs) == drawn_by(cell.outputs):
            keep_close(was, cell)
        if _same(was.outputs, cell.outputs):
            cell.outputs = was.outputs
    if all(was.outputs == cell.outputs for was, cell in compared):
        for was, cell in pairs:
            if drawn_by(was.outputs) == drawn_by(cell.outputs):
                cell.outputs = was.outputs


def _same(old: list[NotebookNode], new: list[NotebookNode]) -> bool:
    """Whether two lists of outputs differ at most in how their pictures' pixels fell out."""
    texts = (PNG.sub("picture", json.dumps(outputs, sort_keys=True)) for outputs in (old, new))
    return len({*texts}) == 1 and difference(old, new) is None
