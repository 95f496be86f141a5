"""python -m inception_edu {lab,restore}: a student's own copies of the lessons."""

import argparse
import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]


def hand_out(lesson: Path, copy: Path) -> None:
    """Write a copy of a lesson with no outputs, so that nobody sees an answer before guessing."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def lab(lessons: list[Path], mine: Path, options: list[str]) -> int:
    """Add the copies that are missing, then open JupyterLab on the first; returns its exit code."""
    for lesson in lessons:
        if not (mine / lesson.name).exists():
            hand_out(lesson, mine / lesson.name)
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    command = [sys.executable, "-m", "jupyterlab", str(mine / lessons[0].name), *options]
    server = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            pass


def restore(lesson: Path, mine: Path) -> None:
    """Put a fresh copy back; the student's own is kept beside it under a new name."""
    copy = mine / lesson.name
    if copy.exists():
        names = (mine / f"{lesson.stem}.old-{n}.ipynb" for n in count(1))
        print("Your copy is now", copy.rename(next(x for x in names if not x.exists())).name)
    hand_out(lesson, copy)
    print("Fresh again:", copy.relative_to(ROOT).as_posix())


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    examples = "python -m inception_edu lab --no-browser, python -m inception_edu restore 01"
    parser = argparse.ArgumentParser("python -m inception_edu", epilog=f"examples: {examples}")
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help\n")
    parser.add_argument("command", choices=["lab", "restore"])
    parser.add_argument("rest", nargs="*", help="lab: options for JupyterLab; restore: a lesson")
    args, options = parser.parse_known_args(argv)
    mine, lessons = ROOT / "my_notebooks", sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if not lessons:
        parser.exit(1, f"No lessons in {ROOT / 'notebooks'}: get the whole repository.\n")
    if args.command == "lab":
        return lab(lessons, mine, args.rest + options)
    wanted = [x for x in lessons if [x.stem[:2]] == args.rest or [x.stem] == args.rest]
    if not wanted or options:
        names = ", ".join(x.stem for x in lessons)
        parser.error(f"restore takes one lesson of {names}, got {' '.join(args.rest + options)!r}")
    restore(wanted[0], mine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
