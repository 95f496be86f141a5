"""Lesson 07: the smoothed loss by torch, and what it becomes by the common mistakes."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode

Loss = Callable[[Tensor, Tensor, float], Tensor]


def right_loss(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The smoothed loss by torch."""
    return cross_entropy(logits, labels, label_smoothing=eps)


def uniform(logits: Tensor) -> Tensor:
    """The mean of -log p over classes and images."""
    return -logits.log_softmax(1).mean()


def others_only(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The loss in which the K - 1 other classes share eps."""
    k, true = logits.shape[1], cross_entropy(logits, labels)
    return (1 - eps) * true + eps * (k * uniform(logits) - true) / (k - 1)


def divergence(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The loss without the entropy of the targets."""
    q = torch.full_like(logits[0], eps / logits.shape[1])
    q[0] += 1 - eps
    return right_loss(logits, labels, eps) + torch.xlogy(q, q).sum()


MISTAKEN_LOSSES: dict[str, Loss] = {
    "that is plain cross-entropy: eps does nothing yet": lambda x, y, eps: cross_entropy(x, y),
    "eps is shared by all K classes, the label's own among them": others_only,
    "the uniform term is a mean over the K classes, not a sum": (
        lambda x, y, eps: (1 - eps) * cross_entropy(x, y) + eps * x.shape[1] * uniform(x)
    ),
    "the one-hot part has weight 1 - eps": (
        lambda x, y, eps: cross_entropy(x, y) + eps * uniform(x)
    ),
    "eps and 1 - eps have changed places": lambda x, y, eps: right_loss(x, y, 1 - eps),
    "average over the images, do not sum": lambda x, y, eps: len(x) * right_loss(x, y, eps),
    "average over the images, sum over the classes": (
        lambda x, y, eps: right_loss(x, y, eps) / x.shape[1]
    ),
    "a loss has a minus sign before log p": lambda x, y, eps: -right_loss(x, y, eps),
    "log p is logits.log_softmax(1), not the logits": (
        lambda x, y, eps: right_loss(x, y, eps) - x.logsumexp(1).mean()
    ),
    "that is the KL divergence alone: the entropy of q' is missing": divergence,
}


class Watch(TorchFunctionMode):
    """While it is on, `.smoothed` notes whether torch is asked for its own label smoothing."""

    smoothed = False

    def __torch_function__(self, function, types, args=(), kwargs=None):  # as torch asks for it
        named = (kwargs or {}).get("label_smoothing", 0)
        last = args[-1] if "cross_entropy" in getattr(function, "__name__", "") else None
        self.smoothed |= bool(named) or (isinstance(last, float) and last > 0)
        return function(*args, **(kwargs or {}))

    def call(self, function: Callable[..., Tensor], *arguments: object) -> Tensor:
        """What a function returns while it is watched."""
        with self:
            return function(*arguments)
