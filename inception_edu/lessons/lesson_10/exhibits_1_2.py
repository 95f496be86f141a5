"""Lesson 10, exhibits 1 and 2: the code as it was, a run's report, and the damage."""

from functools import cache
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from inception_edu.display import Table, text_table
from inception_edu.figures import COLOURS as INK, Picture
from inception_edu.lessons.lesson_10 import trials
from inception_edu.lessons.lesson_10.trials import COLOURS
from inception_edu.lessons.studies import mean_std, paired


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Logits (n, classes), labels (n,) -> the fraction of images classified correctly."""
    answers = logits.argmax(dim=1, keepdim=True)
    return (answers == labels).float().mean().item()


class Row(NamedTuple):
    """A line of a run's report."""

    step: int
    train_loss: float
    valid_loss: float
    accuracy: float  # in percent, as `accuracy` above has it


@cache
def first_run() -> tuple[list[Row], Tensor]:
    """The report of a training run of 300 steps, and the logits of the unseen images at its end."""
    network = trials.seeded(0, lambda: trials.dense(nn.Linear(32, 10)))
    rows, (x, labels) = [], trials.unseen()

    @torch.no_grad()
    def note(step: int) -> None:
        if step % 50 == 0:
            seen = cross_entropy(network(trials.images()[0]), trials.images()[1])
            logits = network(x)
            valid = cross_entropy(logits, labels).item()
            rows.append(Row(step, seen.item(), valid, 100 * accuracy(logits, labels)))

    trials.fit(network, 0, steps=300, lr=0.05, after=note)
    return rows, network(x).detach()


def report_1() -> Picture:
    """What the run reported: two losses that fall, and an accuracy."""
    return Picture(_draw_report, first_run()[0], _words_report, size=(10, 3.2))


def _words_report(rows: list[Row]) -> str:
    table = [("step", "training loss", "validation loss", "accuracy, %")]
    table += [(f"{r.step}", *(f"{value:.2f}" for value in r[1:3]), f"{r[3]:.1f}") for r in rows]
    return text_table(table)


def _draw_report(fig: Figure, rows: list[Row]) -> None:
    steps, train, valid, accuracies = zip(*rows, strict=True)
    losses, reported = fig.subplots(1, 2)
    losses.plot(steps, train, "o-", color=INK["muted"], lw=2.5, label="training")
    losses.plot(steps, valid, "o-", color=INK["ink"], lw=2.5, label="validation")
    losses.set(xlabel="step", ylabel="loss", ylim=(0, 1), title="Both losses fall")
    losses.legend(frameon=False, loc="lower left")
    reported.plot(steps, accuracies, "o-", color=INK["ink"], lw=2.5)
    reported.set(xlabel="step", ylabel="accuracy, %", ylim=(0, 100))
    reported.set_title("The accuracy does not move")


def damage_1() -> Picture:
    """The comparisons of the first twelve unseen images: those made, and those that were meant."""
    logits, labels = first_run()[1], trials.unseen()[1]
    equal = logits.argmax(1)[:, None] == labels
    return Picture(_draw_comparisons, equal, _words_comparisons, size=(9, 4))


def _words_comparisons(equal: Tensor) -> str:
    n = len(equal)
    every, meant = (100 * x.float().mean().item() for x in (equal, equal.diagonal()))
    return (
        f"mean of all {n:,} x {n:,} comparisons: {every:.1f} %\n"
        f"mean of the {n:,} comparisons of an answer with its own label: {meant:.1f} %"
    )


