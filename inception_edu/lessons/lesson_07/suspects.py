"""Lesson 07: three losses with smoothed targets, one of which divides by K - 1."""

from collections.abc import Callable

import torch
from torch import Tensor


def loss_a(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect A: two terms."""
    true = -log_p.gather(1, labels[:, None]).squeeze(1)
    return ((1 - eps) * true - eps * log_p.mean(1)).mean()


def loss_b(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect B: targets filled in, then the label's own set."""
    q = torch.full_like(log_p, eps / (log_p.shape[1] - 1))
    q.scatter_(1, labels[:, None], 1 - eps)
    return -(q * log_p).sum(1).mean()


def loss_c(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect C: targets filled in, then the label's own added to."""
    q = torch.full_like(log_p, eps / log_p.shape[1])
    q[torch.arange(len(labels)), labels] += 1 - eps
    return -(q * log_p).sum(1).mean()


SUSPECTS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "A": loss_a,
    "B": loss_b,
    "C": loss_c,
}
