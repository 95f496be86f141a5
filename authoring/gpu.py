"""What a GPU shows in at most nine minutes: whether its results agree with a CPU's, and its speed.

Leaves one JSON file that lesson 05 shows beside the CPU's figures. Every part says what it found;
one that could not run says why, and the others go on.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from authoring.execution import ROOT
from inception_edu.commands import bench
from inception_edu.data import load
from inception_edu.files import write
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_05.card import images_per_second
from inception_edu.lessons.shared import ASSETS, small_googlenet
from inception_edu.training import Recipe, evaluate, fit, silent
from inception_edu.training.checkpoints import versions
from inception_edu.training.devices import hardware
from inception_edu.training.recipe import ONE_PASS

SECONDS = 540  # after which no further part is begun
NONE = (
    "There is no GPU here, so nothing was measured; on a machine with one, `make gpu` measures it."
)
# CIFAR-10 towards 94 %: the whole width, so many epochs as fit into a minute on a fast card.
CIFAR10 = Recipe(
    epochs=16, batch_size=512, lr=0.4, shift=4, label_smoothing=0.1, validate_every=10**6
)


def measure(data: str | None = None) -> str:
    """Run every part and save what it found; returns a sentence. `data` is a folder whose
    mnist.npz and cifar10.npz take the place of downloads."""
    if not torch.cuda.is_available():
        return NONE
    parts: dict[str, Callable[[], dict]] = {
        "tests": tests,
        "images_per_second": lambda: images_per_second(load("fashion_mnist"), "cuda"),
        "mnist": partial(mnist, source("mnist", data)),
        "cifar10": partial(cifar10, source("cifar10", data)),
        "bench": lambda: dict(table=bench.measure(device="cuda")),
    }
    about = dict(command="make gpu", versions=versions())
    found = about | dict(hardware=hardware(torch.device("cuda")), parts={})
    path, start = Path(str(ASSETS)) / "gpu.json", time.perf_counter()
    for name, part in parts.items():
        found["parts"][name] = attempt(part, time.perf_counter() - start)
        print(f"{name}: {found['parts'][name]}", flush=True)
        write(path, (json.dumps(found, indent=1) + "\n").encode())
    return f"saved {path.name}, {time.perf_counter() - start:.0f} s"


def source(name: str, folder: str | None) -> str:
    """What to load for a data set: the .npz file of its name in the folder, else its name."""
    path = Path(folder or "", f"{name}.npz")
    return str(path) if folder and path.is_file() else name


def attempt(part: Callable[[], dict], spent: float) -> dict:
    """What a part found and its seconds, or why it did not run."""
    if spent > SECONDS:
        return dict(not_run=f"{spent:.0f} s were spent on the parts before it")
    start = time.perf_counter()
    try:
        result = part()
    except (OSError, RuntimeError, ValueError) as error:
        return dict(not_run=f"{type(error).__name__}: {str(error)[:200]}")
    return result | dict(seconds=round(time.perf_counter() - start, 1))


def tests() -> dict:
    """The last line of the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/test_gpu.py"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    return dict(told=output.strip().splitlines()[-1], failed=failed)


def mnist(name: str) -> dict:
    """One pass over MNIST on the CPU and on the GPU."""
    data, found = load(name), {}
    for device in ("cuda", "cpu"):
        torch.manual_seed(0)
        recipe, model = Recipe(epochs=1, **ONE_PASS), small_googlenet()
        history = fit(model, data, recipe, device=device, watch=silent)
        accuracy = evaluate(model, data.test, device=device).accuracy
        seconds = round(history.elapsed_seconds, 1)
        found[device] = dict(test_accuracy=round(accuracy, 4), train_seconds=seconds)
    return found


def cifar10(name: str) -> dict:
    """CIFAR-10 in about a minute: three seeds, or as many as two minutes allow."""
    data, runs, start = load(name), [], time.perf_counter()
    for seed in range(3):
        if runs and time.perf_counter() - start > 120:
            break
        torch.manual_seed(seed)
        model = GoogLeNet("small", num_classes=10, in_channels=3, aux=False)
        recipe = replace(CIFAR10, seed=seed)
        history = fit(model, data, recipe, device="cuda", watch=silent)
        accuracy = evaluate(model, data.test, device="cuda").accuracy
        seconds = round(history.elapsed_seconds, 1)
        runs.append(dict(seed=seed, test_accuracy=round(accuracy, 4), train_seconds=seconds))
    size = sum(p.numel() for p in model.parameters())
    return dict(parameters=size, epochs=CIFAR10.epochs, precision=history.precision, runs=runs)
