"""How fast this machine trains and classifies: compared with the usual loop, alone and beside other
processes. What is compared takes turns, so that a slow moment of the machine meets both sides.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from inception_edu.cost import text_table
from inception_edu.data import Dataset, Split, load
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_05.loop import PlainImages, fit_only, speeds
from inception_edu.lessons.lesson_05.neighbour import BUSY, beside
from inception_edu.torchvision_weights import from_torchvision
from inception_edu.training import Recipe
from inception_edu.training.checkpoints import versions
from inception_edu.training.devices import hardware, pick_device, pick_precision
from inception_edu.training.inference import optimise_for_inference

EXAMPLE = "--device cpu"
LONGER = 4  # times as many steps for `fit`: what it does once in a run is not to weigh as in 12
NEIGHBOURS = {  # what else a machine may be doing, as a script that says when it has begun
    "beside a busy process": BUSY,
    "beside another training": """
import torch
from inception_edu.googlenet import GoogLeNet
network = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)
optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
print("on", flush=True)
while True:
    network(torch.randn(128, 1, 28, 28)).logits.logsumexp(1).mean().backward()
    optimiser.step()
""",
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    print(measure(device=args.device))
    return 0


def plain_loop(
    model: nn.Module, split: Split, recipe: Recipe, size: int, steps: int, device: torch.device
) -> list[float]:
    """Training as everyone writes it: DataLoader, float32, contiguous, `.item()` in every step."""
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


def training_calls(
    dataset: Dataset, device: str, *, size: int, steps: int, width: float
) -> dict[str, Callable[[], int]]:
    """By name, a run in float32 that returns how many images it took, with the same network each
    time: `steps` batches of the plain loop, `LONGER` times as many of ours."""
    train, target = dataset.train, pick_device(device)
    told = Recipe(steps=LONGER * steps, batch_size=size, lr=0.05, precision="float32")
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


def among_neighbours(call: Callable[[], int], repeats: int) -> dict[str, list[float]]:
    """Images per second of a call, alone and beside each kind of neighbour."""
    found = {"alone": speeds({"": call}, repeats)[""]}
    for name, script in NEIGHBOURS.items():
        with beside(script):
            found[name] = speeds({"": call}, repeats)[""]
    return found


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
    """Time training and inference; about four minutes on 2 CPU cores."""
    target = pick_device(device)
    about = ", ".join(f"{name} {version}" for name, version in versions().items())
    size, data = 512 if target.type == "cuda" else 128, load("fashion_mnist")
    training = training_calls(data, device, size=size, steps=steps, width=width)
    *_, ours = training.values()
    inference = inference_calls(target, size=224, n=16)
    return "\n".join(
        [
            f"{hardware(target)}, {pick_precision(target)}; {about}; median of {repeats} turns, "
            f"{2 * repeats} for inference",
            words(f"training in float32, GoogLeNet at {width:g} width", speeds(training, repeats)),
            words("this loop among neighbours", among_neighbours(ours, repeats)),
            words("inference, GoogLeNet, 224 px, batch 16", speeds(inference, 2 * repeats)),
        ]
    )
