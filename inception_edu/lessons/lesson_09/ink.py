"""Lesson 09: a network of light garments on black, asked about dark ink on paper."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import COLOURS, Picture
from inception_edu.losses import logits_of

PAPER, INK = 235, 60  # brightness of the paper and of the ink in a photo of a drawing
TESTED, SHOWN = 1000, 5  # images; the one in the figure
Change = Callable[[Image.Image], Image.Image]


def photographed(garment: Image.Image) -> Image.Image:
    """A garment as dark ink on paper."""
    return garment.point(lambda light: round(PAPER - (PAPER - INK) * light / 255))


WAYS: dict[str, Change] = {
    "light on black, as in training": lambda garment: garment,
    "dark on paper, as it is": photographed,
    "inverted": lambda garment: ImageOps.invert(photographed(garment)),
    "inverted, contrast stretched": lambda garment: ImageOps.autocontrast(
        ImageOps.invert(photographed(garment))
    ),
}


class Tried(NamedTuple):
    """What a network makes of the images in one way, in percent, and one of the images."""

    accuracy: float
    sure: float
    image: np.ndarray


@torch.no_grad()
def measure(network: nn.Module, part: Split) -> dict[str, Tried]:
    """Accuracy and mean confidence on a part's first images, prepared in each way."""
    garments = [Image.fromarray(image[0].numpy()) for image in part.images[:TESTED]]
    labels, found = part.labels[:TESTED], {}
    for way, change in WAYS.items():
        pixels = np.stack([np.asarray(change(garment)) for garment in garments])
        images = Split(torch.from_numpy(pixels)[:, None], labels, part.mean, part.std)
        logits: Tensor = torch.cat([logits_of(network(x)) for x, _ in images.batches(250)])
        sure, taken = logits.softmax(1).max(1)
        right = (taken == labels).double().mean().item()
        found[way] = Tried(100 * right, 100 * sure.mean().item(), pixels[SHOWN])
    return found


def show(tried: dict[str, Tried]) -> Picture:
    """One garment prepared in each way, and the accuracy on all."""
    return Picture(_draw, tried, words, size=(10, 3.9))


def _draw(fig: Figure, tried: dict[str, Tried]) -> None:
    for ax, (way, one) in zip(fig.subplots(1, len(tried)), tried.items(), strict=True):
        ax.imshow(one.image, vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        ax.set_title(way.replace(", ", ",\n"), fontsize=12, weight="normal")
        ax.set_xlabel(f"{one.accuracy:.0f} % correct,\n{one.sure:.0f} % sure", color=COLOURS["ink"])
    right, dark, *_ = (one.accuracy for one in tried.values())
    fig.suptitle(f"Dark on light: {dark:.0f} % correct instead of {right:.0f} %", weight="bold")


def words(tried: dict[str, Tried]) -> str:
    """A line for each way."""
    return "\n".join(
        f"{way}: {one.accuracy:.0f} % correct, {one.sure:.0f} % sure" for way, one in tried.items()
    )
