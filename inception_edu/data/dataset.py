"""Data sets: load("fashion_mnist") -> train, valid, test as tensors; augmentation in batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inception_edu.checks import check_whole


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (n, c, h, w) as float32 less the mean, over the spread, by channel; white is 1."""
    x = pixels.float()
    # Plain numbers channel by channel: copying tensors of means would stall a GPU every batch.
    for c, (m, s) in enumerate(zip(mean, std, strict=True)):
        x[:, c].sub_(255 * m).div_(255 * s)
    return x


def mean_and_std(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By channel of uint8 (n, c, h, w), with white as 1."""
    channels = images.unbind(1)
    return statistics(torch.stack([x.flatten().bincount(minlength=256) for x in channels]))


def statistics(counts: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std by channel, with white as 1, from counts (c, 256) of the 256 values: exact."""
    value = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double()
    share /= share.sum(1, keepdim=True)
    mean = share @ value
    std = (share * (value - mean[:, None]) ** 2).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(s or 1.0 for s in std.tolist())  # 1: one colour everywhere


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 (n, c, h, w), labels int64 (n,); by channel, mean and std with white as 1."""

    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None  # pixels of a side that batches are scaled to; None: as they are

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image in a batch: channels, height, width."""
        c, *sides = self.images.shape[1:]
        return (c, self.size, self.size) if self.size else (c, *sides)

    def to(self, device: torch.device) -> "Split":
        """The same split in the device's memory, so that no batch is copied there again."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batch(self, index: Tensor | slice, device="cpu") -> tuple[Tensor, Tensor]:
        """The images chosen, normalised to float32 (n, c, h, w), and their labels (n,)."""
        images, labels = self.images[index], self.labels[index]
        if len(labels) == 0:
            raise ValueError(f"index must choose at least one of {len(self)} images, got none")
        x = normalise(images.to(device), self.mean, self.std)
        if self.size:
            x = interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return x, labels.to(device)

    def batches(self, size: int, device="cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, size at a time; ValueError where there are none or size <= 0."""
        if len(self) == 0:
            raise ValueError("this part has 0 images; load the data set with a larger valid")
        check_whole("size", size, 1)
        return (self.batch(slice(i, i + size), device) for i in range(0, len(self), size))

    def shuffled(self, size: int, **how) -> "Batches":
        """Endless batches to train on, as `Batches` says."""
        return Batches(self, size, **how)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The parts of a data set (test: None where there is none), class names, mean and std."""

    name: str
    train: Split
    valid: Split
    test: Split | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def resized(self, size: int) -> "Dataset":
        """The same data set, whose batches are scaled to size x size pixels."""
        check_whole("size", size, 1)
        return replace(self, **self._parts(size=size))

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Dataset":
        """The same data set less another mean, over another spread: those that weights know."""
        return replace(self, mean=mean, std=std, **self._parts(mean=mean, std=std))

    def _parts(self, **changes) -> dict:
        parts = {name: getattr(self, name) for name in ("train", "valid", "test")}
        return {name: part and replace(part, **changes) for name, part in parts.items()}


def augment(
    x: Tensor,
    generator: torch.Generator,
    *,
    shift: int = 2,
    flip: bool = True,
    rank: int = 0,
    world: int = 1,
) -> Tensor:
    """Shift each image of (n, c, h, w) by up to shift pixels and flip half of them left-right.

    Edges are repeated into what a shift uncovers. The generator is the CPU's, so that every
    device sees the same draws. They are made for n x world images, of which x holds every
    world-th from the rank-th on: together the processes see what one alone would.
    """
    n, c, h, w = x.shape
    check_whole("shift", shift, 0, min(h, w) - 1)
    down, right = torch.randint(-shift, shift + 1, (2, n * world, 1), generator=generator)
    rows = (torch.arange(h) + down[rank::world]).clamp(0, h - 1).to(x.device)
    columns = (torch.arange(w) + right[rank::world]).clamp(0, w - 1)
    if flip:
        flipped = torch.rand((n * world, 1), generator=generator)[rank::world] < 0.5
        columns = torch.where(flipped, w - 1 - columns, columns)
    source = rows[:, :, None] * w + columns.to(x.device)[:, None, :]  # each pixel's place in x
    return x.flatten(2).gather(2, source.view(n, 1, h * w).expand(-1, c, -1)).view(n, c, h, w)


class Batches:
    """Endless whole batches of a split, augmented, reshuffled when too few images are left.

    Batches of `size` are drawn, and every world-th image from the rank-th on is handed out.
    `state_dict` is where it stands; loading that continues with the very same batches.
    """

    def __init__(
        self, split: Split, size: int, *, seed: int, shift: int, flip: bool, rank: int, world: int
    ) -> None:
        self.split, self.size, self.rank, self.world = split, size, rank, world
        self.augmentation = dict(shift=shift, flip=flip, rank=rank, world=world)
        self.generator = torch.Generator().manual_seed(seed)
        self.left = torch.empty(0, dtype=torch.int64)

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next images (n, c, h, w), on the split's device, and their labels (n,)."""
        if len(self.left) < self.size:
            self.left = torch.randperm(len(self.split), generator=self.generator)
        index, self.left = self.left[: self.size], self.left[self.size :]
        x, labels = self.split.batch(index[self.rank :: self.world], self.split.images.device)
        return augment(x, self.generator, **self.augmentation), labels

    def state_dict(self) -> dict[str, Tensor]:
        """What decides all further batches."""
        return dict(generator=self.generator.get_state(), left=self.left.clone())

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where `state` was taken."""
        self.generator.set_state(state["generator"])
        self.left = state["left"].clone()
