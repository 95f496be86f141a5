"""A student's own copies of the lessons: handed out, opened in JupyterLab, restored."""

import argparse
import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]


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


def run_lab(args: argparse.Namespace, options: list[str]) -> int:
    """`lab`: open JupyterLab on the first lesson's copy."""
    return lab(lessons(), ROOT / "my_notebooks", options)


def run_restore(args: argparse.Namespace) -> int:
    """`restore`: put a fresh copy of one lesson back."""
    wanted = [x for x in lessons() if args.lesson in (x.stem[:2], x.stem)]
    if not wanted:
        names = ", ".join(x.stem for x in lessons())
        raise ValueError(f"restore takes one lesson of {names}, got {args.lesson!r}")
    restore(wanted[0], ROOT / "my_notebooks")
    return 0


def lessons() -> list[Path]:
    """The lessons' notebooks; FileNotFoundError where the package came without them."""
    found = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if not found:
        raise FileNotFoundError(f"No lessons in {ROOT / 'notebooks'}: get the whole repository.")
    return found
