"""A folder of photos, one folder per class, split into parts: the same ones on every machine.

The names and a seed decide, by a hash; nothing depends on the order in which a file system lists.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from inception_edu.decoding import shown
from inception_edu.photos import class_folders, find_photos, normal

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Counts:
    """How many photos of each class went into each part; `rejected` are pairs of path and why."""

    classes: tuple[str, ...]
    parts: dict[str, tuple[int, ...]]  # train, valid and maybe test -> photos of each class
    rejected: tuple[tuple[Path, str], ...] = ()

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
    valid: float = 0.1,
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
    names = {path: normal(path.relative_to(photos).as_posix()) for path in found.paths}
    counts, plan = {part: [] for part in PARTS}, []
    for k, name in enumerate(found.classes):
        own = [path for path, label in zip(found.paths, found.labels, strict=True) if label == k]
        if not own:
            raise ValueError(
                f"class {shown(name)!r} has no photo that can be read; remove its folder"
            )
        order = sorted(own, key=lambda path: (_draw(seed, names[path]), path))
        for part, chosen in _share(order, valid, test).items():
            counts[part].append(len(chosen))
            folder = photos / order[0].relative_to(photos).parts[0]
            plan += [(path, Path(part, name, path.relative_to(folder))) for path in chosen]
    _build(plan, out, link)
    used = {part: tuple(n) for part, n in counts.items() if part != "test" or test}
    return Counts(found.classes, used, found.rejected)


def is_split(folder: Path) -> bool:
    """Whether a folder holds the parts of a data set, not its classes."""
    parts = [folder / part for part in PARTS if (folder / part).is_dir()]
    holders = [part for part in parts if any(path.is_dir() for path in part.iterdir())]
    return folder / "train" in holders and len(holders) > 1


def _check(photos: Path, out: Path, valid: float, test: float) -> None:
    """Raise unless the arguments of `split` can be meant."""
    if not 0 < valid < 1:
        raise ValueError(f"valid must be a share above 0 and below 1, got {valid}; try 0.1")
    if not 0 <= test < 1 - valid:
        raise ValueError(
            f"test must be a share of at least 0 and below {1 - valid:g}, what valid leaves, "
            f"got {test}"
        )
    if photos.is_dir() and is_split(photos):
        raise ValueError(
            f"{shown(photos)} is split already, into {' and '.join(PARTS[:2])}; train with it, or "
            "give the folder that it was made from"
        )
    if len(classes := class_folders(photos)) < 2:
        raise ValueError(
            f"{shown(photos)} must hold at least 2 classes, one folder each, got "
            f"{shown(next(iter(classes)))!r} alone"
        )
    if out.resolve() == photos.resolve() or photos.resolve() in out.resolve().parents:
        raise ValueError(
            f"out must lie outside of {shown(photos)}, whose folders are classes, got {shown(out)}"
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(f"{shown(out)} holds something already; give a new folder")


def _draw(seed: int, name: str) -> bytes:
    return sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def _share(order: list[Path], valid: float, test: float) -> dict[str, list[Path]]:
    """A class's photos by part; train keeps one at least, then valid has one, then test."""
    n = len(order)
    n_valid = min(max(1, round(n * valid)), n - 1)
    n_test = min(max(1, round(n * test)), n - 1 - n_valid) if test else 0
    held = n_valid + n_test
    return dict(train=order[held:], valid=order[:n_valid], test=order[n_valid:held])


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
