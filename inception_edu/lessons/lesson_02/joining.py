"""Lesson 02: which tensors a block joins on the channel axis, whatever it is made of."""

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

JOIN = (torch.cat, torch.concat, torch.concatenate, torch.hstack)


class Joins(TorchFunctionMode):
    """Notes what is joined while it is entered: (parts, result) of each join."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[list[Tensor], Tensor]] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function in JOIN:
            parts = list(args[0] if args else kwargs["tensors"])
            self.made.append((parts, result))
        return result


def joined(block: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """A block's output, and the branches' outputs that were joined into as many channels; joins of
    joins are taken apart. No branches where it joins nothing so."""
    with Joins() as joins:
        out = block(x.clone())  # which may work in place
    of = {id(result): parts for parts, result in joins.made}
    whole = [
        parts
        for parts, result in joins.made
        if result.shape == out.shape and sum(part.shape[1] for part in parts) == out.shape[1]
    ]
    return out, _leaves(whole[-1], of) if whole else []


def _leaves(parts: list[Tensor], of: dict[int, list[Tensor]]) -> list[Tensor]:
    return [leaf for p in parts for leaf in (_leaves(of[id(p)], of) if id(p) in of else [p])]
