"""What the lessons share: the networks that the series trains, and what they cost and reach."""

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple

from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import layer_table, text_table
from inception_edu.data import Dataset
from inception_edu.evaluation import Evaluation
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV3
from inception_edu.lessons.the_inception_block import course_network
from inception_edu.recipe import ONE_PASS, Recipe

GOOGLENET_RECIPE = Recipe(steps=460, **ONE_PASS)


class Entry(NamedTuple):
    """A network of the series: the lesson that trains it first, how it is built and trained."""

    lesson: str
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: str = "fashion_mnist"
    prepare: Callable[[Dataset], Dataset] = lambda dataset: dataset  # what a run makes of it
    look: Callable[[Evaluation, Tensor], dict] = lambda tested, labels: {}  # what else is saved

    def recipe_for(self, seed: int) -> Recipe:
        """The recipe with another seed."""
        return replace(self.recipe, seed=seed)


def small_googlenet() -> GoogLeNet:
    """The nine blocks at an eighth of their width, for Fashion-MNIST: what the lessons train."""
    return GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


def small_inception_v3() -> InceptionV3:
    """Inception v3 at an eighth of its width, for Fashion-MNIST."""
    return InceptionV3("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


NETWORKS = {
    "linear classifier": Entry(
        "00",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        Recipe(steps=400, lr=0.02, precision="float32", **ONE_PASS),
    ),
    "course network": Entry("02", course_network, Recipe(steps=400, lr=0.02, **ONE_PASS)),
    "GoogLeNet, 1/8 width": Entry("02", small_googlenet, GOOGLENET_RECIPE),
    "Inception v3, 1/8 width": Entry("08", small_inception_v3, GOOGLENET_RECIPE),
}
ASSETS = files("inception_edu") / "assets"


def saved(study: str) -> dict:
    """What `python -m inception_edu.authoring measure STUDY` saved: command, versions, hardware,
    and in "runs" each entry's runs, one a seed, with rows and loss curves."""
    return json.loads((ASSETS / f"{study}.json").read_text(encoding="utf-8"))


def accuracies(study: dict, name: str) -> list[float]:
    """Test accuracy in percent of each saved run of an entry, in the order of seeds."""
    return [100 * run["test_accuracy"] for run in study["runs"][name]]


def told(values: list[float], sign: str = "", *, digits: int = 1) -> str:
    """Mean, and standard deviation where there are several values; `sign` "+" prints it always."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.{digits}f}{spread}"


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
    runs_of, found = saved("networks")["runs"], []
    for name, entry in NETWORKS.items():
        if entry.lesson <= lesson:
            table = layer_table(entry.build(), (1, 28, 28))
            accuracies = [run["test_accuracy"] for run in runs_of[name]]
            seconds = statistics.mean(run["train_seconds"] for run in runs_of[name])
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
    about = saved("networks")
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
    """Accuracy against training seconds, for the networks that the first lessons train."""
    return Picture(_draw_promise, reached("02"), words_reached, size=(8, 4))
