"""Lesson 01, counting the cost: the networks of the budget game, which were trained beforehand."""

from functools import partial
from itertools import product

from torch import nn

from inception_edu.googlenet import GOOGLENET, TABLE_1, Inception, Row, stem
from inception_edu.layers import chain, classifier, scale
from inception_edu.lessons.shared import Entry
from inception_edu.training.recipe import ONE_PASS, Recipe

WIDTH = 1 / 8  # of the networks that are trained
STEPS = {"starved": 1 / 16, "half": 1 / 2, "published": 1.0}  # of the widths in [G] Table 1
SLIDERS = {  # slider -> the column of Table 1 that it scales, in all nine blocks, and its steps
    "reduce3": ("n3x3_reduce", ("starved", "half", "published")),
    "reduce5": ("n5x5_reduce", ("starved", "half", "published")),
    "pool_proj": ("pool_proj", ("starved", "published")),
}


def squeezed(row: Row, steps: tuple[str, ...], width: float = 1.0) -> Row:
    """A row of Table 1 at `width` of its channels, with the sliders' columns at their steps."""
    columns = {column: step for (column, _), step in zip(SLIDERS.values(), steps, strict=True)}
    narrow = {name: scale(getattr(row, name), width * STEPS[s]) for name, s in columns.items()}
    return row.scaled(width)._replace(**narrow)


def squeezed_network(steps: tuple[str, ...]) -> nn.Sequential:
    """The small GoogLeNet with the sliders' columns at their steps: (n, 1, 28, 28) -> (n, 10)."""
    small = GOOGLENET["small"]
    first, body = stem(1, WIDTH, small), nn.Sequential()
    c_in = scale(TABLE_1["conv2"].n3x3, WIDTH)
    for name, row in list(TABLE_1.items())[4:15]:  # from 3a to 5b
        if row.type == "max pool":
            body.add_module(name, nn.MaxPool2d(row.patch, row.stride, **small.edge))
        else:
            row = squeezed(row, steps, WIDTH)
            body.add_module(name, Inception(c_in, row))
            c_in = row.c_out
    return chain(stem=first, body=body, head=classifier(c_in, 10))


RECIPE = Recipe(steps=200, batch_size=128, lr=0.2, precision="float32", shares=1, **ONE_PASS)
BUDGET = {  # the study "budget": every setting of the sliders, by its name
    ", ".join(steps): Entry("01", partial(squeezed_network, steps), RECIPE)
    for steps in product(*(steps for _, steps in SLIDERS.values()))
}
