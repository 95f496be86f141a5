"""Lesson 01: what was measured on this machine, as a roofline, and what held in every trial."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_01.speed import BATCHES, SHAPES, Machine, Timing

FIVE, ONE, THREE, DEEP, STEM, SINGLE = SHAPES  # the layers' names
OUTLIER = (STEM, 8)
LABELS = {FIVE: (1, 8, -12), ONE: (0, 9, 0), DEEP: (1, 9, 0)}  # beside which batch, and where
Layers = dict[tuple[str, int], Timing]  # by name and batch


def show_roofline(machine: Machine) -> Picture:
    """Speed against MACs per byte: layers at both batches below this machine's two ceilings."""
    return Picture(_draw, machine, words, size=(11, 5.2))


def words(machine: Machine) -> str:
    """The ceilings, and each layer's speed at both batches."""
    lines = [f"ceilings: {machine.gmacs:.0f} GMAC/s and {machine.gigabytes:.1f} GB/s"]
    for i, name in enumerate(SHAPES, start=1):
        rates = [f"{machine.layers[name, batch].gmacs_per_second:.1f}" for batch in BATCHES]
        lines.append(f"({i}) {name}: {rates[0]} GMAC/s, eight images at once {rates[1]}")
    return "\n".join(lines)


def table(machine: Machine) -> Table:
    """A row for each layer: its MACs, and for both batches what was measured."""
    columns = {
        "ms an image": lambda t: f"{1000 * t.seconds:.3f}",
        "GMAC/s": lambda t: f"{t.gmacs_per_second:.1f}",
        "GB/s": lambda t: f"{t.gigabytes_per_second:.1f}",
        "MACs a byte": lambda t: f"{t.macs_per_byte:.1f}",
    }
    rows = [["layer", "MACs", *(f"{what}, {n}" for what in columns for n in BATCHES)]]
    for i, name in enumerate(SHAPES, start=1):
        both = [machine.layers[name, batch] for batch in BATCHES]
        cells = [column(timing) for column in columns.values() for timing in both]
        rows.append([f"({i}) {name}", f"{both[0].macs:,}", *cells])
    return Table(rows, caption="1 and 8: images at once")


def _draw(fig: Figure, machine: Machine) -> None:
    ax = fig.add_subplot()
    x = np.geomspace(0.5, 400, 200)
    roof = np.minimum(machine.gmacs, machine.gigabytes * x)
    ax.plot(x, roof, color=COLOURS["ink"], lw=3)
    ax.fill_between(x, roof, 1e4, color=COLOURS["muted"], alpha=0.2, lw=0)
    _draw_layers(ax, machine)
    ax.set(xscale="log", yscale="log", xlim=(0.5, 400), ylim=(1, 2.5 * machine.gmacs))
    ax.set(xlabel="MACs done with each byte read or written", ylabel="GMAC/s on one core")
    ticks = {"x": (1, 3, 10, 30, 100, 300), "y": (1, 3, 10, 30, 100)}
    ax.set_xticks(ticks["x"], map(str, ticks["x"]))
    ax.set_yticks(ticks["y"], map(str, ticks["y"]))
    ax.minorticks_off()
    how = dict(color=COLOURS["ink"], weight="bold", textcoords="offset points")
    most, moved = (
        f"most MACs: {machine.gmacs:.0f} GMAC/s",
        f"most bytes: {machine.gigabytes:.0f} GB/s",
    )
    ax.annotate(most, (390, machine.gmacs), (0, 7), ha="right", **how)
    ax.annotate(moved, (0.75, 0.75 * machine.gigabytes), (14, -20), **how)
    rates = [t.gmacs_per_second for t in machine.layers.values()]
    ax.set_title(
        f"A MAC is up to {max(rates) / min(rates):.0f} times faster in one layer than in another"
    )
    ax.legend(loc="lower right", frameon=False)


