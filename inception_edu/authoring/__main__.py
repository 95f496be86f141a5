"""python -m inception_edu.authoring {run,check,fill,stamp} [NOTEBOOK...], measure [STUDY...]"""

import argparse
import os
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

from inception_edu.authoring.check import check
from inception_edu.authoring.fill import fill
from inception_edu.authoring.notebook import dumps, keep_old, normalise, read, shrink
from inception_edu.authoring.stamp import stamped

ROOT = Path(__file__).parents[2]


def execute(nb: NotebookNode, folder: Path) -> str:
    """Run a notebook, in place, on the CPU; returns where the time went. A failing cell raises."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = os.environ | {"INCEPTION_EDU_DEVICE": "cpu", "PYTHONPATH": os.pathsep.join(paths)}
    client, times = NotebookClient(nb, resources={"metadata": {"path": str(folder)}}), []
    with client.setup_kernel(env=env):
        for i, cell in enumerate(nb.cells):
            start = time.perf_counter()
            try:
                client.execute_cell(cell, i)
            except Exception as error:
                raise RuntimeError(f"cell {i} failed, nothing was saved: {error}") from error
            times.append((time.perf_counter() - start, i))
    slowest = ", ".join(f"cell {i} {t:.1f} s" for t, i in sorted(times, reverse=True)[:3])
    return f"{sum(t for t, _ in times):.1f} s (slowest: {slowest})"


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


def main(argv: list[str] | None = None) -> int:
    """Run one command on the named notebooks, or on all; returns the exit code."""
    parser = argparse.ArgumentParser("python -m inception_edu.authoring")
    parser.add_argument("command", choices=["run", "check", "fill", "measure", "stamp"])
    parser.add_argument("notebooks", nargs="*", type=Path, help="measure: names of studies")
    parser.add_argument("--fresh", action="store_true", help="run: keep no old output or picture")
    parser.add_argument("--quick", action="store_true", help="fill: leave out what trains for long")
    parser.add_argument("--out", type=Path, default=ROOT / "build/filled", help="fill: folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="measure: runs")
    parser.add_argument("--data", help="measure: a .npz file instead of the study's data set")
    args = parser.parse_intermixed_args(argv)
    if args.command == "measure":
        from inception_edu.authoring.measure import STUDIES, measure

        for study in map(str, args.notebooks or STUDIES):
            print("saved", measure(study, args.seeds, data=args.data).name)
        return 0
    notebooks = args.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    readmes = {path.resolve().parents[1] / "README.md" for path in notebooks}
    faults = []
    for page in [*filter(Path.exists, readmes), *notebooks]:
        try:
            if args.command == "check":
                faults += check(page)
            if args.command in ("run", "stamp"):
                page.write_text(stamped(page), encoding="utf-8", newline="\n")
            if args.command == "run" and page in notebooks:
                page.write_text(run(page, fresh=args.fresh), encoding="utf-8", newline="\n")
            if args.command == "fill" and page in notebooks:
                args.out.mkdir(parents=True, exist_ok=True)
                filled = dumps(fill(read(page), quick=args.quick))
                (args.out / page.name).write_text(filled, encoding="utf-8", newline="\n")
        except (OSError, RuntimeError, ValueError) as error:
            faults.append(f"{page.name}: {error}")
    print("\n".join(faults) or f"{args.command}: {len(notebooks)} notebooks, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
