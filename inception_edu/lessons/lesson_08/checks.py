"""Lesson 08, Inception v3: its exercises, and the checks of the blocks."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from inception_edu import factorised
from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import calls, mistaken_for, other_network
from inception_edu.factorised import Grid17, Reduce17to8, Widths
from inception_edu.lessons.lesson_08 import plain
from inception_edu.lessons.lesson_08.building import check_inception_v3
from inception_edu.lessons.lesson_08.suspects import (
    Block,
    Build,
    grid8_mistakes,
    grid35_mistakes,
    mistaken_pools,
    reduction_mistakes,
)

OURS = tuple(
    getattr(factorised, name).__init__
    for name in ("Grid35", "Grid17", "Grid8", "Reduce35to17", "Reduce17to8", "Fork")
)
SHAPES = ((13, 11), (9, 17), (12, 8))  # height and width of what enters
ORDER = "its branches are right, but joined in another order than the task names"


def check_block(
    build: Build,
    right: Build,
    joined: Callable[[int, Widths], list[int]],
    mistakes: Callable[[int, Widths], Mapping[str, Block]],
) -> str | None:
    """`build(c_in, w)` is the right block, at widths drawn anew for each of three tries; `joined`
    gives the channels of its branches, `mistakes` the blocks of well-known mistakes."""
    if isinstance(build, nn.Module):
        return "it is a block already, expected a class or a function that is called with c_in, w"
    if calls(partial(build, 24, plain.widths()), *OURS):
        return "it calls the package's own: write it in your own lines"
    for c_in, size in zip((24, 17, 5), SHAPES, strict=True):
        w, shape = plain.widths(), (2, c_in, *size)
        block = build(c_in, w)
        why = other_network(block, partial(right, c_in, w), shape, training=True)
        if not why:
            continue
        if isinstance(block, nn.Module):
            why = mistaken_for(block, mistakes(c_in, w), shape) or why
            in_order = dict(channels=joined(c_in, w))
            if not other_network(block, partial(right, c_in, w), shape, **in_order):
                why = ORDER
        return f"with c_in = {c_in} and {w}: {why}{needless_bias(block)}"
    return None


def needless_bias(block: object) -> str:
    """What is to be said of a convolution with a bias where every one has a norm behind it."""
    layers = block.modules() if isinstance(block, nn.Module) else ()
    if any(isinstance(m, nn.Conv2d) and m.bias is not None for m in layers):
        return "; a convolution that batch norm follows has no bias"
    return ""


# Exercise 1: the blocks of the 35 x 35 grid


def keeping(c_in: int, w: Widths, ends: int = 1) -> list[int]:
    """The branches' channels in a block that keeps its grid, with so many ends to a branch."""
    return [w.n1x1, ends * w.single, ends * w.double, w.pool_proj]


def check_grid35(grid17: Build, grid35: Build) -> str | None:
    """The block that is given, unchanged, and the first block to be written."""
    why = check_block(grid17, Grid17, keeping, partial(mistaken_pools, Grid17))
    if why:
        return f"grid17, which was given, has been changed: {why}"
    return check_block(grid35, plain.grid35, keeping, grid35_mistakes)


# Exercise 3: grid reductions


def halving(c_in: int, w: Widths) -> list[int]:
    """The branches' channels in a grid reduction."""
    return [w.single, w.double, c_in]


def check_reductions(reduce35to17: Build, reduce17to8: Build) -> str | None:
    """The reduction that is given, unchanged, and the one to be written."""
    why = check_block(reduce35to17, plain.reduce35to17, halving, lambda c_in, w: {})
    if why:
        return f"reduce35to17, which was given, has been changed: {why}"
    return check_block(reduce17to8, Reduce17to8, halving, reduction_mistakes)


exercise_1 = Exercise(
    "1",
    check_grid35,
    lesson="08",
    keep=("grid17", "grid35"),
    ours=(plain.grid17, plain.grid35),
)
exercise_2 = Exercise(
    "2",
    lambda build: check_block(build, plain.grid8, partial(keeping, ends=2), grid8_mistakes),
    lesson="08",
    keep="grid8",
    ours=plain.grid8,
)
exercise_3 = Exercise(
    "3",
    check_reductions,
    lesson="08",
    keep=("reduce35to17", "reduce17to8"),
    ours=(plain.reduce35to17, plain.reduce17to8),
)
exercise_4 = Exercise(
    "4", check_inception_v3, lesson="08", keep="InceptionV3", ours=plain.InceptionV3
)
