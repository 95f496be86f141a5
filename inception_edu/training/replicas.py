"""Copies of a network that compute beside it, and whether they can do so repeatably."""

import copy
import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inception_edu.training.devices import cpu_threads

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GENERATORS = (  # that all threads share: state, how to go back to it, the next number
    (torch.get_rng_state, torch.set_rng_state, lambda: torch.rand(()).item()),
    (random.getstate, random.setstate, random.random),
    (np.random.get_state, np.random.set_state, np.random.random),
)
CHANNELS = {nn.Dropout1d.forward: 3, nn.Dropout2d.forward: 4, nn.Dropout3d.forward: 5}


def replica(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy with the very same weights, whose layers of dropout draw from `generator`."""
    twin = copy.deepcopy(model)
    for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        mine.data = theirs.data
    for layer in twin.modules():
        if type(layer).forward in (nn.Dropout.forward, *CHANNELS):
            layer.forward = partial(drop, layer, generator)
    return twin


def drop(layer: nn.Module, generator: torch.Generator, x: Tensor) -> Tensor:
    """What a layer of dropout puts out for x, drawn from `generator`; 1d to 3d drop channels."""
    forward = type(layer).forward
    ndim = CHANNELS.get(forward, x.ndim)
    if not layer.training or x.ndim != ndim:
        return forward(layer, x)
    whole = x.new_empty(*x.shape[:2], *[1] * (ndim - 2)) if forward in CHANNELS else x
    keep = 1 - layer.p
    mask = torch.empty_like(whole).bernoulli_(keep, generator=generator).div_(keep or 1)
    return x.mul_(mask) if layer.inplace else x * mask


def unrepeatable(network: nn.Module, x: Tensor) -> str:
    """What would depend on timing if threads ran the network on several batches at once, as the
    end of a sentence that begins with "the network"; "" if nothing would.

    Tries one forward pass, in the mode that the network is in. Batch norm's statistics may change
    in it; where random numbers go on from is as it was.
    """
    layers = list(network.modules())
    if any(getattr(layer, hooks) for layer in layers for hooks in HOOKS):
        return "has hooks"
    attributes, buffers = [held(layer) for layer in layers], own_buffers(network)
    with cpu_threads(1), torch.no_grad():
        drew = draws(partial(network, x))
    if drew:
        return "draws random numbers outside of layers of dropout"
    if any(not torch.equal(value, own_buffers(network)[name]) for name, value in buffers.items()):
        return "changes buffers that are not batch norm's"
    for layer, old in zip(layers, attributes, strict=True):
        for name, (value, length) in held(layer).items():
            if name not in old or value is not old[name][0] or length != old[name][1]:
                return f"changes its attribute {name!r}"
    return ""


def draws(call: Callable[[], object]) -> bool:
    """Whether the call uses up global random numbers; they go on as if it had not been made."""

    def next_numbers() -> list[float]:
        return [draw() for _, _, draw in GENERATORS]

    def rewind() -> None:
        for state, (_, go_back, _) in zip(states, GENERATORS, strict=True):
            go_back(state)

    states = [get() for get, _, _ in GENERATORS]
    call()
    after = next_numbers()
    rewind()
    before = next_numbers()
    rewind()
    return after != before


def own_buffers(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers that are not batch norm's, by name."""
    norms = {name for name, layer in network.named_modules() if isinstance(layer, _BatchNorm)}
    buffers = network.named_buffers()
    return {name: b.clone() for name, b in buffers if name.rpartition(".")[0] not in norms}


def held(layer: nn.Module) -> dict[str, tuple[object, int | None]]:
    """A layer's attributes by name, and the length of those that can grow."""
    attributes = vars(layer).items()
    return {k: (v, len(v) if isinstance(v, (list, dict, set)) else None) for k, v in attributes}
