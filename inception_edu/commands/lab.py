"""Open your copies of the lessons in JupyterLab; its options are passed on."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

EXAMPLE = "--no-browser"
ROOT = Path(__file__).parents[2]
SETTINGS = Path(__file__).parents[1] / "assets" / "jupyter"  # defaults that a user's own overrule
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


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
    """Write a copy of a lesson with no outputs, so that nobody sees an answer before guessing, and
    as JupyterLab would save it here, so that it does not count as changed once it is open."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": language()}
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def language() -> dict[str, object]:
    """What a kernel of this Python says of its language."""
    return {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    }


def serve(notebook: Path, more: list[str]) -> int:
    """Run JupyterLab until it is stopped, with this project's defaults; its kernels inherit the
    environment and our folder. The address that it prints opens the notebook, too."""
    own = {
        "PYTHONPATH": joined(ROOT, os.environ.get("PYTHONPATH")),
        "JUPYTER_CONFIG_PATH": joined(SETTINGS, os.environ.get("JUPYTER_CONFIG_PATH")),
    }
    command = [sys.executable, "-m", "jupyterlab", str(notebook)]
    command += [f"--LabApp.default_url=/lab/tree/{notebook.name}", *more]
    server = subprocess.Popen(command, env=os.environ | own)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            pass


def joined(first: Path, others: str | None) -> str:
    """Folders as an environment variable has them, ours first."""
    return os.pathsep.join(filter(None, [str(first), others]))
