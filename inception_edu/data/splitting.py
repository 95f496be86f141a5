"""Which photo goes into which part: decided by its name and a seed, alike on every machine."""

import os
import shutil
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from inception_edu.data.folders import (
    PARTS,
    Found,
    check_classes,
    check_photos,
    counted,
    find_photos,
    normal,
    parts_of,
)
from inception_edu.files import shown

VALID = 0.1  # share of each class to validate with, where nothing else is said


@dataclass(frozen=True)
class Counts:
    """How many photos of each class went into each part; `rejected` are pairs of path and why."""

    classes: tuple[str, ...]
    parts: dict[str, tuple[int, ...]]  # train, valid and maybe test -> photos of each class
    rejected: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()  # what else the reader should know

    def __str__(self) -> str:
        rows = [("class", *self.parts)]
        rows += zip(map(shown, self.classes), *self.parts.values(), strict=True)
        rows += [("together", *map(sum, self.parts.values()))]
        wide = max(len(row[0]) for row in rows)
        return "\n".join(
            f"{name:<{wide}}" + "".join(f"{number:>8}" for number in numbers)
            for name, *numbers in rows
        )

    __repr__ = __str__


def split(
    photos: str | os.PathLike,
    out: str | os.PathLike,
    *,
    valid: float = VALID,
    test: float = 0.0,
    seed: int = 0,
    link: bool = False,
) -> Counts:
    """Copy (or link) a folder of photos to OUT/train/CLASS, OUT/valid/CLASS and maybe OUT/test.

    valid and test are shares of each class; every class keeps a photo to train on, and one to
    validate with where it has two. Files that are no photos are left out. OUT is there whole or
    not at all. ValueError, FileExistsError, OSError.
    """
    photos, out = Path(photos), Path(out)
    _check(photos, out, valid, test)
    found = find_photos(photos)
    check_photos(photos, found)
    chosen, plan = part_of_each(photos, found, valid, test, seed), []
    for path, label, part in zip(found.paths, found.labels, chosen, strict=True):
        _, *inside = path.relative_to(photos).parts
        plan.append((path, Path(part, found.classes[label], *inside)))
    _build(plan, out, link)
    counts, labels = Counter(zip(chosen, found.labels, strict=True)), range(len(found.classes))
    used = [part for part in PARTS if part != "test" or test]
    parts = {part: tuple(counts[part, label] for label in labels) for part in used}
    return Counts(found.classes, parts, found.rejected, passed_over(found))


def passed_over(found: Found) -> tuple[str, ...]:
    """A line on the files that are no photos, if there are any."""
    return (f"passed over: {counted(found.passed)}",) if found.passed else ()


def part_of_each(
    folder: Path, found: Found, valid: float, test: float = 0.0, seed: int = 0
) -> list[str]:
    """The part of each photo of a folder of classes, drawn from its class and name and a seed."""
    parts, classes = ["train"] * len(found.paths), defaultdict(list)
    for i, (path, label) in enumerate(zip(found.paths, found.labels, strict=True)):
        name = f"{seed}/{normal(path.relative_to(folder).as_posix())}"
        drawn = sha256(name.encode("utf-8", "surrogateescape")).digest()
        classes[label].append((drawn, i))
    for own in classes.values():
        order = [i for _, i in sorted(own)]
        n_valid, n_test = _shares(len(own), valid, test)
        for i in order[:n_valid]:
            parts[i] = "valid"
        for i in order[n_valid : n_valid + n_test]:
            parts[i] = "test"
    return parts


def _shares(n: int, valid: float, test: float) -> tuple[int, int]:
    """How many of a class's n photos validate and test; train keeps one at least, then valid has
    one, then test."""
    n_valid = min(max(1, round(n * valid)), n - 1)
    n_test = min(max(1, round(n * test)), n - 1 - n_valid) if test else 0
    return n_valid, n_test


def _check(photos: Path, out: Path, valid: float, test: float) -> None:
    """Raise unless the arguments of `split` can be meant."""
    if not 0 < valid < 1:
        raise ValueError(f"valid must be a share above 0 and below 1, got {valid}; try 0.1")
    if not 0 <= test < 1 - valid:
        raise ValueError(
            f"test must be a share of at least 0 and below {1 - valid:g}, what valid leaves, "
            f"got {test}"
        )
    parts = parts_of(photos)
    check_classes(parts.get("train", photos))
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


def _build(plan: list[tuple[Path, Path]], out: Path, link: bool) -> None:
    """Put every photo into its place, beside OUT at first, and rename all of it in the end."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            root = Path(temporary, out.name)
            for path, place in plan:
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                if link:
                    os.symlink(path.resolve(), root / place)
                else:
                    shutil.copyfile(path, root / place)
            if out.is_dir():  # an empty one, which Windows would not replace
                out.rmdir()
            os.replace(root, out)
    except (OSError, NotImplementedError) as error:
        said = getattr(error, "strerror", None) or error
        help = "leave out --link (link=False) to copy the photos" if link else "make room there"
        raise OSError(
            f"{shown(out)} could not be made ({said}), and nothing is left of it; {help}"
        ) from error
