"""Lesson 04, auxiliary classifiers: its networks and the race that is saved."""

from collections.abc import Callable
from functools import partial

from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.shared import ONE_PASS, STARTS, Entry, Setting
from inception_edu.training import Recipe

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
