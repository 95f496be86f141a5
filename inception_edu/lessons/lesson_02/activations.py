"""Lesson 02: what each branch of a trained block answers at one point of a garment."""

from typing import NamedTuple

import ipywidgets
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from inception_edu.cost import receptive_field
from inception_edu.data import Split
from inception_edu.figures import COLOURS
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_02.muting import BRANCHES, ROWS, places
from inception_edu.lessons.shared import small_googlenet
from inception_edu.widgets import Explorer, choices

SIDE = 28  # pixels of an image's side


class Answer(NamedTuple):
    """A branch at a point: how many input pixels wide it sees, and its strongest channel there."""

    sees: int
    channel: int  # from 1
    channels: int
    value: float  # at the point
    map: Tensor  # (h, w), the channel everywhere


class View(NamedTuple):
    """A garment, the point on it, and what each branch of a block answers there."""

    block: str
    image: Tensor  # (h, w)
    cell: tuple[int, int]  # row and column in the block's grid
    centre: tuple[int, int]  # and the middle of what is seen, in pixels of the image
    answers: dict[str, Answer]


def receptive_fields() -> dict[str, dict[str, int]]:
    """The side, in pixels, of what each branch of each block sees of a 28x28 image."""
    network, path, sides = small_googlenet(), [], {}
    for name, block in network.body.named_children():
        if name in ROWS:
            before = [network.stem, *path]
            found = [receptive_field(*before, branch).size[0] for branch in block.values()]
            sides[name] = dict(zip(BRANCHES, found, strict=True))
        path.append(block)
    return sides


@torch.no_grad()
def outputs(network: GoogLeNet, images: Tensor) -> dict[str, Tensor]:
    """What each block puts out for some images, (n, c, h, w)."""
    x, found = network.eval().stem(images), {}
    for name, part in network.body.named_children():
        x = part(x)
        if name in ROWS:
            found[name] = x.cpu()
    return found


def explorer(network: GoogLeNet, split: Split, examples: dict[str, int]) -> Explorer:
    """Choose a garment (of `examples`, image numbers by name), a block, and a point on the garment;
    the receptive field of each branch is drawn there, and its strongest channel beside."""
    device = next(network.parameters()).device
    index, names = torch.tensor(list(examples.values())), list(examples)
    found = outputs(network, split.batch(index, device)[0])
    sides = receptive_fields()

    def look(garment: str, block: str, across: int, down: int) -> View:
        n = names.index(garment)
        out = found[block][n]
        jump = SIDE // out.shape[-1]
        row, column = (min(round(v / jump), out.shape[-1] - 1) for v in (down, across))
        answers = {}
        for branch, channels in places(ROWS[block]).items():
            maps = out[channels]
            channel = int(maps[:, row, column].argmax())
            of = channel + 1, len(maps), maps[channel, row, column].item(), maps[channel]
            answers[branch] = Answer(sides[block][branch], *of)
        centre = row * jump, column * jump
        return View(block, split.images[index[n], 0], (row, column), centre, answers)

    slider = dict(min=0, max=SIDE - 1, step=2)
    controls = {
        "garment": choices(names),
        "block": choices(tuple(ROWS), description="in block"),
        "across": ipywidgets.IntSlider(14, **slider, description="pixels from the left"),
        "down": ipywidgets.IntSlider(8, **slider, description="pixels from the top"),
    }
    title = "What does each branch answer at this point?"
    return Explorer(controls, look, draw, words, title=title, size=(11, 5), moves="down")


def words(view: View) -> str:
    """A line for each branch."""
    lines = [
        f"{branch}: sees {a.sees}x{a.sees} pixels; strongest is channel {a.channel} of "
        f"{a.channels}, {a.value:.2f} at the point, at most {a.map.max():.2f}"
        for branch, a in view.answers.items()
    ]
    y, x = view.centre
    return "\n".join([f"block {view.block}, pixel {x} from the left, {y} from the top", *lines])


def draw(fig: Figure, view: View) -> None:
    """The garment with four receptive fields, and the strongest channel of each branch."""
    left, *maps = fig.subplot_mosaic(
        [["image", "1x1", "3x3"], ["image", "5x5", "pool"]], width_ratios=(2, 1, 1)
    ).values()
    left.imshow(view.image, vmin=0, vmax=255)
    y, x = view.centre
    left.plot(x, y, "+", color=COLOURS["before"], ms=16, mew=4)
    for ax, (branch, a) in zip(maps, view.answers.items(), strict=True):
        colour = COLOURS[BRANCHES[branch]]
        style = dict(fill=False, lw=3.5, color=colour, ls="--" if branch == "pool" else "-")
        left.add_patch(Rectangle((x - a.sees / 2, y - a.sees / 2), a.sees, a.sees, **style))
        ax.imshow(a.map, cmap="magma", vmin=0, vmax=max(a.map.max().item(), 1e-6))
        row, column = view.cell
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, lw=2.5, color="white"))
        ax.set_title(f"{branch}: channel {a.channel} of {a.channels}", color=colour, fontsize=12)
        ax.set(xticks=[], yticks=[])
    left.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), xticks=[], yticks=[])
    left.set_title(f"Block {view.block}: what its four branches see")
