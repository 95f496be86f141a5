"""What a saved lesson must be, found without running it."""

import re
from pathlib import Path

from nbformat import NotebookNode

from authoring import breaks
from authoring.answers import text_of
from authoring.notebook import UNCOMPARED, code, dumps, normalise, read, tags
from authoring.pictures import drawn_by
from authoring.stamp import stamped
from inception_edu.figures import is_current

# Green for the author, red or silently never compared elsewhere.
IN_CODE = re.compile(
    r"\b(?:interact|interactive_output|clear_output|update_display)\b|\bOutput\(|;\s*\Z"
    r"|#\s*(?:NBVAL_|PYTEST_VALIDATE)\w+"
)
ANYWHERE = re.compile(
    r"\b0x[0-9a-f]{6,}|(?<![\w.~])/(?:home|root|tmp|usr|var|opt|mnt|work|content|Users)/\w+"
    r"|\b[A-Z]:\\\w+"
)
STAMPED = {"nav": "the links", "colab": "what installs the package in Colab"}
UNCOMPARED_FRACTION, BOOLEANS = 0.1, 5  # at most in a lesson
BANNED_TAGS = {"nbval-skip", "nbval-raises-exception", "raises-exception", "skip"}


def check(page: Path) -> list[str]:
    """One line per fault of a notebook, or of a page beside their folder."""
    found = []
    if page.read_text(encoding="utf-8") != stamped(page):
        found.append("not as `stamp` writes it (links, table, slide types, answer keys, layout)")
    if page.suffix == ".ipynb":
        nb = read(page)
        cells, counts = code(nb), [cell.execution_count for cell in code(nb)]
        if counts != list(range(1, len(cells) + 1)):
            found.append("not run from top to bottom: some cell's count is missing or out of order")
        elif dumps(nb) != dumps(normalise(read(page))):
            found.append("not normalised: `run` it")
        if sum(UNCOMPARED in tags(cell) for cell in cells) > UNCOMPARED_FRACTION * len(cells):
            found.append(f"more than {UNCOMPARED_FRACTION:.0%} of its code cells are uncompared")
        if (bare := sum(map(booleans, cells))) > BOOLEANS:
            found.append(
                f"{bare} results are a bare True or False, at most {BOOLEANS}: print numbers"
            )
        for tag, use in STAMPED.items():
            if not any(tag in tags(cell) for cell in nb.cells):
                found.append(f'no cell tagged "{tag}" to hold {use}')
        found += breaks.faults(nb)
        found += [f"cell {i}: {fault}" for i, c in enumerate(nb.cells) for fault in _faults(c)]
    return [f"{page.name}: {fault}" for fault in found]


def booleans(cell: NotebookNode) -> int:
    """How often a cell's printed output is True or False where a number could be."""
    return len(re.findall(r"\b(?:True|False)\b", "\n".join(map(text_of, cell.outputs))))


def _faults(cell: NotebookNode) -> list[str]:
    found = sorted(BANNED_TAGS & tags(cell))
    texts = [cell.source]
    if cell.cell_type == "code":
        found += IN_CODE.findall(cell.source)
        for out in cell.outputs:
            if out.output_type == "error" or out.get("name") == "stderr":
                found.append(out.get("name", "error"))
            texts += [out.get("text", "")]
            texts += [str(v) for k, v in out.get("data", {}).items() if k != "image/png"]
        found += [
            f"a picture older than its code ({by or 'not noted'})"
            for by in drawn_by(cell.outputs)
            if not is_current(by)
        ]
    found += [match for text in texts for match in ANYWHERE.findall(text)]
    return [f"{what.strip()} does not belong in a saved lesson" for what in found]
