"""By what a check judges a function or a network: what it puts out and its gradients, against an
independent route with the same weights, whatever it is made of and in whatever order."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from inception_edu.exercises.comparing import (
    orders,
    other_epsilon,
    other_for_large,
    other_training,
    prepare,
    same,
    settle,
    spread,
)
from inception_edu.exercises.matching import matches

WIRING = (  # said of a network that has the right weights: a lesson may know the mistake by name
    "its weights have the correct shapes, but with the correct values it puts out something "
    "else: look at paddings, strides, pools, activations and what is joined"
)


def calls(answer: Callable[[], object], *ours: Callable) -> bool:
    """Whether a call runs one of these functions of ours: who calls the solution did not write it.
    What the call raises is left to the check that follows."""
    codes, seen, before = {function.__code__ for function in ours}, set(), sys.getprofile()
    sys.setprofile(lambda frame, event, about: seen.add(frame.f_code))
    try:
        answer()
    except Exception:
        pass
    finally:
        sys.setprofile(before)
    return bool(codes & seen)


def other_function(
    answer: Callable[..., Tensor], right: Callable[..., Tensor], *given: Tensor, rtol: float = 1e-4
) -> str | None:
    """How a function differs from the right one, in what it returns for some tensors or in the
    gradients with respect to those of them that need gradients; None if it does not."""
    mine, theirs = _leaves(given), _leaves(given)
    found, expected = answer(*mine), right(*theirs)
    if not isinstance(found, Tensor):
        return f"it returns {str(found)[:60]!r}, expected a tensor of shape {tuple(expected.shape)}"
    if found.shape != expected.shape:
        return f"it returns shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    if not same(found, expected, rtol):
        return f"it returns {_first(found, expected, rtol)}"
    if not any(x.requires_grad for x in mine):
        return None
    if not found.requires_grad:
        return "its numbers are correct, but no gradient flows back: something is detached"
    along = torch.rand_like(expected) + 0.5
    for one, output in ((mine, found), (theirs, expected)):
        for x in one:
            if x.requires_grad:
                x.grad = torch.zeros_like(x)
        output.backward(along.to(output.dtype))
    pairs = [(x.grad, y.grad) for x, y in zip(mine, theirs, strict=True) if x.requires_grad]
    if not all(same(a, b, 10 * rtol) for a, b in pairs):
        return "its numbers are correct, but its gradients are others: something is detached"
    return None


def other_network(
    answer: nn.Module,
    right: Callable[[], nn.Module],
    shape: tuple[int, ...],
    *,
    channels: Sequence[int] = (),
    training: bool = False,
) -> str | None:
    """How a network differs from the right one: its weights, or with the right one's weights its
    outputs for random images of a shape (n, c, h, w), or their gradients; None if it does not.

    Modules of any make and dtype will do, with their weights declared in any order, and with any
    small epsilon in a norm. `channels` are the branches' widths if they may be joined in any order;
    `training` compares them while they train, too, if neither has a dropout.
    """
    reference, x = right(), torch.randn(shape, requires_grad=True)
    if not isinstance(answer, nn.Module):
        return f"return an nn.Module, got {str(answer)[:60]!r}"
    settle(answer, shape)
    if why := other_epsilon(answer):
        return why
    prepare(answer, x.dtype), prepare(reference, x.dtype)
    if why := _other_weights(answer, reference):
        return why
    spread(reference)
    expected, found = reference(x), _passed(answer, x)
    if isinstance(found, str):
        return found
    if not isinstance(found, Tensor) or found.shape != expected.shape:
        seen = tuple(found.shape) if isinstance(found, Tensor) else str(found)[:60]
        return f"{tuple(x.shape)} becomes {seen}, expected {tuple(expected.shape)}"
    compared = (answer, reference, x.detach(), channels)
    why = _with_the_same_weights(answer, reference, x, channels) or other_for_large(*compared)
    return why or (other_training(*compared) if training else None)


def _with_the_same_weights(
    answer: nn.Module, reference: nn.Module, x: Tensor, channels: Sequence[int]
) -> str | None:
    """How outputs or gradients differ, with the reference's weights in the answer: they stay in it
    where nothing differs."""
    expected = reference(x)
    for pairs in matches(answer, reference, x):
        with torch.no_grad():
            for mine, theirs in pairs:
                mine.copy_(theirs)
            found = answer(x.clone())
        for joined in orders(expected, channels):
            if same(found, joined):
                return _other_gradients(answer, pairs, joined, x)
    return WIRING


def _passed(answer: nn.Module, x: Tensor) -> Tensor | str:
    """What a network puts out for a copy of x, or a sentence where tensors do not fit together."""
    try:
        return answer(x.clone())
    except RuntimeError as error:
        if "Sizes of tensors must match except in dimension 1" not in str(error):
            raise
        return (
            "it joins grids of different heights or widths, which cannot be: look at the strides "
            "and paddings of its branches"
        )


def mistaken_for(
    answer: nn.Module,
    mistakes: Mapping[str, Callable[[], nn.Module]],
    shape: tuple[int, ...],
    channels: Sequence[int] = (),
) -> str | None:
    """The mistake whose network, beside it in `mistakes`, a network is to the number, if any."""
    for why, build in mistakes.items():
        if not other_network(answer, build, shape, channels=channels):
            return why
    return None


def _other_weights(answer: nn.Module, reference: nn.Module) -> str | None:
    mine, theirs = (sorted(tuple(p.shape) for p in m.parameters()) for m in (answer, reference))
    extra, missing = _without(mine, theirs), _without(theirs, mine)
    if not extra and not missing:
        return None
    count, right = (sum(math.prod(s) for s in shapes) for shapes in (mine, theirs))
    said = [f"it has {count:,} parameters, expected {right:,}"]
    if count == right:
        said = [f"its {count:,} parameters are as many as expected, but in other shapes"]
    said += ["layers in a plain Python list do not count"] * (not mine)
    said += [f"weights of shape {shape} are not expected" for shape in extra[:1]]
    said += [f"weights of shape {shape} are missing" for shape in missing[:1]]
    return "; ".join(said)


def _without(shapes: list[tuple], others: list[tuple]) -> list[tuple]:
    """The shapes of a list that another list does not hold as often."""
    left = list(others)
    return [shape for shape in shapes if shape not in left or left.remove(shape)]


def _other_gradients(
    answer: nn.Module, pairs: list[tuple[Tensor, Tensor]], expected: Tensor, x: Tensor
) -> str | None:
    """Whether gradients differ, where outputs agree: something is detached."""
    along, found = torch.rand_like(expected), answer(x.clone())
    if not found.requires_grad:
        return "it puts out the correct numbers, but no gradient flows back to its weights"
    mine = torch.autograd.grad(found, [*(m for m, _ in pairs), x], along, allow_unused=True)
    right = torch.autograd.grad(expected, [*(t for _, t in pairs), x], along, allow_unused=True)
    said = [f"weights of shape {tuple(m.shape)} learn something else" for m, _ in pairs]
    for why, a, b in zip([*said, "its input gets other gradients"], mine, right, strict=True):
        if (a is None) != (b is None) or (a is not None and not same(a, b, 1e-3)):
            return f"its outputs are correct, but {why}: something is detached"
    return None


def _leaves(given: Sequence[Tensor]) -> list[Tensor]:
    return [x.detach().clone().requires_grad_(x.requires_grad) for x in given]


def _first(found: Tensor, right: Tensor, rtol: float) -> str:
    """The first number that differs, where it stands, and what it should be."""
    scale = rtol * max(right.abs().max().item(), 1e-12)
    wrong = ((found - right).abs() > scale) | found.isnan()
    if not found.ndim:
        return f"{found:.4f}, expected {right:.4f}"
    place = tuple(wrong.nonzero()[0].tolist())
    return f"{found[place]:.4f} at {place}, expected {right[place]:.4f}"
