"""The networks that the command line knows by name."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from inception_edu.checks import check_choice
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.network import Network
from inception_edu.training.recipe import ONE_PASS, V3


class Model(NamedTuple):
    """A network's name on the command line: its class and arguments, its recipe where nothing else
    is said, and the pixels of a side that it is made for, of a photo where that is another."""

    network: Callable[..., Network]
    arguments: dict
    recipe: dict
    size: int = 299
    photo: int | None = None


SMALL = dict(variant="small", width=1 / 8, aux=False)
MODELS = {
    "googlenet-small": Model(GoogLeNet, SMALL, dict(epochs=2) | ONE_PASS, 28, 64),
    "googlenet": Model(GoogLeNet, dict(variant="paper"), dict(lr=0.01), 224),
    "googlenet-torchvision": Model(GoogLeNet, dict(variant="torchvision"), {}, 224),
    "inception-v3-small": Model(InceptionV3, SMALL, dict(epochs=2) | ONE_PASS, 28, 64),
    "inception-v2": Model(InceptionV2, {}, V3),
    "inception-v3": Model(InceptionV3, dict(variant="paper"), V3),
    "inception-v3-torchvision": Model(InceptionV3, dict(variant="torchvision"), V3),
}


def build(name: str, args: argparse.Namespace, **how: int) -> tuple[Network, Model]:
    """The network that a name and its options ask for, and what else MODELS says of it."""
    check_choice("model", name, MODELS)
    model = MODELS[name]
    options = ("width", "aux", "resolution")
    asked = {key: getattr(args, key) for key in options if getattr(args, key) is not None}
    if "resolution" in asked and model.network is GoogLeNet:
        raise ValueError(f"resolution chooses a stem of inception-v2 and -v3; {name} has one stem")
    return model.network(**model.arguments | asked | how), model
