"""Lesson 04: an explorer of the gradients at every layer, over start, normalisation and blocks."""

import statistics
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, HEAD_COLOURS
from inception_edu.lessons.lesson_04.gradients import (
    WEIGHTS,
    Case,
    Grid,
    Pulls,
    faded,
    few,
    middle,
)
from inception_edu.lessons.lesson_04.runs import STARTS, Setting
from inception_edu.losses import AUX_WEIGHT
from inception_edu.widgets import Explorer, choices


class Choice(NamedTuple):
    """What the explorer shows: a case and its networks."""

    case: Case
    runs: list[Pulls]


def explorer(grid: Grid) -> Explorer:
    """Choose start, normalisation and blocks; the gradients are looked up."""

    def look_up(start: str, norm: str, blocks: str) -> Choice:
        case = Case(Setting(start, norm != "none"), blocks != "without")
        return Choice(case, grid[case])

    controls = {
        "start": choices(tuple(STARTS), value="Xavier", description="start of weights"),
        "norm": choices(("none", "batch norm"), description="norm"),
        "blocks": choices(("with", "without"), description="1x1 reduces"),
    }
    title = "At which layer do the heads make the gradient longer?"
    return Explorer(controls, look_up, _draw, _words, title=title, size=(11, 4), tells=False)


def _words(choice: Choice) -> str:
    names = list(choice.runs[0])
    rows = [(str(choice.case), *names)]
    rows.append(("sum / main", *(f"{middle(choice.runs, 'ratio', n):.1f}" for n in names)))
    for head in WEIGHTS:
        values = [middle(choice.runs, head, name) for name in names]
        label = head if head == "main" else f"{AUX_WEIGHT} {head}"
        rows.append((label, *(f"{v:.0e}" if v else "-" for v in values)))
    return f"{text_table(rows)}\nmedians of {len(choice.runs)} seeds"


def _draw(fig: Figure, choice: Choice) -> None:
    left, right = fig.subplots(1, 2)
    runs, names = choice.runs, list(choice.runs[0])
    left.axhline(1, color=HEAD_COLOURS["main"], lw=2.5, ls="--", label="main head alone")
    _line(left, runs, "ratio", names, COLOURS["after"], "all three heads")
    left.set(ylim=(0.5, 3e3), ylabel="length, in times main's")
    left.set_title(f"conv1: {few(middle(runs, 'ratio'))} times as long with heads")
    for head, times_ in WEIGHTS.items():
        reached = [name for name in names if getattr(runs[0][name], head)]
        label = head if times_ == 1 else f"{times_} {head}"
        _line(right, runs, head, reached, HEAD_COLOURS[head], label)
    right.set(ylim=(1e-7, 1e2), ylabel="norm of the gradient")
    right.set_title(f"main: conv1 gets {statistics.median(faded(runs)):.1g} of 5b's")
    for ax in fig.axes:
        ax.set(yscale="log", xlabel="layer, from the image on")
        ax.minorticks_off()  # on logarithmic axes they take as long as all else
        ax.tick_params(axis="x", labelsize=11, labelrotation=45)
        ax.grid(axis="y", alpha=0.4)
        ax.legend(frameon=False)


def _line(
    ax: Axes, runs: list[Pulls], value: str, names: list[str], colour: str, label: str
) -> None:
    """The medians of a value at some layers, and a band from the lowest seed to the highest."""
    low, high = ([end(getattr(r[n], value) for r in runs) for n in names] for end in (min, max))
    ax.fill_between(names, low, high, color=colour, alpha=0.25)
    medians = [middle(runs, value, name) for name in names]
    ax.plot(names, medians, "o-", lw=3, markersize=6, color=colour, label=label)
