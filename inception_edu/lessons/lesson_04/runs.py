"""Lesson 04, auxiliary classifiers: its networks and the race that is saved."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.lessons.shared import Entry, without_norm
from inception_edu.training.recipe import ONE_PASS, Recipe

# How the weights start: what the uniform draw makes up for, and the biases; None: as PyTorch does.
# "Xavier" is [CAFFE]'s.
STARTS = {"PyTorch": None, "Xavier": ("linear", 0.2), "Kaiming": ("relu", 0.0)}


class Setting(NamedTuple):
    """How a network of this lesson starts, and whether it has batch norm."""

    start: str
    norm: bool

    def __str__(self) -> str:
        return f"{self.start}, {'batch norm' if self.norm else 'no norm'}"

    def network(self, *, aux: bool = True) -> GoogLeNet:
        """The small GoogLeNet at 1/8 width for Fashion-MNIST, in this setting."""
        network = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
        if not self.norm:
            without_norm(network)
        if STARTS[self.start] is not None:
            initialise(network, *STARTS[self.start])
        if not aux:  # dropped last: from one seed, both start with the same weights up to the head
            network.aux.clear()
        return network


SETTINGS = tuple(Setting(start, norm) for norm in (False, True) for start in STARTS)
RATES = {  # learning rate of each setting in the race: one that trained in a short trial, not tuned
    Setting("PyTorch", False): 0.05,
    Setting("Xavier", False): 0.02,
    Setting("Kaiming", False): 0.02,
    Setting("PyTorch", True): 0.1,
}
HEADS = {"without heads": False, "with heads": True}


def entry(setting: Setting, aux: bool) -> Entry:
    """One runner: 300 steps of 32 images in float32."""
    recipe = Recipe(steps=300, batch_size=32, lr=RATES[setting], precision="float32", **ONE_PASS)
    build: Callable[[], GoogLeNet] = partial(setting.network, aux=aux)
    return Entry("04", build, recipe)


RACE = {
    f"{setting}, {heads}": entry(setting, aux) for setting in RATES for heads, aux in HEADS.items()
}
