"""How fast this machine trains and infers here, beside what everyone writes, in one run.

What is compared takes turns, so that a slow moment of the machine meets both sides.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from inception_edu.cost import text_table
from inception_edu.data import Dataset, Split, load
from inception_edu.googlenet import GoogLeNet
from inception_edu.torchvision_weights import from_torchvision
from inception_edu.training import Recipe, fit, silent
from inception_edu.training.checkpoints import versions
from inception_edu.training.devices import hardware, pick_device, pick_precision
from inception_edu.training.inference import optimise_for_inference

EXAMPLE = "--device cpu"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    print(measure(device=args.device))
    return 0


class PlainImages(torch.utils.data.Dataset):
    """A split image by image, through torchvision's transforms: the way tutorials read data."""

    def __init__(self, split: Split, recipe: Recipe) -> None:
        self.split, side = split, split.images.shape[2]
        steps = [v2.ToPILImage(), v2.RandomCrop(side, padding=recipe.shift, padding_mode="edge")]
        steps += [v2.RandomHorizontalFlip()] if recipe.flip else []
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        self.transform = v2.Compose([*steps, v2.Normalize(split.mean, split.std)])

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.split.images[i]), int(self.split.labels[i])


def plain_loop(
    model: nn.Module, split: Split, recipe: Recipe, size: int, steps: int, device: torch.device
) -> list[float]:
    """Training as everyone writes it: DataLoader, float32, contiguous, `.item()` in every step."""
    if size > len(split):
        raise ValueError(f"size must be at most the {len(split)} images of the split, got {size}")
    loader = DataLoader(PlainImages(split, recipe), batch_size=size, shuffle=True, drop_last=True)
    model.to(device).train()
    how = dict(lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    optimiser, losses = torch.optim.SGD(model.parameters(), nesterov=True, **how), []
    while True:
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            loss = cross_entropy(model(images).logits, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            if len(losses) == steps:
                return losses


def fit_only(model: nn.Module, dataset: Dataset, recipe: Recipe, device: str = "auto") -> int:
    """`fit` without validation; returns how many images it took."""
    valid = dataset.valid
    nothing = replace(valid, images=valid.images[:0], labels=valid.labels[:0])
    history = fit(model, replace(dataset, valid=nothing), recipe, device=device, watch=silent)
    return history.step * history.batch_size


def training_calls(
    dataset: Dataset, device: str, *, size: int, steps: int, width: float
) -> dict[str, Callable[[], int]]:
    """By name, a run of `steps` batches that returns how many images it took; same network."""
    train, target = dataset.train, pick_device(device)
    told = Recipe(steps=steps, batch_size=size, lr=0.05)
    shape = dict(num_classes=len(dataset.classes), in_channels=len(dataset.mean), width=width)

    def plain(size: int) -> int:
        return size * len(plain_loop(network(), train, told, size, steps, target))

    def network() -> GoogLeNet:
        torch.manual_seed(0)
        return GoogLeNet("small", aux=False, **shape)

    def ours() -> int:
        return fit_only(network(), dataset, told, device)

    return {
        f"plain loop, batch {size}": lambda: plain(size),
        "plain loop, batch 40": lambda: plain(40),
        f"this loop, batch {size}": ours,
    }


def inference_calls(device: torch.device, *, size: int, n: int) -> dict[str, Callable[[], int]]:
    """By name, one batch through torchvision's GoogLeNet and through ours made fast."""
    torch.manual_seed(0)
    theirs = torchvision.models.googlenet(weights=None, init_weights=False).eval()
    ours = GoogLeNet("torchvision")
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    x = torch.randn(n, 3, size, size, device=device)
    models = {"torchvision, float32": theirs.to(device)}
    for precision in dict.fromkeys(("float32", pick_precision(device))):
        models[f"ours, {precision}"] = optimise_for_inference(ours.to(device), precision=precision)

    @torch.inference_mode()
    def run(model: nn.Module) -> int:
        model(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        return n

    return {name: partial(run, model) for name, model in models.items()}


def speeds(calls: dict[str, Callable[[], int]], repeats: int) -> dict[str, list[float]]:
    """Images per second of every call, taking turns; a first round is not counted."""
    found = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            images = call()
            if turn:
                found[name].append(images / (time.perf_counter() - start))
    return found


def words(title: str, found: dict[str, list[float]]) -> str:
    """A table of speeds, and how many times faster each is than the first, turn by turn."""
    rows = [(title, "images/s", "least", "most", "times the first")]
    first = next(iter(found.values()))
    for name, values in found.items():
        times = statistics.median(a / b for a, b in zip(values, first, strict=True))
        numbers = statistics.median(values), min(values), max(values)
        rows.append((name, *(f"{n:,.0f}" for n in numbers), f"{times:.2f}"))
    return text_table(rows)


def measure(
    *, device: str = "auto", repeats: int = 3, steps: int = 12, width: float = 1 / 4
) -> str:
    """Time training and inference; about two minutes on 2 CPU cores."""
    target = pick_device(device)
    about = ", ".join(f"{name} {version}" for name, version in versions().items())
    size, data = 512 if target.type == "cuda" else 128, load("fashion_mnist")
    training = training_calls(data, device, size=size, steps=steps, width=width)
    inference = inference_calls(target, size=224, n=16)
    return "\n".join(
        [
            f"{hardware(target)}, {pick_precision(target)}; {about}; median of {repeats} turns",
            words(f"training, GoogLeNet at {width:g} width, 28 px", speeds(training, repeats)),
            words("inference, GoogLeNet, 224 px, batch 16", speeds(inference, 2 * repeats)),
        ]
    )
