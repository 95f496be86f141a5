"""Lesson 08: RMSProp's step by closed form, for gradients of every scale, with two epsilons."""

from typing import NamedTuple

import numpy as np
from ipywidgets import SelectionSlider
from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.training.history import History
from inception_edu.widgets import Explorer, choices

DECAY = 0.9
FORMS = ("TensorFlow", "PyTorch")
EPSILONS = (1e-8, 1e-3, 0.1, 1.0, 10.0)
GRADIENTS = tuple(float(f"1e{k}") for k in range(-4, 3))
STEPS = 60


def sizes(gradient: float | np.ndarray, epsilon: float, form: str, n: int | np.ndarray) -> object:
    """Size of step n under one constant gradient, in units of the learning rate, no momentum.

    "PyTorch": the mean square starts at 0, epsilon is added to its root. "TensorFlow": it starts
    at 1, epsilon is added below the root.
    """
    start = 1.0 if form == "TensorFlow" else 0.0
    square = DECAY**n * start + (1 - DECAY**n) * gradient**2
    root = (square + epsilon) ** 0.5 if form == "TensorFlow" else square**0.5 + epsilon
    return gradient / root


def settled(gradient: float | np.ndarray, epsilon: float, form: str) -> object:
    """The size that the step comes to in the end."""
    return sizes(gradient, epsilon, form, 10_000)


class Steps(NamedTuple):
    """What the explorer shows: the choice, and the sizes of the first STEPS steps."""

    gradient: float
    epsilon: float
    form: str
    path: list[float]


def follow(gradient: float, epsilon: float, form: str) -> Steps:
    """The first STEPS steps under a constant gradient."""
    return Steps(
        gradient, epsilon, form, [sizes(gradient, epsilon, form, n) for n in range(1, STEPS + 1)]
    )


def words(steps: Steps) -> str:
    """Steps 1, 5, 20 and the last, beside what SGD would do at the same rate."""
    end = settled(steps.gradient, steps.epsilon, steps.form)
    marks = [(f"step {n}", f"{steps.path[n - 1]:.4g}") for n in (1, 5, 20, STEPS)]
    rows = [*marks, ("in the end", f"{end:.4g}"), ("SGD", f"{steps.gradient:.4g}")]
    times = f"RMSProp's last step is {end / steps.gradient:.3g} times SGD's"
    return f"in units of the learning rate:\n{text_table(rows)}\n{times}"


def explorer() -> Explorer:
    """Choose the gradient, epsilon and whose form of the rule."""
    controls = {
        "gradient": SelectionSlider(
            options=[(f"{g:g}", g) for g in GRADIENTS], value=1.0, description="gradient"
        ),
        "epsilon": SelectionSlider(
            options=[(f"{e:g}", e) for e in EPSILONS], value=1.0, description="epsilon"
        ),
        "form": choices(FORMS, description="form"),
    }
    title = "RMSProp under a constant gradient, decay 0.9"
    return Explorer(controls, follow, _draw, words, title=title, size=(10, 4), tells=False)


def _draw(fig: Figure, steps: Steps) -> None:
    path, ends = fig.subplots(1, 2)
    path.plot(range(1, STEPS + 1), steps.path, lw=4, color=COLOURS["before"])
    path.set(xlabel="step", ylabel="step size / learning rate", ylim=(0, None))
    path.set_title(f"Ends at {settled(steps.gradient, steps.epsilon, steps.form):.3g}")
    _draw_settled(ends, {f"eps {steps.epsilon:g}": (steps.epsilon, steps.form, "before")})
    end = settled(steps.gradient, steps.epsilon, steps.form)
    ends.plot(steps.gradient, end, "o", ms=12, color=COLOURS["ink"])
    ends.set_title("The same for every gradient")


def _draw_settled(ax: object, lines: dict[str, tuple[float, str, str]]) -> None:
    gradient = np.logspace(-4, 2, 121)
    ax.plot(gradient, gradient, "--", lw=2.5, color=COLOURS["muted"], label="SGD")
    for name, (epsilon, form, colour) in lines.items():
        ax.plot(gradient, settled(gradient, epsilon, form), lw=4, color=COLOURS[colour], label=name)
    ax.set(xscale="log", yscale="log", xlabel="gradient", ylabel="step size / learning rate")
    ax.minorticks_off()  # they take most of the time that drawing takes
    ax.set(ylim=(5e-5, 30))
    ax.legend(frameon=False, loc="upper left")


def show_epsilon() -> Picture:
    """The settled step against the gradient, for a tiny epsilon and for the paper's 1.0."""
    rows = [("gradient", "SGD", "eps 1e-8", "eps 1.0")]
    for g in GRADIENTS:
        cells = [f"{settled(g, epsilon, 'PyTorch'):.4g}" for epsilon in (1e-8, 1.0)]
        rows.append((f"{g:g}", f"{g:g}", *cells))
    return Picture(_draw_epsilon, None, lambda _: text_table(rows), size=(8, 4.4))


def _draw_epsilon(fig: Figure, _: None) -> None:
    ax = fig.add_subplot()
    kinds = {"RMSProp, eps 1e-8": (1e-8, "PyTorch", "after")}
    kinds["RMSProp, eps 1.0"] = (1.0, "PyTorch", "before")
    _draw_settled(ax, kinds)
    ax.set_title("Below 0.1, epsilon 1.0 makes RMSProp nearly SGD")


def show_runs(runs: dict[str, History]) -> Picture:
    """The training loss of runs in one picture, as it came, not averaged."""
    return Picture(_draw_runs, runs, words_runs, size=(9, 4))


def words_runs(runs: dict[str, History]) -> str:
    """Each run's largest and last losses of the main head."""
    return "\n".join(
        f"{name}: {history}; highest {_highest(history):.1f}" for name, history in runs.items()
    )


def _highest(history: History) -> float:
    return max(history.losses["main"])


def _draw_runs(fig: Figure, runs: dict[str, History]) -> None:
    ax = fig.add_subplot()
    for (name, history), colour in zip(runs.items(), ("before", "after"), strict=False):
        losses = history.losses["main"]
        ax.plot(range(1, len(losses) + 1), losses, lw=3, color=COLOURS[colour], label=name)
    ax.set(xlabel="step", ylabel="main head's loss", yscale="log")
    ax.set_yticks((1, 2, 3, 5, 10), ("1", "2", "3", "5", "10"))
    ax.minorticks_off()
    worst = max(runs, key=lambda name: _highest(runs[name]))
    ax.set_title(f"{worst} leaps up to {_highest(runs[worst]):.0f}")
    ax.legend(frameon=False)
