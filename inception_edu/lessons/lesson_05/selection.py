"""Lesson 05: selection bias, how much too good a score is that chose what it then judges."""

import math
from typing import NamedTuple

import torch
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import COLOURS
from inception_edu.widgets import Explorer, choices

TURNS = 200
RIGHT = 0.84  # of the images, in the long run, by each candidate of the explorer


def at_most(n: int, p: float) -> Tensor:
    """F(x), the probability that at most x of n images are right, for x = 0 .. n: (n + 1,)."""
    x = torch.arange(n + 1, dtype=torch.float64)
    choose = math.lgamma(n + 1) - torch.lgamma(x + 1) - torch.lgamma(n - x + 1)
    return (choose + x * math.log(p) + (n - x) * math.log1p(-p)).exp().cumsum(0).clamp(max=1)


def expected_best(k: int, n: int, p: float) -> float:
    """The mean of the best of k scores, when each has n images right with probability p.

    Exact: E[max] is the sum over x of P(max > x) = 1 - F(x)^k, F the binomial distribution.
    """
    return ((1 - at_most(n, p) ** k).sum() / n).item()


class Bias(NamedTuple):
    """How a single score and the best of k are distributed, by percent, and the bias in points."""

    k: int
    n: int
    percent: Tensor
    single: Tensor
    best: Tensor
    points: float


def bias(k: int, n: int) -> Bias:
    """Of k candidates that are all equally good, scored on n images."""
    below = at_most(n, RIGHT)
    single, best = (f.diff(prepend=f.new_zeros(1)) for f in (below, below**k))
    points = 100 * (expected_best(k, n, RIGHT) - RIGHT)
    return Bias(k, n, torch.arange(n + 1) * 100 / n, single, best, points)


def bias_explorer() -> Explorer:
    """Choose how many candidates there are, and how many images they are scored on."""
    controls = {
        "k": IntSlider(value=20, min=1, max=100, description="candidates"),
        "n": choices((500, 1_000, 10_000), 10_000, description="test images"),
    }
    title = "How much too good is the best of k equally good networks?"
    return Explorer(controls, bias, _draw, _words, title=title, tells=False)


def _words(data: Bias) -> str:
    return (
        f"each has {RIGHT:.0%} in the long run; the best of {data.k} scores "
        f"{100 * RIGHT + data.points:.2f}% on {data.n:,} images, {data.points:.2f} points too high"
    )


def _draw(fig: Figure, data: Bias) -> None:
    ax = fig.add_subplot()
    kinds = {"one network": (data.single, "muted"), f"the best of {data.k}": (data.best, "before")}
    for name, (chances, colour) in kinds.items():
        ax.fill_between(data.percent, chances, color=COLOURS[colour], alpha=0.6, label=name)
    ax.axvline(100 * RIGHT, color=COLOURS["ink"], ls=":", lw=2, label="the truth")
    ax.set(xlim=(78, 91), ylim=(0, None), yticks=[], xlabel="score on the test images, %")
    ax.set(ylabel="probability", title=f"Best of {data.k}: {data.points:.2f} points too high")
    ax.legend(frameon=False, loc="upper right")


@torch.no_grad()
def variants(network: nn.Module, split: Split, *, k: int = 50, noise: float = 0.3) -> Tensor:
    """Which images (n,) each of k versions of a network gets right: bool (k, n), on the CPU.

    The versions differ in the last layer, whose weights get noise of so many of their standard
    deviations. What comes before is computed once.
    """
    network.eval()
    body, (*pooling, last) = network[:-1], network[-1]
    features = torch.cat([nn.Sequential(*body, *pooling)(x) for x, _ in split.batches(500)])
    draws = torch.randn(k, *last.weight.shape, generator=torch.Generator().manual_seed(0))
    weights = last.weight + noise * last.weight.std() * draws
    return torch.stack([(features @ w.T + last.bias).argmax(1) == split.labels for w in weights])


def bias_of(right: Tensor) -> float:
    """Points by which the best of k on one half of the images does worse on the other half.

    `right` is bool (k, n); the mean over TURNS random halvings.
    """
    generator, points = torch.Generator().manual_seed(0), []
    for _ in range(TURNS):
        a, b = torch.randperm(right.shape[1], generator=generator).chunk(2)
        scores = right[:, a].double().mean(1)
        best = scores.argmax()
        points.append(scores[best] - right[best, b].double().mean())
    return 100 * torch.stack(points).mean().item()
