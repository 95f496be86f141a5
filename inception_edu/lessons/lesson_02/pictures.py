"""Lesson 02, the Inception block: its figures, and the small network of a course."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1

Y, X = 8, 14  # of the 28x28 pixels, the middle of what output pixel (4, 7) of block 3a sees


def show_zooms(image: Tensor) -> Picture:
    """A garment, (1, 28, 28), at 28, 14 and 7 pixels, each under one window of 5x5 pixels."""
    zooms = [avg_pool2d(image.float(), 28 // n)[0] for n in (28, 14, 7)]
    covered = ", ".join(f"{25 / z.numel():.0%} of {len(z)}x{len(z)}" for z in zooms)
    return Picture(_draw_zooms, zooms, lambda _: f"a 5x5 window covers {covered}", size=(9, 3.5))


def _draw_zooms(fig: Figure, zooms: list[Tensor]) -> None:
    titles = ("28 px: the collar", "14 px: the chest", "7 px: the coat")
    for ax, zoom, title in zip(fig.subplots(1, 3), zooms, titles, strict=True):
        n = len(zoom)
        corner = (n - 5) // 2 - 0.5, {28: 0, 14: 3, 7: 1}[n] - 0.5
        ax.imshow(zoom, vmin=0, vmax=255)
        ax.add_patch(Rectangle(corner, 5, 5, fill=False, lw=5, color=COLOURS["branch5x5"]))
        ax.set(title=title, xticks=[], yticks=[])


def show_fields(sides: dict[str, int], image: Tensor) -> Picture:
    """The windows of block 3a's branches over one image, (1, 28, 28), and what is in them."""
    told = "pixels seen: " + ", ".join(f"{name} {n}x{n}" for name, n in sides.items())
    return Picture(_draw_fields, (sides, image[0]), lambda _: told, size=(9, 4.8))


def _draw_fields(fig: Figure, data: tuple[dict[str, int], Tensor]) -> None:
    sides, image = data
    whole, *crops = fig.subplot_mosaic([[0, 0, 1, 2], [0, 0, 3, 4]]).values()
    whole.imshow(image)
    whole.set(title="One output pixel, four views", xticks=[], yticks=[])
    for ax, (name, n) in zip(crops, sides.items(), strict=True):
        half, style = n // 2, dict(fill=False, lw=4, ls="--" if "pool" in name else "-")
        whole.add_patch(Rectangle((X - n / 2, Y - n / 2), n, n, color=COLOURS[name], **style))
        ax.imshow(image[Y - half : Y + half + 1, X - half : X + half + 1], vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{name}: {n} px", color=COLOURS[name], fontsize=13)


def show_explosion(steps: list[tuple[int, int]]) -> Picture:
    """Channels and MACs of naive blocks one after the other, the first fed with 192 channels."""
    told = "; ".join(f"block {i}: {c} channels, {m:,} MACs" for i, (c, m) in enumerate(steps, 1))
    return Picture(_draw_explosion, steps, lambda _: told, size=(9, 3.6))


def _draw_explosion(fig: Figure, steps: list[tuple[int, int]]) -> None:
    channels, macs = zip(*steps, strict=True)
    bars = {
        "output channels": (f"Channels grow: 192 to {channels[-1]}", channels, TABLE_1["3a"].c_out),
        "million MACs": (
            f"Cost grows: times {macs[-1] / macs[0]:.1f}",
            [m / 1e6 for m in macs],
            128,
        ),
    }
    for ax, (unit, (title, values, paper)) in zip(fig.subplots(1, 2), bars.items(), strict=True):
        places = range(1, len(values) + 1)
        ax.bar(places, values, color=COLOURS["before"])
        ax.axhline(paper, color=COLOURS["after"], lw=3, ls="--", label=f"the paper's 3a: {paper}")
        ax.set(title=title, xlabel="naive block", ylabel=unit, xticks=places)
        ax.margins(y=0.3)
        ax.legend(loc="upper left", frameon=False)
        for place, value in zip(places, values, strict=True):
            ax.text(place, value, f"{value:.0f}", ha="center", va="bottom", weight="bold")


@torch.no_grad()
def show_road(linear: nn.Module, bent: nn.Module) -> Picture:
    """One output value of two modules along the straight road between two random inputs."""
    start, end = torch.randn(2, 1, 192, 5, 5, generator=torch.Generator().manual_seed(0))
    road = torch.linspace(0, 1, 41)
    x = start + road.view(-1, 1, 1, 1) * (end - start)
    layers = {"without ReLU": linear, "with ReLU": bent}
    values = {name: layer(x)[:, 0, 2, 2] for name, layer in layers.items()}
    bends = {name: (y - torch.lerp(y[0], y[-1], road)).abs().max() for name, y in values.items()}
    told = ", ".join(f"{name}: {bend:.3f}" for name, bend in bends.items())
    words = f"farthest from the straight line between its ends: {told}"
    return Picture(_draw_road, (road, values), lambda _: words, size=(8, 3.6))


def _draw_road(fig: Figure, data: tuple[Tensor, dict[str, Tensor]]) -> None:
    ax, (road, values) = fig.add_subplot(), data
    for (name, y), colour in zip(values.items(), ("before", "after"), strict=True):
        ax.plot(road, y, lw=4, color=COLOURS[colour], label=name)
    ax.set(xlabel="from the first input (0) to the second (1)", ylabel="one output value")
    ax.set_title("Only the ReLU bends the road")
    ax.legend(frameon=False)
