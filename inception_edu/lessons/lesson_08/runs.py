"""Lesson 08, Inception v3: the rungs from GoogLeNet to v3, small, and the studies that are saved.

RATES finds each rung's learning rate, RUNGS climbs them: 1x7 and 7x1 work on a grid of 14 x 14, and
every run is three passes over 10,000 images. DEEP trains blocks with and without the residual sum.
"""

from dataclasses import replace
from functools import partial

from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.inception_v3 import LAYOUTS, InceptionV3, Layout, Row
from inception_edu.layers import chain, conv
from inception_edu.lessons.lesson_08.after import BLOCKS, stacked
from inception_edu.lessons.shared import Entry, first_images, without_norm
from inception_edu.training.recipe import ONE_PASS, V3, Recipe

SMALL = LAYOUTS["small"]
ROOMY_STEM = {name: row for name, row in SMALL.stem.items() if name.startswith("conv")}
ROOMY_STEM["grid35"] = Row("3 x Inception", 0, 1, (28, 28, 64))
ROOMY: Layout = SMALL._replace(stem=ROOMY_STEM)  # no pool before the blocks: 28, 14 and 7 a side


def small_inception(*, seven: bool = False, aux_norm: bool = True, width: float) -> InceptionV3:
    """InceptionV3 for Fashion-MNIST; `seven` puts one 7x7 where three 3x3 begin it; `aux_norm`
    says whether batch norm stands behind the aux head's fully connected layer."""
    layout = ROOMY._replace(hidden_norm=aux_norm)
    network = InceptionV3(layout, num_classes=10, in_channels=1, width=width)
    if seven:
        network.stem = chain(conv1=conv(1, network.stem.conv3.conv.out_channels, 7))
    return network


def googlenet(*, norm: bool, width: float) -> GoogLeNet:
    """The small GoogLeNet with its two aux heads and no pool in its stem, for the grids of the
    ROOMY v3; without batch norm it starts as [CAFFE]'s."""
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=width)
    del network.stem.pool
    if not norm:
        initialise(without_norm(network))
    return network


WIDTH, IMAGES, EPOCHS = 1 / 12, 10_000, 3  # 468 steps of 64 images
FEW = partial(first_images, train=IMAGES)
NEW = partial(small_inception, width=WIDTH)
NEW_V2 = partial(NEW, seven=True, aux_norm=False)
NETWORKS = {
    "GoogLeNet": partial(googlenet, norm=False, width=WIDTH),
    "BN-GoogLeNet": partial(googlenet, norm=True, width=WIDTH),
    "Inception-v2": NEW_V2,
    "+ RMSProp": NEW_V2,
    "+ label smoothing": NEW_V2,
    "+ factorised 7x7": partial(NEW, aux_norm=False),
    "+ BN auxiliary": NEW,
}
LONG = dict(epochs=EPOCHS, batch_size=64, precision="float32", shares=1) | ONE_PASS
PLAIN = Recipe(**LONG)
MEAN_SQUARE = replace(PLAIN, optimiser=V3["optimiser"])  # and nothing else: one rung, one change
SMOOTHED = replace(MEAN_SQUARE, label_smoothing=V3["label_smoothing"])
RECIPES = dict.fromkeys(list(NETWORKS)[:3], PLAIN) | {"+ RMSProp": MEAN_SQUARE}
RECIPES |= dict.fromkeys(list(NETWORKS)[4:], SMOOTHED)
SWEPT = {  # the rates that are tried
    name: (0.005, 0.01, 0.02, 0.05)
    if name == "GoogLeNet"
    else (0.02, 0.045, 0.1, 0.2)
    if recipe.optimiser == "rmsprop"
    else (0.02, 0.05, 0.1, 0.2)
    for name, recipe in RECIPES.items()
}
# What RATES finds best on validation images.
BEST = {
    "GoogLeNet": 0.05,
    "BN-GoogLeNet": 0.1,
    "Inception-v2": 0.05,
    "+ RMSProp": 0.045,
    "+ label smoothing": 0.1,
    "+ factorised 7x7": 0.045,
    "+ BN auxiliary": 0.2,
}


def rung(name: str, lr: float) -> Entry:
    """A rung at a learning rate."""
    return Entry("08", NETWORKS[name], replace(RECIPES[name], lr=lr), prepare=FEW)


RATES = {f"{name}, lr {lr:g}": rung(name, lr) for name, rates in SWEPT.items() for lr in rates}
RUNGS = {name: rung(name, lr) for name, lr in BEST.items()}

# Blocks with and without the residual sum

FEWER = partial(first_images, train=6_000)
DEEP = {
    f"{kind}, {depth} blocks, lr {lr:g}": Entry(
        "08",
        partial(stacked, kind, depth),
        replace(PLAIN, epochs=2, lr=lr),
        prepare=FEWER,
    )
    for kind in BLOCKS
    for depth in (4, 16)
    for lr in (0.02, 0.1)
}
