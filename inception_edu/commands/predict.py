"""Tell what photos show, by a network that `train` saved. If some cannot be read, they are named,
the others are classified, and the exit code is 1."""

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from glob import glob
from itertools import islice
from pathlib import Path

from inception_edu.checks import check_count
from inception_edu.files import shown, write

EXAMPLE = "photo.jpg --checkpoint runs/a/best.pt"
AT_ONCE = 64  # photos that are looked at before the first of them is told
COLUMNS = ("photo", "rank", "class", "probability")  # of a table, a row for each class of a photo
Best = list[tuple[str, float]]  # a photo's classes and probabilities, the most probable first


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photos", metavar="PHOTO", nargs="+", help="photos, folders of them, or *.jpg")
    add("--checkpoint", required=True, help="a checkpoint that `train` saved, as in runs/a/best.pt")
    add("--top", type=int, default=5, help="classes to tell of each photo (%(default)s)")
    tables = parser.add_mutually_exclusive_group()
    tables.add_argument("--csv", help="write the table to this file")
    tables.add_argument("--json", help="write the table to this file")
    add("--figure", help="draw photos, where each shows its class, and bars into this .png file")
    add("--device", default="auto", help="auto, cpu, cuda or mps")


def run(args: argparse.Namespace) -> int:
    """Tell what each photo shows; 1 if some could not be read."""
    check_count(top=args.top)
    if args.figure and Path(args.figure).suffix.lower() != ".png":
        raise ValueError(f"figure must be a .png file, got {args.figure!r}")
    from inception_edu.predict import load_classifier

    classifier = load_classifier(args.checkpoint, device=args.device)
    paths, predicted = each(args.photos), {}
    wide = max(len(shown(path)) for path in paths)
    for path, best in look_at(paths, classifier, args.top):
        if isinstance(best, Exception):
            print(best, file=sys.stderr)
            continue
        if not predicted:
            print(f"{'photo':<{wide}}  probability  class")
        predicted[path] = best
        for i, (label, chance) in enumerate(best):
            name = "" if i else shown(path)
            print(f"{name:<{wide}}  {chance:>10.1%}   {shown(label)}", flush=True)
    rows = [
        dict(zip(COLUMNS, (shown(path), rank, shown(label), round(chance, 6)), strict=True))
        for path, best in predicted.items()
        for rank, (label, chance) in enumerate(best, 1)
    ]
    if args.csv:
        write(Path(args.csv), as_csv(rows).encode())
    if args.json:
        write(Path(args.json), json.dumps(rows, indent=1, ensure_ascii=False).encode())
    if args.figure and predicted:
        write(Path(args.figure), figure(classifier, predicted, args.top))
    return 0 if len(predicted) == len(paths) else 1


def each(photos: list[str]) -> list[str]:
    """The photos, those in folders among them, and what * and ? stand for, each once.

    A name that is there is taken as it is; in one that is not, brackets still mean themselves.
    """
    from inception_edu.data.folders import files_below
    from inception_edu.data.photos import problems

    paths = {}
    for name in photos:
        matching = [] if os.path.exists(name) else sorted(glob(name.replace("[", "[[]")))
        for path in matching or [name]:
            inside = [path]
            if os.path.isdir(path):
                errors = problems(files := files_below(path))
                strays = {file for file, error in errors.items() if error.stray}
                inside = [file for file in files if file not in strays] or [Path(path, "*")]
            paths |= dict.fromkeys(map(str, inside))
    return list(paths)


def look_at(paths: list[str], classifier, top: int) -> Iterator[tuple[str, Best | Exception]]:
    """What each photo shows, or why it cannot be read; on a CPU, every core looks at photos."""
    from inception_edu.data.photos import PhotoError, no_warnings, read_photo
    from inception_edu.training.devices import side_by_side

    device = next(classifier.model.parameters()).device
    threads = None if device.type == "cpu" else 1

    def look(path: str) -> Best | Exception:
        try:
            return classifier.most_probable(read_photo(path, at_least=classifier.resize), top)
        except PhotoError as error:
            return error

    for start in range(0, len(paths), AT_ONCE):
        some = paths[start : start + AT_ONCE]
        with no_warnings():
            looks = side_by_side(look, some, threads)
        yield from zip(some, looks, strict=True)


def as_csv(rows: list[dict]) -> str:
    """The rows below their names."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def figure(classifier, paths: Iterable[str], top: int) -> bytes:
    """The first photos beside what the network says of them, as a PNG file."""
    from inception_edu import figures
    from inception_edu.data import read_photo
    from inception_edu.figures.photos import MOST, draw_predictions, look, size_of

    seen = [
        look(classifier, read_photo(path), Path(path).name, top) for path in islice(paths, MOST)
    ]
    return figures.png(figures.render(draw_predictions, seen, size_of(seen)))
