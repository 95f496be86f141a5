"""Lesson 07: the explorer of eps, the number of classes and the logit gap."""

from typing import NamedTuple

from ipywidgets import FloatSlider, SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.figures import COLOURS
from inception_edu.lessons.lesson_07.colours import colour
from inception_edu.lessons.lesson_07.smooth_targets import (
    GAPS,
    floor,
    loss_at,
    optimal_gap,
    push_at,
    targets,
)
from inception_edu.widgets import Explorer

SHOWN = 20  # bars at most


class Asked(NamedTuple):
    """What the explorer's controls ask for."""

    eps: float
    classes: int
    gap: float


def explorer() -> Explorer:
    """Choose eps, the number of classes and a logit gap: the targets, the loss and its floor."""
    counts = (2, 3, 5, 10, 20, 50, 100, 1000)
    controls = {
        "eps": FloatSlider(value=0.1, min=0, max=0.9, step=0.01, description="eps"),
        "classes": SelectionSlider(options=counts, value=1000, description="classes, K"),
        "gap": FloatSlider(value=3, min=0, max=20, step=0.1, description="logit gap"),
    }
    title = "What do the targets ask of the logits?"
    return Explorer(controls, Asked, _draw, _words, title=title, size=(11, 4.2), tells=False)


def _words(asked: Asked) -> str:
    eps, classes, gap = asked
    own, other = targets(eps, classes)
    lowest, best = floor(eps, classes), optimal_gap(eps, classes)
    above, push = loss_at(gap, eps, classes) - lowest, push_at(gap, eps, classes)
    doing = "pushes up" if push > 0 else "pulls back"
    return (
        f"targets: {own:.4f} for the label, {other:.4f} for each of {classes - 1} others\n"
        f"loss: {lowest + above:.4f} at gap {gap:.1f}, its floor is {lowest:.4f}\n"
        f"optimal logit gap: {best:.3f}; at gap {gap:.1f} the gradient {doing} by {abs(push):.4f}"
    )


def _draw(fig: Figure, asked: Asked) -> None:
    eps, classes, gap = asked
    bars, loss = fig.subplots(1, 2)
    _draw_bars(bars, eps, classes)
    lowest, best = floor(eps, classes), optimal_gap(eps, classes)
    loss.plot(GAPS, [loss_at(x, eps, classes) for x in GAPS], lw=3.5, color=colour(eps))
    loss.axhline(lowest, color=COLOURS["ink"], lw=1.5, ls=":")
    if best < GAPS[-1]:
        loss.plot([best, best], [0, lowest], color=COLOURS["ink"], lw=1.5, ls=":")
    loss.plot(gap, loss_at(gap, eps, classes), "o", ms=13, color=COLOURS["ink"])
    loss.set(xlabel="logit gap", ylabel="loss (dotted: its floor)", xlim=(0, 20), ylim=(0, None))
    loss.set_title(f"Lowest, {lowest:.3f}, at gap {best:.2f}" if eps else "No gap is lowest")


def _draw_bars(ax: Axes, eps: float, classes: int) -> None:
    own, other = targets(eps, classes)
    shown = min(classes, SHOWN)
    colours = [colour(eps)] + [COLOURS["muted"]] * (shown - 1)
    ax.bar(range(shown), [own] + [other] * (shown - 1), color=colours)
    some = f", {shown} of {classes}" if shown < classes else ""
    ax.set(xlabel=f"class (the label first{some})", ylabel="target, q'", yscale="log")
    ax.minorticks_off()  # they take most of the time that drawing takes
    ax.set(ylim=(1e-6, 2), xticks=[], title=f"Targets {own:.4f} and {other:.4f}")
