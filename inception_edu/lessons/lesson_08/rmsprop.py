"""Lesson 08: RMSProp's step by closed form, for gradients of every scale, with two epsilons."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture

DECAY = 0.9
GRADIENTS = tuple(float(f"1e{k}") for k in range(-4, 3))


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


def _draw_settled(ax: Axes, lines: dict[str, tuple[float, str, str]]) -> None:
    gradient = np.logspace(-4, 2, 121)
    ax.plot(gradient, gradient, "--", lw=2.5, color=COLOURS["muted"], label="SGD")
    for name, (epsilon, form, colour) in lines.items():
        ax.plot(gradient, settled(gradient, epsilon, form), lw=4, color=COLOURS[colour], label=name)
    ax.set(xscale="log", yscale="log", xlabel="gradient", ylabel="step size / learning rate")
    ax.minorticks_off()  # they take most of the time that drawing takes
    ax.set(ylim=(5e-5, 30))
    ax.legend(frameon=False, loc="upper left")
