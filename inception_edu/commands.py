"""The commands that work with networks: train, cost, bench."""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import distributed

from inception_edu import checkpoints
from inception_edu.cost import layer_table
from inception_edu.data import load
from inception_edu.devices import pick_device, rank_and_world
from inception_edu.figures import draw_page, png, render
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.layers import check_choice
from inception_edu.network import Network
from inception_edu.recipe import ONE_PASS, V3
from inception_edu.training import History, Recipe, evaluate, fit, print_progress


class Model(NamedTuple):
    """A network's name on the command line: its class and arguments, its recipe where nothing else
    is said, and the pixels of a side that it is made for."""

    network: Callable[..., Network]
    arguments: dict
    recipe: dict
    size: int = 299


SMALL = dict(variant="small", width=1 / 8, aux=False)
MODELS = {
    "googlenet-small": Model(GoogLeNet, SMALL, dict(epochs=2) | ONE_PASS, 28),
    "googlenet": Model(GoogLeNet, dict(variant="paper"), dict(lr=0.01), 224),
    "googlenet-torchvision": Model(GoogLeNet, dict(variant="torchvision"), {}, 224),
    "inception-v3-small": Model(InceptionV3, SMALL, dict(epochs=2) | ONE_PASS, 28),
    "inception-v2": Model(InceptionV2, {}, V3),
    "inception-v3": Model(InceptionV3, dict(variant="paper"), V3),
    "inception-v3-torchvision": Model(InceptionV3, dict(variant="torchvision"), V3),
}
# the recipe's fields that the command line may set
FIELDS = (
    *("epochs", "batch_size", "optimiser", "lr", "schedule", "weight_decay", "label_smoothing"),
    *("aux_weight", "shift", "flip", "precision", "seed", "momentum", "clip", "average"),
)


def build(name: str, args: argparse.Namespace, **how: int) -> tuple[Network, Model]:
    """The network that a name and its options ask for, and what else MODELS says of it."""
    check_choice("model", name, MODELS)
    model = MODELS[name]
    options = ("width", "aux", "resolution")
    asked = {key: getattr(args, key) for key in options if getattr(args, key) is not None}
    if "resolution" in asked and model.network is GoogLeNet:
        raise ValueError(f"resolution chooses a stem of inception-v2 and -v3; {name} has one stem")
    return model.network(**model.arguments | asked | how), model


def train(args: argparse.Namespace) -> int:
    """Train, keep the best epoch, look at the test part once; leaves four files in a folder."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        join_processes(args.device)
    dataset = load(args.data, limit=args.limit, valid=args.valid, seed=args.seed or 0)
    if args.size:
        dataset = dataset.resized(args.size)
    torch.manual_seed(args.seed or 0)
    how = dict(num_classes=len(dataset.classes), in_channels=len(dataset.mean))
    model, known = build(args.model, args, **how)
    given = {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    recipe = Recipe(**known.recipe | given)
    out = Path(args.out or f"runs/{dataset.name}-{args.model}-{recipe.seed}")
    last = out / "last.pt"
    resume = last if args.resume and last.exists() else None
    watch = EpochLines()
    history = fit(model, dataset, recipe, out=out, resume=resume, device=args.device, watch=watch)
    if rank_and_world()[0] == 0:
        leave(history, model, dataset, out, args)
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
    return 1 if history.stopped else 0


def leave(history: History, model: Network, dataset, out: Path, args) -> None:
    """Test the best epoch once, and write history.json and curves.png."""
    history.command = "python -m inception_edu " + shlex.join(args.argv)
    if history.stopped:
        print(f"{history.stopped}; go on with the same command and --resume")
    elif dataset.test is None:
        print("there is no test part; the validation part chose the epoch, so it flatters")
    else:
        model.load_state_dict(checkpoints.load(out / "best.pt")["weights"])
        found = evaluate(model, dataset.test, device=args.device)
        epoch = history.best.get("epoch", 0)
        history.test = dict(epoch=epoch, loss=found.loss, accuracy=found.accuracy)
        print(f"test: {found.accuracy:.2%} with the weights of epoch {epoch:g}, the best on valid")
    history.save(out / "history.json")
    checkpoints.write(out / "curves.png", png(render(draw_page, history, (11, 7))))
    print(f"best.pt, last.pt, history.json and curves.png are in {out}")


class EpochLines:
    """Watches `fit` in a shell: a line for each epoch, and the bar where somebody looks on."""

    def __init__(self) -> None:
        self.told = None
        self.bar = os.isatty(1)

    def __call__(self, history: History, done: bool) -> None:
        """Tell the rows that are new since the last call."""
        if self.told is None:  # rows of before an interruption were told then
            self.told = len(history.rows)
            where = f"{history.device}, {history.precision}, {history.memory_format}"
            print(f"{history.steps} steps of {history.batch_size} images on {where}", flush=True)
        for row in history.rows[self.told :]:
            print("\r" * self.bar + epoch_line(row).ljust(100 * self.bar), flush=True)
        self.told = len(history.rows)
        if self.bar and not done:
            print_progress(history, False)


def epoch_line(row: dict[str, float]) -> str:
    """An epoch's row in words."""
    heads = [name.removesuffix("_loss") for name in row if name.endswith("_loss")]
    words = [f"epoch {row['epoch']:g}", f"lr {row['lr']:.4f}"]
    words += [f"{h} {row[f'{h}_loss']:.3f} {row[f'{h}_accuracy']:.1%}" for h in heads]
    return ", ".join([*words, f"{row['train_seconds'] + row['valid_seconds']:.1f} s"])


def join_processes(device: str) -> None:
    """Join the process group that torchrun has prepared; each process takes one GPU, if any."""
    cuda = pick_device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda else "gloo")


def cost(args: argparse.Namespace) -> int:
    """Print what each block of a network costs for one image."""
    model, known = build(args.model, args)
    size = args.size or known.size
    print(layer_table(model, (model.arguments["in_channels"], size, size), depth=2))
    return 0


def bench(args: argparse.Namespace) -> int:
    """Print how fast this machine trains and infers, beside the loop everyone writes."""
    from inception_edu import bench as benchmark

    print(benchmark.run(device=args.device))
    return 0
