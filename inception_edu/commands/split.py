"""Split a folder of photos, with one folder per class, into OUT/train/CLASS and OUT/valid/CLASS:
the same splits on every machine, by names and seed. Broken files are left out."""

import argparse

from inception_edu.files import shown

EXAMPLE = "photos parts --valid 0.1"


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photos", metavar="PHOTOS", help="a folder with one folder per class")
    add("out", metavar="OUT", help="a new folder")
    add(
        "--valid",
        type=float,
        default=0.1,
        help="fraction of each class for validation (%(default)s)",
    )
    add("--test", type=float, default=0.0, help="fraction of each class for testing (%(default)s)")
    add("--seed", type=int, default=0, help="another number, another split (%(default)s)")
    add("--link", action="store_true", help="link to the photos instead of copying them")


def run(args: argparse.Namespace) -> int:
    """Split, and tell how many photos went where and which files were left out."""
    from inception_edu.data import split

    fractions = dict(valid=args.valid, test=args.test, seed=args.seed, link=args.link)
    found = split(args.photos, args.out, **fractions)
    out = shown(args.out)
    print(found, *found.report(), sep="\n")
    print(f"in {out}; go on with: python -m inception_edu train --data {out}")
    return 0
