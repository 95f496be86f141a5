"""Lesson 10, rooms 1 and 2: the code, right or with a bug, that the student's tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import pad
from torchvision.transforms.functional import pil_to_tensor

from inception_edu.lessons.lesson_10 import exhibits_curve as curve
from inception_edu.lessons.lesson_10.exhibits_stop import fixed_head, halvings
from inception_edu.lessons.lesson_10.guard import Make, sealed

WIDTHS, CLASSES = (8, 16, 12), (10, 5, 100)


def headed(head: Callable[[int, int], nn.Module]) -> Make:
    """A network, as a function, that ends with `head(c, num_classes)`."""
    return lambda seed: (sealed(halvings(head(WIDTHS[seed], CLASSES[seed]), WIDTHS[seed])),)


def score_first(c: int, num_classes: int) -> nn.Sequential:
    """A head that is right: classes at each place, then their mean."""
    return nn.Sequential(nn.Conv2d(c, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def mean_first(c: int, num_classes: int) -> nn.Sequential:
    """A head that is right: rows and columns made one axis, and its mean taken."""
    return nn.Sequential(
        nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(c, num_classes)
    )


def stride_of_7(c: int, num_classes: int) -> nn.Sequential:
    """A head with a pool of 7x7 that takes steps of 7."""
    return nn.Sequential(nn.AvgPool2d(7), nn.Flatten(), nn.Linear(c, num_classes))


def mean_of_pools(c: int, num_classes: int) -> nn.Sequential:
    """The mean of all pools of 7x7, of which a small grid has none."""
    return nn.Sequential(nn.AvgPool2d(7), mean_first(c, num_classes))


class AtLeast7(nn.Module):
    """Zeros around what is smaller than 7x7: (n, c, h, w) -> (n, c, h', w')."""

    def forward(self, x: Tensor) -> Tensor:
        """Below and to the right."""
        h, w = x.shape[2:]
        return pad(x, (0, max(0, 7 - w), 0, max(0, 7 - h)))


def padded_to_7(c: int, num_classes: int) -> nn.Sequential:
    """The fixed head behind zeros, which keep small grids from stopping it."""
    return nn.Sequential(AtLeast7(), fixed_head(c, num_classes))


def reading(read: Callable[[Image.Image], Tensor]) -> Make:
    """The function that reads a photo."""
    return lambda seed: (sealed(read),)


def in_numpy(photo: Image.Image) -> Tensor:
    """A reader that is right: by way of numpy."""
    x = torch.from_numpy(np.array(photo.convert("RGB"), dtype="float32"))
    return (x / 255).permute(2, 0, 1)


def band_by_band(photo: Image.Image) -> Tensor:
    """A reader that is right: red, green and blue one by one."""
    bands = photo.convert("RGB").split()
    return torch.cat([pil_to_tensor(band) for band in bands]) / 255


def first_three(photo: Image.Image) -> Tensor:
    """Three channels at any price: one is repeated, a fourth is cut off."""
    x = pil_to_tensor(photo) / 255
    return x.expand(3, -1, -1) if len(x) == 1 else x[:3]


def red_only(photo: Image.Image) -> Tensor:
    """A single channel becomes the red one; all else is read as it should be."""
    if photo.mode != "L":
        return band_by_band(photo)
    return torch.cat([pil_to_tensor(photo) / 255, torch.zeros(2, photo.height, photo.width)])


def last_three(photo: Image.Image) -> Tensor:
    """Of four channels the last three; all else is read as it should be."""
    return pil_to_tensor(photo)[-3:] / 255 if photo.mode == "RGBA" else band_by_band(photo)


def scoring(last: nn.Module | None = None, *, gain: float = 1, shift: float = 0) -> Make:
    """A network for 28x28 pixels, as a function: scores, `gain` times as far apart and around
    `shift`, through a `last` layer."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor]]:
        hidden, linear, _ = curve.softmax_network(784, WIDTHS[seed], CLASSES[seed])
        with torch.no_grad():
            linear.weight.mul_(gain)
            linear.bias.add_(shift)
        return (sealed(nn.Sequential(hidden, linear, last or nn.Identity())),)

    return make


def putting_back(*parts: str) -> Callable:
    """What puts these parts of a checkpoint back."""

    def restore(saved: dict, model: nn.Module, optimiser: object, schedule: object) -> None:
        there = dict(model=model, optimiser=optimiser, schedule=schedule)
        for name in parts:
            there[name].load_state_dict(saved[name])

    return restore


def resuming(*parts: str) -> Make:
    """`train`, which puts back these parts of a checkpoint."""
    restore = putting_back(*parts)
    return lambda seed: (of_size(seed, restore),)


def of_size(seed: int, restore: Callable, **changes: object) -> Callable:
    """`train` with the sizes and the rate of a seed."""
    optimise = partial(curve.momentum, lr=(0.2, 0.1, 0.15)[seed])
    return curve.trainer(restore, **dict(seed=seed, c=WIDTHS[seed], optimise=optimise) | changes)


def with_adam(seed: int) -> tuple[Callable]:
    """`train` that is right, with another optimiser and a rate that rises first."""
    adam = partial(torch.optim.Adam, lr=0.01)
    rise = lambda step: min(1, (step + 1) / 5) / (step + 1) ** 0.5  # noqa: E731
    restore = putting_back("model", "optimiser", "schedule")
    return (of_size(seed, restore, optimise=adam, factor=rise),)


def starting_over(seed: int) -> tuple[Callable]:
    """`train` that is right: to go on, it repeats all steps from the first."""
    whole = of_size(seed, putting_back())

    def train(steps: int, saved: dict | None = None) -> tuple[curve.Rows, dict]:
        done = saved["steps"] if saved else 0
        return whole(done + steps)[0][done:], dict(steps=done + steps)

    return (train,)


def data_again(seed: int) -> tuple[Callable]:
    """`train` that puts everything back, and begins with the first batch again."""
    right = of_size(seed, putting_back("model", "optimiser", "schedule"))
    return (lambda steps, saved=None: right(steps, saved and saved | dict(steps=0)),)
