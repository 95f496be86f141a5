"""Pixels from 0 to 255 as a network takes them: mean 0 and spread 1 by channel."""

import torch
from torch import Tensor


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (n, c, h, w) as float32 less the mean, over the spread, by channel; white is 1."""
    x = pixels.float()
    # Plain numbers channel by channel: copying tensors of means would stall a GPU every batch.
    for c, (m, s) in enumerate(zip(mean, std, strict=True)):
        x[:, c].sub_(255 * m).div_(255 * s)
    return x


def mean_and_std(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By channel of uint8 (n, c, h, w), with white as 1."""
    channels = images.unbind(1)
    return statistics(torch.stack([x.flatten().bincount(minlength=256) for x in channels]))


def statistics(counts: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std by channel, with white as 1, from counts (c, 256) of the 256 values: exact."""
    value = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double()
    share /= share.sum(1, keepdim=True)
    mean = share @ value
    std = (share * (value - mean[:, None]) ** 2).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(s or 1.0 for s in std.tolist())  # 1: one colour everywhere
