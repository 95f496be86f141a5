"""Lesson 02, the Inception block: the checks of its exercises."""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from inception_edu.cost import layer_table
from inception_edu.exercises import Exercise
from inception_edu.layers import Concat, pair

KERNELS = {"branch1x1": 1, "branch3x3": 3, "branch5x5": 5, "branch_pool": 3}
BUDGET = 150_000_000


def run(block: Concat, c_in: int, h: int, w: int) -> Tensor | str:
    """The block's output for a random image; a sentence if it cannot join or changes h and w."""
    try:
        out = block.eval()(torch.randn(1, c_in, h, w))
    except ValueError as error:
        return f"{error}. A k x k layer at stride 1 keeps h and w with padding (k - 1) / 2"
    if tuple(out.shape[2:]) != (h, w):
        seen, kept = tuple(out.shape[2:]), (h, w)
        return f"the branches join, but the image goes from {kept} to {seen}; nine blocks follow"
    return out


def check_paddings(paddings: dict[str, int]) -> str | None:
    """One padding for each branch of the naive block."""
    if not isinstance(paddings, dict) or set(paddings) != set(KERNELS):
        return f"give a dict with the keys {', '.join(KERNELS)}, got {paddings!r}"
    layers = {
        name: nn.MaxPool2d(k, 1, padding=paddings[name])
        if name == "branch_pool"
        else nn.Conv2d(8, 4, k, padding=paddings[name])
        for name, k in KERNELS.items()
    }
    out = run(Concat(**layers), 8, random.randint(8, 12), random.randint(8, 12))
    return out if isinstance(out, str) else None


def plain_count(c_in: int) -> int:
    """Weights and biases of the course network's block, from plain PyTorch layers."""
    pool, one = nn.Conv2d(c_in, 24, 1), nn.Conv2d(c_in, 16, 1)
    five = nn.Conv2d(c_in, 16, 1), nn.Conv2d(16, 24, 5)
    three = nn.Conv2d(c_in, 16, 1), nn.Conv2d(16, 24, 3), nn.Conv2d(24, 24, 3)
    return count(nn.ModuleList([pool, one, *five, *three]))


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def check_average_pool_block(build: Callable[[int], Concat]) -> str | None:
    """`build(c_in)` is the course network's block: four branches, 88 channels."""
    for c_in in (10, random.randint(11, 40)):
        block = build(c_in)
        if not isinstance(block, Concat):
            return f"return a Concat of four branches, got {type(block).__name__}"
        out = run(block, c_in, random.randint(6, 12), random.randint(6, 12))
        if isinstance(out, str):
            return out
        widths = [branch(torch.randn(1, c_in, 8, 8)).shape[1] for branch in block.values()]
        if sorted(widths) != [16, 24, 24, 24]:
            return f"the widths are {widths}, together {sum(widths)}; expected 24 + 16 + 24 + 24"
        pools = [m for m in block.modules() if isinstance(m, (nn.AvgPool2d, nn.MaxPool2d))]
        if len(pools) != 1 or isinstance(pools[0], nn.MaxPool2d):
            return f"expected one nn.AvgPool2d, found {pools or 'no pool'}"
        if pair(pools[0].kernel_size) != (3, 3):
            return f"the pool's window is 3 x 3, got {pools[0].kernel_size}"
        if count(block) != plain_count(c_in):
            seen = f"{count(block):,} parameters for c_in = {c_in}, expected {plain_count(c_in):,}"
            return f"{seen}: check each kernel and reduce; norm=False gives every layer its bias"
    return None


def check_five_branches(build: Callable[[int], Concat]) -> str | None:
    """`build(c_in)` joins at least five branches, keeps h and w, and stays within BUDGET."""
    for c_in in (192, random.randint(8, 32)):
        block = build(c_in)
        if not isinstance(block, Concat):
            return f"return a Concat, got {type(block).__name__}: its branches are what is checked"
        if len(block) < 5:
            return f"expected at least five branches, got {len(block)}: {', '.join(block)}"
        if len({id(branch) for branch in block.values()}) < len(block):
            return "one object stands in two branches, so they share weights and say the same"
        h, w = random.randint(7, 12), random.randint(7, 12)
        out = run(block, c_in, h, w)
        if isinstance(out, str):
            return out
        for name, branch in block.items():
            if not depends(branch, c_in, h, w):
                return f"{name} puts out the same for every image: nothing of it reaches the output"
    macs = layer_table(build(192), (192, 28, 28)).macs
    if macs > BUDGET:
        return f"on 192 x 28 x 28 it costs {macs:,} MACs, above {BUDGET:,}: reduce first"
    return None


def depends(branch: nn.Module, c_in: int, h: int, w: int) -> bool:
    """Whether another image changes what the branch puts out."""
    first, second = (branch(torch.randn(1, c_in, h, w)) for _ in range(2))
    return not torch.equal(first, second)


exercise_1 = Exercise("1", check_paddings)
exercise_2 = Exercise("2", check_average_pool_block)
exercise_3 = Exercise("3", check_five_branches)
