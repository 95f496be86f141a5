"""Lesson 09, your own photos: the checks of its exercises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import same
from inception_edu.layers import classifier
from inception_edu.lessons.lesson_09.mistakes import MOVED, objects_in, shown_in_test
from inception_edu.lessons.lesson_09.split_check import check_split

Cam = Callable[[Tensor, nn.Linear, int], Tensor]


def cam(grid: Tensor, linear: nn.Linear, label: int) -> Tensor:
    """The package's answer: (c, h, w) -> (h, w), whose mean is the logit."""
    return torch.einsum("chw,c->hw", grid, linear.weight[label]) + linear.bias[label]


def check_cam(answer: Cam) -> str | None:
    """`answer(grid, linear, label)`: (c, h, w) -> (h, w), whose mean is the logit. It need not
    carry gradients: it is looked at."""
    for c, classes, h, w in ((5, 4, 3, 7), (16, 10, 12, 12), (3, 6, 5, 2), (7, 2, 1, 1)):
        head = classifier(c, classes)
        nn.init.normal_(head.linear.weight), nn.init.normal_(head.linear.bias)
        for label in dict.fromkeys((classes // 2, 0, classes - 1)):
            grid = torch.randn(c, h, w).relu()
            if why := _other_map(answer, grid, head, label):
                return why
    return None


@torch.no_grad()
def _other_map(answer: Cam, grid: Tensor, head: nn.Module, label: int) -> str | None:
    """How a map differs from what erasing places one by one shows."""
    given = grid.clone()
    value = answer(given, head.linear, label)
    found = _as_map(value)
    if found is None or found.shape != grid.shape[1:]:
        seen = repr(value)[:60] if found is None else tuple(found.shape)
        return f"a grid of {tuple(grid.shape)} gives {seen}, expected a map of {(*grid.shape[1:],)}"
    if not torch.equal(given, grid):
        return "the grid that was handed in has changed; work on a copy"
    maps = [_by_erasing(grid, head, k) for k in range(head.linear.out_features)]
    if same(found, maps[label]):
        return None
    wrong = _wrong_maps(grid, maps, head.linear.bias, label)
    known = (why for why, value in wrong if same(found, value))
    advice = "weigh each channel by linear.weight[label], add them, then add linear.bias[label]"
    mean, logit = found.double().mean().item(), head(grid[None])[0, label].item()
    if abs(mean - logit) < 1e-3:
        advice = f"but place (0, 0) speaks for it by {maps[label][0, 0]:.3f}, not {found[0, 0]:.3f}"
    return (
        f"for class {label} of {len(maps)} its mean is {mean:.3f}, the logit is {logit:.3f}; "
        f"{next(known, advice)}"
    )


def _as_map(value: object) -> Tensor | None:
    """A tensor, numpy's array or nested lists of numbers as a tensor; None for anything else."""
    if not isinstance(value, (list, tuple)) and not hasattr(value, "shape"):
        return None
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _wrong_maps(
    grid: Tensor, maps: list[Tensor], biases: Tensor, label: int
) -> list[tuple[str, Tensor]]:
    """What goes wrong, and the map (h, w) that it leads to."""
    right, bias = maps[label], biases[label]
    flat, weights = right - bias, "without the weights all classes have one map"
    channels = "sum over the channels, do not average them"
    places = "do not divide by the number of places: the mean does that"
    others = [
        (f"that is the map of class {k}, not of `label`", value)
        for k in range(len(maps))
        if k != label
        for value in (maps[k], maps[k] - biases[k], maps[k] - biases[k] + bias)
    ]
    per_channel = "the bias is added once for each channel, expected once for each place"
    summed = "the maps of all classes are added; take linear.weight[label] alone"
    every = sum(x - b for x, b in zip(maps, biases, strict=True))
    return [
        ("the bias is missing, which every place gets whole", flat),
        ("the bias is added twice", right + bias),
        (per_channel, flat + len(grid) * bias),
        *((summed, every + b) for b in (0, bias, biases.sum())),
        *others,
        *((weights, x + b) for x in (grid.sum(0), grid.mean(0)) for b in (0, bias)),
        *((channels, flat / len(grid) + b) for b in (0, bias)),
        *((places, flat / flat.numel() + b) for b in (0, bias)),
        (places, right / flat.numel()),
    ]


def _by_erasing(grid: Tensor, head: nn.Module, label: int) -> Tensor:
    """The map by another route: how the logit changes when one place of the grid is erased."""
    c, h, w = grid.shape
    erased = grid.repeat(h * w, 1, 1, 1)
    for i, copy in enumerate(erased):
        copy[:, i // w, i % w] = 0
    falls = head(grid[None])[:, label] - head(erased)[:, label]
    return (h * w * falls).reshape(h, w) + head.linear.bias[label]


Prepare = Callable[[np.ndarray, Sequence[float], Sequence[float]], Tensor]
SCALES = (  # mean and std of red, green and blue
    ((0.49, 0.42, 0.31), (0.25, 0.22, 0.19)),
    ([0.31, 0.5, 0.6], [0.4, 0.3, 0.1]),
    ((0.5, 0.5, 0.5), (0.5, 0.25, 1.0)),
)


def check_prepare(prepare: Prepare) -> str | None:
    """`prepare(bgr, mean, std)`: uint8 (h, w, 3), blue first -> normalised (1, 3, h, w), RGB."""
    dice = np.random.default_rng(0)
    for (h, w), (mean, std) in zip(((6, 9), (5, 3), (1, 4)), SCALES, strict=True):
        bgr = dice.integers(0, 256, (h, w, 3), dtype=np.uint8)
        if why := _other_pixels(prepare, bgr, mean, std):
            return why
    return None


def _other_pixels(
    prepare: Prepare, bgr: np.ndarray, mean: Sequence[float], std: Sequence[float]
) -> str | None:
    given, (h, w, _) = bgr.copy(), bgr.shape
    found = prepare(given, mean, std)
    if not (bgr == given).all():
        return "the photo that was handed in has changed; work on a copy"
    if not isinstance(found, Tensor) or found.shape != (1, 3, h, w):
        shape = tuple(getattr(found, "shape", ()))
        seen = f"{type(found).__name__} of {shape}" if shape else repr(found)[:60]
        return f"a photo of {(h, w, 3)} becomes {seen}, expected a tensor of {(1, 3, h, w)}"
    right = torch.tensor(  # value by value
        [
            [[(bgr[i, j, 2 - c] / 255 - mean[c]) / std[c] for j in range(w)] for i in range(h)]
            for c in range(3)
        ]
    )[None]
    if same(found, right):
        return None
    wrong = _wrong_pixels(torch.from_numpy(bgr).permute(2, 0, 1)[None] / 255, mean, std)
    known = [why for why, value in wrong.items() if same(found, value)]
    for name, other in (("mean", ([0.1, 0.2, 0.7], std)), ("std", (mean, [0.2, 0.7, 0.4]))):
        if same(prepare(bgr.copy(), *other), found):
            known.append(f"with another {name} it returns the same")
    apart = (found.double() - right).abs().max().item()
    if found.dtype not in (torch.float32, torch.float64):
        known.append(f"its numbers are {found.dtype}, expected a float tensor")
    advice = (*known, "print each step's numbers for a single pixel")[0]
    apart = f"{apart:.2f}" if apart >= 0.01 else f"{apart:.1g}"
    return f"it is up to {apart} apart from (RGB / 255 - mean) / std; {advice}"


def _wrong_pixels(bgr: Tensor, mean: Sequence[float], std: Sequence[float]) -> dict[str, Tensor]:
    """What goes wrong, and what it makes of pixels (1, 3, h, w) from 0 to 1, blue first."""
    m, s = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    rgb = bgr.flip(1)
    torn = rgb[0].permute(1, 2, 0).reshape(rgb.shape)
    mirrored = "the photo is mirrored: the channels must be turned round, not the columns"
    return {
        "blue still comes first": (bgr - m) / s,
        mirrored: (bgr.flip(3) - m) / s,
        "mean and std are of red first, so turn the channels round before": ((bgr - m) / s).flip(1),
        "divide by 255 first: mean and std are of 0 to 1": (255 * rgb - m) / s,
        "reshape tears the pixels apart: move the axes by permute": (torn - m) / s,
        "subtract the mean before you divide by the std": rgb / s - m,
        "blue still comes first, and divide by 255": (255 * bgr - m) / s,
        "it is divided by 255 twice": (rgb / 255 - m) / s,
        "the mean is not taken away": rgb / s,
        "it is not divided by the std": rgb - m,
        "neither mean nor std is used": rgb,
    }


def check_suspect(name: str) -> str | None:
    """The object of the test split that lies in a wrong folder."""
    if isinstance(name, (list, tuple, set)) and len(name) == 1:
        (name,) = name
    if not isinstance(name, str):
        return f"one name in quotes is expected, got {str(name)[:40]!r}"
    names = objects_in(name, shown_in_test())
    if len(names) != 1:
        some = "several objects" if names else "no object of the test split"
        return f"{name[:40]!r} names {some}; take one name from the figure, in quotes"
    better = "look for an image whose answer is better than its folder"
    return None if names == [MOVED] else f"the folder of {names[0]!r} is correct; {better}"


exercise_1 = Exercise("1", check_split)
exercise_2 = Exercise("2", check_cam, lesson="09", keep="cam", ours=cam)
exercise_3 = Exercise("3", check_suspect, ours=MOVED)
exercise_4 = Exercise("4", check_prepare)
