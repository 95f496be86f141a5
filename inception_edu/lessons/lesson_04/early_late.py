"""Lesson 04: [V3] section 4 tried: what a head's parts change, early in training and at its end."""

import statistics
from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_04.runs import KINDS
from inception_edu.lessons.studies import Paired, made_by, mean_std, paired

NONE, PLAIN, NORM, DROPOUT, BOTH, UPPER = KINDS
COLOUR = dict(
    zip(
        KINDS,
        (
            COLOURS["before"],
            COLOURS["muted"],
            COLOURS["branch_pool"],
            COLOURS["branch3x3"],
            COLOURS["after"],
            COLOURS["branch5x5"],
        ),
        strict=True,
    )
)
EARLY = 120  # step
Study, Values = dict, list[float]  # a value for each seed


def at(step: int, value: str = "valid_accuracy") -> Callable[[dict], float]:
    """A run's value in percent at a step."""
    return lambda run: next(100 * row[value] for row in run["rows"] if row["step"] == step)


def end(value: str = "valid_accuracy") -> Callable[[dict], float]:
    """A run's value in percent at its end."""
    return lambda run: 100 * run["rows"][-1][value]


def test(run: dict) -> float:
    """A run's test accuracy in percent."""
    return 100 * run["test_accuracy"]


MOMENTS = {  # when and on which images a network is looked at
    f"validation, step {EARLY}": at(EARLY),
    "validation, end": end(),
    "test, end": test,
}
EARLY_VALID, LATE_VALID, LATE_TEST = MOMENTS


class Question(NamedTuple):
    """Two kinds of heads that are compared, and the name of what sets them apart."""

    name: str
    kind: str
    against: str


QUESTIONS = (
    Question("heads as in [G], with batch norm", BOTH, NONE),
    Question("plain heads", PLAIN, NONE),
    Question("batch norm in the heads", NORM, PLAIN),
    Question("dropout in the heads", DROPOUT, PLAIN),
    Question("batch norm and dropout in the heads", BOTH, PLAIN),
    Question("lower head removed", UPPER, BOTH),
)


def values(study: Study, kind: str, moment: str) -> Values:
    """What every seed of a kind reached at a moment."""
    return [MOMENTS[moment](run) for run in study["runs"][kind]]


def change(study: Study, question: Question, moment: str) -> Paired:
    """Points by which the one kind is better than the other at a moment, seed by seed."""
    return paired(values(study, question.kind, moment), values(study, question.against, moment))


def gain_at_end(study: Study) -> float:
    """Points of validation accuracy that heads gain in the end, on average."""
    return round(change(study, QUESTIONS[0], LATE_VALID).mean, 1)


def show_curves(study: Study) -> Picture:
    """Validation accuracy while training, with and without heads, means over the seeds."""
    return Picture(_draw_curves, study, _tell_curves, size=(10, 4))


def _curve(study: Study, kind: str, value: str) -> tuple[list[int], Values]:
    runs = study["runs"][kind]
    steps = [row["step"] for row in runs[0]["rows"]]
    return steps, [statistics.fmean(at(step, value)(run) for run in runs) for step in steps]


def _tell_curves(study: Study) -> str:
    lines = []
    for kind in (NONE, BOTH, UPPER):
        steps, means = _curve(study, kind, "valid_accuracy")
        points = ", ".join(f"{s}: {m:.1f}" for s, m in zip(steps, means, strict=True))
        lines.append(f"{kind}: {points}")
    return "\n".join(lines)


def _draw_curves(fig: Figure, study: Study) -> None:
    left, right = fig.subplots(1, 2, sharex=True)
    for kind in (NONE, BOTH, UPPER):
        style = dict(lw=3, color=COLOUR[kind], label=kind)
        left.plot(*_curve(study, kind, "main_accuracy"), "o-", **style)
        right.plot(*_curve(study, kind, "valid_accuracy"), "o-", **style)
    known = statistics.fmean(end("main_accuracy")(run) for run in study["runs"][NONE])
    left.set_title(f"Training images: {known:.0f} % without heads")
    early, late, _ = (change(study, QUESTIONS[0], moment).mean for moment in MOMENTS)
    right.set_title(f"Heads: {early:+.1f} early, {late:+.1f} late")
    left.set(ylabel="training accuracy, %", xlabel="step")
    right.set(ylabel="validation accuracy, %", xlabel="step")
    fig.legend(
        *left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3
    )
    for ax in fig.axes:
        ax.grid(axis="y", alpha=0.4)


def show_changes(study: Study) -> Picture:
    """Every comparison at every moment, with the 95 % interval of the paired difference."""
    return Picture(_draw_changes, study, _tell_changes, size=(10, 4.8))


def _tell_changes(study: Study) -> str:
    return "\n".join(
        f"{question.name}: "
        + "; ".join(f"{moment} {change(study, question, moment)}" for moment in MOMENTS)
        for question in QUESTIONS
    )


def _draw_changes(fig: Figure, study: Study) -> None:
    ax = fig.add_subplot()
    told = 0
    for y, question in enumerate(QUESTIONS):
        for i, (moment, marker) in enumerate(zip(MOMENTS, "os^", strict=True)):
            found = change(study, question, moment)
            told += found.verdict != "cannot tell"
            place, colour = y + 0.22 * (i - 1), COLOURS["ink"] if i else COLOURS["muted"]
            ax.plot([found.low, found.high], [place, place], lw=3, color=colour)
            label = moment if y == 0 else None
            ax.plot(found.mean, place, marker, ms=9, color=colour, label=label)
    ax.axvline(0, color=COLOURS["before"], lw=2)
    names = [f"{q.name}\nagainst {q.against}" for q in QUESTIONS]
    ax.set_yticks(range(len(QUESTIONS)), names, fontsize=11)
    ax.set(ylim=(len(QUESTIONS) - 0.5, -0.5), xlabel="points of accuracy, 95 % interval")
    every = len(QUESTIONS) * len(MOMENTS)
    ax.set_title(f"{every - told} of {every} intervals hold 0")
    fig.legend(frameon=False, loc="outside lower center", ncols=3)


def table_kinds(study: Study) -> Table:
    """What each kind reached: training and validation early and late, and test."""
    columns = {"training, end": end("main_accuracy"), **MOMENTS}
    rows = [("heads", *columns)]
    for kind, runs in study["runs"].items():
        rows.append((kind, *(mean_std([look(run) for run in runs]) for look in columns.values())))
    about = f"accuracy in %, mean and standard deviation; n = {len(runs)} seeds"
    return Table(rows, caption=f"{about}; {made_by(study)}")


def detectable(study: Study) -> float:
    """The smallest mean difference in test accuracy that heads against none would have shown:
    half of the interval's width."""
    found = change(study, QUESTIONS[0], LATE_TEST)
    return (found.high - found.low) / 2
