"""Lesson 04: how much longer the heads make the gradient, at each layer and in each setting."""

import math
import statistics
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inception_edu.display import Table
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_04.runs import SETTINGS, Setting
from inception_edu.lessons.studies import Paired, paired
from inception_edu.losses import AUX_WEIGHT, head_losses
from inception_edu.network import Network

WEIGHTS = {"main": 1.0, "aux1": AUX_WEIGHT, "aux2": AUX_WEIGHT}
SEEDS = 5


class Case(NamedTuple):
    """A setting, and whether its blocks have their 1x1 reduces."""

    setting: Setting
    reduces: bool = True

    def __str__(self) -> str:
        return f"{self.setting}" + ("" if self.reduces else ", no reduces")


class Pull(NamedTuple):
    """Norms of the gradients at a layer: of each head's weighted loss, and of their sum; and the
    cosine of the angle between the sum and the main head's."""

    main: float
    aux1: float
    aux2: float
    total: float
    cosine: float

    @property
    def ratio(self) -> float:
        """How many times as long as the main head's gradient the sum is."""
        return self.total / self.main


Pulls = dict[str, Pull]  # by layer, of one network
Grid = dict[Case, list[Pulls]]  # a network for each seed
CASES = tuple(Case(setting, reduces) for reduces in (True, False) for setting in SETTINGS)


def kernels(network: Network) -> dict[str, list[Tensor]]:
    """The convolutions' weights of conv1, conv2 and every block, by name, from the image on."""
    parts = [*network.stem.named_children(), *network.body.named_children()]
    return {
        name: [layer.weight for layer in part.modules() if isinstance(layer, nn.Conv2d)]
        for name, part in parts
        if name.startswith("conv") or isinstance(part, Concat)
    }


def pulls(network: Network, images: Tensor, labels: Tensor) -> Pulls:
    """What each head of a network pulls with at each layer, on one batch."""
    layers, losses = kernels(network), head_losses(network.train()(images), labels)
    weights = [weight for group in layers.values() for weight in group]
    given = dict(retain_graph=True, allow_unused=True, materialize_grads=True)
    by_head = {
        head: iter(torch.autograd.grad(times * losses[head], weights, **given))
        for head, times in WEIGHTS.items()
    }
    found = {}
    for name, group in layers.items():
        own = {h: torch.cat([next(g).flatten() for _ in group]) for h, g in by_head.items()}
        total = sum(own.values())
        cosine = torch.cosine_similarity(total, own["main"], dim=0)
        sizes = {head: gradient.norm().item() for head, gradient in own.items()}
        found[name] = Pull(**sizes, total=total.norm().item(), cosine=cosine.item())
    return found


def measure(images: Tensor, labels: Tensor, *, seeds: int = SEEDS) -> Grid:
    """All cases, each with fresh networks of several seeds, on one batch."""
    grid: Grid = {case: [] for case in CASES}
    with torch.random.fork_rng([]):
        for case, runs in grid.items():
            for seed in range(seeds):
                torch.manual_seed(seed)
                network = case.setting.network(reduces=case.reduces)
                runs.append(pulls(network, images, labels))
    return grid


def middle(runs: list[Pulls], value: str, layer: str = "conv1") -> float:
    """The median over the seeds of a Pull's `value` at a layer."""
    return statistics.median(getattr(run[layer], value) for run in runs)


def times(first: list[float], second: list[float]) -> Paired:
    """How many times the second values the first ones are: mean of the logarithms, pair by pair,
    with its 95 % interval, as factors."""
    change = paired([math.log(x) for x in first], [math.log(x) for x in second])
    return Paired(*(math.exp(x) for x in change[:3]), change.n)


def longer(runs: list[Pulls], layer: str = "conv1") -> Paired:
    """How many times as long as main's gradient the sum is, at a layer."""
    return times([run[layer].total for run in runs], [run[layer].main for run in runs])


def says(change: Paired, more: str, less: str) -> str:
    """A factor's interval in a word: it may hold 1."""
    return more if change.low > 1 else less if change.high < 1 else "cannot tell"


def few(factor: float) -> str:
    """A factor in few digits."""
    return f"{factor:.0f}" if factor >= 20 else f"{factor:.2f}"


def interval(change: Paired) -> str:
    """A factor with its interval."""
    mean, low, high = map(few, change[:3])
    return f"{mean} ({low} to {high})"


def table_conv1(grid: Grid) -> Table:
    """At conv1, in each setting: main's gradient, and what the heads make of it."""
    rows = [("setting", "main's", "with heads, in times main's (95 %)", "", "cosine")]
    bold = []
    for setting in SETTINGS:
        runs = grid[Case(setting)]
        change = longer(runs)
        verdict = says(change, "longer", "shorter")
        bold += [len(rows) - 1] if verdict != "cannot tell" else []
        main, cosine = middle(runs, "main"), middle(runs, "cosine")
        rows.append((str(setting), f"{main:.1e}", interval(change), verdict, f"{cosine:.2f}"))
    about = f"n = {len(runs)} seeds, one batch; main's and cosine: medians"
    return Table(rows, bold=bold, caption=about)


def faded(runs: list[Pulls]) -> list[float]:
    """Of each seed, the main head's gradient at conv1 in units of that at block 5b."""
    return [run["conv1"].main / run["5b"].main for run in runs]


def table_reduces(grid: Grid) -> Table:
    """How much of main's gradient arrives at conv1, with and without 1x1 reduces."""
    rows = [("setting", "with reduces", "without", "without / with (95 %)", "")]
    for setting in SETTINGS:
        have, lack = (faded(grid[Case(setting, reduces)]) for reduces in (True, False))
        change = times(lack, have)
        middles = (f"{statistics.median(values):.1e}" for values in (have, lack))
        rows.append((str(setting), *middles, interval(change), says(change, "more", "less")))
    about = f"main's gradient at conv1 in units of that at 5b, medians; n = {len(have)} seeds"
    return Table(rows, caption=about)
