"""Lesson 09: which pieces of the photos excite a channel most, block by block."""

from typing import NamedTuple

import torch
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn.functional import interpolate

from inception_edu.cost import receptive_field
from inception_edu.data import Split
from inception_edu.display import Table
from inception_edu.figures import COLOURS
from inception_edu.googlenet import Inception
from inception_edu.predict import Classifier
from inception_edu.widgets import Explorer, choices

SHOWN, GAP = 9, 12  # photos of a channel; pixels between them in the figure
BELOW = dict(ha="center", va="top")
PROBE = 160  # pixels of a side, more than any receptive field here


class Block(NamedTuple):
    """Of each channel and image the strongest answer and its place, and what one place sees."""

    peaks: Tensor  # (n, channels)
    places: Tensor  # (n, channels, 2): row and column on the block's grid
    side: int  # pixels that a place sees
    jump: int  # pixels between neighbouring places
    first: float  # pixels from the image's edge to the middle of what the first place sees


class Photos(NamedTuple):
    """The photos that were looked at: sharper than the network saw them; labels, class names."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    pixels: int  # of a side, as the network saw them


class Excited(NamedTuple):
    """One channel of a block: the photos that excite it most, and where."""

    photos: Photos
    chosen: list[int]
    boxes: list[tuple[float, float, float]]  # left, top and side in pixels that the network saw
    block: str
    channel: int
    channels: int


@torch.no_grad()
def measure(classifier: Classifier, part: Split, *, at_once: int = 32) -> dict[str, Block]:
    """The strongest answers of every channel of the nine blocks to a part's images."""
    model, found = classifier.model, {}
    for x, _ in part.batches(at_once):
        x = model.stem(x)
        for name, layer in model.body.named_children():
            x = layer(x)
            if isinstance(layer, Inception):
                peaks, at = x.flatten(2).max(2)
                places = torch.stack([at // x.shape[3], at % x.shape[3]], 2)
                found.setdefault(name, []).append((peaks, places))
    layers = dict(model.body.named_children())
    return {
        name: Block(*map(torch.cat, zip(*values, strict=True)), *_sight(model, list(layers), name))
        for name, values in found.items()
    }


def _sight(model: nn.Module, names: list[str], last: str) -> tuple[int, int, float]:
    """Side and step of a place of a block, by the rule, and the first place's middle, by the
    gradient of a place in the middle of a large image."""
    path = [model.stem, *(model.body.get_submodule(n) for n in names[: names.index(last) + 1])]
    field = receptive_field(*path)
    with torch.enable_grad():
        x = torch.rand(4, 3, PROBE, PROBE, requires_grad=True)
        out = nn.Sequential(*path)(x)
        i = out.shape[2] // 2
        (slope,) = torch.autograd.grad(out[:, :, i, i].sum(), x)
    rows = slope.abs().sum((0, 1, 3)).nonzero()[:, 0]
    middle = float(rows[0] + rows[-1]) / 2
    return field.size[0], field.jump[0], middle - i * field.jump[0]


def look(blocks: dict[str, Block], photos: Photos, name: str, channel: int) -> Excited:
    """The photos that excite a channel most, each with the square that the place sees."""
    block = blocks[name]
    channels = block.peaks.shape[1]
    channel = min(channel, channels - 1)
    chosen = block.peaks[:, channel].topk(SHOWN).indices.tolist()
    boxes = []
    for i in chosen:
        row, column = block.places[i, channel].tolist()
        down, right = (block.first + block.jump * at for at in (row, column))
        boxes.append((right - block.side / 2, down - block.side / 2, block.side))
    return Excited(photos, chosen, boxes, name, channel, channels)


def table(blocks: dict[str, Block], photos: Photos) -> Table:
    """Of each block how many percent of its channels have nine photos of one class, and what a
    place sees."""
    rows = [
        ("block", "channels", "with nine photos of one class, %", "a place sees, pixels a side")
    ]
    for name, block in blocks.items():
        labels = photos.labels[block.peaks.topk(SHOWN, 0).indices]  # (9, channels)
        pure = 100 * (labels == labels[0]).all(0).double().mean().item()
        rows.append((name, block.peaks.shape[1], f"{pure:.0f}", block.side))
    return Table(rows)


def explorer(blocks: dict[str, Block], photos: Photos) -> Explorer:
    """Nine patches for each channel of each block."""
    last = {name: block.peaks.shape[1] - 1 for name, block in blocks.items()}
    controls = {
        "name": choices(list(blocks), value="4b", description="block"),
        "channel": IntSlider(value=3, min=0, max=last["4b"], description="channel"),
    }

    def reach_all(change: dict) -> None:
        controls["channel"].max = last[change["new"]]

    controls["name"].observe(reach_all, names="value")
    title = "Which pieces of the photos excite a channel most?"
    return Explorer(
        controls,
        lambda name, channel: look(blocks, photos, name, channel),
        _draw,
        words,
        title=title,
        size=(11, 3.2),
        moves="channel",
        tells=False,
    )


def _draw(fig: Figure, excited: Excited) -> None:
    photos, ax = excited.photos, fig.add_subplot()
    pixels = photos.images.shape[2]
    scale, step = pixels / photos.pixels, pixels + GAP
    page = torch.full((2 * step, SHOWN * step, 3), 255, dtype=torch.uint8)
    for k, (i, box) in enumerate(zip(excited.chosen, excited.boxes, strict=True)):
        image = photos.images[i]
        left, top, right, bottom = _within(box, scale, pixels)
        patch = image[None, :, top:bottom, left:right].float()
        grown = pixels / max(patch.shape[2:])
        sides = [max(1, int(grown * side)) for side in patch.shape[2:]]
        patch = interpolate(patch, sides)[0].to(torch.uint8)
        page[:pixels, k * step : k * step + pixels] = image.permute(1, 2, 0)
        page[step : step + sides[0], k * step : k * step + sides[1]] = patch.permute(1, 2, 0)
        frame = dict(fill=False, lw=2.5, color=COLOURS["before"])
        place = k * step + left, top
        ax.add_patch(Rectangle(place, right - left - 1, bottom - top - 1, **frame))
        ax.text(k * step + pixels / 2, 2 * step, photos.classes[photos.labels[i]], **BELOW)
    ax.imshow(page)
    ax.set(xticks=[], yticks=[pixels / 2, step + pixels / 2], yticklabels=["photo", "patch"])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    seen = f"a place sees {round(excited.boxes[0][2])} pixels a side, the photo has {photos.pixels}"
    ax.set_title(f"Block {excited.block}, channel {excited.channel}: {seen}")


def _within(box: tuple[float, float, float], scale: float, pixels: int) -> list[int]:
    """Left, top, right and bottom of the part of a square that lies in the image."""
    left, top, side = box
    edges = left, top, left + side, top + side
    return [round(min(max(scale * edge, 0), pixels)) for edge in edges]


def words(excited: Excited) -> str:
    """The classes of the nine photos."""
    labels = excited.photos.labels[excited.chosen].tolist()
    counts = {name: labels.count(i) for i, name in enumerate(excited.photos.classes)}
    told = ", ".join(f"{n} {name}" for name, n in counts.items())
    where = f"block {excited.block}, channel {excited.channel} of {excited.channels}"
    return f"{where}: the nine photos show {told}"
