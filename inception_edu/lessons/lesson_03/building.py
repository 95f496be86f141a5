"""Lesson 03: what is wrong with a network that is to be Table 1's, in words.

Its rows are compared first, which names a mistake; then outputs and gradients with the same
weights, which finds what has no weights and changes no shape.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu import googlenet
from inception_edu.exercises.judging import calls, other_network, same
from inception_edu.exercises.matching import matches
from inception_edu.googlenet import TABLE_1
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import plain
from inception_edu.lessons.lesson_03.rows import COMPUTED, Part, Recorder, recorded

Build = Callable[..., nn.Module]
COMPUTING = (
    dict(num_classes=10, norm=False, k5=3, pool4=3),
    dict(num_classes=3, norm=True, k5=7, pool4=2),
)
SETTINGS = dict(), *COMPUTING, dict(num_classes=7, norm=True, k5=5, pool4=4)
SHAPE = (2, 3, 40, 56)
OURS = googlenet.GoogLeNet.__init__, googlenet.blocks, googlenet.stem, plain.GoogLeNet.__init__
ADVICE = {
    "avgpool": ": take the mean over whatever grid there is",
    "linear": ": it takes (n, channels), so flatten what the average pool leaves",
}
PARAMS, MACS, DEPTH = 6_998_552, 1_582_671_872, 22


def check_googlenet(build: Build) -> str | None:
    """`build(num_classes, norm, k5, pool4)` is the network of Table 1."""
    with torch.device("meta"):
        if calls(build, *OURS):
            return "it calls the package's GoogLeNet: walk the table yourself"
    for setting in SETTINGS:
        if why := other_rows(build, setting):
            called = ", ".join(f"{name}={value}" for name, value in setting.items())
            return f"with {called}: {why}" if setting else why
    if why := other_sums(build):
        return why
    return next(filter(None, (other_outputs(build, s) for s in COMPUTING)), None) or other_training(
        build
    )


def other_rows(build: Build, setting: dict) -> str | None:
    """The first row of Table 1 in which a network differs, found on the meta device."""
    with torch.device("meta"):
        network, right = build(**setting), plain.GoogLeNet(**setting).eval()
    if not isinstance(network, nn.Module):
        return f"calling the class must make an nn.Module, got {str(network)[:60]!r}"
    try:
        recorder, out = recorded(network.eval())
    except (RuntimeError, ValueError, IndexError) as error:
        if (why := first_difference(error.recorder.parts, right, begun=True)) is None:
            before = error.recorder.parts
            row, c = [*COMPUTED, "softmax"][len(before)], before[-1].output[2] if before else 3
            advice = ADVICE.get(row, f": {c} channels enter it")
            why = f"its pass stops in row {row} ({error}){advice}"
        return why
    if strangers := [w for w in recorder.weights if not _registered(w, network)]:
        return (
            f"it computes with {len(strangers)} convolutions that its parameters() do not list: "
            "keep layers in nn.Sequential, nn.ModuleList or nn.ModuleDict, not in a Python list"
        )
    classes = setting.get("num_classes", 1000)
    if why := first_difference(recorder.parts, right):
        return why
    if not isinstance(out, Tensor) or out.shape != (1, classes):
        seen = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"{type(out).__name__}"
        return f"it returns {seen}, expected the logits alone, of shape (1, {classes})"
    count, wanted = (sum(p.numel() for p in n.parameters()) for n in (network, right))
    if count != wanted:
        return f"it has {count:,} parameters, expected {wanted:,}: some of its layers are not used"
    return None


def _registered(weight: Tensor, network: nn.Module) -> bool:
    return any(weight is own for own in network.parameters())


def first_difference(parts: list[Part], right: nn.Module, *, begun: bool = False) -> str | None:
    """The first row whose part differs from that of the right network; None where all agree. The
    average pool is left to what is computed. `begun`: what is missing is no fault."""
    parts = [part for part in parts if part.kind != "avg pool"]
    names = [name for name in COMPUTED if name != "avgpool"]
    wanted = [part for part in recorded(right)[0].parts if part.kind != "avg pool"]
    for i, (name, ours) in enumerate(zip(names, wanted, strict=True)):
        if i >= len(parts):
            return None if begun else f"row {name} ({ours.kind}) is missing"
        if why := other_part(name, parts[i], ours):
            return why
    more = len(parts) - len(wanted)
    return f"{more} more parts follow row linear, the last with weights" if more > 0 else None


def other_part(name: str, part: Part, ours: Part) -> str | None:
    """How a part of a network differs from the row of that name."""
    printed = "x".join(map(str, ours.output))
    if part.kind != ours.kind:
        return f"in the place of row {name}, {ours.kind}, the network has: {part.kind}"
    if name == "conv2" and len(part.weights) == 1:
        return (
            "row conv2 lacks its 1x1: the column #3x3 reduce says 64, so a 1x1 to 64 channels "
            "stands before the 3x3"
        )
    extra, missing = _without(part.weights, ours.weights), _without(ours.weights, part.weights)
    if extra or missing:
        said = [f"has {_words(extra[0])}"] * bool(extra)
        said += [f"should have {_words(missing[0])}"] * bool(missing)
        return f"row {name} {' and '.join(said)}"
    if part.norms != ours.norms:
        return f"row {name} has {part.norms} batch norms, expected {ours.norms}"
    if part.biases != ours.biases:
        return f"row {name} has biases in {part.biases} layers, expected {ours.biases}"
    if part.window != ours.window:
        return f"row {name} pools windows of {part.window}, expected {ours.window}"
    if part.output != ours.output:
        why = f"row {name} puts out {'x'.join(map(str, part.output))}, expected {printed}"
        if ours.kind == "max pool" and not part.rounds_up:
            why += ": with ceil_mode=True the last window may reach over the edge"
        return why
    return None


def _words(weight: tuple[int, ...]) -> str:
    c_out, c_in, *kernel = weight
    layer = f"a {kernel[0]}x{kernel[1]}" if kernel else "a linear layer"
    return f"{layer} from {c_in} to {c_out} channels"


def _without(shapes: list[tuple], others: list[tuple]) -> list[tuple]:
    left = list(others)
    return [shape for shape in shapes if shape not in left or left.remove(shape)]


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
            return f"images of 40 x 56 pixels stop it ({error}){ADVICE['avgpool']}"
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
