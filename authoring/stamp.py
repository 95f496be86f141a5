"""What is written into the lessons, README, TEACHING and ANSWERS: links, tables, what Colab needs,
where a lecture turns the page, and the answer keys."""

import re
from pathlib import Path

from authoring.answers import keys
from authoring.breaks import set_breaks
from authoring.notebook import dumps, read, tags

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
HOW = (
    "**Shift+Enter** runs a cell and goes on to the next. To begin in the middle, select a cell "
    "there and choose *Run > Run All Above Selected Cell*."
)
MARKED = re.compile(r"(<!-- (lessons|pages) -->\n).*?(<!-- /\2 -->)", re.S)
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


def repository() -> str:
    """Where the project lives: pyproject's Repository, the one line that a fork changes."""
    return re.search(r'^Repository = "(.*?)/?"', PROJECT.read_text("utf-8"), re.M)[1]


def colab_link(file: str) -> list[str]:
    """A link that opens a lesson in Colab, which reads GitHub only; none while OWNER stands."""
    github, url = "https://github.com/", repository()
    if not url.startswith(github) or "OWNER" in url:
        return []
    path = f"{url.removeprefix(github)}/blob/main/notebooks/{file}"
    return [f"[Open in Colab](https://colab.research.google.com/github/{path})"]


def install_cell() -> str:
    """Code that brings the package into Colab, whose torch, numpy and ipywidgets suffice it; from a
    copy of the project while that has no address."""
    url = repository()
    install = f"    %pip install --quiet git+{url}"
    if "OWNER" in url:
        install = """    from google.colab import files

    print("Choose a zip of the project's folder, as a code host or `git archive` makes it:")
    (name,) = files.upload()
    %pip install --quiet "./{name}\""""
    return f"""# @title In Colab, run this cell first; elsewhere it does nothing
import importlib.util
import sys

if "google.colab" in sys.modules and not importlib.util.find_spec("inception_edu"):
{install}"""


def table(series: list[tuple[str, str, str, str]], folder: str = "") -> str:
    """The lessons as a Markdown table, with links into `folder`."""
    rows = [
        f"| {' · '.join([f'[{title}]({folder}{file})', *colab_link(file)])} | {asks} | {n} |"
        for file, title, asks, n in series
    ]
    return "\n".join(["| lesson | question | minutes |", "|---|---|---|", *rows])


def links(series: list[tuple[str, str, str, str]], file: str) -> str:
    """Previous, contents and next, as far as they exist, and the way into Colab."""
    names = [f"[{title}]({name})" for name, title, _, _ in series]
    i = [name for name, _, _, _ in series].index(file)
    parts = [f"← {x}" for x in names[:i][-1:]] + [f"[Contents]({series[0][0]})"]
    parts += [f"{x} →" for x in names[i + 1 :][:1]]
    return " · ".join(parts + colab_link(file)) + f"\n\n{HOW}"


def pages(series: list[tuple[str, str, str, str]]) -> str:
    """The instructors' pages as a Markdown table, one row a lesson."""
    rows = [f"| [{title}](teaching/{file[:2]}.md) | {asks} |" for file, title, asks, _ in series]
    return "\n".join(["| page | question |", "|---|---|", *rows])


def _stamped_page(page: Path) -> str:
    folder = page.parent / "notebooks"
    series = lessons(folder)
    if page.name == "ANSWERS.md":
        return keys(series, folder)
    new = {"lessons": table(series, "notebooks/"), "pages": pages(series)}
    old = page.read_text(encoding="utf-8")
    return MARKED.sub(lambda found: f"{found[1]}{new[found[2]]}\n{found[3]}", old)


def stamped(page: Path) -> str:
    """The text of a notebook, or of a page beside their folder, with all this written anew."""
    if page.suffix == ".md":
        return _stamped_page(page)
    nb, series = read(page), lessons(page.parent)
    for cell in nb.cells:
        if "nav" in tags(cell):
            cell.source = links(series, page.name)
        elif "map" in tags(cell):
            cell.source = table(series)
        elif "colab" in tags(cell):
            cell.source = install_cell()
            cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}  # one line
    set_breaks(nb)
    return dumps(nb)
