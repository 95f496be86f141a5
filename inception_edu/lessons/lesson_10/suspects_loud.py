"""Lesson 10, rooms 1 to 3: the code, right or with a bug, that the student's tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from inception_edu.googlenet import TABLE_1, Inception, Row
from inception_edu.layers import Concat, chain, conv
from inception_edu.lessons.lesson_10 import exhibits_count as count, exhibits_curve as curve
from inception_edu.lessons.lesson_10.exhibits_stop import halvings
from inception_edu.lessons.lesson_10.guard import Make, sealed

WIDTHS, CLASSES, ROWS = (8, 16, 12), (10, 5, 100), ("4d", "3a", "5b")


def headed(head: Callable[[int, int], nn.Module]) -> Make:
    """A network, as a function, that ends with `head(c, num_classes)`."""
    return lambda seed: (sealed(halvings(head(WIDTHS[seed], CLASSES[seed]), WIDTHS[seed])),)


def stride_of_7(c: int, num_classes: int) -> nn.Sequential:
    """A head with a pool of 7x7 that takes steps of 7."""
    return nn.Sequential(nn.AvgPool2d(7), nn.Flatten(), nn.Linear(c, num_classes))


def reading(read: Callable[[Image.Image], Tensor]) -> Make:
    """The function that reads a photo."""
    return lambda seed: (sealed(read),)


def first_three(photo: Image.Image) -> Tensor:
    """Three channels at any price: one is repeated, a fourth is cut off."""
    x = pil_to_tensor(photo) / 255
    return x.expand(3, -1, -1) if len(x) == 1 else x[:3]


def scoring(*, softmax: bool) -> Make:
    """A network for 28x28 pixels, as a function, with a softmax over the batch or with none."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor]]:
        layers = curve.softmax_network(784, WIDTHS[seed], CLASSES[seed])
        return (sealed(layers if softmax else layers[:-1]),)

    return make


def putting_back(*parts: str) -> Callable:
    """What puts these parts of a checkpoint back."""

    def restore(saved: dict, model: nn.Module, optimiser: object, schedule: object) -> None:
        there = dict(model=model, optimiser=optimiser, schedule=schedule)
        for name in parts:
            there[name].load_state_dict(saved[name])

    return restore


def resuming(*parts: str) -> Make:
    """`train`, which puts back these parts of a checkpoint."""
    restore = putting_back(*parts)
    return lambda seed: (curve.trainer(restore, seed=seed, c=WIDTHS[seed]),)


def built(**narrow: int) -> Make:
    """A block that is narrower than its row by so many channels; its c_in; its row."""

    def make(seed: int) -> tuple[Concat, int, Row]:
        row, c_in = TABLE_1[ROWS[seed]].scaled(1 / 4), (128, 48, 208)[seed]
        less = {name: getattr(row, name) - by for name, by in narrow.items()}
        return Inception(c_in, row._replace(**less)), c_in, row

    return make


def on_stem(stem: Callable[[int], nn.Module]) -> Make:
    """The nine blocks on a stem; images and labels."""

    def make(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
        side = (28, 32, 28)[seed]
        images, labels = torch.randn(6, 1, side, side), torch.arange(6)
        return count.nine_blocks(stem(4), 4), images, labels

    return make


def wide_stem(c: int) -> nn.Sequential:
    """A stem with ImageNet's kernel and pool that leaves the grid large enough."""
    return chain(conv1=conv(1, c, 7), pool1=nn.MaxPool2d(3, 2, 1), conv2=conv(c, 3 * c, 3))


def three_pools(c: int) -> nn.Sequential:
    """A stem whose convolutions are those of the series, and whose pools are too many."""
    pools = (nn.MaxPool2d(3, 2, 1) for _ in range(3))
    return chain(conv1=conv(1, c, 3), conv2=conv(c, 3 * c, 3), pool=nn.Sequential(*pools))


def block(change: Callable[[Concat], Concat] = lambda block: block) -> Make:
    """A block in training, changed, and an input for it."""

    def make(seed: int) -> tuple[Concat, Tensor]:
        c_in = WIDTHS[seed]
        return change(Inception(c_in, TABLE_1[ROWS[seed]].scaled(1 / 4))), torch.randn(
            4, c_in, 9, 9
        )

    return make


def answering(change: Callable[[Concat], Concat] = lambda block: block) -> Make:
    """A block in evaluation mode, changed, as a function; an input for it."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        built, x = block(change)(seed)
        return sealed(built.eval()), x

    return make
