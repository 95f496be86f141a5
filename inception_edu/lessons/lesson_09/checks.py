"""Lesson 09, your own photos: the checks of its exercises."""

from collections.abc import Callable, Iterable
from types import FunctionType

import numpy as np
import torch
from torch import Tensor, nn

from inception_edu.data import normalise
from inception_edu.exercises import Exercise
from inception_edu.layers import classifier

NAMES = [f"photo-{i:02}.jpg" for i in range(41)]
Split = Callable[[Iterable[str], float, int], tuple[list[str], list[str]]]


class SaltedName(str):
    """A file name whose hash is that of another process: Python draws a salt when it starts."""

    def __hash__(self) -> int:
        return hash(("another process", str(self)))


def in_another_process(function: Callable) -> Callable:
    """The function as it would run elsewhere: its `hash` has another salt. The given one stays."""
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    salted = dict(function.__globals__, hash=lambda value: hash(("another process", value)))
    return FunctionType(
        code, salted, function.__name__, function.__defaults__, function.__closure__
    )


def check_split(split: Split) -> str | None:
    """`split(names, valid, seed)` -> names to train on, names to validate with."""
    train, valid = map(list, split(list(NAMES), 0.2, 0))
    if sorted(train + valid) != NAMES:
        lost = len(set(NAMES) - set(train + valid))
        return f"every name must be in one of the two lists, once; {lost} of 41 are in none"
    if len(valid) != round(0.2 * len(NAMES)):
        return f"0.2 of 41 names are {len(valid)} with you, expected {round(0.2 * len(NAMES))}"
    chosen = set(valid)
    if set(split(list(NAMES), 0.2, 0)[1]) != chosen:
        return "two calls with seed 0 draw different photos: nothing may be drawn without the seed"
    if set(split(NAMES[::-1], 0.2, 0)[1]) != chosen:
        return "the same names in another order give another split: os.listdir promises no order"
    elsewhere = in_another_process(split)([SaltedName(name) for name in NAMES], 0.2, 0)[1]
    if set(map(str.__str__, elsewhere)) != set(map(str, chosen)):
        return "another process splits differently: hash() of a string is salted when Python starts"
    if all(set(split(list(NAMES), 0.2, seed)[1]) == chosen for seed in (1, 2, 3)):
        return "seeds 0 to 3 give the same split: the seed must decide it"
    if chosen in (set(NAMES[:8]), set(NAMES[-8:])):
        return "the validation names are the first or last by name; draw them at random"
    return None


def check_cam(cam: Callable[[Tensor, nn.Linear, int], Tensor]) -> str | None:
    """`cam(grid, linear, label)`: (c, h, w) -> (h, w), whose mean is the logit."""
    generator = torch.Generator().manual_seed(0)
    for c, classes, h, w in ((5, 4, 3, 7), (16, 10, 12, 12), (3, 2, 1, 1)):
        grid = torch.randn(c, h, w, generator=generator).relu()
        head, label = classifier(c, classes), classes - 1
        head.linear.weight.data = torch.randn(classes, c, generator=generator)
        head.linear.bias.data = torch.randn(classes, generator=generator)
        found = cam(grid.clone(), head.linear, label)
        if not isinstance(found, Tensor) or found.shape != (h, w):
            what = tuple(found.shape) if isinstance(found, Tensor) else repr(found)
            return f"a grid of {(c, h, w)} gives {what}, expected a map of {(h, w)}"
        right, other = (_by_erasing(grid, head, k) for k in (label, 0))
        if torch.allclose(found, right, atol=1e-4):
            continue
        wrong = _wrong_maps(grid, right, other, *head.linear.bias[[label, 0]].tolist())
        known = (why for why, value in wrong if torch.allclose(found, value, atol=1e-4))
        logit = head(grid[None])[0, label]
        return (
            f"its mean is {found.mean():.3f} with you, the logit of class {label} is {logit:.3f}; "
            f"{next(known, 'weigh each channel by linear.weight[label], add linear.bias[label]')}"
        )
    return None


def _wrong_maps(
    grid: Tensor, right: Tensor, other: Tensor, bias: float, bias_0: float
) -> list[tuple[str, Tensor]]:
    """What goes wrong, and the map (h, w) that it leads to."""
    flat, weights = right - bias, "without the weights all classes have one map"
    channels = "sum over the channels, do not average them"
    places = "do not divide by the number of places: the mean does that"
    return [
        ("the bias is missing, which every place gets whole", flat),
        *((weights, x + b) for x in (grid.sum(0), grid.mean(0)) for b in (0, bias)),
        *(("that is the map of class 0, not of `label`", other - b) for b in (0, bias_0)),
        *((channels, flat / len(grid) + b) for b in (0, bias)),
        *((places, flat / flat.numel() + b) for b in (0, bias)),
        (places, right / flat.numel()),
    ]


@torch.no_grad()
def _by_erasing(grid: Tensor, head: nn.Module, label: int) -> Tensor:
    """The map by another route: how the logit changes when one place of the grid is erased."""
    c, h, w = grid.shape
    erased = grid.repeat(h * w, 1, 1, 1)
    for i, copy in enumerate(erased):
        copy[:, i // w, i % w] = 0
    falls = head(grid[None])[:, label] - head(erased)[:, label]
    return (h * w * falls).reshape(h, w) + head.linear.bias[label]


MEAN, STD = (0.49, 0.42, 0.31), (0.25, 0.22, 0.19)


def check_prepare(prepare: Callable[[np.ndarray, tuple, tuple], Tensor]) -> str | None:
    """`prepare(bgr, mean, std)`: uint8 (h, w, 3), blue first -> normalised (1, 3, h, w), RGB."""
    bgr = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    kept, found = bgr.copy(), prepare(bgr, MEAN, STD)
    if not (bgr == kept).all():
        return "the photo that was handed in has changed; work on a copy"
    if not isinstance(found, Tensor) or found.shape != (1, 3, 6, 9):
        what = tuple(found.shape) if isinstance(found, Tensor) else repr(found)[:60]
        return f"a photo of (6, 9, 3) becomes {what}, expected (1, 3, 6, 9)"
    pixels = torch.from_numpy(bgr).permute(2, 0, 1)[None]
    right = normalise(pixels.flip(1), MEAN, STD)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    mistakes = {
        "blue still comes first": normalise(pixels, MEAN, STD),
        "the photo is mirrored: the channels must be turned round, not the columns": normalise(
            pixels.flip(3), MEAN, STD
        ),
        "mean and std are of red first, so turn the channels round before": normalise(
            pixels, MEAN, STD
        ).flip(1),
        "divide by 255 first: mean and std are of 0 to 1": (pixels.flip(1) - mean) / std,
        "the mean is not taken away": pixels.flip(1) / 255 / std,
        "it is not divided by the std": pixels.flip(1) / 255 - mean,
        "neither mean nor std is used": pixels.flip(1) / 255,
    }
    if torch.allclose(found.float(), right, atol=1e-4):
        return None
    known = (why for why, x in mistakes.items() if torch.allclose(found.float(), x, atol=1e-4))
    apart = (found.float() - right).abs().max().item()
    return f"up to {apart:.2f} apart from (RGB / 255 - mean) / std; {next(known, 'try each step')}"


exercise_1 = Exercise("1", check_split)
exercise_2 = Exercise("2", check_cam)
exercise_3 = Exercise("3", check_prepare)
