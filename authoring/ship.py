"""A run of the command `train`, made ready to travel with the package: the network that lessons 00,
03 and 09 begin with, what made it in words, and its history for lesson 05."""

import io
import json
import re
from pathlib import Path

import torch

from authoring.measure import shortened
from inception_edu.files import write
from inception_edu.lessons.shared import ASSETS
from inception_edu.training import History, checkpoints
from inception_edu.training.devices import hardware

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()  # a .npz has none
NEEDED = "format", "versions", "model", "recipe", "data", "weights"  # to predict and to fine-tune
ABOUT = """\
cifar10_small.pt: {network}, {params:,} parameters, trained on CIFAR-10 in colour;
lessons 00, 03 and 09 begin with its weights. It is what best.pt of this command holds of the
network (seed {seed}, one run):

  {command}

Accuracy on the 10,000 test images: {accuracy:.2%} (n = 1), after epoch {epoch:g}, the best on the
validation split. Training took {seconds:,.0f} seconds beside other work on {hardware}, in
{precision}, with {versions}.

CIFAR-10 is the data set of Alex Krizhevsky, "Learning multiple layers of features from tiny
images", 2009: 60,000 photos of 32x32 pixels in ten classes. Its authors state no licence, so none
of its images is shipped here; the weights were made for this project and are under its licence.
"""


def ship(folder: Path) -> str:
    """Write cifar10_small.pt, cifar10_small.txt and cifar10.json from a finished run's folder;
    returns a sentence. ValueError for a run without a test split or one that was cut short."""
    if not (folder / "history.json").is_file():
        raise ValueError(f"{folder} must be the folder of a finished run; it has no history.json")
    history = History.load(folder / "history.json")
    history.command = re.sub(r" --out \S+", "", history.command)  # a place on one machine
    if history.stopped or not history.test:
        raise ValueError(f"{folder} must hold a finished run that was tested; {history}")
    best, assets = checkpoints.load(folder / "best.pt"), Path(str(ASSETS))
    if best["data"]["name"] == "cifar10":
        best["data"] |= dict(classes=tuple(CLASSES))
    buffer = io.BytesIO()
    torch.save({name: best[name] for name in NEEDED}, buffer)
    write(assets / "cifar10_small.pt", buffer.getvalue())
    network = checkpoints.build(best)
    params = sum(p.numel() for p in network.parameters())
    where = dict(versions=best["versions"], hardware=hardware(torch.device(history.device)))
    text = ABOUT.format(
        network=network.call,
        params=params,
        seed=history.recipe.seed,
        command=history.command,
        accuracy=history.test["accuracy"],
        epoch=history.test["epoch"],
        seconds=history.elapsed_seconds,
        precision=history.precision,
        hardware=where["hardware"],
        versions=", ".join(map(" ".join, best["versions"].items())),
    )
    write(assets / "cifar10_small.txt", text.encode())
    told = dict(command=history.command) | where | dict(recipe=best["recipe"], test=history.test)
    told |= dict(parameters=params, precision=history.precision, shares=history.shares)
    told |= shortened(history)
    write(assets / "cifar10.json", (json.dumps(told, indent=1) + "\n").encode())
    return f"{network.call}: {history.test['accuracy']:.2%}, {len(buffer.getvalue()):,} bytes"
