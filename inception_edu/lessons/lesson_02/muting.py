"""Lesson 02: what a trained network loses when one branch of its blocks puts out nothing.

A block's branches are found by their channels in its output, in the order 1x1, 3x3, 5x5, pool, so
a block of one's own needs no names for them.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import COLOURS
from inception_edu.googlenet import TABLE_1, GoogLeNet, Row
from inception_edu.widgets import Explorer, choices

BRANCHES = {"1x1": "branch1x1", "3x3": "branch3x3", "5x5": "branch5x5", "pool": "branch_pool"}
WIDTH = 1 / 8  # of the network that the lesson trains
ROWS = {name: row.scaled(WIDTH) for name, row in TABLE_1.items() if row.type == "inception"}
Cut = tuple[nn.Module, slice]  # a block and a branch's channels in its output
Muted = dict[tuple[str, str], Tensor]  # (branch, block) -> confusion matrix


def places(row: Row) -> dict[str, slice]:
    """Each branch's channels in the output of a block with a row's widths."""
    widths = dict(zip(BRANCHES, (row.n1x1, row.n3x3, row.n5x5, row.pool_proj), strict=True))
    ends = torch.tensor(list(widths.values())).cumsum(0).tolist()
    return {name: slice(end - widths[name], end) for name, end in zip(widths, ends, strict=True)}


def mute(layers: nn.Module, x: Tensor, cuts: list[Cut]) -> Tensor:
    """What `layers(x)` is when these channels of these blocks are 0."""

    def silence(channels):
        def hook(block, inputs, output):
            output = output.clone()
            output[:, channels] = 0
            return output

        return hook

    hooks = [block.register_forward_hook(silence(channels)) for block, channels in cuts]
    try:
        return layers(x)
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def mute_all(network: GoogLeNet, split: Split, *, n: int = 1000) -> Muted:
    """Each branch muted in each block and in all nine, on the first n images of a split."""
    network.eval()
    images, labels = split.batch(slice(n), next(network.parameters()).device)
    x, layers, muted = network.stem(images), [*network.body, network.head], {}
    for branch in BRANCHES:
        cuts = [(network.body.get_submodule(b), places(row)[branch]) for b, row in ROWS.items()]
        muted[branch, "all"] = confusion(mute(nn.Sequential(*layers), x, cuts), labels)
    for i, (name, block) in enumerate(network.body.named_children()):
        rest = nn.Sequential(*layers[i:])  # what comes before this block is as it was
        for branch, channels in places(ROWS[name]).items() if name in ROWS else ():
            muted[branch, name] = confusion(mute(rest, x, [(block, channels)]), labels)
        x = block(x)
    return muted | {("none", "all"): confusion(network.head(x), labels)}


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Images counted by true class (rows) and predicted class (columns), on the CPU."""
    classes = logits.shape[1]
    pairs = (classes * labels + logits.argmax(1)).bincount(minlength=classes**2)
    return pairs.view(classes, classes).cpu()


def accuracy(confusion: Tensor) -> float:
    """The fraction of images on the diagonal."""
    return (confusion.trace() / confusion.sum()).item()


def left(muted: Muted, block: str) -> dict[str, float]:
    """Accuracy by branch, where that branch is muted in this block."""
    return {branch: accuracy(muted[branch, block]) for branch in BRANCHES}


def fractions(block: str) -> dict[str, float]:
    """The fraction of a block's channels that each branch makes; of "all", of all nine blocks."""
    rows = ROWS.values() if block == "all" else [ROWS[block]]
    total = sum(row.c_out for row in rows)
    sizes = {b: sum(places(r)[b].stop - places(r)[b].start for r in rows) for b in BRANCHES}
    return {branch: size / total for branch, size in sizes.items()}


class Choice(NamedTuple):
    """What the explorer shows: accuracy by muted branch, and the chosen one's confusion matrix."""

    branch: str
    block: str
    left: dict[str, float]
    whole: float
    table: Tensor
    classes: tuple[str, ...]


def mute_explorer(muted: Muted, classes: tuple[str, ...]) -> Explorer:
    """Choose a branch and a block to mute; accuracy and confusion matrix are looked up."""

    def look_up(branch: str, block: str) -> Choice:
        whole = muted["none", "all"]
        table = muted.get((branch, block), whole)
        return Choice(branch, block, left(muted, block), accuracy(whole), table, classes)

    controls = {
        "branch": choices(("none", *BRANCHES), description="mute branch"),
        "block": choices(("all", *ROWS), description="in block"),
    }
    title = "Which branch can the network do without?"
    return Explorer(controls, look_up, _draw, _words, title=title, size=(11, 4.6), tells=False)


def _words(choice: Choice) -> str:
    lines = [f"every branch at work {choice.whole:6.1%}", f"muted in {choice.block}:"]
    wide = fractions(choice.block)
    lines += [
        f"  {name:<5} {found:6.1%}, {wide[name]:.0%} of the channels"
        for name, found in choice.left.items()
    ]
    return "\n".join([*lines, f"muted {choice.branch}: {accuracy(choice.table):.1%}"])


def _draw(fig: Figure, choice: Choice) -> None:
    bars, table = fig.subplots(1, 2, width_ratios=(1, 1.15))
    wide = fractions(choice.block)
    labels = [f"{name}\n{wide[name]:.0%} of channels" for name in BRANCHES]
    for y, (name, found) in enumerate(choice.left.items()):
        alpha = 1 if choice.branch in (name, "none") else 0.3
        bars.barh(y, 100 * found, color=COLOURS[BRANCHES[name]], alpha=alpha)
        bars.text(100 * found + 1, y, f"{100 * found:.0f}", va="center", weight="bold")
    bars.axvline(100 * choice.whole, color=COLOURS["ink"], ls="--", lw=2)
    bars.set_yticks(range(len(labels)), labels)
    bars.set(xlim=(0, 112), xticks=range(0, 101, 25), xlabel="accuracy with it muted, %")
    where = "all nine blocks" if choice.block == "all" else f"block {choice.block}"
    bars.set_title(f"Muted in {where}; dashed: none")
    bars.invert_yaxis()
    classes = range(len(choice.classes))
    table.imshow(choice.table, cmap="Blues", vmin=0, vmax=100)
    table.set_yticks(classes, choice.classes)
    table.set_xticks(classes, choice.classes, rotation=90)
    table.set(xlabel="taken for", ylabel="true class")
    table.set_title(f"Muted {choice.branch}: {accuracy(choice.table):.0%}")
