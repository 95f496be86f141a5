"""Lesson 05: how much a test set flatters when it has chosen what it then judges."""

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import COLOURS, Picture

CANDIDATES = (1, 2, 5, 10, 20, 50, 100)
TURNS = 200
SIZES = {500: "branch3x3", 1_000: "branch5x5", 10_000: "branch1x1"}  # test images -> colour


def expected_best(k: int, n: int, p: float) -> float:
    """The mean of the best of k scores, when each has n images right with probability p.

    Exact: E[max] is the sum over x of P(max > x) = 1 - F(x)^k, F the binomial distribution.
    """
    x = torch.arange(n + 1, dtype=torch.float64)
    choose = math.lgamma(n + 1) - torch.lgamma(x + 1) - torch.lgamma(n - x + 1)
    below = (choose + x * math.log(p) + (n - x) * math.log1p(-p)).exp().cumsum(0)
    return ((1 - below.clamp(max=1) ** k).sum() / n).item()


def show_flattery(p: float) -> Picture:
    """Points by which the best of k equally good networks seems better than it is."""
    found = {n: [100 * (expected_best(k, n, p) - p) for k in CANDIDATES] for n in sorted(SIZES)}
    return Picture(_draw_flattery, found, _words_flattery, size=(8, 4))


def _words_flattery(found: dict[int, list[float]]) -> str:
    i = CANDIDATES.index(20)
    return "best of 20 seems better by " + ", ".join(
        f"{points[i]:.2f} points on {n:,} test images" for n, points in found.items()
    )


def _draw_flattery(fig: Figure, found: dict[int, list[float]]) -> None:
    ax = fig.add_subplot()
    for n, points in found.items():
        ax.plot(CANDIDATES, points, "o-", lw=3, color=COLOURS[SIZES[n]], label=f"{n:,} test images")
    ax.set(xscale="log", xlabel="networks to choose from, all equally good")
    ax.set(ylabel="flattery, percentage points", title="The more to choose from, the more it lies")
    ax.set_xticks(CANDIDATES, map(str, CANDIDATES))
    ax.minorticks_off()
    ax.legend(frameon=False)


@torch.no_grad()
def variants(network: nn.Module, split: Split, *, k: int = 50, noise: float = 0.3) -> Tensor:
    """Which images (n,) each of k versions of a network gets right: bool (k, n), on the CPU.

    The versions differ in the last layer, whose weights get noise of so many of their standard
    deviations. What comes before is computed once.
    """
    network.eval()
    device = next(network.parameters()).device
    *pooling, last = network.head
    body = nn.Sequential(network.stem, network.body, *pooling)
    features = torch.cat([body(x).cpu() for x, _ in split.batches(500, device)])
    weight, bias = last.weight.cpu(), last.bias.cpu()
    draws = torch.randn(k, *weight.shape, generator=torch.Generator().manual_seed(0))
    weights = weight + noise * weight.std() * draws
    return torch.stack([(features @ w.T + bias).argmax(1) == split.labels for w in weights])


def flattery_of(right: Tensor) -> float:
    """Points by which the best of k on one half of the images does worse on the other half.

    `right` is bool (k, n); the mean over TURNS random halvings.
    """
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(TURNS):
        a, b = torch.randperm(right.shape[1], generator=generator).chunk(2)
        scores = right[:, a].double().mean(1)
        best = scores.argmax()
        found.append(scores[best] - right[best, b].double().mean())
    return 100 * torch.stack(found).mean().item()
