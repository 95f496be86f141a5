"""Which weight of a network stands for which of another one's, whatever their names and order."""

import time
from collections.abc import Iterator
from itertools import permutations, takewhile

from torch import Tensor, nn

SECONDS = 8  # for which ways to match weights of equal shapes are tried
Layer = list[nn.Parameter]


def matches(
    answer: nn.Module, reference: nn.Module, x: Tensor
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Every way to give the answer the reference's weights: whole layers of equal shapes change
    places, in the order of use first."""
    for mine, theirs in zip(_layers(answer, x), _layers(reference, x), strict=True):
        if sorted(map(_kind, mine)) == sorted(map(_kind, theirs)):
            break
    groups = [
        ([m for m in mine if _kind(m) == kind], [t for t in theirs if _kind(t) == kind])
        for kind in dict.fromkeys(map(_kind, theirs))
    ]
    end = time.monotonic() + SECONDS
    orders = _orders([len(own) for own, _ in groups])
    for order in takewhile(lambda _: time.monotonic() < end, orders):
        yield [
            pair
            for (own, others), places in zip(groups, order, strict=True)
            for layer, place in zip(own, places, strict=True)
            for pair in zip(layer, others[place], strict=True)
        ]


def _orders(sizes: list[int]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The places of every group's layers in every order, one after the other."""
    if not sizes:
        yield ()
        return
    for first in permutations(range(sizes[0])):
        for rest in _orders(sizes[1:]):
            yield first, *rest


def _layers(network: nn.Module, x: Tensor) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """The parameters in the order in which they are used: of each layer, a norm's with those of
    the layer before it; of each module by itself; one by one."""
    used: list[nn.Module] = []
    hooks = [m.register_forward_pre_hook(lambda m, _: used.append(m)) for m in network.modules()]
    network(x.detach().clone())
    for hook in hooks:
        hook.remove()
    together: list[Layer] = []
    modules = [
        list(m.parameters(recurse=False)) for m in dict.fromkeys([*used, *network.modules()])
    ]
    modules = [own for own in modules if own]
    for own in modules:
        if together and all(p.ndim == 1 for p in own):
            together[-1] = together[-1] + own
        else:
            together.append(own)
    return together, modules, [[p] for own in modules for p in own]


def _kind(layer: Layer) -> tuple:
    return tuple(tuple(p.shape) for p in layer)
