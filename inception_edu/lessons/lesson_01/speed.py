"""Lesson 01, counting the cost: layers of six shapes, and how fast this machine computes them."""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import conv_cost, milliseconds, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.training.devices import cpu_threads

IMAGES = 8  # in a batch
SHAPES = {  # name -> c_in, c_out, k, grid, groups
    "5x5, 192 to 32": (192, 32, 5, 28, 1),
    "1x1, 192 to 32": (192, 32, 1, 28, 1),
    "3x3, 96 to 128": (96, 128, 3, 28, 1),
    "1x1, 832 to 256": (832, 256, 1, 7, 1),
    "3x3, 3 to 64": (3, 64, 3, 112, 1),
    "3x3, one by one": (192, 192, 3, 28, 192),  # each channel on its own
}


class Timing(NamedTuple):
    """One layer's MACs and the bytes it must move for one image, and its measured time."""

    macs: int
    bytes: int
    milliseconds: float

    @property
    def macs_per_byte(self) -> float:
        """How much arithmetic each number read or written is used for."""
        return self.macs / self.bytes

    @property
    def gmacs_per_second(self) -> float:
        """Thousand million MACs done in a second."""
        return self.macs / self.milliseconds / 1e6


def time_layer(c_in: int, c_out: int, k: int, grid: int, groups: int) -> Timing:
    """Time a convolution on the CPU, in float32, on one core: others disturb that least."""
    layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, groups=groups, bias=False).eval()
    cost = conv_cost(c_in, c_out, k, grid, groups=groups)
    numbers = (c_in + c_out) * grid * grid + cost.params / IMAGES  # weights are read once a batch
    with cpu_threads(1):
        ms = milliseconds(layer, torch.rand(IMAGES, c_in, grid, grid)) / IMAGES
    return Timing(cost.macs, int(4 * numbers), ms)


def time_shapes() -> dict[str, Timing]:
    """Timings of all SHAPES."""
    return {name: time_layer(*shape) for name, shape in SHAPES.items()}


def predicted(timings: dict[str, Timing]) -> dict[str, float]:
    """Milliseconds if every layer did its MACs as fast as the first."""
    rate = next(iter(timings.values())).gmacs_per_second
    return {name: timing.macs / rate / 1e6 for name, timing in timings.items()}


def words_speed(timings: dict[str, Timing]) -> str:
    rows = [("layer", "MACs", "predicted ms", "measured ms", "GMAC/s", "MACs per byte")]
    for (name, timing), ms in zip(timings.items(), predicted(timings).values(), strict=True):
        cells = (f"{ms:.3f}", f"{timing.milliseconds:.3f}", f"{timing.gmacs_per_second:.0f}")
        rows.append((name, f"{timing.macs:,}", *cells, f"{timing.macs_per_byte:.1f}"))
    return text_table(rows)


def _draw_speed(fig: Figure, timings: dict[str, Timing]) -> None:
    left, right = fig.subplots(1, 2, width_ratios=(3, 2))
    names = [f"{name}  ({i})" for i, name in enumerate(timings, start=1)]
    measured = [timing.milliseconds for timing in timings.values()]
    expected = list(predicted(timings).values())
    slowdown = max(m / e for m, e in zip(measured, expected, strict=True))
    left.hlines(names, expected, measured, color=COLOURS["muted"], linewidth=3, zorder=1)
    left.scatter(expected, names, 90, COLOURS["muted"], label="predicted from MACs")
    left.scatter(measured, names, 90, COLOURS["before"], label="measured")
    left.invert_yaxis()
    left.set(xscale="log", xlabel="ms per image", title=f"Up to {slowdown:.0f} times slower")
    left.legend(loc="lower right", frameon=False)
    for i, timing in enumerate(timings.values(), start=1):
        right.plot(timing.macs_per_byte, timing.gmacs_per_second, "o", color=COLOURS["before"])
        point = (timing.macs_per_byte, timing.gmacs_per_second)
        right.annotate(f"({i})", point, (0, 6), textcoords="offset points", ha="center")
    right.set(xscale="log", xlabel="MACs per byte moved", ylabel="GMAC/s")
    right.set(title="Speed follows reuse", ylim=(0, None))
    right.margins(y=0.15)


def show_speed(timings: dict[str, Timing]) -> Picture:
    """Predicted against measured time, and speed against arithmetic per byte."""
    return Picture(_draw_speed, timings, words_speed, size=(11, 4))
