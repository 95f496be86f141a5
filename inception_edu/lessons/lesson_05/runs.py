"""Lesson 05, training for real: a run that went well and four in which one thing was changed."""

from dataclasses import replace

import torch

from inception_edu.data import Dataset
from inception_edu.lessons.shared import Entry, first_images, small_googlenet
from inception_edu.training import Recipe
from inception_edu.training.recipe import ONE_PASS

PEAK, TIMES = 0.05, 80  # the healthy run's highest learning rate; two runs take 80 times more, less
FEW = 512  # images that the network can learn by heart within the run
SHORT = Recipe(
    steps=200,
    batch_size=64,
    lr=PEAK,
    validate_every=25,
    precision="float32",
    shares=1,
    **ONE_PASS,
)


def all_images(dataset: Dataset) -> Dataset:
    """All training images, and 1,000 to validate on."""
    return first_images(dataset, valid=1_000)


def few_images(dataset: Dataset) -> Dataset:
    """So few training images that each is met 25 times."""
    return first_images(dataset, FEW, valid=1_000)


def shuffled(dataset: Dataset) -> Dataset:
    """All training images, each with the label of another; the validation labels stay right."""
    dataset = all_images(dataset)
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))
    return replace(dataset, train=replace(dataset.train, labels=dataset.train.labels[order]))


RUNS = {  # the study "training"
    "healthy": Entry("05", small_googlenet, SHORT, prepare=all_images),
    "labels shuffled": Entry("05", small_googlenet, SHORT, prepare=shuffled),
    "few images": Entry("05", small_googlenet, SHORT, prepare=few_images),
    "rate too high": Entry(
        "05", small_googlenet, replace(SHORT, lr=TIMES * PEAK), prepare=all_images
    ),
    "rate too low": Entry(
        "05", small_googlenet, replace(SHORT, lr=PEAK / TIMES), prepare=all_images
    ),
}
LETTERS = {"A": "rate too low", "B": "few images", "C": "rate too high", "D": "labels shuffled"}
