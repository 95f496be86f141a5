"""Lesson 06: two convolutions in a row by functions of torch, and the mistakes that are made."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, leaky_relu, pad
from torch.nn.modules.batchnorm import _BatchNorm

from inception_edu.exercises.comparing import settle
from inception_edu.exercises.judging import WIRING, mistaken_for, other_network

Kernel = tuple[int, int]
Biases = tuple[bool, bool]
POSSIBLE = ((False, False), (True, True), (True, False), (False, True))


class Pair(nn.Module):
    """Two convolutions, each with batch norm and ReLU, right unless a mistake is asked for:
    (n, c_in, h, w) -> (n, c_out, h, w)."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernels: tuple[Kernel, Kernel],
        *,
        biases: Biases = (False, False),
        middle: int | None = None,
        pads: tuple[Kernel, Kernel] | None = None,
        between: bool = True,
        after: bool = True,
        relu_first: bool = False,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        bend: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        super().__init__()
        c = middle or c_out
        self.weights = nn.ParameterList(
            torch.zeros(o, i, *k)
            for (i, o), k in zip(((c_in, c), (c, c_out)), kernels, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.zeros(o) for o, bias in zip((c, c_out), biases, strict=True) if bias
        )
        self.norms = nn.ModuleList(norm(o) for o in (c, c_out))
        self.pads = pads or tuple((h // 2, w // 2) for h, w in kernels)
        self.relus, self.relu_first, self.has_bias = (between, after), relu_first, biases
        self.bend = bend

    def forward(self, x: Tensor) -> Tensor:
        biases = iter(self.biases)
        for i, (weight, (above, beside)) in enumerate(zip(self.weights, self.pads, strict=True)):
            bias = next(biases) if self.has_bias[i] else None
            x = conv2d(pad(x, (beside, beside, above, above)), weight, bias)
            if self.relu_first:
                x = self.norms[i](x.relu())
            else:
                x = self.norms[i](x)
                x = self.bend(x) if self.relus[i] else x
        return x


ACTIVATIONS = {
    "a ReLU is missing between the two convolutions": dict(between=False),
    "the ReLU after the second convolution is missing": dict(after=False),
    "there is no ReLU at all": dict(between=False, after=False),
    "batch norm stands behind the ReLU; it belongs before it": dict(relu_first=True),
    "a leaky ReLU stands where a ReLU is asked for": dict(bend=leaky_relu),
    "a GELU stands where a ReLU is asked for": dict(bend=gelu),
    "its norm takes the mean over one image alone; batch norm takes it over the batch": dict(
        norm=partial(nn.InstanceNorm2d, affine=True)
    ),
    "its norm takes one mean over all channels; batch norm has one for each": dict(
        norm=partial(nn.GroupNorm, 1)
    ),
    "in use its norm takes the batch's own mean, expected the running one": dict(
        norm=partial(nn.BatchNorm2d, track_running_stats=False)
    ),
}
NONE: Kernel = (0, 0)


def other_pads(kernels: tuple[Kernel, Kernel], names: tuple[str, str]) -> dict[str, dict]:
    """Paddings that are wrong, by what is to be said of them."""
    first, second = ((h // 2, w // 2) for h, w in kernels)
    rule = "a side of k pixels needs k // 2"
    mistakes = {
        f"neither convolution has padding; {rule}": (NONE, NONE),
        f"the {names[0]} has no padding; {rule}": (NONE, second),
        f"the {names[1]} has no padding; {rule}": (first, NONE),
    }
    if kernels[0] != kernels[1]:
        both = (max(first), max(first))
        row, column = f"(0, {first[1]})", f"({second[0]}, 0)"
        mistakes |= {
            f"the {names[1]} is padded like the {names[0]}; it needs {column}": (first, first),
            f"the {names[0]} is padded like the {names[1]}; it needs {row}": (second, second),
            f"the paddings are exchanged: the {names[0]} needs {row}, the {names[1]} {column}": (
                second,
                first,
            ),
            f"all of the padding stands before the {names[0]}; each pads its own direction": (
                both,
                NONE,
            ),
            "one number as padding pads height and width; "
            f"the {names[0]} needs {row}, the {names[1]} {column}": (both, both),
        }
    return {why: dict(pads=pads) for why, pads in mistakes.items()}


def other_pair(
    answer: nn.Module,
    sizes: tuple[int, int],
    kernels: tuple[Kernel, Kernel],
    shape: tuple[int, int, int, int],
    names: tuple[str, str],
) -> str | None:
    """How a network differs from two convolutions of some kernels; None if it does not.

    `sizes` are c_in and c_out, `names` what the two convolutions are called. Whether a convolution
    has a bias before its batch norm is left to the answer.
    """
    if isinstance(answer, nn.Module):
        settle(answer, shape)
    if why := other_kernels(answer, sizes, kernels, names):
        return why
    if any(isinstance(m, _BatchNorm) and not m.affine for m in answer.modules()):
        return "a batch norm has no weights of its own: leave affine as it is"
    vectors = sum(p.ndim == 1 for p in answer.parameters()) - 4  # two norms have four
    if vectors < 0:
        return "batch norm is missing: it belongs between each convolution and its ReLU"
    chosen = [both for both in POSSIBLE if sum(both) == vectors] or POSSIBLE[:1]
    builds = [partial(Pair, *sizes, biases=biases) for biases in chosen]
    rights = [partial(build, kernels) for build in builds]
    said = [other_network(answer, right, shape, training=True) for right in rights]
    if None in said:
        return None
    wrong = ACTIVATIONS | other_pads(kernels, names)
    for build in builds:
        known = {why: partial(build, kernels, **options) for why, options in wrong.items()}
        if kernels[0] != kernels[1]:
            known[f"the {names[1]} comes first, expected last"] = partial(build, kernels[::-1])
        if why := mistaken_for(answer, known, shape):
            return why
    return min(said, key=lambda why: why == WIRING)  # the nearest to right


def other_kernels(
    answer: nn.Module,
    sizes: tuple[int, int],
    kernels: tuple[Kernel, Kernel],
    names: tuple[str, str],
) -> str | None:
    """What is wrong with the weights of a network's convolutions, if that can be named."""
    if not isinstance(answer, nn.Module):
        return f"return an nn.Module, got {str(answer)[:60]!r}"
    (c_in, c_out), found = sizes, [tuple(p.shape) for p in answer.parameters() if p.ndim == 4]
    seen = sorted(shape[2:] for shape in found)
    if len(found) != 2:
        sides = ", ".join("{}x{}".format(*side) for side in seen) or "none"
        return f"expected two convolutions, {' and '.join(names)}, got {sides}"
    if seen != sorted(kernels):
        sides = " and ".join("{}x{}".format(*shape[2:]) for shape in found)
        return f"its kernels are {sides} (height x width), expected {' and '.join(names)}"
    channels = sorted(shape[:2] for shape in found)  # (out, in) of each
    if channels == sorted([(c_in, c_in), (c_out, c_in)]) and c_in != c_out:
        return f"c_in = {c_in} channels stand between the two, expected c_out = {c_out}"
    if (c_in, c_out) in channels and c_in != c_out:
        return "c_in and c_out are exchanged: a convolution is nn.Conv2d(c_in, c_out, ...)"
    if channels != sorted([(c_out, c_in), (c_out, c_out)]):
        steps = ", ".join(f"{i} to {o}" for o, i in channels)
        return f"its convolutions take {steps} channels, expected {c_in} to {c_out}, then {c_out}"
    return None
