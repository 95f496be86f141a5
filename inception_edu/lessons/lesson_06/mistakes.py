"""Lesson 06: what well-known mistakes make of the saving and of the grid reduction."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from inception_edu.layers import Concat

Reference = Callable[[], nn.Module]
Saving = Callable[[int, int, int], float]


def counted(c_in: int, c_out: int, *kernels: int | tuple[int, int]) -> int:
    """Weights of convolutions one after the other, counted on built layers."""
    widths = [c_in] + [c_out] * len(kernels)
    with torch.device("meta"):
        convs = [nn.Conv2d(*widths[i : i + 2], k, bias=False) for i, k in enumerate(kernels)]
    return sum(layer.weight.numel() for layer in convs)


def left(n: int, c_in: int, c_out: int) -> float:
    """The fraction of the MACs that is left when 3x3s stand for an n x n."""
    return counted(c_in, c_out, *[3] * ((n - 1) // 2)) / counted(c_in, c_out, n)


def pair(n: int, c_in: int, c_out: int) -> float:
    """The fraction of the MACs that a 1xn and an nx1 save."""
    return 1 - counted(c_in, c_out, (1, n), (n, 1)) / counted(c_in, c_out, n)


def keeping_c_in(n: int, c_in: int, c_out: int) -> float:
    """The saving if all 3x3s but one kept c_in channels."""
    layers = (n - 1) // 2
    return 1 - 9 * (c_out + (layers - 1) * c_in) / (n * n * c_out)


MISTAKEN_SAVINGS: dict[str, Saving] = {
    "that is what is left, not what is saved": left,
    "give a fraction, not percent": lambda *shape: 100 * (1 - left(*shape)),
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
    "behind the first 3x3 there are c_out channels, not c_in": keeping_c_in,
    "that is what a 1xn and an nx1 save": pair,
    "that is what a 1xn and an nx1 save at equal channels": lambda n, a, b: 1 - 2 / n,
    "a stack that costs more saves less than nothing: let the number be negative": (
        lambda *shape: max(0.0, 1 - left(*shape))
    ),
    "what costs more has a negative saving": lambda *shape: abs(1 - left(*shape)),
    "its sign is turned round: what is saved is positive": lambda *shape: left(*shape) - 1,
    "it is rounded to two decimals: return all digits": lambda *shape: round(1 - left(*shape), 2),
    "it is rounded to three decimals: return all digits": lambda *shape: round(1 - left(*shape), 3),
}


class Halves(nn.Module):
    """A stride-2 convolution and a max pool, of which one makes both halves of the output."""

    def __init__(self, conv: nn.Module, *, pooled: bool) -> None:
        super().__init__()
        self.conv, self.pooled = conv, pooled

    def forward(self, x: Tensor) -> Tensor:
        half = max_pool2d(x, 3, 2) if self.pooled else self.conv(x)
        return torch.cat([half, half], dim=1)


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
        "the convolution runs on the full grid, which costs four times as much: give it stride 2": (
            lambda: nn.Sequential(convolved(2 * c, padding=1), pool)
        ),
        "all 2c channels are convolved; half of them come from a max pool of the input": (
            lambda: convolved(2 * c, stride=2)
        ),
        "the average is pooled, expected the maximum": (
            lambda: Concat(conv=convolved(c, stride=2), pool=nn.AvgPool2d(3, 2))
        ),
        "its pool is 2x2, expected 3x3": (
            lambda: Concat(conv=convolved(c, stride=2), pool=nn.MaxPool2d(2))
        ),
        "a ReLU stands behind the joining and cuts what the pool puts out below 0": (
            lambda: nn.Sequential(Concat(conv=convolved(c, stride=2), pool=pool), nn.ReLU())
        ),
        "both halves come from the pool, and the convolution is not used": (
            lambda: Halves(convolved(c, stride=2), pooled=True)
        ),
        "both halves come from the convolution, and nothing from the pool": (
            lambda: Halves(convolved(c, stride=2), pooled=False)
        ),
    }
