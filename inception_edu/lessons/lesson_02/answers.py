"""Lesson 02: what its saved studies answer, as figures and tables."""

import statistics
import time
from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from inception_edu.cost import layer_table
from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_02.runs import ACTIVATIONS, BLOCKS, DATA, FASHION, PLAIN
from inception_edu.lessons.shared import small_googlenet
from inception_edu.lessons.studies import accuracies, made_by, mean_std, paired, saved
from inception_edu.training import evaluate, fit
from inception_edu.widgets import LiveCurve

KINDS = {"all 1x1": "branch1x1", "all 3x3": "branch3x3", "all 5x5": "branch5x5", "Inception": "ink"}
Dots = dict[str, list[float]]  # accuracies in percent by what is compared


def kernels() -> dict[str, Dots]:
    """Test accuracies of each kind of block, by data set."""
    study = saved("kernels")
    return {data: {b: accuracies(study, f"{b}, {data}") for b in BLOCKS} for data in DATA}


def gain_over_3x3() -> float:
    """Points of test accuracy that Inception gains over 3x3 alone on Fashion-MNIST, on average."""
    dots = kernels()[FASHION]
    return round(paired(dots["Inception"], dots["all 3x3"]).mean, 1)


def show_kernels() -> Picture:
    """Every run of the four kinds of blocks on both data sets."""
    return Picture(_draw_kernels, kernels(), _tell, size=(11, 4))


def _draw_kernels(fig: Figure, found: dict[str, Dots]) -> None:
    for ax, (data, dots) in zip(fig.subplots(1, 2), found.items(), strict=True):
        draw_dots(ax, dots, [COLOURS[KINDS[name]] for name in dots])
        best = max(dots, key=lambda name: statistics.mean(dots[name]))
        ax.set_title(f"{data}: {best} is highest")
        if ax is not fig.axes[0]:
            ax.set_yticklabels([])


def draw_dots(ax: Axes, dots: Dots, colours: list[str]) -> None:
    """A row for each entry: a dot for each seed, a bar and a number for the mean."""
    for y, ((_, found), colour) in enumerate(zip(dots.items(), colours, strict=True)):
        mean = statistics.mean(found)
        ax.plot(found, [y] * len(found), "o", ms=10, color=colour, alpha=0.7)
        ax.plot([mean, mean], [y - 0.25, y + 0.25], color=COLOURS["ink"], lw=3)
        ax.text(mean, y - 0.3, f"{mean:.1f}", ha="center", va="bottom", weight="bold")
    ax.set_yticks(range(len(dots)), dots)
    ax.set(ylim=(len(dots) - 0.5, -0.9), xlabel="test accuracy, %; a dot a run, a bar the mean")
    ax.margins(x=0.08)


def _tell(found: dict[str, Dots]) -> str:
    return "\n".join(
        f"{data}: " + "; ".join(f"{name} {mean_std(values)}" for name, values in dots.items())
        for data, dots in found.items()
    )


def compare_kernels() -> Table:
    """Inception against each size alone, seed by seed, with the interval of the difference."""
    rows, bold = [("data", "Inception against", "points, 95 % interval", "verdict")], []
    for data, dots in kernels().items():
        for name in [name for name in dots if name != "Inception"]:
            change = paired(dots["Inception"], dots[name])
            bold += [len(rows) - 1] if change.verdict != "cannot tell" else []
            rows.append((data, name, str(change), change.verdict))
    about = f"n = {change.n} seeds, paired; {made_by(saved('kernels'))}"
    return Table(rows, left=2, bold=bold, caption=about)


def activations() -> dict[str, tuple[str, list[float]]]:
    """For each network of the ReLU study, its best rate by validation, and its test accuracies."""
    study, found = saved("relu"), {}
    for name in ACTIVATIONS:
        entries = [entry for entry in study["runs"] if entry.rpartition(", lr ")[0] == name]
        valid = {e: [run["valid_accuracy"] for run in study["runs"][e]] for e in entries}
        best = max(entries, key=lambda e: statistics.mean(valid[e]))
        found[name] = best.rpartition(", lr ")[2], accuracies(study, best)
    return found


def gain_as_published() -> float:
    """Points that the published course network gains over one linear layer, on average."""
    (_, linear), _, (_, published), _ = activations().values()
    return round(paired(published, linear).mean, 1)


def show_activations() -> Picture:
    """The course network with and without ReLU, beside one linear layer."""
    found = activations()
    return Picture(_draw_activations, found, _tell_activations, size=(11, 4))


def _draw_activations(fig: Figure, found: dict[str, tuple[str, list[float]]]) -> None:
    dots = {name: values for name, (_, values) in found.items()}
    colours = [COLOURS[c] for c in ("muted", "before", "branch_pool", "after")]
    draw_dots(fig.add_subplot(), dots, colours)
    plain, published = (statistics.mean(list(dots.values())[i]) for i in (1, 2))
    fig.axes[0].set_title(f"Without any ReLU {plain:.1f} %, as published {published:.1f} %")


def _tell_activations(found: dict[str, tuple[str, list[float]]]) -> str:
    lines = [
        f"{name}: {mean_std(values)}, lr {lr}, n = {len(values)}"
        for name, (lr, values) in found.items()
    ]
    linear, plain, published, everywhere = found
    for name, other in ((published, linear), (published, plain), (everywhere, published)):
        change = paired(found[name][1], found[other][1])
        lines.append(f"{name} against {other}: {change} points, {change.verdict}")
    return "\n".join(lines)


def speeds(networks: Mapping[str, nn.Module], dataset: Dataset, *, steps: int = 8) -> Table:
    """What networks cost and how fast they train here, measured on a few batches of 128."""
    rows = [("network", "parameters", "MMACs an image", "images/s", "GMAC/s")]
    for name, network in networks.items():
        table = layer_table(network, dataset.train.shape)
        optimiser = torch.optim.SGD(network.parameters(), 0.01)
        x, labels = dataset.train.batch(slice(0, 128))
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            out = network.train()(x)
            nn.functional.cross_entropy(getattr(out, "logits", out), labels).backward()
            optimiser.step()
            optimiser.zero_grad()
            times.append(time.perf_counter() - start)
        speed = 128 / min(times[1:])
        cost = f"{table.macs / 1e6:.2f}", f"{speed:,.0f}", f"{3 * table.macs * speed / 1e9:.1f}"
        rows.append((name, f"{table.params:,}", *cost))
    return Table(rows, caption="GMAC/s counts a backward pass as two forward passes")


def race(block: object, dataset: Dataset) -> Table:
    """Train nine blocks of one's own, `block(c_in, row)`, as the study trained the four kinds with
    seed 0, and put the result beside them."""
    torch.manual_seed(0)
    network = small_googlenet(block)
    macs = layer_table(network, dataset.train.shape).macs
    fit(network, dataset, PLAIN, watch=LiveCurve())
    found, rows = kernels()[FASHION], [("nine blocks, seed 0", "MACs", "test accuracy, %")]
    for name, other in BLOCKS.items():
        cost = layer_table(small_googlenet(other), dataset.train.shape).macs
        rows.append((name, f"{cost:,}", f"{found[name][0]:.1f}"))
    rows.append(("yours", f"{macs:,}", f"{100 * evaluate(network, dataset.test).accuracy:.1f}"))
    return Table(rows, bold=[len(rows) - 2])
