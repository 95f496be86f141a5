"""Lesson 08: the ladder from GoogLeNet to Inception v3, the paper's beside one saved here."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import torch
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
RANGE = 3  # points to either side that the figure shows
SHOWN = {
    "gains": COLOURS["after"],
    "cannot tell": COLOURS["muted"],
    "loses": COLOURS["before"],
}


class Step(NamedTuple):
    """A rung over the one before: points of accuracy here, paired by seed, and in the paper."""

    rung: str
    here: Paired
    paper: float

    @property
    def verdict(self) -> str:
        """What the interval of the paired difference lets one say."""
        return VERDICTS.get(self.here.verdict, "cannot tell")


def steps(study: dict) -> list[Step]:
    """Every rung of a study over the one below it, from the second up."""
    rungs, found = list(study["runs"]), []
    for before, rung in zip(rungs, rungs[1:], strict=False):
        gain = paired(accuracies(study, rung), accuracies(study, before))
        found.append(Step(rung, gain, TABLE_3[before].top1 - TABLE_3[rung].top1))
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
    for rung, printed in TABLE_3.items():
        step, built = climbed.get(rung), rung in study["runs"]
        paper, here, verdict = "", "", "the start" if built else ""
        if step:
            paper, here, verdict = f"{step.paper:+.1f}", str(step.here), step.verdict
        reached = mean_std(accuracies(study, rung)) if built else "not built"
        rows.append((rung, f"{printed.top1:.1f}", paper, reached, here, verdict))
    n = len(next(iter(study["runs"].values())))
    caption = f"Fashion-MNIST, percent; n = {n} seeds, differences paired; {made_by(study)}"
    return Table(rows, caption=caption)


def show(study: dict) -> Picture:
    """Every step up: what it gains in the paper, and what it gains here, with its interval."""
    return Picture(_draw, steps(study), words, size=(11, 5))


def words(found: list[Step]) -> str:
    """The verdict on every step."""
    return "\n".join(f"{step.rung}: {step.here} points, {step.verdict}" for step in found)


def _draw(fig: Figure, found: list[Step]) -> None:
    paper, here = fig.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    for y, step in enumerate(found):
        paper.barh(y, step.paper, color=SHOWN["gains"])
        paper.text(step.paper, y, f" {step.paper:+.1f}", va="center", weight="bold")
        mean, low, high, _ = step.here
        here.plot([low, high], [y, y], lw=5, color=SHOWN[step.verdict], solid_capstyle="butt")
        inside = max(-RANGE, min(RANGE, mean))  # an arrow stands for what lies outside
        mark = "o" if mean == inside else ">" if mean > 0 else "<"
        here.plot(inside, y, mark, ms=11, color=COLOURS["ink"], clip_on=False)
        here.text(RANGE + 0.2, y, f"{mean:+.1f}", va="center", weight="bold")
    paper.set_yticks(range(len(found)), [step.rung for step in found])
    paper.set(xlabel="points on ImageNet", xlim=(0, 4.5), title="[V3] Table 3: each step gains")
    here.axvline(0, color=COLOURS["ink"], lw=1)
    here.invert_yaxis()
    unsure = sum(step.verdict == "cannot tell" for step in found)
    here.set(xlabel="points on Fashion-MNIST, 95 % interval")
    here.set(title=f"Here: {unsure} of {len(found)} steps cannot be told", xlim=(-RANGE, RANGE))
    legend_of(fig, SHOWN)
