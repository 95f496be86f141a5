"""Lesson 10, exhibit 4: the code as it was, a run's report, and the damage."""

import copy
from functools import cache
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.display import Table
from inception_edu.figures import COLOURS as INK, Picture
from inception_edu.googlenet import Inception, Row
from inception_edu.layers import chain, classifier, conv
from inception_edu.lessons.lesson_10 import trials
from inception_edu.lessons.lesson_10.trials import COLOURS, ROW
from inception_edu.lessons.studies import mean_std, paired


class Residual(nn.Module):
    """x and what the branches make of it, added: (n, c, h, w) -> (n, c, h, w)"""

    def __init__(self, c: int, row: Row) -> None:
        super().__init__()
        inception, linear = Inception(c, row), conv(row.c_out, c, 1, relu=False)
        self.branches = nn.Sequential(nn.ReLU(inplace=True), inception, linear)

    def forward(self, x: Tensor) -> Tensor:
        return self.branches(x) + x


def mended(block: Residual) -> Residual:
    """A copy of the block with the same weights, without the mistake."""
    block = copy.deepcopy(block)
    block.branches[0].inplace = False
    return block


def residual_network(c: int = 16) -> nn.Sequential:
    """A stem that ends without ReLU, a block as it should be, a head."""
    stem = chain(conv=conv(1, c, 3, stride=2, relu=False), pool=nn.AvgPool2d(2))
    return chain(stem=stem, block=mended(Residual(c, ROW)), head=classifier(c, 10))


class Ported(NamedTuple):
    """Of one seed: a trained network, and its accuracies as it was and mended, in percent."""

    network: nn.Module
    as_it_was: float
    mended: float


@cache
def ported() -> list[Ported]:
    """Trained without the mistake, then measured with it: the same weights."""
    runs = []
    for seed in trials.SEEDS:
        network = trials.seeded(seed, residual_network)
        with torch.enable_grad():
            trials.fit(network, seed)
        right = trials.percent(network)
        network.block.branches[0].inplace = True
        wrong = trials.percent(network)
        network.block.branches[0].inplace = False
        runs.append(Ported(network, wrong, right))
    return runs


@torch.no_grad()
def entering() -> tuple[Tensor, Tensor]:
    """What enters the first seed's block, and what is left of it when the block has run."""
    network = ported()[0].network.eval()
    before = network.stem(trials.unseen()[0][:100])
    after = before.clone()
    network.block.branches[0].inplace = True
    network.block(after)
    network.block.branches[0].inplace = False
    return before, after


@torch.no_grad()
def report_4() -> Table:
    """The largest difference from a reference with the same weights, part by part."""
    network = ported()[0].network.eval()
    x = network.stem(trials.unseen()[0][:100])
    ours = copy.deepcopy(network.block)
    ours.branches[0].inplace = True
    parts = {
        "stem": (x, x.clone()),
        "the block's branches alone": (network.block.branches(x), ours.branches(x.clone())),
        "the whole block": (network.block(x), ours(x.clone())),
    }
    rows = [("same weights, same 100 images", "largest difference")]
    rows += [(name, f"{(a - b).abs().max():.2f}") for name, (a, b) in parts.items()]
    return Table(rows, bold=[2])


def damage_4() -> Picture:
    """What the block leaves of its input, and the accuracy of the same weights with and without."""
    return Picture(_draw_input, (*entering(), ported()), _words_input, size=(10, 3.4))


def _words_input(data: tuple[Tensor, Tensor, list[Ported]]) -> str:
    before, after, runs = data
    was, right = [r.as_it_was for r in runs], [r.mended for r in runs]
    change = paired(was, right)
    return (
        f"{100 * (before < 0).float().mean():.0f} % of the block's input are negative before it "
        f"runs, {100 * (after < 0).float().mean():.0f} % afterwards\n"
        f"accuracy {mean_std(was)} as it was, {mean_std(right)} mended: "
        f"{change} points, n = {change.n}"
    )


def _draw_input(fig: Figure, data: tuple[Tensor, Tensor, list[Ported]]) -> None:
    before, after, runs = data
    values, accuracies = fig.subplots(1, 2)
    edges = torch.linspace(-3, 3, 41).tolist()
    filled = dict(color=INK[COLOURS["mended"]], label="before")
    line = dict(color=INK[COLOURS["as it was"]], label="afterwards", histtype="step", lw=2.5)
    for x, looks in ((before, filled), (after, line)):
        weights = torch.full((x.numel(),), 100 / x.numel()).numpy()
        values.hist(x.flatten().numpy(), bins=edges, weights=weights, **looks)
    values.set(xlabel="value in x", ylabel="values, %")
    values.set_title("Negative values of x are 0 afterwards")
    values.legend(frameon=False, loc="upper left")
    for run in runs:
        accuracies.plot((0, 1), (run.as_it_was, run.mended), "o-", color=INK["muted"], lw=2)
    for x, name in enumerate(COLOURS):
        ends = [run[1 + x] for run in runs]
        accuracies.plot([x] * len(ends), ends, "o", ms=9, color=INK[COLOURS[name]])
    accuracies.set(xlim=(-0.4, 1.4), xticks=(0, 1), ylabel="accuracy, %", ylim=(0, 100))
    accuracies.set_xticklabels(COLOURS)
    change = paired([run.as_it_was for run in runs], [run.mended for run in runs]).mean
    accuracies.set_title(f"The same weights, {-change:.1f} points fewer")
