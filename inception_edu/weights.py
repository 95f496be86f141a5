"""torchvision's weights for our networks and back, name for name, and its published weights.

The two programs name the same layers differently; nothing is computed here, so equal outputs
prove that the networks are the same.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.models import GoogLeNet_Weights, Inception_V3_Weights
from torchvision.transforms import Compose, v2

from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV3
from inception_edu.network import Network
from inception_edu.torchvision_names import googlenet_layers, inception_v3_layers

COUNTER = "num_batches_tracked"  # not in every file; nothing here reads it


class Known(NamedTuple):
    """A network that torchvision has too: ours, its layers' names, its published weights."""

    build: Callable[..., Network]  # takes num_classes and aux
    layers: Callable[[], dict[str, str]]
    url: str
    classes: tuple[str, ...]
    resize: int  # pixels of the shorter side, before the middle is cut out
    crop: int


KNOWN = {
    "googlenet": Known(
        partial(GoogLeNet, "torchvision"),
        googlenet_layers,
        GoogLeNet_Weights.IMAGENET1K_V1.url,
        tuple(GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]),
        resize=256,
        crop=224,
    ),
    "inception_v3": Known(
        partial(InceptionV3, "torchvision"),
        inception_v3_layers,
        Inception_V3_Weights.IMAGENET1K_V1.url,
        tuple(Inception_V3_Weights.IMAGENET1K_V1.meta["categories"]),
        resize=342,
        crop=299,
    ),
}


@cache
def _names(network: str, *, aux: bool) -> dict[str, str]:
    """Our name -> torchvision's, of every tensor in the network's state dict."""
    with torch.device("meta"):
        state = KNOWN[network].build(aux=aux).state_dict()
    layers, names = KNOWN[network].layers(), {}
    for name in state:
        layer = next(layer for layer in layers if name.startswith(f"{layer}."))
        rest = name.removeprefix(layer).replace(".norm.", ".bn.")
        names[name] = layers[layer] + rest
    return names


def _translate(state_dict: Mapping[str, Tensor], *, to_ours: bool) -> dict[str, Tensor]:
    if not isinstance(state_dict, Mapping):
        kind = type(state_dict).__name__
        raise TypeError(f"state_dict must be what model.state_dict() returns, got a {kind}")
    misfits: list[list[str]] = []
    for network, aux in product(KNOWN, (False, True)):
        names = _names(network, aux=aux)
        names = {theirs: ours for ours, theirs in names.items()} if to_ours else names
        strange = [f"{name} does not belong there" for name in state_dict if name not in names]
        missing = [name for name in names if name not in state_dict and not name.endswith(COUNTER)]
        misfits.append(strange + [f"{name} is missing" for name in missing])
        if not misfits[-1]:
            return {names[name]: value for name, value in state_dict.items()}
    whose = "torchvision's" if to_ours else 'this package\'s "torchvision" variant of'
    raise ValueError(
        f"state_dict must be that of {whose} {' or '.join(KNOWN)}, with all aux heads or none: "
        f"{min(misfits, key=len)[0]}; "
        "from_torchvision takes torchvision's names, to_torchvision ours"
    )


def from_torchvision(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state dict under our names, for our "torchvision" variant of that network.

    The network is recognised by its keys, with or without aux heads; ValueError for any other.
    """
    return _translate(state_dict, to_ours=True)


def to_torchvision(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our "torchvision" variant's state dict under torchvision's names; ValueError for others."""
    return _translate(state_dict, to_ours=False)


def load_torchvision(name: str = "googlenet") -> Network:
    """Our "torchvision" variant with torchvision's published weights, in evaluation mode.

    `.transform` makes a photo its input, `.classes` names its 1000 outputs. The aux heads that
    come with googlenet's weights were never trained (torchvision says so). OSError offline.
    """
    if name not in KNOWN:
        raise ValueError(f"name must be one of {', '.join(KNOWN)}, got {name!r}")
    known = KNOWN[name]
    weights = from_torchvision(_download(known.url, name))
    aux = any(key.startswith("aux.") for key in weights)
    model = known.build(num_classes=len(weights["head.linear.bias"]), aux=aux)
    model.load_state_dict(weights)
    model.transform = input_transform(known.resize, known.crop)
    model.classes = known.classes
    return model.eval()


def input_transform(resize: int, crop: int) -> Compose:
    """What torchvision's published weights expect of a photo (PIL or uint8 tensor), in the open.

    torchvision normalises by ImageNet's mean and spread, and the network then undoes that in
    secret (`transform_input=True`); both together are this: values from -1 to 1.
    """
    return Compose(
        [
            v2.Resize(resize, antialias=True),
            v2.CenterCrop(crop),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
            v2.ToPureTensor(),
        ]
    )


def _download(url: str, name: str) -> dict[str, Tensor]:
    """A published state dict, kept in torch's hub folder; its name holds its SHA-256's start."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(url).name
    prefix = file.stem.rpartition("-")[2]
    damaged = f"{file} must have a SHA-256 that starts with {prefix}: it is truncated or altered"
    if file.exists() and not hashlib.sha256(file.read_bytes()).hexdigest().startswith(prefix):
        raise ValueError(f"{damaged}; delete it and load again")
    try:
        return torch.hub.load_state_dict_from_url(
            url, str(folder), "cpu", check_hash=True, weights_only=True
        )
    except OSError as error:
        raise OSError(
            f"the weights of {name} could not be downloaded ({error}); connect to the network, "
            f"or put {file.name} from {url} into {folder}"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"{damaged} on its way; try again later") from error
