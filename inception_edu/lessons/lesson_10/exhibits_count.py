"""Lesson 10, room 3: mistakes that learn all the same, and that a count gives away."""

import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import GOOGLENET, blocks, stem
from inception_edu.layers import Concat, chain, classifier, conv

SHOWN = ("3b", "4e", "5b")
Reached = dict[str, dict[str, Tensor]]  # block -> branch -> places (k, k) of its kernels


def imagenet_stem(c: int) -> nn.Sequential:
    """The stem, as it was: made for 224 x 224, given 28 x 28."""
    return chain(
        conv1=conv(1, c, 7, stride=2),
        pool1=nn.MaxPool2d(3, 2, padding=1),
        conv2=conv(c, 3 * c, 3),
        pool2=nn.MaxPool2d(3, 2, padding=1),
    )


def small_stem(c: int) -> nn.Sequential:
    """The stem of the series for images of 28 to 64 pixels."""
    return stem(1, c / 64, GOOGLENET["small"])


def nine_blocks(stem: nn.Module, c: int = 8) -> nn.Sequential:
    """The nine blocks on this stem of `c` channels, ten classes; c = 64 is Table 1's width."""
    return chain(stem=stem, body=blocks(3 * c, c / 64), head=classifier(16 * c, 10))


def grids(network: nn.Sequential, side: int = 28) -> dict[str, int]:
    """The side of the grid after every layer that shrinks it, by name."""
    x, found = torch.zeros(2, 1, side, side), {"image": side}
    for name, layer in [*network.stem.named_children(), *network.body.named_children()]:
        x = layer(x)
        if x.shape[2] < min(found.values()):
            found[name] = x.shape[2]
    return found


def reached(network: nn.Sequential, images: Tensor, labels: Tensor) -> Reached:
    """Which places of its kernels send a gradient to some weight, by block and branch."""
    network.zero_grad()
    cross_entropy(network(images), labels).backward()
    found = {}
    for name in SHOWN:
        block = network.body.get_submodule(name)
        kernels = {branch: block[branch][1].conv.weight for branch in ("branch3x3", "branch5x5")}
        found[name] = {branch: w.grad.abs().amax((0, 1)) > 0 for branch, w in kernels.items()}
    return found


def show_reached(found: Reached) -> Picture:
    """The places of the kernels that a gradient reaches, by block."""
    return Picture(_draw_reached, found, _words_reached, size=(8, 4.4))


def _words_reached(found: Reached) -> str:
    lines = []
    for name, each in found.items():
        counts = (f"{branch} {int(m.sum())} of {m.numel()}" for branch, m in each.items())
        lines.append(f"{name}, places that learn: " + ", ".join(counts))
    return "\n".join(lines)


def _draw_reached(fig: Figure, found: Reached) -> None:
    for row, branch in zip(fig.subplots(2, len(found)), ("branch3x3", "branch5x5"), strict=True):
        shades = ListedColormap(["white", COLOURS[branch]])
        for ax, (name, each) in zip(row, found.items(), strict=True):
            places = each[branch]
            lines = dict(edgecolors=COLOURS["ink"], linewidth=1.5)
            ax.pcolormesh(places, cmap=shades, vmin=0, vmax=1, **lines)
            ax.set_title(f"{name}: {int(places.sum())} of {places.numel()}")
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(f"{branch.removeprefix('branch')} kernel")


def without_relu(block: Concat, *, last: str | None = None) -> Concat:
    """The block without any ReLU, or without the last one of the branch named."""
    for name, branch in block.items():
        layers = [layer for layer in branch.modules() if hasattr(layer, "relu")]
        for layer in layers if last is None else layers[-1:] if name == last else []:
            del layer.relu
    return block
