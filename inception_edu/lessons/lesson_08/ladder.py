"""Lesson 08: the ladder from GoogLeNet to Inception v3, the paper's beside the one saved here."""

import statistics
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import layer_table, text_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_08.runs import LADDER
from inception_edu.lessons.lesson_08.staircase import legend_of
from inception_edu.lessons.shared import accuracies, mean_std


class Printed(NamedTuple):
    """A row of [V3] Table 3: single-crop errors in percent, billion multiply-adds; None: blank."""

    top1: float
    top5: float | None
    ops: float


TABLE_3 = {
    "GoogLeNet": Printed(29.0, 9.2, 1.5),
    "BN-GoogLeNet": Printed(26.8, None, 1.5),
    "BN-Inception": Printed(25.2, 7.8, 2.0),
    "Inception-v2": Printed(23.4, None, 3.8),
    "+ RMSProp": Printed(23.1, 6.3, 3.8),
    "+ label smoothing": Printed(22.8, 6.1, 3.8),
    "+ factorised 7x7": Printed(21.6, 5.8, 4.8),
    "+ BN auxiliary": Printed(21.2, 5.6, 4.8),
}

VERDICTS = {
    "the start": "#dddddd",
    "gains": COLOURS["after"],
    "inside the spread": COLOURS["muted"],
    "loses": COLOURS["before"],
}


class Step(NamedTuple):
    """What a rung gains over the one before, in points: here with its spread, and in the paper."""

    rung: str
    gain: float
    spread: float
    paper: float | None  # None: no such row in Table 3

    @property
    def verdict(self) -> str:
        """Whether the gain is larger than its spread, which is a matter of this scale alone."""
        if abs(self.gain) <= self.spread:
            return "inside the spread"
        return "gains" if self.gain > 0 else "loses"


def step(study: dict, before: str, rung: str) -> Step:
    """From one rung to another; the spread is that of a difference between two single runs."""
    low, high = accuracies(study, before), accuracies(study, rung)
    spread = (statistics.variance(low) + statistics.variance(high)) ** 0.5
    rows = [TABLE_3.get(name) for name in (before, rung)]
    paper = rows[0].top1 - rows[1].top1 if all(rows) else None
    return Step(rung, statistics.mean(high) - statistics.mean(low), spread, paper)


def steps(study: dict) -> list[Step]:
    """Every rung over the one below it, from BN-GoogLeNet up."""
    rungs = list(LADDER)
    return [step(study, *pair) for pair in zip(rungs, rungs[1:], strict=False)]


@cache
def macs_of(build: Callable[[], nn.Module]) -> int:
    """Multiply-adds for one image of the network that an entry builds."""
    with torch.device("meta"):  # to be counted, a network needs no numbers
        return layer_table(build(), (1, 28, 28)).macs


def recipes() -> Table:
    """What each rung is: optimiser and rate, targets, aux heads, weights that are evaluated."""
    rows = [("rung", "optimiser", "rate", "eps of labels", "million MACs", "evaluated")]
    for rung, entry in LADDER.items():
        r, macs = entry.recipe, macs_of(entry.build)
        weights = "running average" if r.average else "last weights"
        numbers = (f"{r.lr:g}", f"{r.label_smoothing:g}", f"{macs / 1e6:.1f}")
        rows.append((rung, r.optimiser, *numbers, weights))
    return Table(rows, left=2)


def words(study: dict) -> str:
    """A row for each rung of either ladder: error there, accuracy here, gains and verdict."""
    rows = [("rung", "top-1 error", "gain", "accuracy here", "gain", "spread", "verdict")]
    climbed = {step.rung: step for step in steps(study)}
    for rung in dict.fromkeys([*TABLE_3, *LADDER]):
        row, here = TABLE_3.get(rung), climbed.get(rung)
        cells = [f"{row.top1:.1f}" if row else "-"]
        cells.append(f"{here.paper:+.1f}" if here and here.paper is not None else "-")
        if rung not in LADDER:
            rows.append((rung, *cells, "not built", *["-"] * 3))
            continue
        gain = (f"{here.gain:+.1f}", f"{here.spread:.1f}", here.verdict) if here else "---"
        rows.append((rung, *cells, mean_std(accuracies(study, rung)), *gain))
    n = len(study["runs"][list(LADDER)[0]])
    return f"{text_table(rows)}\nhere: Fashion-MNIST, percent, n = {n} seeds; {study['hardware']}"


def show(study: dict) -> Picture:
    """Both ladders, rung by rung: the error there and here."""
    return Picture(_draw, study, words, size=(11, 5.6))


def _draw(fig: Figure, study: dict) -> None:
    rungs = list(dict.fromkeys([*TABLE_3, *LADDER]))
    paper, here = fig.subplots(1, 2, sharey=True)
    printed = {rung: TABLE_3[rung].top1 for rung in rungs if rung in TABLE_3}
    colours = [VERDICTS["gains" if rung != rungs[0] else "the start"] for rung in printed]
    paper.barh([rungs.index(r) for r in printed], list(printed.values()), color=colours)
    for rung, error in printed.items():
        paper.text(error, rungs.index(rung), f" {error:.1f}", va="center", weight="bold")
    paper.set_yticks(range(len(rungs)), rungs)
    paper.set(xlabel="top-1 error on ImageNet, %", xlim=(0, 35), title="[V3] Table 3: each step up")
    _draw_here(here, study, rungs)
    here.invert_yaxis()
    legend_of(fig, VERDICTS)


def _draw_here(ax: Axes, study: dict, rungs: list[str]) -> None:
    verdicts = {step.rung: step.verdict for step in steps(study)}
    for rung in LADDER:
        y, errors = rungs.index(rung), [100 - value for value in accuracies(study, rung)]
        ax.barh(y, statistics.mean(errors), color=VERDICTS[verdicts.get(rung, "the start")])
        ax.plot(errors, [y] * len(errors), "o", color=COLOURS["ink"], ms=6)
        ax.text(max(errors), y, f"  {mean_std(errors)}", va="center", weight="bold")
    ax.text(0, rungs.index("BN-Inception"), " not built here", va="center", style="italic")
    up = sum(verdict == "gains" for verdict in verdicts.values())
    ax.set(xlabel="test error on Fashion-MNIST, %", title=f"Here: {up} of {len(verdicts)} steps up")
    ax.set_xlim(0, 35)
