"""Open your copies of the lessons in JupyterLab; its options are passed on."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

EXAMPLE = "--no-browser"
ROOT = Path(__file__).parents[2]


def options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(args: argparse.Namespace) -> int:
    """Hand out the copies that are missing, and open JupyterLab on the first."""
    mine, originals = ROOT / "my_notebooks", lessons()
    for lesson in originals:
        if not (mine / lesson.name).exists():
            hand_out(lesson, mine / lesson.name)
    return serve(mine / originals[0].name, args.rest)


def lessons() -> list[Path]:
    """The lessons' notebooks; FileNotFoundError where the package came without them."""
    found = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if not found:
        raise FileNotFoundError(f"No lessons in {ROOT / 'notebooks'}: get the whole repository.")
    return found


def hand_out(lesson: Path, copy: Path) -> None:
    """Write a copy of a lesson with no outputs, so that nobody sees an answer before guessing."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def serve(notebook: Path, more: list[str]) -> int:
    """Run JupyterLab until it is stopped; its kernels inherit the environment and our folder."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    command = [sys.executable, "-m", "jupyterlab", str(notebook), *more]
    server = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            pass
