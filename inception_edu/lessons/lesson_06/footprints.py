"""Lesson 06: the receptive field of a stack of convolutions, counted by gradient and drawn."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import kernel_size, same_padding

Kernels = tuple[int | tuple[int, int], ...]


def seen(layers: nn.Module, c_in: int) -> Tensor:
    """Mean |gradient| of the middle output pixel by each input pixel, over 64 images: (h, w)."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        images = torch.randn(64, c_in, 9, 9, requires_grad=True)
    middle = layers.eval()(images)[:, :, 4, 4].sum()
    return torch.autograd.grad(middle, images)[0].abs().mean((0, 1))


def window(gradient: Tensor) -> tuple[int, int]:
    """The receptive field: height and width of the box of pixels with a gradient."""
    rows, columns = gradient.nonzero().T
    return len(rows.unique()), len(columns.unique())


def routes(*kernels: int | tuple[int, int]) -> Tensor:
    """On how many routes each input pixel reaches the middle output pixel: gradient, weights 1."""
    image = torch.zeros(1, 1, 7, 7, requires_grad=True)
    x = image
    for k in kernels:
        x = nn.functional.conv2d(x, torch.ones(1, 1, *kernel_size(k)), padding=same_padding(k))
    return torch.autograd.grad(x[0, 0, 3, 3], image)[0][0, 0]


def words(maps: dict[str, Tensor]) -> str:
    """The receptive field of each stack, its pixels, and by how many routes each gets through."""
    lines = []
    for name, counts in maps.items():
        h, w = window(counts)
        most = f"at most {counts.max():.0f} routes" if counts.max() > 1 else "one route each"
        lines.append(f"{name}: receptive field {h}x{w}, {int((counts > 0).sum())} pixels, {most}")
    return "\n".join(lines)


def _draw(fig: Figure, maps: dict[str, Tensor]) -> None:
    for ax, (name, counts) in zip(fig.subplots(1, len(maps)), maps.items(), strict=True):
        ax.imshow(counts, cmap="Greens", vmin=0, vmax=14)
        for y, x in counts.nonzero().tolist():
            ax.text(x, y, f"{counts[y, x]:.0f}", ha="center", va="center", fontsize=13)
        h, w = window(counts)
        ax.set_title(f"{name}: {h}x{w}", fontsize=13)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=COLOURS["muted"])


def show(stacks: dict[str, Kernels]) -> Picture:
    """The receptive fields of stacks of kernels, with the number of routes from each pixel."""
    maps = {name: routes(*kernels) for name, kernels in stacks.items()}
    return Picture(_draw, maps, words, size=(2.5 * len(maps), 2.9))
