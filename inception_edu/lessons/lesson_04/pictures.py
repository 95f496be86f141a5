"""Lesson 04: the auxiliary heads, drawn where the network has them; the losses of a live race."""

import math
import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from inception_edu.cost import layer_table
from inception_edu.figures import COLOURS, HEAD_COLOURS, Picture
from inception_edu.lessons.lesson_04.race import HEAD_STYLE
from inception_edu.network import Network

Stage = tuple[str, str, str]  # a part of the network, its output, the aux head that reads it


def stages(network: Network, size: tuple[int, int, int] = (3, 224, 224)) -> list[Stage]:
    """Stem, blocks and head in the order they run, each with its output's shape."""
    readers, found = {block: head for head, block in network.reads.items()}, {}
    for row in layer_table(network, size, depth=2, training=True).rows:
        part, name = row.name.split(".")
        name = name if part == "body" else part
        if part != "aux" and not name.startswith("pool"):
            c, *grid = row.output
            found[name] = (name, "x".join(map(str, (*grid, c))), readers.get(name, ""))
    return list(found.values())


def show_heads(network: Network) -> Picture:
    """Where the aux heads sit, drawn from the network."""
    return Picture(_draw, stages(network), words, size=(11, 3.2))


def words(data: list[Stage]) -> str:
    """What each aux head reads, and where in the row of blocks that is."""
    reads = [f"{head} reads {name} ({shape})" for name, shape, head in data if head]
    return f"{' -> '.join(name for name, *_ in data)}; {', '.join(reads)}"


def _draw(fig: Figure, data: list[Stage]) -> None:
    ax = fig.add_subplot()
    last = len(data) - 1
    ax.plot([0, last], [0, 0], color=COLOURS["muted"], lw=3, zorder=0)
    for x, (name, shape, head) in enumerate(data):
        colour = HEAD_COLOURS["main"] if x == last else COLOURS["ink"]
        _box(ax, x, 0, "main\nhead" if x == last else name, colour)
        side, _, channels = shape.rpartition("x")
        text = f"{side}\nx{channels}" if side else channels
        ax.text(x, -0.55, text, ha="center", va="top", fontsize=12)
        if head:
            ax.plot([x + 0.5, x + 0.5], [0, 1.2], color=HEAD_COLOURS[head], lw=3)
            _box(ax, x + 0.5, 1.3, head, HEAD_COLOURS[head])
            ax.text(x + 1.05, 1.3, "while training,\nweight 0.3", va="center", fontsize=12)
    blocks = [name for name, _, head in data if head]
    ax.set(xlim=(-0.6, last + 0.6), ylim=(-1.4, 1.8))
    ax.set_title(f"Two more classifiers read blocks {' and '.join(blocks)}")
    ax.axis("off")


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    style = "round,pad=0,rounding_size=0.1"
    box = FancyBboxPatch((x - 0.42, y - 0.4), 0.84, 0.8, boxstyle=style, fc=colour, ec=colour)
    ax.add_patch(box)
    ax.text(x, y, text, ha="center", va="center", color="white", weight="bold", fontsize=13)


WINDOW = 10  # steps that a point of a loss curve is the mean of: no point is in two


def windows(losses: list[float]) -> list[float]:
    """The means of every ten losses."""
    return [statistics.fmean(some) for some in zip(*[iter(losses)] * WINDOW, strict=False)]


def show_losses(losses: dict[str, list[float]]) -> Picture:
    """The main head's loss in two runs, "without heads" and "with heads"."""
    means = {heads: windows(values) for heads, values in losses.items()}
    return Picture(_draw_losses, means, _tell_losses, size=(9, 3.6))


def _tell_losses(means: dict[str, list[float]]) -> str:
    return "\n".join(
        f"{heads}: loss {values[0]:.2f} in the first {WINDOW} steps, {values[-1]:.2f} in the last"
        for heads, values in means.items()
    )


def _draw_losses(fig: Figure, means: dict[str, list[float]]) -> None:
    ax = fig.add_subplot()
    for heads, values in means.items():
        steps = [WINDOW * (i + 0.5) for i in range(len(values))]
        ax.plot(steps, values, "o-", lw=3, color=HEAD_STYLE[heads], label=heads)
    ax.axhline(math.log(10), color=COLOURS["muted"], ls=":", lw=2)
    ends = " and ".join(f"{values[-1]:.2f} {heads}" for heads, values in means.items())
    ax.set_title(f"One run each: {ends}")
    ax.set(
        xlabel=f"step; a point is the mean of {WINDOW}",
        ylabel="main head's loss\n(dotted: ln 10)",
        ylim=(0, None),
    )
    ax.legend(frameon=False, loc="lower left")
