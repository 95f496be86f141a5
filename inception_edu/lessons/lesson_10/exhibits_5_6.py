"""Lesson 10, exhibits 5 and 6: the code as it was, a run's report, and the damage."""

import math
import statistics
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.display import Table
from inception_edu.figures import COLOURS as INK, Picture, running_mean
from inception_edu.googlenet import Inception
from inception_edu.lessons.lesson_10 import trials
from inception_edu.lessons.lesson_10.trials import COLOURS, ROW
from inception_edu.lessons.studies import mean_std, paired

LAST = 20  # steps at the end of a run, after each of which accuracy is measured


def norm(c: int) -> nn.BatchNorm2d:
    """Batch norm for c channels, as every convolution of the network has it."""
    return nn.BatchNorm2d(c, eps=1e-3, momentum=0.9)


def with_norm(part: nn.Module, make: Callable[[int], nn.Module], where: str = "") -> nn.Module:
    """The part with `make(channels)` for each batch norm whose name holds `where`."""
    for name, layer in list(part.named_modules()):
        if isinstance(layer, nn.BatchNorm2d) and where in name:
            parent, _, last = name.rpartition(".")
            setattr(part.get_submodule(parent), last, make(layer.num_features))
    return part


class Jumps(NamedTuple):
    """Of one run: its losses, and the accuracies in percent after each of the last steps."""

    losses: list[float]
    accuracies: list[float]
    weights: float  # the sum of their squares, to compare two runs


def run_5(make: Callable[[int], nn.Module], seed: int, steps: int = 150) -> Jumps:
    """A training run with batches of 8 images."""
    network = trials.seeded(seed, lambda: with_norm(trials.with_block(Inception(8, ROW)), make))
    accuracies = []

    def note(step: int) -> None:
        if step > steps - LAST:
            accuracies.append(trials.percent(network))

    losses = trials.fit(network, seed, steps=steps, size=8, after=note)
    weights = sum(p.detach().double().square().sum().item() for p in network.parameters())
    return Jumps(losses, accuracies, weights)


@cache
def jumps() -> dict[str, list[Jumps]]:
    """As it was and mended, a run for each seed."""
    right = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1)
    norms = {"as it was": norm, "mended": right}
    return {name: [run_5(make, seed) for seed in trials.SEEDS] for name, make in norms.items()}


def report_5() -> Picture:
    """Training loss, and the validation accuracy after each of the last steps."""
    return Picture(_draw_report, jumps()["as it was"][0], _words_report, size=(10, 3.2))


def _words_report(run: Jumps) -> str:
    ends = run.losses[:20], run.losses[-20:]
    told = "mean training loss of the first 20 steps {:.2f}, of the last 20 steps {:.2f}".format
    values = ", ".join(f"{value:.0f}" for value in run.accuracies)
    return f"{told(*map(statistics.mean, ends))}\naccuracy after each of the last steps: {values}"


def _draw_report(fig: Figure, run: Jumps) -> None:
    losses, accuracies = fig.subplots(1, 2)
    n, last = len(run.losses), len(run.accuracies)
    losses.plot(range(1, n + 1), run.losses, color=INK["muted"], lw=0.8)
    losses.plot(range(1, n + 1), running_mean(run.losses), color=INK["ink"], lw=2.5)
    losses.set(xlabel="step", ylabel="training loss", title="The training loss falls")
    accuracies.plot(range(n - last + 1, n + 1), run.accuracies, "o-", color=INK["ink"], lw=2)
    accuracies.set(xlabel="step", ylabel="accuracy, %", ylim=(30, 80))
    accuracies.set_title("The accuracy goes up and down")


def damage_5() -> Picture:
    """The accuracies after the last steps, as it was and mended, of every seed."""
    return Picture(_draw_jumps, jumps(), _words_jumps, size=(10, 3.4))


def _words_jumps(runs: dict[str, list[Jumps]]) -> str:
    spreads = {name: [statistics.stdev(r.accuracies) for r in each] for name, each in runs.items()}
    lines = [
        f"{name}: within the last {LAST} steps the accuracy has a standard deviation of "
        f"{mean_std(values)} points"
        for name, values in spreads.items()
    ]
    ends = ([r.accuracies[-1] for r in each] for each in runs.values())
    change, wider = paired(*ends), paired(*spreads.values())
    lines += [f"as it was against mended, standard deviation: {wider} points, n = {wider.n}"]
    lines += [f"as it was against mended, accuracy at the end: {change} points, n = {change.n}"]
    apart = max(abs(a.weights - b.weights) for a, b in zip(*runs.values(), strict=True))
    return "\n".join([*lines, f"the trained weights differ by {apart:.1f}"])


