"""Lesson 05: the learning rate, found by a range test, raised and lowered by a schedule."""

from typing import NamedTuple

from ipywidgets import FloatSlider
from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture, running_mean
from inception_edu.training import Recipe
from inception_edu.widgets import Explorer, choices

STEPS = 200  # of the run whose schedule is drawn


class RangeTest(NamedTuple):
    """The learning rate of every step, its loss, and the loss averaged over the steps before."""

    rates: list[float]
    losses: list[float]
    smooth: list[float]

    @property
    def best(self) -> float:
        """The rate at which the averaged loss was lowest."""
        return self.rates[self.smooth.index(min(self.smooth))]


def range_test(rates: list[float], losses: list[float]) -> RangeTest:
    """What a run with growing rates found; a loss that is not finite counts as 1,000."""
    kept = [loss if loss < 1000 else 1000.0 for loss in losses]
    return RangeTest(list(rates), kept, running_mean(kept, keep=0.8))


def show_range(test: RangeTest) -> Picture:
    """Loss against learning rate, where the rate grows from step to step."""
    told = f"averaged loss lowest, {min(test.smooth):.2f}, at a rate of {test.best:.2g}; "
    told += f"{test.smooth[-1]:.2f} at {test.rates[-1]:.2g}"
    return Picture(_draw_range, test, lambda _: told, size=(8, 4))


def _draw_range(fig: Figure, test: RangeTest) -> None:
    ax = fig.add_subplot()
    ax.plot(test.rates, test.losses, "o", color=COLOURS["muted"], label="loss of each step")
    ax.plot(test.rates, test.smooth, lw=4, color=COLOURS["before"], label="averaged")
    ax.axvline(test.best, color=COLOURS["ink"], ls=":", lw=2, label=f"lowest at {test.best:.2g}")
    ax.set(xscale="log", xlabel="learning rate, growing from step to step", ylabel="loss")
    ax.set(ylim=(0, 5), title=f"Falls up to a rate of {test.best:.2g}, then leaps")
    ax.legend(frameon=False, loc="upper left")


class Schedule(NamedTuple):
    """The learning rate of every step of a run."""

    rates: list[float]

    @property
    def peak_step(self) -> int:
        """The first step with the highest rate."""
        return self.rates.index(max(self.rates)) + 1


def schedule(schedule: str, warm_up: float, lr: float) -> Schedule:
    """The rates that a recipe with these three fields gives the STEPS steps of a run."""
    recipe = Recipe(steps=STEPS, schedule=schedule, warm_up=warm_up, lr=lr)
    return Schedule([recipe.lr_at(step, STEPS) for step in range(1, STEPS + 1)])


def schedule_explorer() -> Explorer:
    """Choose how the learning rate rises and falls over a run."""
    controls = {
        "schedule": choices(("linear", "cosine", "constant"), description="schedule"),
        "warm_up": FloatSlider(value=0.25, min=0, max=0.9, step=0.05, description="warm_up"),
        "lr": FloatSlider(value=0.2, min=0.05, max=0.5, step=0.05, description="lr"),
    }
    title = f"The learning rate over {STEPS} steps"
    return Explorer(controls, schedule, _draw_schedule, _words_schedule, title=title, tells=False)


def _words_schedule(found: Schedule) -> str:
    rates, late = found.rates, STEPS * 3 // 4
    rows = [(1, "first"), (found.peak_step, "peak"), (late, "three quarters"), (STEPS, "last")]
    return text_table([(what, f"step {i}", f"rate {rates[i - 1]:.4f}") for i, what in rows], left=2)


def _draw_schedule(fig: Figure, found: Schedule) -> None:
    ax, rates = fig.add_subplot(), found.rates
    ax.plot(range(1, len(rates) + 1), rates, lw=4, color=COLOURS["before"])
    ax.plot(found.peak_step, max(rates), "o", ms=12, color=COLOURS["ink"])
    ax.set(xlabel="step", ylabel="learning rate", xlim=(0, len(rates) + 1), ylim=(0, 0.52))
    ax.set_title(f"Peaks at step {found.peak_step}, ends at {rates[-1]:.4f}")
