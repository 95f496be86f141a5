"""A notebook as one HTML file of slides: reveal.js inside, no network, no kernel."""

import html
import re
from pathlib import Path

from authoring.blocks import Page, pages
from authoring.cells import code_colours, has_formula, page, web
from authoring.execution import with_frames
from authoring.notebook import save

HEADING = re.compile(r"<h[12][^>]*>(.*?)</h", re.S)


def slides(path: Path, out: Path) -> str:
    """Write the deck of a notebook into the folder `out`; says what was written."""
    nb = with_frames(path)
    stacks = pages(nb, path.parent)
    deck = page(
        "deck.html",
        title=html.escape(_title(stacks, path.stem)),
        slides="\n".join(map(_stack, stacks)),
        style="\n".join([web("reveal.css"), web("deck.css"), code_colours("default")]),
        math=has_formula(nb),
        reveal=web("reveal.js"),
        deck=web("deck.js"),
    )
    file = out / f"{path.stem}.html"
    save(file, deck)
    return f"{file}: {sum(map(len, stacks))} slides, {file.stat().st_size / 1e6:.2f} MB"


def _title(stacks: list[list[Page]], otherwise: str) -> str:
    heads = (HEADING.search(block.page) for stack in stacks for page in stack for block in page)
    return next((re.sub("<.*?>", "", head[1]) for head in heads if head), otherwise)


def _stack(stack: list[Page]) -> str:
    """A slide and the pages below it, each under the slide's heading, in small."""
    head, sections = HEADING.search(stack[0][0].page), []
    for i, blocks in enumerate(stack):
        where = f'<p class="where">{head[1]}</p>\n' if i and head else ""
        kind = ' class="title"' if "<h1" in blocks[0].page else ""
        sections.append(f"<section{kind}>{where}{blocks.html()}</section>")
    return f"<section>{''.join(sections)}</section>"
