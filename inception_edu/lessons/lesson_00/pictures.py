"""Lesson 00, start here: a look at the data, at what a loop did, and at this machine."""

import math
import os
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import conv_cost, milliseconds
from inception_edu.data import Dataset, Split
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture, running_mean
from inception_edu.training import pick_device, pick_precision
from inception_edu.training.devices import cpu_threads

GOOGLENET = 1.582671872  # billion MACs for a photo of 224 x 224 pixels
TOPS = "T-shirt/top", "Pullover", "Dress", "Coat", "Shirt"  # what is worn above the hips
SHOWN = 2, 3  # rows and columns of images of a class


def show_garments(dataset: Dataset) -> Picture:
    """The first training images of each class."""
    split, n = dataset.train, math.prod(SHOWN)
    images = {
        name: split.images[split.labels == label][:n, 0]
        for label, name in enumerate(dataset.classes)
    }
    told = f"{n} images each of {', '.join(images)}"
    return Picture(_draw_garments, images, lambda _: told, size=(11, 3.3))


def _draw_garments(fig: Figure, images: dict[str, Tensor]) -> None:
    for ax, (name, some) in zip(fig.subplots(2, 5).flat, images.items(), strict=True):
        rows = some.unflatten(0, SHOWN)  # (rows, columns, h, w)
        mosaic = torch.cat([torch.cat([*row], dim=1) for row in rows])
        ax.imshow(mosaic, cmap="gray_r", vmin=0, vmax=255)
        ax.set_title(name)
        ax.axis("off")


def class_means(split: Split) -> Tensor:
    """The mean image of each class, (classes, c, h, w) float64, from 0 to 255."""
    classes = range(int(split.labels.max()) + 1)
    return torch.stack([split.images[split.labels == k].double().mean(0) for k in classes])


def nearest_mean(means: Tensor, split: Split) -> Tensor:
    """Labels (n,): for each image of the split the class whose mean is closest."""
    return torch.cdist(split.images.double().flatten(1), means.flatten(1)).argmin(1)


def show_losses(losses: list[float]) -> Picture:
    """The loss of each batch, and its running mean."""
    losses = [float(loss) for loss in losses]
    return Picture(_draw_losses, losses, _words_losses, size=(11, 3.25))


def _draw_losses(fig: Figure, losses: list[float]) -> None:
    ax, mean = fig.add_subplot(), running_mean(losses, keep=0.8)
    steps, chance = range(1, len(losses) + 1), math.log(10)
    ax.plot(steps, losses, color=COLOURS["muted"], lw=0.8, alpha=0.6, label="of each batch")
    ax.plot(steps, mean, color=COLOURS["before"], lw=2.5, label="running mean")
    ax.axhline(chance, color=COLOURS["ink"], lw=1, ls="--", label="ln 10, by guessing")
    ax.set(xlabel="step", ylabel="training loss", xlim=(0, len(losses)))
    ax.set_ylim(0, 1.1 * max(chance, *mean))
    ax.set_title(f"The loss falls from {losses[0]:.1f} to {mean[-1]:.1f} in {len(losses)} steps")
    ax.legend(frameon=False, loc="center right")


def _words_losses(losses: list[float]) -> str:
    return f"loss {losses[0]:.1f} at first, {running_mean(losses, keep=0.8)[-1]:.1f} at the end"


def show_weights(network: nn.Module, means: Tensor, classes: tuple[str, ...]) -> Picture:
    """The linear layer's weights as an image of each class, above the class's mean image."""
    (weights,) = (p.detach() for p in network.parameters() if p.ndim == 2)  # (classes, pixels)
    images = weights.view(len(classes), *means.shape[2:]).cpu()
    told = f"{means[0].numel()} weights for each of {', '.join(classes)}; below, its mean image"
    data = (classes, means[:, 0], images)
    return Picture(_draw_weights, data, lambda _: told, size=(11, 3))


def _draw_weights(fig: Figure, data: tuple[tuple[str, ...], Tensor, Tensor]) -> None:
    classes, means, weights = data
    most, side = weights.abs().quantile(0.995).item(), means.shape[2]
    below, above = fig.subplots(2, 1)
    below.imshow(torch.cat([*weights], dim=1), cmap="PuOr_r", vmin=-most, vmax=most)
    below.set_title("Orange pixels speak for the class, purple ones against it")
    above.imshow(torch.cat([*means], dim=1), cmap="gray_r", vmin=0, vmax=255)
    for ax in (below, above):
        ax.set(xticks=[], yticks=[])
        for i in range(1, len(classes)):
            ax.axvline(side * i - 0.5, color="white", lw=4)
        ax.spines[:].set_visible(False)
    above.set_xticks([side * (i + 0.5) for i in range(len(classes))], classes, fontsize=11)
    above.tick_params(length=0)


