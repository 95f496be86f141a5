"""Lesson 01, counting the cost: the checks of its exercises."""

import random
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises import Exercise
from inception_edu.lessons.lesson_01.pictures import C_IN, GRID, chain

LIMIT = 40_000_000


def counted(shape: dict[str, int]) -> tuple[int, int]:
    """(params, MACs) of a convolution by torch's own counter, an independent route."""
    names = ("stride", "padding", "groups", "bias")
    how = {name: shape[name] for name in names}
    layer = nn.Conv2d(shape["c_in"], shape["c_out"], shape["k"], **how, device="meta")
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        layer(torch.empty(1, shape["c_in"], shape["size"], shape["size"], device="meta"))
    return sum(p.numel() for p in layer.parameters()), flops.get_total_flops() // 2


def random_shapes(n: int, seed: int = 1) -> list[dict[str, int]]:
    """Convolutions of all kinds; among the first are ones with groups, stride and bias."""
    draw = random.Random(seed)
    shapes = []
    for i in range(n):
        groups, k = (1, 2, 4)[i % 3], draw.choice([1, 3, 5, 7])
        c_in, c_out = groups * draw.randint(2, 12), groups * draw.randint(2, 12)
        shape = dict(c_in=c_in, c_out=c_out, k=k, size=draw.randint(8, 40), stride=1 + i % 2)
        shapes.append(shape | dict(padding=draw.randint(0, 3), groups=groups, bias=i % 4 == 1))
    return shapes


def check_cost(cost: Callable[..., tuple[int, int]]) -> str | None:
    """`cost(c_in, c_out, k, size, stride, padding, groups, bias)` -> (params, MACs)."""
    for shape in random_shapes(12):
        answer, (params, macs) = cost(**shape), counted(shape)
        if not isinstance(answer, tuple) or len(answer) != 2:
            return f"return two numbers, (params, macs), got {answer!r}"
        if answer == (params, macs):
            continue
        per_group, size2 = shape["c_in"] // shape["groups"], shape["size"] ** 2
        weights = shape["k"] ** 2 * per_group * shape["c_out"]
        reasons = {
            macs // per_group: "each output value reads every input channel: is c_in left out?",
            weights * size2: "count the output's pixels, not the input's: stride and padding",
            macs * shape["groups"]: "each output channel reads c_in / groups channels only",
        }
        reason = reasons.get(answer[1], "") if answer[1] != macs else ""
        if answer[1] == macs:
            reason = "the MACs are right; a bias adds c_out parameters, groups divide c_in"
        return f"for {shape} you say {answer}, expected {(params, macs)}; {reason}".rstrip("; ")
    return None


def detour_macs(reduce: int) -> int:
    """MACs of 3a's 5x5 branch with this reduce."""
    return sum(cost.macs for cost in chain(C_IN, GRID, (reduce, 1), (32, 5)))


def check_largest_reduce(reduce: int) -> str | None:
    """The largest reduce with which 3a's 5x5 branch stays within LIMIT."""
    if isinstance(reduce, bool) or not isinstance(reduce, int) or reduce < 1:
        return f"give a whole number of channels, got {reduce!r}"
    if detour_macs(reduce) > LIMIT:
        return f"{reduce} channels cost {detour_macs(reduce):,} MACs, above {LIMIT:,}"
    if detour_macs(reduce + 1) <= LIMIT:
        return f"{reduce} fits, but {reduce + 1} would still fit: {detour_macs(reduce + 1):,} MACs"
    return None


def check_factors(factors: dict[str, float]) -> str | None:
    """By which factor params and MACs of a layer grow when the image's sides double."""
    shape = dict(c_in=192, c_out=32, k=5, stride=1, padding=2, groups=1, bias=False)
    small, large = counted(shape | dict(size=28)), counted(shape | dict(size=56))
    params, macs = (b / a for a, b in zip(small, large, strict=True))
    if factors["params"] != params:
        return f"params: {factors['params']} is not it; the same weights serve every pixel"
    if factors["macs"] != macs:
        return f"macs: {factors['macs']} is not it; height and width both double"
    return None


exercise_1 = Exercise("1", check_cost)
exercise_2 = Exercise("2", check_largest_reduce)
exercise_3 = Exercise("3", check_factors)
