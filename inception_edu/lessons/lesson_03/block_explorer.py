"""Lesson 03: pick a block and an image's size, and see what each branch costs and looks at."""

from functools import cache
from importlib.resources import as_file
from typing import NamedTuple

import numpy as np
import torch
from ipywidgets import SelectionSlider
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from inception_edu.cost import layer_macs, receptive_field, text_table
from inception_edu.data.photos import middle, read_photo
from inception_edu.figures import COLOURS
from inception_edu.layers import Concat, channels
from inception_edu.lessons.shared import ASSETS
from inception_edu.network import Network
from inception_edu.widgets import Explorer, choices

LABELS = {"branch1x1": "1x1", "branch3x3": "3x3", "branch5x5": "5x5", "branch_pool": "pool"}


class Branch(NamedTuple):
    """What a branch puts out and costs, and its receptive field's side in pixels of the image."""

    channels: int
    weights: int
    macs: int
    field: int


class Block(NamedTuple):
    """A block at work in its network, on a square image of `side` pixels; shapes are (c, h, w)."""

    name: str
    side: int
    enters: tuple[int, ...]
    leaves: tuple[int, ...]
    branches: dict[str, Branch]


def look(network: Network, name: str, side: int) -> Block:
    """Block `name` of a network on the meta device: everything by closed form."""
    x = torch.empty(1, network.arguments["in_channels"], side, side, device="meta")
    x, before = network.stem(x), [network.stem]
    for other, part in network.body.named_children():
        if other == name:
            break
        before.append(part)
        if isinstance(part, Concat):  # which keeps the grid
            x = x[:, :1].expand(1, channels(part, x.shape[1]), *x.shape[2:])
        else:
            x = part(x)
    enters, branches = tuple(x.shape[1:]), {}
    for branch, layers in network.body.get_submodule(name).items():
        convs = [m for m in layers.modules() if isinstance(m, nn.Conv2d)]
        macs = sum(layer_macs(conv, enters) for conv in convs)
        weights = sum(conv.weight.numel() for conv in convs)
        field = receptive_field(*before, layers).size[0]
        branches[branch] = Branch(convs[-1].out_channels, weights, macs, field)
    leaves = sum(branch.channels for branch in branches.values()), *enters[1:]
    return Block(name, side, enters, leaves, branches)


def words(block: Block) -> str:
    """Shapes, and a line for each branch: channels, weights, MACs, receptive field."""
    macs = sum(branch.macs for branch in block.branches.values())
    shapes = ("x".join(map(str, (h, w, c))) for c, h, w in (block.enters, block.leaves))
    rows = [("branch", "channels", "weights", "MACs", "of all", "receptive field")]
    for name, b in block.branches.items():
        cells = f"{b.channels}", f"{b.weights:,}", f"{b.macs:,}", f"{b.macs / macs:.1%}"
        rows.append((LABELS[name], *cells, f"{b.field} px"))
    return f"block {block.name}: {' -> '.join(shapes)}, {macs:,} MACs\n{text_table(rows)}"


def _draw(fig: Figure, block: Block) -> None:
    bars, image = fig.subplots(1, 2, width_ratios=(1.3, 1))
    macs = sum(branch.macs for branch in block.branches.values())
    for name, branch in block.branches.items():
        bars.barh(LABELS[name], branch.macs / 1e6, color=COLOURS[name])
        bars.text(
            branch.macs / 1e6,
            LABELS[name],
            f" {branch.macs / macs:.0%}",
            va="center",
            weight="bold",
        )
    costliest = max(block.branches, key=lambda name: block.branches[name].macs)
    bars.set(
        xlabel="million MACs", title=f"{block.name}: the {LABELS[costliest]} branch costs most"
    )
    bars.margins(x=0.2)
    bars.invert_yaxis()
    centre = block.side / 2
    image.imshow(_photo(block.side), extent=(0, block.side, 0, block.side))
    for name, branch in block.branches.items():
        corner, style = centre - branch.field / 2, "--" if "pool" in name else "-"
        box = Rectangle((corner, corner), branch.field, branch.field, fill=False, lw=3, ls=style)
        box.set_edgecolor(COLOURS[name])
        image.add_patch(box)
    widest = max(branch.field for branch in block.branches.values())
    half = 0.54 * max(widest, block.side)
    image.set(xlim=(centre - half, centre + half), ylim=(centre - half, centre + half))
    image.set(aspect="equal", xlabel="pixels", xticks=[0, block.side], yticks=[])
    image.spines["left"].set_visible(False)
    image.set_title(f"It sees up to {widest} px")


@cache
def _photo(side: int) -> np.ndarray:
    """The middle of a photo at side x side pixels."""
    with as_file(ASSETS / "photos" / "chelsea.png") as path:
        return np.asarray(middle(read_photo(path), (side, side), side))


def explorer(network: Network) -> Explorer:
    """A block and the image's side to choose; the network stands on the meta device."""
    blocks = [name for name, part in network.body.named_children() if isinstance(part, Concat)]
    controls = {
        "name": choices(blocks, description="block"),
        "side": SelectionSlider(options=[96, 128, 160, 192, 224, 256, 320], value=224),
    }
    controls["side"].description = "image, pixels"

    @cache
    def compute(name: str, side: int) -> Block:
        return look(network, name, side)

    return Explorer(controls, compute, _draw, words, title="Inside a block", size=(10, 3.8))
