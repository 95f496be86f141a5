"""Where an explorer's axes stand: found anew only where its labels need more room."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

MARGIN = 0.1  # inches around the axes with their labels: a card has round corners
SLACK = 2  # pixels by which labels may reach further than there is room for: half of the margin


class Places(ConstrainedLayoutEngine):
    """A constrained layout for figures that follow each other, as those of a slider do.

    Axes stay where the last figure's stood as long as their labels fit: nothing jumps, and most
    figures need no layout, which takes as long as drawing. Where labels need more room, the
    layout is made again, with the most room that any figure's labels needed. With places to
    `follow`, axes stand where those have them, unseen whether their labels fit: the check takes
    nearly as long as drawing, and is made in the figure that replaces this one.
    """

    def __init__(self, follow: "Places | None" = None) -> None:
        super().__init__(w_pad=MARGIN, h_pad=MARGIN)
        self._follow = follow
        self._frame: list[str] = []
        self._boxes: list[Bbox] = []
        self._reach = np.zeros((0, 4))

    def execute(self, fig: Figure) -> None:
        """Place the axes of a figure; matplotlib calls this before it draws."""
        frame = _frame(fig)
        if self._follow and frame == self._follow._frame:
            return _put(fig, self._follow._boxes)
        if frame != self._frame:
            self._frame, self._reach = frame, np.zeros((len(fig.axes), 4))
        elif self._fits(fig):
            return _fasten(fig)
        super().execute(fig)
        self._reach = np.maximum(self._reach, _reach(fig))
        self._boxes = [ax.get_position(original=True) for ax in fig.axes]
        _fasten(fig)

    def _fits(self, fig: Figure) -> bool:
        """Put the axes to their places; where labels don't fit, claim their room for the layout."""
        _put(fig, self._boxes)
        reach = _reach(fig)
        if np.all(reach <= self._reach + SLACK):
            return True
        for ax, pixels in zip(fig.axes, np.maximum(reach, self._reach), strict=True):
            ax.add_artist(_Claim(pixels))
        return False


class _Claim(Artist):
    """Nothing to be seen, but taking room: pixels to the left of its axes, below, right, above."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__()
        self._pixels = pixels
        self.set_clip_on(False)

    def get_window_extent(self, renderer: object = None) -> Bbox:
        place = _place(self.axes)
        return Bbox([place.min - self._pixels[:2], place.max + self._pixels[2:]])


def _frame(fig: Figure) -> list[str]:
    """What decides on places beside the axes' labels: the grid, and what stands outside of it."""
    grid = [ax.get_subplotspec() for ax in fig.axes]
    legends = [(legend.get_window_extent().size / fig.dpi).round(1) for legend in fig.legends]
    return [*map(str, (*grid, *legends)), *(text.get_text() for text in fig.texts)]


def _put(fig: Figure, boxes: list[Bbox]) -> None:
    """Put the axes of a figure into boxes; a layout may still move them."""
    for ax, box in zip(fig.axes, boxes, strict=True):
        ax.set_position(box)
        ax.set_in_layout(True)  # which setting a position ends


def _reach(fig: Figure) -> np.ndarray:
    """Pixels that the labels of each axes reach beyond its place: left, below, right, above."""
    renderer, found = fig.canvas.get_renderer(), []
    for ax in fig.axes:
        box = ax.get_tightbbox(renderer, for_layout_only=True)
        found.append([*(_place(ax).min - box.min), *(box.max - _place(ax).max)])
    return np.array(found).reshape(-1, 4)


def _place(ax: Axes) -> Bbox:
    """Where an axes stands, in pixels; one with a fixed aspect may fill a part of it."""
    return ax.get_position(original=True).transformed(ax.get_figure().transSubfigure)


def _fasten(fig: Figure) -> None:
    """Keep the labels of the axes where they were just put: drawing would look for it again."""
    for axis in (axis for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)):
        axis.set_label_coords(*axis.label.get_position(), axis.label.get_transform())
