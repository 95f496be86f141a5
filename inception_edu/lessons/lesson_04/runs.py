"""Lesson 04, auxiliary classifiers: its networks, and the runs that are saved.

RATES sweeps the learning rate of every start, RACE runs with and without heads at the best one,
REGULARISER asks with few images what of a head helps, and when.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import nn

from inception_edu.googlenet import TABLE_1, AuxHead, GoogLeNet, Inception, initialise
from inception_edu.layers import conv
from inception_edu.lessons.shared import Entry, first_images, without_norm
from inception_edu.training.recipe import ONE_PASS, Recipe

# How the weights start: what the uniform draw makes up for, and the biases; None: as PyTorch does.
# "Xavier" is [CAFFE]'s.
STARTS = {"PyTorch": None, "Xavier": ("linear", 0.2), "Kaiming": ("relu", 0.0)}
WIDTH = 1 / 8


class Setting(NamedTuple):
    """How a network of this lesson starts, and whether it has batch norm."""

    start: str
    norm: bool

    def __str__(self) -> str:
        return f"{self.start}, {'batch norm' if self.norm else 'no norm'}"

    def network(self, *, aux: bool = True, reduces: bool = True) -> GoogLeNet:
        """The small GoogLeNet at 1/8 width for Fashion-MNIST, in this setting; its blocks with or
        without the 1x1 `reduces` before their 3x3 and 5x5."""
        network = GoogLeNet("small", num_classes=10, in_channels=1, width=WIDTH)
        if not reduces:
            without_reduces(network)
        if not self.norm:
            without_norm(network)
        if STARTS[self.start] is not None:
            initialise(network, *STARTS[self.start])
        if not aux:  # dropped last: from one seed, both start with the same weights up to the head
            network.aux.clear()
        return network


def without_reduces(network: GoogLeNet) -> None:
    """Change the blocks in place: 3x3 and 5x5 read what enters the block. No width changes."""
    for block in network.body.children():
        if isinstance(block, Inception):
            c_in = block["branch1x1"].conv.in_channels
            for name, k in (("branch3x3", 3), ("branch5x5", 5)):
                block[name] = conv(c_in, block[name][-1].conv.out_channels, k)


SETTINGS = tuple(Setting(start, norm) for norm in (False, True) for start in STARTS)
BARE = tuple(setting for setting in SETTINGS if not setting.norm)
HEADS = {"without heads": False, "with heads": True}
RECIPE = Recipe(
    steps=600, batch_size=64, lr=0.1, precision="float32", shares=1, validate_every=60, **ONE_PASS
)


def entry(setting: Setting, aux: bool, lr: float, *, steps: int) -> Entry:
    """One runner of the sweep or of the race."""
    build: Callable[[], GoogLeNet] = partial(setting.network, aux=aux)
    return Entry("04", build, replace(RECIPE, lr=lr, steps=steps), prepare=first_images)


RATES = {  # one seed each: which rate is best, and does a start train at any?
    f"{setting}, {heads}, lr {lr:g}": entry(setting, aux, lr, steps=300)
    for setting in BARE
    for heads, aux in HEADS.items()
    for lr in (0.003, 0.01, 0.03, 0.1, 0.3)
}


def heads_network(build: Callable[[int], nn.Module] | None, upper: bool) -> GoogLeNet:
    """The network with batch norm; `build(c_in)` makes its heads, None: it has none; only aux2,
    the `upper` one, or both. Equal seeds give equal weights up to the main head's end."""
    network = Setting("PyTorch", True).network(aux=False)
    for name, block in network.reads.items() if build else ():
        if name == "aux2" or not upper:
            network.aux[name] = build(TABLE_1[block].scaled(WIDTH).c_out)
    return network


def head(c_in: int, *, norm: bool, dropout: bool) -> AuxHead:
    """A head with or without batch norm after its convolution, with or without dropout."""
    made = AuxHead(c_in, 10, norm=norm, width=WIDTH)
    if not dropout:
        made.dropout.p = 0.0
    return made


FEW = 2_000  # images: so few that a network knows them by heart at the end
KINDS = {  # how a head is made, and whether there is the upper one alone
    "no heads": (None, False),
    "both, plain": (partial(head, norm=False, dropout=False), False),
    "both, batch norm": (partial(head, norm=True, dropout=False), False),
    "both, dropout": (partial(head, norm=False, dropout=True), False),
    "both, batch norm and dropout": (partial(head, norm=True, dropout=True), False),
    "upper alone, batch norm and dropout": (partial(head, norm=True, dropout=True), True),
}
REGULARISER = {
    name: Entry(
        "04",
        partial(heads_network, *kind),
        RECIPE,
        prepare=partial(first_images, train=FEW),
    )
    for name, kind in KINDS.items()
}

BEST = {  # of each start's runners, with and without heads, the rate that is best on validation
    Setting("Xavier", False): 0.03,
    Setting("Kaiming", False): 0.01,
}
RACE = {
    f"{setting}, {heads}": entry(setting, aux, lr, steps=600)
    for setting, lr in BEST.items()
    for heads, aux in HEADS.items()
}
