"""Lesson 10, room 3 and exhibit 12: blocks and networks, right or with a bug, that the student's
tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inception_edu.googlenet import TABLE_1, Inception, Row
from inception_edu.layers import Concat, chain, conv
from inception_edu.lessons.lesson_10 import exhibits_count as count
from inception_edu.lessons.lesson_10.guard import Make, sealed

WIDTHS, ROWS = (8, 16, 12), ("4d", "3a", "5b")


def built(change: Callable = lambda block: block, width: float = 1 / 4, **narrow: int) -> Make:
    """A block that is narrower than its row by so many channels; its c_in; its row."""

    def make(seed: int) -> tuple[Concat, int, Row]:
        row, c_in = TABLE_1[ROWS[seed]].scaled(width), (128, 48, 208)[seed]
        less = {name: getattr(row, name) - by for name, by in narrow.items()}
        return change(Inception(c_in, row._replace(**less))), c_in, row

    return make


def turned_round(block: Concat) -> Concat:
    """The same branches, the last one first."""
    return Concat(**dict(reversed(list(block.items()))))


def on_stem(stem: Callable[[int], nn.Module]) -> Make:
    """The nine blocks on a stem; images and labels."""

    def make(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
        n, side = (6, 4, 9)[seed], (28, 32, 28)[seed]
        images, labels = torch.randn(n, 1, side, side), torch.arange(n)
        return count.nine_blocks(stem(4), 4), images, labels

    return make


def wide_stem(c: int) -> nn.Sequential:
    """A stem with ImageNet's kernel and pool that leaves the grid large enough."""
    return chain(conv1=conv(1, c, 7), pool1=nn.MaxPool2d(3, 2, 1), conv2=conv(c, 3 * c, 3))


def strided_stem(c: int) -> nn.Sequential:
    """A stem without pools, which halves the grid by a step of 2."""
    return chain(conv1=conv(1, c, 3), conv2=conv(c, 3 * c, 5, stride=2))


def three_pools(c: int) -> nn.Sequential:
    """A stem whose convolutions are those of the series, and whose pools are too many."""
    pools = (nn.MaxPool2d(3, 2, 1) for _ in range(3))
    return chain(conv1=conv(1, c, 3), conv2=conv(c, 3 * c, 3), pool=nn.Sequential(*pools))


def block(change: Callable[[Concat], Concat] = lambda block: block, **options: bool) -> Make:
    """A block in training, changed, and an input for it."""

    def make(seed: int) -> tuple[Concat, Tensor]:
        c_in, row = WIDTHS[seed], TABLE_1[ROWS[seed]].scaled(1 / 4)
        return change(Inception(c_in, row, **options)), torch.randn(4, c_in, 9, 7 + seed)

    return make


def answering(change: Callable[[Concat], Concat] = lambda block: block, **options: bool) -> Make:
    """A block in evaluation mode, changed, as a function; an input for it."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        built, x = block(change, **options)(seed)
        return sealed(built.eval()), x

    return make
