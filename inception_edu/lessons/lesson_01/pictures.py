"""Lesson 01, counting the cost: its photo, and what one branch costs with and without a reduce."""

from pathlib import Path

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from inception_edu.cost import Cost, conv_cost, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.widgets import Explorer

C_IN, GRID = 192, 28  # what block 3a sees ([G] Table 1)
COLOUR = COLOURS | {"convolution": COLOURS["before"], "1x1 reduce": COLOURS["branch1x1"]}
Bars = dict[str, dict[str, int]]  # name -> part -> MACs


def photo() -> Tensor:
    """A colour photo, (3, 300, 300) float32 from 0 to 1."""
    path = Path(__file__).parents[2] / "assets" / "photos" / "astronaut.jpg"
    pixels = np.array(Image.open(path).convert("RGB").resize((300, 300), Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


def show_photos(photos: dict[str, Tensor]) -> Picture:
    """Photos (3 or 1, h, w) side by side under their names; below 0 is black, above 1 white."""
    told = "; ".join(f"{name}: mean {p.mean():.3f}" for name, p in photos.items())
    size = (3.66 * len(photos), 3.8) if len(photos) > 1 else (4.6, 4.7)
    return Picture(_draw_photos, photos, lambda _: told, size=size)


def _draw_photos(fig: Figure, photos: dict[str, Tensor]) -> None:
    axes = fig.subplots(1, len(photos), squeeze=False)[0]
    for ax, (name, image) in zip(axes, photos.items(), strict=True):
        pixels = image.detach().clamp(0, 1).permute(1, 2, 0).squeeze(-1)
        ax.imshow(pixels, vmin=0, vmax=1)
        ax.set_title(name)
        ax.axis("off")


def draw_bars(fig: Figure, bars: Bars, title: str) -> None:
    """A horizontal bar of MACs for each name, stacked from its parts."""
    stack_bars(ax := fig.add_subplot(), bars)
    ax.set_title(title)
    fig.legend(loc="outside lower center", ncols=5, frameon=False)


def stack_bars(ax, bars: Bars) -> None:
    """The same in an axes of a larger figure; each part is labelled once, for a legend."""
    labelled = set()
    for name, parts in bars.items():
        left = 0.0
        for part, macs in parts.items():
            label = None if part in labelled else short(part)
            ax.barh(name, macs / 1e6, 0.6, left, color=COLOUR[part], label=label)
            left, labelled = left + macs / 1e6, labelled | {part}
        white = dict(facecolor="white", edgecolor="none", pad=1)
        how = dict(textcoords="offset points", va="center", weight="bold", bbox=white)
        ax.annotate(f"{left:.1f}", (left, name), (6, 0), **how)
    ax.margins(x=0.15)
    ax.invert_yaxis()
    ax.set_xlabel("million MACs per image")


def short(part: str) -> str:
    """What a branch is called beside its colour."""
    return part.removeprefix("branch").removeprefix("_")


def words_bars(bars: Bars) -> str:
    """The bars as a table: MACs of each part, and of all together."""
    names = list(dict.fromkeys(part for parts in bars.values() for part in parts))
    rows = [("MACs", *map(short, names), "total")]
    for bar, parts in bars.items():
        cells = [*(parts.get(name, 0) for name in names), sum(parts.values())]
        rows.append((bar, *(f"{n:,}" for n in cells)))
    return text_table(rows)


def chain(c_in: int, grid: int, *layers: tuple[int, int]) -> list[Cost]:
    """Costs of convolutions (c_out, k) one after the other."""
    widths = [c_in, *(c_out for c_out, _ in layers)]
    return [conv_cost(c, c_out, k, grid) for c, (c_out, k) in zip(widths, layers, strict=False)]


def detour(
    c_in: int = C_IN, reduce: int = 16, c_out: int = 32, k: int = 5, grid: int = GRID
) -> Bars:
    """MACs of a k x k convolution: direct, and after a 1x1 reduce."""
    (direct,), costs = chain(c_in, grid, (c_out, k)), chain(c_in, grid, (reduce, 1), (c_out, k))
    first, second = (cost.macs for cost in costs)
    return {
        "direct": {"convolution": direct.macs},
        "detour": {"1x1 reduce": first, "convolution": second},
    }


def _draw_detour(fig: Figure, bars: Bars) -> None:
    direct, around = (sum(parts.values()) for parts in bars.values())
    ratio = direct / around
    saved = f"{ratio:.2f} times less" if ratio >= 1 else f"{1 / ratio:.2f} times as much"
    draw_bars(fig, bars, f"The detour costs {saved}")


def cost_explorer() -> Explorer:
    """One branch of any widths, direct and with a reduce."""
    controls = {
        "c_in": ipywidgets.IntSlider(C_IN, 16, 832, 16),
        "reduce": ipywidgets.IntSlider(16, 1, 192),
        "c_out": ipywidgets.IntSlider(32, 8, 384, 8),
        "k": ipywidgets.SelectionSlider(options=[1, 3, 5, 7], value=5),
        "grid": ipywidgets.SelectionSlider(options=[7, 14, 28, 56], value=GRID),
    }
    title = "What does the reduce save?"
    return Explorer(
        controls, detour, _draw_detour, words_bars, title=title, size=(8, 3), moves="reduce"
    )
