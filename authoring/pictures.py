"""Saved pictures: which of them look alike, what drew them, and how they are kept small."""

import base64
import io

import numpy as np
from nbformat import NotebookNode
from PIL import Image

from inception_edu.figures.picture import DENSITY

TOLERANCE = 0.02  # mean difference of two pictures in blocks of 8 pixels, of full scale
CLEAR = 127  # the number of the colour that is none
SHIFTS = range(-3, 4)  # pixels: versions of matplotlib set letters wider or narrower


def pictures(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs that hold a PNG picture."""
    return [out for out in outputs if "image/png" in out.get("data", {})]


def drawn_by(outputs: list[NotebookNode]) -> list[str]:
    """For each picture, what its metadata say of the code that drew it; "" for nothing."""
    return [out.metadata.get("image/png", {}).get("drawn_by", "") for out in pictures(outputs)]


def difference(saved: list[NotebookNode], now: list[NotebookNode]) -> str | None:
    """What differs between the pictures of two lists of outputs; None where they look alike."""
    saved, now = ([_grey(out) for out in pictures(outputs)] for outputs in (saved, now))
    if len(saved) != len(now):
        return f"pictures: {len(saved)} in the file, {len(now)} now"
    for i, (a, b) in enumerate(zip(saved, now, strict=True)):
        if a.shape != b.shape:
            return f"picture {i}: {a.shape} pixels in the file, {b.shape} now"
        moved = (np.roll(b, (y, x), (0, 1)) for y in SHIFTS for x in SHIFTS)
        here = _blocks(a)
        apart = float(np.abs(here - _blocks(b)).mean())
        if apart > TOLERANCE:
            apart = min(float(np.abs(here - _blocks(c)).mean()) for c in moved)
        if apart > TOLERANCE:
            return f"picture {i} differs by {apart:.3f} of full scale (at most {TOLERANCE})"
    return None


def _grey(out: NotebookNode) -> np.ndarray:
    """A picture as grey values (h, w) between 0 and 1, in CSS pixels."""
    png = (
        Image.open(io.BytesIO(base64.b64decode(out["data"]["image/png"])))
        .convert("RGBA")
        .convert("RGB")
    )
    return np.asarray(png.reduce(DENSITY), dtype=np.float32).mean(-1) / 255


def _blocks(picture: np.ndarray) -> np.ndarray:
    """A picture shrunk to the means of its blocks of 8x8 pixels."""
    h, w = (n // 8 for n in picture.shape)
    return picture[: h * 8, : w * 8].reshape(h, 8, w, 8).mean((1, 3))


def shrink(nb: NotebookNode) -> None:
    """Give pictures of over 20 kB a palette, in place: drawings lose nothing."""
    for out in pictures([out for cell in nb.cells for out in cell.get("outputs", [])]):
        if len(out.data["image/png"]) > 20_000:
            small = palette(base64.b64decode(out.data["image/png"]))
            out.data["image/png"] = base64.b64encode(small).decode()


def palette(png: bytes, *, dither: bool = False) -> bytes:
    """The picture with a palette of 127 colours, and one for what is beyond its corners; photos
    look smoother with `dither`, and take more bytes."""
    picture, small = Image.open(io.BytesIO(png)), io.BytesIO()
    if picture.mode == "P":
        return png
    few = (whole := picture.convert("RGB")).quantize(CLEAR, kmeans=2)
    few = whole.quantize(CLEAR, palette=few) if dither else few
    colours = few.getpalette() + [0] * 3 * CLEAR  # there may be fewer
    few.putpalette(colours[: 3 * CLEAR] + [255] * 3)
    if picture.mode == "RGBA":
        few.paste(CLEAR, mask=picture.getchannel("A").point(lambda alpha: 255 - alpha))
    few.save(small, "PNG", optimize=True, transparency=CLEAR)
    return small.getvalue()
