"""Lesson 03: our counts beside the paper's Table 1, what may explain a row, and other networks."""

from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.cost import Cost, LayerTable, conv_cost, layer_table, text_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1, Row
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


def by_formula() -> tuple[int, int]:
    """Parameters and MACs of Table 1's network at 224 x 224, by lesson 01's formula alone."""
    layers, c_in = [], 3
    for name, row in TABLE_1.items():
        size, bias = row.output[:2], dict(bias=True)
        if name == "conv1":
            layers.append(conv_cost(c_in, row.output[2], row.patch, 224, stride=row.stride, **bias))
        elif row.depth == 2:
            pairs = (row.n3x3_reduce, row.n3x3, 3), (row.n5x5_reduce, row.n5x5, 5)
            for reduce, c_out, k in (pair for pair in pairs if pair[0]):
                layers.append(conv_cost(c_in, reduce, 1, size, **bias))
                layers.append(conv_cost(reduce, c_out, k, size, **bias))
            for c_out in filter(None, (row.n1x1, row.pool_proj)):
                layers.append(conv_cost(c_in, c_out, 1, size, **bias))
        elif row.type == "linear":
            layers.append(conv_cost(c_in, row.output[2], 1, 1, **bias))
        c_in = row.output[2]
    return total(layers, 0), total(layers, 1)


def printed_per_place() -> Table:
    """For each row of Table 1 with weights: how many places its grid has, how often each weight is
    used by the printed numbers, from the least to the most that rounding admits, and how far the
    number of places lies outside of that."""
    rows = [("row", "places in its grid", "uses as printed, from", "to", "beyond rounding")]
    for name, row in TABLE_1.items():
        if row.params:
            places = row.output[0] * row.output[1]
            weights, macs = float(row.params.removesuffix("K")), float(row.ops.removesuffix("M"))
            half = 0.05 if "." in row.params else 0.5
            low = (macs - 0.5) * M / (weights + half) / K
            high = (macs + 0.5) * M / (weights - half) / K
            gap = max(low - places, places - high, 0) / places
            cells = f"{places:,}", f"{low:,.1f}", f"{high:,.1f}", f"{gap:.1%}" if gap else "0"
            rows.append((name, *cells))
    worst = max(rows[1:], key=lambda row: float(row[-1].rstrip("%")))
    return Table(rows, bold=[rows.index(worst) - 1])


COLUMNS = {  # of the six widths, as they are printed
    "n1x1": "#1x1",
    "n3x3_reduce": "#3x3 reduce",
    "n3x3": "#3x3",
    "n5x5_reduce": "#5x5 reduce",
    "n5x5": "#5x5",
    "pool_proj": "pool proj",
}


def readings_of(name: str, c_in: int, most: int = 3) -> Table:
    """What a block would cost with one of its widths replaced by another value of its column: the
    readings nearest to both printed numbers."""
    row = TABLE_1[name]
    printed = float(row.params.removesuffix("K")), float(row.ops.removesuffix("M"))
    cost = {(f"{name} as its row says", ""): _block_cost(row, c_in)}
    for column, words in COLUMNS.items():
        others = {getattr(r, column) for r in TABLE_1.values() if r.type == "inception"}
        for value in sorted(others - {getattr(row, column)}):
            reading = f"{value} instead of {getattr(row, column)}"
            cost[words, reading] = _block_cost(row._replace(**{column: value}), c_in)

    def far(case: tuple[str, str]) -> float:
        return sum(abs(a / b - 1) for a, b in zip(cost[case], printed, strict=True))

    nearest = sorted(list(cost)[1:], key=far)[:most]
    rows = [("width", "reading", "K", "M")]
    for case in [next(iter(cost)), *nearest]:
        rows.append((*case, f"{cost[case][0]:.1f}", f"{cost[case][1]:.1f}"))
    rows.append(("printed in Table 1", "", f"{printed[0]:g}", f"{printed[1]:g}"))
    return Table(rows, left=2, bold=[1])


def _block_cost(row: Row, c_in: int) -> tuple[float, float]:
    """K of weights and M of multiply-adds of a block."""
    places = row.output[0] * row.output[1]
    weights = c_in * (row.n1x1 + row.n3x3_reduce + row.n5x5_reduce + row.pool_proj)
    weights += 9 * row.n3x3_reduce * row.n3x3 + 25 * row.n5x5_reduce * row.n5x5
    return weights / K, weights * places / M


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
    return Picture(_draw_networks, tables, lambda _: words, size=(11, 3.2))


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
