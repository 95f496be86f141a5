"""What stands on slides: pieces of a notebook's cells, with their heights.

Heights are estimated, in CSS pixels of a page of 1280 x 720, from the type's size in `deck.css`.
"""

import html
import re
import struct
from base64 import b64decode
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from pathlib import Path

from nbformat import NotebookNode

from authoring.breaks import is_guess
from authoring.cells import code_fold, markdown, outputs
from authoring.notebook import tags

WIDTH, HEIGHT = 1160, 640  # what a page has room for
LINE, GAP, COLUMNS = 43, 14, 70  # of text: a line, the space below a piece, characters a line
WIDE, MEAN = 0.63, 0.57  # of a letter of code, and of one of text at most, in its size
FOLD = 44  # a line of a closed fold
PART = re.compile(  # a fold, code, or lines up to an empty one
    r"<details>.*?</details>|^```.*?^```|(?:^(?!<details|```)[^\n]*\S[^\n]*\n?)+", re.S | re.M
)
HELP = re.compile(r"<details>\s*<summary>[^<]*(hint|solution)", re.I)
PNG = re.compile(r'src="data:image/png;base64,([^"]{32})')
TR = re.compile(r"<tr>(.*?)</tr>", re.S)
MARKUP = re.compile(r"\]\([^)]*\)|[*`\[]")


@dataclass
class Block:
    """What no page turn divides; its picture may lose up to `spare` of its height."""

    page: str
    height: float
    level: int = 0  # of the heading it begins with: 2 begins a slide
    picture: float = 0.0
    spare: float = 0.0
    size: float = 22.0  # of the type of code and outputs
    cell: int = 0  # that it is from
    later: bool = False  # than what is on the page already
    asks: bool = False  # for a guess: no answer may stand on its page

    def html(self, squeezed: float) -> str:
        """The block with its picture lower by `squeezed`."""
        style = f"--picture: {self.picture - squeezed:.0f}px; --size: {self.size:.0f}px"
        later = f' class="fragment" data-fragment-index="{self.cell}"'
        return f'<div style="{style}"{later if self.later else ""}>{self.page}</div>'


def text_blocks(cell: NotebookNode, folder: Path) -> list[Block]:
    """A text cell's paragraphs, tables and folds; what belongs together stays so. Hints and
    solutions are left out."""
    parts = [found[0].strip() for found in PART.finditer(cell.source)]
    groups: list[list[str]] = []
    for part in parts:
        if groups and not HELP.match(part) and _belong(groups[-1][-1], part):
            groups[-1].append(part)
        elif not HELP.match(part):
            groups.append([part])
    return [
        Block(
            markdown(cell, folder, "\n\n".join(group)),
            sum(map(_text_height, group)),
            level=len(re.match("#*", group[0])[0]),
        )
        for group in groups
    ]


def _belong(one: str, other: str) -> bool:
    """A heading and its text, the words before a guess and the guess, a question and its answer."""
    return (
        re.fullmatch(r"#+ .*", one) is not None
        or (other.startswith("**Guess first.**") and not one.startswith("**What we saw.**"))
        or (other.startswith("<details") and not one.startswith("<details"))
    )


def _text_height(source: str) -> float:
    if source.startswith("<details"):
        return FOLD * ceil(len(re.match(r".*?(?=</summary|\n)", source)[0]) / COLUMNS)
    if source.startswith("```"):
        return 29 * source.count("\n") + 2 * GAP
    height = GAP
    for paragraph in re.split(r"\n(?=[-*|#]|\d+\.|\n)", source):
        text = MARKUP.sub("", paragraph).strip()
        if text.startswith("#"):
            height += 1.6 * LINE * ceil(len(text) / (0.6 * COLUMNS))
        elif text.startswith("|"):
            height += 0 if text.strip("|: -") == "" else LINE * ceil(len(text) / (1.3 * COLUMNS))
        else:
            height += LINE * ceil(len(text) / COLUMNS) + 8 * (text[:1] in "-*")
    return height + GAP * source.count("\n\n")


def code_blocks(cell: NotebookNode) -> list[Block]:
    """A code cell's source, folded unless it is the learner's to write, and its outputs."""
    shown, lines = is_guess(cell) or "exercise" in tags(cell), cell.source.splitlines()
    size = min(22.0, WIDTH / (WIDE * max(map(len, lines), default=1)))
    blocks = [_output_block(out) for out in outputs(cell)] or [Block("", 0, size=size)]
    blocks[0].page = code_fold(cell, shown=shown) + blocks[0].page
    blocks[0].height += 1.35 * size * len(lines) + 3 * GAP if shown else FOLD
    return blocks


def _output_block(page: str) -> Block:
    rest, lines = re.sub(r"<tr>.*</tr>", "", page, flags=re.S), _table(page)
    if lines or "<pre" in page:
        text = html.unescape(re.sub(r"<script.*?</script>|<[^>]*>", "", rest))
        lines += text.strip().splitlines()
    pitch = 1.6 if "<table" in page else 1.35
    size, height = _type(lines, pitch, MEAN if "<table" in page else WIDE)
    block = Block(page, height + 2 * GAP, size=size)
    if found := PNG.search(page):
        width, height = struct.unpack(">II", b64decode(found[1])[16:24])
        whole = height * WIDTH / width  # as wide as the page
        block.picture = min(500, whole)
        block.spare = block.picture - min(block.picture, max(240, 0.6 * whole))
        if "<input" in page:  # the words are small beside the picture
            block.size = min(size, 20)
            block.height = pitch * block.size * len(lines) + 100
        block.height += block.picture + GAP
    return block


def _table(page: str) -> list[str]:
    """The rows of a table as lines, each column as wide as its widest cell and the gap."""
    rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.S) for row in TR.findall(page)]
    texts = [[html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) + 2 for column in zip_longest(*texts, fillvalue="")]
    return ["-" * sum(widths)] * len(texts)


def _type(lines: list[str], pitch: float, letter: float) -> tuple[int, float]:
    """The largest size at which lines of so wide letters fit on a page, and their height; sentences
    are wrapped, and so may be one line that is longer than a table's others."""
    columns = sorted([0, 0, *map(len, lines)])[-2 if len(lines) > 2 else -1]
    sentences = columns * letter * 15 > WIDTH
    for size in range(25 if sentences else 30, 14, -1):
        rows = sum(max(1, ceil(len(line) * letter * size / WIDTH)) for line in lines)
        wide = columns * letter * size > WIDTH and not sentences
        if not wide and rows * pitch * size <= HEIGHT - 60:
            break
    return size, rows * pitch * size
