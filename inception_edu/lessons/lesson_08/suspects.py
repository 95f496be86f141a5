"""Lesson 08: the blocks of well-known mistakes, by what is to be said of them."""

from collections.abc import Callable

from torch import nn

from inception_edu.factorised import Grid35, Widths
from inception_edu.layers import Concat, conv, stack
from inception_edu.lessons.lesson_08 import plain

Build = Callable[[int, Widths], nn.Module]
Block = Callable[[], nn.Module]


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
    missing = conv(c_in, w.pool_proj, 1)
    made["the average pool before the pool projection is missing"] = replaced(
        build, c_in, w, branch_pool=missing
    )
    made["the pool projection stands before its pool"] = replaced(
        build, c_in, w, branch_pool=swapped
    )
    return made


def grid35_mistakes(c_in: int, w: Widths) -> dict[str, Block]:
    """Other branches than torchvision's, in that block."""
    b, single = w.double_reduce, conv(w.double_reduce, w.double, 5)
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
        "in its third branch the first 3x3 puts out double_reduce channels, expected double": (
            replaced(plain.grid35, c_in, w, branch3x3dbl=stack(c_in, (b, 1), (b, 3), (w.double, 3)))
        ),
        **mistaken_pools(plain.grid35, c_in, w),
    }


class Swapped(Concat):
    """A fork whose 3x1 comes first."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(branch3x1=conv(c_in, c_out, (3, 1)), branch1x3=conv(c_in, c_out, (1, 3)))


def chained(c_in: int, c_out: int) -> nn.Module:
    """The two kernels of a fork one after the other."""
    return stack(c_in, (c_out, (1, 3)), (c_out, (3, 1)))


def halved(c_in: int, c_out: int) -> Concat:
    """A fork whose two ends share the channels that each should have."""
    half = c_out // 2
    return Concat(a=conv(c_in, half, (1, 3)), b=conv(c_in, c_out - half, (3, 1)))


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
        "the two ends of a fork share its channels; each has all of them": (
            lambda: forked(c_in, w, halved)
        ),
        "a 3x3 stands where a fork is asked for": (
            lambda: forked(c_in, w, lambda a, b: conv(a, b, 3))
        ),
        **mistaken_pools(plain.grid8, c_in, w),
    }


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
        "its pool is 2x2, expected 3x3": replaced(
            plain.reduce17to8, c_in, w, branch_pool=nn.MaxPool2d(2)
        ),
        "the average is pooled, expected the maximum": average,
    }
