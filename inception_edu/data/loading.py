"""A folder of photos as a data set: each photo decoded once, into one tensor of uint8.

What cannot be read is left out and named in the data set's `skipped`: no file ends a run.
"""

import math
import os
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from inception_edu.checks import check_whole
from inception_edu.data.dataset import LARGE, Dataset, Split, balanced_order, mean_and_std
from inception_edu.data.folders import (
    PARTS,
    Found,
    check_classes,
    check_photos,
    find_photos,
    parts_of,
)
from inception_edu.data.photos import PhotoError, in_threads, middle, read_photo
from inception_edu.data.sources import data_folder
from inception_edu.data.splitting import VALID, divided
from inception_edu.files import shown

SIZE = 64  # pixels of a side where nothing else is said: what the small variants can tell apart
MANY = 1000  # photos, where there are more, between two words on how many are read


def load_folder(
    folder: Path, *, limit: int | None = None, seed: int = 0, size: int | None = None
) -> Dataset:
    """A folder with train, maybe valid and test, each with one folder per class, or with the
    classes alone. Without a validation part a tenth is held out, as `split` would.

    `notes` are the lines of a report, `skipped` the photos that could not be read. ValueError;
    OSError where the photos find no room.
    """
    size = SIZE if size is None else size
    check_whole("size", size, 1)
    check_whole("seed", seed, 0, 2**63 - 1)
    parts = parts_of(folder)
    check_classes(parts.get("train", folder))
    found = find_photos(folder, whole=False)
    if "valid" not in parts:
        found = _held_out(found, seed)
    if limit is not None:
        found = _limited(found, limit, seed)
    resize = round(size * 8 / 7)  # of the shorter side: 256 for 224
    images, bad = decode(found.paths, size, resize)
    good = tuple(photo for photo in found.photos if photo.path not in bad)
    found = replace(found, photos=good, rejected=(*found.rejected, *bad.items()))
    check_photos(found)
    counts, number = Counter(p.part for p in found.photos), list(found.classes).index
    if not counts["valid"]:
        raise ValueError(f"{shown(folder)} has no photo for valid that can be read; add some")
    labels = torch.tensor([number(photo.label) for photo in found.photos])
    scale, sizes = mean_and_std(images[: counts["train"]]), [counts[part] for part in PARTS]
    three = [
        Split(*own, *scale, resize=resize) if len(own[1]) else None
        for own in zip(images.split(sizes), labels.split(sizes), strict=True)
    ]
    skipped = {str(path): why for path, why in found.rejected}
    name, classes = folder.resolve().name, tuple(found.classes)
    return Dataset(name, *three, classes, *scale, skipped, found.report())


def _held_out(found: Found, seed: int) -> Found:
    """The same with a tenth of the photos to train on held out to validate with."""
    train = divided((photo for photo in found.photos if photo.part == "train"), VALID, seed=seed)
    test = [photo for photo in found.photos if photo.part == "test"]
    n = sum(photo.part == "valid" for photo in train)
    note = f"no validation part: {n} photos are held out of the others"
    return replace(found, photos=(*train, *test), notes=(*found.notes, note))


def _limited(found: Found, limit: int, seed: int) -> Found:
    """train and valid cut to `limit` photos together, in proportion and balanced."""
    parts = {part: [p for p in found.photos if p.part == part] for part in PARTS}
    classes, total = len(found.classes), len(parts["train"]) + len(parts["valid"])
    check_whole("limit", limit, classes + 1, total)
    valid = min(max(1, limit * len(parts["valid"]) // total), limit - classes)
    for part, n in dict(train=limit - valid, valid=valid).items():
        labels = torch.tensor([list(found.classes).index(photo.label) for photo in parts[part]])
        kept = sorted(balanced_order(labels, seed)[:n].tolist())
        parts[part] = [parts[part][i] for i in kept]
    return replace(found, photos=tuple(photo for own in parts.values() for photo in own))


def decode(paths: list[Path], size: int, resize: int) -> tuple[Tensor, dict[Path, str]]:
    """The middles of photos, uint8 (n, 3, size, size), without those that cannot be read: path ->
    why. OSError where there is no room for them."""
    images, bad = _room(len(paths), size), {}
    first = os.environ.get("RANK", "0") == "0"  # of several processes
    for i, pixels in enumerate(in_threads(partial(_pixels, size=size, resize=resize), paths)):
        if isinstance(pixels, PhotoError):
            bad[paths[i]] = pixels.why
        else:
            images[i - len(bad)] = pixels
        done = i + 1
        if first and len(paths) > MANY and (done % MANY == 0 or done == len(paths)):
            end = "\n" if done == len(paths) else ""
            print(f"\r{done:,} of {len(paths):,} photos read", end=end, flush=True)
    return torch.from_numpy(images)[: len(paths) - len(bad)], bad


def _pixels(path: Path, size: int, resize: int) -> np.ndarray | PhotoError:
    try:
        photo = middle(read_photo(path, at_least=resize), size, resize)
    except PhotoError as error:
        return error
    return np.asarray(photo).transpose(2, 0, 1)


def _room(n: int, size: int) -> np.ndarray:
    """Memory for n photos, uint8 (n, 3, size, size); for many a file without a name where data sets
    lie, for where the system keeps temporary files is memory, too, on many."""
    shape = (n, 3, size, size)
    if math.prod(shape) <= LARGE:
        return np.empty(shape, np.uint8)
    try:
        data_folder().mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=data_folder(), prefix="photos-") as file:
            for _ in range(n):  # in a file with holes, a full disk would be the process's end
                file.write(bytes(3 * size**2))
            file.flush()
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise OSError(
            f"{n:,} photos of {size} x {size} pixels found no room in {data_folder()} "
            f"({error.strerror or error}); let INCEPTION_EDU_DATA be a folder on a larger disk, or "
            "take fewer or smaller ones (limit, size)"
        ) from error
