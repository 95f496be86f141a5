"""Lesson 07: four losses with smoothed targets, of which two are faulty."""

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, float], Tensor]


def loss_a(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """(n, K), (n,) -> the loss of each image, (n,)"""
    log_p = logits.log_softmax(1)
    q = torch.ones_like(log_p)
    q = eps * q / q.sum(1, keepdim=True)
    q[torch.arange(len(labels)), labels] += 1 - eps
    return -(q * log_p).sum(1)


def loss_b(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """(n, K), (n,) -> the loss of each image, (n,)"""
    log_p = logits.log_softmax(1)
    own = log_p[torch.arange(len(labels)), labels]
    return -(1 - eps) * own - eps * log_p.mean()


def loss_c(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """(n, K), (n,) -> the loss of each image, (n,)"""
    log_p = logits.log_softmax(1)
    own = log_p[torch.arange(len(labels)), labels]
    return -(1 - eps) * own - eps * log_p.mean(1)


def loss_d(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """(n, K), (n,) -> the loss of each image, (n,)"""
    log_p = logits.log_softmax(1)
    q = torch.ones_like(log_p)
    q[torch.arange(len(labels)), labels] = 0
    q = eps * q / q.sum(1, keepdim=True)
    q[torch.arange(len(labels)), labels] = 1 - eps
    return -(q * log_p).sum(1)


SUSPECTS: dict[str, Loss] = {"A": loss_a, "B": loss_b, "C": loss_c, "D": loss_d}
