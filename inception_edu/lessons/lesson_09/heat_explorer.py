"""Lesson 09: an activation map beside the map by hiding, for each class and each grey square."""

from typing import NamedTuple

from ipywidgets import SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from inception_edu.figures import COLOURS
from inception_edu.lessons.lesson_09.heat_maps import (
    SQUARES,
    Measured,
    quarter_of_peak,
    rank_correlation,
)
from inception_edu.widgets import Explorer, choices


class Maps(NamedTuple):
    """What the explorer shows: both maps of one class, for one size of the grey square."""

    measured: Measured
    quarter: int
    square: int

    @property
    def both(self) -> dict[str, Tensor]:
        """The maps (h, w) by the way they were made."""
        hidden = self.measured.hidden[self.square][self.quarter]
        return {"activation": self.measured.cams[self.quarter], "hiding": hidden}


def words(maps: Maps) -> str:
    """Where each map is highest, and how much they agree."""
    places = "top left", "top right", "bottom left", "bottom right"
    lines = [f"the {maps.measured.names[maps.quarter]} is {places[maps.quarter]}"]
    for how, heat in maps.both.items():
        lines.append(f"map by {how}: highest on average {places[quarter_of_peak(heat)]}")
    return "\n".join([*lines, f"rank correlation {rank_correlation(*maps.both.values()):.2f}"])


def explorer(measured: Measured) -> Explorer:
    """Both maps for each class, hidden by squares of each size."""
    controls = {
        "name": choices(measured.names, description="class"),
        "square": SelectionSlider(options=SQUARES, value=16, description="grey square, pixels"),
    }

    def look(name: str, square: int) -> Maps:
        return Maps(measured, measured.names.index(name), square)

    title = "Do two ways to ask where give one answer?"
    return Explorer(controls, look, _draw, words, title=title, size=(9, 3.4), moves="square")


def _draw(fig: Figure, maps: Maps) -> None:
    plain, *others = fig.subplots(1, 3)
    photo = maps.measured.photo
    plain.imshow(photo, extent=(0, 1, 0, 1))
    top, left = 0.5 - maps.quarter // 2 * 0.5, maps.quarter % 2 * 0.5
    plain.plot(*_box(left, top, 0.5), color=COLOURS["after"], lw=5, clip_on=False)
    side = maps.square / photo.width
    plain.fill(*_box(0.5 - side / 2, 0.5 - side / 2, side), color="#808080")
    plain.set_title(f"the {maps.measured.names[maps.quarter]}")
    agree = rank_correlation(*maps.both.values())
    titles = "activation map", f"hiding: correlation {agree:.2f}"
    for ax, heat, title in zip(others, maps.both.values(), titles, strict=True):
        overlay(ax, photo, heat, title)
    for ax in fig.axes:
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))


def _box(x: float, y: float, side: float) -> tuple[list[float], list[float]]:
    return [x, x + side, x + side, x, x], [y, y, y + side, y + side, y]


def overlay(ax: Axes, photo: Image.Image, heat: Tensor, title: str) -> None:
    """A map over the photo in grey: orange speaks for the class, purple against it."""
    most = float(heat.abs().max()) or 1.0
    ax.imshow(photo.convert("L"), extent=(0, 1, 0, 1))
    how = dict(cmap="PuOr_r", vmin=-most, vmax=most, alpha=0.6, interpolation="bicubic")
    ax.imshow(heat, extent=(0, 1, 0, 1), **how)
    ax.set(title=title, xticks=[], yticks=[])
