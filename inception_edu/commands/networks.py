"""The networks that the command line knows by name, and how each is trained."""

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import NamedTuple

from inception_edu.checks import check_choice
from inception_edu.data import Dataset, is_folder
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.network import Network
from inception_edu.predict import Classifier, load_classifier, pretrained
from inception_edu.training.recipe import BATCH_SIZE, ONE_PASS, V3, Recipe, for_photos


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
# Those for which torchvision has weights, by its own names.
TORCHVISION = {"googlenet-torchvision": "googlenet", "inception-v3-torchvision": "inception_v3"}


def build(name: str, args: argparse.Namespace, **how: int) -> tuple[Network, Model]:
    """The network that a name and its options ask for, and what else MODELS says of it."""
    model = MODELS[check_choice("model", name, MODELS)]
    options = ("width", "aux", "resolution")
    asked = {key: getattr(args, key) for key in options if getattr(args, key) is not None}
    if "resolution" in asked and model.network is GoogLeNet:
        raise ValueError(f"resolution chooses a stem of inception-v2 and -v3; {name} has one stem")
    return model.network(**model.arguments | asked | how), model


def given(args: argparse.Namespace) -> dict:
    """The fields of a recipe that are on the command line."""
    chosen = {field.name: getattr(args, field.name) for field in fields(Recipe)}
    return {name: value for name, value in chosen.items() if value is not None}


def recipe_for(args: argparse.Namespace, dataset: Dataset, *, tuned: bool) -> Recipe:
    """The model's own recipe, for a folder that of photos, and what is given. The learning rate is
    as much smaller as the batches of photos are, and at most a tenth for weights that are good
    already."""
    base, fraction = dict(MODELS[args.model].recipe), 1.0
    if is_folder(args.data):
        base |= for_photos(len(dataset.train))
        fraction = base["batch_size"] / BATCH_SIZE
    base["lr"] = base.get("lr", Recipe.lr) * (min(fraction, 1 / 10) if tuned else fraction)
    if args.steps:
        base.pop("epochs", None)
    return Recipe(**base | given(args))


def starting_point(weights: str, model: str) -> Classifier:
    """What a checkpoint, or torchvision's weights for the model of that name, has learned."""
    if weights != "torchvision":
        return load_classifier(weights)
    if model not in TORCHVISION:
        known = " and ".join(TORCHVISION)
        raise ValueError(
            f"torchvision has weights for {known}, got model {model}; give a checkpoint"
        )
    return pretrained(TORCHVISION[model])
