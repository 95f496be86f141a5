"""Which photo goes into which split: decided by its name and a seed, alike on every machine."""

import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from inception_edu.checks import check_number
from inception_edu.data.folders import (
    Found,
    Photo,
    check_classes,
    check_photos,
    class_folders,
    find_photos,
    normal,
    parts_of,
)
from inception_edu.files import shown

VALID = 0.1  # fraction of each class to validate with, where nothing else is said


def split(
    photos: str | os.PathLike,
    out: str | os.PathLike,
    *,
    valid: float = VALID,
    test: float = 0.0,
    seed: int = 0,
    link: bool = False,
) -> Found:
    """Copy (or link) a folder of photos to OUT/train/CLASS, OUT/valid/CLASS and maybe OUT/test.

    valid and test are fractions of each class; every class keeps a photo to train on, and one to
    validate with where it has two. Files that are no photos are left out. OUT is there whole or
    not at all. ValueError, FileExistsError, OSError.
    """
    photos, out = Path(photos), Path(out)
    _check(photos, out, valid, test)
    found = find_photos(photos)
    check_photos(found)
    found = replace(found, parts=divided(found.parts["train"], valid, test, seed))
    _build(found.parts, out, link)
    return found


def divided(
    photos: list[Photo], valid: float, test: float = 0.0, seed: int = 0
) -> dict[str, list[Photo]]:
    """The photos of each split, in their order, drawn from their class and name and a seed."""
    draws, part_of = defaultdict(list), {}
    for photo in photos:
        name = normal(f"{seed}/{photo.place.as_posix()}")
        draw = sha256(name.encode("utf-8", "surrogateescape")).digest()
        draws[photo.label].append((draw, photo.path))
    for own in draws.values():
        n = len(own)  # train keeps one at least, then valid has one, then test
        n_valid = min(max(1, round(n * valid)), n - 1)
        n_test = min(max(1, round(n * test)), n - 1 - n_valid) if test else 0
        names = ["valid"] * n_valid + ["test"] * n_test + ["train"] * (n - n_valid - n_test)
        part_of |= {path: part for (_, path), part in zip(sorted(own), names, strict=True)}
    parts = ("train", "valid", "test") if test else ("train", "valid")
    return {part: [photo for photo in photos if part_of[photo.path] == part] for part in parts}


def _check(photos: Path, out: Path, valid: float, test: float) -> None:
    """Raise unless the arguments of `split` can be meant."""
    check_number("valid", valid, "above 0 and below 1", lambda x: 0 < x < 1)
    rest = f"at least 0 and below {1 - valid:g}, what valid leaves"
    check_number("test", test, rest, lambda x: 0 <= x < 1 - valid)
    parts = parts_of(photos)
    check_classes(class_folders(parts.get("train", photos)))
    if parts:
        names = " and ".join(shown(path.name) for path in parts.values())
        raise ValueError(
            f"{shown(photos)} is split already, into {names}; train with it as it is: "
            f"python -m inception_edu train --data {shown(photos)}"
        )
    if out.resolve() == photos.resolve() or photos.resolve() in out.resolve().parents:
        raise ValueError(
            f"out must lie outside of {shown(photos)}, whose folders are classes, got {shown(out)}"
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(f"{shown(out)} holds something already; give a new folder")


def _build(parts: dict[str, list[Photo]], out: Path, link: bool) -> None:
    """Put every photo into its place, beside OUT at first, and rename all of it in the end."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            root = Path(temporary, out.name)
            for part, photo in ((part, photo) for part, own in parts.items() for photo in own):
                place = root / part / photo.place
                place.parent.mkdir(parents=True, exist_ok=True)
                if link:
                    os.symlink(photo.path.resolve(), place)
                else:
                    shutil.copyfile(photo.path, place)
            if out.is_dir():  # an empty one, which Windows would not replace
                out.rmdir()
            os.replace(root, out)
    except (OSError, NotImplementedError) as error:
        said = getattr(error, "strerror", None) or error
        help = "leave out --link (link=False) to copy the photos" if link else "make room there"
        raise OSError(
            f"{shown(out)} could not be made ({said}), and nothing is left of it; {help}"
        ) from error
