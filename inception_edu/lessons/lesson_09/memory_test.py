"""Lesson 09: whether a validation part asks what was learned, or what was remembered."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import pad

from inception_edu.cost import text_table
from inception_edu.data import Dataset, Split
from inception_edu.figures import COLOURS, Picture

MOST, EDGE = 10, 3  # crops in a row of the figure; pixels around each


def nearest(train: Split, valid: Split) -> Tensor:
    """For each validation image, the place of the training image whose pixels are nearest."""
    return torch.cdist(valid.images.flatten(1).double(), train.images.flatten(1).double()).argmin(1)


def memoriser(dataset: Dataset) -> float:
    """Accuracy of whoever learns nothing: each image gets the label of its nearest neighbour."""
    found = dataset.train.labels[nearest(dataset.train, dataset.valid)]
    return (found == dataset.valid.labels).double().mean().item()


def words(datasets: dict[str, Dataset]) -> str:
    """Photos and the memoriser's accuracy for each way to split."""
    rows = [("validation part", "to train on", "to validate", "memoriser")]
    for name, dataset in datasets.items():
        sizes = len(dataset.train), len(dataset.valid)
        rows.append((name, *map(str, sizes), f"{100 * memoriser(dataset):.0f} %"))
    return text_table(rows)


def show(datasets: dict[str, Dataset]) -> Picture:
    """Validation crops over their nearest training crops, for each way to split."""
    return Picture(_draw, datasets, words, size=(9, 4.4))


def _draw(fig: Figure, datasets: dict[str, Dataset]) -> None:
    for ax, (name, dataset) in zip(fig.subplots(2, 1), datasets.items(), strict=True):
        chosen = torch.linspace(0, len(dataset.valid) - 1, MOST).long()
        near = nearest(dataset.train, dataset.valid)[chosen]
        right = dataset.train.labels[near] == dataset.valid.labels[chosen]
        rows = dataset.valid.images[chosen], dataset.train.images[near]
        side = rows[0].shape[-1] + 2 * EDGE
        ax.imshow(torch.cat([_strip(images) for images in rows], 0))
        for i in range(MOST):
            colour, mark = (
                (COLOURS["branch5x5"], "same") if right[i] else (COLOURS["before"], "other")
            )
            frame = (i * side + EDGE / 2, side + EDGE / 2), side - EDGE, side - EDGE
            ax.add_patch(Rectangle(*frame, fill=False, lw=4, color=colour))
            ax.text((i + 0.5) * side, 2 * side + 2, mark, ha="center", va="top")
        ax.set(xticks=[], yticks=[side / 2, 1.5 * side], yticklabels=["valid", "nearest"])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        ax.set_title(f"{name}: remembering is enough for {100 * memoriser(dataset):.0f} %")


def _strip(images: Tensor) -> Tensor:
    """Images (n, 3, h, w) side by side in white frames: (h', n w', 3)."""
    framed = pad(images, (EDGE,) * 4, value=255)
    return torch.cat([image.permute(1, 2, 0) for image in framed], 1)
