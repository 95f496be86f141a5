"""What a run of the command line begins with: its data, its recipe, and weights of another run."""

import argparse
from pathlib import Path

from torch import distributed

from inception_edu.checkpoints import write
from inception_edu.data import Dataset, load
from inception_edu.decoding import PhotoError, shown
from inception_edu.devices import rank_and_world
from inception_edu.models import MODELS, Model
from inception_edu.photos import report
from inception_edu.predict import Classifier
from inception_edu.recipe import Recipe
from inception_edu.sources import is_folder
from inception_edu.splitting import PARTS

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
        for line in report(skipped(dataset).items()):
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


def skipped(dataset: Dataset) -> dict[str, str]:
    """The photos of all parts that could not be read: path -> why."""
    parts = (getattr(part, "skipped", {}) for part in (dataset.train, dataset.valid, dataset.test))
    return {path: why for part in parts for path, why in part.items()}


def note_skipped(dataset: Dataset, out: Path) -> None:
    """Name the photos that could not be read in OUT/skipped.txt, if there are any."""
    if found := skipped(dataset):
        lines = [str(PhotoError(path, why)) for path, why in found.items()]
        write(out / "skipped.txt", ("\n".join(lines) + "\n").encode())


def gather_skipped(dataset: Dataset) -> None:
    """Let the first of several processes know what the others could not read."""
    if (world := rank_and_world()[1]) > 1:
        found = [{}] * world
        distributed.all_gather_object(found, skipped(dataset))
        if (mine := getattr(dataset.train, "skipped", None)) is not None:
            mine.update({path: why for one in found for path, why in one.items()})
