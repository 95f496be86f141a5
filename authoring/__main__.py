"""python -m authoring COMMAND [NOTEBOOK...]: run, check, fill, publish and measure the lessons."""

import argparse
import sys
from argparse import Namespace
from pathlib import Path

from authoring.check import check
from authoring.execution import ROOT, execute
from authoring.fill import fill
from authoring.notebook import dumps, keep_old, normalise, read, save
from authoring.pictures import shrink
from authoring.stamp import stamped

COMMANDS = {
    "run": "stamp and run lessons, and save them normalised",
    "check": "say what is wrong in saved lessons and guides, without running them",
    "stamp": "write links, tables, slide types and answer keys",
    "fill": "copy lessons, every exercise answered by its solution, to build/filled",
    "slides": "a deck of each lesson, in build/slides",
    "site": "pages of all lessons to read, in build/site",
    "readme": "the two pictures of README",
    "explorers": "a table of how long each explorer's step takes",
    "gpu": "what a GPU shows, in at most nine minutes, where there is one",
    "ship": "make a run of the command train the network that the package brings: ship FOLDER",
    "measure": "train the runs that lessons show, once a seed: measure [STUDY...]",
}


def rerun(path: Path, *, fresh: bool) -> str:
    """The text of a notebook that was run and normalised."""
    new, old = read(path), normalise(read(path))
    fresh = fresh or dumps(old) != dumps(new)  # edited since it was run: its outputs may be stale
    print(f"{path.name}: {execute(new, path.parent)}", flush=True)
    normalise(new)
    shrink(new)
    if not fresh:
        keep_old(old, new)
    return dumps(new)


def work(page: Path, args: Namespace) -> list[str]:
    """Do what is to be done with one page, a notebook or a guide; returns its faults."""
    lesson = page.suffix == ".ipynb"
    if args.command == "check":
        return check(page)
    if args.command in ("run", "stamp"):
        save(page, stamped(page))
    if args.command == "run" and lesson:
        save(page, rerun(page, fresh=args.fresh))
    if args.command == "fill" and lesson:
        save(args.out / page.name, dumps(fill(read(page))))
    if args.command == "slides" and lesson:
        from authoring.slides import slides

        print("saved", slides(page, args.out))
    return []


def work_on_all(notebooks: list[Path], args: Namespace) -> list[str]:
    """Do what needs all notebooks together; returns the faults."""
    if args.command == "explorers":
        from authoring.explorers import explorers

        print("\n".join(explorers(notebooks)))
        return []
    from authoring.links import broken
    from authoring.site import site

    print("saved", site(notebooks, args.out))
    return broken(args.out)


def with_guides(notebooks: list[Path]) -> list[Path]:
    """The notebooks between README, and the guides that tell what they have just printed."""
    roots = sorted({path.resolve().parents[1] for path in notebooks})
    readmes = [root / "README.md" for root in roots]
    guides = [root / name for root in roots for name in ("TEACHING.md", "ANSWERS.md")]
    return [*filter(Path.exists, readmes), *notebooks, *filter(Path.exists, guides)]


def parse(argv: list[str] | None) -> Namespace:
    """The command, its notebooks (all of them where none is named) and its options."""
    told = "\n".join(f"{name:>12}  {what}" for name, what in COMMANDS.items())
    how = dict(epilog=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser = argparse.ArgumentParser("python -m authoring", **how)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("notebooks", nargs="*", type=Path, help="measure: names of studies")
    parser.add_argument("--fresh", action="store_true", help="run: keep no old output or picture")
    parser.add_argument("--out", type=Path, help="fill, slides, site: folder instead of build/...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="measure: runs")
    own = "measure: a .npz file instead of the study's data set; gpu: a folder of such files"
    parser.add_argument("--data", help=own)
    parser.add_argument("--jobs", type=int, default=1, help="measure: runs at a time (1)")
    parser.add_argument("--device", default="cpu", help="measure: cpu, cuda or mps (cpu)")
    args = parser.parse_intermixed_args(argv)
    folder = {"fill": "filled"}.get(args.command, args.command)
    args.out = args.out or ROOT / "build" / folder
    args.studies = list(map(str, args.notebooks))
    args.notebooks = args.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    return args


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parse(argv)
    if args.command == "measure":
        from authoring.measure import STUDIES, measure

        how = dict(data=args.data, jobs=args.jobs, device=args.device)
        for study in args.studies or STUDIES:
            print("saved", measure(study, args.seeds, **how).name)
        return 0
    if args.command == "ship":
        from authoring.ship import ship

        try:
            print(ship(args.notebooks[0]))
        except (OSError, ValueError) as error:
            print(error)
            return 1
        return 0
    if args.command == "readme":
        from authoring.readme import save_pictures

        print(save_pictures())
        return 0
    if args.command == "gpu":
        from authoring import gpu

        print(gpu.measure(args.data))
        return 0
    faults = [f"there is no notebook {path}" for path in args.notebooks if not path.is_file()]
    together = args.command in ("site", "explorers")
    for page in [] if faults else args.notebooks[:1] if together else with_guides(args.notebooks):
        try:
            faults += work_on_all(args.notebooks, args) if together else work(page, args)
        except (OSError, RuntimeError, ValueError) as error:
            faults.append(f"{page.name}: {error}")
    print("\n".join(faults) or f"{args.command}: {len(args.notebooks)} notebooks, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
