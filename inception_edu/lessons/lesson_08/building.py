"""Lesson 08: what is wrong with a network that is to be Inception v3, in words.

It is followed layer by layer beside the package's; then the right one's weights go into it, and
what it puts out and learns is compared, with and without its aux head.
"""

import torch
from torch import Tensor, nn

from inception_edu import factorised, inception_v3
from inception_edu.exercises.comparing import other_epsilon, prepare
from inception_edu.exercises.judging import calls, same
from inception_edu.lessons.lesson_08 import dataflow, plain

SETTINGS = (
    dict(num_classes=10, width=1 / 24),
    dict(num_classes=3, width=0.06),
    dict(num_classes=7, width=1 / 32),
)
PARAMETERS = 27_161_264  # of the network called without arguments
LISTED = "keep layers in nn.Sequential, nn.ModuleList or nn.ModuleDict, not in a Python list"
OURS = (
    plain.InceptionV3.__init__,
    inception_v3.InceptionV3.__init__,
    inception_v3.blocks,
    factorised.AuxHead.__init__,
)


def check_inception_v3(build: type[nn.Module]) -> str | None:
    """`build(num_classes, width)` is the network whose weights torchvision has."""
    if isinstance(build, nn.Module):
        return "it is a network already, expected the class, which is called with num_classes"
    with torch.device("meta"):
        if calls(lambda: build(num_classes=10), *OURS):
            return "it calls the package's network: assemble it from the blocks yourself"
    for setting in SETTINGS:
        if why := other_network(build(**setting), plain.InceptionV3(**setting)):
            called = ", ".join(f"{name}={value:.3g}" for name, value in setting.items())
            return f"with {called}: {why}"
    with torch.device("meta"):
        count = sum(p.numel() for p in build().parameters())
    if count != PARAMETERS:
        return f"called without arguments it has {count:,} parameters, expected {PARAMETERS:,}"
    return None


def other_network(answer: nn.Module, right: nn.Module) -> str | None:
    """How a network of any make differs from the right one, both in training mode with an aux head
    and in evaluation mode without."""
    if not isinstance(answer, nn.Module):
        return f"calling the class must make an nn.Module, got {str(answer)[:60]!r}"
    if why := other_epsilon(answer):
        return why
    prepare(answer, torch.float64), prepare(right, torch.float64)
    x = torch.randn(3, 3, 299, 299, dtype=torch.float64)
    theirs = dataflow.traced(right.train(), x)
    try:
        mine = dataflow.traced(answer.train(), x)
        with torch.no_grad():
            outputs = answer(x)
    except (RuntimeError, ValueError, IndexError) as error:
        if "scalar type" in str(error):  # prepare() reached its parameters alone
            return f"it computes with weights that its parameters() do not list: {LISTED}"
        before = getattr(error, "nodes", [])
        why = dataflow.difference(before, theirs, right, begun=True)
        return why or f"its pass stops after {before[-1] if before else 'nothing'} ({error})"
    if why := wrong_outputs(outputs, theirs):
        return why
    why = dataflow.difference(mine, theirs, right) or other_order(mine, theirs)
    why = why or other_count("norms", mine, theirs, right) or not_used(answer, right)
    if why:
        return why
    pairs = list(dataflow.pairs(mine, theirs))
    with torch.no_grad():
        for own, other in pairs:
            if other.ndim > 1:
                other.normal_(0, (2 / other[0].numel()) ** 0.5)
            else:
                other.uniform_(0.5, 1.5)
            own.copy_(other)
    weights = [(a, b) for a, b in pairs if isinstance(b, nn.Parameter) or b.requires_grad]
    return (
        other_numbers(answer.eval(), right.eval(), weights, torch.randn(2, 3, 139, 107).double())
        or other_numbers(answer.train(), right.train(), weights, x)
        or other_dropout(mine)
    )


def wrong_outputs(outputs: object, theirs: list[dataflow.Node]) -> str | None:
    """What is wrong with what comes out while it trains."""
    classes = theirs[-1].channels
    wanted = f"while it trains, return (logits, aux logits), both of shape (n, {classes})"
    if not isinstance(outputs, (tuple, list)) or len(outputs) != 2:
        return f"{wanted}; it returns {type(outputs).__name__}"
    if not all(isinstance(out, Tensor) and out.shape == (3, classes) for out in outputs):
        return f"{wanted}; got {[tuple(getattr(out, 'shape', ())) for out in outputs]}"
    return None


