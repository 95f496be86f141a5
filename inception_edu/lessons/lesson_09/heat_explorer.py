"""Lesson 09: an activation map beside the map by hiding, for each class and each grey square."""

from typing import NamedTuple

from ipywidgets import SelectionSlider
from matplotlib.figure import Figure
from torch import Tensor

from inception_edu.figures import COLOURS
from inception_edu.lessons.lesson_09.heat_maps import (
    SQUARES,
    Measured,
    quarter_of_peak,
    rank_correlation,
)
from inception_edu.widgets import Explorer, choices

UNITS = {"activation": "logit of each place", "hiding": "fall of the logit"}


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

    @property
    def most(self) -> dict[str, float]:
        """The ends of the scales of colours, the same for all classes and squares."""
        hidden = max(float(x.abs().max()) for x in self.measured.hidden.values())
        return {"activation": float(self.measured.cams.abs().max()), "hiding": hidden}


def words(maps: Maps) -> str:
    """Where each map is highest, and how much they agree."""
    places = "top left", "top right", "bottom left", "bottom right"
    lines = [f"the {maps.measured.names[maps.quarter]} is {places[maps.quarter]}"]
    for kind, heat in maps.both.items():
        lines.append(f"map by {kind}: highest on average {places[quarter_of_peak(heat)]}")
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
    return Explorer(controls, look, _draw, words, title=title, size=(11, 3.6), moves="square")


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
    for ax, (kind, heat), title in zip(others, maps.both.items(), titles, strict=True):
        ax.imshow(photo.convert("L"), extent=(0, 1, 0, 1))
        looks = dict(cmap="PuOr_r", vmin=-maps.most[kind], vmax=maps.most[kind])
        seen = ax.imshow(heat, extent=(0, 1, 0, 1), alpha=0.6, interpolation="nearest", **looks)
        fig.colorbar(seen, ax=ax, shrink=0.7, label=UNITS[kind])
        ax.set_title(title)
    for ax in (plain, *others):
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))


def _box(x: float, y: float, side: float) -> tuple[list[float], list[float]]:
    return [x, x + side, x + side, x, x], [y, y, y + side, y + side, y]
