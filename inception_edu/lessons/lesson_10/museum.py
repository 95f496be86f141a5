"""Lesson 10, the bug museum: its floor plan, and the last exhibit's figure and short training."""

from collections.abc import Callable
from dataclasses import replace
from statistics import mean

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import text_table
from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.layers import Concat, chain, classifier, conv
from inception_edu.lessons.lesson_10.exhibits_silent import with_norm
from inception_edu.training import fit, silent
from inception_edu.training.recipe import ONE_PASS, Recipe

ROOMS = {  # what gives a bug away -> the exhibits
    "it stops": ("1 a pool of 7x7", "2 a grey photo"),
    "a curve": ("3 softmax over the batch", "4 resumed from weights"),
    "a count": ("5 128 for 144", "6 a grid of 1x1", "7 no ReLU"),
    "nothing": (
        "8 heads swapped",
        "9 unsorted split",
        "10 normalised twice",
        "11 pickled network",
        "12 eps = 128",
    ),
}


def show_plan() -> Picture:
    """The rooms, from loud to silent, and what hangs in them."""
    told = "\n".join(f"{room}: {', '.join(exhibits)}" for room, exhibits in ROOMS.items())
    return Picture(_draw_plan, ROOMS, lambda _: told, size=(10, 3.3))


def _draw_plan(fig: Figure, rooms: dict[str, tuple[str, ...]]) -> None:
    ax, shades = fig.add_subplot(), ("before", "branch3x3", "after", "muted")
    for x, ((room, exhibits), shade) in enumerate(zip(rooms.items(), shades, strict=True)):
        ax.bar(x, 6, 0.96, color=COLOURS[shade], alpha=0.35)
        ax.text(x, 5.5, room, ha="center", va="center", weight="bold", fontsize=15)
        for i, exhibit in enumerate(exhibits):
            ax.text(x - 0.44, 4.5 - 0.9 * i, exhibit, va="center", fontsize=12)
    ax.set(title="What gives the bug away?", xlim=(-0.5, 3.5), ylim=(0, 6))
    ax.axis("off")


def norm_as_it_was(n: int) -> nn.BatchNorm2d:
    """Batch norm for n channels, as it was."""
    return nn.BatchNorm2d(n, n)


@torch.no_grad()
def loudness(block: Concat, x: Tensor) -> dict[str, float]:
    """The standard deviation of every branch's output in training."""
    return {name: branch(x).std().item() for name, branch in block.items()}


def show_loudness(blocks: dict[str, Concat], x: Tensor) -> Picture:
    """How loud the branches of two blocks are."""
    heard = {name: loudness(block, x) for name, block in blocks.items()}
    return Picture(_draw_loudness, heard, _words_loudness, size=(9, 3.2))


def _words_loudness(heard: dict[str, dict[str, float]]) -> str:
    rows = [("standard deviation", *next(iter(heard.values())))]
    rows += [(name, *(f"{std:.3f}" for std in each.values())) for name, each in heard.items()]
    return text_table(rows)


def _draw_loudness(fig: Figure, heard: dict[str, dict[str, float]]) -> None:
    for ax, (name, each) in zip(fig.subplots(1, 2, sharey=True), heard.items(), strict=True):
        for branch, std in each.items():
            label = branch.removeprefix("branch").removeprefix("_")
            ax.bar(label, std, color=COLOURS[branch])
            ax.text(label, std + 0.02, f"{std:.3f}", ha="center")
        ax.set(title=name, ylim=(0, 0.8))
    fig.supylabel("standard deviation", fontsize=13)


SETTINGS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "eps = 0.001": lambda network: network,
    "eps = channels, 5x5 branch": lambda network: with_norm(network, norm_as_it_was, "5x5"),
    "eps = channels, everywhere": lambda network: with_norm(network, norm_as_it_was),
}
RECIPE = Recipe(steps=60, batch_size=64, precision="float32", **ONE_PASS)


def short_network() -> nn.Sequential:
    """Blocks 3a and 3b at a quarter of their width, for Fashion-MNIST."""
    row_a, row_b = (TABLE_1[name].scaled(1 / 4) for name in ("3a", "3b"))
    return chain(
        conv1=conv(1, 16, 5, stride=2),
        pool=nn.MaxPool2d(3, 2, padding=1),
        a=Inception(16, row_a),
        b=Inception(row_a.c_out, row_b),
        head=classifier(row_b.c_out, 10),
    )


def race(dataset: Dataset, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, list[float]]:
    """The mean loss of the last 10 steps of each setting's runs, one a seed."""
    found = {}
    for name, change in SETTINGS.items():
        for seed in seeds:
            torch.manual_seed(seed)
            network = change(short_network())
            history = fit(network, dataset, replace(RECIPE, seed=seed), watch=silent)
            found.setdefault(name, []).append(mean(history.losses["main"][-10:]))
    return found


def table(race: dict[str, list[float]]) -> Table:
    """Each run's loss, their mean, and by how much it is above the first setting's."""
    first = mean(next(iter(race.values())))
    seeds = (f"seed {i}" for i in range(len(next(iter(race.values())))))
    rows = [("loss of the last 10 steps", *seeds, "mean", "more than the first")]
    for name, losses in race.items():
        values = (*losses, mean(losses), mean(losses) - first)
        rows.append((name, *(f"{loss:.2f}" for loss in values)))
    return Table(rows, bold={1})
