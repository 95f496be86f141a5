"""Lesson 10, room 4: mistakes that no crash, no curve and no count gives away."""

import io
import itertools
import random
from collections.abc import Callable, Sequence
from typing import BinaryIO

import torch
from torch import Tensor, nn

from inception_edu.googlenet import GoogLeNet
from inception_edu.network import Outputs

SPRUNG: set[int] = set()  # traps whose code has run


def as_tuple(outputs: Outputs) -> tuple[Tensor, ...]:
    """What the network returned, as it was; callers wrote `logits, aux1, aux2 = network(x)`."""
    return outputs.logits, outputs.aux["aux2"], outputs.aux["aux1"]


class Heads(nn.Module):
    """A small GoogLeNet in training that returns the tuple which `order` makes of its outputs."""

    def __init__(self, order: Callable[[Outputs], tuple[Tensor, ...]], width: float = 1 / 8):
        super().__init__()
        self.network = GoogLeNet("small", num_classes=10, in_channels=1, width=width)
        self.body, self._order = self.network.body, order

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._order(self.network(x))


def heard(network: Heads, block: str, x: Tensor) -> list[bool]:
    """Whether each output of the tuple sends a gradient to the weights of a block."""
    weights = list(network.body.get_submodule(block).parameters())
    sums = [output.sum() for output in network(x)]
    how = dict(retain_graph=True, allow_unused=True)
    return [torch.autograd.grad(total, weights, **how)[0] is not None for total in sums]


def split(listing: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names as os.listdir gives them -> those to train on, those to validate on, as it was."""
    names, n = list(listing), len(listing) // 10
    return names[n:], names[:n]


def sorted_split(listing: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """The same, from the names and a seed alone."""
    names, n = sorted(listing), len(listing) // 10
    random.Random(seed).shuffle(names)
    return names[n:], names[:n]


def listings(n: int) -> list[list[str]]:
    """The names of n photos, in the orders in which two file systems list them."""
    names = [f"photo_{i:04d}.jpg" for i in range(n)]
    dice = random.Random(0)
    return [dice.sample(names, n) for _ in range(2)]


class Secretive(nn.Module):
    """Some network that normalises what it is given, and tells nobody."""

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.network, self.mean, self.std = network, mean, std

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def arriving(network: nn.Module, x: Tensor) -> Tensor:
    """What reaches the first layer that has weights."""
    seen = []
    first = next(m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    hook = first.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    try:
        network(x)
    finally:
        hook.remove()
    return seen[0].detach()


def load(file: BinaryIO) -> object:
    """Read a checkpoint, as it was."""
    return torch.load(file, weights_only=False)


def spring(number: int) -> None:
    """The code in a trapped file; this one is harmless and leaves a note."""
    SPRUNG.add(number)


class Trap:
    """A checkpoint, as an open `file`, that runs `spring` when it is unpickled."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self.number, self.file = next(self.numbers), io.BytesIO()
        torch.save({"weights": torch.zeros(3), "more": self}, self.file)
        self.file.seek(0)

    def __reduce__(self) -> tuple:
        return spring, (self.number,)  # what unpickling calls, and with what

    @property
    def sprung(self) -> bool:
        """Whether the code in the file has run."""
        return self.number in SPRUNG


def with_norm(part: nn.Module, norm: Callable[[int], nn.Module], where: str = "") -> nn.Module:
    """The part with `norm(channels)` for each batch norm whose name holds `where`."""
    for name, layer in list(part.named_modules()):
        if isinstance(layer, nn.BatchNorm2d) and where in name:
            parent, _, last = name.rpartition(".")
            setattr(part.get_submodule(parent), last, norm(layer.num_features))
    return part
