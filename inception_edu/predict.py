"""Photos through a trained network: probabilities, and where in the photo they come from."""

import os
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from inception_edu.checks import check_choice, check_count, check_kind, check_whole
from inception_edu.data import normalise, read_photo
from inception_edu.data.photos import middle
from inception_edu.layers import pair
from inception_edu.losses import logits_of
from inception_edu.network import Network
from inception_edu.training import checkpoints
from inception_edu.training.devices import pick_device
from inception_edu.training.evaluation import evaluation_mode

ASSETS = files("inception_edu") / "assets"
PHOTOS = {  # the photos that come with the package, by what they show
    "astronaut": "astronaut.jpg",
    "cat": "chelsea.png",
    "coffee": "coffee.jpg",
    "rocket": "rocket.jpg",
}


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network and all that it expects of a photo."""

    model: nn.Module
    classes: tuple[str, ...]
    mean: tuple[float, ...]  # by channel, with white as 1
    std: tuple[float, ...]
    size: int | tuple[int, int]  # pixels of a side; (height, width) where they differ
    resize: int  # pixels of the photo's shorter side, before the middle is cut out

    def cut(self, photo: Image.Image, scale: float = 1) -> Image.Image:
        """The part of a photo that the network sees, in `scale` times as many pixels a side."""
        wanted = "an image of PIL, as read_photo(path) returns one"
        check_kind("photo", photo, isinstance(photo, Image.Image), wanted)
        h, w, resize = (round(scale * pixels) for pixels in (*pair(self.size), self.resize))
        return middle(photo, (h, w), resize)

    def prepare(self, photo: Image.Image) -> Tensor:
        """The network's input (1, c, h, w), on its device; grey for one of one channel."""
        part = self.cut(photo).convert("L" if len(self.mean) == 1 else "RGB")
        pixels = torch.from_numpy(np.array(part))  # (h, w) or (h, w, 3)
        pixels = pixels.view(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
        return normalise(pixels.to(next(self.model.parameters()).device), self.mean, self.std)

    @torch.no_grad()
    def probabilities(self, photo: Image.Image) -> Tensor:
        """Of each class (classes,), on the CPU; grey photos and others are taken alike."""
        return logits_of(self.model(self.prepare(photo)))[0].softmax(0).cpu()

    def most_probable(self, photo: Image.Image, top: int) -> list[tuple[str, float]]:
        """Class and probability of the `top` classes, or of all there are, the best first."""
        return self.ranked(self.probabilities(photo), top)

    def ranked(self, probabilities: Tensor, top: int) -> list[tuple[str, float]]:
        """The same from probabilities (classes,) that are known already."""
        check_count(top=top)
        chances, labels = probabilities.topk(min(top, len(self.classes)))
        return list(zip([self.classes[k] for k in labels], chances.tolist(), strict=True))


def load_classifier(checkpoint: str | os.PathLike, *, device: str = "cpu") -> Classifier:
    """What a run saved, in evaluation mode; nothing but the checkpoint is needed.

    ValueError says what is wrong with the file.
    """
    try:
        saved = checkpoints.load(checkpoint)
    except FileNotFoundError as error:  # to the command line a wrong argument, not a failed run
        raise ValueError(str(error)) from error
    try:
        model, data = checkpoints.build(saved).eval(), saved["data"]
        h, w = data["size"]
        classes, mean, std = (tuple(data[name]) for name in ("classes", "mean", "std"))
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{Path(checkpoint)} is no whole checkpoint: {error}") from error
    if len(mean) not in (1, 3):
        raise ValueError(f"a photo has 1 or 3 channels, the network in {checkpoint} {len(mean)}")
    # Images from arrays were scaled without cutting anything off, so nothing is cut off more.
    resize = data.get("resize", max(h, w))
    size = h if h == w else (h, w)
    return Classifier(model.to(pick_device(device)), classes, mean, std, size, resize)


def shipped() -> Classifier:
    """The network that comes with the package: a small GoogLeNet, trained on CIFAR-10 in colour."""
    with as_file(ASSETS / "cifar10_small.pt") as path:
        return load_classifier(path)


def shipped_photo(name: str) -> Image.Image:
    """One of PHOTOS, by what it shows."""
    file = PHOTOS[check_choice("name", name, PHOTOS)]
    return read_photo((ASSETS / "photos" / file).read_bytes())


def pretrained(name: str = "googlenet") -> Classifier:
    """Our "googlenet" or "inception_v3" with torchvision's weights for the 1,000 classes of
    ImageNet. OSError where they cannot be downloaded."""
    from inception_edu import torchvision_weights  # torchvision takes seconds

    model = torchvision_weights.load_torchvision(name)
    known = torchvision_weights.KNOWN[name]
    return Classifier(model, known.classes, (0.5,) * 3, (0.5,) * 3, known.crop, known.resize)


@torch.no_grad()
def class_activation_map(model: Network, x: Tensor, label: int | None = None) -> Tensor:
    """How much each place speaks for a class: (n, c, h, w) -> (n, h', w') of the last grid.

    The head is a mean over the grid, then a linear layer; in the other order they give this map,
    whose mean is the logit (Zhou et al., arXiv:1512.04150). label None: each image's most probable
    class. ValueError for a network with another head.
    """
    linear, grid = _linear_after_mean(model), _last_grid(model, x)
    if label is None:
        labels = linear(grid.mean((2, 3))).argmax(1)
    else:
        label = check_whole("label", label, 0, linear.out_features - 1)
        labels = torch.full((len(x),), label, device=x.device)
    maps = torch.einsum("nchw,nc->nhw", grid, linear.weight[labels])
    return (maps + linear.bias[labels, None, None]).float()


@torch.no_grad()
def place_logits(model: Network, x: Tensor) -> Tensor:
    """The logits where the head gets each place of the last grid alone: (n, c, h, w) -> (n, h', w',
    classes), on the CPU; their means are the network's. ValueError for one with another head."""
    linear, grid = _linear_after_mean(model), _last_grid(model, x)
    return linear(grid.permute(0, 2, 3, 1)).float().cpu()


def _last_grid(model: Network, x: Tensor) -> Tensor:
    model.check_input(x)
    with evaluation_mode(model):
        return model.body(model.stem(x))


def _linear_after_mean(model: nn.Module) -> nn.Linear:
    """The linear layer of a head made by layers.classifier; ValueError for any other network."""
    head = getattr(model, "head", None) if isinstance(model, Network) else None
    pool, linear = getattr(head, "pool", None), getattr(head, "linear", None)
    if not isinstance(pool, nn.AdaptiveAvgPool2d) or pool.output_size != 1:
        raise ValueError(
            "a class activation map needs a network of this package, whose head is a mean over the "
            f"grid and a linear layer, got {type(model).__name__}"
        )
    return linear


def new_head(model: nn.Module, num_classes: int) -> Network:
    """The same network with fresh last layers, for other classes; the given one stays as it is.

    Stem, body and what the aux heads have before their last layer keep their weights. ValueError
    for a network that is not of this package.
    """
    if not isinstance(model, Network):
        raise ValueError(f"model must be a GoogLeNet or Inception, got {type(model).__name__}")
    check_count(num_classes=num_classes)
    fresh = type(model)(**model.arguments | dict(num_classes=num_classes))
    return adopt(fresh, model).to(next(model.parameters()).device)


@torch.no_grad()
def adopt(model: Network, learned: Network, *, head: bool = False) -> Network:
    """Copy into `model` all that `learned` knows, its last layers only with `head`.

    Aux heads that one of the two does not have are left alone; ValueError where networks differ.
    """
    ours, theirs = (net.arguments | dict(aux=None, num_classes=None) for net in (model, learned))
    if type(model) is not type(learned) or ours != theirs:
        raise ValueError(
            f"the weights are of {learned.call}, the network to begin with is {model.call}; "
            "choose the same network"
        )
    weights, mine = learned.state_dict(), model.state_dict()
    if odd := [name for name in weights.keys() ^ mine.keys() if not name.startswith("aux.")]:
        raise ValueError(f"one of the networks was changed after it was built: {min(odd)}")
    for name, value in mine.items():
        if name in weights and (head or ".linear." not in name):
            value.copy_(weights[name])
    return model
