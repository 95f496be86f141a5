"""Lesson 05: images a second, from the loop that everyone writes to the package's own."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from IPython.display import Markdown
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from inception_edu.data import Batches, Dataset, Split
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.shared import small_googlenet
from inception_edu.training import fit, pick_device, pick_precision, silent
from inception_edu.training.recipe import ONE_PASS, Recipe

Loop = Callable[[nn.Module, object, list[float]], list[float]]  # model, batches, rates -> losses
LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format


class PlainImages(torch.utils.data.Dataset):
    """A split image by image, through torchvision's transforms: the way tutorials read data."""

    def __init__(self, split: Split, recipe: Recipe) -> None:
        self.split, side = split, split.images.shape[2]
        steps = [v2.ToPILImage(), v2.RandomCrop(side, padding=recipe.shift, padding_mode="edge")]
        steps += [v2.RandomHorizontalFlip()] if recipe.flip else []
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        self.transform = v2.Compose([*steps, v2.Normalize(split.mean, split.std)])

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.split.images[i]), int(self.split.labels[i])


def memory_batches(dataset: Dataset, size: int, layout=CONTIGUOUS) -> Iterator:
    """Batches from one tensor in memory, flipped and scaled a whole batch at once; endless."""
    train = dataset.train.to(pick_device())
    batches = Batches(train, size, seed=0, shift=0, flip=True, rank=0, world=1)
    while True:
        images, labels = batches.draw()
        yield images.contiguous(memory_format=layout), labels


def network() -> nn.Module:
    """The small GoogLeNet with its first weights, on this machine's device."""
    torch.manual_seed(0)
    return small_googlenet().to(pick_device())


def in_bfloat16(loop: Loop, model: nn.Module, batches: object, rates: list[float]) -> list[float]:
    """`loop`, with the network computed in bfloat16 where that is accurate enough."""
    with torch.autocast(pick_device().type, torch.bfloat16):
        return loop(model, batches, rates)


def ours(dataset: Dataset, size: int, steps: int, device: str = "auto") -> int:
    """`fit` for some steps, without validation; returns how many images it took."""
    recipe = Recipe(steps=steps, batch_size=size, **ONE_PASS | dict(flip=True))
    return fit_only(network(), dataset, recipe, device)


def calls(
    loop: Loop, photos: torch.utils.data.Dataset, dataset: Dataset, *, steps: int
) -> dict[str, Callable[[], int]]:
    """By name, a run of `steps` batches that returns how many images it took.

    `photos` hands out the training images one by one. Each call after the second adds something.
    """

    def run(batches: Iterable, size: int = 128, loop: Loop = loop, layout=CONTIGUOUS) -> int:
        n = steps * 128 // size
        return size * len(loop(network().to(memory_format=layout), batches, [0.05] * n))

    def plain(size: int) -> int:
        return run(DataLoader(photos, size, shuffle=True), size)

    memory = partial(memory_batches, dataset, 128)
    found = {
        "plain, batch 40": lambda: plain(40),
        "plain, batch 128": lambda: plain(128),
        "+ data in memory": lambda: run(memory()),
        "+ channels last": lambda: run(memory(LAST), layout=LAST),
    }
    if pick_precision(pick_device()) == "bfloat16":
        half = partial(in_bfloat16, loop)
        found["+ bfloat16"] = lambda: run(memory(LAST), loop=half, layout=LAST)
    return found | {"fit": lambda: ours(dataset, 128, steps)}


def measure(
    loop: Loop,
    photos: torch.utils.data.Dataset,
    dataset: Dataset,
    *,
    steps: int = 5,
) -> dict[str, float]:
    """Images per second by name."""
    return medians(calls(loop, photos, dataset, steps=steps))


def fit_only(model: nn.Module, dataset: Dataset, recipe: Recipe, device: str = "auto") -> int:
    """`fit` without validation; returns how many images it took."""
    valid = dataset.valid
    nothing = replace(valid, images=valid.images[:0], labels=valid.labels[:0])
    history = fit(model, replace(dataset, valid=nothing), recipe, device=device, watch=silent)
    return history.step * history.batch_size


def speeds(calls: dict[str, Callable[[], int]], repeats: int) -> dict[str, list[float]]:
    """Images per second of every call, taking turns; a first round is not counted."""
    found = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            images = call()
            if turn:
                found[name].append(images / (time.perf_counter() - start))
    return found


def medians(calls: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Every call's images per second: the median of two turns, after one that is not counted."""
    return {name: statistics.median(values) for name, values in speeds(calls, 2).items()}


def show_pace(found: dict[str, float]) -> Picture:
    """Images per second, from the plain loop to `fit`."""
    return Picture(_draw_pace, found, lambda found: repr(table_pace(found)), size=(9, 4))


def table_pace(found: dict[str, float], what: str = "loop") -> Table:
    """Images per second by name, and in times the first."""
    first = next(iter(found.values()))
    rows = [(name, f"{n:,.0f}", f"{n / first:.2f}") for name, n in found.items()]
    return Table([(what, "images/s", "times the first"), *rows])


def _draw_pace(fig: Figure, found: dict[str, float]) -> None:
    ax, values = fig.add_subplot(), list(found.values())
    colours = [COLOURS["before"]] * 2 + [COLOURS["muted"]] * (len(found) - 3) + [COLOURS["after"]]
    ax.barh(list(found), values, color=colours)
    for place, value in enumerate(values):
        ax.text(value, place, f" {value:,.0f}", va="center", weight="bold")
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.set(xlabel="images trained on in a second")
    ax.set_title(f"{values[-1] / values[0]:.1f} times the customary loop")


def on_each_device(dataset: Dataset, *, steps: int = 10) -> Table | Markdown:
    """Images per second of `fit` on the CPU and on the GPU; a sentence where there is none."""
    device = pick_device().type
    if device == "cpu":
        return Markdown("Not measured here: no GPU, or INCEPTION_EDU_DEVICE says not to use it.")
    cases = [("cpu", 128), (device, 128), (device, 512)]
    runs = {f"{name}, batch {n}": partial(ours, dataset, n, steps, name) for name, n in cases}
    return table_pace(medians(runs), "device")
