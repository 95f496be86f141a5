"""A whole network drawn from itself: every layer a small box, the branches of a block below each
other, in as many rows as it takes."""

import os
from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import fx, nn

from inception_edu.display import text_table
from inception_edu.figures.graph import Layout, colour_of, label, traced
from inception_edu.figures.picture import Picture
from inception_edu.figures.style import COLOURS

Box = tuple[str, bool]  # what stands in it, and whether it has weights
ROW = 14.8  # widths of boxes that find room in a row
WHITE = (COLOURS["branch1x1"], COLOURS["branch5x5"])  # dark enough for white letters


class Stage(NamedTuple):
    """A layer or block of a network: its branches (one, if it is no block) with their colours, and
    the (h, w, c) that leaves it; (c,) where there is no grid any more."""

    name: str
    branches: list[tuple[str, list[Box]]]
    output: tuple[int, ...]

    @property
    def width(self) -> float:
        """In widths of boxes."""
        longest = max(len(boxes) for _, boxes in self.branches)
        return 0.9 * longest + (0.7 if len(self.branches) > 1 else 0.2)


def whole(title: str, network: nn.Module, shape: tuple[int, int, int]) -> Picture:
    """A network of any make as it takes an image of a shape (c, h, w), under a title.

    Raises ValueError, with the reason, for one whose calls depend on what it computes.
    """
    rows = wrapped(stages(title, network, shape))
    high = sum(_height(row) for row in rows)
    return Picture(_draw, (title, rows), _words, size=(11, 0.46 * high + 0.4))


def stages(title: str, network: nn.Module, shape: tuple[int, int, int]) -> list[Stage]:
    """The layers and blocks of a network in the order they run."""
    layout, last, first = traced(title, network, shape)
    inside = []
    for node in layout.series(last, first):
        inputs, c_h_w = node.all_input_nodes, tuple(node.meta["tensor_meta"].shape[1:])
        if len(inputs) > 1:
            ends = [layout.series(branch, layout.gates[node]) for branch in inputs]
            branches = [(colour_of(end, i), _boxes(end, layout)) for i, end in enumerate(ends)]
            inside.append(Stage(_name(sum(ends, [])), branches, (*c_h_w[1:], c_h_w[0])))
        elif boxes := _boxes([node], layout):
            inside.append(Stage(_name([node]), [(COLOURS["after"], boxes)], (*c_h_w[1:], c_h_w[0])))
    return inside


def _boxes(nodes: list[fx.Node], layout: Layout) -> list[Box]:
    """The boxes of nodes in a row; a fork within a branch is one box."""
    boxes = []
    for node in nodes:
        if len(node.all_input_nodes) > 1:
            ends = [layout.series(b, layout.gates[node]) for b in node.all_input_nodes]
            fork = [text for end in ends for text, _ in _boxes(end, layout)]
            boxes.append(("|".join(fork), True))
        elif text := label(node, layout.modules):
            layer = layout.modules.get(node.target)
            boxes.append((text.partition(",")[0], isinstance(layer, (nn.Conv2d, nn.Linear))))
    return boxes


def _name(nodes: list[fx.Node]) -> str:
    """What a layer or block is called in its network: the last word that its nodes' names share."""
    targets = [str(node.target).split(".") for node in nodes if node.op == "call_module"]
    shared = os.path.commonprefix(targets) if targets else []
    words = [word for word in shared if word != "conv" and not (word.isdigit() and len(shared) > 1)]
    return words[-1] if words else ""


def wrapped(stages: list[Stage]) -> list[list[Stage]]:
    """The stages in rows: a new one where the last is full, or where its blocks' grid shrinks."""
    rows, sides = [[]], []
    for stage in stages:
        block, blocks = len(stage.branches) > 1, [s for s in rows[-1] if len(s.branches) > 1]
        shrunk = block and len(blocks) > 1 and sides[-1] < blocks[0].output[0]
        if shrunk or sum(s.width for s in [*rows[-1], stage]) > ROW:
            rows.append([])
        sides.append(stage.output[0])
        rows[-1].append(stage)
    return rows


def _words(data: tuple[str, list[list[Stage]]]) -> str:
    """A line for each stage: name, branches, output."""
    title, rows = data
    lines = []
    for stage in (stage for row in rows for stage in row):
        paths = (" ".join(text for text, _ in boxes) for _, boxes in stage.branches)
        lines.append((stage.name, " | ".join(paths), "x".join(map(str, stage.output))))
    return f"{title}\n{text_table(lines, left=2)}"


def _height(row: list[Stage]) -> float:
    """Of a row, with room for names and shapes, in heights of boxes."""
    return max(len(stage.branches) for stage in row) + 1.5


def _draw(fig: Figure, data: tuple[str, list[list[Stage]]]) -> None:
    title, rows = data
    axes = fig.subplots(len(rows), 1, squeeze=False, height_ratios=[_height(row) for row in rows])[
        :, 0
    ]
    for ax, row in zip(axes, rows, strict=True):
        left, middles = 0.0, []
        for stage in row:
            middles.append((left, left + stage.width))
            _draw_stage(ax, stage, left)
            left += stage.width
        for (_, end), (start, _) in pairwise(middles):
            ax.plot([end - 0.1, start + 0.1], [0, 0], color=COLOURS["muted"], lw=1.5, zorder=0)
        half = _height(row) / 2
        ax.set(xlim=(0, ROW), ylim=(-half, half))
        ax.axis("off")
    blocks = sum(len(stage.branches) > 1 for row in rows for stage in row)
    axes[0].set_title(f"{title}: {blocks} blocks; filled boxes have weights")


def _draw_stage(ax: Axes, stage: Stage, left: float) -> None:
    middle, n = left + stage.width / 2, len(stage.branches)
    for i, (colour, boxes) in enumerate(stage.branches):
        y = (n - 1) / 2 - i
        inner = 0.45 * max(len(boxes) for _, boxes in stage.branches)
        ends = [left + 0.1, middle - inner, middle + inner, left + stage.width - 0.1]
        ax.plot(ends, [0, y, y, 0], color=COLOURS["muted"], lw=1.5, zorder=0)
        for j, (text, solid) in enumerate(boxes):
            x = middle + 0.9 * (j - (len(boxes) - 1) / 2)
            face = dict(facecolor=colour if solid else "white", edgecolor=colour, lw=2)
            ax.add_patch(Rectangle((x - 0.41, y - 0.41), 0.82, 0.82, **face))
            ink = "white" if solid and colour in WHITE else "black"
            lines = text.replace(" ", "\n").replace("|", "\n").replace("average", "mean")
            ax.text(x, y, lines, ha="center", va="center", fontsize=11, color=ink)
    around, how = n / 2 + 0.05, dict(ha="center", fontsize=11)
    ax.text(middle, around, stage.name.replace("_", "\n"), va="bottom", weight="bold", **how)
    shape = "x".join(map(str, stage.output))
    if n == 1 and len(stage.output) == 3:
        shape = "{}x{}\nx{}".format(*stage.output)
    ax.text(middle, -around, shape, va="top", **how)
