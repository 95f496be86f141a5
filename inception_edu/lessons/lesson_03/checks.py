"""Lesson 03, GoogLeNet: the checks of its exercises."""

import random
import re
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises import Exercise, number
from inception_edu.exercises.answers import near, numbers, whole
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


def check_suspects(answer: object) -> str | None:
    """The rows that cannot be right, by name: "4c", "4C", "inception (4c)" or the row itself."""
    names = [] if isinstance(answer, str) or not hasattr(answer, "__iter__") else list(answer)
    names = [getattr(name, "name", name) for name in names]
    if not names or not all(isinstance(name, str) for name in names):
        return f'give a list of row names such as ["4a", "4b"], got {answer!r}'
    plain = [re.sub(r"inception|[ _()]", "", name.lower()) for name in names]
    for given, name in zip(names, plain, strict=True):
        if name not in rows():
            return f"{str(given)!r} is no row with weights: those are {', '.join(rows())}"
        if name == "4a":
            return (
                "4a is 0.8 % off in params and cut instead of rounded in ops: an odd rounding, or "
                "204 of its 208 filters; that is too little to say that it cannot be right"
            )
        if name not in suspects():
            off = f"{rows()[name].off:+.1%} off, within {LIMIT:.0%}"
            return f"row {name} is {off}: rounding of some kind"
    if missing := len(suspects()) - len(set(plain)):
        return f"these are right, but {missing} more cannot be: look at both columns of each row"
    return None


def sums() -> dict[str, float]:
    """What the params column may be taken for, in millions of weights."""
    printed = {name: row.printed_weights for name, row in rows().items()}
    column, counted = sum(printed.values()), sum(row.weights for row in rows().values())
    known = {
        "K taken as 1000; linear's 1000K are 1024 x 1000 weights": column * 1000 / M,
        "the sum in K; give millions": column,
        "the sum in weights; give millions": column * K,
        "what [V3] says; add up what [G] prints": 5.0,
        "the column as counted here; add up what is printed": counted * K / M,
        "what the network has; what is printed adds up to less, two digits behind the point": 7.0,
    }
    return known | {f"the sum without {name}": (column - k) * K / M for name, k in printed.items()}


def check_column(answer: object) -> str | None:
    """The sum of the params column in millions of weights; K is 1024."""
    column = number(answer)
    if column is None:
        return f"give the sum as one number, got {answer!r:.40}"
    if near(column, sum(row.printed_weights for row in rows().values()) * K / M, digits=3):
        return None
    for what, value in sums().items():
        if near(column, value, digits=3):
            return f"{column:.12g} million is {what}"
    return f"{column:.12g} million is not what the printed K of all {len(rows())} rows add up to"


Shape = tuple[int, int, int, int, int, int]  # the arguments of `separable`, in their order
ARGUMENTS = ("c_in", "multiplier", "c_out", "k", "size", "stride")


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


def shapes() -> Iterator[Shape]:
    """The first row's, then drawn ones with sides of all kinds and three of every argument."""
    yield 3, 8, 64, 7, 224, 2
    draw = random.Random(0)
    for i in range(9):
        sizes = draw.randint(2, 6), draw.randint(2, 9), draw.randint(3, 40)
        yield *sizes, (3, 5, 7)[i % 3], draw.randint(17, 80), (1, 2, 3)[i // 3]


def check_separable(separable: Callable[..., object]) -> str | None:
    """`separable(c_in, multiplier, c_out, k, size, stride)` gives weights and MACs."""
    for shape in shapes():
        answer, right = separable(*shape), counted(*shape)
        pair = numbers(answer, 2)
        if pair is None:
            return f"return two numbers, (weights, macs), got {answer!r:.60}"
        if tuple(pair) != right:
            given = ", ".join(map("{}={}".format, ARGUMENTS, shape))
            said = "({:.12g}, {:.12g})".format(*pair)
            return f"for {given} you say {said}, expected {right}; {why(*pair, shape)}"
    return None


def why(weights: float, macs: float, shape: Shape) -> str:
    """What a wrong count of a separable convolution has left out, or which half of it is wrong."""
    c_in, multiplier, c_out, k, size, stride = shape
    first, mix = k * k * c_in * multiplier, c_in * multiplier * c_out
    side = -(-size // stride)
    if weights != first + mix:
        return {
            first: "the 1x1 that mixes the channels is missing",
            first * c_in + mix: "in the first layer each filter reads one channel, not all of them",
            first + mix + c_in * multiplier + c_out: "there are no biases",
            (first + mix) * side**2: "weights come first, then MACs",
        }.get(weights, "k x k weights for each of c_in x multiplier filters, then a 1x1")
    return "the weights are right; " + {
        (first + mix) * size**2: "the stride leaves fewer outputs",
        (first + mix) * (size // stride) ** 2: "the outputs of a side are rounded up",
        first * side**2 + mix * size**2: "the 1x1 works on what the stride has left, too",
        2 * (first + mix) * side**2: "a multiply-add counts once",
        first + mix: "each of them is used at every output of the grid",
    }.get(macs, "each of them is used once at each output, whose grid the stride makes smaller")


def check_multiplier(answer: object) -> str | None:
    """Which multiplier fits conv1: the nearest in both columns."""
    multiplier = whole(answer)
    if multiplier is None or not 1 <= multiplier <= 1000:
        return f"the multiplier is a whole number from 1 to 1000, got {answer!r:.40}"
    weights, macs = counted(3, multiplier, 64, 7, 224, 2)
    if multiplier != 8:
        found = f"{weights / K:.2f} K and {macs / M:.1f} M"
        return f"a multiplier of {multiplier} gives {found}, another is nearer to 2.7 K and 34 M"
    return None


@cache
def params(width: float) -> int:
    """Parameters of the paper's network for ten classes, all widths multiplied."""
    with torch.device("meta"):
        model = GoogLeNet(num_classes=10, aux=False, width=width)
    return sum(p.numel() for p in model.parameters())


def check_width(answer: object) -> str | None:
    """The largest width in hundredths whose network has at most BUDGET parameters."""
    width = number(answer)
    if width is None or not 0.005 < width <= 1:
        return f"give a number from 0.01 to 1, such as 0.5, got {answer!r:.40}"
    if abs(100 * width - round(100 * width)) > 0.015:  # float16 has 0.3501
        return f"{width:g} is no whole number of hundredths, such as 0.34"
    found, wider = params(round(width, 2)), params(round(width + 0.01, 2))
    if found > BUDGET:
        return f"width {width:g} has {found:,} parameters, above {BUDGET:,}"
    if wider <= BUDGET:
        square = " (parameters grow with the square of the width)" if width == 0.25 else ""
        return f"width {width:g} fits with {found:,} parameters, but wider fits too{square}"
    return None


exercise_1 = Exercise("1", {"suspects": check_suspects, "column": check_column})
exercise_2 = Exercise("2", {"separable": check_separable, "multiplier": check_multiplier})
exercise_3 = Exercise("3", check_width)
