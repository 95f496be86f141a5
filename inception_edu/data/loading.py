"""A folder of photos as a data set: each photo decoded once, into one tensor of uint8.

What cannot be read is left out and named in the data set's `skipped`: no file ends a run.
"""

import mmap
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from inception_edu.checks import check_whole
from inception_edu.data.dataset import LARGE, Dataset, Split, balanced_order, mean_and_std
from inception_edu.data.folders import (
    AT_ONCE,
    PARTS,
    Found,
    check_classes,
    check_photos,
    find_photos,
    folders_in,
    in_threads,
    parts_of,
)
from inception_edu.data.photos import PhotoError, middle, no_warnings, read
from inception_edu.data.sources import data_folder
from inception_edu.data.splitting import VALID, part_of_each, passed_over
from inception_edu.files import shown

SIZE = 64  # pixels of a side where nothing else is said: what the small variants can tell apart
MANY = 2000  # photos that take so long that it is told how many are read


def load_folder(
    folder: Path, *, limit: int | None = None, seed: int = 0, size: int | None = None
) -> Dataset:
    """A folder with train, maybe valid and test, each with one folder per class, or with the
    classes alone. Without a validation part a tenth is held out, as `split` would.

    `notes` says what was decided, `skipped` which photos could not be read. ValueError; OSError
    where the photos find no room.
    """
    size = SIZE if size is None else size
    check_whole("size", size, 1)
    check_whole("seed", seed, 0, 2**63 - 1)
    place, listed, notes = _list(folder, seed)
    if limit is not None:
        listed |= _limited(listed, limit, seed)
    images, bad = decode([path for found in listed.values() for path in found.paths], size)
    listed = {part: _without(found, bad) for part, found in listed.items()}
    check_photos(place, listed["train"])
    scale = mean_and_std(images[: len(listed["train"].paths)])
    splits, first = {}, 0
    for part, found in listed.items():
        if not found.paths:
            raise ValueError(f"{shown(folder)} has no photo for {part} that can be read; add some")
        own = images[first:][: len(found.paths)]
        splits[part] = Split(own, torch.tensor(found.labels), *scale, resize=resize_for(size))
        first += len(own)
    skipped = {str(path): why for found in listed.values() for path, why in found.rejected}
    notes += [line for found in listed.values() for line in passed_over(found)]
    three, classes = (splits.get(part) for part in PARTS), listed["train"].classes
    return Dataset(folder.resolve().name, *three, classes, *scale, skipped, tuple(notes))


def _list(folder: Path, seed: int) -> tuple[Path, dict[str, Found], list[str]]:
    """Where the classes to train on lie, the photos of each part, train's first, and what to tell
    of how the parts were found."""
    parts, notes = parts_of(folder), []
    if others := [p for p in folders_in(folder) if parts and not _is_part(p, parts)]:
        names = ", ".join(sorted(shown(path.name) for path in others))
        notes.append(f"passed over: {names}, which are no parts with a folder per class")
    parts = {part: path for part, path in parts.items() if path not in others}
    place = parts.setdefault("train", folder)
    listed = {part: find_photos(path, whole=False) for part, path in parts.items()}
    train = listed["train"]
    check_classes(place, train.classes)
    for part, found in listed.items():
        if strange := sorted(set(found.classes) - set(train.classes)):
            raise ValueError(
                f"{shown(parts[part])} has a class {shown(strange[0])!r} that train does not have"
            )
        number = [train.classes.index(name) for name in found.classes]
        listed[part] = found._replace(labels=tuple(number[label] for label in found.labels))
    if "valid" not in listed:
        drawn = part_of_each(place, train, VALID, seed=seed)
        held = _only(train, [i for i, part in enumerate(drawn) if part == "valid"])
        listed["train"] = _only(train, [i for i, part in enumerate(drawn) if part == "train"])
        listed["valid"] = held._replace(rejected=(), passed=Counter())
        notes.append(f"no validation part: {len(held.paths)} photos are held out of the others")
    return place, listed, notes


