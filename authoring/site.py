"""All lessons as pages to read: an index and one page each, no network, no kernel."""

import html
import re
from pathlib import Path

from nbconvert.filters import markdown2html

from authoring.cells import (
    code_colours,
    code_fold,
    has_formula,
    markdown,
    outputs,
    page,
    web,
)
from authoring.execution import with_frames
from authoring.notebook import save, tags
from authoring.stamp import lessons

LICENCE = re.compile(r"^## Licence\n+(.*?)(?=\n\n|\Z)", re.S | re.M)
INTRODUCTION = re.compile(r"^# ([^\n]*)\n+(.*?)(?=\n\n|\Z)", re.S)
LINK = re.compile(r'<a href="(\w+\.html)">(.*?)</a>')
SECTION = re.compile(r'<h2 id="([^"]*)">(.*?)</h2>', re.S)


def site(notebooks: list[Path], out: Path) -> str:
    """Write the pages of the notebooks of one folder, and their index, into the folder `out`;
    says what was written."""
    folder = notebooks[0].parent
    series = [row for row in lessons(folder) if row[0] in {path.name for path in notebooks}]
    readme = folder.resolve().parent / "README.md"
    about = readme.read_text(encoding="utf-8") if readme.is_file() else "# Lessons\n\n"
    pages = {"index.html": _index(series, about)}
    for row in series:
        pages[_file(row)] = _lesson(folder / row[0], series, about)
    for name, text in pages.items():
        pages[name] = LINK.sub(lambda link: link[0] if link[1] in pages else link[2], text)
        save(out / name, pages[name])
    size = sum(len(text.encode()) for text in pages.values()) / 1e6
    return f"{out / 'index.html'}: {len(series)} lessons, {size:.1f} MB"


def _file(row: tuple[str, ...]) -> str:
    return row[0].replace(".ipynb", ".html")


def _page(title: str, nav: str, main: str, about: str, *, math: bool = False) -> str:
    light, dark = code_colours("default"), code_colours("github-dark")
    style = f"{web('site.css')}\n{light}\n@media screen and (prefers-color-scheme: dark) {{{dark}}}"
    found = LICENCE.search(about)
    licence = re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", found[1]) if found else ""
    parts = dict(title=html.escape(title), nav=nav, main=main, style=style)
    return page("page.html", licence=html.escape(licence), math=math, **parts)


def _index(series: list[tuple[str, ...]], about: str) -> str:
    name, introduction = INTRODUCTION.match(about).groups()
    rows = "\n".join(
        f'<tr><td><a href="{_file(row)}">{html.escape(row[1])}</a></td>'
        f"<td>{html.escape(row[2])}</td><td>{row[3]}</td></tr>"
        for row in series
    )
    main = f"""<h1>{html.escape(name)}</h1>
{markdown2html(introduction)}
<table><thead><tr><th>lesson</th><th>question</th><th>minutes</th></tr></thead>
<tbody>{rows}</tbody></table>
<p>These pages are for reading: each explorer has one slider that moves. To guess, to train and to
be checked, open the lessons as notebooks.</p>"""
    begin = f'<a href="{_file(series[0])}">{html.escape(series[0][1])} →</a>'
    return _page(name, begin, main, about)


def _lesson(path: Path, series: list[tuple[str, ...]], about: str) -> str:
    nb, main = with_frames(path), []
    for cell in nb.cells:
        if tags(cell) & {"nav", "colab"}:
            continue
        if cell.cell_type == "code":
            main += [code_fold(cell, shown=True), *outputs(cell)]
        else:
            main.append(markdown(cell, path.parent))
    sections = SECTION.findall("\n".join(main))
    found = [f'<li><a href="#{name}">{title}</a></li>' for name, title in sections]
    contents = f'<nav class="contents" aria-label="Sections"><ol>{"".join(found)}</ol></nav>'
    main.insert(1, contents)
    i = [row[0] for row in series].index(path.name)
    near = [
        f'<a href="{_file(row)}">{mark[0]}{html.escape(row[1])}{mark[1]}</a>'
        for rows, mark in ((series[:i][-1:], ("← ", "")), (series[i + 1 :][:1], ("", " →")))
        for row in rows
    ]
    near.insert(1 if i else 0, '<a href="index.html">Contents</a>')
    return _page(series[i][1], " · ".join(near), "\n".join(main), about, math=has_formula(nb))
