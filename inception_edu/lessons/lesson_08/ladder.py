"""Lesson 08: the ladder from GoogLeNet to Inception v3, the paper's beside one saved here."""

import statistics
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_08.staircase import legend_of
from inception_edu.lessons.shared import Entry, accuracies, mean_std
from inception_edu.lessons.studies import Paired, made_by, paired


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
VERDICTS = {"better": "gains", "worse": "loses"}  # else: cannot tell
SHOWN = {
    "the start": "#dddddd",
    "gains": COLOURS["after"],
    "cannot tell": COLOURS["muted"],
    "loses": COLOURS["before"],
}


class Step(NamedTuple):
    """A rung over the one before: points of accuracy here, paired by seed, and in the paper."""

    rung: str
    here: Paired
    paper: float | None  # None: no such row in Table 3

    @property
    def verdict(self) -> str:
        """What the interval of the paired difference lets one say."""
        return VERDICTS.get(self.here.verdict, "cannot tell")


def steps(study: dict) -> list[Step]:
    """Every rung of a study over the one below it, from the second up."""
    rungs, found = list(study["runs"]), []
    for before, rung in zip(rungs, rungs[1:], strict=False):
        rows = [TABLE_3.get(name) for name in (before, rung)]
        paper = rows[0].top1 - rows[1].top1 if all(rows) else None
        gain = paired(accuracies(study, rung), accuracies(study, before))
        found.append(Step(rung, gain, paper))
    return found


@cache
def macs_of(build: Callable[[], nn.Module]) -> int:
    """Multiply-adds for one image of the network that an entry builds."""
    with torch.device("meta"):  # to be counted, a network needs no numbers
        return layer_table(build(), (1, 28, 28)).macs


def recipes(entries: Mapping[str, Entry]) -> Table:
    """What each rung is: optimiser and rate, targets, cost."""
    rows = [("rung", "optimiser", "rate", "eps of labels", "million MACs")]
    for rung, entry in entries.items():
        r, macs = entry.recipe, macs_of(entry.build)
        numbers = (f"{r.lr:g}", f"{r.label_smoothing:g}", f"{macs / 1e6:.1f}")
        rows.append((rung, r.optimiser, *numbers))
    return Table(rows, left=2)


def verdicts(study: dict) -> Table:
    """A row for each rung of either ladder: error there, accuracy here, gains and verdict."""
    rows = [("rung", "error in [V3]", "gain", "accuracy here", "gain, 95 % interval", "verdict")]
    climbed = {step.rung: step for step in steps(study)}
    for rung in dict.fromkeys([*TABLE_3, *study["runs"]]):
        row, here = TABLE_3.get(rung), climbed.get(rung)
        cells = [f"{row.top1:.1f}" if row else ""]
        cells.append(f"{here.paper:+.1f}" if here and here.paper is not None else "")
        if rung in study["runs"]:
            cells.append(mean_std(accuracies(study, rung)))
            cells += [str(here.here), here.verdict] if here else ["", "the start"]
        else:
            cells += ["not built", "", ""]
        rows.append((rung, *cells))
    n = len(next(iter(study["runs"].values())))
    caption = f"Fashion-MNIST, percent; n = {n} seeds, differences paired; {made_by(study)}"
    return Table(rows, caption=caption)


def show(study: dict) -> Picture:
    """Both ladders, rung by rung: the error there and here."""
    return Picture(_draw, study, words, size=(11, 5.6))


def words(study: dict) -> str:
    """The verdict on every step."""
    return "\n".join(f"{step.rung}: {step.here} points, {step.verdict}" for step in steps(study))


def _draw(fig: Figure, study: dict) -> None:
    rungs = list(dict.fromkeys([*TABLE_3, *study["runs"]]))
    paper, here = fig.subplots(1, 2, sharey=True)
    printed = {rung: TABLE_3[rung].top1 for rung in rungs if rung in TABLE_3}
    colours = [SHOWN["gains" if rung != rungs[0] else "the start"] for rung in printed]
    paper.barh([rungs.index(r) for r in printed], list(printed.values()), color=colours)
    for rung, error in printed.items():
        paper.text(error, rungs.index(rung), f" {error:.1f}", va="center", weight="bold")
    paper.set_yticks(range(len(rungs)), rungs)
    paper.set(xlabel="top-1 error on ImageNet, %", xlim=(0, 35), title="[V3] Table 3: each step up")
    _draw_here(here, study, rungs)
    here.invert_yaxis()
    legend_of(fig, SHOWN)


def _draw_here(ax: Axes, study: dict, rungs: list[str]) -> None:
    told = {step.rung: step.verdict for step in steps(study)}
    for rung in study["runs"]:
        y, errors = rungs.index(rung), [100 - value for value in accuracies(study, rung)]
        ax.barh(y, statistics.mean(errors), color=SHOWN[told.get(rung, "the start")])
        ax.plot(errors, [y] * len(errors), "o", color=COLOURS["ink"], ms=6)
        ax.text(max(errors), y, f"  {mean_std(errors)}", va="center", weight="bold")
    ax.text(0, rungs.index("BN-Inception"), " not built here", va="center", style="italic")
    unsure = sum(verdict == "cannot tell" for verdict in told.values())
    title = f"Here: {unsure} of {len(told)} steps cannot be told"
    ax.set(xlabel="test error on Fashion-MNIST, %", title=title, xlim=(0, 35))
