"""Lesson 06: a line or an edge at any angle as the sum of its best pairs of vectors."""

import math
from typing import NamedTuple

import torch
from ipywidgets import IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import conv2d

from inception_edu.figures import COLOURS
from inception_edu.lessons.lesson_06.rank import errors, nearest
from inception_edu.widgets import Explorer, choices

KINDS = ("line", "edge")


class Sum(NamedTuple):
    """A 5x5 kernel and the sum of its best pairs, and what each puts out for a garment."""

    title: str
    pairs: int
    kernel: Tensor
    best: Tensor
    output: Tensor
    best_output: Tensor

    @property
    def missed(self) -> tuple[float, float]:
        """The relative error of the kernel, and of its output."""
        changes = (self.best, self.kernel), (self.best_output, self.output)
        kernel, output = (((a - b).norm() / b.norm()).item() for a, b in changes)
        return kernel, output


def kernel(kind: str, degrees: int) -> Tensor:
    """A line or an edge through the middle of 5x5 pixels; 0 degrees is level, 90 upright."""
    y, x = torch.meshgrid(*[torch.arange(-2.0, 3.0, dtype=torch.float64)] * 2, indexing="ij")
    angle = math.radians(degrees)
    distance = x * math.sin(angle) + y * math.cos(angle)
    return (1 - distance.abs()).clamp(min=0) if kind == "line" else distance.clamp(-1, 1)


def summed(kind: str, degrees: int, pairs: int, image: Tensor) -> Sum:
    """A kernel, and the sum of as many pairs, on a garment (1, h, w) of uint8."""
    whole = kernel(kind, degrees)
    best = nearest(whole[None, None], pairs)[0, 0]
    x = image.double()[None] / 255
    outputs = (conv2d(x, k[None, None], padding=2)[0, 0] for k in (whole, best))
    return Sum(f"{kind} at {degrees} degrees", pairs, whole, best, *outputs)


def words(shown: Sum) -> str:
    """By how much the sum misses the kernel and its output, and the energy of each pair."""
    missed, output = shown.missed
    counted = f"{shown.pairs} pair{'s' if shown.pairs > 1 else ''}"
    left = torch.cat([torch.ones(1), errors(shown.kernel).square()])  # after 0, 1, ... pairs
    each = ", ".join(f"{100 * e:.0f} %" for e in left[:-1] - left[1:])
    return (
        f"{shown.title}, {counted}: {100 * missed:.0f} % of the kernel is missed, "
        f"{100 * output:.0f} % of its output\nenergy of its five pairs: {each}"
    )


def _draw(fig: Figure, shown: Sum) -> None:
    missed, output = shown.missed
    left, middle, right, far = fig.subplots(1, 4)
    _show(left, shown.kernel, 1.2, shown.title)
    pairs = "the best pair" if shown.pairs == 1 else f"{shown.pairs} pairs"
    _show(middle, shown.best, 1.2, f"{pairs}:\n{100 * missed:.0f} % missed")
    limit = shown.output.abs().max().item()
    _show(right, shown.output, limit, "its output\nfor a coat")
    _show(far, shown.best_output, limit, f"output of {pairs}:\n{100 * output:.0f} % missed")


def _show(ax: Axes, image: Tensor, limit: float, title: str) -> None:
    ax.imshow(image, vmin=-limit, vmax=limit, cmap="PuOr")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=13, color=COLOURS["ink"])


def explorer(image: Tensor) -> Explorer:
    """Kind, angle and number of pairs to choose; `image` is a garment (1, h, w) of uint8."""
    controls = {
        "degrees": IntSlider(value=30, min=0, max=90, step=5, description="degrees"),
        "pairs": choices((1, 2, 3, 4, 5), description="pairs kept"),
        "kind": choices(KINDS, description="kernel"),
    }
    title = "How many pairs of vectors does a kernel need?"

    def compute(degrees: int, pairs: int, kind: str) -> Sum:
        return summed(kind, degrees, pairs, image)

    return Explorer(controls, compute, _draw, words, title=title, size=(11, 3.6), tells=True)
