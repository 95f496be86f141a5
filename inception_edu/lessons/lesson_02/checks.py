"""Lesson 02, the Inception block: the checks of its exercises."""

import random
from collections.abc import Callable
from functools import partial
from itertools import permutations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import numbers, whole
from inception_edu.exercises.judging import WIRING, calls, mistaken_for, other_network, same
from inception_edu.googlenet import TABLE_1, Inception, Row
from inception_edu.lessons.lesson_02.joining import judge_branches

KERNELS = {"branch1x1": 1, "branch3x3": 3, "branch5x5": 5, "branch_pool": 3}
BUDGET = 150_000_000


def check_padding(k: int, pool: bool) -> Callable[[object], str | None]:
    """The check of the padding of a k x k convolution or max pool that is to keep h and w."""

    def check(answer: object) -> str | None:
        sides = set(numbers(answer, 2) or ())
        padding = whole(sides.pop() if len(sides) == 1 else answer)  # (1, 1) says 1, too
        if isinstance(answer, str) and answer in ("same", "valid"):
            return f"give the padding in pixels a side, as a number, instead of {answer!r}"
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


# Exercise 2: the Inception block


class Block(nn.Module):
    """The Inception block by functions of torch, right unless a mistake is asked for."""

    def __init__(
        self,
        c_in: int,
        row: Row,
        norm: bool = True,
        k5: int = 5,
        *,
        between: bool = True,
        after: bool = True,
        project_first: bool = False,
        pool: Callable[..., Tensor] = max_pool2d,
        order: tuple[int, ...] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        self.between, self.after, self.pool, self.order = between, after, pool, order
        self.project_first = project_first
        widths = [(c_in, row.n1x1, 1), (c_in, row.n3x3_reduce, 1), (row.n3x3_reduce, row.n3x3, 3)]
        widths += [(c_in, row.n5x5_reduce, 1), (row.n5x5_reduce, row.n5x5, k5)]
        widths += [(c_in, row.pool_proj, 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, k, padding=k // 2, bias=not norm) for i, o, k in widths
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(o) if norm else nn.Identity() for _, o, _ in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        def layer(i: int, x: Tensor, relu: bool) -> Tensor:
            x = self.norms[i](self.convs[i](x))
            return x.relu() if relu else x

        three, five = (layer(i, x, self.between) for i in (1, 3))
        pooled = x if self.project_first else self.pool(x, 3, 1, 1)
        last = [(0, x), (2, three), (4, five), (5, pooled)]
        parts = [layer(i, x, self.after) for i, x in last]
        if self.project_first:
            parts[3] = self.pool(parts[3], 3, 1, 1)
        return torch.cat([parts[i] for i in self.order], dim=1)


MISTAKES = {  # what is said of each: how the block above makes it
    "a ReLU is missing between a reduce and its kernel": dict(between=False),
    "the ReLU after each branch is missing": dict(after=False),
    "there is no ReLU at all": dict(between=False, after=False),
    "the pool projection stands before the pool; it belongs behind it": dict(project_first=True),
    "the pool takes means; [G] takes a max pool": dict(pool=avg_pool2d),
    "the max pool is missing before the pool projection": dict(pool=lambda x, *window: x),
}
ORDERS = [order for order in permutations(range(4)) if order != (0, 1, 2, 3)]


def check_inception(build: Callable[..., nn.Module]) -> str | None:
    """`build(c_in, row, norm, k5)` is the Inception block of a row of [G] Table 1."""
    if calls(lambda: build(8, TABLE_1["3a"].scaled(1 / 8)), Inception.__init__):
        return "it calls the package's block: write it yourself"
    draw = random.Random(0)
    for norm, k5 in ((True, 5), (False, 5), (True, 3), (False, 7)):
        widths = draw.sample(range(3, 30), 6)
        row = TABLE_1["3a"]._replace(**dict(zip(Row._fields[5:11], widths, strict=True)))
        c_in, h = draw.randint(31, 40), draw.randint(5, 8)
        given, shape = dict(norm=norm, k5=k5), (2, c_in, h, draw.randint(9, 12))
        block = build(c_in, row, **given)
        told = f"norm={norm}, k5={k5}"
        if isinstance(out := run(block, shape), str):
            return out
        norms = sum(isinstance(layer, _BatchNorm) for layer in block.modules())
        if norms and not norm:
            return f"with norm=False it still has {norms} batch norms: hand norm to every conv"
        right = partial(Block, c_in, row, **given)
        if why := other_network(block, right, shape):
            named = why_not(block, right, shape) if why == WIRING else None
            return f"with {told} {named or why}"
        if why := other_training(block, right(), shape):
            return f"with {told} {why}"
    return None


def why_not(block: nn.Module, right: Callable[..., nn.Module], shape: tuple) -> str | None:
    """The mistake that makes a block what it is, if it is one of the common ones."""
    wrong = {why: partial(right, **how) for why, how in MISTAKES.items()}
    if why := mistaken_for(block, wrong, shape):
        return why
    joined = {order: partial(right, order=order) for order in ORDERS}
    if order := mistaken_for(block, joined, shape):
        names = ", ".join(("1x1", "3x3", "5x5", "pool")[i] for i in order)
        return f"the branches are joined as {names}; [G] joins 1x1, 3x3, 5x5, pool"
    return None


def other_training(block: nn.Module, right: nn.Module, shape: tuple) -> str | None:
    """How a block with equal weights differs while it trains: no dropout, norms of this batch."""
    x = torch.randn(shape)
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    if len(norms) != sum(isinstance(m, _BatchNorm) for m in right.modules()):
        return f"it holds {len(norms)} batch norms, expected one after each of six convolutions"
    if not same(block.train()(x), block.train()(x)):
        return "it puts out something else each time while it trains: the block has no dropout"
    return None


def run(block: nn.Module, shape: tuple[int, int, int, int]) -> Tensor | str:
    """What a block makes of a random image; a sentence if it is no block that keeps h and w."""
    if not isinstance(block, nn.Module):
        return f"return an nn.Module, got {str(block)[:60]!r}"
    try:
        out = block.float().eval()(torch.randn(shape))
    except (ValueError, RuntimeError) as error:
        said = str(error).rstrip(".")
        if "Sizes of tensors must match except in dimension" in said and "dimension 1" not in said:
            return f"{said}; channels are dimension 1, so join with dim=1"
        if "branches can be joined" in said or "Sizes of tensors must match" in said:
            return f"{said}; a k x k layer at stride 1 keeps h and w with padding (k - 1) / 2"
        raise
    if not isinstance(out, Tensor):
        return f"its forward must return a tensor, got {str(out)[:60]!r}"
    if out.shape[2:] != shape[2:] or out.shape[0] != shape[0]:
        return f"an input of shape {shape} becomes {tuple(out.shape)}, expected the same h and w"
    return out


# Exercise 3: a fifth branch


def check_five_branches(build: Callable[[int, Row], nn.Module]) -> str | None:
    """`build(c_in, row)` joins at least five branches, keeps h and w, stays within BUDGET."""
    draw, rows = random.Random(0), [TABLE_1["3a"], TABLE_1["4c"].scaled(1 / 8)]
    for row, c_in in zip([*rows, TABLE_1["5b"].scaled(1 / 16)], (192, 12, 25), strict=True):
        block, shape = build(c_in, row), (2, c_in, draw.randint(7, 9), draw.randint(10, 12))
        if isinstance(out := run(block, shape), str):
            return out
        x = torch.randn(shape, requires_grad=True)
        branches, idle = judge_branches(block, x)
        if branches - len(idle) < 5:
            told = f"expected at least five branches joined on the channel axis, got {branches}"
            at_work = f", {branches - len(idle)} of them at work" if idle else ""
            return "; ".join([told + at_work, *idle[:2]])
    block = build(192, TABLE_1["3a"])
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        block(torch.zeros(1, 192, 28, 28))
    if (macs := flops.get_total_flops() // 2) > BUDGET:
        return f"on 192 x 28 x 28 it costs {macs:,} MACs, above {BUDGET:,}: reduce first"
    return None


PADDINGS = {name: check_padding(k, name == "branch_pool") for name, k in KERNELS.items()}
exercise_1 = Exercise("1", PADDINGS)
exercise_2 = Exercise("2", check_inception, lesson="02", keep="Inception", ours=Inception)
exercise_3 = Exercise("3", check_five_branches)
