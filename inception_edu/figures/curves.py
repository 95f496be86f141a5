"""A training run as curves: loss, accuracy, learning rate, seconds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.figures.style import COLOURS, HEAD_COLOURS
from inception_edu.training.history import History


def running_mean(values: list[float], *, keep: float = 0.95) -> list[float]:
    """Each value averaged with those before it, whose weights fade by `keep` a step.

    The weights are divided by their sum, 1 - keep^n: the mean lags behind no more at the start.
    """
    means, mean = [], 0.0
    for n, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        means.append(mean / (1 - keep**n))
    return means


def centred_mean(values: list[float], *, reach: int = 10) -> np.ndarray:
    """Each value averaged with as many after it as before it, which lags behind nowhere: `reach`,
    or at the start as many as there are. The last ones lie on the line fitted to 2 reach + 1.
    """
    n, sums = np.arange(len(values)), np.cumsum([0.0, *values])
    beside = np.minimum(reach, np.minimum(n, n[::-1]))
    mean = (sums[n + beside + 1] - sums[n - beside]) / (2 * beside + 1)
    if len(last := n[-2 * reach - 1 :]) > reach:
        mean[-reach:] = np.polyval(np.polyfit(last, values[last[0] :], 1), last[-reach:])
    return mean


def draw_loss(ax: Axes, history: History) -> None:
    """The main head's loss in every step, and the mean of every head's over 21 of them."""
    losses = history.losses
    means = {name: centred_mean(values) for name, values in losses.items()}
    ax.plot(*_steps(losses.get("main", [])), color=COLOURS["muted"], lw=0.8, alpha=0.6)
    for name, mean in means.items():
        ax.plot(*_steps(mean), color=HEAD_COLOURS.get(name), lw=2.5, label=name)
    ax.set_title(f"Loss falls to {means['main'][-1]:.2f}" if means else "Loss")
    ax.set(xlabel="step", ylabel="training loss", xlim=(0, history.steps))
    if means:  # all of it, but a single step that leaps does not press the rest flat
        highest = max(map(max, losses.values()))
        lasting = max(max(running_mean(values)) for values in losses.values())
        ax.set_ylim(0, 1.05 * min(highest, 2 * lasting))
    if len(losses) > 1:
        ax.legend(frameon=False)


def _steps(values: Sequence[float]) -> tuple[range, Sequence[float]]:
    return range(1, len(values) + 1), values


def draw_accuracy(ax: Axes, history: History) -> None:
    """Validation accuracy of every row, and the training accuracy beside it."""
    for name, colour in {"main": COLOURS["muted"], "valid": COLOURS["after"]}.items():
        rows = [row for row in history.rows if f"{name}_accuracy" in row]
        percent = [100 * row[f"{name}_accuracy"] for row in rows]
        label = {"main": "training", "valid": "validation"}[name]
        ax.plot([row["step"] for row in rows], percent, "o-", color=colour, lw=2.5, label=label)
    best = history.best.get("valid_accuracy")
    ax.set_title(f"Accuracy reaches {best:.1%}" if best is not None else "Accuracy")
    ax.set(xlabel="step", ylabel="accuracy, %", xlim=(0, 1.03 * history.steps), ylim=(0, 100))
    ax.legend(frameon=False, loc="lower right")


def draw_curves(fig: Figure, history: History) -> None:
    """Loss and accuracy side by side, as they come while a run goes on."""
    loss, accuracy = fig.subplots(1, 2)
    draw_loss(loss, history)
    draw_accuracy(accuracy, history)


def draw_page(fig: Figure, history: History) -> None:
    """A run on one page: loss, accuracy, learning rate, seconds of every epoch."""
    (loss, accuracy), (rate, seconds) = fig.subplots(2, 2)
    draw_loss(loss, history)
    draw_accuracy(accuracy, history)
    steps = range(1, history.steps + 1)
    rates = [history.recipe.lr_at(step, history.steps, history.epoch_steps) for step in steps]
    rate.plot(steps, rates, color=COLOURS["muted"], lw=1.5, ls="--")
    rate.plot(steps[: history.step], rates[: history.step], color=COLOURS["before"], lw=2.5)
    rate.set(xlabel="step", ylabel="learning rate", xlim=(0, history.steps), ylim=(0, None))
    rate.set_title(f"Learning rate peaks at {history.recipe.lr:g}")
    spent = {key: [row[f"{key}_seconds"] for row in history.rows] for key in ("train", "valid")}
    numbers = range(1, len(history.rows) + 1)
    seconds.bar(numbers, spent["train"], color=COLOURS["after"], label="training")
    seconds.bar(
        numbers, spent["valid"], 0.8, spent["train"], color=COLOURS["muted"], label="validation"
    )
    what = "epoch" if history.recipe.validate_every is None else "validation"
    seconds.set(xlabel=what, ylabel="seconds")
    seconds.xaxis.get_major_locator().set_params(integer=True)
    seconds.set_title(f"{history.images_per_second:,.0f} images a second")
    seconds.margins(y=0.35)
    seconds.legend(frameon=False, ncols=2, loc="upper left")
