"""Lesson 03: our counts beside the paper's Table 1, what may explain a row, and other networks."""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import Cost, LayerTable, conv_cost, layer_table, text_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1
from inception_edu.network import Network

K, M = 1024, 1e6  # the paper's units: 1024 x 1000 weights are its "1000K"


class Beside(NamedTuple):
    """One row of Table 1, as counted here and as printed: K of weights, M of multiply-adds."""

    name: str
    weights: float
    printed_weights: float
    ops: float
    printed_ops: float

    @property
    def off(self) -> float:
        """By which part of the count the print differs, in the worse column."""
        columns = (self.weights, self.printed_weights), (self.ops, self.printed_ops)
        return max((printed / here - 1 for here, printed in columns), key=abs)


def costs(paper: Network) -> list[Beside]:
    """The rows of Table 1 that have weights, counted in our paper variant, and as printed."""
    macs = {row.name: row.macs for row in layer_table(paper, depth=2).rows}
    parts = {"conv1": ["stem.conv1"], "conv2": ["stem.conv2_reduce", "stem.conv2"]}
    parts["linear"], found = ["head.linear"], []
    for name, row in TABLE_1.items():
        if row.params:
            own = parts.get(name, [f"body.{name}"])
            weights = (p for part in own for p in paper.get_submodule(part).parameters())
            counted = sum(p.numel() for p in weights if p.ndim > 1) / K
            printed = float(row.params.removesuffix("K")), float(row.ops.removesuffix("M"))
            ops = sum(macs[part] for part in own) / M
            found.append(Beside(name, counted, printed[0], ops, printed[1]))
    return found


def beside_the_paper(paper: Network) -> Table:
    """The costs as counted here and as the paper prints them."""
    rows = [("row", "K counted", "K printed", "M counted", "M printed")]
    for row in costs(paper):
        k = f"{row.weights:.1f}", f"{row.printed_weights:g}"
        rows.append((row.name, *k, f"{row.ops:.1f}", f"{row.printed_ops:g}"))
    return Table(rows)


def shapes_beside(net: nn.Sequential) -> Table:
    """Every row's output by `net`, which has a layer for each, on 224 x 224; and as printed."""
    x, rows = torch.empty(1, 3, 224, 224, device="meta"), [("row", "computed", "printed", "")]
    for name, layer in net.named_children():
        x = layer(x)
        c, *grid = [*x.shape[1:], 1, 1][:3]
        got, printed = ("x".join(map(str, size)) for size in ((*grid, c), TABLE_1[name].output))
        rows.append((name, got, printed, "equal" if got == printed else "DIFFERS"))
    return Table(rows)


def readings() -> Table:
    """What the first convolution would cost in five readings, and what speaks against each."""
    image = dict(size=224, stride=2)
    depthwise, mix = conv_cost(3, 24, 7, groups=3, **image), conv_cost(24, 64, 1, 112)
    tall = conv_cost(3, 64, (7, 1), 224, stride=(2, 1))
    pair = conv_cost(3, 64, (7, 1), **image), conv_cost(3, 64, (1, 7), **image)
    chained = tall, conv_cost(64, 64, (1, 7), (112, 224), stride=(1, 2))
    cases = {
        "7x7 on RGB, the row itself": ([conv_cost(3, 64, 7, **image)], "far off in both"),
        "7x7 on one grey channel": ([conv_cost(1, 64, 7, **image)], "the paper's input is RGB"),
        "7x7 separable, 8 a channel": ([depthwise, mix], "not said in [G]"),
        "7x1 beside 1x7": (pair, "joined, they give 128 channels"),
        "7x1, then 1x7": (chained, "far off in both"),
    }
    rows = [("reading", "but", "K", "M")]
    for name, (parts, against) in cases.items():
        rows.append((name, against, f"{total(parts, 0) / K:.2f}", f"{total(parts, 1) / M:.1f}"))
    rows.append(("printed in Table 1", "", "2.7", "34"))
    return Table(rows, left=2, bold=[list(cases).index("7x7 separable, 8 a channel")])


def total(parts: list[Cost] | tuple[Cost, ...], column: int) -> int:
    """Weights (column 0) or MACs (column 1) of all parts together."""
    return sum(part[column] for part in parts)


def show_networks(tables: dict[str, LayerTable]) -> Picture:
    """Parameters and MACs of networks side by side."""
    rows = [(name, f"{table.params:,}", f"{table.macs:,}") for name, table in tables.items()]
    words = text_table([("", "parameters", "MACs"), *rows])
    return Picture(_draw_networks, tables, lambda _: words, size=(9, 3))


def _draw_networks(fig: Figure, tables: dict[str, LayerTable]) -> None:
    units = {"params": (1e6, "million parameters"), "macs": (1e9, "billion MACs per image")}
    for ax, (name, (unit, text)) in zip(
        fig.subplots(1, 2, sharey=True), units.items(), strict=True
    ):
        values = {network: getattr(table, name) / unit for network, table in tables.items()}
        ax.barh(list(values), list(values.values()), color=COLOURS["after"])
        for network, value in values.items():
            ax.text(value, network, f" {value:.1f}", va="center", weight="bold")
        ax.set(xlabel=text, title=f"{min(values, key=values.get)} has the fewest")
        ax.margins(x=0.28)
    fig.axes[0].invert_yaxis()
