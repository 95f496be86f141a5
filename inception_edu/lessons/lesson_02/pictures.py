"""Lesson 02, the Inception block: its figures."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import interpolate, pad

from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1

Y, X = 8, 14  # of the 28x28 pixels, the middle of what output pixel (4, 7) of block 3a sees


def show_sizes(image: Tensor) -> Picture:
    """A garment, (1, 28, 28), 40, 20 and 10 pixels high on a canvas, under one 5x5 kernel."""
    coats = {side: on_canvas(image, side) for side in (40, 20, 10)}
    told = ", ".join(f"{25 / side**2:.0%} of it at {side} pixels" for side in coats)
    words = f"the same coat at three sizes; a 5x5 kernel covers {told}"
    return Picture(_draw_sizes, coats, lambda _: words, size=(10, 3.9))


def on_canvas(image: Tensor, side: int, canvas: int = 40) -> Tensor:
    """A garment, (1, 28, 28), in the middle of a black canvas, `side` pixels high."""
    how = dict(size=(side, side), mode="bilinear", antialias=True)
    first = (canvas - side) // 2
    around = (first, canvas - side - first) * 2
    return pad(interpolate(image[None].float(), **how)[0, 0], around)


def _draw_sizes(fig: Figure, coats: dict[int, Tensor]) -> None:
    for ax, (side, image) in zip(fig.subplots(1, 3), coats.items(), strict=True):
        middle = (len(image) - 5) / 2 - 0.5
        ax.imshow(image, vmin=0, vmax=255)
        ax.add_patch(
            Rectangle((middle, middle), 5, 5, fill=False, lw=4, color=COLOURS["branch5x5"])
        )
        ax.set(title=f"{side} pixels: 5x5 is {25 / side**2:.0%}", xticks=[], yticks=[])


def label(branch: str) -> str:
    """What people call a branch: "1x1" for branch1x1, "pool" for branch_pool."""
    return branch.removeprefix("branch").removeprefix("_")


def show_fields(sides: dict[str, int], image: Tensor) -> Picture:
    """The windows of block 3a's branches over one image, (1, 28, 28), and what is in them."""
    told = "pixels seen: " + ", ".join(f"{label(name)} {n}x{n}" for name, n in sides.items())
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
        ax.set_title(f"{label(name)}: {n} px", color=COLOURS[name], fontsize=13)


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
