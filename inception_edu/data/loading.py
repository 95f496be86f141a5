"""A folder of photos as a data set: each photo decoded once, into one tensor of uint8.

What cannot be read is left out and named in the data set's `skipped`.
"""

import math
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from inception_edu.checks import check_whole
from inception_edu.data.dataset import LARGE, Dataset, Split, balanced_order, mean_and_std
from inception_edu.data.folders import (
    PARTS,
    Photo,
    check_classes,
    check_photos,
    find_photos,
)
from inception_edu.data.photos import PhotoError, in_threads, middle, no_warnings, read_photo
from inception_edu.data.sources import data_folder
from inception_edu.data.splitting import VALID, divided
from inception_edu.files import shown

SIZE = 64  # pixels of a side where nothing else is said: what the small variants can tell apart
MANY = 1000  # photos, where there are more, between two words on how many are read


def load_folder(
    folder: Path, *, limit: int | None = None, seed: int = 0, size: int | None = None
) -> Dataset:
    """A folder with train, maybe valid and test, each with one folder per class, or with the
    classes alone. Without a validation split a tenth is held out, as `split` would.

    `notes` are the lines of a report, `skipped` the photos that could not be read. ValueError;
    OSError where the photos find no room.
    """
    size = SIZE if size is None else size
    check_whole("size", size, 1)
    check_whole("seed", seed, 0, 2**63 - 1)
    found = find_photos(folder, whole=False)
    check_classes(found.classes)
    parts, notes = found.parts, found.notes
    if "valid" not in parts:
        parts |= divided(parts["train"], VALID, seed=seed)
        n = len(parts["valid"])
        notes = *notes, f"no validation split: {n} photos are held out of the others"
    if limit is not None:
        parts |= _limited(parts["train"], parts["valid"], limit, seed)
    parts = {part: parts.get(part, []) for part in PARTS}
    resize = round(size * 8 / 7)  # of the shorter side: 256 for 224
    images, bad = decode([photo.path for own in parts.values() for photo in own], size, resize)
    parts = {part: [p for p in own if p.path not in bad] for part, own in parts.items()}
    found = replace(found, parts=parts, errors=found.errors | bad, notes=notes)
    check_photos(found)
    if not parts["valid"]:
        raise ValueError(f"{shown(folder)} has no photo for valid that can be read; add some")
    scale = mean_and_std(images[: len(parts["train"])])
    splits = [
        Split(pixels, torch.tensor([p.label for p in own]), *scale, resize=resize) if own else None
        for own, pixels in zip(
            parts.values(), images.split([len(own) for own in parts.values()]), strict=True
        )
    ]
    skipped = {str(path): why for path, why in found.rejected}
    about = *scale, skipped, found.report()
    return Dataset(folder.resolve().name, *splits, tuple(found.classes), *about)


def _limited(
    train: list[Photo], valid: list[Photo], limit: int, seed: int
) -> dict[str, list[Photo]]:
    """train and valid cut to `limit` photos together, in proportion and balanced."""
    classes, total = len({photo.label for photo in train}), len(train) + len(valid)
    check_whole("limit", limit, classes + 1, total)
    n = min(max(1, limit * len(valid) // total), limit - classes)

    def first(photos: list[Photo], n: int) -> list[Photo]:
        order = balanced_order(torch.tensor([photo.label for photo in photos]), seed)
        return [photos[i] for i in order[:n].sort().values]

    return dict(train=first(train, limit - n), valid=first(valid, n))


def decode(paths: list[Path], size: int, resize: int) -> tuple[Tensor, dict[Path, PhotoError]]:
    """The middles of photos, uint8 (n, 3, size, size), and why others cannot be read.

    OSError where there is no room for them.
    """
    n, images = len(paths), _room(len(paths), size)

    def place(i: int) -> PhotoError | None:
        try:
            photo = middle(read_photo(paths[i], at_least=resize), size, resize)
        except PhotoError as error:
            return error
        images[i] = np.asarray(photo).transpose(2, 0, 1)

    bad, first = {}, os.environ.get("RANK", "0") == "0"  # of several processes
    with no_warnings():
        for i, error in enumerate(in_threads(place, range(n))):
            if error:
                bad[paths[i]] = error
            elif bad:
                images[i - len(bad)] = images[i]
            if first and n > MANY and ((i + 1) % MANY == 0 or i + 1 == n):
                end = "\n" if i + 1 == n else ""
                print(f"\r{i + 1:,} of {n:,} photos read", end=end, flush=True)
    return torch.from_numpy(images)[: n - len(bad)], bad


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
