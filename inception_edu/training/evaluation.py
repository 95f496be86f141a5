"""How good a network is on one part of a data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from inception_edu.checks import check_whole
from inception_edu.data import Dataset, Split
from inception_edu.losses import head_logits, logits_of
from inception_edu.network import Network, Outputs
from inception_edu.training import devices
from inception_edu.training.replicas import unrepeatable

PIXELS = 2**19  # of a batch at most, so that large images need no more memory than small ones
RENEWED = 512  # images that batch norm's statistics are renewed from


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Accuracy (0 to 1), mean loss, and logits (n, classes) on the CPU, over one split."""

    accuracy: float
    loss: float
    logits: Tensor


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, device: str = "auto") -> Evaluation:
    """Accuracy, loss and logits over a split, in evaluation mode and float32.

    On a CPU every core computes batches of its own. The result depends neither on how many cores
    there are nor on the memory format of the network's weights; its modes are restored.
    """
    if len(split) == 0:
        raise ValueError("this part has 0 images; load the data set with a larger valid")
    target, size = devices.pick_device(device), evaluation_size(split)
    layout = devices.MEMORY_FORMATS[devices.pick_memory_format(target)]

    def compute(start: int) -> tuple[Tensor, Tensor]:
        x, labels = split.batch(slice(start, start + size), target)
        return logits_of(model(x.contiguous(memory_format=layout))).cpu(), labels.cpu()

    with evaluation_mode(model.to(target, memory_format=layout)):
        starts = range(0, len(split), size)
        if target.type == "cpu":
            one = unrepeatable(model, split.batch(slice(0, 1))[0])
            batches = devices.side_by_side(compute, starts, threads=1 if one else None)
        else:
            batches = [compute(start) for start in starts]
    logits, labels = map(torch.cat, zip(*batches, strict=True))
    check_labels(labels, logits)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    loss = cross_entropy(logits, labels).item()
    return Evaluation(accuracy=accuracy, loss=loss, logits=logits)


def evaluation_size(split: Split) -> int:
    """Images in a batch that is only evaluated."""
    return max(1, min(250, PIXELS // (split.shape[1] * split.shape[2])))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The network is in evaluation mode inside; then every layer has the mode that it had."""
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training


def training_mode(model: nn.Module) -> None:
    """Put a network into training mode, all but parts in evaluation mode whose weights are frozen:
    they stay as they are, batch norm's statistics too."""

    def is_frozen(part: nn.Module) -> bool:
        weights = [weight.requires_grad for weight in part.parameters()]
        return bool(weights) and not part.training and not any(weights)

    frozen = [part for part in model.modules() if is_frozen(part)]
    modes = {layer: layer.training for part in frozen for layer in part.modules()}
    model.train()
    for layer, training in modes.items():
        layer.training = training


@torch.no_grad()
def renew_statistics(model: nn.Module, split: Split, device: torch.device) -> None:
    """Set the running statistics that batch norm is learning to what they are with the weights as
    they are now, over 512 images of a split, or all where there are fewer; nothing else changes."""
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.training]
    norms = [layer for layer in norms if layer.track_running_stats]
    kept = [(layer.momentum, [b.clone() for b in layer.buffers()]) for layer in norms]
    n = min(len(split), RENEWED)
    chosen = torch.arange(n) * len(split) // n  # from all over the split: it may lie class by class
    turns = max(1, n // max(8, evaluation_size(split)))
    with evaluation_mode(model):
        try:
            for layer in norms:
                layer.train().reset_running_stats()
                layer.momentum = None  # the mean over all batches
            for turn in range(turns):
                model(split.batch(chosen[turn::turns], device)[0])
        except BaseException:  # interrupted: better old statistics than half of the new
            for layer, (_, buffers) in zip(norms, kept, strict=True):
                for buffer, old in zip(layer.buffers(), buffers, strict=True):
                    buffer.copy_(old)
            raise
        finally:
            for layer, (momentum, buffers) in zip(norms, kept, strict=True):
                layer.momentum = momentum
                layer.num_batches_tracked.copy_(buffers[-1])


def accuracies(outputs: Outputs | Tensor, labels: Tensor) -> dict[str, Tensor]:
    """By head, the fraction of the labels (n,) that its logits give."""
    heads = head_logits(outputs).items()
    return {name: (logits.argmax(1) == labels).float().mean() for name, logits in heads}


@torch.no_grad()
def check_fits(model: nn.Module, dataset: Dataset, device: torch.device, *, shift: int = 0) -> None:
    """Raise ValueError unless the network, in training mode, can learn from the images, shifted by
    so many pixels: tried with one, so that a network of another size or number of classes fails at
    once."""
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError(
            f"the network must have weights that learn, got {type(model).__name__} with all of "
            "them frozen; call requires_grad_(True) on a part of it"
        )
    check_whole("shift", shift, 0, min(dataset.train.shape[1:]) - 1)
    x, _ = dataset.train.batch(slice(0, 1), device)
    if isinstance(model, Network):
        model.check_input(x)  # aux heads need larger images
    with evaluation_mode(model.to(device)), devices.cpu_threads(1):
        check_labels(dataset.train.labels, logits_of(model(x)))


def check_labels(labels: Tensor, logits: Tensor) -> None:
    """Raise ValueError unless every label names one of the logits' classes."""
    low, high, classes = int(labels.min()), int(labels.max()), logits.shape[1]
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1} for a network of {classes} classes, "
            f"got {low} to {high}; set num_classes= when the network is built"
        )
