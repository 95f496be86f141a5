"""Lesson 02: what a trained network loses when one branch of its blocks puts out nothing."""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import COLOURS
from inception_edu.googlenet import TABLE_1, GoogLeNet
from inception_edu.layers import Concat
from inception_edu.widgets import Explorer, choices

BRANCHES = ("branch1x1", "branch3x3", "branch5x5", "branch_pool")
NAMES = dict(zip(("1x1", "3x3", "5x5", "pool"), BRANCHES, strict=True))
BLOCKS = tuple(name for name, row in TABLE_1.items() if row.type == "inception")
Muted = dict[tuple[str, str], Tensor]  # (branch, block) -> confusion matrix


def mute(layers: nn.Module, x: Tensor, branches: list[nn.Module]) -> Tensor:
    """What `layers(x)` is when these branches inside put out 0."""

    def silence(module, inputs, output):
        return torch.zeros_like(output)

    hooks = [branch.register_forward_hook(silence) for branch in branches]
    try:
        return layers(x)
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def mute_all(network: GoogLeNet, split: Split, *, n: int = 1000) -> Muted:
    """Each branch muted in each block and in all nine, on the first n images of a split."""
    network.eval()
    device = next(network.parameters()).device
    images, labels = split.batch(slice(n), device)
    x, layers, muted = network.stem(images), [*network.body, network.head], {}
    blocks = [block for block in network.body if isinstance(block, Concat)]
    for branch in BRANCHES:
        everywhere = [block[branch] for block in blocks]
        muted[branch, "all"] = confusion(mute(nn.Sequential(*layers), x, everywhere), labels)
    for i, (name, block) in enumerate(network.body.named_children()):
        rest = nn.Sequential(*layers[i:])  # what comes before this block is as it was
        for branch in BRANCHES if isinstance(block, Concat) else ():
            muted[branch, name] = confusion(mute(rest, x, [block[branch]]), labels)
        x = block(x)
    return muted | {("none", "all"): confusion(network.head(x), labels)}


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Images counted by true class (rows) and predicted class (columns), on the CPU."""
    classes = logits.shape[1]
    pairs = (classes * labels + logits.argmax(1)).bincount(minlength=classes**2)
    return pairs.view(classes, classes).cpu()


def accuracy(confusion: Tensor) -> float:
    """The share of images on the diagonal."""
    return (confusion.trace() / confusion.sum()).item()


def left(muted: Muted, block: str) -> dict[str, float]:
    """Accuracy by branch, where that branch is muted in this block."""
    return {branch: accuracy(muted[branch, block]) for branch in BRANCHES}


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
        "branch": choices([("none", "none"), *NAMES.items()], description="mute branch"),
        "block": choices(("all", *BLOCKS), description="in block"),
    }
    title = "Which branch can the network do without?"
    return Explorer(controls, look_up, _draw, _words, title=title, size=(9, 4))


def _words(choice: Choice) -> str:
    lines = [f"every branch at work {choice.whole:6.1%}", f"muted in {choice.block}:"]
    lines += [f"  {name:<18} {share:6.1%}" for name, share in choice.left.items()]
    wrong = choice.table.clone().fill_diagonal_(0)
    true, predicted = divmod(int(wrong.argmax()), len(wrong))
    names, n = choice.classes, int(wrong.max())
    mistake = f"{names[true]} taken for {names[predicted]}, {n} images"
    return "\n".join([*lines, f"muted {choice.branch}, commonest mistake: {mistake}"])


def _draw(fig: Figure, choice: Choice) -> None:
    bars, table = fig.subplots(1, 2, width_ratios=(1, 1.1))
    for name, share in choice.left.items():
        alpha = 1 if choice.branch in (name, "none") else 0.3
        bars.barh(name, 100 * share, color=COLOURS[name], alpha=alpha)
        bars.text(95, name, f" {100 * share:.0f}", va="center", weight="bold")
    whole = f"all at work: {choice.whole:.0%}"
    bars.axvline(100 * choice.whole, color=COLOURS["ink"], ls="--", lw=2, label=whole)
    worst = min(choice.left, key=choice.left.get)
    title = f"{choice.block}: {choice.left[worst]:.0%} without {worst}"
    bars.set(xlim=(0, 112), xlabel="accuracy without it, %", title=title)
    fig.legend(loc="outside lower left", frameon=False)
    bars.invert_yaxis()
    title = f"Muted {choice.branch}: {accuracy(choice.table):.0%}"
    table.imshow(choice.table, cmap="Blues", vmin=0, vmax=100)
    table.set_yticks(range(len(choice.classes)), choice.classes)
    table.set(xlabel="taken for (same order)", ylabel="true class", xticks=[], title=title)
