"""Lesson 08: a network as a staircase of grids, and what each step of it costs."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import nn

from inception_edu.cost import layer_table, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import Concat
from inception_edu.network import Network

KINDS = {  # of a part of a network -> its colour
    "convolution": COLOURS["muted"],
    "pool": "#dddddd",
    "square kernels": COLOURS["after"],
    "1xn and nx1": COLOURS["branch5x5"],
    "forks": COLOURS["branch_pool"],
    "grid reduction": COLOURS["before"],
    "linear": COLOURS["ink"],
}


class Stage(NamedTuple):
    """A part of a network: its kind, the (h, w, c) that it puts out, parameters and MACs."""

    name: str
    kind: str
    output: tuple[int, int, int]
    params: int
    macs: int

    @property
    def side(self) -> int:
        """Height and width of its grid."""
        return self.output[0]


def kind(part: nn.Module) -> str:
    """One of KINDS, read off the part's modules; "" for what changes no grid and no channel."""
    inside = list(part.modules())
    convs = [m for m in inside if isinstance(m, nn.Conv2d)]
    if not isinstance(part, Concat):
        found = {"convolution": convs, "pool": [m for m in inside if "Pool" in type(m).__name__]}
        found["linear"] = [m for m in inside if isinstance(m, nn.Linear)]
        return next((name for name, there in found.items() if there), "")
    if any(conv.stride != (1, 1) for conv in convs):
        return "grid reduction"
    if any(isinstance(module, Concat) for module in inside[1:]):
        return "forks"
    asymmetric = any(conv.kernel_size[0] != conv.kernel_size[1] for conv in convs)
    return "1xn and nx1" if asymmetric else "square kernels"


def stages(network: Network, side: int) -> list[Stage]:
    """Stem, blocks and head in the order they run, on a square image, by layer_table."""
    found = []
    size = (network.arguments["in_channels"], side, side)
    for row in layer_table(network, size, depth=2).rows:
        what = kind(network.get_submodule(row.name))
        if what:
            c, h, w = (*row.output, 1, 1)[:3]
            name = row.name.partition(".")[2]
            found.append(Stage(name, what, (h, w, c), row.params, row.macs))
    return found


def show_side_by_side(networks: dict[str, tuple[Network, int]]) -> Picture:
    """Networks, each with its image's side, as staircases of grids on one scale."""
    data = {name: stages(network, side) for name, (network, side) in networks.items()}
    return Picture(_draw_side_by_side, data, words_side_by_side, size=(11, 7.2))


def words_side_by_side(data: dict[str, list[Stage]]) -> str:
    """For each network, the parts that work on each grid, and the channels that leave it."""
    lines = []
    for name, parts in data.items():
        lines.append(name)
        for side in dict.fromkeys(part.side for part in parts):
            at = [part for part in parts if part.side == side]
            shape = f"{side}x{side}x{at[-1].output[2]}"
            lines.append(f"  {shape:<12} {' '.join(part.name for part in at)}")
    return "\n".join(lines)


def _draw_side_by_side(fig: Figure, data: dict[str, list[Stage]]) -> None:
    for ax, (name, parts) in zip(fig.subplots(len(data), 1), data.items(), strict=True):
        draw_staircase(ax, parts)
        blocks = sum(part.kind not in ("convolution", "pool", "linear") for part in parts)
        ax.set_title(f"{name}: {blocks} blocks, down to {parts[-3].side}x{parts[-3].side}")
    legend_of(fig, KINDS)


def draw_staircase(ax: Axes, parts: list[Stage], *, shapes: bool = True) -> None:
    """A bar for each part, as high as its grid's side, which stands above the first of equal ones,
    with its channels if `shapes` are to be shown."""
    colours = [KINDS[part.kind] for part in parts]
    ax.bar(range(len(parts)), [part.side for part in parts], color=colours, width=0.9)
    before = None
    for x, part in enumerate(parts):
        label = f"{part.side}\n{part.output[2]}" if shapes else f"{part.side}"
        if label != before:
            ax.text(x, part.side * 1.08, label, ha="center", va="bottom", fontsize=11)
        before = label
    _name_parts(ax, parts)
    ax.set_yscale("log")
    ax.minorticks_off()  # they would take a tenth of the time of an explorer's step
    ax.set(ylim=(0.7, 900), xlim=(-0.6, len(parts) - 0.4))
    ax.set(yticks=(1, 10, 100), yticklabels=("1", "10", "100"), ylabel="side, log scale")


def _name_parts(ax: Axes, parts: list[Stage]) -> None:
    ax.tick_params("x", pad=1)
    aslant = dict(rotation=55, ha="right", rotation_mode="anchor", fontsize=11)
    ax.set_xticks(range(len(parts)), [part.name for part in parts], **aslant)


def legend_of(fig: Figure, colours: dict[str, str]) -> None:
    """What the colours mean, in a line or two below the picture."""
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)


def show_costs(parts: list[Stage]) -> Picture:
    """MACs and parameters of every part, from the image to the logits."""
    return Picture(_draw_costs, parts, words_costs, size=(11, 5.6))


def words_costs(parts: list[Stage]) -> str:
    """A row for each part that costs anything: output, parameters, MACs and their share."""
    macs = sum(part.macs for part in parts)
    rows = [("part", "output", "parameters", "MACs", "share")]
    for part in parts:
        if part.macs:
            output = "x".join(map(str, part.output))
            cells = f"{part.params:,}", f"{part.macs:,}", f"{part.macs / macs:.1%}"
            rows.append((part.name, output, *cells))
    rows.append(("total", "", f"{sum(part.params for part in parts):,}", f"{macs:,}", ""))
    return text_table(rows, left=2)


def _draw_costs(fig: Figure, parts: list[Stage]) -> None:
    paid = [part for part in parts if part.macs]
    units = {"macs": (1e6, "million MACs"), "params": (1e6, "million\nparameters")}
    axes = fig.subplots(2, 1, sharex=True)
    for ax, (what, (unit, label)) in zip(axes, units.items(), strict=True):
        values = [getattr(part, what) / unit for part in paid]
        ax.bar(range(len(paid)), values, color=[KINDS[part.kind] for part in paid])
        worst = max(paid, key=lambda part: getattr(part, what))
        share = max(values) / sum(values)
        ax.set(ylabel=label, title=f"{worst.name} has the most, {share:.0%} of all")
    _name_parts(ax, paid)
    legend_of(fig, {name: KINDS[name] for name in dict.fromkeys(part.kind for part in paid)})
