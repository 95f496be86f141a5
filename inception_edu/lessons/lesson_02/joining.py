"""Lesson 02: what a block joins on the channel axis, whatever it is made of, and whether each of
its branches computes something of its own."""

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from inception_edu.layers import Concat

JOIN = (torch.cat, torch.concat, torch.concatenate, torch.hstack, torch.stack)


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
        if sum(p.shape[1] for p in parts) == out.shape[1] and result.numel() == out.numel()
    ]
    return out, _leaves(whole[-1], of) if whole else []


def _leaves(parts: list[Tensor], of: dict[int, list[Tensor]]) -> list[Tensor]:
    return [leaf for p in parts for leaf in (_leaves(of[id(p)], of) if id(p) in of else [p])]


def judge_branches(block: nn.Module, x: Tensor) -> tuple[int, list[str]]:
    """How many branches a block has on an input that needs gradients, and, a sentence for each,
    which of them do nothing of their own."""
    out, branches = joined(block, x)
    beside = torch.randn_like(x)  # the same pixel among other neighbours
    beside[..., 3, 3] = x.detach()[..., 3, 3]
    _, others = joined(block, beside)
    named = isinstance(block, Concat) and len(block) == len(branches)
    names = list(block) if named else [f"branch {i}" for i in range(1, len(branches) + 1)]
    weights = [p for p in block.parameters() if p.requires_grad]
    seen, found = [], []
    for name, branch, other in zip(names, branches, others, strict=True):
        own = reached(branch, weights)
        twin = [n for n, b, w in seen if own == w != set() or not own and torch.equal(branch, b)]
        alone = torch.equal(branch[..., 3, 3], other[..., 3, 3])
        if not reached(branch, [x]):
            found.append(f"{name} puts out the same for every image, or is detached from it")
        elif not reached(out, [branch]):
            found.append(f"{name} is joined, but does not reach the block's output")
        elif alone and not own:
            found.append(f"{name} has no weights and looks at no neighbour")
        elif twin:
            found.append(f"{name} has no layers of its own, they are those of {twin[0]}")
        seen.append((name, branch, own))
    return len(branches), found


def reached(output: Tensor, sources: list[Tensor]) -> set[int]:
    """Which of the sources an output depends on, by its gradients."""
    if not output.requires_grad or not sources:
        return set()
    along = torch.rand_like(output) + 0.5
    found = torch.autograd.grad(output, sources, along, retain_graph=True, allow_unused=True)
    return {i for i, grad in enumerate(found) if grad is not None and grad.any()}
