"""Lesson 06, factorised convolutions: the checks of its exercises."""

from collections.abc import Callable
from math import isclose
from numbers import Real

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from inception_edu.cost import layer_table, receptive_field
from inception_edu.exercises import Exercise, plain
from inception_edu.layers import pair

SHAPES = ((5, 64, 64), (5, 32, 64), (5, 96, 48), (7, 128, 128), (7, 64, 96), (3, 20, 30))


def counted(c_in: int, c_out: int, *kernels: int | tuple[int, int]) -> int:
    """Weights of convolutions one after the other, counted on built layers."""
    widths = [c_in] + [c_out] * len(kernels)
    with torch.device("meta"):
        convs = [nn.Conv2d(*widths[i : i + 2], k, bias=False) for i, k in enumerate(kernels)]
    return sum(layer.weight.numel() for layer in convs)


def check_saving(saving: Callable[[int, int, int], float]) -> str | None:
    """`saving(n, c_in, c_out)`: share of MACs saved by 3x3s in place of an n x n."""
    for n, c_in, c_out in SHAPES:
        m = (n - 1) // 2
        left = counted(c_in, c_out, *[3] * m) / counted(c_in, c_out, n)
        found, right = plain(saving(n, c_in, c_out)), 1 - left
        if not isinstance(found, Real) or isinstance(found, bool):
            return f"return one number, got {found!r}"
        if isclose(found, right, abs_tol=1e-6):
            continue
        told = f"saving({n}, {c_in}, {c_out}) is {found:.4f} with you, expected {right:.4f}"
        mistakes = {
            "that is what is left, not what is saved": left,
            "give a share, not percent": 100 * right,
            "(n - 1) / 2 of them are needed to see n x n, not one": 1 - 9 / n**2,
            "two of them see 5x5 only; (n - 1) / 2 see n x n": 1
            - counted(c_in, c_out, 3, 3) / counted(c_in, c_out, n),
            "only the first 3x3 reads c_in channels, the others read c_out": 1 - 9 * m / n**2,
            "the first 3x3 reads c_in channels too": 1 - 9 * m * c_out / (n**2 * c_in),
        }
        known = (why for why, value in mistakes.items() if isclose(found, value, abs_tol=1e-6))
        return f"{told}; {next(known, 'compare 9 c_in c_out + ... with n n c_in c_out')}"
    return None


def check_reduction(reduction: Callable[[int], nn.Module]) -> str | None:
    """`reduction(c)`: (n, c, h, w) -> (n, 2c, h', w'), stride-2 3x3 and max pool side by side."""
    for c, side in ((6, 35), (10, 17)):
        layers = reduction(c)
        if not isinstance(layers, nn.Module):
            return f"return a module, got {layers!r}"
        x, half = torch.randn(2, c, side, side), (side - 1) // 2
        found = layers.eval()(x).detach()
        if found.shape[2:] != (half, half):
            what = f"{found.shape[2]}x{found.shape[3]}"
            return f"{side}x{side} becomes {what}, expected {half}x{half}: stride 2, padding 0"
        if found.shape[1] != 2 * c:
            return f"{c} channels become {found.shape[1]}, expected {2 * c}: {c} from each branch"
        pooled, macs = max_pool2d(x, 3, 2), layer_table(layers, (c, side, side)).macs
        parts = found[:, :c], found[:, c:]
        right = 9 * c * c * half**2
        if not any(torch.allclose(part, pooled) for part in parts):
            wrong = {2 * right: "a pool before the conv is a bottleneck"}
            wrong[18 * c * c * side**2] = "a conv on the full grid is dear"
            why = wrong.get(macs, "expected max pool 3x3, stride 2")
            return f"no {c} channels are the max pool of the input as it is; {why}"
        if macs != right:
            return f"it costs {macs:,} MACs on {side}x{side}, expected {right:,}: one 3x3, c to c"
    return None


def check_smaller(found: float, best: tuple) -> str | None:
    """Share that two 2x2 save of a 3x3, and the two kernels that see 3x3 and cost least."""
    mistakes = {
        5 / 9: "that is one 2x2, which sees 2x2 only; two are needed",
        8 / 9: "that is what is left, not what is saved",
        11: "give a share, not percent",
    }
    if not isclose(found, 1 / 9, abs_tol=0.005):
        known = (why for value, why in mistakes.items() if isclose(found, value, rel_tol=0.02))
        return f"two 2x2 save {found} with you; {next(known, 'count weights: 4 + 4 against 9')}"
    kernels = [pair(k) for k in best]
    window = receptive_field(*(nn.Conv2d(1, 1, k, bias=False) for k in kernels)).size
    if len(kernels) != 2 or window != (3, 3):
        return f"best: {best} sees {window[0]}x{window[1]}, expected two kernels that see 3x3"
    weights = sum(h * w for h, w in kernels)
    if weights != 6:
        return f"best: {best} has {weights} weights a channel pair; two kernels can do with 6"
    return None


exercise_1 = Exercise("1", check_saving)
exercise_2 = Exercise("2", check_reduction)
exercise_3 = Exercise("3", check_smaller)
