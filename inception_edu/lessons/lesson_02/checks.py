"""Lesson 02, the Inception block: the checks of its exercises."""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import numbers, whole
from inception_edu.exercises.judging import calls, other_network, same
from inception_edu.lessons.lesson_02.joining import judge_branches
from inception_edu.lessons.shared import average_pool_block

KERNELS = {"branch1x1": 1, "branch3x3": 3, "branch5x5": 5, "branch_pool": 3}
BUDGET = 150_000_000


# Exercise 1: paddings


def check_padding(k: int, pool: bool) -> Callable[[object], str | None]:
    """The check of the padding of a k x k convolution or max pool that is to keep h and w."""

    def check(answer: object) -> str | None:
        sides = set(numbers(answer, 2) or ())
        padding = whole(sides.pop() if len(sides) == 1 else answer)  # (1, 1) says 1, too
        if padding is None or padding < 0:
            return f"a padding is a whole number of pixels, from 0, got {str(answer)[:40]!r}"
        if pool and padding > k // 2:
            return f"a max pool takes at most half its window of {k}, so {k // 2}, got {padding}"
        more = 2 * padding - (k - 1)
        if more == 0:
            return None
        kind = "max pool" if pool else "convolution"
        said = f"this {k}x{k} {kind} turns 28 x 20 pixels into {28 + more} x {20 + more}"
        return f"with padding {padding} {said}"

    return check


# Exercise 2: the course network's block


class Block(nn.Module):
    """The course network's block in plain torch; `inner` puts a ReLU between two convolutions,
    `outer` one behind the last."""

    def __init__(self, c_in: int, *, inner: bool = False, outer: bool = False) -> None:
        super().__init__()
        between = [nn.ReLU()] if inner else []
        self.pool, self.one = nn.Conv2d(c_in, 24, 1), nn.Conv2d(c_in, 16, 1)
        self.five = nn.Sequential(nn.Conv2d(c_in, 16, 1), *between, nn.Conv2d(16, 24, 5, padding=2))
        self.three = nn.Sequential(
            nn.Conv2d(c_in, 16, 1),
            *between,
            nn.Conv2d(16, 24, 3, padding=1),
            *between,
            nn.Conv2d(24, 24, 3, padding=1),
        )
        self.last = nn.ReLU() if outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
        parts = self.pool(pooled), self.one(x), self.five(x), self.three(x)
        return self.last(torch.cat(parts, dim=1))


ACTIVATIONS = (  # as the original has it, and repaired in two ways
    dict(inner=False, outer=False),
    dict(inner=True, outer=True),
    dict(inner=True, outer=False),
)


def check_average_pool_block(build: Callable[[int], nn.Module]) -> str | None:
    """`build(c_in)` is the course network's block: four branches, 88 channels."""
    if calls(lambda: build(10), average_pool_block):
        return "it calls the package's block: write it yourself"
    draw = random.Random(0)
    for c_in in (10, 20, draw.randint(21, 40)):
        shape = (2, c_in, draw.randint(6, 9), draw.randint(10, 12))
        block = build(c_in)
        if isinstance(out := run(block, shape), str):
            return out
        if out.shape[1] != sum(WIDTHS):
            return f"it puts out {out.shape[1]} channels, expected 24 + 16 + 24 + 24 = 88"
        if norms := [m for m in block.modules() if isinstance(m, _BatchNorm)]:
            return f"it holds {type(norms[0]).__name__}: the original has biases and no batch norm"
        said = [
            other_network(block, lambda c=c_in, r=relus: Block(c, **r), shape, channels=WIDTHS)
            for relus in ACTIVATIONS
        ]
        if all(said):  # where outputs agree with one of the three, its gradients are spoken of
            return next((why for why in said if "outputs are right" in why), said[0])
        x = torch.randn(shape)
        if not same(block.train()(x), block.eval()(x)):
            return "it puts out something else while it trains: the original has no dropout"
    return None


WIDTHS = 24, 16, 24, 24


def run(block: nn.Module, shape: tuple[int, int, int, int]) -> Tensor | str:
    """What a block makes of a random image; a sentence if it is no block that keeps h and w."""
    if not isinstance(block, nn.Module):
        return f"return an nn.Module, got {str(block)[:60]!r}"
    try:
        out = block.eval()(torch.randn(shape))
    except (ValueError, RuntimeError) as error:
        if "branches can be joined" in str(error) or "Sizes of tensors must match" in str(error):
            return f"{error}. A k x k layer at stride 1 keeps h and w with padding (k - 1) / 2"
        raise
    if not isinstance(out, Tensor):
        return f"its forward must return a tensor, got {str(out)[:60]!r}"
    if out.shape[2:] != shape[2:] or out.shape[0] != shape[0]:
        return f"an input of shape {shape} becomes {tuple(out.shape)}, expected the same h and w"
    return out


# Exercise 3: a fifth branch


def check_five_branches(build: Callable[[int], nn.Module]) -> str | None:
    """`build(c_in)` joins at least five branches, keeps h and w, and stays within BUDGET."""
    draw = random.Random(0)
    for c_in in (192, draw.randint(8, 15), draw.randint(16, 32)):
        block, shape = build(c_in), (2, c_in, draw.randint(7, 9), draw.randint(10, 12))
        if isinstance(out := run(block, shape), str):
            return out
        x = torch.randn(shape, requires_grad=True)
        branches, idle = judge_branches(block, x)
        if branches - len(idle) < 5:
            told = f"expected at least five branches joined on the channel axis, got {branches}"
            at_work = f", {branches - len(idle)} of them at work" if idle else ""
            return "; ".join([told + at_work, *idle[:2]])
    block = build(192)
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        block(torch.zeros(1, 192, 28, 28))
    if (macs := flops.get_total_flops() // 2) > BUDGET:
        return f"on 192 x 28 x 28 it costs {macs:,} MACs, above {BUDGET:,}: reduce first"
    return None


PADDINGS = {name: check_padding(k, name == "branch_pool") for name, k in KERNELS.items()}
exercise_1 = Exercise("1", PADDINGS)
exercise_2 = Exercise(
    "2",
    check_average_pool_block,
    lesson="02",
    keep="AveragePoolBlock",
    ours=average_pool_block,
)
exercise_3 = Exercise("3", check_five_branches)
