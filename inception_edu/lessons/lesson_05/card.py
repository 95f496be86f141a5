"""Lesson 05: what one card does, measured here or as `make gpu` saved it of another machine."""

import torch

from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.lessons.lesson_05.loop import without_validation
from inception_edu.lessons.shared import small_googlenet
from inception_edu.lessons.studies import ASSETS, made_by, saved
from inception_edu.training import Recipe, fit, silent
from inception_edu.training.recipe import ONE_PASS

WARM_UP, STEPS = 5, 40  # steps of the run that is not counted, and of the one that is


def images_per_second(dataset: Dataset, device: str, *, steps: int = STEPS) -> dict[str, int]:
    """By device and batch size, the speed of `fit` on the CPU and on another device, without
    validation; the lesson measures it where there is a card, `make gpu` saves it."""
    images, found = without_validation(dataset), {}
    for name, size in (("cpu", 128), (device, 128), (device, 512)):
        for n in (WARM_UP, steps):
            torch.manual_seed(0)
            recipe = Recipe(steps=n, batch_size=size, **ONE_PASS)
            history = fit(small_googlenet(), images, recipe, device=name, watch=silent)
        found[f"{name}, batch {size}"] = round(history.images_per_second)
    return found


def measured() -> dict:
    """The parts of the asset gpu.json by name, each with what it found, and what made them; an
    empty dict where no card was measured."""
    return saved("gpu") if (ASSETS / "gpu.json").is_file() else {}


def beside_cpu(about: dict) -> Table:
    """The saved card beside the CPU of the same machine: speed, and one pass over MNIST."""
    speeds, mnist = (about["parts"][name] for name in ("images_per_second", "mnist"))
    rows = [("what", "that machine's CPU", "its GPU")]
    for size in (128, 512):
        cells = (speeds.get(f"{device}, batch {size}") for device in ("cpu", "cuda"))
        rows.append((f"images/s, batch {size}", *(f"{n:,}" if n else "" for n in cells)))
    for key, what in (("train_seconds", "seconds"), ("test_accuracy", "test accuracy")):
        if "cpu" in mnist:  # else it did not run
            cells = (f"{mnist[device][key]:g}" for device in ("cpu", "cuda"))
            rows.append((f"MNIST, one pass: {what}", *cells))
    return Table(rows, caption=f"There is no GPU here. Saved: {made_by(about)}")
