"""Lesson 03, GoogLeNet: its exercises, and the checks of the short ones."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torchvision import models

from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import numbers
from inception_edu.exercises.judging import same
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import plain, proof
from inception_edu.lessons.lesson_03.building import check_googlenet
from inception_edu.lessons.lesson_03.rows import recorded
from inception_edu.lessons.lesson_03.suspects import check_column, check_suspects

# Exercise 2: two heads

GRIDS = ((7, 1024, 1000), (5, 96, 10), (9, 640, 37), (3, 130, 2))  # side, channels, classes


def check_head_weights(answer: Callable[..., object]) -> str | None:
    """`head_weights(side, channels, classes)` gives the weights of both heads, biases left out."""
    said = [answer(*grid) for grid in GRIDS]
    pairs = [numbers(two, 2) for two in said]
    if None in pairs:
        return f"return two numbers, (connected, pooled), got {str(said[pairs.index(None)])[:60]}"
    for pair, grid in zip(pairs, GRIDS, strict=True):
        side, channels, classes = grid
        right = side * side * channels * classes, channels * classes
        if tuple(pair) != right:
            where = "for side={}, channels={}, classes={}".format(*grid)
            told = "you say {:,.12g} and {:,.12g}, expected {:,} and {:,}".format(*pair, *right)
            fixed = all(pair == other for other in pairs)
            reason = "your answer is the same for every grid" if fixed else why(pair, grid)
            return f"{where} {told}; {reason}"
    return None


def why(pair: list[float], grid: tuple[int, int, int]) -> str:
    """What a wrong pair of counts has forgotten, or which of the two is wrong."""
    side, channels, classes = grid
    connected, pooled = side * side * channels * classes, channels * classes
    if pair == [pooled, connected]:
        return "the fully connected layer comes first"
    if pair == [connected + classes, pooled + classes]:
        return "biases are left out here"
    if pair[1] == pooled:
        return {
            side * channels * classes: "the grid has side x side places",
            pooled: "without the mean, every place of the grid has weights of its own",
        }.get(pair[0], "the pooled count is right; every value that enters has one for each class")
    right = "the connected count is right; " if pair[0] == connected else ""
    return f"{right}after the mean one value of each channel is left"


# Exercise 3: the same network


@cache
def theirs(num_classes: int, seed: int) -> nn.Module:
    """torchvision's network in evaluation mode, all its numbers drawn anew."""
    network = models.googlenet(
        weights=None, init_weights=False, aux_logits=False, num_classes=num_classes
    )
    return shared.randomise(network, seed).eval()


def check_same_network(answer: Callable[[nn.Module], nn.Module]) -> str | None:
    """`same_network(theirs)` is a network of one's own that puts out what torchvision's does."""
    for seed, classes in enumerate((10, 7, 23)):
        given, x = theirs(classes, seed), torch.randn(2, 3, 80, 64)
        with torch.no_grad():
            right = given(x)
        try:
            network = answer(given)
        except (RuntimeError, ValueError) as error:
            if why := misfit(str(error)):
                return why
            raise
        if why := other_answer(network, given, x, right):
            return why
    return None


def misfit(error: str) -> str:
    """What an error says of weights that do not fit; "" for one about something else."""
    if error.startswith("zip() argument"):
        return (
            "the two networks have different numbers of tensors: torchvision's has batch norm, "
            "so build yours with norm=True and no other layers"
        )
    if "size mismatch" not in error and "must match the size" not in error:
        return ""
    line = next((row.strip() for row in error.splitlines() if "mismatch" in row), error)
    kernel = "3, 3]" in line and "5, 5]" in line
    advice = "the argument k5 is the kernel of that branch"
    if not kernel:
        advice = (
            "compare the two state_dicts; if your classes declare their layers in another order "
            "than Table 1's, pair the tensors by their names"
        )
    return f"the weights do not fit: {line.rstrip('. ')}; {advice}"


def other_answer(network: nn.Module, given: nn.Module, x: Tensor, right: Tensor) -> str | None:
    """How a network differs from torchvision's, by its outputs."""
    if not isinstance(network, nn.Module):
        return f"return the network, got {str(network)[:60]!r}"
    if any(isinstance(part, models.GoogLeNet) for part in network.modules()):
        return "that is torchvision's own network: build your GoogLeNet and copy the weights"
    if network.training:
        return "it is in training mode, in which batch norm and dropout do something else: .eval()"
    with torch.no_grad():
        found, after = network(x), given(x)
    if not same(after, right):
        return "it has changed torchvision's network: copy its weights, and leave it as it is"
    if not isinstance(found, Tensor) or found.shape != right.shape:
        seen = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        return f"it returns {seen}, expected logits of shape {tuple(right.shape)}"
    if same(found, right):
        return None
    apart = ((found - right).abs().max() / right.abs().max()).item()
    return f"its logits differ by {apart:.0%} of the largest: {difference(network, given)}"


def difference(network: nn.Module, given: nn.Module) -> str:
    """What may be behind other logits."""
    own, other = (sorted(v.double().sum().item() for v in n.parameters()) for n in (network, given))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if len(own) != len(other) or any(abs(a - b) > 1e-3 for a, b in zip(own, other, strict=True)):
        return "its weights are not torchvision's"
    if any(bool((norm.running_var == 1).all()) for norm in norms):
        return (
            "the batch norms' running means and variances are its own; they are no parameters, "
            "state_dict() holds them"
        )
    if any(norm.eps != 1e-3 for norm in norms):
        return "torchvision's batch norms have eps=1e-3"
    with torch.device("meta"):
        parts = recorded(network.to("meta"))[0].parts
    windows = [part.window for part in parts if part.kind == "max pool"]
    if windows[3:4] == [3]:
        return "all weights fit, so what differs has none; look at the window of the fourth pool"
    return "the weights are torchvision's, but some stand in another one's place"


exercise_1 = Exercise("1", check_googlenet, lesson="03", keep="GoogLeNet", ours=plain.GoogLeNet)
exercise_2 = Exercise("2", check_head_weights)
exercise_3 = Exercise("3", check_same_network, ours=proof.same_network)
exercise_4 = Exercise("4", {"suspects": check_suspects, "column": check_column})
