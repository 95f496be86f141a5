"""What the lessons share: the networks that the series trains, and what they cost and reach."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import layer_table, text_table
from inception_edu.data import load
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.the_inception_block import course_network
from inception_edu.training import Recipe, evaluate, fit

# Shifts and flips pay in long training; in one pass over the data they only make it harder.
ONE_PASS = dict(shift=0, flip=False, weight_decay=2e-4)
GOOGLENET_RECIPE = Recipe(steps=460, **ONE_PASS)


class Entry(NamedTuple):
    """A network of the series: the lesson that trains it first, how it is built and trained."""

    lesson: str
    build: Callable[[], nn.Module]
    recipe: Recipe


NETWORKS = {
    "linear classifier": Entry(
        "00",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        Recipe(steps=400, lr=0.02, precision="float32", **ONE_PASS),
    ),
    "course network": Entry("02", course_network, Recipe(steps=400, lr=0.02, **ONE_PASS)),
    "GoogLeNet, 1/8 width": Entry("02", lambda: GoogLeNet("small"), GOOGLENET_RECIPE),
}
ASSET = files("inception_edu") / "assets" / "networks.json"


def measure_all(seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Train every network once per seed and save what came out; minutes."""
    fashion, runs = load("fashion_mnist"), {}
    for name, entry in NETWORKS.items():
        for seed in seeds:
            torch.manual_seed(seed)
            model, start = entry.build(), time.perf_counter()
            recipe = Recipe(**{**vars(entry.recipe), "seed": seed})
            history = fit(model, fashion, recipe)
            if history.stopped:
                raise RuntimeError(f"{name}, seed {seed}: {history.stopped}")
            seconds = round(time.perf_counter() - start, 1)
            accuracy = evaluate(model, fashion.test).accuracy
            run = dict(seed=seed, test_accuracy=round(accuracy, 4), train_seconds=seconds)
            runs.setdefault(name, []).append(run | dict(precision=history.precision))
            print(f"{name}, seed {seed}: {accuracy:.2%}")
    about = dict(
        command="python -m inception_edu.authoring measure",
        versions=dict(
            python=platform.python_version(),
            torch=torch.__version__,
            torchvision=torchvision.__version__,
        ),
        hardware=f"{os.cpu_count()} cores, {platform.machine()}, {history.device}",
    )
    Path(str(ASSET)).write_text(json.dumps(about | dict(networks=runs), indent=1) + "\n")


class Reached(NamedTuple):
    """What a network costs and reached: means over n seeds, and the standard deviation."""

    name: str
    params: int
    macs: int
    accuracy: float
    spread: float
    seconds: float
    n: int


def reached(lesson: str) -> list[Reached]:
    """The networks trained up to a lesson; costs are counted now, accuracies were saved."""
    saved, found = json.loads(ASSET.read_text())["networks"], []
    for name, entry in NETWORKS.items():
        if entry.lesson <= lesson:
            table = layer_table(entry.build(), (1, 28, 28))
            accuracies = [run["test_accuracy"] for run in saved[name]]
            seconds = statistics.mean(run["train_seconds"] for run in saved[name])
            spread = statistics.stdev(accuracies)
            mean, n = statistics.mean(accuracies), len(accuracies)
            found.append(Reached(name, table.params, table.macs, mean, spread, seconds, n))
    return found


def words_reached(networks: list[Reached]) -> str:
    """The running table: test accuracy on Fashion-MNIST is mean and standard deviation."""
    heading = ("network", "parameters", "MACs per image", "test accuracy", "n", "seconds to train")
    rows = [heading]
    for r in networks:
        accuracy = f"{r.accuracy:.1%} ± {100 * r.spread:.1f}"
        cells = (f"{r.params:,}", f"{r.macs:,}", accuracy, f"{r.n}", f"{r.seconds:.1f}")
        rows.append((r.name, *cells))
    about = json.loads(ASSET.read_text())
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{text_table(rows)}\nFashion-MNIST, measured on {about['hardware']}; {versions}"


def running_table(lesson: str) -> None:
    """Print the networks trained up to a lesson, with what they cost and reached."""
    print(words_reached(reached(lesson)))


def _draw_promise(fig: Figure, networks: list[Reached]) -> None:
    ax = fig.add_subplot()
    for i, r in enumerate(networks):
        where = (r.seconds, 100 * r.accuracy)
        ax.errorbar(*where, 100 * r.spread, fmt="o", color=COLOURS["after"], markersize=12)
        inwards, above = (-1 if r.seconds > 30 else 1), (18 if i % 2 else -18)
        how = dict(textcoords="offset points", va="center", ha="left" if inwards > 0 else "right")
        ax.annotate(r.name, where, (8 * inwards, above), **how)
    best = max(networks, key=lambda r: r.accuracy)
    title = f"{100 * best.accuracy:.1f} % in {best.seconds:.0f} seconds, without a GPU"
    ax.set(xlabel="seconds to train on 2 CPU cores", ylabel="test accuracy, %", title=title)
    ax.margins(x=0.1, y=0.25)
    ax.set_xlim(left=-2)


def promise() -> Picture:
    """Accuracy against training seconds, for all networks of the series."""
    return Picture(_draw_promise, reached("99"), words_reached, size=(8, 4))
