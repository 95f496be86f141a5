"""Lesson 10, last room: one network with three bugs, unmarked, and the check of what was found."""

import random
from collections.abc import Callable

import torch

from inception_edu.checks import check_whole
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception, Row
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_10.exhibits_count import without_relu
from inception_edu.lessons.lesson_10.exhibits_silent import with_norm
from inception_edu.lessons.lesson_10.museum import norm_as_it_was

BLOCKS = tuple(name for name, row in TABLE_1.items() if row.type == "inception")
SPOILT: dict[str, Callable[[int, Row], Concat]] = {  # kind of bug -> a block that has it
    "kernel": lambda c_in, row: Inception(c_in, row, k5=3),
    "width": lambda c_in, row: Inception(c_in, row._replace(n3x3_reduce=row.n3x3_reduce - 16)),
    "relu": lambda c_in, row: without_relu(Inception(c_in, row), last="branch5x5"),
    "eps": lambda c_in, row: with_norm(Inception(c_in, row), norm_as_it_was, "branch3x3"),
}
KINDS = {
    "kernel": "a kernel is smaller than its branch's name says",
    "width": "a reduce has fewer channels than Table 1 says",
    "relu": "a branch ends without ReLU",
    "eps": "a batch norm divides by far too much",
}


def bugs(number: int) -> dict[str, str]:
    """Block -> kind of bug: the three of network `number`, each of another kind."""
    check_whole("number", number)
    dice = random.Random(number)
    return dict(zip(dice.sample(BLOCKS, 3), dice.sample(sorted(SPOILT), 3), strict=True))


def network(number: int = 1) -> GoogLeNet:
    """GoogLeNet for Fashion-MNIST at full width, with the three bugs of `number`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        model = GoogLeNet("small", num_classes=10, in_channels=1, aux=False)
        for name, kind in bugs(number).items():
            c_in = model.body.get_submodule(name).branch1x1.conv.in_channels
            model.body.add_module(name, SPOILT[kind](c_in, TABLE_1[name]))
    return model


def named(found: object) -> dict[str, str] | None:
    """Block -> kind from a dict or from pairs, "4A" for "4a" among them and what is left open left
    out; None for anything else."""
    pairs = found.items() if isinstance(found, dict) else found
    if isinstance(pairs, str) or not hasattr(pairs, "__iter__"):
        return None
    pairs = list(pairs)
    if not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in pairs):
        return None
    if not all(isinstance(block, str) for block, _ in pairs):
        return None
    told = {block.lower(): kind for block, kind in pairs if kind is not ...}
    return {block: kind.lower() if isinstance(kind, str) else kind for block, kind in told.items()}


def check_found(found: dict[str, str], number: int = 1) -> str | None:
    """`found` names block and kind of each bug of network `number`."""
    if (answer := named(found)) is None:
        return f'give a dict such as {{"3a": "kernel"}}, got {str(found)[:60]}'
    right, told, hits = bugs(number), [], 0
    if len(answer) > len(right):
        return f"there are {len(right)} bugs, you name {len(answer)}"
    for block, kind in answer.items():
        if block not in BLOCKS:
            told.append(f"{block!r} is none of the blocks {', '.join(BLOCKS)}")
        elif not isinstance(kind, str) or kind not in KINDS:
            told.append(f"{kind!r} is none of the kinds {', '.join(KINDS)}")
        elif block not in right:
            told.append(f"{block} is as Table 1 has it")
        elif kind != right[block]:
            told.append(f"{block} has a bug, but of another kind than {kind!r}")
        else:
            hits += 1
            told.append(f"{block} {kind} is right")
    if hits == len(right):
        return None
    return f"{hits} of {len(right)} found: {'; '.join(told) or 'nothing named yet'}"
