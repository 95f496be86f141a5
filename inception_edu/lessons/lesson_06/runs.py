"""Lesson 06, factorised convolutions: its two blocks, and the networks of its saved studies.

RUNS compares five ways to see 5x5 pixels, REDUCE the channels that a 1x1 leaves to a 5x5,
REDUCTIONS the ways to halve the grid, WIDE two ends of the last blocks.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import nn

from inception_edu.factorised import Fork, pooled
from inception_edu.layers import Concat, chain, classifier, conv, stack
from inception_edu.lessons.lesson_06.grid_reduction import WAYS, reduction
from inception_edu.lessons.shared import Entry, first_images
from inception_edu.training.recipe import ONE_PASS, Recipe

Layer = Callable[[int, int], nn.Module]  # from c_in and c_out


def two_3x3(c_in: int, c_out: int) -> nn.Sequential:
    """Two 3x3, each with batch norm and ReLU: (n, c_in, h, w) -> (n, c_out, h, w)."""
    return stack(c_in, (c_out, 3), (c_out, 3))


def factorised(c_in: int, c_out: int, n: int) -> nn.Sequential:
    """A 1xn and an nx1, each with batch norm and ReLU: (n, c_in, h, w) -> (n, c_out, h, w)."""
    return stack(c_in, (c_out, (1, n)), (c_out, (n, 1)))


# What sees 5x5 pixels: the kernels, and whether a ReLU stands between them.
FORMS = {
    "5x5": ((5,), True),
    "3x3 + 3x3, ReLU between": ((3, 3), True),
    "3x3 + 3x3, linear between": ((3, 3), False),
    "1x5 + 5x1, ReLU between": (((1, 5), (5, 1)), True),
    "1x5 + 5x1, linear between": (((1, 5), (5, 1)), False),
}


def factors(c_in: int, c_out: int, form: str) -> nn.Sequential:
    """Convolutions that see 5x5 pixels: (n, c_in, h, w) -> (n, c_out, h, w), each normalised."""
    kernels, relu = FORMS[form]
    last, layers = len(kernels) - 1, nn.Sequential()
    for i, k in enumerate(kernels):
        layers.append(conv(c_out if i else c_in, c_out, k, relu=relu or i == last))
    return layers


def plain_network(layer: Layer, c: int = 24) -> nn.Sequential:
    """A small network of three layers of one kind, for Fashion-MNIST: `layer(c_in, c_out)`."""
    return chain(
        stem=conv(1, c, 3),
        pool1=nn.MaxPool2d(3, 2, 1),  # 28x28 -> 14x14
        layer1=layer(c, c),
        layer2=layer(c, c),
        pool2=nn.MaxPool2d(3, 2, 1),  # 14x14 -> 7x7
        layer3=layer(c, c),
        average=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(c, 10),
    )


def five_by_five(form: str) -> nn.Sequential:
    """The small network with one of FORMS in its three layers."""
    return plain_network(partial(factors, form=form))


RECIPE = Recipe(steps=400, batch_size=64, lr=0.1, precision="float32", **ONE_PASS)
RUNS = {form: Entry("06", partial(five_by_five, form), RECIPE) for form in FORMS}

# The studies of five seeds: one pass over the 55,000 training images, one thread a run.
PASS = replace(RECIPE, steps=859, shares=1, validate_every=215)


def entries(builds: dict[str, Callable[[], nn.Module]]) -> dict[str, Entry]:
    """A study's entries, all trained in the same way."""
    return {name: Entry("06", build, PASS, prepare=first_images) for name, build in builds.items()}


WIDTH, LEFT = 32, (32, 16, 8, 4, 2)  # channels of each layer, and those that a reduce leaves


def reduced(c_in: int, c_out: int, channels: int | None) -> nn.Sequential:
    """A 1x1 to `channels` and a 5x5 from there; None: the 5x5 alone."""
    first = [(channels, 1)] if channels else []
    return stack(c_in, *first, (c_out, 5))


def reduced_network(channels: int | None) -> nn.Sequential:
    """The small network of 5x5s, with a reduce before each of them or without."""
    return plain_network(partial(reduced, channels=channels), WIDTH)


REDUCES = {"no reduce": None} | {f"{channels} channels": channels for channels in LEFT}
REDUCE = entries({name: partial(reduced_network, channels) for name, channels in REDUCES.items()})

HALF = "stride-2 convolution, half the channels"  # side by side without its pool


def halving(way: str, c: int) -> tuple[nn.Module, int]:
    """A grid reduction of c channels, and the channels that it puts out."""
    if way == HALF:
        return conv(c, c, 3, 2, padding=0), c
    return reduction(way, c), 2 * c


def halving_network(way: str, c: int = 16) -> nn.Sequential:
    """A small network that halves the grid twice in one way, for Fashion-MNIST."""
    first, wide = halving(way, c)
    second, wider = halving(way, 2 * c)
    return chain(
        stem=conv(1, c, 3),
        reduction1=first,  # 28x28 -> 13x13
        layer1=conv(wide, 2 * c, 3),
        reduction2=second,  # 13x13 -> 6x6
        layer2=conv(wider, 4 * c, 3),
        head=classifier(4 * c, 10),
    )


REDUCTIONS = entries({way: partial(halving_network, way) for way in (*WAYS, HALF)})

ENDS = {  # how the branches of the last blocks end, and in how many channels: at equal cost
    "wide: 1x3 and 3x1 side by side": (Fork, 24),
    "deep: 1x3, then 3x1": (partial(factorised, n=3), 30),
}


def last_block(c_in: int, end: str) -> Concat:
    """[V3] Figure 7's block, or the same with 1x3 and 3x1 one after the other."""
    build, c_out = ENDS[end]
    return Concat(
        branch1x1=conv(c_in, 16, 1),
        branch3x3=stack(c_in, (32, 1)).append(build(32, c_out)),
        branch3x3dbl=stack(c_in, (32, 1), (32, 3)).append(build(32, c_out)),
        branch_pool=pooled(c_in, 16),
    )


def wide_network(end: str, c: int = 16) -> nn.Sequential:
    """A small network whose last two blocks, on 6x6, are wide or deep; for Fashion-MNIST."""
    build, c_out = ENDS[end]
    out = 32 + 2 * c_out * (2 if build is Fork else 1)
    return chain(
        stem=conv(1, c, 3),
        reduction1=reduction("side by side", c),  # 28x28 -> 13x13
        layer1=conv(2 * c, 2 * c, 3),
        reduction2=reduction("side by side", 2 * c),  # 13x13 -> 6x6
        block1=last_block(4 * c, end),
        block2=last_block(out, end),
        head=classifier(out, 10),
    )


WIDE = entries({end: partial(wide_network, end) for end in ENDS})
