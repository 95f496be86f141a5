"""Photos as people have them: read one, find those of a folder, cut out what a network sees."""

import os
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from inception_edu.files import shown

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


SUFFIXES = set(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .avif "
    ".heic .heif .dng .cr2 .cr3 .nef .arw .orf .rw2 .psd".split()  # these are only named
)


class Found(NamedTuple):
    """The photos of a folder with one folder per class; `rejected` are pairs of path and why."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]  # of each path, its class's place in `classes`
    rejected: tuple[tuple[Path, str], ...]


def read_photo(
    source: str | os.PathLike | bytes,
    *,
    at_least: int | None = None,
    lock: AbstractContextManager | None = None,
) -> Image.Image:
    """A photo, file or bytes, upright and in RGB; PhotoError, naming it, for anything else.

    The first frame of several, transparency over white, 16 bits scaled to 8. With `at_least` the
    photo may come smaller than it is in the file, but no side below so many pixels: JPEGs are
    decoded at a half, a quarter or an eighth. `lock` is held while a very large one is decoded.
    Above Pillow's limit against decompression bombs (179 million pixels) a photo is refused.
    """
    with no_warnings():
        return read(source, at_least, lock)


def find_photos(folder: str | os.PathLike) -> Found:
    """Every photo of a folder that has one folder per class, each one decoded to be sure of it.

    Folders within a class's folder belong to the class. Hidden files and those whose names end
    like no photo's are passed over. ValueError where there is no folder of a class.
    """
    folders = class_folders(folder)
    listed = [(path, k) for k, sub in enumerate(folders.values()) for path in list_photos(sub)]
    with no_warnings():
        reasons = list(in_threads(partial(_why_not, lock=Lock()), [path for path, _ in listed]))
    good = [pair for pair, why in zip(listed, reasons, strict=True) if not why]
    bad = [(path, why) for (path, _), why in zip(listed, reasons, strict=True) if why]
    bad += [
        (path, "lies beside the folders of the classes, so its class is not known")
        for path in sorted(Path(folder).iterdir())
        if path.is_file() and _may_be_photo(path)
    ]
    paths, labels = zip(*good, strict=True) if good else ((), ())
    return Found(tuple(folders), paths, labels, tuple(bad))


def class_folders(folder: str | os.PathLike) -> dict[str, Path]:
    """Class name -> its folder, sorted alike on every machine; ValueError where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {shown(folder)}; give one with a folder per class")
    inside = [path for path in folder.iterdir() if path.is_dir() and not _hidden(path.name)]
    if not inside:
        raise ValueError(
            f"{shown(folder)} must hold one folder per class, as in {shown(folder / 'cats')} and "
            f"{shown(folder / 'dogs')}; it holds no folder"
        )
    named = {normal(path.name): path for path in sorted(inside, key=lambda p: normal(p.name))}
    if len(named) < len(inside):
        raise ValueError(f"two folders in {shown(folder)} have the same name; rename one")
    return named


def list_photos(folder: str | os.PathLike) -> list[Path]:
    """The files below a folder that are named like photos, sorted alike on every machine."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_stop):
        folders[:] = [name for name in folders if not _hidden(name)]
        found += [Path(place, name) for name in files if _may_be_photo(Path(name))]
    return sorted(found, key=lambda path: (normal(path.relative_to(folder).as_posix()), path))


def middle(photo: Image.Image, size: int | tuple[int, int], resize: int) -> Image.Image:
    """The middle of a photo whose shorter side is first scaled to `resize`; (height, width) or
    size x size pixels. What torchvision's Resize and CenterCrop do."""
    h, w = (size, size) if isinstance(size, int) else size
    short = min(photo.size)
    photo = _centre(photo, *(min(side, 4 * short) for side in photo.size))  # a strip would explode
    sides = [resize * side // short for side in photo.size]
    return _centre(photo.resize(sides, Image.Resampling.BILINEAR), w, h)


def in_threads(call: Callable, items: Iterable) -> Iterator:
    """call(item) for each item, in order, on all cores: Pillow decodes without holding up others.
    An interrupt ends it at once."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(call, items)
    finally:
        pool.shutdown(cancel_futures=True)


def report(rejected: Iterable[tuple[str | os.PathLike, str]], most: int = 5) -> list[str]:
    """A line for each of the first files that were left out, and how many more there are."""
    lines = [f"left out: {PhotoError(path, why)}" for path, why in rejected]
    more = [f"left out: {len(lines) - most} more"] if len(lines) > most else []
    return lines[:most] + more


def normal(name: str) -> str:
    """A file's name in one form of Unicode: macOS writes an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _may_be_photo(path: Path) -> bool:
    return not _hidden(path.name) and path.suffix.lower() in SUFFIXES


def _stop(error: OSError) -> None:
    raise error  # os.walk would pass over a folder that it cannot list


def _centre(photo: Image.Image, w: int, h: int) -> Image.Image:
    left, top = round((photo.width - w) / 2), round((photo.height - h) / 2)
    return photo.crop((left, top, left + w, top + h))


def _why_not(path: Path, lock: AbstractContextManager) -> str | None:
    try:
        read(path, 32, lock)
    except PhotoError as error:
        return error.why
