"""Lesson 09: the runs on the stamps, and training on from the shipped weights.

A seed draws the objects to train, validate and test with, the scenes and the batches. The side of
the images and the rates were chosen on validation objects, in a few short trials that are no
sweep. From scratch, the network is trained at a higher rate and twice as long.
"""

from dataclasses import replace
from functools import cache, partial

import torch
from torch import nn

from inception_edu.data import Dataset
from inception_edu.lessons.shared import Entry
from inception_edu.predict import (
    PHOTOS as PHOTOS,
    Classifier,
    new_head,
    shipped,
    shipped_photo as shipped_photo,
)
from inception_edu.training import History, Recipe, fit, silent

RECIPE = Recipe(
    epochs=5,
    batch_size=32,
    lr=0.05,
    weight_decay=2e-4,
    shift=3,
    precision="float32",
    shares=1,
    validate_every=80,
)
FEATURES, SCRATCH, TUNED = "shipped features, linear layer", "from scratch", "fine-tuned"
start = cache(shipped)


def start_of(way: str, classes: int = 4) -> nn.Module:
    """The shipped network with a new head; its other weights fixed, drawn anew, or as they are."""
    model = new_head(start().model, classes)
    if way == SCRATCH:
        return type(model)(**model.arguments)
    if way == FEATURES:
        for part in (model.stem, model.body):
            part.eval().requires_grad_(False)
    return model


def as_shipped(dataset: Dataset) -> Dataset:
    """The same images, normalised by the mean and std that the shipped weights know."""
    return dataset.normalised(start().mean, start().std)


WAYS = {  # way -> its recipe; the study "stamps"
    FEATURES: RECIPE,
    SCRATCH: replace(RECIPE, lr=0.1, epochs=10, validate_every=160),
    TUNED: RECIPE,
}
RUNS = {
    way: Entry("09", partial(start_of, way), recipe, "stamps", as_shipped, split_anew=True)
    for way, recipe in WAYS.items()
}


def fine_tune(
    before: Classifier, dataset: Dataset, recipe: Recipe = RECIPE, watch: object = silent
) -> tuple[Classifier, History]:
    """Train on from a classifier's weights: a new head, all other weights, mean and std kept."""
    torch.manual_seed(recipe.seed)
    model = new_head(before.model, len(dataset.classes))
    dataset = dataset.normalised(before.mean, before.std)
    history = fit(model, dataset, recipe, watch=watch)
    side = dataset.train.shape[1]
    classes = dict(classes=dataset.classes, size=side, resize=side)
    return replace(before, model=model.eval(), **classes), history
