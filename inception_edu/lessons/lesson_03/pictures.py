"""Lesson 03, GoogLeNet: the whole net drawn from the model, and the longest path through it."""

from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import Concat, pair
from inception_edu.network import Network

Layer = tuple[str, bool]  # what stands in its box, and whether it has weights


class Stage(NamedTuple):
    """A layer or block of the net: its branches (one, named "", if it is no block), its output."""

    name: str
    branches: dict[str, list[Layer]]
    output: str


def label(layer: nn.Module) -> str:
    """A layer in a few letters, as they fit into a box."""
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
        stride = pair(layer.stride)[0]
        size = "{}x{}".format(*pair(layer.kernel_size)) + (f"/{stride}" if stride > 1 else "")
        return size if isinstance(layer, nn.Conv2d) else f"max {size}"
    names = {
        nn.LocalResponseNorm: "LRN",
        nn.AdaptiveAvgPool2d: "mean",
        nn.Dropout: "drop",
        nn.Linear: "linear",
    }
    return next((text for kind, text in names.items() if isinstance(layer, kind)), "")


def layers(part: nn.Module) -> list[Layer]:
    """The layers of `part` that get a box; batch norm and ReLU belong to their convolution."""
    found = ((label(m), isinstance(m, (nn.Conv2d, nn.Linear))) for m in part.modules())
    return [layer for layer in found if layer[0]]


def stages(network: Network, side: int = 224) -> list[list[Stage]]:
    """Stem, body and head in the order they run, a new row after each pool of the body."""
    channels = network.arguments["in_channels"]
    x, rows = torch.empty(1, channels, side, side, device="meta"), [[]]
    for part in (network.stem, network.body, network.head):
        for name, layer in part.named_children():
            x = layer(x)
            named = layer if isinstance(layer, Concat) else {"": layer}
            branches = {branch: layers(module) for branch, module in named.items()}
            if any(branches.values()):
                c, *grid = x.shape[1:]
                rows[-1].append(Stage(name, branches, "x".join(map(str, (*grid, c)))))
            if part is network.body and isinstance(layer, nn.MaxPool2d):
                rows.append([])
    return rows


def show_net(network: Network) -> Picture:
    """The whole network on the meta device, every layer a box, as its modules stand in the tree."""
    return Picture(_draw_net, stages(network.eval()), words_net, size=(10, 7.6))


def words_net(rows: list[list[Stage]]) -> str:
    """A line for each stage: name, branches, output."""
    lines = []
    for stage in (stage for row in rows for stage in row):
        paths = (" ".join(text for text, _ in branch) for branch in stage.branches.values())
        lines.append((stage.name, " | ".join(paths), stage.output))
    return text_table(lines, left=2)


def _draw_net(fig: Figure, rows: list[list[Stage]]) -> None:
    axes = fig.subplots(len(rows), 1)
    for ax, row in zip(axes, rows, strict=True):
        left = 0.0
        for stage in row:
            left = _draw_stage(ax, stage, left)
        ax.set(xlim=(0, 13.9), ylim=(-2.8, 2.8))
        ax.axis("off")
    blocks = sum(len(stage.branches) > 1 for row in rows for stage in row)
    axes[0].set_title(f"{blocks} blocks of four branches; solid boxes have weights")


def _draw_stage(ax: Axes, stage: Stage, left: float) -> float:
    """Draw one stage from `left` on; returns where the next begins."""
    block = len(stage.branches) > 1
    width, half = (2.5, 2.1) if block else (1.1, 0.6)
    middle = left + width / 2
    for i, (name, branch) in enumerate(stage.branches.items()):
        y = (len(stage.branches) - 1) / 2 - i
        colour = COLOURS.get(name, COLOURS["after"])
        if block:
            ends = [middle - 1.2, middle - 0.8, middle + 0.8, middle + 1.2]
            ax.plot(ends, [0, y, y, 0], color=COLOURS["muted"], lw=1.5, zorder=0)
        for j, (text, solid) in enumerate(branch):
            x = middle + 0.9 * (j - (len(branch) - 1) / 2)
            face = dict(facecolor=colour if solid else "#eeeeee", edgecolor=colour, lw=1.5)
            ax.add_patch(Rectangle((x - 0.42, y - 0.42), 0.84, 0.84, **face))
            ink = "white" if solid and name in ("branch1x1", "branch5x5") else "black"
            how = dict(ha="center", va="center", fontsize=10, color=ink)
            ax.text(x, y, text.replace(" ", "\n"), **how)
    ax.text(middle, half, stage.name.replace("_", "\n"), ha="center", va="bottom", weight="bold")
    grid, _, channels = stage.output.rpartition("x")
    output = f"{grid}\nx{channels}" if grid and not block else stage.output
    ax.text(middle, -half, output, ha="center", va="top", fontsize=10)
    return left + width
