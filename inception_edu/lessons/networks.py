"""The networks of the series, how each is trained, and what of a data set it is trained on."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inception_edu.data import Dataset
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception, Row
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import Concat, classifier, conv, stack
from inception_edu.training import Evaluation, Recipe
from inception_edu.training.recipe import ONE_PASS


class Entry(NamedTuple):
    """A network of the series: the lesson that trains it first, how it is built and trained."""

    lesson: str
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: str = "fashion_mnist"
    prepare: Callable[[Dataset], Dataset] = lambda dataset: dataset  # what a run makes of it
    look: Callable[[Evaluation, Tensor], dict] = lambda tested, labels: {}  # what else is saved
    split_anew: bool = False  # whether every seed draws a split of the data of its own

    def recipe_for(self, seed: int) -> Recipe:
        """The recipe with another seed."""
        return replace(self.recipe, seed=seed)


def average_pool_block(c_in: int, *, relu: bool = False) -> Concat:
    """The course network's block: (n, c_in, h, w) -> (n, 88, h, w); the original has no `relu`."""
    bare = dict(norm=False, relu=relu)
    return Concat(
        branch_pool=nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv(c_in, 24, 1, **bare)),
        branch1x1=conv(c_in, 16, 1, **bare),
        branch5x5=nn.Sequential(conv(c_in, 16, 1, **bare), conv(16, 24, 5, **bare)),
        branch3x3=nn.Sequential(
            conv(c_in, 16, 1, **bare), conv(16, 24, 3, **bare), conv(24, 24, 3, **bare)
        ),
    )


def course_network(block: Callable[[int], Concat] = average_pool_block) -> nn.Sequential:
    """The small network of a PyTorch course: (n, 1, 28, 28) -> logits (n, 10)."""
    bare = dict(padding=0, norm=False, relu=False)
    first = conv(1, 10, 5, **bare), nn.MaxPool2d(2), nn.ReLU(), block(10)
    second = conv(88, 20, 5, **bare), nn.MaxPool2d(2), nn.ReLU(), block(20)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1408, 10))  # 28 -> 12 -> 4


def small_googlenet(block: Callable[[int, Row], nn.Module] = Inception) -> GoogLeNet:
    """The nine blocks at an eighth of their width, for Fashion-MNIST: what the lessons train.

    `block(c_in, row)` makes a block that keeps h and w, of any make and number of channels.
    """
    network = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)
    if block is Inception:
        return network
    x = network.eval().stem(torch.zeros(1, 1, 28, 28))
    for name, part in list(network.body.named_children()):
        if isinstance(part, Inception):
            part = block(x.shape[1], TABLE_1[name].scaled(1 / 8)).eval()
            setattr(network.body, name, part)
        x = part(x)
    if x.shape[1] != network.head.linear.in_features:
        network.head = classifier(x.shape[1], 10)
    return network.train()


def without_5x5(c_in: int, row: Row) -> Inception:
    """The Inception block with two 3x3 in the place of its 5x5."""
    block = Inception(c_in, row)
    block.branch5x5 = stack(c_in, (row.n5x5_reduce, 1), (row.n5x5, 3), (row.n5x5, 3))
    return block


def small_inception_v3() -> InceptionV3:
    """Inception v3 at an eighth of its width, for Fashion-MNIST."""
    return InceptionV3("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


def with_heads() -> GoogLeNet:
    """The small GoogLeNet with its auxiliary heads, which work in training alone."""
    return GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)


GOOGLENET_RECIPE = Recipe(steps=460, **ONE_PASS)
NETWORKS = {
    "linear classifier": Entry(
        "00",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        Recipe(steps=400, lr=0.02, precision="float32", **ONE_PASS),
    ),
    "course network": Entry("02", course_network, Recipe(steps=400, lr=0.02, **ONE_PASS)),
    "GoogLeNet, 1/8 width": Entry("02", small_googlenet, GOOGLENET_RECIPE),
    "GoogLeNet + auxiliary heads": Entry("04", with_heads, GOOGLENET_RECIPE),
    "GoogLeNet, 3 epochs, augmented": Entry("05", small_googlenet, Recipe(epochs=3)),
    "GoogLeNet, two 3x3 for each 5x5": Entry(
        "06", partial(small_googlenet, without_5x5), GOOGLENET_RECIPE
    ),
    "GoogLeNet + label smoothing": Entry(
        "07", small_googlenet, replace(GOOGLENET_RECIPE, label_smoothing=0.1)
    ),
    "Inception v3, 1/8 width": Entry("08", small_inception_v3, GOOGLENET_RECIPE),
}


def first_images(dataset: Dataset, train: int | None = None, *, valid: int = 2_000) -> Dataset:
    """The first `train` training images of a data set (None: all), and `valid` to validate on."""
    parts = dict(train=(dataset.train, train), valid=(dataset.valid, valid))
    short = {
        name: replace(part, images=part.images[:n], labels=part.labels[:n])
        for name, (part, n) in parts.items()
    }
    return replace(dataset, **short)
