"""Lesson 06, factorised convolutions: the ways to see 5x5 pixels, the networks that are saved."""

from functools import partial

from torch import nn

from inception_edu.layers import chain, conv
from inception_edu.lessons.shared import Entry
from inception_edu.training.recipe import ONE_PASS, Recipe

# What sees 5x5 pixels: the kernels, and whether a ReLU stands between them.
FORMS = {
    "5x5": ((5,), True),
    "3x3 + 3x3, ReLU between": ((3, 3), True),
    "3x3 + 3x3, linear between": ((3, 3), False),
    "1x5 + 5x1, ReLU between": (((1, 5), (5, 1)), True),
    "1x5 + 5x1, linear between": (((1, 5), (5, 1)), False),
}


def factors(c: int, form: str) -> nn.Sequential:
    """Convolutions that see 5x5 pixels: (n, c, h, w) -> (n, c, h, w), each batch-normalised."""
    kernels, relu = FORMS[form]
    last = len(kernels) - 1
    return nn.Sequential(*(conv(c, c, k, relu=relu or i == last) for i, k in enumerate(kernels)))


def plain_network(form: str) -> nn.Sequential:
    """A small network of three layers that see 5x5 pixels each, for Fashion-MNIST."""
    c = 24
    return chain(
        stem=conv(1, c, 3),
        pool1=nn.MaxPool2d(3, 2, 1),  # 28x28 -> 14x14
        layer1=factors(c, form),
        layer2=factors(c, form),
        pool2=nn.MaxPool2d(3, 2, 1),  # 14x14 -> 7x7
        layer3=factors(c, form),
        average=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(c, 10),
    )


RECIPE = Recipe(steps=400, batch_size=64, lr=0.1, precision="float32", **ONE_PASS)
RUNS = {form: Entry("06", partial(plain_network, form), RECIPE) for form in FORMS}
