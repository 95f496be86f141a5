"""Folders of photos that need not fit into memory: cut, shuffled and handed out batch by batch.

A part has the face of a data.Split; worker processes decode its photos. A photo that cannot be
read when its turn comes is passed over and named in `skipped`: no file ever ends a run.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from inception_edu.checks import check_whole
from inception_edu.data.dataset import Dataset, normalise, statistics
from inception_edu.data.photos import class_folders, find_photos, list_photos, normal
from inception_edu.data.sources import balanced_order
from inception_edu.data.streams import GONE, PhotoBatches, Reader, look_at, stream
from inception_edu.files import shown

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


SIZE = 64  # pixels of a side where nothing else is said: what the small variants can tell apart


@dataclass(frozen=True, eq=False)
class PhotoSplit:
    """Photos by path, labels int64 (n,); by channel, mean and std with white as 1."""

    paths: tuple[str, ...] = field(repr=False)
    labels: Tensor = field(repr=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int  # pixels of a side, after cutting
    device: torch.device | str = "cpu"
    workers: int | None = None  # processes that decode; None: by the rule of streams.py
    skipped: dict[str, str] = field(default_factory=dict)  # path -> why

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image in a batch: channels, height, width."""
        return 3, self.size, self.size

    @property
    def resize(self) -> int:
        """Pixels of a photo's shorter side, before the middle is cut out: 256 for 224."""
        return round(self.size * 8 / 7)

    def to(self, device: torch.device) -> "PhotoSplit":
        """The same part, whose shuffled batches come to the device."""
        return replace(self, device=device)

    def batch(self, index: Tensor | slice, device="cpu") -> tuple[Tensor, Tensor]:
        """The photos chosen, or others where they cannot be read, cut and normalised
        (n, 3, size, size), and their labels (n,)."""
        places = torch.arange(len(self))[index].tolist()
        if not places:
            raise ValueError(f"index must choose at least one of {len(self)} photos, got none")
        return self.take(next(stream(Reader(self), [[(0, i) for i in places]], 0)), device)

    def batches(self, size: int, device="cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """All photos in order, size at a time, without those that cannot be read."""
        check_whole("size", size, 1)
        keys = [(None, i) for i in range(len(self))]
        batches = [keys[i : i + size] for i in range(0, len(keys), size)]
        found = 0
        for items in stream(Reader(self), batches, self.workers):
            x, labels = self.take(items, device)
            found += len(labels)
            if len(labels):
                yield x, labels
        if not found:
            raise OSError(GONE.format(shown(self.paths[0])))

    def shuffled(self, size: int, **how) -> "PhotoBatches":
        """Endless batches to train on, as `PhotoBatches` says."""
        return PhotoBatches(self, size, **how)

    def take(self, items: tuple, device) -> tuple[Tensor, Tensor]:
        """What the workers made of some photos, as a batch; what they could not read is noted."""
        pixels, labels, failed = items
        self.skipped.update(failed)
        x = normalise(torch.from_numpy(pixels).to(device), self.mean, self.std)
        return x, torch.from_numpy(labels).to(device)


def load_folder(
    folder: Path, *, limit: int | None = None, seed: int = 0, size: int | None = None
) -> Dataset:
    """A folder with train, valid and maybe test, each with one folder per class.

    Every photo is decoded once: those that cannot be read are left out (in each part's
    `skipped`), and mean and std are those of the photos to train on. ValueError.
    """
    size = SIZE if size is None else size
    check_whole("size", size, 1)
    classes, listed = _list(folder)
    if limit is not None:
        listed |= _limited(listed, limit, len(classes), seed)
    parts, counts = {}, {}
    for part, (paths, labels) in listed.items():
        whole = PhotoSplit(tuple(paths), torch.tensor(labels), (0.0,) * 3, (1.0,) * 3, size)
        parts[part], counts[part] = _readable(whole)
        there = set(parts[part].labels.tolist())
        needed = enumerate(classes) if part == "train" else []
        lost = [f"class {shown(name)!r}" for k, name in needed if k not in there]
        if lost or not there:
            what = lost[0] if lost else "any class"
            raise ValueError(f"{shown(folder / part)} has no photo of {what} that can be read")
    mean, std = statistics(counts["train"])
    name, test = folder.resolve().name, parts.get("test")
    dataset = Dataset(name, parts["train"], parts["valid"], test, classes, mean, std)
    return dataset.normalised(mean, std)


def _list(folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[list[str], list[int]]]]:
    """The classes; paths and labels by part."""
    there = [part for part in PARTS if (folder / part).is_dir()]
    if there[:2] != ["train", "valid"]:
        raise ValueError(
            f"{shown(folder)} must hold the folders train and valid, each with one folder per "
            f"class; `python -m inception_edu split {shown(folder)} OUT` makes them in OUT"
        )
    classes, listed = tuple(class_folders(folder / "train")), {}
    if len(classes) < 2:
        raise ValueError(f"{shown(folder / 'train')} must hold at least 2 classes, a folder each")
    for part in there:
        folders = class_folders(folder / part)
        if strange := sorted(set(folders) - set(classes)):
            raise ValueError(
                f"{shown(folder / part)} has a class {shown(strange[0])!r} that train does not have"
            )
        found = [(str(path), classes.index(k)) for k in folders for path in list_photos(folders[k])]
        listed[part] = [path for path, _ in found], [label for _, label in found]
    return classes, listed


def _limited(listed: dict, limit: int, classes: int, seed: int) -> dict:
    """The parts train and valid cut to `limit` photos together, in proportion and balanced."""
    sizes = {part: len(listed[part][0]) for part in ("train", "valid")}
    check_whole("limit", limit, classes + 1, sum(sizes.values()))
    valid = min(max(1, limit * sizes["valid"] // sum(sizes.values())), limit - classes)
    kept = {}
    for part, n in dict(train=limit - valid, valid=valid).items():
        paths, labels = listed[part]
        chosen = sorted(balanced_order(torch.tensor(labels), seed)[:n].tolist())
        kept[part] = [paths[i] for i in chosen], [labels[i] for i in chosen]
    return kept


def _readable(split: PhotoSplit) -> tuple[PhotoSplit, Tensor]:
    """The part without the photos that cannot be read, and how often each of the 256 values
    occurs in what is cut out of the others, by channel (3, 256)."""
    counts, why = look_at(split)
    kept = [i for i, path in enumerate(split.paths) if path not in why]
    split.skipped.update(why)
    paths = tuple(split.paths[i] for i in kept)
    return replace(split, paths=paths, labels=split.labels[kept]), counts
