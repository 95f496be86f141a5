"""Lesson 03: what is wrong with a network whose rows are Table 1's, in words: what has no weights
and changes no shape is found by what comes out, and by what goes back."""

from collections.abc import Iterator
from functools import cache
from itertools import permutations, product

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.exercises.judging import same
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import plain
from inception_edu.lessons.lesson_03.rows import COMPUTED, OVER_ANY_GRID, Build, Part, Recorder

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
    counts = params, flops.get_total_flops() // 2, shared.longest_path(out)
    units = "parameters", "multiply-adds at 224 x 224", "layers with weights on the longest way"
    for here, right, unit in zip(counts, (PARAMS, MACS, DEPTH), units, strict=True):
        if here != right:
            return f"it has {here:,} {unit}, expected {right:,}"
    return None


@cache
def right_one(**setting: object) -> nn.Module:
    """The package's network, to be given other weights again and again."""
    return plain.GoogLeNet(**setting).eval()


def other_outputs(build: Build, setting: dict) -> str | None:
    """What the network computes and learns, beside the right one with the same weights."""
    network, right, x = build(**setting).eval(), right_one(**setting), images()
    try:
        with torch.no_grad():
            first, again = network(x), network(x)
    except RuntimeError as error:
        return f"images of 40 x 56 pixels stop it ({error}){OVER_ANY_GRID}"
    if not same(first, again):
        return "it puts out something else every time: dropout works in training alone (nn.Dropout)"
    for pairs in pairings(prepared(network), prepared(right)):
        with torch.no_grad():
            for mine, theirs in pairs:
                draw(theirs)
                mine.copy_(theirs)
            agree = same(network(x), right(x))
        if agree:
            return other_gradients(network, right, pairs)
    return suspicion(network) or (
        "its rows are right, but with the right one's weights it puts out something else: look at "
        "paddings, at pools, at activations, and at what is joined in which order"
    )


def draw(weight: Tensor) -> None:
    """Numbers for a weight, a bias or a norm with which the logits depend much on the image."""
    if weight.ndim > 1:
        weight.normal_(0, (2 / weight[0].numel()) ** 0.5)
    else:
        weight.uniform_(0.5, 1.5)


def images() -> Tensor:
    """Random ones, large enough for a local response norm to change them."""
    return 100 * torch.randn(SHAPE)


def prepared(network: nn.Module) -> list[Part]:
    """The parts of a network, whose norms all get one epsilon."""
    for module in network.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5
    with Recorder() as recorder, torch.no_grad():
        network(images())
    return recorder.parts


def pairings(mine: list[Part], theirs: list[Part]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Every way to pair the tensors of two networks, row by row, that have the same rows: layers
    of one shape may stand in any order in a row."""
    rows = [(p, q) for p, q in zip(*map(weighted, (mine, theirs)), strict=True)]
    for orders in product(*(list(_orders(p, q)) for p, q in rows)):
        layers = [
            pair
            for (_, q), order in zip(rows, orders, strict=True)
            for pair in zip(order, q.layers, strict=True)
        ]
        yield [pair for own, other in layers for pair in zip(own, other, strict=True)]


def weighted(parts: list[Part]) -> list[Part]:
    """Those of a network's parts that have weights."""
    return [part for part in parts if part.layers]


def _orders(mine: Part, theirs: Part) -> Iterator[list[list[Tensor]]]:
    """The layers of a part in every order in which their shapes are those of another part's."""
    shapes = theirs.weights
    kinds = list(dict.fromkeys(shapes))
    own = [[layer for layer in mine.layers if tuple(layer[0].shape) == kind] for kind in kinds]
    for places in product(*(permutations(layers) for layers in own)):
        left = {kind: iter(layers) for kind, layers in zip(kinds, places, strict=True)}
        yield [next(left[shape]) for shape in shapes]


def other_gradients(
    network: nn.Module, right: nn.Module, pairs: list[tuple[Tensor, Tensor]]
) -> str | None:
    """Whether a network that puts out the right numbers learns something else."""
    x = images().requires_grad_()
    along = torch.randn(SHAPE[0], right(x).shape[1])
    gradients = [
        torch.autograd.grad(one(x), [*one.parameters(), x], along, allow_unused=True)
        for one in (network, right)
    ]
    mine, theirs = (
        sorted(0.0 if g is None else g.double().norm().item() for g in found) for found in gradients
    )
    if all(abs(a - b) <= 1e-3 * max(b, 1e-9) for a, b in zip(mine, theirs, strict=True)):
        return None
    return "its logits are right, but its weights learn something else: something is detached"


def suspicion(network: nn.Module) -> str:
    """What is likely to be wrong, by the operations of a network whose rows are right."""
    recorder = Recorder()
    with recorder, torch.no_grad():
        network(torch.zeros(SHAPE))
    if recorder.strange & {"_softmax", "_log_softmax"}:
        return "it returns a softmax: return the logits, since PyTorch's cross-entropy holds one"
    if recorder.strange:
        return "it normalises responses (LRN), which Table 1 does not list: leave it to section 7"
    if len(recorder.parts) < len(COMPUTED):
        return "row avgpool is missing: the linear layer takes the mean over the grid"
    for name, part, after in zip(COMPUTED, recorder.parts, recorder.parts[1:], strict=False):
        there, relus = len(part.weights), part.relus
        relus += after.relus if after.kind == "max pool" else 0  # which may stand before it, too
        if relus < min(there, 3):  # in a block, one may follow all branches
            return f"row {name} has {there} convolutions and {relus} ReLUs: one follows each"
    return ""


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
