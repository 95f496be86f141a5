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
from inception_edu.checks import check_choice
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV3
from inception_edu.network import Network


def numbered(ours: str, theirs: str, n: int) -> dict[str, str]:
    """The n layers of a branch: ours.0 -> theirs_1, and so on."""
    return {f"{ours}.{i}": f"{theirs}_{i + 1}" for i in range(n)}


def googlenet_layers() -> dict[str, str]:
    """Our name of each layer of GoogLeNet -> torchvision's."""
    layers = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
    layers = {f"stem.{ours}": theirs for ours, theirs in layers.items()} | {"head.linear": "fc"}
    branches = ("branch1x1", "branch3x3", "branch5x5", "branch_pool")
    for block in (name for name, row in googlenet.TABLE_1.items() if row.type == "inception"):
        for i, ours in enumerate(branches, 1):
            layers[f"body.{block}.{ours}"] = f"inception{block}.branch{i}"
    for head in GoogLeNet.reads:
        for ours, theirs in {"conv": "conv", "hidden": "fc1", "linear": "fc2"}.items():
            layers[f"aux.{head}.{ours}"] = f"{head}.{theirs}"
    return layers


DOUBLE = "branch3x3dbl"
ENDS = {"branch1x1": "branch1x1", "branch_pool.1": "branch_pool"}  # where the grid stays
V3_BLOCKS = {  # kind of block -> its layers: ours -> theirs
    "grid35": ENDS | numbered("branch3x3", "branch5x5", 2) | numbered(DOUBLE, DOUBLE, 3),
    "reduce35to17": {"branch3x3": "branch3x3"} | numbered(DOUBLE, DOUBLE, 3),
    "grid17": ENDS
    | numbered("branch7x7", "branch7x7", 3)
    | numbered("branch7x7dbl", "branch7x7dbl", 5),
    "reduce17to8": numbered("branch3x3", "branch3x3", 2) | numbered("branch7x7", "branch7x7x3", 4),
    "grid8": ENDS
    | numbered("branch3x3", "branch3x3", 1)
    | {"branch3x3.1.branch1x3": "branch3x3_2a", "branch3x3.1.branch3x1": "branch3x3_2b"}
    | numbered(DOUBLE, DOUBLE, 2)
    | {f"{DOUBLE}.2.branch1x3": f"{DOUBLE}_3a", f"{DOUBLE}.2.branch3x1": f"{DOUBLE}_3b"},
}
V3_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")  # of conv1 to conv5
V3_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")


def inception_v3_layers() -> dict[str, str]:
    """Our name of each layer of InceptionV3 -> torchvision's."""
    layers = {f"stem.conv{i}": f"Conv2d_{theirs}" for i, theirs in enumerate(V3_STEM, 1)}
    for block, mixed in zip(inception_v3.LAYOUTS["torchvision"].widths, V3_MIXED, strict=True):
        for ours, theirs in V3_BLOCKS[block.rstrip("abcd")].items():
            layers[f"body.{block}.{ours}"] = f"Mixed_{mixed}.{theirs}"
    for ours, theirs in {"conv": "conv0", "hidden": "conv1", "linear": "fc"}.items():
        layers[f"aux.aux.{ours}"] = f"AuxLogits.{theirs}"
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


V1, V3 = GoogLeNet_Weights.IMAGENET1K_V1, Inception_V3_Weights.IMAGENET1K_V1
CLASSES = tuple(V1.meta["categories"])  # ImageNet's, the same for both
KNOWN = {
    "googlenet": Known(
        partial(GoogLeNet, "torchvision"), googlenet_layers, V1.url, CLASSES, resize=256, crop=224
    ),
    "inception_v3": Known(
        partial(InceptionV3, "torchvision"), inception_v3_layers, V3.url, CLASSES, 342, crop=299
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
    misfits = []
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
    known = KNOWN[check_choice("name", name, KNOWN)]
    weights = from_torchvision(_download(known.url, name))
    aux = any(key.startswith("aux.") for key in weights)
    model = known.build(num_classes=len(weights["head.linear.bias"]), aux=aux)
    model.load_state_dict(weights)
    model.transform = input_transform(known.resize, known.crop)
    model.classes = known.classes
    return model.eval()


def input_transform(resize: int, crop: int) -> Compose:
    """What torchvision's published weights expect of a photo (PIL or uint8 tensor), in the open.

    torchvision normalises by ImageNet's mean and standard deviation, and the network undoes that in
    secret (`transform_input=True`); both together are this: values from -1 to 1.
    """
    cut = [v2.Resize(resize, antialias=True), v2.CenterCrop(crop), v2.ToImage()]
    scale = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    return Compose([*cut, *scale, v2.ToPureTensor()])


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
