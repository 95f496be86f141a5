"""Lesson 06, factorised convolutions: the checks of its exercises."""

from collections.abc import Callable
from functools import partial
from math import isclose

import torch
from torch import nn

from inception_edu.exercises import Exercise, number
from inception_edu.exercises.answers import near, numbers, other_number, whole
from inception_edu.exercises.judging import calls, mistaken_for, other_network
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_06 import grid_reduction

Reference = Callable[[], nn.Module]
SHAPES = ((5, 64, 64), (5, 32, 64), (5, 96, 48), (7, 128, 128), (7, 64, 96), (3, 20, 30), (9, 8, 6))


def counted(c_in: int, c_out: int, *kernels: int | tuple[int, int]) -> int:
    """Weights of convolutions one after the other, counted on built layers."""
    widths = [c_in] + [c_out] * len(kernels)
    with torch.device("meta"):
        convs = [nn.Conv2d(*widths[i : i + 2], k, bias=False) for i, k in enumerate(kernels)]
    return sum(layer.weight.numel() for layer in convs)


def left(n: int, c_in: int, c_out: int) -> float:
    """The share of the MACs that is left when 3x3s stand for an n x n."""
    return counted(c_in, c_out, *[3] * ((n - 1) // 2)) / counted(c_in, c_out, n)


MISTAKEN_SAVINGS: dict[str, Callable[[int, int, int], float]] = {
    "that is what is left, not what is saved": left,
    "give a share, not percent": lambda *shape: 100 * (1 - left(*shape)),
    "(n - 1) / 2 of them are needed to see n x n, not one": lambda n, a, b: 1 - 9 / n**2,
    "two of them see 5x5 only; (n - 1) / 2 see n x n": (
        lambda n, a, b: 1 - counted(a, b, 3, 3) / counted(a, b, n)
    ),
    "only the first 3x3 reads c_in channels, the others read c_out": (
        lambda n, a, b: 1 - 9 * (n - 1) / 2 / n**2
    ),
    "the first 3x3 reads c_in channels, too": (
        lambda n, a, b: 1 - 9 * (n - 1) / 2 * b / (n**2 * a)
    ),
}


def alike(found: float, right: float) -> bool:
    """Whether a share is the right one, as far as it was written: four digits or four decimals."""
    return near(found, right) or isclose(found, right, abs_tol=5.0001e-5)


def check_saving(saving: Callable[[int, int, int], float]) -> str | None:
    """`saving(n, c_in, c_out)`: share of MACs saved by 3x3s in place of an n x n."""
    where, advice = (
        "n = {}, c_in = {}, c_out = {}",
        "compare 9 c_in c_out + ... with n n c_in c_out",
    )

    def right(*shape: int) -> float:
        return 1 - left(*shape)

    return other_number(saving, right, SHAPES, where, MISTAKEN_SAVINGS, advice, close=alike)


def reductions(c: int, *, bias: bool, norm: bool, relu: bool) -> dict[str, Reference]:
    """The grid reduction under "", and the networks that well-known mistakes make of it, by what
    is to be said of them."""

    def convolved(c_out: int, **options: int) -> nn.Sequential:
        after = [nn.BatchNorm2d(c_out)] * norm + [nn.ReLU()] * relu
        return nn.Sequential(nn.Conv2d(c, c_out, 3, bias=bias, **options), *after)

    pool = nn.MaxPool2d(3, 2)
    return {
        "": lambda: Concat(conv=convolved(c, stride=2), pool=pool),
        "the pool comes first, and all must pass through its c channels, a bottleneck": (
            lambda: nn.Sequential(pool, convolved(2 * c, padding=1))
        ),
        "the convolution runs on the full grid, which is dear: give it stride 2": (
            lambda: nn.Sequential(convolved(2 * c, padding=1), pool)
        ),
        "all 2c channels are convolved; half of them come from a max pool of the input": (
            lambda: convolved(2 * c, stride=2)
        ),
        "the average is pooled, expected the maximum": (
            lambda: Concat(conv=convolved(c, stride=2), pool=nn.AvgPool2d(3, 2))
        ),
    }


def check_reduction(reduction: Callable[[int], nn.Module]) -> str | None:
    """`reduction(c)`: (n, c, 35, 35) -> (n, 2c, 17, 17), stride-2 3x3 and max pool side by side.

    Whether the convolution has a bias, a norm and a ReLU is left to the answer.
    """
    if is_module(reduction):
        return "it is a network already, expected a class or a function that is called with c"
    for c in (4, 6, 3):
        answer, shape, said = reduction(c), (2, c, 35, 35), []
        vectors = sum(p.ndim == 1 for p in answer.parameters()) if is_module(answer) else 0
        for relu in (True, False):
            known = reductions(c, bias=vectors % 2 == 1, norm=vectors > 1, relu=relu)
            why = other_network(answer, known.pop(""), shape, channels=(c, c))
            if not why:
                break
            said.append(why)
            if mistake := is_module(answer) and mistaken_for(answer, known, shape, (c, c)):
                return f"for c = {c}, {mistake}"
        else:  # what is closer to being right, with a ReLU or without
            why = min(said, key=lambda why: "something else" in why)
            return f"for c = {c}, {why}"
    if calls(partial(reduction, 4), grid_reduction.reduction):
        return "it calls the package's own: write it in your own lines"
    return None


def is_module(answer: object) -> bool:
    """Whether an answer is a network at all, and not its class."""
    return isinstance(answer, nn.Module)


def check_share(share: object) -> str | None:
    """The share that two 2x2 save of a 3x3, of two digits or more."""
    found = number(share)
    if found is None:
        return f"it is one number, the share that is saved, got {share!r}"
    if near(found, 1 / 9, digits=2):
        return None
    mistakes = {
        5 / 9: "that is one 2x2, which sees 2x2 only; two are needed",
        8 / 9: "that is what is left, not what is saved",
        100 / 9: "give a share, not percent",
    }
    known = (why for value, why in mistakes.items() if near(found, value, digits=2))
    return f"it is {found:g} with you; {next(known, 'count weights: 4 + 4 against 9')}"


def check_kernels(best: object) -> str | None:
    """The two kernels that see 3x3 and cost least, each a side or (height, width)."""
    kernels = [kernel(k) for k in best] if hasattr(best, "__len__") else []
    if len(kernels) != 2 or None in kernels:
        return f"it is two kernels, each as (height, width) of at least 1, got {best!r}"
    window = tuple(1 + sum(k[i] - 1 for k in kernels) for i in (0, 1))
    if window != (3, 3):
        return f"one after the other they see {window[0]}x{window[1]}, expected 3x3"
    weights = sum(h * w for h, w in kernels)
    if weights != 6:
        return f"they have {weights} weights for each pair of channels; two kernels can do with 6"
    return None


def kernel(value: object) -> tuple[int, int] | None:
    """(height, width) of a kernel: 3 -> (3, 3), "1x3" and [1, 3] -> (1, 3)."""
    sides = value.lower().split("x") if isinstance(value, str) and "x" in value else value
    pair = numbers(sides, 2) or [number(value)] * 2
    pair = tuple(map(whole, pair))
    return pair if all(side and side > 0 for side in pair) else None


exercise_1 = Exercise("1", check_saving)
exercise_2 = Exercise(
    "2",
    check_reduction,
    lesson="06",
    keep="Reduction",
    ours=partial(grid_reduction.reduction, "side by side"),
)
exercise_3 = Exercise("3", {"saved": check_share, "best": check_kernels})
