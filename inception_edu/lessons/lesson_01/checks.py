"""Lesson 01, counting the cost: the checks of its exercises."""

import random
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.cost import conv_cost
from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import near, numbers, whole
from inception_edu.exercises.judging import calls
from inception_edu.lessons.lesson_01.pictures import C_IN, GRID, chain

LIMIT = 40_000_000
Shape = dict[str, int]  # the arguments of a convolution's cost


def counted(shape: Shape) -> tuple[int, int]:
    """(params, MACs) of a convolution by torch's own counter, an independent route."""
    names = ("stride", "padding", "groups", "bias")
    options = {name: shape[name] for name in names}
    layer = nn.Conv2d(shape["c_in"], shape["c_out"], shape["k"], **options, device="meta")
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        layer(torch.empty(1, shape["c_in"], shape["size"], shape["size"], device="meta"))
    return sum(p.numel() for p in layer.parameters()), flops.get_total_flops() // 2


def random_shapes(n: int, seed: int = 1) -> list[Shape]:
    """Convolutions of all kinds, every argument drawn by itself."""
    draw = random.Random(seed)
    shapes = []
    for i in range(n):
        groups = (1, 2, 4)[i % 3]
        c_in, c_out = groups * draw.randint(2, 12), groups * draw.randint(2, 12)
        shape = dict(c_in=c_in, c_out=c_out, k=draw.choice([1, 3, 5, 7]), size=draw.randint(8, 40))
        shape |= dict(stride=draw.randint(1, 3), padding=draw.randint(0, 3), groups=groups)
        shapes.append(shape | dict(bias=draw.random() < 0.5))
    return shapes


def weights(c_in: int, c_out: int, k: int, groups: int, **_: int) -> int:
    """Weights without the bias."""
    return k * k * c_in // groups * c_out


def side(size: int, k: int, stride: int, padding: int, **_: int) -> float:
    """The output's side, not yet rounded down."""
    return (size + 2 * padding - k) / stride + 1


MISTAKES = (  # in params, then in MACs: what is wrong, and what it makes of a shape s
    {
        "a bias adds c_out parameters": lambda s: weights(**s),
        "a bias adds c_out parameters, not one": lambda s: weights(**s) + s["bias"],
        "without a bias there are no parameters of it": lambda s: weights(**s) + s["c_out"],
        "groups are left out of params: each output channel reads c_in / groups channels": (
            lambda s: weights(**s) * s["groups"] + s["bias"] * s["c_out"]
        ),
    },
    {
        "c_in is left out of the MACs: each output value reads all input channels of its group": (
            lambda s: s["k"] ** 2 * s["c_out"] * int(side(**s)) ** 2
        ),
        "the MACs count the input's pixels, expected the output's": (
            lambda s: weights(**s) * s["size"] ** 2
        ),
        "the stride is left out of the MACs": (
            lambda s: weights(**s) * int(side(**s | {"stride": 1})) ** 2
        ),
        "the padding is left out of the MACs": (
            lambda s: weights(**s) * int(side(**s | {"padding": 0})) ** 2
        ),
        "the output's side must be rounded down": lambda s: weights(**s) * side(**s) ** 2,
        "groups are left out of the MACs: each output channel reads c_in / groups channels": (
            lambda s: weights(**s) * s["groups"] * int(side(**s)) ** 2
        ),
        "a bias costs no MACs": (
            lambda s: (weights(**s) + s["bias"] * s["c_out"]) * int(side(**s)) ** 2
        ),
        "a multiplication and its addition are one MAC, not two": (
            lambda s: 2 * weights(**s) * int(side(**s)) ** 2
        ),
    },
)


def check_cost(cost: Callable[..., object]) -> str | None:
    """`cost(c_in, c_out, k, size, stride, padding, groups, bias)` -> (params, MACs)."""
    shapes, answers = random_shapes(24), []
    if calls(lambda: cost(**shapes[0]), conv_cost):
        return "it calls the package's conv_cost: write the formulas yourself"
    for shape in shapes:
        answer = cost(**shape)
        pair = numbers(answer, 2)
        if pair is None or any(isinstance(count, str) for count in answer):  # to be added up later
            return f"return two numbers, (params, macs), got {str(answer)[:60]!r}"
        answers.append(pair)
    rights = [counted(shape) for shape in shapes]
    for shape, answer, right in zip(shapes, answers, rights, strict=True):
        if not all(map(equal, answer, right)):
            given = ", ".join(f"{name}={value}" for name, value in shape.items())
            told = f"for {given} you say {shown(answer)}, expected {shown(right)}"
            return "; ".join([told, *reasons(shapes, answers, rights)])
    return None


def equal(found: float, right: float) -> bool:
    """Whether two counts agree, as far as float32 holds one."""
    return near(found, right, digits=7)


def shown(pair: tuple[float, float]) -> str:
    """Two counts in words."""
    return "{:,.10g} parameters and {:,.10g} MACs".format(*pair)


def reasons(shapes: list[Shape], answers: list, rights: list) -> list[str]:
    """The mistake that all the wrong counts of params, or of MACs, come from."""
    if all(all(map(equal, a[::-1], right)) for a, right in zip(answers, rights, strict=True)):
        return ["params come first, then the MACs"]
    found = []
    for i, mistakes in enumerate(MISTAKES):
        values = [answer[i] for answer in answers]
        if not all(map(equal, values, [right[i] for right in rights])):
            found += [
                why
                for why, mistaken in mistakes.items()
                if all(map(equal, values, map(mistaken, shapes)))
            ][:1]
    return found


def detour_macs(reduce: int) -> int:
    """MACs of 3a's 5x5 branch with this reduce."""
    return sum(cost.macs for cost in chain(C_IN, GRID, (reduce, 1), (32, 5)))


def check_largest_reduce(answer: object) -> str | None:
    """The largest reduce with which 3a's 5x5 branch stays within LIMIT."""
    reduce = whole(answer)
    if reduce is None or reduce < 1:
        return f"give a whole number of channels, at least 1, got {str(answer)[:40]!r}"
    if detour_macs(reduce) > LIMIT:
        return f"{reduce} channels cost {detour_macs(reduce):,} MACs, above {LIMIT:,}"
    if detour_macs(reduce + 1) <= LIMIT:
        return f"{reduce} fits, but {reduce + 1} would still fit: {detour_macs(reduce + 1):,} MACs"
    return None


exercise_1 = Exercise("1", check_cost, lesson="01", keep="conv_cost", ours=conv_cost)
exercise_2 = Exercise("2", check_largest_reduce)
