"""Lesson 08, Inception v3: its exercises, and the checks of the blocks."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from inception_edu import factorised
from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import calls, mistaken_for, other_network
from inception_edu.factorised import Fork, Grid17, Grid35, Reduce17to8, Widths
from inception_edu.layers import Concat, conv, stack
from inception_edu.lessons.lesson_08 import plain
from inception_edu.lessons.lesson_08.building import check_inception_v3

Build = Callable[[int, Widths], nn.Module]
Block = Callable[[], nn.Module]
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
        why = other_network(block, partial(right, c_in, w), shape)
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


def replaced(build: Build, c_in: int, w: Widths, **branches: nn.Module) -> Block:
    """A right block with other branches in it."""

    def make() -> nn.Module:
        block = build(c_in, w)
        block.update(branches)
        return block

    return make


def mistaken_pools(build: Build, c_in: int, w: Widths) -> dict[str, Block]:
    """What may be wrong in the pool branch of a block that keeps its grid."""
    maximum = nn.MaxPool2d(3, 1, 1)
    inside = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    pools = {"the maximum is pooled, expected the average": maximum}
    pools["its average leaves the padding out; nn.AvgPool2d(3, 1, 1) counts it"] = inside
    made = {
        why: replaced(build, c_in, w, branch_pool=nn.Sequential(pool, conv(c_in, w.pool_proj, 1)))
        for why, pool in pools.items()
    }
    swapped = nn.Sequential(conv(c_in, w.pool_proj, 1), nn.AvgPool2d(3, 1, 1))
    made["the pool projection stands before its pool"] = replaced(
        build, c_in, w, branch_pool=swapped
    )
    return made


# Exercise 1: the blocks of the 35 x 35 grid


def grid35_mistakes(c_in: int, w: Widths) -> dict[str, Block]:
    """Other branches than torchvision's, in that block."""
    single = conv(w.double_reduce, w.double, 5)
    return {
        "that is [V3]'s Figure 5, with a 3x3 in its second branch; torchvision's has a 5x5": (
            lambda: Grid35(c_in, w)
        ),
        "a 5x5 stands where two 3x3 are asked for": replaced(
            plain.grid35,
            c_in,
            w,
            branch3x3dbl=nn.Sequential(conv(c_in, w.double_reduce, 1), single),
        ),
        **mistaken_pools(plain.grid35, c_in, w),
    }


def keeping(c_in: int, w: Widths, ends: int = 1) -> list[int]:
    """The branches' channels in a block that keeps its grid, with so many ends to a branch."""
    return [w.n1x1, ends * w.single, ends * w.double, w.pool_proj]


def check_grid35(grid17: Build, grid35: Build) -> str | None:
    """The block that is given, unchanged, and the first block to be written."""
    why = check_block(grid17, Grid17, keeping, partial(mistaken_pools, Grid17))
    if why:
        return f"grid17, which was given, has been changed: {why}"
    return check_block(grid35, plain.grid35, keeping, grid35_mistakes)


# Exercise 2: forks


class Swapped(Concat):
    """A fork whose 3x1 comes first."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(branch3x1=conv(c_in, c_out, (3, 1)), branch1x3=conv(c_in, c_out, (1, 3)))


def chained(c_in: int, c_out: int) -> nn.Module:
    """The two kernels of a fork one after the other."""
    return stack(c_in, (c_out, (1, 3)), (c_out, (3, 1)))


def forked(c_in: int, w: Widths, fork: Callable[[int, int], nn.Module]) -> nn.Module:
    """The block of the 8 x 8 grid with something else in the place of its forks."""
    block = plain.grid8(c_in, w)
    block.branch3x3[1], block.branch3x3dbl[2] = fork(w.reduce, w.single), fork(w.double, w.double)
    return block


def grid8_mistakes(c_in: int, w: Widths) -> dict[str, Block]:
    """Forks that are none, or join the wrong way round."""
    return {
        "in its forks the 3x1 comes before the 1x3": lambda: forked(c_in, w, Swapped),
        "1x3 and 3x1 run one after the other; in a fork both read the same input": (
            lambda: forked(c_in, w, chained)
        ),
        "a 3x3 stands where a fork is asked for": (
            lambda: forked(c_in, w, lambda a, b: conv(a, b, 3))
        ),
        **mistaken_pools(plain.grid8, c_in, w),
    }


# Exercise 3: grid reductions


def halving(c_in: int, w: Widths) -> list[int]:
    """The branches' channels in a grid reduction."""
    return [w.single, w.double, c_in]


def second(c_in: int, w: Widths, *kernels: tuple[int, int]) -> Block:
    """The second grid reduction with other kernels between its 1x1 and its 3x3."""
    layers = [(w.double_reduce, k) for k in kernels]
    long = stack(c_in, (w.double_reduce, 1), *layers, (w.double, 3, 2))
    return replaced(plain.reduce17to8, c_in, w, branch7x7=long)


def reduction_mistakes(c_in: int, w: Widths) -> dict[str, Block]:
    """Another pool, or other kernels in the long branch."""
    average = replaced(plain.reduce17to8, c_in, w, branch_pool=nn.AvgPool2d(3, 2))
    return {
        "the 7x1 comes before the 1x7": second(c_in, w, (7, 1), (1, 7)),
        "a whole 7x7 stands where 1x7 and 7x1 are asked for": second(c_in, w, (7, 7)),
        "1x7 and 7x1 are missing": second(c_in, w),
        "the average is pooled, expected the maximum": average,
    }


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
