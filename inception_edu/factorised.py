"""The blocks of Inception v2 and v3: factorised convolutions, grid reductions, the aux head.

[V3] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
Where its figures leave a choice (the order of 1xn and nx1, the second reduction), it is that of
[TV], torchvision's models/inception.py.
"""

from typing import NamedTuple

from torch import nn

from inception_edu.layers import AuxPool, Concat, chain, conv, scale


class Widths(NamedTuple):
    """Channels of a block's branches: 1x1; reduce and output of the branch with one aggregation
    (3x3, 7x7 or fork) and of the one with two; pool projection. 0: the block has no such layer."""

    n1x1: int
    reduce: int
    single: int
    double_reduce: int
    double: int
    pool_proj: int

    def scaled(self, width: float) -> "Widths":
        """The channel counts times `width`, each at least 1; what is not there stays away."""
        return Widths(*(c and scale(c, width) for c in self))


def stack(c_in: int, *layers: tuple[int, int | tuple[int, int]]) -> nn.Sequential:
    """Convolutions one after the other, each given as (channels, kernel); height and width stay."""
    convs = nn.Sequential()
    for c_out, k in layers:
        convs.append(conv(c_in, c_out, k))
        c_in = c_out
    return convs


def pooled(c_in: int, c_out: int) -> nn.Sequential:
    """The pool branch of every block that keeps the grid: 3x3 average, then its projection."""
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), conv(c_in, c_out, 1))


def grid35(c_in: int, w: Widths, *, k: int = 3) -> Concat:
    """[V3] Figure 5, the 5x5 as two 3x3: (n, c_in, h, w) -> (n, c', h, w)."""
    return Concat(
        branch1x1=conv(c_in, w.n1x1, 1),
        branch3x3=stack(c_in, (w.reduce, 1), (w.single, k)),
        branch3x3dbl=stack(c_in, (w.double_reduce, 1), (w.double, 3), (w.double, 3)),
        branch_pool=pooled(c_in, w.pool_proj),
    )


def grid17(c_in: int, w: Widths, *, n: int = 7) -> Concat:
    """[V3] Figure 6, nxn as 1xn and nx1: (n, c_in, h, w) -> (n, c', h, w)."""
    a, b = w.reduce, w.double_reduce
    return Concat(
        branch1x1=conv(c_in, w.n1x1, 1),
        branch7x7=stack(c_in, (a, 1), (a, (1, n)), (w.single, (n, 1))),
        branch7x7dbl=stack(c_in, (b, 1), (b, (n, 1)), (b, (1, n)), (b, (n, 1)), (w.double, (1, n))),
        branch_pool=pooled(c_in, w.pool_proj),
    )


def fork(c_in: int, c_out: int) -> Concat:
    """1x3 and 3x1 side by side: (n, c_in, h, w) -> (n, 2 c_out, h, w)."""
    return Concat(branch1x3=conv(c_in, c_out, (1, 3)), branch3x1=conv(c_in, c_out, (3, 1)))


def grid8(c_in: int, w: Widths) -> Concat:
    """[V3] Figure 7, wide by forks at the end of its branches: (n, c_in, h, w) -> (n, c', h, w)."""
    return Concat(
        branch1x1=conv(c_in, w.n1x1, 1),
        branch3x3=nn.Sequential(conv(c_in, w.reduce, 1), fork(w.reduce, w.single)),
        branch3x3dbl=nn.Sequential(
            conv(c_in, w.double_reduce, 1),
            conv(w.double_reduce, w.double, 3),
            fork(w.double, w.double),
        ),
        branch_pool=pooled(c_in, w.pool_proj),
    )


def reduce35to17(c_in: int, w: Widths, *, padding: int = 0) -> Concat:
    """[V3] Figure 10, stride 2 in every branch: (n, c_in, h, w) -> (n, c_in + c', h/2, w/2)."""
    b = w.double_reduce
    return Concat(
        branch3x3=conv(c_in, w.single, 3, 2, padding=padding),
        branch3x3dbl=nn.Sequential(
            *stack(c_in, (b, 1), (w.double, 3)), conv(w.double, w.double, 3, 2, padding=padding)
        ),
        branch_pool=nn.MaxPool2d(3, stride=2, padding=padding),
    )


def reduce17to8(c_in: int, w: Widths, *, n: int = 7, padding: int = 0) -> Concat:
    """The second grid reduction, as [TV] has it: (n, c_in, h, w) -> (n, c_in + c', h/2, w/2)."""
    b = w.double_reduce
    return Concat(
        branch3x3=nn.Sequential(
            conv(c_in, w.reduce, 1), conv(w.reduce, w.single, 3, 2, padding=padding)
        ),
        branch7x7=nn.Sequential(
            *stack(c_in, (b, 1), (b, (1, n)), (b, (n, 1))),
            conv(b, w.double, 3, 2, padding=padding),
        ),
        branch_pool=nn.MaxPool2d(3, stride=2, padding=padding),
    )


def AuxHead(  # noqa: N802
    c_in: int, num_classes: int, *, norm: bool = True, width: float = 1.0
) -> nn.Sequential:
    """The aux head of [V3] Figure 8 on the last 17x17 grid: (n, c_in, h, w) -> (n, num_classes).

    With `norm` it is v3's, batch-normalised; without, its convolutions have biases.
    """
    c, hidden = scale(128, width), scale(768, width)
    return chain(
        pool=AuxPool(5, exact=False),  # 17x17 -> 5x5
        conv=conv(c_in, c, 1, norm=norm),
        hidden=conv(c, hidden, 5, padding=0, norm=norm),  # 5x5 -> 1x1
        average=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(hidden, num_classes),
    )
