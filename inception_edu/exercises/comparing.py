"""How networks are made ready to be compared, and how they differ where one comparison in use does
not show it: for large inputs, and while they train."""

import math
from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

LARGEST_EPSILON = 0.1  # of a norm; PyTorch's is 1e-5, TensorFlow's 1e-3
LARGE = 30.0  # times a standard normal input: far above the 6 at which ReLU6 ends


def settle(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Have the lazy layers of a network make their weights, by a first pass."""
    if any(isinstance(p, UninitializedParameter) for p in network.parameters()):
        with torch.no_grad():
            network.eval()(torch.randn(shape))


def prepare(network: nn.Module, dtype: torch.dtype) -> None:
    """Have it compute in one precision, as in use, with one epsilon in every norm."""
    for module in network.to(dtype).eval().modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5


def spread(network: nn.Module) -> None:
    """Weights that let everything reach the output: no bias is 0, no two are alike, and no layer
    makes what passes it so small that a mistake behind it would not show."""
    norms = {id(getattr(m, "weight", None)) for m in network.modules() if hasattr(m, "eps")}
    with torch.no_grad():
        for p in network.parameters():
            if id(p) in norms:
                p.uniform_(0.5, 1.5)
            else:
                p.normal_(0, math.sqrt(2 / p[0].numel()) if p.ndim > 1 else 0.5)


def same(found: Tensor, right: Tensor, rtol: float = 1e-4) -> bool:
    """Whether two tensors agree in shape and, in units of the largest right value, in numbers."""
    found, right = found.detach().double(), right.detach().double()
    scale = max(right.abs().max().item(), 1e-12) if right.numel() else 1.0
    return found.shape == right.shape and bool((found - right).abs().le(rtol * scale).all())


def orders(right: Tensor, channels: Sequence[int]) -> list[Tensor]:
    """A right output with its branches joined in every order, if their widths are given."""
    if not channels:
        return [right]
    return [torch.cat(order, 1) for order in permutations(right.split(tuple(channels), dim=1))]


def _alike(found: Tensor, right: Tensor, channels: Sequence[int]) -> bool:
    """Whether two outputs agree, in any order of the branches if their widths are given."""
    return any(same(found, joined, 1e-3) for joined in orders(right, channels))


def other_epsilon(network: nn.Module) -> str | None:
    """Whether a number of channels was taken for a norm's epsilon."""
    largest = max((getattr(module, "eps", 0) or 0 for module in network.modules()), default=0)
    if largest <= LARGEST_EPSILON:
        return None
    return (
        f"a norm in it has an epsilon of {largest:g}: nn.BatchNorm2d takes one number of "
        "channels, and a second number is its eps"
    )


@torch.no_grad()
def other_for_large(
    answer: nn.Module, right: nn.Module, x: Tensor, channels: Sequence[int] = ()
) -> str | None:
    """How a network that is right for x differs from the right one with the same weights for much
    larger inputs."""
    large = LARGE * x
    if _alike(answer(large.clone()), right(large.clone()), channels):
        return None
    return "with large inputs it puts out something else: a ReLU has no upper limit"


@torch.no_grad()
def other_training(
    answer: nn.Module, right: nn.Module, x: Tensor, channels: Sequence[int] = ()
) -> str | None:
    """How a network that is right in use differs from the right one with the same weights while it
    trains, where neither draws anything. Both are left in evaluation mode."""
    try:
        answer.train(), right.train()
        once, again = (answer(x.clone()) for _ in range(2))
        if not _alike(once, again, ()):
            return "in training mode its output changes with each call: dropout has no place here"
        if not _alike(once, right(x.clone()), channels):
            return "in evaluation mode it is right, but in training mode its output differs"
    finally:
        answer.eval(), right.eval()
    return None
