"""How good a network is on one split of a data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.checks import check_kind, check_whole
from inception_edu.data import Dataset, Split
from inception_edu.losses import check_classes, head_logits, logits_of
from inception_edu.network import Network, Outputs
from inception_edu.training import devices
from inception_edu.training.shares import learning_norms, obstacle, replica

PIXELS = 2**17  # of a thread's batch at most: large images need no more memory than small ones
RENEWED = 512  # images that batch norm's statistics are renewed from


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Accuracy (0 to 1), mean loss, and logits (n, classes) on the CPU, over one split."""

    accuracy: float
    loss: float
    logits: Tensor

    @property
    def confidence(self) -> float:
        """The mean probability (0 to 1) that is given to the class that is named."""
        return self.logits.double().softmax(1).amax(1).mean().item()


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, device: str = "auto") -> Evaluation:
    """Accuracy, loss and logits over a split, in evaluation mode and float32.

    On a CPU every core computes batches of its own. The result depends neither on how many cores
    there are nor on the memory format of the network's weights; its modes are restored.
    """
    check_kind("model", model, isinstance(model, nn.Module), "a network (nn.Module)")
    check_kind("split", split, isinstance(split, Split), "train, valid or test of a data set")
    split.check_not_empty()
    target = devices.pick_device(device)
    layout = devices.MEMORY_FORMATS[devices.pick_memory_format(target)]
    size, networks = batch_size(split, target), SimpleQueue()
    starts = range(0, len(split), size)

    def compute(start: int) -> tuple[Tensor, Tensor]:
        x, labels = split.batch(slice(start, start + size), target)
        network = networks.get()  # a thread's own: it may keep something between its layers
        try:
            return logits_of(network(x.contiguous(memory_format=layout))).cpu(), labels.cpu()
        finally:
            networks.put(network)

    with evaluation_mode(model.to(target, memory_format=layout)):
        alone = target.type != "cpu" or obstacle(model, split.batch(slice(0, 1))[0])
        threads = 1 if alone else torch.get_num_threads()
        for _ in starts[:threads]:
            networks.put(model if alone else replica(model, torch.Generator()))
        batches = devices.side_by_side(compute, starts, threads)
    logits, labels = map(torch.cat, zip(*batches, strict=True))
    check_classes(labels, logits.shape[1])
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return Evaluation(accuracy=accuracy, loss=cross_entropy(logits, labels).item(), logits=logits)


def batch_size(split: Split, device: torch.device) -> int:
    """Images in a batch that is only evaluated."""
    pixels = PIXELS if device.type == "cpu" else 8 * PIXELS
    return max(1, min(250, pixels // (split.shape[1] * split.shape[2])))


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
    model.train()
    for part in frozen:
        part.eval()


@torch.no_grad()
def renew_statistics(model: nn.Module, split: Split, device: torch.device) -> None:
    """Set the running statistics that batch norm is learning to what they are with the weights as
    they are now, over 512 images of a split, or all where there are fewer; nothing else changes."""
    norms = learning_norms(model)
    kept = [(norm, norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    n = min(len(split), RENEWED)
    chosen = torch.arange(n) * len(split) // n  # from all over the split: it may lie class by class
    turns = max(1, n // max(8, batch_size(split, device)))
    try:
        with evaluation_mode(model):
            for norm in norms:
                norm.train().reset_running_stats()
                norm.momentum = None  # the mean over all batches
            for turn in range(turns):
                model(split.batch(chosen[turn::turns], device)[0])
    finally:
        for norm, momentum, steps in kept:
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(steps)


def accuracies(outputs: Outputs | Tensor, labels: Tensor) -> dict[str, Tensor]:
    """By head, the fraction of the labels (n,) that its logits give."""
    heads = head_logits(outputs).items()
    return {name: (logits.argmax(1) == labels).float().mean() for name, logits in heads}


@torch.no_grad()
def check_fits(model: nn.Module, dataset: Dataset, device: torch.device, *, shift: int = 0) -> None:
    """Raise ValueError unless the network, in training mode, can learn from the images, shifted by
    so many pixels: tried with one."""
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
        check_classes(dataset.train.labels, logits_of(model(x)).shape[1])
