"""Lesson 10, exhibits 4 to 6: the code, right or with a bug, that the student's tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.lessons.lesson_10 import exhibit_4 as four, exhibits_5_6 as five
from inception_edu.lessons.lesson_10.guard import Make, sealed

WIDTHS, ROWS = (8, 16, 12), ("4d", "3a", "5b")


def residual(block: Callable[..., nn.Module]) -> Make:
    """A residual block in evaluation mode, as a function; an input with negative values."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        c, row = WIDTHS[seed], TABLE_1[ROWS[seed]].scaled(1 / 8)
        return sealed(block(c, row).eval()), torch.randn(3, c, 7, 8 + seed)

    return make


def plain(c: int, row: object) -> nn.Module:
    """Right: the first ReLU makes a new tensor."""
    return four.mended(four.Residual(c, row))


class OnACopy(four.Residual):
    """Right: the branches get a copy, in which they may write."""

    def forward(self, x: Tensor) -> Tensor:
        return self.branches(x.clone()) + x


class Later(four.Residual):
    """Right: it writes in place, but into what a layer of its own made."""

    def forward(self, x: Tensor) -> Tensor:
        _, inception, linear = self.branches
        return linear(inception(x.relu())).add_(x)


class SumInPlace(four.Residual):
    """The sum is written into x."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.branches(x.clone())
        x += y
        return x


class Clamped(four.Residual):
    """x is clamped in place, without a ReLU layer."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.branches(x.clamp_(min=0).clone())
        return y + x


class Halved(four.Residual):
    """The branches' result is added to an x that was scaled in place."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.branches(x.clone())
        return y + x.mul_(0.5)


def normed(make_norm: Callable[[int], nn.Module], where: str = "") -> Make:
    """A block in training mode with these norms, and an input for it."""

    def make(seed: int) -> tuple[nn.Module, Tensor]:
        c_in, row = WIDTHS[seed], TABLE_1[ROWS[seed]].scaled(1 / 8)
        block = five.with_norm(Inception(c_in, row), make_norm, where)
        return block.train(), torch.randn(4, c_in, 7, 8 + seed)

    return make


def momentum(value: float) -> Callable[[int], nn.BatchNorm2d]:
    """What makes a batch norm of this momentum."""
    return partial(nn.BatchNorm2d, eps=1e-3, momentum=value)


def stepping(step: Callable) -> Make:
    """The function that makes a step."""
    return lambda seed: (sealed(step),)


def weighted(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """A step that is right: each part's mean counts by its number of images."""
    optimiser.zero_grad()
    for part, own in zip(x.split(size), labels.split(size), strict=True):
        (cross_entropy(network(part), own) * len(own) / len(labels)).backward()
    optimiser.step()


def summed(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """A step that is right: sums over images, divided in the end."""
    optimiser.zero_grad()
    for part, own in zip(x.split(size), labels.split(size), strict=True):
        cross_entropy(network(part), own, reduction="sum").backward()
    for p in network.parameters():
        p.grad /= len(labels)
    optimiser.step()


def at_once(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """A step that is right: all of the batch, for which there is memory here."""
    weighted(network, optimiser, x, labels, len(labels))


def mean_of_means(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """Every part counts alike, though the last one is smaller."""
    optimiser.zero_grad()
    parts = list(zip(x.split(size), labels.split(size), strict=True))
    for part, own in parts:
        (cross_entropy(network(part), own) / len(parts)).backward()
    optimiser.step()


def last_left_out(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """The images that fill no part are left out."""
    n = max(size, len(labels) // size * size)
    weighted(network, optimiser, x[:n], labels[:n], size)


def step_each(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """A step after every part."""
    for part, own in zip(x.split(size), labels.split(size), strict=True):
        weighted(network, optimiser, part, own, size)
