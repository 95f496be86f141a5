"""ANSWERS.md: the answer key of every lesson, made from its saved notebook."""

import re
from pathlib import Path

from nbformat import NotebookNode

from authoring.fill import FOLD, fill
from authoring.notebook import UNCOMPARED, read, tags

ASKED = re.compile(r"\*\*Guess first\.\*\* (.*?)(?:\n\n|\Z)", re.S)
SECTION = re.compile(r"^##+ (\d+\. .*|Exhibit .*)", re.M)
TOLD = re.compile(r"Your guess: .*?the answer is (.*)\.", re.I)
EXERCISE = re.compile(r"^#+ (Exercise .*)", re.M)
HEAD = """# Answers

For instructors: the answer to each guess, exercise and question, made from the lessons by
`python -m authoring stamp`. Keep this page from students until they have handed in.
"""
QUESTION = re.compile(  # "1. Why?" stands in the fold's summary, or before the fold
    r"(?:(\d+\. [^\n]+)\n)?<details><summary>(.*?)</summary>(.*?)</details>", re.S
)


def guesses(nb: NotebookNode) -> list[tuple[str, str]]:
    """Section and question of each guess, and what the saved output answers."""
    section, asked, found = "", "", []
    for cell in nb.cells:
        section, asked = _last(SECTION, cell, section), _last(ASKED, cell, asked)
        measured = ", measured when the page was saved" if UNCOMPARED in tags(cell) else ""
        for told in TOLD.findall("\n".join(map(text_of, cell.get("outputs", [])))):
            where = section if section.endswith("?") else f"{section}:"
            found.append((f"*{where}* {' '.join(asked.split())}", told + measured))
    return found


def text_of(out: NotebookNode) -> str:
    """An output in words: what was printed, or the text of what was shown."""
    return out.get("text", out.get("data", {}).get("text/plain", ""))


def solutions(nb: NotebookNode) -> list[tuple[str, str]]:
    """The title of each exercise and its folded solution; fills the notebook, in place."""
    title, found = "", []
    for cell in fill(nb).cells:
        title = _last(EXERCISE, cell, title)
        if "exercise" in tags(cell):
            found.append((title, cell.source))
    return found


def questions(nb: NotebookNode) -> list[tuple[str, str]]:
    """Each of the questions at the end, with its number, and its folded answer."""
    text = "".join(cell.source for cell in nb.cells if cell.source.startswith("## Questions"))
    folds = QUESTION.findall(text)
    return [(asked or summary, " ".join(answer.split())) for asked, summary, answer in folds]


def _last(pattern: re.Pattern, cell: NotebookNode, otherwise: str) -> str:
    text = FOLD.sub("", cell.source) if cell.cell_type == "markdown" else ""
    return [otherwise, *pattern.findall(text)][-1]


def key(path: Path) -> str:
    """All answers of a lesson as Markdown."""
    nb = read(path)
    lines = [f"- {asked} **{told}**" for asked, told in guesses(nb)]
    for title, solution in solutions(nb):
        lines += ["", f"**{title}**", "", "```python", solution, "```"]
    lines += ["", "**Questions**", "", *(f"{q} *{a}*" for q, a in questions(nb)), ""]
    return "\n".join(lines)


def keys(series: list[tuple[str, ...]], folder: Path) -> str:
    """A page with the key of each lesson, the first two of whose row are its file and title."""
    parts = (f"## {title}\n\n{key(folder / file)}" for file, title, *_ in series)
    return "\n".join([HEAD, *parts])
