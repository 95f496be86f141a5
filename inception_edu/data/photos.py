"""A photo as people have them, whatever its format: opened upright and in RGB, and cut."""

import mimetypes
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from inception_edu.files import shown

# Named one by one: Pillow's others include EPS, which it hands to an interpreter to run.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "HEIF")
HEIC = (b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf")  # at a file's fifth byte
SMALL = 32  # pixels of a side at which a photo is decoded to see whether it can be
AT_ONCE = 1000  # files handed to the threads


class PhotoError(ValueError):
    """A file that cannot be read as a photo: its `name`, and `why` in words."""

    stray = False  # whether nobody takes the file for a photo, by content or name

    def __init__(self, name: str | os.PathLike, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why

    def __str__(self) -> str:
        return f"{shown(self.name)} {self.why}"


class NoPhoto(PhotoError):
    """A file whose content shows no sign of a photo."""

    @property
    def stray(self) -> bool:
        kind, _ = mimetypes.guess_type(Path(self.name).name, strict=False)
        return not (kind or "").startswith("image/")


def read_photo(source: str | os.PathLike | bytes, *, at_least: int | None = None) -> Image.Image:
    """A photo, file or bytes, upright and in RGB; PhotoError, naming it, for anything else.

    The first frame of several, transparency over white, 16 bits scaled to 8. With `at_least` the
    photo may come smaller than it is in the file, but no side below so many pixels: JPEGs are
    decoded at a half, a quarter or an eighth. Above Pillow's limit against decompression bombs
    (179 million pixels) a photo is refused.
    """
    with no_warnings(), _opened(source) as image:
        with _no_stderr() if image.format == "TIFF" else nullcontext():
            if at_least:
                image.draft(None, (at_least, at_least))
            image.load()
        with suppress(Exception):  # damaged EXIF costs the photo nothing but its orientation
            ImageOps.exif_transpose(image, in_place=True)
        return _rgb(image)


def problems(files: Sequence[Path], *, whole: bool = False) -> dict[Path, PhotoError]:
    """Why files cannot be read as photos, those that can left out: the content decides, by its
    beginning or decoded as a whole."""

    def problem(path: Path) -> PhotoError | None:
        try:
            if whole:
                read_photo(path, at_least=SMALL)
            else:
                with _opened(path):
                    pass
        except PhotoError as error:
            return error

    with no_warnings():
        errors = zip(files, in_threads(problem, files), strict=True)
        return {path: error for path, error in errors if error}


def in_threads(call: Callable, items: Sequence) -> Iterator:
    """call(item) for each item, in order, on all cores: Pillow decodes without holding up others.
    An interrupt ends it at once."""
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 32))
    try:
        for i in range(0, len(items), AT_ONCE):
            yield from pool.map(call, items[i : i + AT_ONCE])
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Pillow's remarks on odd files would end up in the middle of a lesson. They are the whole
    process's: around threads, this comes once more, as the first one in and the last one out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_stderr() -> Iterator[None]:
    """File descriptor 2 leads nowhere, for libtiff writes to it, from C; one thread at a time."""
    with ONE_AT_A_TIME, open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


ONE_AT_A_TIME = Lock()


@contextmanager
def _opened(source: str | os.PathLike | bytes) -> Iterator[Image.Image]:
    """An image before it is decoded; whatever goes wrong with it is a PhotoError."""
    held = isinstance(source, (bytes, bytearray, memoryview))
    name = "the photo" if held else source
    try:
        if not held and not Path(source).is_file():  # opening a pipe would wait for ever
            raise NoPhoto(name, "is a folder" if Path(source).is_dir() else "is not there")
        with BytesIO(source) if held else open(source, "rb") as file:
            if not (beginning := file.read(12)):
                raise NoPhoto(name, "is empty")
            with Image.open(file, formats=_formats()) as image:
                yield image
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        if beginning[4:11] in HEIC and "HEIF" not in _formats():
            raise PhotoError(name, "is HEIC; install pillow-heif, or save it as JPEG") from error
        why = f"is in no format that is read here ({', '.join(_formats())}); save it as JPEG"
        raise NoPhoto(name, why) from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise all sorts
        raise PhotoError(name, _reason(error)) from error


def _reason(error: Exception) -> str:
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
    """Those of FORMATS that this Pillow reads: not every one has AVIF, HEIC is an addition."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


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


def middle(photo: Image.Image, size: int | tuple[int, int], resize: int) -> Image.Image:
    """The middle of a photo whose shorter side is first scaled to `resize`; (height, width) or
    size x size pixels. What torchvision's Resize and CenterCrop do."""
    h, w = (size, size) if isinstance(size, int) else size
    short = min(photo.size)
    photo = _centre(photo, *(min(side, 4 * short) for side in photo.size))  # a strip would explode
    sides = [resize * side // short for side in photo.size]
    return _centre(photo.resize(sides, Image.Resampling.BILINEAR), w, h)


def _centre(photo: Image.Image, w: int, h: int) -> Image.Image:
    left, top = round((photo.width - w) / 2), round((photo.height - h) / 2)
    return photo.crop((left, top, left + w, top + h))
