"""The commands for photos: split, predict. What takes seconds to import is imported when needed."""

import argparse
import csv
import io
import json
import sys
from pathlib import Path

from inception_edu.data import PhotoError, read_photo, report, split as split_photos
from inception_edu.data.folders import list_photos
from inception_edu.files import shown

TOP = 5  # classes of a photo that are told, where nothing else is said


def split(args: argparse.Namespace) -> int:
    """Split a folder of photos and tell how many went where."""
    how = dict(valid=args.valid, test=args.test, seed=args.seed, link=args.link)
    counts = split_photos(args.photos, args.out, **how)
    print(counts, *counts.notes, *report(counts.rejected), sep="\n")
    print(
        f"in {shown(args.out)}; go on with: python -m inception_edu train --data {shown(args.out)}"
    )
    return 0


def predict(args: argparse.Namespace) -> int:
    """Tell what each photo shows; 1 if some could not be read."""
    from inception_edu.predict import load_classifier

    if args.top is not None and args.top < 1:
        raise ValueError(f"top must be a whole number of at least 1, got {args.top}")
    if args.figure and Path(args.figure).suffix.lower() != ".png":
        raise ValueError(f"figure must be a .png file, got {args.figure!r}")
    classifier = load_classifier(args.checkpoint, device=args.device)
    paths, found, failed = _each(args.photos), {}, 0
    wide = max(len(shown(path)) for path in paths)
    for path in paths:
        try:
            photo = read_photo(path, at_least=classifier.resize)
        except PhotoError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        found[path] = classifier.most_probable(photo, args.top or TOP)
        _tell(path, found[path], wide, first=len(found) == 1)
    _leave(found, classifier, args)
    return 1 if failed else 0


def _each(photos: list[str]) -> list[str]:
    """The photos, and those in folders among them, each once."""
    found = {}
    for path in photos:
        inside = [path]
        if Path(path).is_dir():
            listed = list_photos(path)
            inside = [*listed.paths, *(broken for broken, _ in listed.rejected)]
        found |= dict.fromkeys(map(str, inside or [path]))  # a folder of none is told of
    return list(found)


def _tell(path: str, best: list[tuple[str, float]], wide: int, *, first: bool) -> None:
    if first:
        print(f"{'photo':<{wide}}  probability  class")
    for name, chance in best:
        print(f"{shown(path):<{wide}}  {chance:>10.1%}   {shown(name)}")
        path = ""


def _leave(found: dict[str, list[tuple[str, float]]], classifier, args) -> None:
    """Write the files that were asked for, each whole or not at all."""
    from inception_edu.files import write

    if args.csv:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["photo", "rank", "class", "probability"])
        for path, best in found.items():
            for rank, (name, chance) in enumerate(best, 1):
                writer.writerow([shown(path), rank, shown(name), f"{chance:.6f}"])
        write(Path(args.csv), table.getvalue().encode())
    if args.json:
        entries = [
            dict(
                photo=shown(path),
                classes=[{"class": shown(name), "probability": round(p, 6)} for name, p in best],
            )
            for path, best in found.items()
        ]
        write(Path(args.json), (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode())
    if args.figure and found:
        from inception_edu import figures
        from inception_edu.figures import photos

        seen = [
            photos.look(classifier, read_photo(path), Path(path).name, best)
            for path, best in list(found.items())[: photos.MOST]
        ]
        size = photos.size_of(seen)
        page = figures.render(photos.draw_predictions, seen, size)
        write(Path(args.figure), figures.png(page))
