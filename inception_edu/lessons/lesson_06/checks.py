"""Lesson 06, factorised convolutions: the checks of its exercises."""

from collections.abc import Callable
from functools import partial
from math import isclose

from torch import nn

from inception_edu import layers
from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import near, other_number
from inception_edu.exercises.comparing import settle
from inception_edu.exercises.judging import WIRING, calls, mistaken_for, other_network
from inception_edu.lessons.lesson_06 import grid_reduction, runs
from inception_edu.lessons.lesson_06.mistakes import MISTAKEN_SAVINGS, left, reductions
from inception_edu.lessons.lesson_06.pairs import other_pair

OURS = "it calls the package's own: write it in your own lines"
BUILT = "it is a network already, expected a function or class that builds one when it is called"
SHAPES = ((5, 64, 64), (5, 32, 64), (5, 96, 48), (7, 128, 128), (7, 64, 96), (3, 20, 30), (9, 8, 6))


# Exercise 1: the saving


def alike(answer: float, right: float) -> bool:
    """Whether a fraction is right as far as it was written: to four digits or four decimals."""
    return near(answer, right) or isclose(answer, right, abs_tol=5.0001e-5)


def check_saving(saving: Callable[[int, int, int], float]) -> str | None:
    """`saving(n, c_in, c_out)`: fraction of the MACs saved by 3x3s in place of an n x n."""
    where, advice = (
        "n = {}, c_in = {}, c_out = {}",
        "compare 9 c_in c_out + ... with n n c_in c_out",
    )

    def right(*shape: int) -> float:
        return 1 - left(*shape)

    return other_number(saving, right, SHAPES, where, MISTAKEN_SAVINGS, advice, close=alike)


# Exercise 2: two 3x3, and 1xn with nx1

SIZES = ((5, 9), (10, 8), (9, 9))  # c_in and c_out: so many that not all are 0 behind a ReLU


def check_two_3x3(build: Callable[[int, int], nn.Module]) -> str | None:
    """`two_3x3(c_in, c_out)`: two 3x3 convolutions, each with batch norm and ReLU."""
    if is_module(build):
        return BUILT
    names = "first 3x3", "second 3x3"
    for sizes in SIZES:
        answer = build(*sizes)
        if why := other_pair(answer, sizes, ((3, 3), (3, 3)), (2, sizes[0], 9, 12), names):
            return "for c_in = {}, c_out = {}: {}".format(*sizes, why)
    return OURS if calls(lambda: build(3, 3), runs.two_3x3, layers.stack) else None


def check_factorised(build: Callable[[int, int, int], nn.Module]) -> str | None:
    """`factorised(c_in, c_out, n)`: a 1xn, then an nx1, each with batch norm and ReLU."""
    if is_module(build):
        return BUILT
    for sizes, n in zip(SIZES, (7, 3, 5), strict=True):
        kernels, names = ((1, n), (n, 1)), (f"1x{n}", f"{n}x1")
        answer = build(*sizes, n)
        if why := other_pair(answer, sizes, kernels, (2, sizes[0], 9, 12), names):
            return "for c_in = {}, c_out = {}, n = {}: {}".format(*sizes, n, why)
    return OURS if calls(lambda: build(3, 3, 3), runs.factorised, layers.stack) else None


# Exercise 3: the grid reduction


def check_reduction(reduction: Callable[[int], nn.Module]) -> str | None:
    """`reduction(c)`: (n, c, 35, 35) -> (n, 2c, 17, 17), stride-2 3x3 and max pool side by side.

    Whether the convolution has a bias, a norm and a ReLU is left to the answer.
    """
    if is_module(reduction):
        return BUILT
    for c in (4, 6, 3):
        answer, shape, said = reduction(c), (2, c, 35, 35), []
        if is_module(answer):
            settle(answer, shape)
        vectors = sum(p.ndim == 1 for p in answer.parameters()) if is_module(answer) else 0
        for relu in (True, False):
            known = reductions(c, bias=vectors % 2 == 1, norm=vectors > 1, relu=relu)
            why = other_network(answer, known.pop(""), shape, channels=(c, c), training=True)
            if not why:
                break
            said.append(why)
            if mistake := is_module(answer) and mistaken_for(answer, known, shape, (c, c)):
                return f"for c = {c}, {mistake}"
        else:  # what is closer to being right, with a ReLU or without
            why = min(said, key=lambda why: why == WIRING)
            return f"for c = {c}, {why}"
    return OURS if calls(partial(reduction, 4), grid_reduction.reduction) else None


def is_module(answer: object) -> bool:
    """Whether an answer is a network at all, and not its class."""
    return isinstance(answer, nn.Module)


exercise_1 = Exercise("1", check_saving)
exercise_2 = Exercise(
    "2",
    {"two_3x3": check_two_3x3, "factorised": check_factorised},
    lesson="06",
    keep=("two_3x3", "factorised"),
    ours=(runs.two_3x3, runs.factorised),
)
exercise_3 = Exercise(
    "3",
    check_reduction,
    lesson="06",
    keep="Reduction",
    ours=partial(grid_reduction.reduction, "side by side"),
)
