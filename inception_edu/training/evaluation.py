"""How good a network is on one part of a data set."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.data import Split
from inception_edu.losses import logits_of
from inception_edu.training.devices import pick_device

PIXELS = 2**19  # of a batch at most, so that large images need no more memory than small ones


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Accuracy (0 to 1), mean loss, and logits (n, classes) on the CPU, over one split."""

    accuracy: float
    loss: float
    logits: Tensor


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, device: str = "auto") -> Evaluation:
    """Accuracy, loss and logits over a split, in evaluation mode and float32."""
    target, was_training = pick_device(device), model.training
    model.to(target).eval()
    _, h, w = split.shape
    size = max(1, min(500, PIXELS // (h * w)))
    try:
        found = [(logits_of(model(x)).cpu(), y.cpu()) for x, y in split.batches(size, target)]
    finally:
        model.train(was_training)
    logits, labels = map(torch.cat, zip(*found, strict=True))  # a streamed part may lose photos
    check_labels(labels, logits)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    loss = cross_entropy(logits, labels).item()
    return Evaluation(accuracy=accuracy, loss=loss, logits=logits)


def check_labels(labels: Tensor, logits: Tensor) -> None:
    """Raise ValueError unless every label names one of the logits' classes."""
    low, high, classes = int(labels.min()), int(labels.max()), logits.shape[1]
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1} for a network of {classes} classes, "
            f"got {low} to {high}; set num_classes= when the network is built"
        )
