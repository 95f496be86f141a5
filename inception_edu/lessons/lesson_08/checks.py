"""Lesson 08, Inception v3: the checks of its exercises."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import calls, mistaken_for, other_network
from inception_edu.factorised import AuxHead, Reduce17to8
from inception_edu.inception_v3 import WIDTHS, InceptionV3
from inception_edu.layers import Concat, conv

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


def check_first(first_asymmetric: Callable[[InceptionV3], str]) -> str | None:
    """`first_asymmetric(network)` names the first block with a kernel that is not square."""
    for what, network, right in altered():
        answer, names = first_asymmetric(network), dict(network.body.named_children())
        name = answer.removeprefix("body.") if isinstance(answer, str) else answer
        if name == right:
            continue
        if name in list(names):
            return f"for {what} you say {name}, expected {right}; {misread(network, name)}"
        said = f"for {what} you return {str(answer)[:60]!r}, expected {right}"
        return f"{said}; a block's name is, for example, 'grid35a'"
    return None


def check_why(why: object) -> str | None:
    """`why` is a letter of REASONS."""
    letter = str(why).strip().upper()
    if letter not in REASONS:
        return f"it is a letter from A to D, got {str(why)[:40]!r}"
    return WRONG_REASONS.get(letter)


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


def second_reduction(
    c_in: int, *, seven: Sequence[tuple[int, int]] = ((1, 7), (7, 1)), pool: nn.Module | None = None
) -> nn.Module:
    """The second grid reduction; with other kernels or another pool, a mistaken one."""
    return Concat(
        branch3x3=nn.Sequential(conv(c_in, 192, 1), conv(192, 320, 3, 2, padding=0)),
        branch7x7=nn.Sequential(
            conv(c_in, 192, 1),
            *(conv(192, 192, k) for k in seven),
            conv(192, 192, 3, 2, padding=0),
        ),
        branch_pool=pool or nn.MaxPool2d(3, 2),
    )


def mistaken_reductions(c_in: int) -> dict[str, Callable[[], nn.Module]]:
    """The networks of well-known mistakes, by what is to be said of them."""
    swapped, average = [(7, 1), (1, 7)], nn.AvgPool2d(3, 2)
    return {
        "the 7x1 comes before the 1x7": lambda: second_reduction(c_in, seven=swapped),
        "the average is pooled, expected the maximum": lambda: second_reduction(c_in, pool=average),
        "a whole 7x7 stands where 1x7 and 7x1 are asked for": (
            lambda: second_reduction(c_in, seven=[(7, 7)])
        ),
    }


def check_reduction(build: Callable[[int], nn.Module]) -> str | None:
    """`build(c_in)` is the second grid reduction, (n, c_in, 17, 17) -> (n, c_in + 512, 8, 8)."""
    if isinstance(build, nn.Module):
        return "it is a network already, expected a class or a function that is called with c_in"
    if calls(partial(build, 24), Reduce17to8.__init__):
        return "it calls the package's own: write it in your own lines"
    for c_in in (768, 24, 40):
        block, shape, widths = build(c_in), (2, c_in, 17, 17), (320, 192, c_in)
        right = partial(Reduce17to8, c_in, WIDTHS["reduce17to8"])
        if why := other_network(block, right, shape, channels=widths):
            known = isinstance(block, nn.Module) and mistaken_for(
                block, mistaken_reductions(c_in), shape, widths
            )
            return f"for c_in = {c_in}, {known or why}{needless_bias(block)}"
    return None


def needless_bias(network: object) -> str:
    """What is to be said of a convolution with a bias where every one has a norm behind it."""
    layers = network.modules() if isinstance(network, nn.Module) else ()
    if any(isinstance(m, nn.Conv2d) and m.bias is not None for m in layers):
        return "; a convolution that batch norm follows has no bias"
    return ""


def check_reads(reads: object) -> str | None:
    """`reads` names the block that the aux head reads."""
    name = str(reads).strip().lower().removeprefix("body.")
    if name not in WIDTHS:
        return f"it is the name of a block, one of {', '.join(WIDTHS)}; got {str(reads)[:40]!r}"
    if name == "grid17d":
        return None
    if name.startswith(("grid17", "reduce35")):
        return f"the output of {name} is 17x17, but the head goes on the last grid of that side"
    side, left = (35, 11) if name.startswith("grid35") else (8, 2)
    told = f"the output of {name} is {side}x{side}"
    return f"{told}, of which a 5x5 pool with stride 3 makes {left}x{left}"


def mistaken_heads(c_in: int, classes: int) -> dict[str, Callable[[], nn.Module]]:
    """The heads of well-known mistakes, by what is to be said of them."""

    def head(*, pool: nn.Module | None = None, relu: bool = True) -> nn.Sequential:
        hidden = conv(128, 768, 5, padding=0, relu=relu)
        layers = conv(c_in, 128, 1, relu=relu), hidden, nn.Flatten(), nn.Linear(768, classes)
        return nn.Sequential(pool or nn.AvgPool2d(5, 3), *layers)

    return {
        "the maximum is pooled, expected the average": lambda: head(pool=nn.MaxPool2d(5, 3)),
        "AdaptiveAvgPool2d(5) takes other windows than 5x5, stride 3": (
            lambda: head(pool=nn.AdaptiveAvgPool2d(5))
        ),
        "it ends in a softmax, which belongs to the loss": (
            lambda: nn.Sequential(head(), nn.Softmax(1))
        ),
        "there is no ReLU behind its convolutions": lambda: head(relu=False),
    }


def check_head(head: Callable[[int, int], nn.Module]) -> str | None:
    """`head(c_in, num_classes)` is the batch-normalised aux head."""
    if isinstance(head, nn.Module):
        return "it is a network already, expected a class or a function of c_in and num_classes"
    if calls(partial(head, 40, 3), AuxHead.__init__):
        return "it calls the package's own: write it in your own lines"
    for c_in, classes in ((768, 10), (96, 1000), (40, 3)):
        part, shape = head(c_in, classes), (2, c_in, 17, 17)
        if why := other_network(part, partial(AuxHead, c_in, classes), shape):
            known = isinstance(part, nn.Module) and mistaken_for(
                part, mistaken_heads(c_in, classes), shape
            )
            where = f"for c_in = {c_in}, num_classes = {classes}"
            return f"{where}, {known or why}{needless_bias(part)}"
    return None


exercise_1 = Exercise("1", {"first_asymmetric": check_first, "why": check_why})
exercise_2 = Exercise(
    "2",
    check_reduction,
    lesson="08",
    keep="Reduce17to8",
    ours=partial(Reduce17to8, w=WIDTHS["reduce17to8"]),
)
exercise_3 = Exercise("3", {"reads": check_reads, "aux_head": check_head})