def _draw_layers(ax: Axes, machine: Machine) -> None:
    """Each layer at batch 1 (open) and 8 (filled), joined by a line; a ring round the outlier."""
    fills = {1: ("white", "one image"), 8: (COLOURS["before"], "eight images at once")}
    for i, name in enumerate(SHAPES, start=1):
        both = [machine.layers[name, batch] for batch in BATCHES]
        points = [(t.macs_per_byte, t.gmacs_per_second) for t in both]
        ax.plot(*zip(*points, strict=True), color=COLOURS["before"], lw=1.5, zorder=2)
        for batch, point in zip(BATCHES, points, strict=True):
            colour, label = fills[batch]
            how = dict(mec=COLOURS["before"], mfc=colour, mew=2, ms=10, zorder=3)
            ax.plot(*point, "o", label=label if i == 1 else None, **how)
        end, *place = LABELS.get(name, (0, -9, 0))
        how = dict(
            textcoords="offset points", ha="left" if name in LABELS else "right", va="center"
        )
        ax.annotate(f"({i})", points[end], place, **how)
    t = machine.layers[OUTLIER]
    ring = dict(mec=COLOURS["ink"], mfc="none", mew=2, ms=20)
    ax.plot(t.macs_per_byte, t.gmacs_per_second, "o", label="the outlier", **ring)


class Claim(NamedTuple):
    """A ratio of measured numbers, and between what it lay in each of 40 trials."""

    says: str
    ratio: Callable[[Layers], float]
    least: float
    most: float = float("inf")

    @property
    def always(self) -> str:
        """The bounds in words."""
        if self.least and self.most < float("inf"):
            return f"{self.least:g} to {self.most:g}"
        return f"above {self.least:g}" if self.least else f"below {self.most:g}"


def _times(name: str, batch: int, other: str, other_batch: int) -> Callable[[Layers], float]:
    """How many times as long an image takes in one layer as in another."""
    return lambda layers: layers[name, batch].seconds / layers[other, other_batch].seconds


def _speeds(name: str, other: str, batch: int) -> Callable[[Layers], float]:
    """How many times as many MACs one layer does in a second as another."""
    pair = (name, batch), (other, batch)
    return lambda layers: layers[pair[0]].gmacs_per_second / layers[pair[1]].gmacs_per_second


def _range(layers: Layers) -> float:
    """The fastest layer's MACs in a second over the slowest's, for one image."""
    rates = [layers[name, 1].gmacs_per_second for name in SHAPES]
    return max(rates) / min(rates)


def _busiest(layers: Layers) -> float:
    """The slower of the two layers of most MACs per byte over the fastest other one."""
    rates = {name: layers[name, 1].gmacs_per_second for name in SHAPES}
    return min(rates.pop(FIVE), rates.pop(THREE)) / max(rates.values())


CLAIMS = (
    Claim("time of (1) over (2), which has 25 times fewer MACs", _times(FIVE, 1, ONE, 1), 2, 20),
    Claim("time of (6) over (2), which has 3.6 times more MACs", _times(SINGLE, 1, ONE, 1), 1.2),
    Claim("the same, eight images at once", _times(SINGLE, 8, ONE, 8), 2),
    Claim("GMAC/s of the fastest layer over the slowest", _range, 8),
    Claim("GMAC/s of the slower of (1) and (3) over the fastest other layer", _busiest, 1.5),
    Claim("time of (4), one image over each of eight at once", _times(DEEP, 1, DEEP, 8), 1.5),
    Claim("GMAC/s of (5) over (2), of as many MACs per byte", _speeds(STEM, ONE, 1), 0.8, 2.2),
    Claim("GMAC/s of (2) over (5), eight images at once", _speeds(ONE, STEM, 8), 2),
    Claim("time of (5), each of eight at once over one image", _times(STEM, 8, STEM, 1), 1.5),
)


def claims(machine: Machine, kept: Layers) -> Table:
    """What each claim's ratio is here, beside what it was in every trial; the last one is about
    the outlier in `kept`, a process whose memory is kept."""
    rows = [("compared (one image, if nothing else is said)", "in all 40 trials", "here")]
    rows += [(c.says, c.always, f"{c.ratio(machine.layers):.1f}") for c in CLAIMS]
    return Table([*rows, (KEPT.says, KEPT.always, f"{KEPT.ratio(kept):.1f}")], left=2)


KEPT = CLAIMS[-1]._replace(says="the same, where memory is kept", least=0, most=1.5)
