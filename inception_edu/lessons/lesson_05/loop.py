"""Lesson 05: what its loops train and are fed with; the loops themselves stand in the lesson."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from inception_edu.data import Batches, Dataset, Split
from inception_edu.lessons.shared import small_googlenet
from inception_edu.training import Recipe, fit, silent


def googlenet() -> nn.Sequential:
    """The small GoogLeNet with its first weights as plain layers, (n, 1, 28, 28) -> logits."""
    torch.manual_seed(0)
    network = small_googlenet()
    return nn.Sequential(network.stem, network.body, network.head)


def small_network(seed: int) -> nn.Sequential:
    """A network with batch norm and dropout of which a step takes a millisecond."""
    torch.manual_seed(seed)
    first = nn.Flatten(), nn.Linear(784, 64), nn.BatchNorm1d(64), nn.ReLU()
    return nn.Sequential(*first, nn.Dropout(0.3), nn.Linear(64, 10))


def shuffled(dataset: Dataset, size: int, seed: int = 0, *, shift: int = 0) -> Batches:
    """Endless batches of the training images in a new order each epoch; `.draw()` is the next."""
    return Batches(dataset.train, size, seed=seed, shift=shift, flip=False, rank=0, world=1)


class PlainImages(torch.utils.data.Dataset):
    """A split image by image, through torchvision's transforms: the way tutorials read data."""

    def __init__(self, split: Split, recipe: Recipe) -> None:
        self.split, side = split, split.images.shape[2]
        steps = [v2.ToPILImage(), v2.RandomCrop(side, padding=recipe.shift, padding_mode="edge")]
        steps += [v2.RandomHorizontalFlip()] if recipe.flip else []
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        self.transform = v2.Compose([*steps, v2.Normalize(split.mean, split.std)])

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.split.images[i]), int(self.split.labels[i])


def without_validation(dataset: Dataset) -> Dataset:
    """The data set with no image to validate on."""
    valid = dataset.valid
    return replace(dataset, valid=replace(valid, images=valid.images[:0], labels=valid.labels[:0]))


def fit_only(model: nn.Module, dataset: Dataset, recipe: Recipe, device: str = "auto") -> int:
    """`fit` without validation; returns how many images it took."""
    history = fit(model, without_validation(dataset), recipe, device=device, watch=silent)
    return history.step * history.batch_size


def speeds(calls: dict[str, Callable[[], int]], repeats: int) -> dict[str, list[float]]:
    """Images per second of every call, taking turns; a first round is not counted."""
    measured = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            images = call()
            if turn:
                measured[name].append(images / (time.perf_counter() - start))
    return measured
