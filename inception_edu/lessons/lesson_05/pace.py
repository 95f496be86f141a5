"""Lesson 05: images a second, from the loop that everyone writes to the package's own."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from IPython.display import Markdown
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from inception_edu.data import Dataset
from inception_edu.display import Table, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_05 import card, loop
from inception_edu.lessons.lesson_05.loop import PlainImages, without_validation
from inception_edu.lessons.lesson_05.neighbour import beside
from inception_edu.training import fit, pick_device, pick_precision, silent
from inception_edu.training.devices import cpu_threads
from inception_edu.training.recipe import ONE_PASS, Recipe
from inception_edu.training.shares import LEAST, Shares

SIZE, FIRST, STEPS = 128, 2, 5  # images of a batch; steps that are not timed, and that are
RATE, LAST = 0.05, torch.channels_last
Train = Callable[[nn.Module, Iterable, float], object]  # model, batches, lr
TEXTS = {  # what each loop has more than the one before it
    "your loop": "a DataLoader hands out image after image",
    "+ in memory": "all images in one tensor, scaled a batch at a time",
    "+ channels last": "the channels of a pixel lie side by side",
    "+ a share a core": "each core does the whole step for its share of the batch",
    "+ bfloat16": "convolutions with numbers of 16 bits",
    "fit": "the package's loop: all this, history and checkpoints, too",
}


def seconds_a_step(train: Train, model: nn.Module, batches: Iterator) -> float:
    """Seconds of a step, its batch included, after the first ones: the mean of a few."""
    asked = []

    def timed() -> Iterator:
        for _ in range(FIRST + STEPS):
            asked.append(time.perf_counter())
            yield next(batches)

    train(model, timed(), RATE)
    return (time.perf_counter() - asked[FIRST]) / STEPS


def in_memory(dataset: Dataset, layout: torch.memory_format) -> Iterator:
    """Batches from one tensor in memory, a whole one scaled at once; endless."""
    batches = loop.shuffled(dataset, SIZE)
    while True:
        x, labels = batches.draw()
        yield x.contiguous(memory_format=layout), labels


def in_shares(model: nn.Module, batches: Iterable, lr: float, *, half: bool = False) -> None:
    """A loop of which each core computes a share of every batch, maybe in bfloat16."""
    threads = torch.get_num_threads()
    how = dict(seed=0, threads=threads, layout=LAST)
    shares, optimiser = Shares(model, number(), **how), torch.optim.SGD(model.parameters(), lr)

    def learn(network: nn.Module, x: Tensor, labels: Tensor) -> tuple[dict]:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(x)
        loss = cross_entropy(logits.float(), labels)
        loss.backward()
        return ({"loss": loss.detach()},)

    with cpu_threads(1):
        for x, labels in batches:
            optimiser.zero_grad()
            shares(learn, x, labels)
            optimiser.step()


def number() -> int:
    """Shares of a batch: one for each core that PyTorch uses, none of them too small."""
    return min(torch.get_num_threads(), SIZE // LEAST)


def loops(train: Train, dataset: Dataset) -> dict[str, Callable[[], float]]:
    """By name, what measures the seconds of a step; each has something more than the one before."""

    def step(train: Train, batches: Iterator, layout: torch.memory_format = LAST) -> float:
        return seconds_a_step(train, loop.googlenet().to(memory_format=layout), batches)

    still = Recipe(**ONE_PASS)
    photos = DataLoader(PlainImages(dataset.train, still), SIZE, shuffle=True)
    plain = torch.contiguous_format
    calls = [
        lambda: step(train, iter(photos), plain),
        lambda: step(train, in_memory(dataset, plain), plain),
        lambda: step(train, in_memory(dataset, LAST)),
        lambda: step(in_shares, in_memory(dataset, LAST)),
        lambda: step(partial(in_shares, half=True), in_memory(dataset, LAST)),
        lambda: fit_step(dataset),
    ]
    named = dict(zip(TEXTS, calls, strict=True))
    if pick_precision(torch.device("cpu")) != "bfloat16":
        del named["+ bfloat16"]
    return named


def fit_step(dataset: Dataset) -> float:
    """Seconds of a step of `fit` on the CPU, after the first ones, as its history tells them."""
    recipe = Recipe(steps=2 * STEPS, validate_every=STEPS, batch_size=SIZE, shares=number())
    recipe = replace(recipe, **ONE_PASS)
    how = dict(device="cpu", watch=silent)
    history = fit(loop.googlenet(), without_validation(dataset), recipe, **how)
    return history.rows[1]["train_seconds"] / STEPS


def measure(train: Train, dataset: Dataset) -> dict[str, tuple[float, float]]:
    """By loop, images a second on all cores of the CPU: alone, and beside a busy process."""
    with cpu_threads(os.cpu_count()):
        calls = loops(train, dataset)
        alone = {name: SIZE / call() for name, call in calls.items()}
        with beside():
            busy = {name: SIZE / call() for name, call in calls.items()}
    return {name: (alone[name], busy[name]) for name in calls}


def show_pace(speeds: dict[str, tuple[float, float]]) -> Picture:
    """Images per second of every loop, alone and beside a busy process."""
    return Picture(_draw_pace, speeds, _words_pace, size=(11, 4.6))


def _words_pace(speeds: dict[str, tuple[float, float]]) -> str:
    first = next(iter(speeds.values()))
    rows = [("loop", "what it adds", "images/s", "times", "beside a busy process", "times")]
    for name, (alone, busy) in speeds.items():
        cells = f"{alone:,.0f}", f"{alone / first[0]:.2f}", f"{busy:,.0f}", f"{busy / first[1]:.2f}"
        rows.append((name, TEXTS[name], *cells))
    return text_table(rows, left=2)


def _draw_pace(fig: Figure, speeds: dict[str, tuple[float, float]]) -> None:
    ax, kinds = fig.add_subplot(), zip(*speeds.values(), strict=True)
    colours = COLOURS["after"], COLOURS["before"]
    labels = "alone", "beside a busy process"
    most = max(map(max, speeds.values()))
    for i, (values, colour, label) in enumerate(zip(kinds, colours, labels, strict=True)):
        places = [y + 0.4 * i for y in range(len(values))]
        ax.barh(places, values, 0.38, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            ax.text(value, place, f" {value:,.0f}", va="center", weight="bold")
    for y, name in enumerate(speeds):
        ax.text(1.2 * most, y + 0.2, TEXTS[name], va="center", fontsize=12)
    ax.set_yticks([y + 0.2 for y in range(len(speeds))], speeds)
    ax.invert_yaxis()
    ax.set(xlim=(0, 2.5 * most), xlabel="images trained on in a second")
    ax.set_xticks([t for t in ax.get_xticks() if 0 <= t <= 1.15 * most])
    first, last = next(iter(speeds.values())), speeds["fit"]
    ax.set_title(
        f"{last[0] / first[0]:.1f} times your loop; {last[1] / first[1]:.1f} times it "
        "beside a busy process"
    )
    handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=2, frameon=False)


def on_each_device(dataset: Dataset, *, steps: int = card.STEPS) -> Table | Markdown:
    """Images per second of `fit` on the CPU and on the GPU; where there is none, what was saved of
    another machine's, or a sentence."""
    device = pick_device().type
    if device == "cpu":
        none = "Not measured here: no GPU, or INCEPTION_EDU_DEVICE says not to use it."
        return card.beside_cpu(card.measured()) if card.measured() else Markdown(none)
    speeds = card.images_per_second(dataset, device, steps=steps)
    return Table([("device", "images/s"), *((name, f"{n:,}") for name, n in speeds.items())])
