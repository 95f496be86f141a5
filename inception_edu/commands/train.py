"""Train a network; the epoch that is best on the validation images is tested once. Under torchrun
(torchrun --nproc-per-node 2 -m inception_edu train ...) the processes share every batch: on CPUs,
two of them compute just what one does in the two shares of its batch, batch norm and dropout
included; on GPUs, batch norm sees the images of each process alone."""

import argparse
import os
import shlex
import signal
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import torch
from torch import distributed

from inception_edu.checks import check_choice, check_whole
from inception_edu.commands.cost import SIDE, network_options
from inception_edu.commands.networks import MODELS, build, given, recipe_for, starting_point
from inception_edu.data import Dataset, PhotoError, is_folder, load
from inception_edu.data.folders import PARTS
from inception_edu.figures import draw_page, png, render
from inception_edu.files import shown, write
from inception_edu.layers import pair
from inception_edu.network import Network
from inception_edu.predict import Classifier, adopt
from inception_edu.training import History, checkpoints, evaluate, fit, print_progress
from inception_edu.training.devices import pick_device, rank_and_world
from inception_edu.training.history import INTERRUPTED
from inception_edu.training.recipe import Recipe, for_photos

EXAMPLE = "--epochs 3 --out runs/a"


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        default="fashion_mnist",
        help="a data set's name, a .npz file, or a folder of photos (%(default)s)",
    )
    add("--model", default="googlenet-small", help=f"{', '.join(MODELS)} (%(default)s)")
    add(
        "--weights",
        help="begin with a checkpoint of the same model, or with torchvision's weights "
        "(--weights torchvision): a new head where the classes differ, its mean and std of the "
        "pixels, at most a tenth of the learning rate",
    )
    network_options(parser)
    add("--limit", type=int, help="how many images to use for training and validation together")
    add("--valid", type=int, help="images held out to choose the epoch (5000; not for photos)")
    add("--size", type=int, help="scale images to this many pixels a side (photos: the model's)")
    add("--out", help="folder for checkpoints, history and curves (runs/DATA-MODEL-SEED)")
    add(
        "--resume",
        action="store_true",
        help="go on where the run in that folder stopped (what a "
        "finished one has learned is trained further by --weights, with another --out)",
    )
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    recipe_options(parser)


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """An option for every field of a recipe; None leaves what the model or the recipe says."""
    photos, small = (
        ", ".join(f"{name} {value}" for name, value in recipe.items())
        for recipe in (for_photos(10_000), MODELS["googlenet-small"].recipe)
    )
    about = "Where an option is left out, the model's own value holds (of googlenet-small: "
    about += f"{small}), else what stands in brackets; for photos {photos}, with more epochs and "
    about += "smaller batches for few photos, and a learning rate that fits the batches."
    group = parser.add_argument_group("recipe", about)
    kinds = get_type_hints(Recipe)
    for field in fields(Recipe):
        kind = get_args(kinds[field.name] | None)[0]  # of "int | None" the int
        choices = "|".join(field.metadata["choices"])
        reads = dict(type=kind, metavar=choices or ("N" if kind is int else "X"))
        if kind is bool:
            reads = dict(action=argparse.BooleanOptionalAction)
        default = "" if field.default is None else f" ({field.default})"
        help = (field.metadata["help"] + default).replace("%", "%%")
        group.add_argument("--" + field.name.replace("_", "-"), help=help, **reads)


def run(args: argparse.Namespace) -> int:
    """Train, keep the best epoch, look at the test split once; leaves four files in a folder."""
    check_choice("model", args.model, MODELS)
    if args.size is not None:
        check_whole("size", args.size, 1, SIDE)
    Recipe(**given(args))  # what is wrong in it is told before photos are read
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        join_processes(args.device)
    start = starting_point(args.weights, args.model) if args.weights else None
    dataset = find_data(args, start)
    torch.manual_seed(args.seed or 0)
    shape = dict(num_classes=len(dataset.classes), in_channels=dataset.train.shape[0])
    network, _ = build(args.model, args, **shape)
    if start:
        adopt(network, start.model, head=start.classes == dataset.classes)
    recipe = recipe_for(args, dataset, tuned=bool(start))
    out = Path(args.out or f"runs/{dataset.name}-{args.model}-{recipe.seed}")
    resume = out / "last.pt" if args.resume and (out / "last.pt").exists() else None
    watch = EpochLines()
    history = fit(network, dataset, recipe, out=out, resume=resume, device=args.device, watch=watch)
    if distributed.is_initialized() and history.stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # torchrun passes an interrupt on once more
    if rank_and_world()[0] == 0:
        leave(history, network, dataset, out, args)
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
    return 1 if history.stopped else 0


