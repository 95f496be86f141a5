"""What lies in a folder of photos: classes, or parts that hold classes; photos, and other files."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from inception_edu.data.photos import NoPhoto, PhotoError, no_warnings, problem
from inception_edu.files import shown

PARTS = {  # the usual names of a data set's parts, in any case
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
SUFFIXES = set(  # files that are named so are told of where they are no photo that can be read
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .avif "
    ".heic .heif .dng .cr2 .cr3 .nef .arw .orf .rw2 .psd".split()
)
HIDDEN = (".", "__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN")  # so begins what systems leave
AT_ONCE = 1000  # files handed to the threads


class Found(NamedTuple):
    """What lies in a folder: photos, files that are none though they should be, with the reason,
    and how many others there are of each suffix."""

    paths: tuple[Path, ...]
    rejected: tuple[tuple[Path, str], ...]
    passed: Counter
    classes: tuple[str, ...] = ()  # of a folder with one folder per class
    labels: tuple[int, ...] = ()  # of each path, its class's place in `classes`


def list_photos(folder: str | os.PathLike) -> Found:
    """The files below a folder whose beginning is a photo's, sorted alike on every machine. Hidden
    files don't count; links to folders are followed unless they lead back."""
    files, folder = [], Path(folder)
    above = [*folder.absolute().parents, *folder.resolve().parents]
    been = set(map(os.path.realpath, above))
    for place, folders, names in os.walk(folder, onerror=_stop, followlinks=True):
        if (real := os.path.realpath(place)) in been:
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(name for name in folders if not hidden(name))
        files += [Path(place, name) for name in names if not hidden(name)]
    files.sort(key=lambda path: (normal(path.relative_to(folder).as_posix()), path))
    return _sorted_out(files, whole=False)


def find_photos(folder: str | os.PathLike, *, whole: bool = True) -> Found:
    """The photos of a folder that has one folder per class, each decoded to be sure of it, or with
    whole=False only begun with. ValueError where there is no folder of a class."""
    folders = class_folders(folder)
    inside = [list_photos(place) for place in folders.values()]
    labels = {path: label for label, found in enumerate(inside) for path in found.paths}
    good = _sorted_out(list(labels), whole=True) if whole else Found(tuple(labels), (), Counter())
    files = (path for path in Path(folder).iterdir() if path.is_file() and not hidden(path.name))
    beside = _sorted_out(sorted(files), whole=False)
    why = "lies beside the folders of the classes, so its class is not known"
    rejected = [pair for one in (*inside, good) for pair in one.rejected]
    return Found(
        good.paths,
        (*sorted(rejected), *beside.rejected, *((path, why) for path in beside.paths)),
        sum((one.passed for one in inside), beside.passed),
        tuple(folders),
        tuple(labels[path] for path in good.paths),
    )


def _sorted_out(files: list[Path], *, whole: bool) -> Found:
    """The files by what they are; the content decides, the name only what is told of."""
    paths, rejected, passed = [], [], Counter()
    with no_warnings():
        problems = list(in_threads(partial(problem, whole=whole), files))
    for path, error in zip(files, problems, strict=True):
        suffix = path.suffix.lower()
        if not error:
            paths.append(path)
        elif isinstance(error, NoPhoto) and suffix not in SUFFIXES:
            passed[suffix or "without a suffix"] += 1
        else:
            rejected.append((path, error.why))
    return Found(tuple(paths), tuple(rejected), passed)


def class_folders(folder: str | os.PathLike) -> dict[str, Path]:
    """Class name -> its folder, sorted alike on every machine; ValueError where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {shown(folder)}; give one with a folder per class")
    inside = folders_in(folder)
    if not inside:
        raise ValueError(
            f"{shown(folder)} must hold one folder per class, as in {shown(folder / 'cats')} and "
            f"{shown(folder / 'dogs')}; it holds no folder"
        )
    named = {normal(path.name): path for path in sorted(inside, key=lambda p: normal(p.name))}
    if len(named) < len(inside):
        raise ValueError(f"two folders in {shown(folder)} have the same name; rename one")
    return named


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that somebody made, not a system."""
    return [p for p in folder.iterdir() if p.is_dir() and not hidden(p.name)]


def parts_of(folder: Path) -> dict[str, Path]:
    """train, valid, test -> the folders of a data set's parts under any of their usual names; {}
    where the folders are those of classes. ValueError where no part is there to train on."""
    folders = class_folders(folder).values()
    named = [(part, path) for path in folders for part in PARTS if path.name.lower() in PARTS[part]]
    whole = {part for part, path in named if folders_in(path)}  # its classes lie in it
    if len(named) < len(folders) and not ("train" in whole and len(whole) > 1):
        return {}  # a class may be called train, too
    parts = dict(named)
    if "train" not in parts or len(parts) < len(named):
        names = " and ".join(shown(path.name) for _, path in named)
        raise ValueError(
            f"{shown(folder)} must hold one folder train, and maybe one valid and one test, with a "
            f"folder per class in each, got {names}"
        )
    return {part: parts[part] for part in PARTS if part in parts}


def check_classes(folder: Path, classes: Sequence[str]) -> None:
    """Raise ValueError where there is one class alone, maybe because the classes lie deeper."""
    if len(classes) < 2:
        (inside,) = class_folders(folder).values()
        deeper = f"; did you mean {shown(inside)}?" if len(folders_in(inside)) > 1 else ""
        raise ValueError(
            f"{shown(folder)} must hold at least 2 classes, one folder each, got "
            f"{shown(classes[0])!r} alone{deeper}"
        )


def check_photos(folder: Path, found: Found) -> None:
    """Raise ValueError where a class has no photo, with what most of its files are instead."""
    taught = set(found.labels)
    for label, (name, inside) in enumerate(class_folders(folder).items()):
        if label in taught:
            continue
        bad = [(path, why) for path, why in found.rejected if inside in path.parents]
        if not bad:
            holds = counted(list_photos(inside).passed) or "nothing"
            raise ValueError(f"class {shown(name)!r} has no photo; {shown(inside)} holds {holds}")
        ((most, n),) = Counter(why for _, why in bad).most_common(1)
        like = next(path.name for path, why in bad if why == most)
        raise ValueError(
            f"class {shown(name)!r} has no photo that can be read among {len(bad)}: {n} like "
            f"{shown(like)}, which {most}"
        )


def counted(files: Counter) -> str:
    """How many files there are of each suffix."""
    return ", ".join(f"{n} {shown(suffix)}" for suffix, n in sorted(files.items()))


def in_threads(call: Callable, items: Sequence) -> Iterator:
    """call(item) for each item, in order, on all cores: Pillow decodes without holding up others.
    An interrupt ends it at once."""
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 32))
    try:
        for i in range(0, len(items), AT_ONCE):
            yield from pool.map(call, items[i : i + AT_ONCE])
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


def hidden(name: str) -> bool:
    """Whether a file or folder is none of a person's, by its name."""
    return name.startswith(HIDDEN)


def _stop(error: OSError) -> None:
    raise error  # os.walk would pass over a folder that it cannot list
