"""Lesson 09: whether a test split asks what was learned, or what was remembered."""

from dataclasses import replace

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import pad

from inception_edu.data import Dataset, Split, load
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.studies import mean_std, paired

SEEDS = range(5)  # of the splits that the lesson compares
MOST, EDGE = 8, 3  # images in a row of the figure; pixels around each
BY_IMAGE, BY_OBJECT = "split by image", "split by object"


def nearest(train: Split, test: Split) -> Tensor:
    """For each test image, the place of the training image whose pixels are nearest."""
    return torch.cdist(test.images.flatten(1).double(), train.images.flatten(1).double()).argmin(1)


def memoriser(dataset: Dataset) -> float:
    """Test accuracy of what learns nothing: an image gets the label of its nearest neighbour."""
    taken = dataset.train.labels[nearest(dataset.train, dataset.test)]
    return (taken == dataset.test.labels).double().mean().item()


def by_image(dataset: Dataset, seed: int = 0) -> Dataset:
    """The same images and sizes of the parts, but dealt out image by image."""
    parts = dict(train=dataset.train, valid=dataset.valid, test=dataset.test)
    images = torch.cat([part.images for part in parts.values()])
    labels = torch.cat([part.labels for part in parts.values()])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    places = order.split([len(part) for part in parts.values()])
    dealt = {
        name: replace(part, images=images[own], labels=labels[own])
        for (name, part), own in zip(parts.items(), places, strict=True)
    }
    return replace(dataset, **dealt)


def both(seed: int) -> dict[str, Dataset]:
    """The stamps of a seed, split in both ways."""
    stamps = load("stamps", seed=seed)
    return {BY_IMAGE: by_image(stamps, seed), BY_OBJECT: stamps}


def measure() -> dict[str, list[float]]:
    """The memoriser's accuracy in percent on five splits of either kind."""
    splits = [both(seed) for seed in SEEDS]
    return {way: [100 * memoriser(two[way]) for two in splits] for way in (BY_IMAGE, BY_OBJECT)}


def table(measured: dict[str, list[float]]) -> Table:
    """Means over the splits, and the paired difference."""
    rows = [("memoriser, test accuracy", "%, mean ± standard deviation", "splits")]
    rows += [(way, mean_std(values), len(values)) for way, values in measured.items()]
    change = paired(measured[BY_IMAGE], measured[BY_OBJECT])
    said = f"by image minus by object: {change} points (95 % interval, paired)"
    return Table(rows, caption=said)


def words(datasets: dict[str, Dataset]) -> str:
    """The memoriser's accuracy on the splits that are shown."""
    return "\n".join(f"{way}: {100 * memoriser(d):.0f} %" for way, d in datasets.items())


def show(datasets: dict[str, Dataset]) -> Picture:
    """Test images over their nearest training images, for each way to split."""
    return Picture(_draw, datasets, words, size=(7, 4.4))


def _draw(fig: Figure, datasets: dict[str, Dataset]) -> None:
    for ax, (name, dataset) in zip(fig.subplots(2, 1), datasets.items(), strict=True):
        chosen = torch.linspace(0, len(dataset.test) - 1, MOST).long()
        near = nearest(dataset.train, dataset.test)[chosen]
        right = dataset.train.labels[near] == dataset.test.labels[chosen]
        rows = dataset.test.images[chosen], dataset.train.images[near]
        side = rows[0].shape[-1] + 2 * EDGE
        ax.imshow(torch.cat([_strip(images) for images in rows], 0))
        for i in range(MOST):
            colour, mark = (
                (COLOURS["branch5x5"], "correct") if right[i] else (COLOURS["before"], "wrong")
            )
            frame = (i * side + EDGE / 2, side + EDGE / 2), side - EDGE, side - EDGE
            ax.add_patch(Rectangle(*frame, fill=False, lw=4, color=colour))
            ax.text((i + 0.5) * side, 2 * side + 2, mark, ha="center", va="top")
        ax.set(xticks=[], yticks=[side / 2, 1.5 * side], yticklabels=["test", "nearest"])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        ax.set_title(f"{name}: the memoriser is {100 * memoriser(dataset):.0f} % correct")


def _strip(images: Tensor) -> Tensor:
    """Images (n, 3, h, w) side by side in white frames: (h', n w', 3)."""
    framed = pad(images, (EDGE,) * 4, value=255)
    return torch.cat([image.permute(1, 2, 0) for image in framed], 1)
