"""The commands that work with networks: train, cost, bench."""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed

from inception_edu import checkpoints
from inception_edu.cost import layer_table
from inception_edu.devices import pick_device, rank_and_world
from inception_edu.figures import draw_page, png, render
from inception_edu.layers import check_choice
from inception_edu.models import MODELS, build
from inception_edu.network import Network
from inception_edu.starts import find_data, gather_skipped, note_skipped, recipe_for, skipped
from inception_edu.training import History, evaluate, fit, print_progress
from inception_edu.transfer import adopt, starting_point


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
    gather_skipped(dataset)
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
    if lost := len(skipped(dataset)):
        print(f"{lost} of the photos could not be read; skipped.txt names them")
    history.save(out / "history.json")
    checkpoints.write(out / "curves.png", png(render(draw_page, history, (11, 7))))
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
    from inception_edu import bench as benchmark

    print(benchmark.run(device=args.device))
    return 0
