"""Put a fresh copy of a lesson back; the old one is kept beside it under a new name."""

import argparse
from itertools import count

from inception_edu.commands import lab

EXAMPLE = "01"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lesson", help="its number or name")


def run(args: argparse.Namespace) -> int:
    """Keep the student's copy, if there is one, and write a fresh one."""
    wanted = [x for x in lab.lessons() if args.lesson in (x.stem[:2], x.stem)]
    if not wanted:
        names = ", ".join(x.stem for x in lab.lessons())
        raise ValueError(f"restore takes one lesson of {names}, got {args.lesson!r}")
    lesson, copy = wanted[0], lab.ROOT / "my_notebooks" / wanted[0].name
    if copy.exists():
        names = (copy.with_name(f"{lesson.stem}.old-{n}.ipynb") for n in count(1))
        print("Your copy is now", copy.rename(next(x for x in names if not x.exists())).name)
    lab.hand_out(lesson, copy)
    print("Fresh again:", copy.relative_to(lab.ROOT).as_posix())
    return 0
