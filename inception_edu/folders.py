"""Folders of photos that need not fit into memory: cut, shuffled and handed out batch by batch.

A part has the face of a data.Split; worker processes decode its photos. A photo that cannot be
read when its turn comes is passed over and named in `skipped`: no file ever ends a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from inception_edu.data import Dataset
from inception_edu.decoding import shown
from inception_edu.layers import check_whole
from inception_edu.photos import class_folders, list_photos
from inception_edu.pixels import normalise, statistics
from inception_edu.sources import balanced_order
from inception_edu.splitting import PARTS
from inception_edu.streams import GONE, PhotoBatches, Reader, look_at, stream

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
