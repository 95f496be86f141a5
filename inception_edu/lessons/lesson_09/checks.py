"""Lesson 09, your own photos: the checks of its exercises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import same
from inception_edu.layers import classifier
from inception_edu.lessons.lesson_09.mistakes import MOVED, shown_in_test
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
    value = answer(grid.clone(), head.linear, label)
    found = torch.as_tensor(value) if hasattr(value, "shape") else None
    if found is None or found.shape != grid.shape[1:]:
        seen = str(value)[:60] if found is None else tuple(found.shape)
        return f"a grid of {tuple(grid.shape)} gives {seen}, expected a map of {(*grid.shape[1:],)}"
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
    return [
        ("the bias is missing, which every place gets whole", flat),
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
        seen = tuple(found.shape) if isinstance(found, Tensor) else repr(found)[:60]
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
    advice = (*known, "print each step's numbers for a single pixel")[0]
    return f"it is up to {apart:.2f} apart from (RGB / 255 - mean) / std; {advice}"


def _wrong_pixels(bgr: Tensor, mean: Sequence[float], std: Sequence[float]) -> dict[str, Tensor]:
    """What goes wrong, and what it makes of pixels (1, 3, h, w) from 0 to 1, blue first."""
    m, s = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    rgb = bgr.flip(1)
    mirrored = "the photo is mirrored: the channels must be turned round, not the columns"
    return {
        "blue still comes first": (bgr - m) / s,
        mirrored: (bgr.flip(3) - m) / s,
        "mean and std are of red first, so turn the channels round before": ((bgr - m) / s).flip(1),
        "divide by 255 first: mean and std are of 0 to 1": (255 * rgb - m) / s,
        "the mean is not taken away": rgb / s,
        "it is not divided by the std": rgb - m,
        "neither mean nor std is used": rgb,
    }


def check_suspect(name: str) -> str | None:
    """The object of the test part that lies in a wrong folder."""
    if not isinstance(name, str):
        return f"a name in quotes is expected, got {str(name)[:40]!r}"
    name = name.strip().lower().removesuffix(".webp").rpartition("/")[2]
    if name not in shown_in_test():
        return f"no test image shows {name!r}; take a name from the figure, in quotes"
    if name != MOVED:
        return (
            f"look at the image of {name!r} again: its folder is correct, the network is wrong "
            "about it; look for an image whose answer is better than its folder"
        )
    return None


exercise_1 = Exercise("1", check_split)
exercise_2 = Exercise("2", check_cam, lesson="09", keep="cam", ours=cam)
exercise_3 = Exercise("3", check_suspect, ours=MOVED)
exercise_4 = Exercise("4", check_prepare)
