"""Lesson 08: image side and stem to choose, and what becomes of the grids and the cost."""

import textwrap
from functools import cache
from typing import NamedTuple

import torch
from ipywidgets import SelectionSlider
from matplotlib.figure import Figure
from torch import nn

from inception_edu.display import Table
from inception_edu.figures import COLOURS
from inception_edu.inception_v3 import MIN_SIZES, InceptionV3
from inception_edu.layers import Concat, channels, pair
from inception_edu.lessons.lesson_08.staircase import Stage, draw_staircase, kind
from inception_edu.widgets import Explorer, choices

# [V3] Table 2: side of the image -> top-1 accuracy in percent, each with its own stem.
PAPER = {299: 76.6, 151: 76.4, 79: 75.2}
SIDES = (21, 32, 48, 64, 79, 96, 128, 151, 192, 224, 256, 299, 331)


def macs_by_walk(part: nn.Module, side: int) -> tuple[int, int]:
    """Side of the grid that `part` puts out for a square one, and its MACs: a walk of its tree."""
    if isinstance(part, Concat):
        ends = [macs_by_walk(branch, side) for branch in part.values()]
        return ends[0][0], sum(macs for _, macs in ends)
    if isinstance(part, nn.Sequential):
        total = 0
        for layer in part:
            side, macs = macs_by_walk(layer, side)
            total += macs
        return side, total
    if isinstance(part, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        k, stride, padding = (pair(v)[0] for v in (part.kernel_size, part.stride, part.padding))
        side = (side + 2 * padding - k) // stride + 1
    if isinstance(part, nn.AdaptiveAvgPool2d):
        side = 1
    weighs = isinstance(part, (nn.Conv2d, nn.Linear))
    return side, part.weight.numel() * side**2 if weighs else 0


class Seen(NamedTuple):
    """A network at work on square images: its parts, or why it refuses them; and the best case."""

    variant: str
    stem: int
    side: int
    parts: list[Stage]
    refusal: str
    usual: int  # MACs of the same variant with its usual stem and image, 299 and 299

    @property
    def macs(self) -> int:
        """Of one image."""
        return sum(part.macs for part in self.parts)


@cache
def network(variant: str, stem: int) -> InceptionV3:
    """The network for use, on the meta device."""
    with torch.device("meta"):
        return InceptionV3(variant, aux=False, resolution=stem).eval()


def parts_of(model: InceptionV3, side: int) -> list[Stage]:
    """Stem, blocks and head on a square image, by walking the tree: nothing is run."""
    found, c = [], model.arguments["in_channels"]
    for part in (model.stem, model.body, model.head):
        for name, layer in part.named_children():
            side, macs = macs_by_walk(layer, side)
            c = getattr(layer, "out_features", channels(layer, c))
            if what := kind(layer):
                params = sum(p.numel() for p in layer.parameters())
                found.append(Stage(name, what, (side, side, c), params, macs))
    return found


def look(side: int, stem: int, variant: str) -> Seen:
    """A variant with one of the three stems, on square images of `side` pixels."""
    model, usual = network(variant, stem), parts_of(network(variant, 299), 299)
    refusal, parts = "", []
    try:
        model.check_input(torch.empty(1, 3, side, side, device="meta"))
        parts = parts_of(model, side)
    except ValueError as error:
        refusal = str(error)
    return Seen(variant, stem, side, parts, refusal, sum(part.macs for part in usual))


def words(seen: Seen) -> str:
    """The grids from the image on and the cost, or the network's own refusal."""
    if seen.refusal:
        return f"refused: {seen.refusal}"
    grids = dict.fromkeys(part.side for part in seen.parts)
    times = seen.macs / seen.usual
    return (
        f"grids: {' -> '.join(map(str, (seen.side, *grids)))}\n"
        f"{seen.macs:,} MACs, {times:.1%} of what 299 pixels cost with their own stem"
    )


def _draw(fig: Figure, seen: Seen) -> None:
    if seen.refusal:
        ax = fig.add_subplot()
        ax.axis("off")
        ax.set_title(f"{seen.side} pixels are too few for this stem")
        lines = "\n".join(textwrap.wrap(seen.refusal, 62))
        ax.text(0.02, 0.9, lines, va="top", fontsize=15, color=COLOURS["before"])
        return
    steps, bars = fig.subplots(1, 2, width_ratios=(3.6, 1))
    draw_staircase(steps, seen.parts, shapes=False)
    last = [part for part in seen.parts if part.kind not in ("pool", "linear")][-1]
    steps.set_title(f"{seen.side} pixels: the last block sees {last.side}x{last.side}")
    costs = {"299 px,\nits stem": seen.usual, f"{seen.side} px,\nchosen": seen.macs}
    colours = [COLOURS["muted"], COLOURS["after"]]
    bars.bar(list(costs), [macs / 1e9 for macs in costs.values()], color=colours)
    for x, macs in enumerate((seen.usual, seen.macs)):  # numbers on two bars, in place of a scale
        bars.text(x, macs / 1e9, f"{macs / 1e9:.2f}", ha="center", va="bottom", weight="bold")
    top = max(8, 1.1 * seen.macs / 1e9)
    bars.set(ylabel="billion MACs", ylim=(0, top), title=f"Cost: {seen.macs / seen.usual:.0%}")
    bars.set_yticks([])


def explorer() -> Explorer:
    """Choose the image's side, the stem and the variant."""
    controls = {
        "side": SelectionSlider(options=SIDES, value=299, description="image, pixels"),
        "stem": choices(tuple(MIN_SIZES), value=299, description="stem made for"),
        "variant": choices(("paper", "torchvision"), description="variant"),
    }
    return Explorer(controls, look, _draw, words, title="Image and stem", size=(10.5, 4.4))


def beside_the_paper() -> Table:
    """[V3] Table 2's three sizes with their stems: accuracy there, grid and MACs counted here."""
    rows = [("image", "stem", "grid of grid35a", "MACs", "accuracy in [V3], %")]
    for side, accuracy in PAPER.items():
        parts = parts_of(network("paper", side), side)
        grid = next(part.side for part in parts if part.name == "grid35a")
        stem = {299: "stride 2, pool", 151: "stride 1, pool", 79: "stride 1, no pool"}[side]
        macs = sum(part.macs for part in parts)
        rows.append((f"{side}x{side}", stem, f"{grid}x{grid}", f"{macs:,}", f"{accuracy}"))
    return Table(rows, left=2)
