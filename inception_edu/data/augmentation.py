"""Augmentation of a whole batch at once: images shifted, mirrored, enlarged in part.

What is drawn comes from a generator of the CPU, so that every device sees the same draws. They are
made for n x world images, of which a batch of n holds every world-th from the rank-th on: together
the processes that train see what one alone would.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from inception_edu.checks import check_whole

# Of a random part ([G] section 6): its least fraction of the area, its highest aspect.
AREA, ASPECT = 0.08, 4 / 3


def augment(
    x: Tensor,
    generator: torch.Generator,
    *,
    shift: int = 2,
    flip: bool = True,
    rank: int = 0,
    world: int = 1,
) -> Tensor:
    """Shift each image of (n, c, h, w) by up to shift pixels and flip half of them left-right.

    Edges are repeated into what a shift uncovers.
    """
    n, c, h, w = x.shape
    check_whole("shift", shift, 0, min(h, w) - 1)
    down, right = torch.randint(-shift, shift + 1, (2, n * world, 1), generator=generator)
    rows = (torch.arange(h) + down[rank::world]).clamp(0, h - 1).to(x.device)
    columns = (torch.arange(w) + right[rank::world]).clamp(0, w - 1)
    if flip:
        flipped = torch.rand((n * world, 1), generator=generator)[rank::world] < 0.5
        columns = torch.where(flipped, w - 1 - columns, columns)
    source = rows[:, :, None] * w + columns.to(x.device)[:, None, :]  # each pixel's place in x
    return x.flatten(2).gather(2, source.view(n, 1, h * w).expand(-1, c, -1)).view(n, c, h, w)


def random_crops(
    x: Tensor, generator: torch.Generator, *, flip: bool = True, rank: int = 0, world: int = 1
) -> Tensor:
    """A random part of each image of (n, c, h, w), scaled to the whole, half of them mirrored.

    The area is drawn evenly from 8 % to 100 % of the image, the aspect from 3/4 to 4/3 ([G] section
    6) as far as that area lets it, so that every part lies in the image. Nothing is ever scaled
    down, so there is nothing to smooth.
    """
    draws = torch.rand((5, len(x) * world), generator=generator)[:, rank::world]
    area, aspect, down, right, turn = draws  # each (n,)
    area = AREA + (1 - AREA) * area
    most = (-area.log()).clamp(max=math.log(ASPECT))
    wide = (area * ((2 * aspect - 1) * most).exp()).sqrt()  # of the image's width
    high = area / wide
    mirror = torch.where(turn < 0.5, -1, 1) if flip else 1
    # Where a place of the result lies in the image, both from -1 to 1: a scale and a shift.
    part = torch.zeros(len(x), 2, 3)
    part[:, 0, 0], part[:, 0, 2] = wide * mirror, (2 * right - 1) * (1 - wide)
    part[:, 1, 1], part[:, 1, 2] = high, (2 * down - 1) * (1 - high)
    grid = affine_grid(part.to(x.device), x.shape, align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False)