def _draw_comparisons(fig: Figure, equal: Tensor) -> None:
    some, n = equal[:12, :12], len(equal)
    ax, means = fig.subplots(1, 2, width_ratios=(1, 1.1))
    ax.imshow(some, cmap="Greys", vmin=0, vmax=2)
    for i in range(len(some)):
        own = dict(fill=False, edgecolor=INK["after"], lw=3)
        ax.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, **own))
    ax.set(
        xlabel="label of image", ylabel="answer for image", title="Grey: answer and label are equal"
    )
    ax.set(xticks=range(0, 12, 2), yticks=range(0, 12, 2))
    every, meant = (100 * x.float().mean().item() for x in (equal, equal.diagonal()))
    names = [f"all {n:,} x {n:,}", f"the {n:,} meant"]
    means.bar(names, (every, meant), color=[INK[c] for c in COLOURS.values()])
    for i, value in enumerate((every, meant)):
        means.text(i, value + 2, f"{value:.1f} %", ha="center")
    means.set(ylabel="mean, %", ylim=(0, 100), title=f"{every:.1f} % instead of {meant:.1f} %")


class Head(nn.Module):
    """The end of a network: (n, c) -> logits (n, num_classes)."""

    def __init__(self, c: int, num_classes: int, p: float = 0.4) -> None:
        super().__init__()
        self.linear, self.p = nn.Linear(c, num_classes), p

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.dropout(x, self.p))


class Mended(Head):
    """The same head without the mistake."""

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.dropout(x, self.p, training=self.training))


class Repeats(NamedTuple):
    """Accuracies in percent of one trained network: measured five times, and mended."""

    as_it_was: list[float]
    changes: list[float]  # of the weights, the largest, while it was measured
    mended: float


@cache
def repeats() -> list[Repeats]:
    """One for each seed; the same weights are measured in both ways."""
    measured = []
    for seed in trials.SEEDS:
        network = trials.seeded(seed, lambda: trials.dense(Head(32, 10)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            trials.fit(network, seed, steps=300, lr=0.05)
            times, changes = zip(*(measured_once(network) for _ in range(5)), strict=True)
        mended = Mended(32, 10)
        mended.load_state_dict(network.head.state_dict())
        network.head = mended
        measured.append(Repeats(list(times), list(changes), trials.percent(network)))
    return measured


def measured_once(network: nn.Module) -> tuple[float, float]:
    """The network's accuracy in percent, and by how much its weights changed meanwhile."""
    before = [p.detach().clone() for p in network.parameters()]
    value = trials.percent(network)
    pairs = zip(network.parameters(), before, strict=True)
    return value, max((p.detach() - old).abs().max().item() for p, old in pairs)


def report_2() -> Table:
    """One trained network, measured five times on the same images."""
    rows = [("evaluation", "weights changed by", "accuracy, %")]
    times = zip(repeats()[-1].changes, repeats()[-1].as_it_was, strict=True)
    rows += [(i, f"{change:.1f}", f"{value:.1f}") for i, (change, value) in enumerate(times, 1)]
    return Table(rows)


def damage_2() -> Picture:
    """Every seed's network measured five times as it was, and once mended."""
    return Picture(_draw_repeats, repeats(), _words_repeats, size=(9, 3.4))


def _words_repeats(measured: list[Repeats]) -> str:
    lines = [
        f"seed {seed}: {mean_std(r.as_it_was)} as it was, {r.mended:.1f} mended"
        for seed, r in enumerate(measured)
    ]
    means = [sum(r.as_it_was) / len(r.as_it_was) for r in measured]
    change = paired(means, [r.mended for r in measured])
    return "\n".join([*lines, f"as it was against mended: {change} points, n = {change.n}"])


def _draw_repeats(fig: Figure, measured: list[Repeats]) -> None:
    ax = fig.add_subplot()
    was, mended = (INK[colour] for colour in COLOURS.values())
    for seed, one in enumerate(measured):
        ax.plot([seed] * 5, one.as_it_was, "o", ms=7, color=was, alpha=0.7)
        ax.plot(seed, one.mended, "D", ms=10, color=mended)
    ax.plot([], [], "o", color=was, label="five evaluations as it was")
    ax.plot([], [], "D", color=mended, label="the same weights, mended")
    ax.set(xlabel="seed", ylabel="accuracy, %", xticks=range(len(measured)))
    gaps = [one.mended - sum(one.as_it_was) / len(one.as_it_was) for one in measured]
    ax.set_title(f"Mended, the accuracy is {min(gaps):.0f} to {max(gaps):.0f} points higher")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
