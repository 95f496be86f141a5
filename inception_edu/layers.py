"""The two combinators of the whole family: one layer after the other, and side by side.

`nn.Sequential` runs layers one after the other; `Concat` runs branches side by side. Every block
and every network in this package is a tree of the two.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, avg_pool3d, pad

from inception_edu.checks import check_count


def scale(channels: int, width: float) -> int:
    """`channels` times `width`, rounded, at least 1."""
    return max(1, round(channels * float(width)))


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
    around = same_padding(k) if padding == "same" else padding
    after = dict(norm=nn.BatchNorm2d(c_out, eps=1e-3)) if norm else {}
    after |= dict(relu=nn.ReLU()) if relu else {}
    return chain(conv=nn.Conv2d(c_in, c_out, k, stride, around, bias=not norm), **after)


def stack(c_in: int, *layers: tuple, norm: bool = True, padding: int = 0) -> nn.Sequential:
    """Convolutions in a row: (channels, kernel), or (channels, kernel, stride) with `padding`."""
    convs = nn.Sequential()
    for c_out, k, *stride in layers:
        around = padding if stride else "same"
        convs.append(conv(c_in, c_out, k, *stride, padding=around, norm=norm))
        c_in = c_out
    return convs


def chain(**layers: nn.Module) -> nn.Sequential:
    """Named layers one after the other, as Concat names those side by side."""
    return nn.Sequential(OrderedDict(layers))


def classifier(c_in: int, num_classes: int, dropout: float = 0.0) -> nn.Sequential:
    """The head: mean over the grid, dropout, linear; (n, c_in, h, w) -> (n, num_classes)."""
    check_count(c_in=c_in, num_classes=num_classes)
    drop = dict(dropout=nn.Dropout(dropout)) if dropout else {}
    pool, linear = nn.AdaptiveAvgPool2d(1), nn.Linear(c_in, num_classes)
    return chain(pool=pool, flatten=nn.Flatten(), **drop, linear=linear)


class Concat(nn.ModuleDict):
    """Runs named branches on the same input and joins their outputs on the channel axis.

    (n, c_in, h, w) -> (n, sum of the branches' channels, h', w'). Raises ValueError when the
    branches' heights or widths differ, naming each branch's shape.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.values()]
        try:  # no shapes compared beforehand: what traces a network sees only the joining
            return torch.cat(outputs, dim=1)
        except RuntimeError as error:
            if len({out.shape[2:] for out in outputs}) == 1:
                raise
            named = zip(self, outputs, strict=True)
            shapes = ", ".join(f"{name} {tuple(out.shape)}" for name, out in named)
            raise ValueError(
                f"branches can be joined only at equal height and width, got {shapes}; "
                "check each branch's padding and stride"
            ) from error


class AuxPool(nn.Module):
    """Average pool (n, c, h, w) -> (n, c, side, side): 5x5 stride 3 where that fits, else adaptive.

    Not `exact`, it leaves a larger grid than fits its 5x5 stride 3 and puts out more than `side`.
    """

    def __init__(self, side: int = 4, *, adaptive: bool = False, exact: bool = True) -> None:
        super().__init__()
        self.side, self.adaptive, self.exact = side, adaptive, exact

    def forward(self, x: Tensor) -> Tensor:
        return _aux_pool(x, self.side, self.adaptive, self.exact)

    def extra_repr(self) -> str:
        to = f"to {self.side}x{self.side}"
        return f"adaptive {to}" if self.adaptive else f"5x5 stride 3 {to}, else adaptive"


@torch.fx.wrap  # which of the two is taken is decided anew for every image, not once by a tracer
def _aux_pool(x: Tensor, side: int, adaptive: bool, exact: bool) -> Tensor:
    least = 3 * side + 2  # (least - 5) / 3 + 1 = side
    fits = all(n >= least and (n <= least + 2 or not exact) for n in x.shape[2:])
    return avg_pool2d(x, 5, 3) if fits and not adaptive else adaptive_avg_pool2d(x, side)


class LocalRespNorm(nn.LocalResponseNorm):
    """As torch's, which has no bfloat16 kernel on the CPU and branches on a traced image's size."""

    def forward(self, x: Tensor) -> Tensor:
        wide, after = _wide(x), (self.size - 1) // 2
        squares = pad((wide * wide).unsqueeze(1), (0, 0, 0, 0, self.size // 2, after))
        mean = avg_pool3d(squares, (self.size, 1, 1), stride=1).squeeze(1)  # over near channels
        return (wide / (self.k + self.alpha * mean) ** self.beta).to(x.dtype)


@torch.fx.wrap  # the precision is known when it runs, not when it is traced
def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def channels(module: nn.Module, c_in: int) -> int:
    """Channels that a tree of Sequential, Concat and layers puts out when it takes `c_in`."""
    if isinstance(module, nn.Conv2d):
        return module.out_channels
    if isinstance(module, Concat):
        return sum(channels(branch, c_in) for branch in module.values())
    if isinstance(module, nn.Sequential):
        for layer in module:
            c_in = channels(layer, c_in)
    return c_in
