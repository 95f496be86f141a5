"""Lesson 01, counting the cost: its photo, figures and explorers."""

from pathlib import Path

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchvision.io import read_image

from inception_edu.cost import Cost, conv_cost, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import TABLE_1
from inception_edu.widgets import Explorer

C_IN, GRID = 192, 28  # what block 3a sees ([G] Table 1)
BUDGET = 100_000_000
COLOUR = COLOURS | {"convolution": COLOURS["before"], "1x1 reduce": COLOURS["branch1x1"]}
Bars = dict[str, dict[str, tuple[int, int]]]  # name -> part -> (MACs, weights)


def photo() -> Tensor:
    """A colour photo, (3, 100, 150) float32 from 0 to 1."""
    path = Path(__file__).parents[1] / "assets" / "photos" / "chelsea.png"
    return avg_pool2d(read_image(str(path))[:3].float() / 255, 3)


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
        ax.text(left, name, f" {left:.1f}", va="center", fontweight="bold")
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
    return Explorer(controls, detour, _draw_detour, words_bars, title=title, size=(8, 3))


def block_bars(reduce3: int = 96, reduce5: int = 16, pool_proj: int = 32) -> Bars:
    """Bars of block 3a by branch; the naive block lacks both reduces, its output is as wide."""
    row = TABLE_1["3a"]
    bars = {}
    for name, reduced in {"naive": False, "reduced": True}.items():
        layers = {
            "branch1x1": [(row.n1x1, 1)],
            "branch3x3": [(reduce3, 1), (row.n3x3, 3)][not reduced :],
            "branch5x5": [(reduce5, 1), (row.n5x5, 5)][not reduced :],
            "branch_pool": [(pool_proj, 1)],
        }
        costs = {branch: chain(C_IN, GRID, *each) for branch, each in layers.items()}
        for branch, each in layers.items():
            costs = chain(C_IN, GRID, *each)
            macs, weights = sum(c.macs for c in costs), sum(c.params for c in costs)
            bars.setdefault(name, {})[branch] = macs, weights
    return bars


def words_game(bars: Bars) -> str:
    """The bars as a table, and whether the game is won."""
    alive = sum(macs > 0 for macs, _ in bars["reduced"].values())
    won = alive == 4 and total(bars["reduced"]) < BUDGET
    return f"{words_bars(bars)}\n{alive} of 4 branches alive; {'won' if won else 'not won yet'}"


def _draw_game(fig: Figure, bars: Bars) -> None:
    macs = total(bars["reduced"])
    side = "under" if macs < BUDGET else "over"
    draw_bars(fig, bars, f"Block 3a at {macs / 1e6:.1f} million MACs: {side} the budget", BUDGET)


def budget_game() -> Explorer:
    """Keep block 3a under 100 million MACs with all four branches alive."""
    controls = {
        "reduce3": ipywidgets.IntSlider(96, 0, 192, 4),
        "reduce5": ipywidgets.IntSlider(16, 0, 96, 2),
        "pool_proj": ipywidgets.IntSlider(32, 0, 128, 4),
    }
    title = "The budget game"
    return Explorer(controls, block_bars, _draw_game, words_game, title=title, size=(8, 3.2))
