"""python -m inception_edu {lab,restore,train,split,predict,cost,bench}: the command line."""

import argparse
import importlib
import sys

from inception_edu.commands.lab import run_lab, run_restore


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def parser() -> Parser:
    """All commands with their options."""
    examples = "python -m inception_edu lab --no-browser, python -m inception_edu train --epochs 3"
    about = "GoogLeNet and Inception, taught by doing. COMMAND --help tells more."
    top = Parser("python -m inception_edu", description=about, epilog=f"examples: {examples}")
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, help: str, example: str) -> argparse.ArgumentParser:
        epilog = f"example: python -m inception_edu {name} {example}"
        return commands.add_parser(name, help=help, description=help, epilog=epilog)

    add("lab", "Open your copies of the lessons; options go on to JupyterLab.", "--no-browser")
    restore = add("restore", "Put a fresh copy of a lesson back; the old one is kept.", "01")
    restore.add_argument("lesson", help="its number or name")
    train_options(add("train", TRAIN, "--data fashion_mnist --epochs 3 --out runs/a"))
    split_options(add("split", SPLIT, "photos parts --valid 0.1"))
    predict_options(add("predict", PREDICT, "a.jpg b.jpg --checkpoint runs/a/best.pt"))
    cost = add(
        "cost", "Count parameters and multiply-adds, block by block.", "googlenet --size 224"
    )
    cost.add_argument("model")
    cost.add_argument("--size", type=int, help="pixels of a side (what the model is made for)")
    network_options(cost)
    bench = add("bench", "Time training and inference on this machine.", "--device cpu")
    bench.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return top


TRAIN = """Train a network; the best epoch on the validation part is tested once. Under torchrun
(torchrun --nproc-per-node 2 -m inception_edu train ...) the processes share every batch, drawn as
one process would; batch norm's statistics are then of each process's own share, so with it the
curve is not that of one process."""
SPLIT = """Split a folder of photos, with one folder per class, into OUT/train/CLASS and
OUT/valid/CLASS: the same parts on every machine, by names and seed. Broken files are left out."""
PREDICT = """Tell what photos show, with a network that `train` left. Photos that cannot be read are
named, the others predicted, and the exit code is 1."""


def network_options(command: argparse.ArgumentParser) -> None:
    """The options that shape a network; None leaves the model's own choice."""
    command.add_argument("--width", type=float, help="factor on every channel count")
    flag = argparse.BooleanOptionalAction
    command.add_argument("--aux", action=flag, default=None, help="auxiliary heads")
    command.add_argument("--resolution", type=int, help="stem of inception-v2, -v3: 299, 151, 79")


def train_options(command: argparse.ArgumentParser) -> None:
    """Options of `train`."""
    add = command.add_argument
    add(
        "--data",
        default="fashion_mnist",
        help="a data set's name, a .npz file, or a folder that `split` made (%(default)s)",
    )
    add(
        "--model",
        default="googlenet-small",
        help="googlenet-small, ... (%(default)s)",
    )
    add(
        "--weights",
        help="begin with a checkpoint of the same model, or with torchvision's weights "
        "(--weights torchvision): a new head where the classes differ, its mean and std of the "
        "pixels, a tenth of the learning rate",
    )
    network_options(command)
    add("--limit", type=int, help="images to use, of train and valid together")
    add(
        "--valid", type=int, help="images held out to choose the epoch (5000); a folder has its own"
    )
    add(
        "--size", type=int, help="scale images to this many pixels a side (photos: the model's own)"
    )
    recipe_options(command)
    add("--out", help="folder for checkpoints, history and curves (runs/DATA-MODEL-SEED)")
    add("--resume", action="store_true", help="go on where the run in that folder stopped")
    add("--device", default="auto", help="auto, cpu, cuda or mps")


def recipe_options(command: argparse.ArgumentParser) -> None:
    """How to train; a recipe's field that is not given keeps the recipe's default."""
    add, flag = command.add_argument, argparse.BooleanOptionalAction
    add("--epochs", type=int, help="passes over the training part (3; a folder: 10)")
    add("--batch-size", type=int, help="128 (a folder: 32), or all images where there are fewer")
    add("--optimiser", help="sgd, adamw or rmsprop")
    add("--lr", type=float, help="highest learning rate (0.2 or the model's; a folder: a quarter)")
    add("--schedule", help="linear, cosine, exponential or constant")
    add("--weight-decay", type=float)
    add("--momentum", type=float)
    add("--clip", type=float, help="the gradient's norm at most")
    add("--average", type=float, help="evaluate a running average of the weights, which keeps this")
    add("--label-smoothing", type=float)
    add("--aux-weight", type=float, help="of each auxiliary head's loss (0.3)")
    add("--shift", type=int, help="pixels images are moved at most (2); 0: no crops of photos")
    add("--flip", action=flag, default=None, help="mirror half of the images")
    add("--precision", help="auto, float32 or bfloat16")
    add("--seed", type=int, help="of weights, batches and split (0)")


def split_options(command: argparse.ArgumentParser) -> None:
    """Options of `split`."""
    add = command.add_argument
    add("photos", metavar="PHOTOS", help="a folder with one folder per class")
    add("out", metavar="OUT", help="a new folder")
    add("--valid", type=float, default=0.1, help="share of each class to validate (%(default)s)")
    add("--test", type=float, default=0.0, help="share of each class to test (%(default)s)")
    add("--seed", type=int, default=0, help="another number, another split (%(default)s)")
    add("--link", action="store_true", help="link to the photos instead of copying them")


def predict_options(command: argparse.ArgumentParser) -> None:
    """Options of `predict`."""
    add = command.add_argument
    add("photos", metavar="PHOTO", nargs="+", help="photos, or folders of them")
    add("--checkpoint", required=True, help="what `train` left, as in runs/a/best.pt")
    add("--top", type=int, help="how many classes to tell of each photo (5)")
    tables = command.add_mutually_exclusive_group()
    tables.add_argument("--csv", help="write the table to this file")
    tables.add_argument("--json", help="write the table to this file")
    add("--figure", help="draw photos, class activation maps and bars into this .png file")
    add("--device", default="auto", help="auto, cpu, cuda or mps")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong arguments."""
    top = parser()
    args, rest = top.parse_known_args(argv)
    args.argv = sys.argv[1:] if argv is None else argv
    if rest and args.command != "lab":
        top.error(f"unknown argument {rest[0]!r}")
    try:
        if args.command == "lab":
            return run_lab(args, rest)
        if args.command == "restore":
            return run_restore(args)
        room = "photos" if args.command in ("split", "predict") else "train"
        commands = importlib.import_module(f"inception_edu.commands.{room}")  # torch takes seconds
        return getattr(commands, args.command)(args)
    except (ValueError, TypeError, FileExistsError) as error:
        top.error(" ".join(str(error).split()))
    except KeyboardInterrupt:
        top.exit(1, f"{top.prog}: interrupted\n")
    except OSError as error:
        top.exit(1, f"{top.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    sys.exit(main())
