"""Lesson 01: a game about block 3a, whose price is to be halved at little loss of accuracy."""

import statistics
from functools import cache
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS
from inception_edu.googlenet import TABLE_1
from inception_edu.layers import scale
from inception_edu.lessons.lesson_01.pictures import C_IN, GRID, chain, stack_bars, words_bars
from inception_edu.lessons.lesson_01.runs import BUDGET, SLIDERS, STEPS, squeezed
from inception_edu.lessons.studies import accuracies, made_by, mean_std, paired, saved
from inception_edu.widgets import Explorer, choices

LIMIT = 64_000_000  # MACs: half of what block 3a costs as published
TICKS = 0, 64, 128  # few, for they take the most time of a drawing
PUBLISHED = ("published",) * len(SLIDERS)


class Setting(NamedTuple):
    """What the sliders' steps cost in block 3a, and the test accuracies of the network so made."""

    steps: tuple[str, ...]
    macs: dict[str, int]  # of each branch of block 3a, at full width
    accuracies: list[float]  # percent, one a run

    @property
    def total(self) -> int:
        """MACs of block 3a."""
        return sum(self.macs.values())

    @property
    def mean(self) -> float:
        """Mean test accuracy, percent."""
        return statistics.mean(self.accuracies)

    @property
    def accuracy(self) -> str:
        """The same in words, with the standard deviation."""
        return f"{mean_std(self.accuracies)} %"


def branch_macs(steps: tuple[str, ...]) -> dict[str, int]:
    """MACs of block 3a's branches, at full width, with the sliders at these steps."""
    row = squeezed(TABLE_1["3a"], steps)
    layers = {
        "branch1x1": [(row.n1x1, 1)],
        "branch3x3": [(row.n3x3_reduce, 1), (row.n3x3, 3)],
        "branch5x5": [(row.n5x5_reduce, 1), (row.n5x5, 5)],
        "branch_pool": [(row.pool_proj, 1)],
    }
    return {name: sum(c.macs for c in chain(C_IN, GRID, *each)) for name, each in layers.items()}


@cache
def settings() -> dict[tuple[str, ...], Setting]:
    """Every setting of the sliders, with what its runs reached."""
    study, found = saved("budget"), {}
    for name in BUDGET:
        steps = tuple(name.split(", "))
        found[steps] = Setting(steps, branch_macs(steps), accuracies(study, name))
    return found


def pick(**steps: str) -> Setting:
    """The setting of these steps, given by the sliders' names."""
    return settings()[tuple(steps[name] for name in SLIDERS)]


def verdict(setting: Setting) -> str:
    """Whether the price is halved, and how accurate the network is beside the published one."""
    side = "within" if setting.total <= LIMIT else "over"
    lost = settings()[PUBLISHED].mean - setting.mean
    change = f", {abs(lost):.1f} points {'lost' if lost > 0 else 'gained'}"
    return f"{side} the budget{change * (setting.steps != PUBLISHED)}"


def words(setting: Setting) -> str:
    """The costs as a table, the accuracy with its standard deviation, and the verdict."""
    table = words_bars({"published": settings()[PUBLISHED].macs, "yours": setting.macs})
    about = f"test accuracy {setting.accuracy} (n = {len(setting.accuracies)})"
    return f"{table}\n{about}; {verdict(setting)}"


def _draw(fig: Figure, setting: Setting) -> None:
    left, right = fig.subplots(1, 2, width_ratios=(1, 1))
    stack_bars(left, {"published": settings()[PUBLISHED].macs, "yours": setting.macs})
    left.axvline(LIMIT / 1e6, color=COLOURS["ink"], linestyle="--", label="budget")
    left.set_xticks(TICKS)
    left.set_title(f"Block 3a: {setting.total / 1e6:.1f} million MACs")
    _draw_accuracies(right, setting)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5,
               frameon=False)  # fmt: skip


def _draw_accuracies(ax: Axes, setting: Setting) -> None:
    """All settings as points, this one with its standard deviation."""
    every = settings().values()
    ax.plot([s.total / 1e6 for s in every], [s.mean for s in every], "o", color=COLOURS["muted"])
    std = statistics.stdev(setting.accuracies)
    x, bar = setting.total / 1e6, (setting.mean - std, setting.mean + std)
    ax.plot((x, x), bar, "_-", markersize=14, lw=2.5, color=COLOURS["before"])
    ax.plot(x, setting.mean, "o", markersize=11, color=COLOURS["before"])
    ax.axvline(LIMIT / 1e6, color=COLOURS["ink"], linestyle="--")
    ax.margins(y=0.1)
    ax.set_xticks(TICKS)
    ax.locator_params(axis="y", nbins=4)
    ax.set(xlabel="million MACs of block 3a", ylabel="test accuracy, %", xlim=(0, 140))
    ax.set_title(f"Test accuracy: {setting.accuracy}")


def explorer() -> Explorer:
    """The widths of block 3a to choose, and what a network made so reached."""
    row, controls = TABLE_1["3a"], {}
    for name, (column, steps) in SLIDERS.items():
        widths = {step: scale(getattr(row, column), STEPS[step]) for step in steps}
        options = [(f"{step}: {width}", step) for step, width in widths.items()]
        controls[name] = choices(options, "published", name)
    title = "The budget game"
    return Explorer(controls, pick, _draw, words, title=title, size=(11, 4))


def winners() -> Table:
    """The settings within the budget, the most accurate first, each beside the published one."""
    published = settings()[PUBLISHED]
    inside = [s for s in settings().values() if s.total <= LIMIT]
    inside.sort(key=lambda s: (-s.mean, s.total))
    heading = *SLIDERS, "MACs of block 3a", "test accuracy", "points, 95 % interval", "verdict"
    rows = [heading, (*PUBLISHED, f"{published.total:,}", published.accuracy, "", "")]
    for s in inside:
        change = paired(s.accuracies, published.accuracies)
        rows.append((*s.steps, f"{s.total:,}", s.accuracy, str(change), change.verdict))
    about = f"n = {len(published.accuracies)} seeds, paired with the published setting's"
    return Table(rows, left=3, caption=f"{about}; {made_by(saved('budget'))}")