class Confused(NamedTuple):
    """The mean image of each class, and in percent of each true class what it was taken for."""

    classes: tuple[str, ...]
    means: Tensor
    percent: Tensor  # (true, predicted)

    @property
    def among_tops(self) -> float:
        """The percentage of all mistakes that take one top for another."""
        tops = [i for i, name in enumerate(self.classes) if name in TOPS]
        wrong = self.percent.clone().fill_diagonal_(0)
        return 100 * (wrong[tops][:, tops].sum() / wrong.sum()).item()


def confusion(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """How often each true class (row) was taken for each class (column), (classes, classes)."""
    table = torch.zeros(classes, classes, dtype=torch.int64)
    return table.index_put_((labels, predicted), torch.tensor(1), accumulate=True)


def show_confusion(dataset: Dataset, means: Tensor, predicted: Tensor) -> Picture:
    """What the test images of each class were taken for, beside the classes' mean images."""
    counts = confusion(dataset.test.labels, predicted, len(dataset.classes)).double()
    percent = 100 * counts / counts.sum(1, keepdim=True)
    confused = Confused(dataset.classes, means[:, 0], percent)
    return Picture(_draw_confusion, confused, _words_confusion, size=(9.5, 8.25))


def _draw_confusion(fig: Figure, confused: Confused) -> None:
    ax, n, percent = fig.add_subplot(), len(confused.classes), confused.percent
    wrong = percent.clone().fill_diagonal_(0)
    ax.imshow(wrong, extent=(0, n, n, 0), cmap="Oranges", vmin=0, vmax=1.5 * float(wrong.max()))
    for i in range(n):
        ax.fill_between([i, i + 1], i, i + 1, color=COLOURS["after"], alpha=0.5, lw=0)
        _mean_images(ax, confused.means[i], i)
        for j in range(n):
            if value := round(percent[i, j].item()):
                weight = "bold" if i == j else "normal"
                place = dict(ha="center", va="center", fontsize=12, weight=weight)
                ax.text(j + 0.5, i + 0.5, str(value), **place)
    ax.set_yticks([i + 0.5 for i in range(n)], confused.classes)
    ax.set_xticks([i + 0.5 for i in range(n)], confused.classes, rotation=40, ha="left")
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlim=(-1.1, n), ylim=(n, -1.1), ylabel="true class, of 100", xlabel="taken for")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"{confused.among_tops:.0f} of 100 mistakes take one top for another", pad=14)


def _mean_images(ax: Axes, image: Tensor, i: int) -> None:
    """A class's mean image at the head of its row and of its column."""
    h, w = image.shape
    for x, y in ((-1.05, i), (i, -1.05)):
        ax.imshow(image, extent=(x, x + 1, y + 1, y), cmap="gray_r", vmin=0, vmax=255)


def _words_confusion(confused: Confused) -> str:
    right = confused.percent.diagonal().tolist()
    lines = ["of 100 test images of each class are recognised:"]
    lines += [f"{name}: {n:.0f}" for name, n in zip(confused.classes, right, strict=True)]
    return "\n".join(lines)


def gmacs_per_second(dtype: torch.dtype) -> float:
    """Billion MACs a second that block 3a's 3x3 convolution does here: for 16 images on a GPU, else
    for one image on one core, which others disturb least."""
    c_in, c_out, k, side, device = 96, 128, 3, 28, pick_device()
    place, n = dict(dtype=dtype, device=device), 1 if device.type == "cpu" else 16
    layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=False, **place)
    with torch.no_grad(), cpu_threads(1):
        ms = milliseconds(layer, torch.rand(n, c_in, side, side, **place), repeats=100)
    return n * conv_cost(c_in, c_out, k, side).macs / ms / 1e6


def machine() -> Table:
    """Device, cores, speed in both precisions, and the precision that training will use."""
    device = pick_device()
    where = " on one core" if device.type == "cpu" else ""
    speeds = {name: gmacs_per_second(getattr(torch, name)) for name in ("float32", "bfloat16")}
    rows = [("this machine", ""), ("device", device), ("CPU cores", os.cpu_count())]
    rows += [(f"{name}, GMAC/s{where}", f"{speed:.0f}") for name, speed in speeds.items()]
    photos = speeds["float32"] / GOOGLENET
    rows += [("photos a second through GoogLeNet at that float32 speed", f"{photos:.0f}")]
    return Table([*rows, ("training will use", pick_precision(device))])
