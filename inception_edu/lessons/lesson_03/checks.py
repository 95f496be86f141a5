"""Lesson 03, GoogLeNet: the checks of its exercises."""

import random
from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.cost import conv_cost
from inception_edu.exercises import Exercise
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_03.table_detective import Beside, K, M, costs

LIMIT = 0.03  # rounding explains less: conv1, 4c and 5a stand out
BUDGET = 750_000


@cache
def rows() -> dict[str, Beside]:
    """Every row of Table 1 with weights, counted and as printed."""
    with torch.device("meta"):
        return {row.name: row for row in costs(GoogLeNet(aux=False))}


def suspects() -> set[str]:
    """The rows whose print differs by more than LIMIT."""
    return {name for name, row in rows().items() if abs(row.off) > LIMIT}


def check_suspects(names: list[str], column: float) -> str | None:
    """The rows that cannot be right, and the params column's sum in millions of weights."""
    if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
        return f'give a list of row names such as ["4a", "4b"], got {names!r}'
    for name in names:
        if name not in rows():
            return f"{name!r} is no row with weights: those are {', '.join(rows())}"
        if name == "4a":
            return (
                "4a is 0.8 % off in params and cut instead of rounded in ops: an odd rounding, or "
                "204 of its 208 filters; that is too little to say that it cannot be right"
            )
        if name not in suspects():
            return (
                f"{name} is {rows()[name].off:+.1%} off, within {LIMIT:.0%}: rounding of some kind"
            )
    if missing := len(suspects()) - len(set(names)):
        return f"these are right, but {missing} more cannot be: look at both columns of each row"
    return check_column(column)


def check_column(column: float) -> str | None:
    """The sum of the params column in millions of weights; K is 1024."""
    printed = sum(row.printed_weights for row in rows().values())
    if abs(column - printed * K / M) < 0.015:
        return None
    known = {
        printed / 1000: "that takes K as 1000, but linear's 1000K are 1024 x 1000 weights",
        printed: "that is in K; give millions",
        5.0: "5 million is what [V3] says; add up what [G] prints",
        7.0: "7.0 is what the network has; the column as printed adds up to a little less",
    }
    for value, reason in known.items():
        if abs(column - value) < 0.015:
            return f"the rows are right, the sum is not: {reason}"
    return f"the rows are right, but the column does not add up to {column:g} million"


def counted(c_in: int, multiplier: int, c_out: int, k: int, size: int, stride: int) -> tuple:
    """Weights and MACs of a separable convolution by torch's own counter."""
    with torch.device("meta"):
        layers = nn.Sequential(
            nn.Conv2d(c_in, c_in * multiplier, k, stride, k // 2, groups=c_in, bias=False),
            nn.Conv2d(c_in * multiplier, c_out, 1, bias=False),
        )
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            layers(torch.empty(1, c_in, size, size))
    return sum(p.numel() for p in layers.parameters()), flops.get_total_flops() // 2


def check_separable(separable: Callable[..., tuple[int, int]], multiplier: int) -> str | None:
    """`separable(c_in, multiplier, c_out, k, size, stride)`, and which multiplier fits conv1."""
    for _ in range(8):
        c_in, m, c_out = random.randint(2, 6), random.randint(2, 9), random.randint(3, 40)
        k, size, stride = random.choice([3, 5, 7]), 2 * random.randint(8, 40), random.choice([1, 2])
        shape = dict(c_in=c_in, multiplier=m, c_out=c_out, k=k, size=size, stride=stride)
        answer, right = separable(**shape), counted(**shape)
        if not isinstance(answer, tuple) or len(answer) != 2:
            return f"return two numbers, (weights, macs), got {answer!r}"
        if answer != right:
            return f"for {shape} you say {answer}, expected {right}; {why(answer, shape)}"
    if isinstance(multiplier, bool) or not isinstance(multiplier, int):
        return f"separable is right; the multiplier is a whole number, got {multiplier!r}"
    weights, macs = counted(3, multiplier, 64, 7, 224, 2) if multiplier > 0 else (0, 0)
    if multiplier != 8:
        near = f"{weights / K:.2f} K and {macs / M:.1f} M"
        return f"separable is right; a multiplier of {multiplier} gives {near}, another is nearer"
    return None


def why(answer: tuple[int, int], shape: dict[str, int]) -> str:
    """What a wrong count of a separable convolution has probably left out."""
    c_in, c_mid, k = shape["c_in"], shape["c_in"] * shape["multiplier"], shape["k"]
    first = conv_cost(c_in, c_mid, k, shape["size"], stride=shape["stride"], groups=c_in)
    dense = conv_cost(c_in, c_mid, k, shape["size"])
    mix = c_mid * shape["c_out"]
    reasons = {
        first.params: "the 1x1 that mixes the channels is missing",
        dense.params + mix: "in the first layer each filter reads one channel, not all of them",
        first.params + mix: "the weights are right; the stride leaves fewer outputs in both layers",
    }
    return reasons.get(answer[0], "k x k weights for each of c_in x multiplier, then a 1x1")


@cache
def params(width: float) -> int:
    """Parameters of the paper's network for ten classes, all widths multiplied."""
    with torch.device("meta"):
        model = GoogLeNet(num_classes=10, aux=False, width=width)
    return sum(p.numel() for p in model.parameters())


def check_width(width: float) -> str | None:
    """The largest width in hundredths whose network has at most BUDGET parameters."""
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not 0.01 <= width <= 1:
        return f"give a number from 0.01 to 1, got {width!r}"
    found, wider = params(round(width, 2)), params(round(width + 0.01, 2))
    if found > BUDGET:
        return f"width {width:g} has {found:,} parameters, above {BUDGET:,}"
    if wider <= BUDGET:
        square = " (parameters grow with the square of the width)" if width == 0.25 else ""
        return f"width {width:g} fits with {found:,} parameters, but wider fits too{square}"
    return None


exercise_1 = Exercise("1", check_suspects)
exercise_2 = Exercise("2", check_separable)
exercise_3 = Exercise("3", check_width)
