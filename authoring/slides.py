"""A notebook as one HTML file of slides: reveal.js inside, no network, no kernel."""

import html
import re
from pathlib import Path

from nbformat import NotebookNode

from authoring.blocks import HEIGHT, Block, code_blocks, text_blocks
from authoring.breaks import asks, is_guess, slide_types
from authoring.cells import code_colours, has_formula, page, web
from authoring.execution import with_frames
from authoring.notebook import save

HEADING = re.compile(r"<h[12][^>]*>(.*?)</h", re.S)


class Page(list):
    """The blocks of one slide."""

    @property
    def height(self) -> float:
        """Of all blocks together, as high as they would be alone."""
        return sum(block.height for block in self)

    def fits(self, *more: Block) -> bool:
        """Whether there is room for more, its pictures made smaller if need be."""
        return not self or self.height + sum(b.height - b.spare for b in more) <= HEIGHT

    def html(self) -> str:
        """All blocks; what they are too high together is taken from the pictures."""
        over, spare = self.height - HEIGHT, sum(b.spare for b in self)
        share = min(max(over / spare, 0), 1) if spare else 0
        return "\n".join(block.html(share * block.spare) for block in self)


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


def pages(nb: NotebookNode, folder: Path) -> list[list[Page]]:
    """Slides, each with the pages below it, as the notebook's slide types say; what does not fit
    goes on to a page of its own."""
    slides: list[list[Page]] = []
    for i, (cell, kind) in enumerate(zip(nb.cells, slide_types(nb), strict=True)):
        if kind in ("skip", "notes"):
            continue
        blocks = code_blocks(cell) if cell.cell_type == "code" else text_blocks(cell, folder)
        for block in blocks:
            block.cell, block.asks = i, asks(cell)
        if kind == "slide" and any(block.level in (1, 2) for block in blocks[1:]):
            after_result = nb.cells[i - 1].cell_type == "code" and not is_guess(nb.cells[i - 1])
            kind = "fragment" if after_result else "subslide"  # it ends a section, then begins one
        for block in blocks:
            if not slides or block.level in (1, 2) or kind == "slide":
                slides.append([Page()])
            elif kind == "subslide" or block.level > 2 or not slides[-1][-1].fits(block):
                slides[-1].append(Page())
            elif kind == "fragment":
                block.later = True
            slides[-1][-1].append(block)
            kind = kind if kind == "fragment" and block.level not in (1, 2) else "-"
    return [_joined(stack) for stack in slides]


def _joined(stack: list[Page]) -> list[Page]:
    """A slide's pages, where one that would stay half empty takes the next one in, which comes
    later; not an exercise, and nothing that follows a guess."""
    joined = stack[:1]
    for more in stack[1:]:
        last = joined[-1]
        short = min(last.height, more.height) <= HEIGHT / 2
        if short and last.fits(*more) and not more[0].level and not any(b.asks for b in last):
            for block in more:
                block.later = True
            last.extend(more)
        else:
            joined.append(more)
    return joined
