"""A data set's splits as uint8 tensors, and the batches drawn from them: shuffled and augmented."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inception_edu.checks import check_whole
from inception_edu.data.augmentation import augment, random_crops

LARGE = 2**30  # bytes of images that are held in memory, a computer's or a GPU's; more stay on disk


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (n, c, h, w) as float32, (x - mean) / std by channel, with white as 1."""
    x = pixels.float()
    # Plain numbers channel by channel: copying tensors of means would stall a GPU every batch.
    for c, (m, s) in enumerate(zip(mean, std, strict=True)):
        x[:, c].sub_(255 * m).div_(255 * s)
    return x


def mean_and_std(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By channel of uint8 (n, c, h, w), with white as 1: exact, from counts of the 256 values."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for some in images.split(100):  # not all at once: they may lie on disk
        for c, pixels in enumerate(some.numpy().swapaxes(0, 1)):  # numpy has no threads that wait
            counts[c] += torch.from_numpy(np.bincount(pixels.ravel(), minlength=256))
    value = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ value
    std = (share * (value - mean[:, None]) ** 2).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(s or 1.0 for s in std.tolist())  # 1: one colour everywhere


def balanced_order(labels: Tensor, seed: int) -> Tensor:
    """Every image once, the classes taking turns: any beginning is balanced to within one."""
    check_whole("seed", seed, 0, 2**63 - 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled, turn = labels[order].numpy(), np.empty(len(labels), int)
    for label in np.unique(shuffled):
        turn[shuffled == label] = np.arange((shuffled == label).sum())
    return order[np.lexsort((shuffled, turn))]  # by turn, then by class


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 (n, c, h, w), labels int64 (n,); by channel, mean and std with white as 1."""

    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None  # pixels of a side that batches are scaled to; None: as they are
    resize: int | None = None  # of photos, pixels of the shorter side whose middle is an image

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image in a batch: channels, height, width."""
        c, *sides = self.images.shape[1:]
        return (c, self.size, self.size) if self.size else (c, *sides)

    def resized(self, size: int) -> "Split":
        """The same split, whose batches are scaled to size x size pixels."""
        resize = self.resize and round(self.resize * size / self.shape[1])
        return replace(self, size=size, resize=resize)

    def to(self, device: torch.device) -> "Split":
        """The same split in the device's memory, so that no batch is copied there again; the images
        of a very large one stay where they are."""
        images = self.images if self.images.nbytes > LARGE else self.images.to(device)
        return replace(self, images=images, labels=self.labels.to(device))

    def batch(self, index: Tensor | slice, device="cpu") -> tuple[Tensor, Tensor]:
        """The images chosen, normalised to float32 (n, c, h, w), and their labels (n,)."""
        images, labels = self.images[index], self.labels[index]
        if len(labels) == 0:
            raise ValueError(f"index must choose at least one of {len(self)} images, got none")
        x = normalise(images.to(device), self.mean, self.std)
        if self.size:
            x = interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return x, labels.to(device)

    def check_not_empty(self) -> None:
        """Raise ValueError where there are no images."""
        if len(self) == 0:
            raise ValueError(
                "this split of the data set has no images: the validation split is empty if `load` "
                "was called with valid=0 or with a limit of few images; give a larger one"
            )

    def batches(self, size: int, device="cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, size at a time; ValueError where there are none or size <= 0."""
        self.check_not_empty()
        check_whole("size", size, 1)
        return (self.batch(slice(i, i + size), device) for i in range(0, len(self), size))


@dataclass(frozen=True, eq=False)
class Dataset:
    """The splits of a data set (test: None where there is none), class names, mean and std."""

    name: str
    train: Split
    valid: Split
    test: Split | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: dict[str, str] = field(default_factory=dict, repr=False)  # photo not read -> why
    notes: tuple[str, ...] = field(default=(), repr=False)  # the report on a folder, by lines

    def resized(self, size: int) -> "Dataset":
        """The same data set, whose batches are scaled to size x size pixels."""
        check_whole("size", size, 1)
        return self._with(lambda part: part.resized(size))

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Dataset":
        """The same data set, normalised by another mean and std: those that weights know."""
        return replace(
            self._with(lambda part: replace(part, mean=mean, std=std)), mean=mean, std=std
        )

    def _with(self, change: Callable[[Split], Split]) -> "Dataset":
        parts = {name: getattr(self, name) for name in ("train", "valid", "test")}
        return replace(self, **{name: part and change(part) for name, part in parts.items()})


class Batches:
    """Endless whole batches of a split, augmented, reshuffled when too few images are left.

    Batches of `size` are drawn, and every world-th image from the rank-th on is handed out.
    Images are shifted by up to `shift` pixels; of photos, unless it is 0, random parts are taken.
    `state_dict` is where it stands; loading that continues with the very same batches.
    """

    def __init__(
        self, split: Split, size: int, *, seed: int, shift: int, flip: bool, rank: int, world: int
    ) -> None:
        self.split, self.size, self.rank, self.world = split, size, rank, world
        self.augment = random_crops if split.resize and shift else partial(augment, shift=shift)
        self.augmentation = dict(flip=flip, rank=rank, world=world)
        self.generator = torch.Generator().manual_seed(seed)
        self.left = torch.empty(0, dtype=torch.int64)

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next images (n, c, h, w), on the split's device, and their labels (n,)."""
        if len(self.left) < self.size:
            self.left = torch.randperm(len(self.split), generator=self.generator)
        index, self.left = self.left[: self.size], self.left[self.size :]
        x, labels = self.split.batch(index[self.rank :: self.world], self.split.labels.device)
        return self.augment(x, self.generator, **self.augmentation), labels

    def state_dict(self) -> dict[str, Tensor]:
        """What decides all further batches."""
        return dict(generator=self.generator.get_state(), left=self.left.clone())

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where `state` was taken."""
        self.generator.set_state(state["generator"])
        self.left = state["left"].clone()
