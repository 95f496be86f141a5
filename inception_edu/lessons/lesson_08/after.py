"""Lesson 08: what came after v3: the residual sum at depth, branches for every channel, and what
several crops of a photo and several networks buy."""

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transform

from inception_edu.cost import text_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import Concat, chain, classifier, conv, stack
from inception_edu.lessons.studies import accuracies, best_rates, made_by, mean_std, paired
from inception_edu.predict import PHOTOS, shipped, shipped_photo

CHANNELS, SIDE, SEEDS = 16, 14, 3
DEPTHS = (2, 4, 8, 16, 32)
COLOUR = {
    "plain": COLOURS["before"],
    "plain, batch norm": COLOURS["ink"],
    "residual": COLOURS["after"],
}
Blocks = dict[str, Callable[[int], nn.Module]]  # kind -> what makes a block of so many channels


def branches(c: int, *, norm: bool = False) -> Concat:
    """A small Inception block: (n, c, h, w) -> (n, c, h, w)."""
    half = c // 2
    return Concat(
        branch1x1=conv(c, half, 1, norm=norm),
        branch3x3=stack(c, (half // 2, 1), (half, 3), norm=norm),
    )


class Residual(nn.Module):
    """relu(x + scale mix(block(x))): a block whose output is added to what enters it, behind a 1x1
    without ReLU that makes the channels fit ([V4] section 3.2, scale 0.1 to 0.3)."""

    def __init__(self, block: nn.Module, c: int, scale: float = 0.2) -> None:
        super().__init__()
        self.block, self.mix, self.scale = block, nn.Conv2d(c, c, 1), scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.scale * self.mix(self.block(x)))


def residual(c: int, *, norm: bool = False) -> Residual:
    """The small Inception block with the sum around it."""
    return Residual(branches(c, norm=norm), c)


BLOCKS: Blocks = {"plain": branches, "residual": residual}
BLOCKS |= {f"{kind}, batch norm": partial(make, norm=True) for kind, make in BLOCKS.items()}


def stacked(kind: str, depth: int) -> nn.Sequential:
    """So many blocks of a kind one after the other, for Fashion-MNIST."""
    blocks = nn.Sequential(*(BLOCKS[kind](CHANNELS) for _ in range(depth)))
    stem = chain(conv=conv(1, CHANNELS, 3, 2, norm=False))
    return chain(stem=stem, body=blocks, head=classifier(CHANNELS, 10))


def kept(block: Callable[[int], nn.Module], depth: int, seed: int) -> float:
    """The first block's gradient as a fraction of the last one's, in a new stack of blocks."""
    torch.manual_seed(seed)
    body = nn.Sequential(*(block(CHANNELS) for _ in range(depth)))
    body(torch.randn(8, CHANNELS, SIDE, SIDE)).square().mean().backward()
    first, last = (
        torch.cat([p.grad.flatten() for p in body[i].parameters() if p.ndim == 4]).norm().item()
        for i in (0, -1)
    )
    return first / last


def fading(blocks: Blocks) -> dict[str, dict[int, float]]:
    """Of each kind of block, the median over the seeds of what is kept, at every depth."""
    with torch.random.fork_rng([]):
        return {
            kind: {n: statistics.median(kept(make, n, s) for s in range(SEEDS)) for n in DEPTHS}
            for kind, make in blocks.items()
        }


def show_fading(found: dict[str, dict[int, float]]) -> Picture:
    """How much of the last block's gradient reaches the first one, at every depth."""
    return Picture(_draw_fading, found, _words_fading, size=(8.5, 4))


def _words_fading(found: dict[str, dict[int, float]]) -> str:
    rows = [("blocks", *map(str, DEPTHS))]
    rows += [(kind, *(f"{v:.0e}" for v in kept.values())) for kind, kept in found.items()]
    return f"{text_table(rows)}\nfirst block's gradient / last block's, medians of {SEEDS} seeds"


def _draw_fading(fig: Figure, found: dict[str, dict[int, float]]) -> None:
    ax = fig.add_subplot()
    for kind, kept in found.items():
        style = dict(lw=3, marker="o", ms=8, color=COLOUR[kind])
        ax.plot(list(kept), list(kept.values()), label=kind, **style)
    ax.set(xscale="log", yscale="log", xlabel="blocks one after the other")
    ax.set(ylabel="first block's gradient\n/ last block's", xticks=DEPTHS, xticklabels=DEPTHS)
    ax.minorticks_off()
    plain, residual = (found[kind][DEPTHS[-1]] for kind in ("plain", "residual"))
    kept = f"{DEPTHS[-1]} plain blocks leave {plain:.0e} of the gradient"
    ax.set_title(f"{kept}, with the sum {residual:.1g}")
    ax.legend(frameon=False)


def trained(study: dict) -> Table:
    """Stacks with and without the sum, each at its best rate on validation images: test accuracy,
    and what the sum adds, paired by seed."""
    best = best_rates(study)
    rows = [("blocks", "plain, %", "residual, %", "difference, 95 % interval", "verdict")]
    for depth in dict.fromkeys(name.removeprefix("plain, ") for name in best if "plain" in name):
        names = (f"{kind}, {depth}" for kind in ("plain", "residual"))
        plain, summed = (accuracies(study, f"{name}, lr {best[name]:g}") for name in names)
        change = paired(summed, plain)
        cells = mean_std(plain), mean_std(summed), str(change), change.verdict
        rows.append((depth, *cells))
    caption = f"Fashion-MNIST; n = {len(plain)} seeds; {made_by(study)}"
    return Table(rows, caption=caption)


# Several views of a photo

CROPS = {  # what [G] and [V3] report: network, models, crops -> top-1 and top-5 error in percent
    ("GoogLeNet", 1, 1): ("", "10.07", "[G] Table 3"),
    ("GoogLeNet", 1, 144): ("", "7.89", "[G] Table 3"),
    ("GoogLeNet", 7, 1): ("", "8.09", "[G] Table 3"),
    ("GoogLeNet", 7, 144): ("", "6.67", "[G] Tables 2 and 3"),
    ("Inception v3", 1, 1): ("21.2", "5.6", "[V3] Table 3"),
    ("Inception v3", 1, 12): ("19.47", "4.48", "[V3] Table 4"),
    ("Inception v3", 1, 144): ("18.77", "4.2", "[V3] Table 4"),
    ("Inception v3", 4, 144): ("17.2", "3.58", "[V3] Table 5, top-5 on test images"),
}


def what_crops_buy() -> Table:
    """The papers' errors with more crops and more networks, and passes through a network for each
    photo."""
    rows = [("network", "networks", "crops", "passes", "top-1 error", "top-5 error", "source")]
    for (network, models, crops), (top1, top5, source) in CROPS.items():
        rows.append((network, models, crops, models * crops, top1, top5, source))
    return Table(rows)


@torch.no_grad()
def views(name: str) -> Tensor:
    """The shipped network's probabilities for one of its photos: of the middle as it is, and of
    ten views, five places of a slightly larger photo and their mirror images (11, classes)."""
    asked = replace(shipped(), size=64, resize=64)
    photo = shipped_photo(name).convert("RGB")
    larger = replace(asked, resize=76)
    square = larger.cut(photo, 76 / 64).resize((76, 76))
    parts = transform.ten_crop(square, [64, 64])
    return torch.stack([asked.probabilities(part) for part in (photo, *parts)])


def ask_again() -> Table:
    """One view and the mean of ten, for every photo."""
    classes, rows = shipped().classes, [("photo", "one view", "mean of ten", "the ten, apart")]
    for name in PHOTOS:
        one, *ten = views(name)
        mean = torch.stack(ten).mean(0)
        best = mean.argmax()
        spread = 100 * torch.stack(ten)[:, best].std()
        cells = (f"{classes[p.argmax()]} {p.max():.0%}" for p in (one, mean))
        rows.append((name, *cells, f"± {spread:.0f} points"))
    return Table(rows, left=3)
