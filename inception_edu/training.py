"""Training in the open: one visible loop, and evaluation."""

import os
import pathlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.data import Dataset, Split, augment
from inception_edu.googlenet import Outputs
from inception_edu.history import History, Recipe

__all__ = ["Evaluation", "History", "Recipe", "evaluate", "fit", "pick_device", "pick_precision"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Accuracy (0 to 1), mean loss, and logits (n, classes) on the CPU, over one split."""

    accuracy: float
    loss: float
    logits: Tensor


def pick_device(device: str = "auto") -> torch.device:
    """The device; "auto" is INCEPTION_EDU_DEVICE, else CUDA, else Apple's MPS, else the CPU."""
    if device == "auto":
        best = "mps" if torch.backends.mps.is_available() else "cpu"
        best = "cuda" if torch.cuda.is_available() else best
        device = os.environ.get("INCEPTION_EDU_DEVICE", best)
    try:
        if str(device).split(":")[0] in ("cpu", "cuda", "mps"):
            return torch.empty(0, device=device).device
        reason = None
    except (RuntimeError, AssertionError) as error:
        reason = error
    message = f'device must be "auto", "cpu", "cuda" or "mps" and be there, got {device!r}'
    raise ValueError(message) from reason


def pick_precision(device: torch.device) -> str:
    """ "bfloat16" where the hardware multiplies in it, else "float32"."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float32"
    flags = pathlib.Path("/proc/cpuinfo")  # Linux only; elsewhere float32 is the safe choice
    if device.type == "cpu" and flags.exists():
        units = {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split())
        return "bfloat16" if units else "float32"
    return "float32"


def batches(split: Split, recipe: Recipe, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """`recipe.steps` augmented batches, reshuffled when too few images are left for a whole one."""
    generator = torch.Generator().manual_seed(recipe.seed)
    size = min(recipe.batch_size, len(split))
    left = torch.empty(0, dtype=torch.int64)
    for _ in range(recipe.steps):
        if len(left) < size:
            left = torch.randperm(len(split), generator=generator)
        x, labels = split.batch(left[:size], device)
        left = left[size:]
        x = augment(x, generator, shift=recipe.shift, flip=recipe.flip)
        yield x.contiguous(memory_format=torch.channels_last), labels


def fit(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    device: str = "auto",
    watch: Callable[[History, bool], None] | None = None,
) -> History:
    """Train `model` in place on `dataset.train`; it returns Outputs or plain logits.

    `watch(history, done)` is called every few steps and at the end; without it a line of progress
    is printed. An interrupt, or a loss that is not finite, ends the run early: `stopped` says why,
    and the model keeps the last weights that were seen to work.
    """
    watch, device = watch or print_progress, pick_device(device)
    precision = recipe.precision if recipe.precision != "auto" else pick_precision(device)
    history = History(recipe=recipe, device=str(device), precision=precision)
    model.to(device, memory_format=torch.channels_last).train()
    how = dict(lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    optimiser = torch.optim.SGD(model.parameters(), nesterov=recipe.momentum > 0, **how)
    bfloat16 = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    train, finite = dataset.train.to(device), True
    size = min(recipe.batch_size, len(train))
    good, pending, start = snapshot(model), [], time.perf_counter()
    try:
        for step, (x, labels) in enumerate(batches(train, recipe, device), start=1):
            optimiser.param_groups[0]["lr"] = recipe.lr_at(step)
            with bfloat16:
                logits = logits_of(model(x)).float()
            if step == 1:
                check_labels(dataset.train.labels, logits)
            loss = cross_entropy(logits, labels)
            pending.append(loss.detach())
            validate_now = step % (recipe.validate_every or recipe.steps) == 0
            look = step % 20 == 0 or validate_now or step == recipe.steps
            if look:  # one wait for the device in 20 steps
                finite = history.record(pending, size, time.perf_counter() - start)
                if not finite:
                    break
                good = snapshot(model)  # the weights that gave the last of these losses
                watch(history, False)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if validate_now and step < recipe.steps:
                validate(model, dataset.valid, history)
    except KeyboardInterrupt:
        finite = history.record(pending, size, time.perf_counter() - start)
        if finite:
            history.stopped = f"interrupted after step {len(history.losses)}"
    if not finite:
        model.load_state_dict(good)
    validate(model, dataset.valid, history)
    watch(history, True)
    return history


def logits_of(outputs: Outputs | Tensor) -> Tensor:
    """The main logits of a network's output."""
    return outputs if isinstance(outputs, Tensor) else outputs.logits


def check_labels(labels: Tensor, logits: Tensor) -> None:
    """Raise ValueError unless every label names one of the logits' classes."""
    low, high, classes = int(labels.min()), int(labels.max()), logits.shape[1]
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1} for a network of {classes} classes, "
            f"got {low} to {high}; set num_classes= when the network is built"
        )


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's state dict that further training leaves alone."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, device: str = "auto") -> Evaluation:
    """Accuracy, loss and logits over a split, in evaluation mode and float32."""
    target, was_training = pick_device(device), model.training
    model.to(target).eval()
    try:
        logits = torch.cat([logits_of(model(x)).cpu() for x, _ in split.batches(500, target)])
    finally:
        model.train(was_training)
    check_labels(split.labels, logits)
    accuracy = (logits.argmax(1) == split.labels).float().mean().item()
    loss = cross_entropy(logits, split.labels).item()
    return Evaluation(accuracy=accuracy, loss=loss, logits=logits)


def validate(model: nn.Module, split: Split, history: History) -> None:
    """Add a row to `history`: step, and loss and accuracy on the split, unless it is empty."""
    if len(split):
        found = evaluate(model, split, device=history.device)
        step = len(history.losses)
        row = dict(step=step, valid_loss=found.loss, valid_accuracy=found.accuracy)
        history.rows.append(row)


def print_progress(history: History, done: bool) -> None:
    """One line that is overwritten while a run goes on and ends as its summary."""
    print(f"\r{history!s:<{0 if done else 90}}", end="\n" if done else "", flush=True)
