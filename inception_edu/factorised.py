"""The blocks of Inception v2 and v3: factorised convolutions, grid reductions, the aux head.

[V3] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
Where its figures leave a choice (the order of 1xn and nx1, the second reduction), it is that of
[TV], torchvision's models/inception.py.
"""

from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from inception_edu.layers import AuxPool, Concat, conv, scale, stack


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
        return Widths(*(c and max(1, round(c * float(width))) for c in self))


def pooled(c_in: int, c_out: int) -> nn.Sequential:
    """The pool branch of every block that keeps the grid: 3x3 average, then its projection."""
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), conv(c_in, c_out, 1))


class Grid35(Concat):
    """[V3] Figure 5, the 5x5 as two 3x3: (n, c_in, h, w) -> (n, c', h, w)."""

    def __init__(self, c_in: int, w: Widths, *, k: int = 3) -> None:
        super().__init__(
            branch1x1=conv(c_in, w.n1x1, 1),
            branch3x3=stack(c_in, (w.reduce, 1), (w.single, k)),
            branch3x3dbl=stack(c_in, (w.double_reduce, 1), (w.double, 3), (w.double, 3)),
            branch_pool=pooled(c_in, w.pool_proj),
        )


class Grid17(Concat):
    """[V3] Figure 6, 7x7 as 1x7 and 7x1: (n, c_in, h, w) -> (n, c', h, w)."""

    def __init__(self, c_in: int, w: Widths) -> None:
        a, b, row, column = w.reduce, w.double_reduce, (1, 7), (7, 1)
        double = (b, column), (b, row), (b, column), (w.double, row)
        super().__init__(
            branch1x1=conv(c_in, w.n1x1, 1),
            branch7x7=stack(c_in, (a, 1), (a, row), (w.single, column)),
            branch7x7dbl=stack(c_in, (b, 1), *double),
            branch_pool=pooled(c_in, w.pool_proj),
        )


class Fork(Concat):
    """1x3 and 3x1 side by side: (n, c_in, h, w) -> (n, 2 c_out, h, w)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(branch1x3=conv(c_in, c_out, (1, 3)), branch3x1=conv(c_in, c_out, (3, 1)))


class Grid8(Concat):
    """[V3] Figure 7, wide by forks at the end of its branches: (n, c_in, h, w) -> (n, c', h, w)."""

    def __init__(self, c_in: int, w: Widths) -> None:
        a, b = w.reduce, w.double_reduce
        super().__init__(
            branch1x1=conv(c_in, w.n1x1, 1),
            branch3x3=stack(c_in, (a, 1)).append(Fork(a, w.single)),
            branch3x3dbl=stack(c_in, (b, 1), (w.double, 3)).append(Fork(w.double, w.double)),
            branch_pool=pooled(c_in, w.pool_proj),
        )


class Reduce35to17(Concat):
    """[V3] Figure 10, stride 2 in every branch: (n, c_in, h, w) -> (n, c_in + c', h/2, w/2)."""

    def __init__(self, c_in: int, w: Widths, *, padding: int = 0) -> None:
        b, c = w.double_reduce, w.double
        super().__init__(
            branch3x3=conv(c_in, w.single, 3, 2, padding=padding),
            branch3x3dbl=stack(c_in, (b, 1), (c, 3), (c, 3, 2), padding=padding),
            branch_pool=nn.MaxPool2d(3, 2, padding),
        )


class Reduce17to8(Concat):
    """The second grid reduction, as [TV] has it: (n, c_in, h, w) -> (n, c_in + c', h/2, w/2)."""

    def __init__(self, c_in: int, w: Widths, *, padding: int = 0) -> None:
        b, row, column, halved = w.double_reduce, (1, 7), (7, 1), (w.double, 3, 2)
        super().__init__(
            branch3x3=stack(c_in, (w.reduce, 1), (w.single, 3, 2), padding=padding),
            branch7x7=stack(c_in, (b, 1), (b, row), (b, column), halved, padding=padding),
            branch_pool=nn.MaxPool2d(3, 2, padding),
        )


class AuxHead(nn.Sequential):
    """The aux head on the last 17x17 grid: (n, c_in, h, w) -> (n, num_classes).

    [V3] Figure 8 draws the pool and the 1x1; section 10 says that v3's "BN auxiliary" normalises
    the fully connected layer, too, and not the convolutions alone. Our reading: that layer is
    `hidden`, a convolution as large as its 5x5 grid, which is the same thing; so v3's head is
    [TV]'s, and v2's has a bias there (`hidden_norm=False`). The last layer is plain in both.
    """

    def __init__(
        self, c_in: int, num_classes: int, *, hidden_norm: bool = True, width: float = 1.0
    ) -> None:
        c, hidden = scale(128, width), scale(768, width)
        layers = OrderedDict(
            pool=AuxPool(5, exact=False),  # 17x17 -> 5x5
            conv=conv(c_in, c, 1),
            hidden=conv(c, hidden, 5, padding=0, norm=hidden_norm),  # 5x5 -> 1x1
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(hidden, num_classes),
        )
        super().__init__(layers)
