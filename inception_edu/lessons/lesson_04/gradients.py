"""Lesson 04: the gradient that each head sends to each layer, over start x normalisation."""

import statistics
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import text_table
from inception_edu.display import Table
from inception_edu.figures import HEAD_COLOURS
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_04.runs import SETTINGS, STARTS, Setting
from inception_edu.losses import head_losses
from inception_edu.network import Network
from inception_edu.widgets import Explorer, choices

FADED = 1e-3  # of 5b's gradient at conv1: less has faded on the way
HEADS = ("main", "aux2", "aux1")  # as they come from the end of the network
Norms = dict[str, dict[str, float]]  # head -> layer -> norm of the gradient
Grid = dict[Setting, list[Norms]]  # one Norms a seed


def kernels(network: Network) -> dict[str, list[Tensor]]:
    """The convolutions' weights of conv1, conv2 and every block, by name, from the image on."""
    parts = [*network.stem.named_children(), *network.body.named_children()]
    return {
        name: [layer.weight for layer in part.modules() if isinstance(layer, nn.Conv2d)]
        for name, part in parts
        if name.startswith("conv") or isinstance(part, Concat)
    }


def norms(network: Network, images: Tensor, labels: Tensor) -> Norms:
    """The norm of each head's unweighted loss's gradient by the kernels of each layer."""
    found, layers = {}, kernels(network)
    losses = head_losses(network.train()(images), labels)
    weights = [weight for group in layers.values() for weight in group]
    for head in HEADS:
        how = dict(retain_graph=True, allow_unused=True, materialize_grads=True)
        gradients = iter(torch.autograd.grad(losses[head], weights, **how))
        found[head] = {
            name: torch.cat([next(gradients).flatten() for _ in group]).norm().item()
            for name, group in layers.items()
        }
    return found


def measure(images: Tensor, labels: Tensor, *, seeds: int = 3) -> Grid:
    """All settings, each with fresh networks of several seeds, on one batch."""
    grid: Grid = {setting: [] for setting in SETTINGS}
    with torch.random.fork_rng([]):
        for setting in SETTINGS:
            for seed in range(seeds):
                torch.manual_seed(seed)
                grid[setting].append(norms(setting.network(), images, labels))
    return grid


def middle(runs: list[Norms], head: str) -> dict[str, float]:
    """The median over the seeds at each layer that the head's gradient reaches."""
    medians = {name: statistics.median(run[head][name] for run in runs) for name in runs[0][head]}
    return {name: value for name, value in medians.items() if value}


def kept(runs: list[Norms]) -> float:
    """The main head's gradient at conv1 as a share of that at block 5b."""
    main = middle(runs, "main")
    return main["conv1"] / main["5b"]


def table_conv1(grid: Grid) -> Table:
    """What arrives at conv1 from each head, and the share of 5b's that conv1 gets; bold where the
    main head's fades."""
    rows = [("gradient at conv1", *HEADS, "main: conv1 / 5b")]
    for setting, runs in grid.items():
        arrives = [f"{middle(runs, head)['conv1']:.1e}" for head in HEADS]
        rows.append((str(setting), *arrives, f"{kept(runs):.1e}"))
    return Table(rows, bold=[i for i, runs in enumerate(grid.values()) if kept(runs) < FADED])


class Choice(NamedTuple):
    """What the explorer shows: a setting and its runs; the heads that are drawn."""

    setting: Setting
    runs: list[Norms]
    heads: tuple[str, ...]


def explorer(grid: Grid) -> Explorer:
    """Choose start, normalisation and heads; the gradients are looked up."""

    def look_up(start: str, norm: str, head: str) -> Choice:
        setting = Setting(start, norm != "none")
        return Choice(setting, grid[setting], HEADS if head == "all" else (head,))

    controls = {
        "start": choices(tuple(STARTS), value="Xavier", description="start of weights"),
        "norm": choices(("none", "batch norm"), description="norm"),
        "head": choices(("all", *HEADS), description="gradient from"),
    }
    title = "How much gradient arrives, and from which head?"
    return Explorer(controls, look_up, _draw, _words, title=title, size=(9, 4.2), tells=False)


def _words(choice: Choice) -> str:
    names = list(choice.runs[0]["main"])
    rows = [(str(choice.setting), *names)]
    for head in choice.heads:
        values = middle(choice.runs, head)
        rows.append((head, *(f"{values[n]:.0e}" if n in values else "-" for n in names)))
    share = f"conv1 gets {kept(choice.runs):.1e} of what 5b gets from the main head"
    return f"{text_table(rows)}\n{share}; medians of {len(choice.runs)} seeds"


def _draw(fig: Figure, choice: Choice) -> None:
    ax = fig.add_subplot()
    for head in choice.heads:
        values = middle(choice.runs, head)
        runs = [[run[head][name] for name in values] for run in choice.runs]
        low, high = (list(map(end, zip(*runs, strict=True))) for end in (min, max))
        ax.fill_between(list(values), low, high, color=HEAD_COLOURS[head], alpha=0.25)
        style = dict(lw=3, marker="o", markersize=7, color=HEAD_COLOURS[head])
        ax.plot(list(values), list(values.values()), **style, label=f"from {head}")
    ax.set(yscale="log", ylim=(1e-7, 1e2), ylabel="norm of the gradient")
    ax.set(xlabel="layer, from the image to the main head")
    ax.set_title(f"{choice.setting}: conv1 gets {kept(choice.runs):.1g} of 5b's")
    ax.grid(axis="y", alpha=0.4)
    fig.legend(loc="outside right upper", frameon=False)
