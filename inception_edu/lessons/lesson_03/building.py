"""Lesson 03: what is wrong with a network that is to be Table 1's, in words.

Its rows are compared one by one, which names the mistake; then what it computes.
"""

from functools import cache

import torch
from torch import Tensor, nn

from inception_edu import googlenet
from inception_edu.exercises.judging import calls
from inception_edu.lessons.lesson_03 import computing, plain
from inception_edu.lessons.lesson_03.rows import COMPUTED, OVER_ANY_GRID, Build, Part, recorded

COMPUTING = (
    dict(num_classes=10, norm=False, k5=3, pool4=3),
    dict(num_classes=3, norm=True, k5=7, pool4=2),
)
SETTINGS = dict(), *COMPUTING, dict(num_classes=7, norm=True, k5=5, pool4=4)
OURS = googlenet.GoogLeNet.__init__, googlenet.blocks, googlenet.stem, plain.GoogLeNet.__init__
ADVICE = {
    "avgpool": OVER_ANY_GRID,
    "linear": ": it takes (n, channels), so flatten what the average pool leaves",
}


def check_googlenet(build: Build) -> str | None:
    """`build(num_classes, norm, k5, pool4)` is the network of Table 1."""
    with torch.device("meta"):
        if calls(build, *OURS):
            return "it calls the package's GoogLeNet: walk the table yourself"
    for setting in SETTINGS:
        if why := other_rows(build, setting):
            called = ", ".join(f"{name}={value}" for name, value in setting.items())
            return f"with {called}: {why}" if setting else why
    whys = [lambda: computing.other_sums(build)]
    whys += [lambda s=setting: computing.other_outputs(build, s) for setting in COMPUTING]
    whys += [lambda: computing.other_training(build)]
    return next(filter(None, (why() for why in whys)), None)


def other_rows(build: Build, setting: dict) -> str | None:
    """The first row of Table 1 in which a network differs, found on the meta device."""
    with torch.device("meta"):
        network = build(**setting)
    if not isinstance(network, nn.Module):
        return f"calling the class must make an nn.Module, got {str(network)[:60]!r}"
    try:
        recorder, out = recorded(network.eval())
    except (RuntimeError, ValueError, IndexError) as error:
        return stopped(error, expected(**setting))
    if not isinstance(out, Tensor):
        return f"it returns {type(out).__name__}, expected the logits alone, a tensor"
    weights = (layer[0] for part in recorder.parts for layer in part.layers)
    if strangers := [w for w in weights if w.ndim == 4 and not _registered(w, network)]:
        return (
            f"it computes with {len(strangers)} convolutions that its parameters() do not list: "
            "keep layers in nn.Sequential, nn.ModuleList or nn.ModuleDict, not in a Python list"
        )
    classes = setting.get("num_classes", 1000)
    if why := first_difference(recorder.parts, expected(**setting)):
        return why
    if out.shape != (1, classes):
        return f"it returns shape {tuple(out.shape)}, expected (1, {classes})"
    count = sum(p.numel() for p in network.parameters())
    wanted = sum(t.numel() for p in expected(**setting) for layer in p.layers for t in layer)
    if count != wanted:
        why = "are not used" if count > wanted else "share their weights"
        return f"it has {count:,} parameters, expected {wanted:,}: some of its layers {why}"
    return None


def stopped(error: Exception, right: list[Part]) -> str:
    """Where a network's pass has ended with an error, unless an earlier row is wrong."""
    before = error.recorder.parts
    if why := first_difference(before, right, begun=True):
        return why
    row = [*COMPUTED, "softmax"][min(len(before), len(COMPUTED))]
    advice = ADVICE.get(row, f": {before[-1].output[2] if before else 3} channels enter it")
    return f"its pass stops in row {row} ({error}){advice}"


@cache
def expected(**setting: object) -> list[Part]:
    """The parts of the right network."""
    with torch.device("meta"):
        return recorded(plain.GoogLeNet(**setting).eval())[0].parts


def _registered(weight: Tensor, network: nn.Module) -> bool:
    return any(weight is own for own in network.parameters())


def first_difference(parts: list[Part], right: list[Part], *, begun: bool = False) -> str | None:
    """The first row whose part differs from that of the right network; None where all agree. The
    average pool is left to what is computed. `begun`: what is missing is no fault."""
    parts = [part for part in parts if part.kind != "avg pool"]
    names = [name for name in COMPUTED if name != "avgpool"]
    wanted = [part for part in right if part.kind != "avg pool"]
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
        return f"batch norms in row {name}: {part.norms}, expected {ours.norms}"
    if part.biases != ours.biases:
        return f"layers with a bias in row {name}: {part.biases}, expected {ours.biases}"
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