def _draw_jumps(fig: Figure, runs: dict[str, list[Jumps]]) -> None:
    for ax, (name, each) in zip(fig.subplots(1, 2, sharey=True), runs.items(), strict=True):
        for run in each:
            n, last = len(run.losses), len(run.accuracies)
            ax.plot(range(n - last + 1, n + 1), run.accuracies, color=INK[COLOURS[name]], lw=2)
        within = statistics.mean(statistics.stdev(run.accuracies) for run in each)
        title = f"{name.capitalize()}: ± {within:.1f} points within a run"
        ax.set(xlabel="step", ylim=(30, 80), title=title)
    fig.axes[0].set_ylabel("accuracy, %")


def step(
    network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor, size: int
) -> None:
    """One step on a batch that does not fit into memory: in parts of `size` images."""
    optimiser.zero_grad()
    for part, own in zip(x.split(size), labels.split(size), strict=True):
        cross_entropy(network(part), own).backward()
    optimiser.step()


SIZES = (64, 16, 8)  # images in a part of a batch of 64


@cache
def run_6(size: int, seed: int) -> list[float]:
    """The loss of each of 100 steps on batches of 64 images, in parts of `size`."""
    network = trials.seeded(seed, lambda: trials.dense(nn.Linear(32, 10)))
    optimiser, losses = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9), []
    for x, labels in trials.batches(seed, 100, 64):
        with torch.no_grad():
            losses.append(cross_entropy(network(x), labels).item())
        step(network, optimiser, x, labels, size)
    return losses


def report_6() -> Picture:
    """The losses of one seed, by the size of the parts."""
    runs = {size: run_6(size, 0) for size in SIZES}
    return Picture(_draw_parts, runs, _words_parts, size=(9, 3.2))


def _words_parts(runs: dict[int, list[float]]) -> str:
    return "\n".join(
        f"parts of {size} images: mean loss of the last 20 steps {statistics.mean(x[-20:]):.2f}"
        for size, x in runs.items()
    )


def _draw_parts(fig: Figure, runs: dict[int, list[float]]) -> None:
    ax, dashes = fig.add_subplot(), ("-", "--", ":")
    for (size, losses), dash in zip(runs.items(), dashes, strict=True):
        label = "the whole batch at once" if size == 64 else f"{64 // size} parts of {size} images"
        ax.plot(running_mean(losses, keep=0.8), color=INK["ink"], ls=dash, lw=2.5, label=label)
    ax.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    ax.set_title("The more parts, the higher the loss")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def gradient_6(size: int, n: int = 64) -> Tensor:
    """The gradient that `step` hands to the optimiser for a batch of n images."""
    network = trials.seeded(0, lambda: trials.dense(nn.Linear(32, 10)))
    still = torch.optim.SGD(network.parameters(), lr=0)
    step(network, still, *(part[:n] for part in trials.images()), size)
    return torch.cat([p.grad.flatten() for p in network.parameters()])


def damage_6() -> Table:
    """The gradient by parts, and the losses of all seeds at the end of the run."""
    rows = [("parts", "gradient, times as long", "its mean is off by", "loss of the last 20 steps")]
    whole, ends = gradient_6(64), {}
    for size in (64, 16, 8, 24):
        parts, gradient = math.ceil(64 / size), gradient_6(size)
        apart = ((gradient / parts - whole).norm() / whole.norm()).item()
        ends[size] = [statistics.mean(run_6(size, seed)[-20:]) for seed in trials.SEEDS]
        times = f"{gradient.norm() / whole.norm():.2f}"
        name = f"{parts} of {size}" if size != 24 else "24, 24 and 16"
        rows.append((name, times, f"{apart:.1%}", mean_std(ends[size], digits=2)))
    change = paired(ends[8], ends[64])
    caption = f"loss in 8 parts against the whole batch: {change}, n = {change.n}"
    return Table(rows, caption=caption)
