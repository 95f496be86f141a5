"""Lesson 08, Inception v3: the rungs from GoogLeNet to v3, small, and the studies that are saved.

LADDER is what the lesson shows now: short, three seeds. RATES, then RUNGS, climb the same rungs
where 1x7 and 7x1 have a grid of 14 x 14, with three passes over the images, five seeds, and a rate
chosen for each rung. DEEP trains blocks with and without the residual sum.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.inception_v3 import LAYOUTS, InceptionV3, Layout, Row
from inception_edu.layers import AuxPool, chain, channels, conv
from inception_edu.lessons.lesson_08.after import stacked
from inception_edu.lessons.shared import Entry, first_images, without_norm
from inception_edu.training.recipe import ONE_PASS, V3, Recipe

SMALL = LAYOUTS["small"]
ROOMY_STEM = {name: row for name, row in SMALL.stem.items() if name.startswith("conv")}
ROOMY_STEM["grid35"] = Row("3 x Inception", 0, 1, (28, 28, 64))
ROOMY: Layout = SMALL._replace(stem=ROOMY_STEM)  # no pool before the blocks: 28, 14 and 7 a side


def small_inception(
    *, seven: bool = False, aux_norm: bool = True, layout: str | Layout = "small", width: float
) -> InceptionV3:
    """InceptionV3 for Fashion-MNIST; `seven` puts one 7x7 where three 3x3 begin it; `aux_norm`
    says whether batch norm stands behind the aux head's fully connected layer."""
    if isinstance(layout, Layout):
        layout = layout._replace(hidden_norm=aux_norm)
    network = InceptionV3(layout, num_classes=10, in_channels=1, width=width)
    if seven:
        c_out = network.stem.conv3.conv.out_channels
        pool = {name: part for name, part in network.stem.named_children() if name == "pool1"}
        network.stem = chain(conv1=conv(1, c_out, 7), **pool)
    if not aux_norm and layout == "small":
        network.aux["aux"] = plain_head(channels(network.body.grid17d, 0))
    return network


def plain_head(c_in: int) -> nn.Sequential:
    """v2's aux head as the saved ladder had it: no batch norm in any of its layers, while [V3]'s
    v2 lacks it in the fully connected one alone (here `hidden`; see factorised.AuxHead)."""
    return chain(
        pool=AuxPool(5, exact=False),
        conv=conv(c_in, 16, 1, norm=False),
        hidden=conv(16, 96, 5, padding=0, norm=False),
        average=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(96, 10),
    )


def googlenet(norm: bool, *, roomy: bool = False, width: float) -> GoogLeNet:
    """The small GoogLeNet with its two aux heads; without batch norm it starts as [CAFFE]'s. A
    `roomy` one has no pool in its stem, and so the grids of the ROOMY v3."""
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=width)
    if roomy:
        del network.stem.pool
    if not norm:
        initialise(without_norm(network))
    return network


# The ladder that is saved now

OLD = partial(small_inception, width=1 / 8)
V2 = partial(OLD, seven=True, aux_norm=False)
COMMON = dict(steps=400, batch_size=64, precision="float32") | ONE_PASS
SGD = COMMON | dict(lr=0.1)
RMSPROP = COMMON | {name: V3[name] for name in ("optimiser", "lr", "clip")}
SMOOTH = RMSPROP | dict(label_smoothing=V3["label_smoothing"])
LADDER = {
    "GoogLeNet": Entry("08", partial(googlenet, False, width=1 / 8), Recipe(**COMMON, lr=0.02)),
    "BN-GoogLeNet": Entry("08", partial(googlenet, True, width=1 / 8), Recipe(**SGD)),
    "Inception-v2": Entry("08", V2, Recipe(**SGD)),
    "+ RMSProp": Entry("08", V2, Recipe(**RMSPROP)),
    "+ label smoothing": Entry("08", V2, Recipe(**SMOOTH)),
    "+ factorised 7x7": Entry("08", partial(OLD, aux_norm=False), Recipe(**SMOOTH)),
    "+ BN auxiliary": Entry("08", OLD, Recipe(**SMOOTH)),
    "+ averaged weights": Entry("08", OLD, Recipe(**SMOOTH | dict(average=V3["average"]))),
}

# The ladder where its steps can show: RATES first, then RUNGS

WIDTH, IMAGES, EPOCHS = 1 / 12, 10_000, 3  # 468 steps of 64 images
FEW = partial(first_images, train=IMAGES)
NEW = partial(small_inception, layout=ROOMY, width=WIDTH)
NEW_V2 = partial(NEW, seven=True, aux_norm=False)
NETWORKS = {
    "GoogLeNet": partial(googlenet, False, roomy=True, width=WIDTH),
    "BN-GoogLeNet": partial(googlenet, True, roomy=True, width=WIDTH),
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
    name: (0.005, 0.02, 0.05)
    if name == "GoogLeNet"
    else (0.02, 0.045, 0.1)
    if recipe.optimiser == "rmsprop"
    else (0.05, 0.1, 0.2)
    for name, recipe in RECIPES.items()
}
# The rate of each rung: what RATES finds best on validation images. Until it has run: the middle.
BEST = {name: rates[1] for name, rates in SWEPT.items()}


def rung(name: str, lr: float) -> Entry:
    """A rung at a learning rate."""
    return Entry("08", NETWORKS[name], replace(RECIPES[name], lr=lr), prepare=FEW)


RATES = {f"{name}, lr {lr:g}": rung(name, lr) for name, rates in SWEPT.items() for lr in rates}
RUNGS = {name: rung(name, lr) for name, lr in BEST.items()}

# Blocks with and without the residual sum

DEEP = {
    f"{kind}, {depth} blocks, lr {lr:g}": Entry(
        "08",
        partial(stacked, kind, depth),
        replace(PLAIN, epochs=2, lr=lr),
        prepare=partial(first_images, train=6_000),
    )
    for kind in ("plain", "residual")
    for depth in (4, 16)
    for lr in (0.02, 0.1)
}
