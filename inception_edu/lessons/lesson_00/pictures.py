"""Lesson 00, start here: what this machine is, and a first look at the data."""

import os
from collections.abc import Iterator

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import conv_cost, milliseconds
from inception_edu.data import Dataset, Split
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.shared import Reached, reached, words_reached
from inception_edu.training import pick_device, pick_precision


def gmacs_per_second(dtype: torch.dtype) -> float:
    """Thousand million MACs a second that block 3a's 3x3 convolution does here, on 16 images."""
    c_in, c_out, k, side, n = 96, 128, 3, 28, 16
    place = dict(dtype=dtype, device=pick_device())
    layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=False, **place)
    ms = milliseconds(layer, torch.rand(n, c_in, side, side, **place))
    return n * conv_cost(c_in, c_out, k, side).macs / ms / 1e6


def machine() -> Table:
    """Device, cores, speed in both precisions, and the precision that training will use."""
    device = pick_device()
    speeds = {name: gmacs_per_second(getattr(torch, name)) for name in ("float32", "bfloat16")}
    rows = [("this machine", ""), ("device", device), ("CPU cores", os.cpu_count())]
    rows += [(f"{name}, GMAC/s", f"{speed:.0f}") for name, speed in speeds.items()]
    return Table([*rows, ("training will use", pick_precision(device))])


def show_garments(dataset: Dataset, per_class: int = 9) -> Picture:
    """The first training images of each class, a row of them for each class."""
    split = dataset.train
    rows = {name: images[:per_class, 0] for name, images in by_class(split, dataset.classes)}

    told = f"{per_class} images each of {', '.join(rows)}"
    return Picture(_draw_rows, rows, lambda _: told, size=(9, 8))


def _draw_rows(fig: Figure, rows: dict[str, Tensor]) -> None:
    ax, h = fig.add_subplot(), next(iter(rows.values())).shape[1]
    mosaic = torch.cat([torch.cat(list(images), dim=1) for images in rows.values()])
    ax.imshow(mosaic, vmin=0, vmax=255)
    ax.set_yticks([h * (i + 0.5) for i in range(len(rows))], rows)
    ax.set(xticks=[], title="Ten classes, and the tops share an outline")
    ax.tick_params(length=0)


def promise() -> Picture:
    """Accuracy against training seconds, for the networks that the first lessons train."""
    return Picture(_draw_promise, reached("02"), words_reached, size=(8, 4))


def _draw_promise(fig: Figure, networks: list[Reached]) -> None:
    ax = fig.add_subplot()
    for i, r in enumerate(networks):
        where = (r.seconds, 100 * r.accuracy)
        ax.errorbar(*where, 100 * r.spread, fmt="o", color=COLOURS["after"], markersize=12)
        inwards, above = (-1 if r.seconds > 30 else 1), (18 if i % 2 else -18)
        side = "left" if inwards > 0 else "right"
        place = dict(textcoords="offset points", va="center", ha=side)
        ax.annotate(r.name, where, (8 * inwards, above), **place)
    best = max(networks, key=lambda r: r.accuracy)
    title = f"{100 * best.accuracy:.1f} % in {best.seconds:.0f} seconds, without a GPU"
    ax.set(xlabel="seconds to train on 2 CPU cores", ylabel="test accuracy, %", title=title)
    ax.margins(x=0.1, y=0.25)
    ax.set_xlim(left=-2)


def by_class(split: Split, classes: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    """Each class's name and its images (n, c, h, w)."""
    for label, name in enumerate(classes):
        yield name, split.images[split.labels == label]


def average_images(dataset: Dataset) -> Tensor:
    """The mean training image of each class, (classes, c, h, w) float64 from 0 to 255."""
    return torch.stack(
        [images.double().mean(0) for _, images in by_class(dataset.train, dataset.classes)]
    )


def show_averages(dataset: Dataset, averages: Tensor) -> Picture:
    """The average garments, and the pairs that lie closest to each other."""
    names, k = dataset.classes, len(dataset.classes)
    gaps = torch.cdist(averages.flatten(1), averages.flatten(1)).div(averages[0].numel() ** 0.5)
    pairs = sorted((gaps[i, j].item(), names[i], names[j]) for i in range(k) for j in range(i))
    lines = [f"{a} and {b}: {gap:.1f} grey levels a pixel" for gap, a, b in pairs[:4]]
    data = dict(zip(names, averages[:, 0], strict=True))
    told = "closest pairs of average garments\n" + "\n".join(lines)
    return Picture(_draw_averages, data, lambda _: told, size=(9, 4))


def _draw_averages(fig: Figure, averages: dict[str, Tensor]) -> None:
    for ax, (name, image) in zip(fig.subplots(2, 5).flat, averages.items(), strict=True):
        ax.imshow(image, vmin=0, vmax=255)
        ax.set_title(name, fontsize=13)
        ax.axis("off")


def nearest_average(averages: Tensor, split: Split) -> Tensor:
    """Labels (n,): for each image of the split the class whose average is closest."""
    return torch.cdist(split.images.double().flatten(1), averages.flatten(1)).argmin(1)


def confused_pairs(
    labels: Tensor, predicted: Tensor, classes: tuple[str, ...], n: int = 5
) -> Table:
    """The `n` kinds of mistake made most often, with how often each was made."""
    table = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    table.index_put_((labels, predicted), torch.tensor(1), accumulate=True).fill_diagonal_(0)
    order = table.flatten().argsort(descending=True, stable=True)[:n].tolist()
    pairs = [divmod(place, len(classes)) for place in order]
    rows = [(classes[a], classes[b], int(table[a, b])) for a, b in pairs]
    told = f"the commonest mistakes, of {len(labels):,} pictures"
    return Table([("true class", "taken for", "pictures"), *rows], left=2, bold=[0], caption=told)
