"""The two combinators of the whole family: one layer after the other, and side by side.

`nn.Sequential` runs layers one after the other; `Concat` runs branches side by side. Every block
and every network in this package is a tree of the two.
"""

from collections import OrderedDict
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d


def check_whole(name: str, value: int, low: int = 1, high: int | None = None) -> None:
    """Raise TypeError or ValueError unless `value` is a whole number from `low` to `high`."""
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        error = ValueError if whole else TypeError
        raise error(f"{name} must be a whole number {allowed}, got {value!r}")


def check_count(**counts: int) -> None:
    """Raise TypeError or ValueError unless every named value is a whole number of at least 1."""
    for name, value in counts.items():
        check_whole(name, value)


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """`value` for height and width: 3 -> (3, 3); a pair stays as it is."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(f"expected one number or (height, width), got {value!r}")
    return both


def kernel_size(k: int | tuple[int, int]) -> tuple[int, int]:
    """`k` as (height, width), checked: 3 -> (3, 3), (1, 7) -> (1, 7)."""
    kh, kw = pair(k)
    check_count(**{"k (height)": kh, "k (width)": kw})
    return kh, kw


def same_padding(k: int | tuple[int, int]) -> tuple[int, int]:
    """The zero padding with which a stride-1 layer keeps h and w; ValueError for an even kernel."""
    kh, kw = kernel_size(k)
    if kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(
            f'k must be odd for padding="same", got {k}: an even kernel has no middle; '
            "use an odd k or give the padding as a number"
        )
    return kh // 2, kw // 2


def conv(
    c_in: int,
    c_out: int,
    k: int | tuple[int, int],
    stride: int = 1,
    *,
    padding: str | int | tuple[int, int] = "same",
    norm: bool = True,
    relu: bool = True,
) -> nn.Sequential:
    """Convolution, then batch norm (which replaces the bias), then ReLU.

    (n, c_in, h, w) -> (n, c_out, h', w'); h' = h and w' = w at stride 1 with padding "same".
    """
    check_count(c_in=c_in, c_out=c_out, stride=stride)
    kernel_size(k)
    pad = same_padding(k) if padding == "same" else padding
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(c_in, c_out, k, stride, pad, bias=not norm))
    if norm:
        layers.add_module("norm", nn.BatchNorm2d(c_out, eps=1e-3))
    if relu:
        layers.add_module("relu", nn.ReLU())
    return layers


def chain(**layers: nn.Module) -> nn.Sequential:
    """Named layers one after the other, as Concat names those side by side."""
    return nn.Sequential(OrderedDict(layers))


class Concat(nn.ModuleDict):
    """Runs named branches on the same input and joins their outputs on the channel axis.

    (n, c_in, h, w) -> (n, sum of the branches' channels, h', w'). Raises ValueError when the
    branches' heights or widths differ, naming each branch's shape.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        outputs = {name: branch(x) for name, branch in self.items()}
        if len({out.shape[2:] for out in outputs.values()}) > 1:
            shapes = ", ".join(f"{name} {tuple(out.shape)}" for name, out in outputs.items())
            raise ValueError(
                f"branches can be joined only at equal height and width, got {shapes}; "
                "check each branch's padding and stride"
            )
        return torch.cat(list(outputs.values()), dim=1)


class AuxPool(nn.Module):
    """Average pool (n, c, h, w) -> (n, c, 4, 4): 5x5 stride 3 where that fits, else adaptive."""

    def __init__(self, *, adaptive: bool = False) -> None:
        super().__init__()
        self.adaptive = adaptive

    def forward(self, x: Tensor) -> Tensor:
        fits = all(14 <= side <= 16 for side in x.shape[2:])
        return adaptive_avg_pool2d(x, 4) if self.adaptive or not fits else avg_pool2d(x, 5, 3)

    def extra_repr(self) -> str:
        return "adaptive to 4x4" if self.adaptive else "5x5 stride 3 to 4x4, else adaptive"
