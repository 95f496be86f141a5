"""Any block drawn from the network itself: branches side by side, with their shapes and costs.

What is drawn is the graph of calls that torch.fx finds, so a block of one's own, made of
nn.Module, torch.cat and functional calls, looks like the package's Sequential and Concat.
"""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import nn

from inception_edu.checks import check_kind
from inception_edu.figures.graph import BEND, BOX, GAP, Drawing, laid_out
from inception_edu.figures.picture import Picture
from inception_edu.figures.style import COLOURS

KEY = "In a box: kernel, channels that it puts out, multiply-adds."


def diagram(blocks: Mapping[str, nn.Module], shape: tuple[int, int, int]) -> Picture:
    """Blocks below each other, by their titles, as they take an image of a shape (c, h, w).

    Raises ValueError, with the reason, for one whose calls depend on what it computes.
    """
    wanted = 'blocks by their titles, as {"3a": block}'
    check_kind("blocks", blocks, hasattr(blocks, "items"), wanted)
    drawings = {title: laid_out(title, block, shape) for title, block in blocks.items()}
    rows = sum(drawing.rows for drawing in drawings.values())
    size = (11, 0.66 * rows + 0.5 * len(blocks) + 0.3)
    return Picture(_draw, (drawings, shape), _words, size=size)


def _draw(fig: Figure, data: tuple[dict[str, Drawing], tuple[int, ...]]) -> None:
    drawings, shape = data
    heights = [drawing.rows for drawing in drawings.values()]
    axes = fig.subplots(len(drawings), 1, squeeze=False, height_ratios=heights)[:, 0]
    longest = max(part.end for one in drawings.values() for part in one.parts.values())
    for ax, (title, drawing) in zip(axes, drawings.items(), strict=True):
        _draw_one(ax, drawing, shape)
        half = drawing.rows / 2
        ax.set(xlim=(-1.6, max(longest + 2.2, 8)), ylim=(-half, half))
        ax.set_title(f"{title}: {drawing.params:,} parameters, {_short(drawing.macs)} MACs")
        ax.axis("off")
    fig.supxlabel(KEY, fontsize=11, color=COLOURS["ink"])


def _draw_one(ax: Axes, drawing: Drawing, shape: tuple[int, ...]) -> None:
    ink = dict(color=COLOURS["muted"], lw=1.8, zorder=0, solid_capstyle="round")
    for part in set(drawing.parts.values()):
        for start in (drawing.parts[before] for before in part.before):
            x, y = [start.end, part.x], [start.y, part.y]
            if start.y != part.y:  # slanted where branches part, and where they meet
                bend = start.end + BEND if part.text else part.x - BEND
                x, y = (
                    [start.end, bend, part.x],
                    [start.y, part.y if part.text else start.y, part.y],
                )
            ax.plot(x, y, **ink)
        if part.text:
            how = dict(
                boxstyle="round,pad=0,rounding_size=0.08", fc="white", ec=part.colour, lw=2.5
            )
            ax.add_patch(FancyBboxPatch((part.x, part.y - 0.38), BOX, 0.76, **how))
            cost = f"\n{_short(part.macs)}" if part.macs else ""
            how = dict(ha="center", va="center", fontsize=11.5)
            ax.text(part.x + BOX / 2, part.y, part.text + cost, **how)
    end = max(drawing.parts.values(), key=lambda part: part.end)
    ax.plot([end.end, end.end + GAP], [end.y, end.y], **ink)
    ax.text(-0.1, 0, _shape(shape), ha="right", va="center")
    ax.text(end.end + GAP + 0.1, end.y, _shape(drawing.output), ha="left", va="center")


def _shape(shape: tuple[int, ...]) -> str:
    """A shape (c, h, w) as one writes it, height and width first."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def _short(count: int) -> str:
    return f"{count / 1e6:,.1f} M" if count >= 1e5 else f"{count:,}"


def _words(data: tuple[dict[str, Drawing], tuple[int, ...]]) -> str:
    """A line for each block."""
    drawings, shape = data
    return "\n".join(
        f"{title}: {_shape(shape)} -> {_shape(one.output)}, {one.params:,} parameters, "
        f"{one.macs:,} MACs"
        for title, one in drawings.items()
    )