def other_order(mine: list[dataflow.Node], theirs: list[dataflow.Node]) -> str | None:
    """Whether the same layers lead to the outputs in another order."""
    if {(n.up, n.down) for n in mine} == {(n.up, n.down) for n in theirs}:
        return None
    return "while it trains, return (logits, aux logits); it returns the aux logits first"


def not_used(answer: nn.Module, right: nn.Module) -> str | None:
    """Parameters beside those of the layers that run, or shared by some of them."""
    count, wanted = (sum(p.numel() for p in n.parameters()) for n in (answer, right))
    if count == wanted:
        return None
    few = f"{LISTED}, and make each block anew"
    advice = "some of its layers are not used" if count > wanted else few
    return f"it has {count:,} parameters, expected {wanted:,}: {advice}"


def other_numbers(
    answer: nn.Module, right: nn.Module, weights: list[tuple[Tensor, Tensor]], x: Tensor
) -> str | None:
    """How outputs or gradients differ, though all weights are the right one's. While they train,
    the aux logits alone are compared, since dropout draws the others."""
    found, expected = answer(x), right(x)
    when, what = "for use", "logits"
    if right.training:
        (_, found), (_, expected) = found, expected
        when, what = "while it trains", "aux logits"
    elif not isinstance(found, Tensor):
        return f"in evaluation mode return the logits alone, got {type(found).__name__}"
    if not same(found, expected):
        return suspicion(answer, right) or f"its {what} {when} differ, with the right weights in it"
    if not found.requires_grad:
        return f"no gradient flows back from its {what}: something is detached"
    along = torch.randn_like(expected)
    mine, theirs = (
        torch.autograd.grad(out, [pair[i] for pair in weights], along, allow_unused=True)
        for i, out in enumerate((found, expected))
    )
    largest = max(b.abs().max().item() for b in theirs if b is not None)
    for a, b in zip(mine, theirs, strict=True):
        if not agree(a, b, 1e-6 * largest):
            return f"its {what} are right, but its weights learn something else: is one detached?"
    return None


def agree(a: Tensor | None, b: Tensor | None, noise: float) -> bool:
    """Whether two gradients are the same. What batch norm undoes, as the scale of the weights
    before it, has a gradient of 0, which is computed as noise."""
    if a is None or b is None:
        return a is b or (a if b is None else b).abs().max().item() <= noise
    return (a - b).abs().max().item() <= 1e-3 * max(b.abs().max().item(), noise)


def other_count(
    what: str, mine: list[dataflow.Node], theirs: list[dataflow.Node], right: nn.Module
) -> str | None:
    """The first convolution that has not as many "norms" or "relus" behind it as it should."""
    places = dataflow.named(theirs, right)
    own = {(node.up, node.down): node for node in mine}
    for node in theirs:
        has, wanted = getattr(own[node.up, node.down], what), getattr(node, what)
        if node.kind == "convolution" and has != wanted:
            name = {"norms": "batch norms", "relus": "ReLUs"}[what]
            return f"in {places[node]}, {node} has {has} {name} behind it, expected {wanted}"
    return None


def suspicion(answer: nn.Module, right: nn.Module) -> str | None:
    """What is likely to be wrong where all layers with weights are in their places."""
    x = torch.randn(3, 3, 299, 299, dtype=torch.float64)
    traces = [dataflow.traced(network.train(), x) for network in (answer, right)]
    return other_count("relus", *traces, right)


def other_dropout(nodes: list[dataflow.Node]) -> str | None:
    """Whether half of what enters the linear layer of the head is dropped while it trains."""
    head = max((n for n in nodes if n.kind == "linear layer"), key=lambda n: n.size[1])
    dropped = (head.entering == 0).double().mean().item()
    if 0.3 < dropped < 0.7:
        return None
    return (
        f"while it trains, {dropped:.0%} of the values that enter the last linear layer are 0, "
        "expected half: dropout 0.5 stands before it"
    )
