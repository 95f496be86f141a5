"""Lesson 10, room 4: the code, right or with a bug, that the student's tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

import io
import random
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import BinaryIO
from zlib import crc32

import torch
from torch import Tensor, nn

from inception_edu.lessons.lesson_10 import exhibits_silent as silent
from inception_edu.lessons.lesson_10.guard import Make, sealed
from inception_edu.network import Outputs

SCALES = ((0.3, 0.35), (0.5, 0.2), (0.45, 0.25))  # mean and std of what a network was trained on


scores = namedtuple("Scores", ("logits", "aux1", "aux2"))._make  # by name as by place


def returning(*heads: str, kind: Callable = tuple) -> Make:
    """A network in training that returns its logits, then these heads', as such a collection."""

    def order(outputs: Outputs) -> Sequence[Tensor]:
        return kind([outputs.logits, *(outputs.aux[name] for name in heads)])

    return lambda seed: (silent.Heads(order, width=(1 / 8, 1 / 16, 1 / 12)[seed]).train(),)


def splitting(split: Callable) -> Make:
    """The function that splits a listing of names."""
    return lambda seed: (sealed(split),)


def shuffled(listing: list[str]) -> tuple[list[str], list[str]]:
    """A split with a seed, but of the names as they come."""
    names, n = list(listing), len(listing) // 10
    random.Random(0).shuffle(names)
    return names[n:], names[:n]


def by_hash(listing: list[str]) -> tuple[list[str], list[str]]:
    """A split that is right in another way: names in the order of their checksums."""
    names, n = sorted(listing, key=lambda name: (crc32(name.encode()), name)), len(listing) // 10
    return names[n:], names[:n]


def by_tens(listing: list[str]) -> tuple[list[str], list[str]]:
    """A split that is right in a third way: every tenth name of the sorted ones."""
    return tenth(sorted(listing))


def tenth(listing: list[str]) -> tuple[list[str], list[str]]:
    """Every tenth name, as they come."""
    held = list(listing)[::10][: len(listing) // 10]
    return [name for name in listing if name not in held], held


def both(mean: float, std: float) -> tuple[float, float]:
    """All of it is done here."""
    return mean, std


def neither(mean: float, std: float) -> tuple[float, float]:
    """Nothing is done here."""
    return 0.0, 1.0


def shift(mean: float, std: float) -> tuple[float, float]:
    """Only the mean is taken away here."""
    return mean, 1.0


def spread(mean: float, std: float) -> tuple[float, float]:
    """Only the standard deviation is divided by here."""
    return 0.0, std


def normalising(outside: Callable, inside: Callable) -> Make:
    """`prepare`, a network, and images uint8; `outside` and `inside` of (mean, std) are the mean
    and std that the two subtract and divide by."""

    def make(seed: int) -> tuple[Callable, nn.Module, Tensor]:
        mean, std = SCALES[seed]
        images = 255 * (mean + std * torch.randn(16, 1, 28, 28))
        images = images.clamp(0, 255).to(torch.uint8)
        scale = images.double().mean().item() / 255, images.double().std().item() / 255

        def prepare(pixels: Tensor) -> Tensor:
            shift, spread = outside(*scale)
            return (pixels / 255 - shift) / spread

        layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
        return prepare, silent.Secretive(layers, *inside(*scale)), images

    return make


def loading(load: Callable[[BinaryIO], object]) -> Make:
    """The function that reads a checkpoint from an open file."""
    return lambda seed: (sealed(load),)


def safe(file: BinaryIO) -> object:
    """Tensors and numbers, or an error."""
    return torch.load(file, weights_only=True)


def polite(file: BinaryIO) -> object:
    """Tensors and numbers, or None."""
    try:
        return safe(file)
    except Exception:
        return None


def copying(file: BinaryIO) -> object:
    """Tensors and numbers, from a copy of the file in memory; an error of its own."""
    try:
        return safe(io.BytesIO(file.read()))
    except Exception as error:
        raise ValueError("this file holds more than tensors and numbers") from error


def looking_later(file: BinaryIO) -> object:
    """Anything, and then an error where it was more than tensors and numbers."""
    found = torch.load(file, weights_only=False)
    if not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError("this file holds more than tensors and numbers")
    return found


def obliging(file: BinaryIO) -> object:
    """Tensors and numbers, and where that is refused, anything."""
    try:
        return safe(file)
    except Exception:
        file.seek(0)
        return torch.load(file, weights_only=False)
