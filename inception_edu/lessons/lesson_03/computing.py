"""Lesson 03: what is wrong with a network whose rows are Table 1's, in words: what has no weights
and changes no shape is found by what comes out, and by what goes back."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises.judging import other_network, same
from inception_edu.exercises.matching import matches
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import plain
from inception_edu.lessons.lesson_03.rows import COMPUTED, OVER_ANY_GRID, Build, Recorder

SHAPE = (2, 3, 40, 56)
PARAMS, MACS, DEPTH = 6_998_552, 1_582_671_872, 22


def other_sums(build: Build) -> str | None:
    """Parameters, multiply-adds and depth of the network as it is called without arguments."""
    with torch.device("meta"):
        network, image = build().eval(), torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as flops:
        out = network(image)
    if out.grad_fn is None:
        return "no gradient flows back from its logits: something is detached"
    params = sum(p.numel() for p in network.parameters())
    found = params, flops.get_total_flops() // 2, shared.longest_path(out)
    units = "parameters", "multiply-adds at 224 x 224", "layers with weights on the longest way"
    for here, right, unit in zip(found, (PARAMS, MACS, DEPTH), units, strict=True):
        if here != right:
            return f"it has {here:,} {unit}, expected {right:,}"
    return None


def other_outputs(build: Build, setting: dict) -> str | None:
    """What the network computes and learns, beside the right one with the same weights."""
    network, x = build(**setting).eval(), torch.randn(SHAPE)
    with torch.no_grad():
        try:
            first, again = network(x), network(x)
        except RuntimeError as error:
            return f"images of 40 x 56 pixels stop it ({error}){OVER_ANY_GRID}"
    if not same(first, again):
        return "it puts out something else every time: dropout works in training alone (nn.Dropout)"
    if (why := suspicion(network)) and not agrees(network, setting):
        return why
    return other_network(network, lambda: plain.GoogLeNet(**setting), SHAPE)


def suspicion(network: nn.Module) -> str | None:
    """What may be wrong by the operations that a network runs, although its rows are right."""
    recorder = Recorder()
    with recorder, torch.no_grad():
        network(torch.zeros(SHAPE))
    if recorder.strange & {"_softmax", "_log_softmax"}:
        return (
            "it returns a softmax: return the logits, since PyTorch's cross-entropy has the "
            "softmax in it"
        )
    if recorder.strange:
        return "it normalises responses (LRN), which Table 1 does not list: leave it to section 7"
    if len(recorder.parts) < len(COMPUTED):
        return "row avgpool is missing: the linear layer takes each channel's mean over the grid"
    for name, part, after in zip(COMPUTED, recorder.parts, recorder.parts[1:], strict=False):
        there, relus = len(part.weights), part.relus
        relus += after.relus if after.kind == "max pool" else 0  # which may stand before it, too
        if relus < there:
            return f"row {name} has {there} convolutions and {relus} ReLUs: one follows each"
    return None


def agrees(network: nn.Module, setting: dict) -> bool:
    """Whether it puts out the same as the right one, with its weights in the order of use."""
    right, x = plain.GoogLeNet(**setting).eval(), 100 * torch.randn(SHAPE)  # LRN does something
    with torch.no_grad():
        for mine, theirs in next(matches(network, right, x)):
            mine.copy_(theirs)
        return same(network(x), right(x))


def other_training(build: Build) -> str | None:
    """Whether the dropout of Table 1 is there: 40 % of what enters the linear layer."""
    network, x, entering = build(), torch.randn(8, 3, 64, 64), []
    for training in (False, True):
        network.train(training)
        with Recorder() as recorder, torch.no_grad():
            network(x)
        entering.append(recorder.entering)
    there = entering[0] != 0
    dropped = (entering[1][there] == 0).float().mean().item()
    if abs(dropped - 0.4) < 0.05:
        return None
    return (
        f"while it trains, {dropped:.0%} of the values that enter the linear layer are set to 0, "
        "expected 40 %: that is the row dropout"
    )
