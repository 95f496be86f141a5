"""The commands that work with networks: train, cost, bench."""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed

from inception_edu.checks import check_choice
from inception_edu.commands.networks import MODELS, Model, build
from inception_edu.cost import layer_table
from inception_edu.data import Dataset, PhotoError, is_folder, load, report
from inception_edu.data.folders import PARTS
from inception_edu.figures import draw_page, png, render
from inception_edu.files import shown, write
from inception_edu.network import Network
from inception_edu.predict import Classifier, adopt, starting_point
from inception_edu.training import History, checkpoints, evaluate, fit, print_progress
from inception_edu.training.devices import pick_device, rank_and_world
from inception_edu.training.recipe import Recipe

# the recipe's fields that the command line may set
FIELDS = (
    *("epochs", "batch_size", "optimiser", "lr", "schedule", "weight_decay", "label_smoothing"),
    *("aux_weight", "shift", "flip", "precision", "seed", "momentum", "clip", "average"),
)
PHOTOS = dict(epochs=10, batch_size=32, shift=2, flip=True)  # a folder holds hundreds, not 60,000


def find_data(args: argparse.Namespace, start: Classifier | None) -> Dataset:
    """The data set as the network wants it: scaled as it was for the weights to begin with."""
    how = dict(limit=args.limit, valid=args.valid, seed=args.seed or 0, size=args.size)
    tells = rank_and_world()[0] == 0
    if folder := is_folder(args.data):
        fits = start.size if start else MODELS[args.model].photo or args.resolution
        if args.size is None:
            how["size"] = fits or MODELS[args.model].size
        if tells:
            print(
                f"reading the photos in {shown(args.data)}, {how['size']} pixels a side", flush=True
            )
    dataset = load(args.data, **how)
    if folder and tells:
        counts = [f"{len(getattr(dataset, part) or ())} {part}" for part in PARTS]
        print(f"photos of {len(dataset.classes)} classes: {', '.join(counts)}")
        for line in (*dataset.notes, *report(dataset.skipped.items())):
            print(line, flush=True)
    return dataset.normalised(start.mean, start.std) if start else dataset


def recipe_for(args, known: Model, dataset: Dataset, *, tuned: bool) -> Recipe:
    """The model's own recipe, for a folder that of photos, and what is given. The learning rate is
    a quarter for a folder, whose batches are, and a tenth for weights that are good already."""
    base, parts = dict(known.recipe), 1
    if is_folder(args.data):
        base |= PHOTOS | dict(batch_size=min(PHOTOS["batch_size"], len(dataset.train)))
        parts = 4
    base["lr"] = base.get("lr", Recipe.lr) / (10 if tuned else parts)
    given = {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    return Recipe(**base | given)


def note_skipped(dataset: Dataset, out: Path) -> None:
    """Name the photos that could not be read in OUT/skipped.txt, if there are any."""
    if dataset.skipped:
        lines = [str(PhotoError(path, why)) for path, why in dataset.skipped.items()]
        write(out / "skipped.txt", ("\n".join(lines) + "\n").encode())


def train(args: argparse.Namespace) -> int:
    """Train, keep the best epoch, look at the test part once; leaves four files in a folder."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        join_processes(args.device)
    check_choice("model", args.model, MODELS)
    start = starting_point(args.weights, args.model) if args.weights else None
    dataset = find_data(args, start)
    torch.manual_seed(args.seed or 0)
    how = dict(num_classes=len(dataset.classes), in_channels=dataset.train.shape[0])
    model, known = build(args.model, args, **how)
    if start:
        adopt(model, start.model, head=start.classes == dataset.classes)
    recipe = recipe_for(args, known, dataset, tuned=bool(start))
    out = Path(args.out or f"runs/{dataset.name}-{args.model}-{recipe.seed}")
    last = out / "last.pt"
    resume = last if args.resume and last.exists() else None
    watch = EpochLines(lambda: note_skipped(dataset, out))
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
    note_skipped(dataset, out)
    if lost := len(dataset.skipped):
        print(f"{lost} of the photos could not be read; skipped.txt names them")
    history.save(out / "history.json")
    write(out / "curves.png", png(render(draw_page, history, (11, 7))))
    print(f"best.pt, last.pt, history.json and curves.png are in {out}")


class EpochLines:
    """Watches `fit` in a shell: a line for each epoch, and the bar where somebody looks on."""

    def __init__(self, after_epoch: Callable[[], None]) -> None:
        self.told, self.after_epoch = None, after_epoch
        self.bar = os.isatty(1)

    def __call__(self, history: History, done: bool) -> None:
        """Tell the rows that are new since the last call."""
        if self.told is None:  # rows of before an interruption were told then
            self.told = len(history.rows)
            where = f"{history.device}, {history.precision}, {history.memory_format}"
            print(f"{history.steps} steps of {history.batch_size} images on {where}", flush=True)
            self.after_epoch()
        for row in history.rows[self.told :]:
            print("\r" * self.bar + epoch_line(row).ljust(100 * self.bar), flush=True)
            self.after_epoch()
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
    from inception_edu.commands import bench as benchmark

    print(benchmark.run(device=args.device))
    return 0
