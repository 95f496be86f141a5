"""Lesson 09, your own photos: four shipped photos, a folder of crops of them, and fine-tuning."""

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from inception_edu.data import Dataset
from inception_edu.predict import (
    PHOTOS as PHOTOS,
    Classifier,
    new_head,
    shipped as shipped,
    shipped_photo as photo,
)
from inception_edu.training import History, fit, silent
from inception_edu.training.recipe import Recipe

LEFT, RIGHT, WHOLE = (0.0, 0.6), (0.6, 1.0), (0.0, 1.0)  # parts of a photo's width
SMALLEST, SAVED = 56, 48  # pixels: the smallest side of a crop, the side of every file
RECIPE = Recipe(
    steps=60, batch_size=16, lr=0.05, weight_decay=2e-4, precision="float32", validate_every=10
)


def crop(whole: Image.Image, part: tuple[float, float], generator: torch.Generator) -> Image.Image:
    """A random square out of a part of a photo's width."""
    left, right = (round(edge * whole.width) for edge in part)
    most = min(right - left, whole.height)
    size, x, y = torch.rand(3, generator=generator).tolist()
    side = round(SMALLEST + size * (most - SMALLEST))
    x, y = left + round(x * (right - left - side)), round(y * (whole.height - side))
    return whole.crop((x, y, x + side, y + side))


def write_crops(folder: Path, n: int, *, part: tuple[float, float] = WHOLE, seed: int = 0) -> Path:
    """Make a folder with a folder per class, each with n crops of its photo; returns it."""
    generator = torch.Generator().manual_seed(seed)
    for name in PHOTOS:
        (folder / name).mkdir(parents=True)
        whole = photo(name)
        for i in range(n):
            small = crop(whole, part, generator).resize((SAVED, SAVED))
            small.save(folder / name / f"{name}-{i:03}.png")
    return folder


def plain(dataset: Dataset) -> Dataset:
    """The same photos, shifted and mirrored like other images: random parts of what are crops of
    four photos already would need more than 60 steps."""
    train, valid = (replace(part, resize=None) for part in (dataset.train, dataset.valid))
    return replace(dataset, train=train, valid=valid, test=None)


def fine_tune(
    start: Classifier, dataset: Dataset, *, scratch: bool = False, **changes: object
) -> tuple[Classifier, History]:
    """Train on from a classifier's weights with a new head, or, from `scratch`, from none."""
    size = min(RECIPE.batch_size, len(dataset.train))
    recipe = replace(RECIPE, **dict(batch_size=size) | changes)
    torch.manual_seed(recipe.seed)
    model = new_head(start.model, len(dataset.classes))
    if scratch:
        model = type(model)(**model.arguments)
    history = fit(model, dataset.normalised(start.mean, start.std), recipe, watch=silent)
    return replace(start, model=model.eval(), classes=dataset.classes), history
