"""Pictures that are never only pictures: numbers in, a matplotlib Figure and its words out.

A figure is drawn by `draw(fig, data)` and told by `words(data)`, for static pictures as for
explorers. The words are what strict nbval compares and what a screen reader reads.
"""

import base64
import io
from collections.abc import Callable

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.history import History

# Okabe and Ito's palette, told apart by the colour-blind; one colour per branch everywhere.
COLOURS = {
    "branch1x1": "#0072b2",
    "branch3x3": "#e69f00",
    "branch5x5": "#009e73",
    "branch_pool": "#cc79a7",
    "before": "#d55e00",  # the expensive, naive or wrong way
    "after": "#56b4e9",  # the paper's way
    "ink": "#333333",
    "muted": "#999999",
}

HEAD_COLOURS = {
    "main": COLOURS["before"],
    "aux1": COLOURS["branch1x1"],
    "aux2": COLOURS["branch5x5"],
    "aux": COLOURS["branch1x1"],
}

# Readable from the last row of a lecture hall.
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 13,
    "legend.fontsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())[:5]),
    "figure.facecolor": "white",
    "image.cmap": "gray",
    "image.interpolation": "nearest",  # pixels stay pixels
}

Draw = Callable[[Figure, object], None]


def render(draw: Draw, data: object, size: tuple[float, float]) -> Figure:
    """The Figure of `size` inches that `draw(fig, data)` fills, in this project's style."""
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=size, dpi=100, layout="constrained")
        draw(fig, data)
        fig.canvas.draw()
    return fig


def png(fig: Figure) -> bytes:
    """The figure as PNG, without the date and version that would change its bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def describe(fig: Figure) -> str:
    """What is drawn, counted, alike on every machine: '[picture: "title"; 4 bars, 2 lines]'."""
    return "[picture: " + " | ".join(_describe_axes(ax) for ax in fig.axes) + "]"


def _describe_axes(ax: Axes) -> str:
    legend = ax.get_legend()
    counts = {
        "bars or patches": len(ax.patches),
        "lines": len(ax.lines),
        "images": len(ax.images),
        "collections": len(ax.collections),
        "labels": len(ax.texts),
        "legend entries": len(legend.get_texts()) if legend else 0,
    }
    title = " ".join((ax.get_title("left") or ax.get_title()).split())
    return f'"{title}"; ' + ", ".join(f"{n} {what}" for what, n in counts.items() if n)


class Picture:
    """A static figure as one output: the PNG, and as text/plain its words and what was drawn."""

    def __init__(
        self,
        draw: Draw,
        data: object,
        words: Callable[[object], str],
        *,
        size: tuple[float, float] = (8, 3.6),
    ) -> None:
        fig = render(draw, data, size)
        self.png = png(fig)
        self.words = f"{words(data)}\n{describe(fig)}"

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return picture_bundle(self.png, self.words)


def picture_bundle(png_bytes: bytes, words: str) -> tuple[dict, dict]:
    """A PNG and its words as Jupyter's data and metadata; the words are the alt text too."""
    data = {"image/png": base64.b64encode(png_bytes).decode(), "text/plain": words}
    return data, {"image/png": {"alt": words}}


def running_mean(values: list[float], *, keep: float = 0.95) -> list[float]:
    """Each value averaged with those before it, which fade by `keep` a step."""
    mean = []
    for value in values:
        mean.append(keep * mean[-1] + (1 - keep) * value if mean else value)
    return mean


def draw_loss(ax: Axes, history: History) -> None:
    """The main head's loss in every step, and the running mean of every head's."""
    ax.plot(*_steps(history.losses.get("main", [])), color=COLOURS["muted"], lw=0.8, alpha=0.6)
    means = {name: running_mean(losses) for name, losses in history.losses.items()}
    for name, mean in means.items():
        ax.plot(*_steps(mean), color=HEAD_COLOURS.get(name), lw=2.5, label=name)
    ax.set_title(f"Loss falls to {means['main'][-1]:.2f}" if means else "Loss")
    ax.set(xlabel="step", ylabel="training loss", xlim=(0, history.steps), ylim=(0, 2.5))
    if len(means) > 1:
        ax.legend(frameon=False)


def _steps(values: list[float]) -> tuple[range, list[float]]:
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