def _is_part(path: Path, parts: dict[str, Path]) -> bool:
    """Whether a folder is train, or one of the other parts that has the folders of classes."""
    return path == parts["train"] or (path in parts.values() and bool(folders_in(path)))


def _only(found: Found, places: list[int]) -> Found:
    paths, labels = (tuple(x[i] for i in places) for x in (found.paths, found.labels))
    return found._replace(paths=paths, labels=labels)


def _without(found: Found, bad: dict[Path, str]) -> Found:
    """The photos that could be decoded; the others are rejected."""
    more = tuple((path, bad[path]) for path in found.paths if path in bad)
    good = [i for i, path in enumerate(found.paths) if path not in bad]
    return _only(found, good)._replace(rejected=found.rejected + more)


def _limited(listed: dict[str, Found], limit: int, seed: int) -> dict[str, Found]:
    """train and valid cut to `limit` photos together, in proportion and balanced."""
    sizes = {part: len(listed[part].paths) for part in ("train", "valid")}
    classes, total = len(listed["train"].classes), sum(sizes.values())
    check_whole("limit", limit, classes + 1, total)
    valid = min(max(1, limit * sizes["valid"] // total), limit - classes)
    kept = {}
    for part, n in dict(train=limit - valid, valid=valid).items():
        order = balanced_order(torch.tensor(listed[part].labels), seed)
        kept[part] = _only(listed[part], sorted(order[:n].tolist()))
    return kept


def resize_for(size: int) -> int:
    """Pixels of a photo's shorter side, before the middle is cut out of it: 256 for 224."""
    return round(size * 8 / 7)


def decode(paths: list[Path], size: int) -> tuple[Tensor, dict[Path, str]]:
    """The middles of photos, uint8 (n, 3, size, size), without those that cannot be read: path ->
    why. OSError where there is no room for them."""
    bad, n = {}, len(paths)
    try:
        with _room(n * 3 * size**2) as file, no_warnings():
            pixels = in_threads(partial(_pixels, size=size), paths)
            for done, (path, found) in enumerate(zip(paths, pixels, strict=True), 1):
                if isinstance(found, str):
                    bad[path] = found
                else:
                    file.write(found)
                _tell(done, n)
            return _tensor(file).view(-1, 3, size, size), bad
    except OSError as error:
        raise OSError(
            f"{n:,} photos of {size} x {size} pixels found no room in {data_folder()} "
            f"({error.strerror or error}); let INCEPTION_EDU_DATA be a folder on a larger disk, or "
            "take fewer or smaller ones (limit, size)"
        ) from error


def _pixels(path: Path, size: int) -> bytes | str:
    try:
        photo = middle(read(path, resize_for(size)), size, resize_for(size))
    except PhotoError as error:
        return error.why
    return np.asarray(photo).transpose(2, 0, 1).tobytes()


@contextmanager
def _room(size: int) -> Iterator[BinaryIO]:
    """Memory for `size` bytes; for many a file without a name where data sets lie, for where the
    system keeps temporary files is memory, too, on many. It is written, not mapped and filled: a
    full disk is then an error, not the end of the process."""
    if size <= LARGE:
        yield BytesIO()
        return
    data_folder().mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=data_folder(), prefix="photos-") as file:
        yield file


def _tensor(file: BinaryIO) -> Tensor:
    """What was written, uint8 (n,), without a copy; a file's pages are read when they are needed,
    and are gone with the tensor."""
    if not file.tell():
        return torch.empty(0, dtype=torch.uint8)
    file.flush()
    if isinstance(file, BytesIO):
        return torch.frombuffer(file.getbuffer(), dtype=torch.uint8)
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # may be written to, privately
    return torch.frombuffer(pages, dtype=torch.uint8)


def _tell(done: int, total: int) -> None:
    """How many photos are read, where that takes long: one line, of the first process alone."""
    first = os.environ.get("RANK", "0") == "0"
    if first and total >= MANY and (done == total or done % AT_ONCE == 0):
        end = "\n" if done == total else ""
        print(f"\r{done:,} of {total:,} photos read", end=end, flush=True)
