"""Lesson 08, Inception v3: the checks of its exercises."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.factorised import AuxHead, Reduce17to8
from inception_edu.inception_v3 import WIDTHS, InceptionV3
from inception_edu.layers import Concat, conv
from inception_edu.lessons.lesson_08.same_function import copied, equal, run
from inception_edu.lessons.shared import randomise

REASONS = {
    "A": "its grid is the first with a side of 12 to 20, where [V3] found 1xn and nx1 good",
    "B": "1x7 and 7x1 save a larger share of a 7x7's MACs on a smaller grid",
    "C": "a whole 7x7 would not fit into its grid",
    "D": "it is the first block that halves the grid",
}
WRONG_REASONS = {
    "B": "the pair costs 14 in 49 of the 7x7's MACs on every grid",
    "C": "a 7x7 fits into 17x17, and padding makes it fit anywhere",
    "D": "that is reduce35to17, whose kernels are all square",
}
C_IN, CLASSES = 768, 10
PAIR = 192 * 192 * 7 + 2 * 192  # parameters of a 1x7 with its batch norm


def altered() -> Iterator[tuple[str, InceptionV3, str]]:
    """What was done to a network, the network, and the block that should be found."""
    with torch.device("meta"):
        for variant in ("paper", "torchvision"):
            yield f'InceptionV3("{variant}")', InceptionV3(variant), "grid17a"
        network = InceptionV3()
        del network.body.grid17a
        yield "a network without grid17a", network, "grid17b"
        network = InceptionV3()
        network.body.grid35b = Concat(branch=conv(288, 288, (5, 1)))
        yield "a network with a 5x1 and no 1x5 in grid35b", network, "grid35b"


def check_first(first_asymmetric: Callable[[InceptionV3], str], why: str) -> str | None:
    """`first_asymmetric(network)` names the block; `why` is a letter of REASONS."""
    for what, network, right in altered():
        answer, names = first_asymmetric(network), dict(network.body.named_children())
        if answer in names and answer != right:
            return f"for {what} you say {answer}, expected {right}; {misread(network, answer)}"
        if answer != right:
            return f"for {what} you return {answer!r}; return a block's name, such as 'grid35a'"
    if why not in REASONS:
        return f"the block is right; why is a letter from A to D, got {why!r}"
    wrong = WRONG_REASONS.get(why)
    return wrong and f"the block is right, the reason is not: {wrong}"


def misread(network: InceptionV3, answer: str) -> str:
    """What a wrong block's kernels are like."""
    sides = {
        m.kernel_size
        for m in network.body.get_submodule(answer).modules()
        if isinstance(m, nn.Conv2d)
    }
    if all(h == w for h, w in sides):
        return "its kernels are all square: compare the two sides of kernel_size"
    return "its kernels are asymmetric, but another block before it has some, too (1xn or nx1)"


def check_reduction(build: Callable[[int], nn.Module]) -> str | None:
    """`build(c_in)` is the second grid reduction, (n, c_in, 17, 17) -> (n, c_in + 512, 8, 8)."""
    block, right = build(C_IN), randomise(Reduce17to8(C_IN, WIDTHS["reduce17to8"]))
    if not isinstance(block, nn.Module):
        return f"return a module, such as Concat(...), got {block!r}"
    x = torch.randn(2, C_IN, 17, 17)
    found, expected = run(block, x), run(right, x)
    if found.shape[2:] != expected.shape[2:]:
        sides = {9: "no padding where the stride is 2", 17: "three layers need stride 2"}
        why = sides.get(found.shape[2], "17 -> 8 takes a 3x3 window, stride 2, no padding")
        return f"the grid comes out {found.shape[2]}x{found.shape[3]}, expected 8x8; {why}"
    if found.shape != expected.shape:
        why = "the pool branch is missing" if found.shape[1] == 512 else "320 + 192 + c_in"
        return f"{found.shape[1]} channels come out of {C_IN}, expected {C_IN + 512}; {why}"
    sizes = [sum(p.numel() for p in part.parameters()) for part in (block, right)]
    if sizes[0] != sizes[1]:
        mistakes = {
            -PAIR: "one of 1x7 and 7x1 is missing",
            192 * 192 * 35 - 2 * 192: "a whole 7x7 stands where 1x7 and 7x1 were asked for",
            C_IN * 320 * 9 - C_IN * 192 - 2 * 192 - 192 * 320 * 9: "branch3x3 starts with a 1x1",
        }
        why = mistakes.get(sizes[0] - sizes[1], "look at every width once more")
        return f"it has {sizes[0]:,} parameters, expected {sizes[1]:,}; {why}"
    if (misfit := copied(block, right)) or equal(found := run(block, x), expected):
        return misfit
    if equal(found[:, -C_IN:], nn.functional.avg_pool2d(x, 3, 2)):
        return "with equal weights the pooled channels differ: take the maximum, not the average"
    return f"with equal weights the output differs; {no_relu(found[:, :-C_IN])}"


def no_relu(values: Tensor) -> str:
    """What negative values tell."""
    return "a ReLU is missing" if values.min() < 0 else "look at strides and at branch_pool"


def check_head(reads: str, head: Callable[[int, int], nn.Module]) -> str | None:
    """The block that the aux head reads, and `head(c_in, num_classes)`, batch-normalised."""
    blocks = {name: WIDTHS[name] for name in WIDTHS}
    if reads not in blocks:
        return f"reads is the name of a block, one of {', '.join(blocks)}; got {reads!r}"
    if reads != "grid17d":
        if reads.startswith(("grid17", "reduce35")):
            return f"{reads} puts out 17x17, but the head goes on the last grid of that side"
        side, left = (35, 11) if reads.startswith("grid35") else (8, 2)
        return f"{reads} puts out {side}x{side}; a 5x5 pool with stride 3 makes {left}x{left} of it"
    part, right = head(C_IN, CLASSES), randomise(AuxHead(C_IN, CLASSES))
    if not isinstance(part, nn.Module):
        return f"the place is right; head must return a module, got {part!r}"
    x = torch.rand(2, C_IN, 17, 17)
    found, expected = run(part, x), run(right, x)
    if found.shape != expected.shape:
        return f"17x17x768 gives {tuple(found.shape)}, expected {tuple(expected.shape)}"
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in part.modules())
    if norms != 2:
        return f"{norms} batch norms; each of the two convolutions has one, as in conv()"
    if misfit := copied(part, right):
        return misfit
    found = run(part, x)
    if equal(found, expected):
        return None
    return f"with equal weights the logits differ; {told(found, right, x)}"


def told(found: Tensor, right: nn.Sequential, x: Tensor) -> str:
    """Which mistake gives these logits: another pool, a softmax, no ReLU."""
    expected = run(right, x)
    if equal(found, expected.softmax(1)):
        return "leave the softmax to the loss"
    pools = {"a maximum was pooled": nn.MaxPool2d(5, 3)}
    pools["AdaptiveAvgPool2d(5) takes other windows than 5x5, stride 3"] = nn.AdaptiveAvgPool2d(5)
    for why, pool in pools.items():
        right.pool = pool
        if equal(found, run(right, x)):
            return why
    return "average 5x5 stride 3, then both convolutions with batch norm and ReLU, then linear"


exercise_1 = Exercise("1", check_first)
exercise_2 = Exercise("2", check_reduction)
exercise_3 = Exercise("3", check_head)
