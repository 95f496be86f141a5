"""Lesson 08, Inception v3: the rungs from GoogLeNet to v3, small, and the ladder that is saved."""

from functools import partial

from torch import nn

from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import AuxPool, chain, channels, conv
from inception_edu.lessons.shared import Entry, without_norm
from inception_edu.training.recipe import ONE_PASS, V3, Recipe


def small_inception(*, seven: bool = False, aux_norm: bool = True) -> InceptionV3:
    """InceptionV3 at 1/8 width for Fashion-MNIST; `seven` puts one 7x7 where three 3x3 begin it."""
    network = InceptionV3("small", num_classes=10, in_channels=1, width=1 / 8)
    if seven:
        c_out = network.stem.conv3.conv.out_channels
        network.stem = chain(conv1=conv(1, c_out, 7), pool1=network.stem.pool1)
    if not aux_norm:
        c_in = channels(network.body.grid17d, 0)
        network.aux["aux"] = plain_head(c_in)
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


def googlenet(norm: bool) -> GoogLeNet:
    """The small GoogLeNet with its two aux heads; without batch norm it starts as [CAFFE]'s."""
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    if not norm:
        initialise(without_norm(network))
    return network


V2 = partial(small_inception, seven=True, aux_norm=False)
COMMON = dict(steps=400, batch_size=64, precision="float32") | ONE_PASS
SGD = COMMON | dict(lr=0.1)
RMSPROP = COMMON | {name: V3[name] for name in ("optimiser", "lr", "clip")}
SMOOTH = RMSPROP | dict(label_smoothing=V3["label_smoothing"])
LADDER = {
    "GoogLeNet": Entry("08", partial(googlenet, False), Recipe(**COMMON | dict(lr=0.02))),
    "BN-GoogLeNet": Entry("08", partial(googlenet, True), Recipe(**SGD)),
    "Inception-v2": Entry("08", V2, Recipe(**SGD)),
    "+ RMSProp": Entry("08", V2, Recipe(**RMSPROP)),
    "+ label smoothing": Entry("08", V2, Recipe(**SMOOTH)),
    "+ factorised 7x7": Entry("08", partial(small_inception, aux_norm=False), Recipe(**SMOOTH)),
    "+ BN auxiliary": Entry("08", small_inception, Recipe(**SMOOTH)),
    "+ averaged weights": Entry(
        "08", small_inception, Recipe(**SMOOTH | dict(average=V3["average"]))
    ),
}
