"""Titles, pictures and links of the pages that are read: README and its like, and the lessons."""

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from authoring.notebook import read

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "teaching").glob("*.md")),
    ROOT / "data" / "README.md",
    *sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")),
]
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def prose(path: Path) -> str:
    """A page's Markdown without code, fenced or inline."""
    if path.suffix == ".ipynb":
        cells = read(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"(```|~~~).*?\1|`[^`\n]+`", "code", text, flags=re.S)


def headings(text: str) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    return [(len(m[1]), m[2]) for m in re.finditer(r"^(#+) +(.+?)\s*$", text, re.M)]


@every_page
def test_headings_begin_with_the_title_and_never_skip_a_level(path):
    levels = [level for level, _ in headings(prose(path))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


@every_page
def test_pictures_in_a_page_have_alt_text(path):
    text = prose(path)
    alts = re.findall(r"!\[(.*?)\]\(", text)
    for tag in re.findall(r"<img[^>]*>", text):
        alts += re.findall(r"alt=\"([^\"]*)\"", tag) or [""]
    assert [alt for alt in alts if len(alt.split()) < 3] == []


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and as JupyterLab make them."""
    texts = [text for _, text in headings(prose(path))]
    github = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}
    return github | {text.replace(" ", "-") for text in texts}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere; those to other machines need only be well formed."""
    text = prose(path)
    links = re.findall(r"\]\(<?([^()\s]*)>?[^()]*\)|(?:href|src)=\"([^\"]*)\"", text)
    found = []
    for link in filter(None, (one or other for one, other in links)):
        parts = urlsplit(link)
        target = path.parent / unquote(parts.path) if parts.path else path
        if parts.scheme:
            fine = parts.scheme in ("http", "https") and "." in parts.netloc
        else:
            fine = target.exists() and (not parts.fragment or parts.fragment in anchors(target))
        if not fine:
            found.append(link)
    return found


@every_page
def test_links_lead_somewhere(path):
    assert broken(path) == []


@pytest.mark.parametrize(
    ("link", "fine"),
    [
        ("README.md", True),
        ("#two-words", True),
        ("README.md#two-words", True),
        ("https://example.org/x", True),
        ("missing.md", False),
        ("#two", False),
        ("http//example.org", False),
        ("https://", False),
    ],
)
def test_a_broken_link_is_found(tmp_path, link, fine):
    page = tmp_path / "README.md"
    page.write_text(f"# Two words\n\n[a]({link}), `[b](nothing.md)`\n")
    assert broken(page) == ([] if fine else [link])
