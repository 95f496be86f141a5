"""Lesson 01, counting the cost: its photo, figures and explorers."""

from pathlib import Path

import ipywidgets
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from torch import Tensor
from torch.nn.functional import avg_pool2d

from inception_edu.cost import Cost, conv_cost, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.widgets import Explorer

C_IN, GRID = 192, 28  # what block 3a sees ([G] Table 1)
COLOUR = COLOURS | {"convolution": COLOURS["before"], "1x1 reduce": COLOURS["branch1x1"]}
Bars = dict[str, dict[str, tuple[int, int]]]  # name -> part -> (MACs, weights)


def photo() -> Tensor:
    """A colour photo, (3, 100, 150) float32 from 0 to 1."""
    path = Path(__file__).parents[2] / "assets" / "photos" / "chelsea.png"
    return avg_pool2d(torch.from_numpy(imread(path)[..., :3]).permute(2, 0, 1), 3)


def show_photos(**photos: Tensor) -> Picture:
    """Photos (3 or 1, h, w) side by side under their names."""
    told = ", ".join(f"{name}: mean brightness {p.mean():.3f}" for name, p in photos.items())
    return Picture(_draw_photos, photos, lambda _: told, size=(2.2 * len(photos), 1.8))


def _draw_photos(fig: Figure, photos: dict[str, Tensor]) -> None:
    axes = fig.subplots(1, len(photos), squeeze=False)[0]
    for ax, (name, image) in zip(axes, photos.items(), strict=True):
        ax.imshow(image.permute(1, 2, 0).squeeze(-1), vmin=0, vmax=1)
        ax.set_title(name)
        ax.axis("off")


def draw_bars(fig: Figure, bars: Bars, title: str, limit: int = 0) -> None:
    """A horizontal bar of MACs for each name, stacked from its parts; `limit` is a dashed line."""
    ax, labelled = fig.add_subplot(), set()
    for name, parts in bars.items():
        left = 0.0
        for part, (macs, _) in parts.items():
            label = None if part in labelled else part.removeprefix("branch").removeprefix("_")
            ax.barh(name, macs / 1e6, 0.6, left, color=COLOUR[part], label=label)
            left, labelled = left + macs / 1e6, labelled | {part}
        white = dict(facecolor="white", edgecolor="none", pad=1)  # over the budget line
        how = dict(textcoords="offset points", va="center", weight="bold", bbox=white)
        ax.annotate(f"{left:.1f}", (left, name), (6, 0), **how)
    if limit:
        ax.axvline(limit / 1e6, color=COLOURS["ink"], linestyle="--", label="budget")
    ax.margins(x=0.12)
    ax.invert_yaxis()
    ax.set(xlabel="million MACs per image", title=title)
    fig.legend(loc="outside lower center", ncols=5, frameon=False)


def words_bars(bars: Bars) -> str:
    """The bars as a table: MACs of each part, total MACs, total weights."""
    names = list(dict.fromkeys(part for parts in bars.values() for part in parts))
    short = (name.removeprefix("branch").removeprefix("_") for name in names)
    rows = [("MACs", *short, "total", "weights")]
    for bar, parts in bars.items():
        macs, weights = (sum(values) for values in zip(*parts.values(), strict=True))
        cells = [parts.get(name, (0, 0))[0] for name in names]
        rows.append((bar, *(f"{n:,}" for n in [*cells, macs, weights])))
    return text_table(rows)


def total(parts: dict[str, tuple[int, int]]) -> int:
    """MACs of all parts together."""
    return sum(macs for macs, _ in parts.values())


def chain(c_in: int, grid: int, *layers: tuple[int, int]) -> list[Cost]:
    """Costs of convolutions (c_out, k) one after the other; none if a width is 0."""
    if not all(c_out for c_out, _ in layers):
        return []  # a branch with a layer of width 0 is switched off
    widths = [c_in, *(c_out for c_out, _ in layers)]
    return [conv_cost(c, c_out, k, grid) for c, (c_out, k) in zip(widths, layers, strict=False)]


def detour(c_in: int = C_IN, reduce: int = 16, c_out: int = 32, k: int = 5, grid: int = GRID):
    """Bars of a k x k convolution: direct, and after a 1x1 reduce."""
    (direct,), costs = chain(c_in, grid, (c_out, k)), chain(c_in, grid, (reduce, 1), (c_out, k))
    first, second = ((cost.macs, cost.params) for cost in costs)
    return {
        "direct": {"convolution": (direct.macs, direct.params)},
        "detour": {"1x1 reduce": first, "convolution": second},
    }


def _draw_detour(fig: Figure, bars: Bars) -> None:
    ratio = total(bars["direct"]) / total(bars["detour"])
    saved = f"{ratio:.2f} times less" if ratio >= 1 else f"{1 / ratio:.2f} times as much"
    draw_bars(fig, bars, f"The detour costs {saved}")


def show_detour() -> Picture:
    """The 5x5 branch of block 3a, direct and with its reduce to 16 channels."""
    return Picture(_draw_detour, detour(), words_bars, size=(8, 3))


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
