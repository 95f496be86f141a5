"""Lesson 09: the stamps as the network gets them, and which objects lie in which part."""

from collections import Counter

import torch
from matplotlib.figure import Figure

from inception_edu.data import Dataset
from inception_edu.data.stamps import VIEWS, parts
from inception_edu.display import Table
from inception_edu.figures import Picture

SHOWN, STEP = 8, 11  # scenes of each class in the figure, each of another object


def show(dataset: Dataset) -> Picture:
    """Scenes of each class, from the training split."""
    return Picture(_draw, dataset, _words, size=(8, 4.2))


def _draw(fig: Figure, dataset: Dataset) -> None:
    rows = fig.subplots(len(dataset.classes), SHOWN)
    for label, row in enumerate(rows):
        own = (dataset.train.labels == label).nonzero()[:, 0]
        chosen = own[STEP * torch.arange(SHOWN) % len(own)]
        for ax, i in zip(row, chosen, strict=True):
            ax.imshow(dataset.train.images[i].permute(1, 2, 0))
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(dataset.classes[label], rotation=0, ha="right", va="center")
    fig.suptitle("The background says nothing about the class", weight="bold")


def _words(dataset: Dataset) -> str:
    side = dataset.train.shape[1]
    return f"{SHOWN} scenes of {side} x {side} pixels of each class: {', '.join(dataset.classes)}"


def table(seed: int = 0) -> Table:
    """How many objects and images of each class a part holds."""
    drawn = parts(seed)
    names = sorted({photo.place.parts[0] for photo in drawn["train"]})
    counts = {part: Counter(p.place.parts[0] for p in own) for part, own in drawn.items()}
    heading = ("objects", "to train with", "to validate", "to test", "in all")
    rows = [[name, *(counts[part][name] for part in counts)] for name in names]
    rows.append(["together", *(len(own) for own in drawn.values())])
    rows = [(*row, sum(row[1:])) for row in rows]
    images = [VIEWS[part] * len(own) for part, own in drawn.items()]
    rows.append(("images", *images, sum(images)))
    return Table([heading, *rows], bold={len(rows) - 2})
