"""Pictures that are never only pictures: numbers in, a matplotlib Figure and its words out.

A figure is drawn by `draw(fig, data)` and told by `words(data)`, for static pictures as for
explorers. The words are what strict nbval compares and what a screen reader reads.
"""

import base64
import io
import warnings
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from inception_edu.figures.places import Places
from inception_edu.figures.provenance import drawn_by
from inception_edu.figures.style import STYLE

Draw = Callable[[Figure, object], None]


class Easel:
    """Draws one figure after the other, all of `size` inches, in this project's style."""

    def __init__(self, size: tuple[float, float]) -> None:
        self._how = dict(figsize=size, dpi=100, layout=Places())
        self._canvas = FigureCanvasAgg(Figure(**self._how))

    def draw(self, draw: Draw, data: object) -> Figure:
        """The Figure that `draw(fig, data)` fills, drawn; the next one takes its canvas over."""
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it draws a box
            fig = self._canvas.figure = Figure(**self._how)
            fig.set_canvas(self._canvas)  # which remembers the sizes of texts and parsed formulas
            draw(fig, data)
            self._canvas.draw()
        return fig


def render(draw: Draw, data: object, size: tuple[float, float]) -> Figure:
    """The Figure of `size` inches that `draw(fig, data)` fills, in this project's style, drawn."""
    return Easel(size).draw(draw, data)


def png(fig: Figure) -> bytes:
    """The figure as it was drawn, as PNG; `savefig` would lay it out and draw it twice more."""
    buffer, pixels = io.BytesIO(), np.asarray(fig.canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
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
        self._draw, fig = draw, render(draw, data, size)
        self.png = png(fig)
        self.words = f"{words(data)}\n{describe(fig)}"

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return picture_bundle(self.png, self.words, self._draw)


def picture_bundle(png_bytes: bytes, words: str, draw: Draw) -> tuple[dict, dict]:
    """A PNG and its words as Jupyter's data and metadata: the words are the alt text too, and it is
    noted which code drew the picture, so that a saved one older than its code can be told."""
    data = {"image/png": base64.b64encode(png_bytes).decode(), "text/plain": words}
    return data, {"image/png": {"alt": words, "drawn_by": drawn_by(draw)}}
