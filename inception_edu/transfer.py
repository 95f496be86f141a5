"""Begin with what another run has learned: the same network, its last layers anew."""

import torch
from torch import nn

from inception_edu.layers import check_count
from inception_edu.network import Network
from inception_edu.predict import Classifier, load_classifier, pretrained

TORCHVISION = {"googlenet-torchvision": "googlenet", "inception-v3-torchvision": "inception_v3"}


def new_head(model: nn.Module, num_classes: int) -> Network:
    """The same network with fresh last layers, for other classes; the given one stays as it is.

    Stem, body and what the aux heads have before their last layer keep their weights. ValueError
    for a network that is not of this package.
    """
    if not isinstance(model, Network):
        names = "GoogLeNet, InceptionV2 or InceptionV3"
        raise ValueError(f"model must be a {names}, got {type(model).__name__}")
    check_count(num_classes=num_classes)
    fresh = type(model)(**model.arguments | dict(num_classes=num_classes))
    return adopt(fresh, model).to(next(model.parameters()).device)


@torch.no_grad()
def adopt(model: Network, learned: Network, *, head: bool = False) -> Network:
    """Copy into `model` all that `learned` knows, its last layers only with `head`.

    Aux heads that one of the two does not have are left alone; ValueError where networks differ.
    """
    free = ("aux", "num_classes")
    for name, ours in model.arguments.items():
        theirs = learned.arguments.get(name)
        if type(model) is not type(learned) or (theirs != ours and name not in free):
            told = ", ".join(f"{key}={value!r}" for key, value in learned.arguments.items())
            raise ValueError(
                f"the weights are of {type(learned).__name__}({told}), the network to begin with "
                f"is {type(model).__name__}({name}={ours!r}); choose the same network"
            )
    weights, mine = learned.state_dict(), model.state_dict()
    for name, value in mine.items():
        if name in weights and (head or ".linear." not in name):
            value.copy_(weights[name])
    return model


def starting_point(weights: str, model: str) -> Classifier:
    """What a checkpoint, or torchvision's weights for the model of that name, has learned."""
    if weights != "torchvision":
        return load_classifier(weights)
    if model not in TORCHVISION:
        raise ValueError(
            f"torchvision has weights for {' and '.join(TORCHVISION)}, got model {model}; for "
            "another one give a checkpoint"
        )
    return pretrained(TORCHVISION[model])
