"""Pictures that are never only pictures: numbers in, a matplotlib Figure and its words out.

A figure is drawn by `draw(fig, data)` and told by `words(data)`, for static pictures as for
explorers. The words are what strict nbval compares and what a screen reader reads.
"""

import base64
import io
import warnings
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from inception_edu.figures.places import Places
from inception_edu.figures.provenance import drawn_by
from inception_edu.figures.style import STYLE

Draw = Callable[[Figure, object], None]
PAGE = 84  # CSS pixels of an inch: 11 inches fill the column of a page
DENSITY = 2  # pixels of a CSS pixel, as screens have them
OTHER_SCRIPTS = (  # what the style's font lacks comes from the first of these that has it
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans Devanagari"),
    *("Yu Gothic", "Microsoft YaHei", "Malgun Gothic", "Nirmala UI"),  # Windows
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS"),  # macOS
)


def fonts() -> list[str]:
    """The style's font, then those for other scripts that this machine has."""
    installed = set(font_manager.get_font_names())
    return [STYLE["font.family"], *(name for name in OTHER_SCRIPTS if name in installed)]


def on_page(size: tuple[float, float]) -> tuple[int, int]:
    """Width and height in CSS pixels of a figure of `size` inches."""
    width, height = (round(inches * PAGE) for inches in size)
    return width, height


class Easel:
    """Draws one figure after the other, all of `size` inches, in this project's style.

    A `density` of 1 is for pictures that are soon followed by another: a quarter of the pixels.
    """

    def __init__(self, size: tuple[float, float], density: int = DENSITY) -> None:
        self._places = Places()
        self._how = dict(figsize=size, dpi=PAGE * density, layout=self._places)
        self._style = STYLE | {"font.family": fonts()}
        self._canvas = FigureCanvasAgg(Figure(**self._how))

    def quick(self) -> "Easel":
        """An easel for pictures that one of this easel soon replaces: a quarter of the pixels, and
        the axes where this easel's last figure has them."""
        easel = Easel(self._how["figsize"], density=1)
        easel._how["layout"] = Places(follow=self._places)
        return easel

    def draw(self, draw: Draw, data: object) -> Figure:
        """The Figure that `draw(fig, data)` fills, drawn; the next one takes its canvas over."""
        with rc_context(self._style), warnings.catch_warnings():
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
    """The figure as it was drawn, as PNG, with round corners: a light card on a dark page.
    `savefig` would lay it out and draw it twice more."""
    buffer, pixels = io.BytesIO(), np.array(fig.canvas.buffer_rgba())
    pixels[..., 3] = _card(*pixels.shape[:2], round(fig.dpi / 9))
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache
def _card(h: int, w: int, radius: int) -> np.ndarray:
    """The opacity (h, w) of a rectangle with round corners: 255, and 0 beyond the corners."""
    y, x = (np.abs(np.arange(n) - (n - 1) / 2) - (n / 2 - radius) for n in (h, w))
    corner = np.maximum(y, 0)[:, None] ** 2 + np.maximum(x, 0)[None] ** 2
    return np.where(corner <= radius**2, 255, 0).astype(np.uint8)


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
        self._draw, self._size, fig = draw, size, render(draw, data, size)
        self.png = png(fig)
        self.words = f"{words(data)}\n{describe(fig)}"

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return picture_bundle(self.png, self.words, self._draw, self._size)


def picture_bundle(
    png_bytes: bytes, words: str, draw: Draw, size: tuple[float, float]
) -> tuple[dict, dict]:
    """A PNG and its words as Jupyter's data and metadata: how large it is on a page, the words as
    alt text, and which code drew it, so that a saved one older than its code can be told."""
    data = {"image/png": base64.b64encode(png_bytes).decode(), "text/plain": words}
    width, height = on_page(size)
    about = dict(width=width, height=height, alt=words, drawn_by=drawn_by(draw))
    return data, {"image/png": about}
