"""Lesson 06: what the replacements of an n x n save in parameters, MACs and milliseconds."""

from functools import lru_cache
from typing import NamedTuple

import torch
from ipywidgets import SelectionSlider
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import conv_cost, milliseconds, receptive_field, text_table
from inception_edu.figures import COLOURS
from inception_edu.layers import conv
from inception_edu.lessons.lesson_06.footprints import Kernels
from inception_edu.training.devices import cpu_threads
from inception_edu.widgets import Explorer, choices

C, GRID = 192, 17  # where [V3] puts its 1x7 and 7x1
# Every replacement sees n x n; the number of 3x3s that do is (n - 1) / 2.
SPLITS = {
    "1xn + nx1": lambda n: ((1, n), (n, 1)),
    "only 3x3": lambda n: (3,) * ((n - 1) // 2),
    "only 1x3 + 3x1": lambda n: ((1, 3), (3, 1)) * ((n - 1) // 2),
}


class Way(NamedTuple):
    """One way to see n x n pixels: its kernels, and what they cost here for one image."""

    name: str
    kernels: Kernels
    weights: int
    macs: int
    milliseconds: float


def layers(kernels: Kernels, c: int) -> nn.Sequential:
    """Convolutions with ReLU, c channels throughout: (n, c, h, w) -> (n, c, h, w)."""
    return nn.Sequential(*(conv(c, c, k, norm=False) for k in kernels)).eval()


@lru_cache(maxsize=200)
def way(name: str, kernels: Kernels, c: int, grid: int) -> Way:
    """Count one way and measure it on one thread: on a busy machine several wait for each other.
    A setting that was measured is looked up."""
    costs = [conv_cost(c, c, k, grid) for k in kernels]
    weights, macs = (sum(getattr(cost, kind) for cost in costs) for kind in ("params", "macs"))
    repeats = int(min(10, max(1, 6e8 // macs)))
    with cpu_threads(1):
        took = milliseconds(layers(kernels, c), torch.zeros(1, c, grid, grid), repeats=repeats)
    return Way(name, kernels, weights, macs, took)


def compare(n: int, split: str, c: int = C, grid: int = GRID) -> tuple[Way, Way]:
    """An n x n convolution and one of SPLITS."""
    name = split.replace("n", str(n)) if split == "1xn + nx1" else split
    ways = {f"{n}x{n}": (n,), name: SPLITS[split](n)}
    return tuple(way(*each, c, grid) for each in ways.items())


def less(before: float, after: float) -> str:
    """What changed, in words: "28 % less", "3 % more", "the same"."""
    change = round(100 * (1 - after / before))
    return f"{abs(change)} % {'less' if change > 0 else 'more'}" if change else "the same"


def words(ways: tuple[Way, Way]) -> str:
    """A row for each way: kernels, window, parameters, MACs, milliseconds here."""
    rows = [("way", "kernels", "field", "parameters", "MACs", "milliseconds")]
    for w in ways:
        h, width = receptive_field(layers(w.kernels, 1)).size
        cells = f"{len(w.kernels)}", f"{h}x{width}", f"{w.weights:,}", f"{w.macs:,}"
        rows.append((w.name, *cells, f"{w.milliseconds:.2f}"))
    direct, split = ways
    macs, time = less(direct.macs, split.macs), less(direct.milliseconds, split.milliseconds)
    return f"{text_table(rows)}\n{split.name} against {direct.name}: MACs {macs}, time {time}"


def _draw(fig: Figure, ways: tuple[Way, Way]) -> None:
    panels = {
        "parameters, thousands": [w.weights / 1e3 for w in ways],
        "million MACs": [w.macs / 1e6 for w in ways],
        "milliseconds, one core": [w.milliseconds for w in ways],
    }
    colours, names = (COLOURS["before"], COLOURS["after"]), [w.name for w in ways]
    for ax, (label, values) in zip(fig.subplots(1, 3), panels.items(), strict=True):
        ax.bar(range(2), values, 0.6, color=colours)
        for x, value in enumerate(values):
            ax.text(x, value, f"{value:.3g}" if value < 100 else f"{value:,.0f}", ha="center",
                    va="bottom", weight="bold")  # fmt: skip
        ax.set_xticks(range(2), [name.replace(" + ", "\n+ ") for name in names])
        ax.set(xlabel=label, ylim=(0, 1.2 * max(values)), yticks=[])  # each bar bears its number
        ax.spines["left"].set_visible(False)
        ax.set_title(less(*values))


def explorer() -> Explorer:
    """n, replacement, channels and grid to choose, starting at the paper's 1x7 + 7x1."""
    controls = {
        "n": SelectionSlider(options=[3, 5, 7], value=7, description="n"),
        "split": choices(tuple(SPLITS), description="replaced by"),
        "c": SelectionSlider(options=[32, 64, 128, C], value=C, description="channels"),
        "grid": SelectionSlider(options=[8, GRID, 28], value=GRID, description="map, side"),
    }
    title = "What does a replacement save, on paper and on this machine?"
    return Explorer(controls, compare, _draw, words, title=title, size=(9, 3.6), tells=False)
