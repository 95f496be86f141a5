"""Any image file as an upright RGB image, or a sentence that names the file and says what is wrong.

Pillow decodes; what it cannot decode is a PhotoError, whatever the decoder raised.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

# Named one by one: Pillow's others include EPS, which it hands to an interpreter to run.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
BIG = 20_000_000  # pixels of a photo that is not decoded beside another one
BAND = 2_000_000  # pixels that are converted at a time
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {  # its value -> what puts the photo upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(ValueError):
    """A file that cannot be read as a photo: its `name`, and `why` in words."""

    def __init__(self, name: str | os.PathLike, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why

    def __str__(self) -> str:
        return f"{shown(self.name)} {self.why}"


def shown(name: str | os.PathLike) -> str:
    """A file's name as one line that can be printed anywhere, whatever bytes it is made of."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in os.fspath(name))


@contextmanager
def no_warnings() -> Iterator[None]:
    """Pillow's remarks on odd files would end up in the middle of a lesson."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(
    source: str | os.PathLike | bytes, at_least: int | None, lock: AbstractContextManager | None
) -> Image.Image:
    """As photos.read_photo, with Pillow's warnings, and so for use in several threads."""
    held = isinstance(source, (bytes, bytearray, memoryview))
    name = "the photo" if held else source
    try:
        if not held and not Path(source).is_file():  # opening a pipe would wait for ever
            raise PhotoError(name, "is a folder" if Path(source).is_dir() else "is not there")
        if not (len(source) if held else Path(source).stat().st_size):
            raise PhotoError(name, "is empty")
        return _decode(BytesIO(source) if held else source, at_least, lock or nullcontext())
    except PhotoError:
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise all sorts
        raise PhotoError(name, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"is in no format that is read here ({', '.join(_formats())}); save it as JPEG"
    if isinstance(error, Image.DecompressionBombError):
        return "is refused: it would unpack to more pixels than any photo has; save it smaller"
    if isinstance(error, MemoryError):
        return "does not fit into memory; save it smaller"
    if isinstance(error, OSError) and error.errno:  # Pillow's own have no number
        return f"could not be read ({error.strerror})"
    said = str(error) or type(error).__name__
    return f"could not be decoded ({' '.join(said.split())}); it is damaged or cut off"


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # not every Pillow has AVIF


def _decode(file, at_least: int | None, lock: AbstractContextManager) -> Image.Image:
    with Image.open(file, formats=_formats()) as image:
        big = image.width * image.height > BIG
        if at_least:
            image.draft(None, (at_least, at_least))
        shrink = max(1, min(image.size) // (2 * at_least)) if big and at_least else 1
        with lock if big else nullcontext():
            photo = _in_bands(image, shrink)
        try:
            turn = TURNS.get(image.getexif().get(ORIENTATION))
        except Exception:  # damaged EXIF costs the photo nothing but its orientation
            turn = None
    return photo if turn is None else photo.transpose(turn)


def _in_bands(image: Image.Image, shrink: int) -> Image.Image:
    """The image in RGB, `shrink` times smaller; by bands, so that nothing large exists twice."""
    w, h = image.size
    photo = Image.new("RGB", (-(-w // shrink), -(-h // shrink)))
    rows = shrink * max(1, BAND // (w * shrink))
    for top in range(0, h, rows):
        band = _rgb(image.crop((0, top, w, min(top + rows, h))))
        photo.paste(band.reduce(shrink), (0, top // shrink))
    return photo


def _rgb(image: Image.Image) -> Image.Image:
    """RGB; 16 bits count from 0 to 65535, floats from 0 to 1; transparency lies over white."""
    if image.mode == "F" or image.mode.startswith("I"):
        white = 1 if image.mode == "F" else 65535
        values = np.nan_to_num(np.asarray(image, np.float32) / white * 255).clip(0, 255)
        image = Image.fromarray((values + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")
