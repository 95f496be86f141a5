"""Lesson 02, the Inception block: the networks that its saved studies train.

KERNELS asks which kernel size is right: nine blocks of one size each beside nine Inception blocks,
at equal multiply-adds, on garments that fill the image and on garments of any size. RELU asks what
the course network is without its activations.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from inception_edu.data import Dataset, Split
from inception_edu.data.dataset import mean_and_std
from inception_edu.googlenet import Inception, Row
from inception_edu.layers import stack
from inception_edu.lessons.shared import (
    NETWORKS,
    Entry,
    average_pool_block,
    course_network,
    small_googlenet,
)
from inception_edu.training import Recipe
from inception_edu.training.recipe import ONE_PASS

CANVAS, SIDES = 40, (10, 40)  # pixels: the larger image, and a garment's side in it
Block = Callable[[int, Row], nn.Module]


def one_size(c_in: int, row: Row, k: int) -> nn.Sequential:
    """A 1x1 reduce and one k x k kernel that cost what the Inception block of the row costs, as
    nearly as whole channels allow: (n, c_in, h, w) -> (n, row.c_out, h, w)."""
    ones = row.n1x1 + row.n3x3_reduce + row.n5x5_reduce + row.pool_proj
    macs = c_in * ones + 9 * row.n3x3_reduce * row.n3x3 + 25 * row.n5x5_reduce * row.n5x5
    reduce = max(1, round(macs / (c_in + k * k * row.c_out)))  # all of it per output pixel
    return stack(c_in, (reduce, 1), (row.c_out, k))


BLOCKS: dict[str, Block] = {
    "all 1x1": partial(one_size, k=1),
    "all 3x3": partial(one_size, k=3),
    "all 5x5": partial(one_size, k=5),
    "Inception": partial(Inception),  # put in like the others: equal seeds, equal stems
}


def scattered(dataset: Dataset) -> Dataset:
    """The garments at random sizes and places on a black canvas of 40 x 40 pixels."""
    parts = {name: scatter(getattr(dataset, name), i) for i, name in enumerate(PARTS)}
    mean, std = mean_and_std(parts["train"].images)
    parts = {name: replace(part, mean=mean, std=std) for name, part in parts.items()}
    return replace(dataset, **parts, mean=mean, std=std)


PARTS = "train", "valid", "test"


def scatter(split: Split, seed: int) -> Split:
    """A split, each image of it once at a size and a place of its own on the canvas."""
    draw = torch.Generator().manual_seed(seed)
    n, low, high = len(split), *SIDES
    sides = torch.randint(low, high + 1, (n,), generator=draw)
    places = torch.rand(2, n, generator=draw)
    images = torch.zeros(n, 1, CANVAS, CANVAS, dtype=torch.uint8)
    for side in range(low, high + 1):
        chosen = (sides == side).nonzero()[:, 0]
        tops, lefts = (places[:, chosen] * (CANVAS - side + 1)).long()
        for i, top, left, image in zip(
            chosen.tolist(), tops.tolist(), lefts.tolist(), shrunk(split, chosen, side), strict=True
        ):
            images[i, :, top : top + side, left : left + side] = image
    return replace(split, images=images)


def shrunk(split: Split, chosen: Tensor, side: int) -> Tensor:
    """Some images of a split, uint8 (n, 1, side, side)."""
    how = dict(size=(side, side), mode="bilinear", antialias=True)
    return interpolate(split.images[chosen].float(), **how).round().clamp(0, 255).to(torch.uint8)


PLAIN = Recipe(steps=430, batch_size=128, lr=0.1, precision="float32", shares=1, **ONE_PASS)
RATES = {  # one run at each learning rate: 0.1 is best or nearly so for all four
    f"{name}, lr {lr:g}": Entry("02", partial(small_googlenet, block), replace(PLAIN, lr=lr))
    for name, block in BLOCKS.items()
    for lr in (0.05, 0.1, 0.2, 0.4)
}
FASHION, CANVASES = "Fashion-MNIST", "any size, any place"
DATA = {FASHION: lambda dataset: dataset, CANVASES: scattered}
KERNELS = {
    f"{name}, {data}": Entry("02", partial(small_googlenet, block), PLAIN, prepare=prepare)
    for data, prepare in DATA.items()
    for name, block in BLOCKS.items()
}


def course(*, between: bool, inside: bool) -> nn.Sequential:
    """The course network with a ReLU after its pools (`between` the blocks) or not, and with one
    after every convolution `inside` the blocks or not."""
    network = course_network(partial(average_pool_block, relu=inside))
    for i, layer in enumerate(network):
        if isinstance(layer, nn.ReLU) and not between:
            network[i] = nn.Identity()
    return network


ACTIVATIONS = {  # how each is built, and its learning rates: up to what all seeds survive
    "one linear layer": (NETWORKS["linear classifier"].build, (0.02, 0.05, 0.1, 0.2)),
    "course network, no ReLU": (partial(course, between=False, inside=False), (0.02, 0.05)),
    "course network, as published": (partial(course, between=True, inside=False), (0.02, 0.05)),
    "course network, ReLU after every convolution": (
        partial(course, between=True, inside=True),
        (0.02, 0.05, 0.1),
    ),
}
RELU = {
    f"{name}, lr {lr:g}": Entry("02", build, replace(PLAIN, lr=lr))
    for name, (build, rates) in ACTIVATIONS.items()
    for lr in rates
}
