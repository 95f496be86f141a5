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

from inception_edu import googlenet, inception_v3
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV3
from inception_edu.network import Network


def googlenet_layers() -> dict[str, str]:
    """Our name of each layer of GoogLeNet -> torchvision's."""
    layers = {
        "stem.conv1": "conv1",
        "stem.conv2_reduce": "conv2",
        "stem.conv2": "conv3",
        "head.linear": "fc",
    }
    branches = {
        "branch1x1": "branch1",
        "branch3x3": "branch2",
        "branch5x5": "branch3",
        "branch_pool": "branch4",
    }
    for block in (name for name, row in googlenet.TABLE_1.items() if row.type == "inception"):
        for ours, theirs in branches.items():
            layers[f"body.{block}.{ours}"] = f"inception{block}.{theirs}"
    for head in googlenet.AUX:
        for ours, theirs in {"conv": "conv", "hidden": "fc1", "linear": "fc2"}.items():
            layers[f"aux.{head}.{ours}"] = f"{head}.{theirs}"
    return layers


# kind of block -> its layers: ours -> theirs
_V3_BLOCKS = {
    "grid35": {
        "branch1x1": "branch1x1",
        **{f"branch3x3.{i}": f"branch5x5_{i + 1}" for i in range(2)},
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(3)},
        "branch_pool.1": "branch_pool",
    },
    "reduce35to17": {
        "branch3x3": "branch3x3",
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(3)},
    },
    "grid17": {
        "branch1x1": "branch1x1",
        **{f"branch7x7.{i}": f"branch7x7_{i + 1}" for i in range(3)},
        **{f"branch7x7dbl.{i}": f"branch7x7dbl_{i + 1}" for i in range(5)},
        "branch_pool.1": "branch_pool",
    },
    "reduce17to8": {
        **{f"branch3x3.{i}": f"branch3x3_{i + 1}" for i in range(2)},
        **{f"branch7x7.{i}": f"branch7x7x3_{i + 1}" for i in range(4)},
    },
    "grid8": {
        "branch1x1": "branch1x1",
        "branch3x3.0": "branch3x3_1",
        "branch3x3.1.branch1x3": "branch3x3_2a",
        "branch3x3.1.branch3x1": "branch3x3_2b",
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(2)},
        "branch3x3dbl.2.branch1x3": "branch3x3dbl_3a",
        "branch3x3dbl.2.branch3x1": "branch3x3dbl_3b",
        "branch_pool.1": "branch_pool",
    },
}
_V3_STEM = {
    "conv1": "Conv2d_1a_3x3",
    "conv2": "Conv2d_2a_3x3",
    "conv3": "Conv2d_2b_3x3",
    "conv4": "Conv2d_3b_1x1",
    "conv5": "Conv2d_4a_3x3",
}
_V3_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")


def inception_v3_layers() -> dict[str, str]:
    """Our name of each layer of InceptionV3 -> torchvision's."""
    layers = {f"stem.{ours}": theirs for ours, theirs in _V3_STEM.items()}
    for block, mixed in zip(inception_v3.LAYOUTS["torchvision"].widths, _V3_MIXED, strict=True):
        for ours, theirs in _V3_BLOCKS[block.rstrip("abcd")].items():
            layers[f"body.{block}.{ours}"] = f"Mixed_{mixed}.{theirs}"
    aux = {"conv": "conv0", "hidden": "conv1", "linear": "fc"}
    layers |= {f"aux.aux.{ours}": f"AuxLogits.{theirs}" for ours, theirs in aux.items()}
    return layers | {"head.linear": "fc"}


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
