"""A notebook's cells as HTML that needs nothing from anywhere: for slides and pages."""

import base64
import html
import mimetypes
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from authoring.execution import is_frames

WEB = Path(__file__).parent / "web"
FENCE = re.compile(r"^```.*?^```|`[^`\n]+`", re.S | re.M)
FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$\w])\$[^\s$][^$\n]*\$(?!\d)|\\\(|\\\[|\\begin\{", re.S)
NO_GUESS = re.compile(r"<b>▫ Your guess: not attempted yet</b><br>(.*?)</div>")


def markdown(cell: NotebookNode, folder: Path, source: str | None = None) -> str:
    """A text cell, or `source` as a part of it; its pictures are put in, found from `folder`."""
    page = markdown2html(cell.source if source is None else source)
    page = re.sub(r'<a class="anchor-link".*?</a>', "", page)
    page = re.sub(r'(<a href="[\w.-]+)\.ipynb(?=["#])', r"\1.html", page)
    page = page.replace("<p><strong>Guess first.", '<p class="guess"><strong>Guess first.')

    def put_in(found: re.Match) -> str:
        return found[1] + _picture_address(html.unescape(found[2]), cell, folder) + '"'

    return re.sub(r'(<img [^>]*?src=")([^"]+)"', put_in, page)


def _picture_address(source: str, cell: NotebookNode, folder: Path) -> str:
    if source.startswith("data:"):
        return source
    if source.startswith("attachment:"):
        ((kind, content),) = cell.attachments[source.removeprefix("attachment:")].items()
        return f"data:{kind};base64,{content}"
    file = folder / unquote(source)
    if "://" in source or not file.is_file():
        raise ValueError(f"a picture must be a file beside the notebook, got {source!r}")
    content = base64.b64encode(file.read_bytes()).decode()
    return f"data:{mimetypes.guess_type(file.name)[0]};base64,{content}"


def code_fold(cell: NotebookNode, *, shown: bool = False) -> str:
    """A code cell's source, highlighted; folded unless `shown`."""
    source = Highlight2HTML()(cell.source, language="ipython3")
    return source if shown else f'<details class="code"><summary>Code</summary>{source}</details>'


def outputs(cell: NotebookNode) -> list[str]:
    """Each output of a code cell as HTML, in its richest form; those that show nothing are left
    out. Where no one guessed, only the answer is told."""
    every = [_output(out) for out in cell.get("outputs", [])]
    return [page for page in every if page]


def _output(out: NotebookNode) -> str:
    if out.output_type == "stream":
        return _pre(out.text)
    if out.output_type == "error":
        return _pre("\n".join(out.traceback))
    data = out.data
    if is_frames(out):
        return data["text/html"]
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            about = out.metadata.get(kind, {}).get("alt") or data.get("text/plain", "a figure")
            source = f"data:{kind};base64,{data[kind].strip()}"
            return f'<img src="{source}" alt="{html.escape(about)}">'
    if found := NO_GUESS.search(data.get("text/html", "")):
        return f'<p><strong class="answer">{found[1]}</strong></p>'
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            return f'<div class="table">{data[kind]}</div>'
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            return markdown2html(data[kind])
    return _pre(data.get("text/plain", ""))


def _pre(text: str) -> str:
    return f"<pre>{ansi2html(text.rstrip())}</pre>" if text.strip() else ""


def has_formula(nb: NotebookNode) -> bool:
    """Whether a text cell holds TeX, so that the page needs MathJax."""
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    return any(FORMULA.search(FENCE.sub("", text)) for text in texts)


@cache
def web(name: str) -> str:
    """A file of the folder `web`, with our templates, styles and scripts and others' libraries."""
    return (WEB / name).read_text(encoding="utf-8")


def page(template: str, **parts: str) -> str:
    """The template with each {{name}} replaced; `math` says whether MathJax is put in."""
    mathjax = f"<script>{web('math.js')}</script>\n<script>{web('mathjax.js')}</script>"
    parts |= {"math": mathjax if parts.get("math") else "", "frames": web("frames.js")}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], web(template))


def code_colours(style: str) -> str:
    """CSS for highlighted code, without a background of its own."""
    rules = HtmlFormatter(style=style, nobackground=True).get_style_defs(".highlight").splitlines()
    return "\n".join(rule for rule in rules if rule.startswith(".highlight ."))
