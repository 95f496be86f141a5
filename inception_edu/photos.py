"""Photos as people have them: read one, find those of a folder, cut out what a network sees."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from PIL import Image

from inception_edu.decoding import PhotoError as PhotoError, no_warnings, read, shown

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