def join_processes(device: str) -> None:
    """Join the process group that torchrun has prepared; each process takes one GPU, if any."""
    cuda = pick_device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda else "gloo")


def find_data(args: argparse.Namespace, start: Classifier | None) -> Dataset:
    """The data set as the network wants it: scaled as it was for the weights to begin with."""
    wanted = dict(limit=args.limit, valid=args.valid, seed=args.seed or 0, size=args.size)
    folder, tells = is_folder(args.data), rank_and_world()[0] == 0
    if folder and args.size is None:
        model = MODELS[args.model]
        own = model.photo or args.resolution or model.size
        wanted["size"] = max(pair(start.size)) if start else own  # photos are square
    if folder and tells:
        side = f"{wanted['size']} pixels a side"
        print(f"reading the photos in {shown(args.data)}, {side}", flush=True)
    dataset = load(args.data, **wanted)
    if folder and tells:
        counts = [f"{len(getattr(dataset, part) or ())} {part}" for part in PARTS]
        print(f"photos of {len(dataset.classes)} classes: {', '.join(counts)}")
        print(*dataset.notes, sep="\n", end="\n" * bool(dataset.notes), flush=True)
    return dataset.normalised(start.mean, start.std) if start else dataset


def leave(history: History, network: Network, dataset, out: Path, args) -> None:
    """Test the best epoch once, and write history.json and curves.png."""
    history.command = "python -m inception_edu " + shlex.join(args.argv)
    if history.stopped:
        again = history.stopped.startswith(INTERRUPTED)  # else the same would happen again
        way = "the same command and --resume" if again else "another --out"
        print(f"{history.stopped}; go on with {way}")
    elif dataset.test is None:
        print("there are no test images; validation accuracy is too high, for it chose the epoch")
    else:
        network.load_state_dict(checkpoints.load(out / "best.pt")["weights"])
        result = evaluate(network, dataset.test, device=args.device)
        epoch = history.best.get("epoch", 0)
        history.test = dict(epoch=epoch, loss=result.loss, accuracy=result.accuracy)
        print(f"test: {result.accuracy:.2%} with the weights of epoch {epoch:g}, the best on valid")
    if lost := [str(PhotoError(path, why)) for path, why in dataset.skipped.items()]:
        write(out / "skipped.txt", ("\n".join(lost) + "\n").encode())
        print(f"{len(lost)} of the photos could not be read; skipped.txt names them")
    history.save(out / "history.json")
    write(out / "curves.png", png(render(draw_page, history, (11, 7))))
    print(f"best.pt, last.pt, history.json and curves.png are in {out}")


class EpochLines:
    """Watches `fit` in a shell: a line for each epoch, and the bar where somebody looks on."""

    def __init__(self) -> None:
        self.rows, self.bar = None, os.isatty(1)

    def __call__(self, history: History, done: bool) -> None:
        """Tell the rows that are new since the last call."""
        if self.rows is None:  # those of before an interruption were told then
            self.rows = len(history.rows)
            where = f"{history.device}, {history.precision}, {history.memory_format}"
            over = "; all of them are done" if history.step == history.steps else ""
            print(
                f"{history.steps} steps of {history.batch_size} images on {where}{over}", flush=True
            )
        for row in history.rows[self.rows :]:
            print("\r" * self.bar + epoch_line(row).ljust(100 * self.bar), flush=True)
        self.rows = len(history.rows)
        if self.bar and not done:
            print_progress(history, False)


def epoch_line(row: dict[str, float]) -> str:
    """An epoch's row in words."""
    heads = [name.removesuffix("_loss") for name in row if name.endswith("_loss")]
    words = [f"epoch {row['epoch']:g}", f"lr {row['lr']:.4f}"]
    words += [f"{h} {row[f'{h}_loss']:.3f} {row[f'{h}_accuracy']:.1%}" for h in heads]
    return ", ".join([*words, f"{row['train_seconds'] + row['valid_seconds']:.1f} s"])
