"""python -m authoring {run,check,fill,stamp} [NOTEBOOK...], measure [STUDY...]"""

import argparse
import sys
from pathlib import Path

from authoring.check import check
from authoring.execution import ROOT, execute
from authoring.fill import fill
from authoring.notebook import dumps, keep_old, normalise, read, shrink
from authoring.stamp import stamped

COMMANDS = ("run", "check", "fill", "measure", "stamp", "slides", "site")


def run(path: Path, *, fresh: bool) -> str:
    """The text of a notebook that was run and normalised."""
    new, old = read(path), normalise(read(path))
    fresh = fresh or dumps(old) != dumps(new)  # edited since it was run: its outputs may be stale
    print(f"{path.name}: {execute(new, path.parent)}", flush=True)
    normalise(new)
    shrink(new)
    if not fresh:
        keep_old(old, new)
    return dumps(new)


def publish(command: str, notebooks: list[Path], out: Path) -> int:
    """Make the slides of each notebook, or one site of all; returns the exit code."""
    from authoring.site import site
    from authoring.slides import slides

    faults = [f"there is no notebook {path}" for path in notebooks if not path.is_file()]
    for group in [] if faults else [notebooks] if command == "site" else [[x] for x in notebooks]:
        try:
            print("saved", site(group, out) if command == "site" else slides(group[0], out))
        except (OSError, RuntimeError, ValueError) as error:
            faults.append(f"{group[0].name}: {error}")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


def main(argv: list[str] | None = None) -> int:
    """Run one command on the named notebooks, or on all; returns the exit code."""
    parser = argparse.ArgumentParser("python -m authoring")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("notebooks", nargs="*", type=Path, help="measure: names of studies")
    parser.add_argument("--fresh", action="store_true", help="run: keep no old output or picture")
    parser.add_argument("--quick", action="store_true", help="fill: leave out what trains for long")
    parser.add_argument("--out", type=Path, help="fill, slides, site: folder instead of build/...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="measure: runs")
    parser.add_argument("--data", help="measure: a .npz file instead of the study's data set")
    args = parser.parse_intermixed_args(argv)
    if args.command == "measure":
        from authoring.measure import STUDIES, measure

        for study in map(str, args.notebooks or STUDIES):
            print("saved", measure(study, args.seeds, data=args.data).name)
        return 0
    notebooks = args.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    out = args.out or ROOT / "build" / {"fill": "filled"}.get(args.command, args.command)
    if args.command in ("slides", "site"):
        return publish(args.command, notebooks, out)
    roots, faults = {path.resolve().parents[1] for path in notebooks}, []
    readmes, guides = ([root / f"{name}.md" for root in roots] for name in ("README", "TEACHING"))
    # The guide comes last: it tells what the lessons have just printed.
    for page in [*filter(Path.exists, readmes), *notebooks, *filter(Path.exists, guides)]:
        try:
            if args.command == "check":
                faults += check(page)
            if args.command in ("run", "stamp"):
                page.write_text(stamped(page), encoding="utf-8", newline="\n")
            if args.command == "run" and page in notebooks:
                page.write_text(run(page, fresh=args.fresh), encoding="utf-8", newline="\n")
            if args.command == "fill" and page in notebooks:
                out.mkdir(parents=True, exist_ok=True)
                filled = dumps(fill(read(page), quick=args.quick))
                (out / page.name).write_text(filled, encoding="utf-8", newline="\n")
        except (OSError, RuntimeError, ValueError) as error:
            faults.append(f"{page.name}: {error}")
    print("\n".join(faults) or f"{args.command}: {len(notebooks)} notebooks, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
