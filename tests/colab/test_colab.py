"""Every lesson as Colab runs it: old versions, no repository, the package by its first cell."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from authoring.notebook import code, dumps, read, tags

ROOT = Path(__file__).parents[2]
LESSONS = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
ADDRESS = "https://github.com/ann/inception-edu"  # of a fork; git is told that it lies here
PLACE = ROOT / "build/colab"
BESIDE = ["ipywidgets==7.7.1", "ipython==7.34.*", "nbclient", "ipykernel"]  # Colab's, old
STUB = """
import pathlib, sysconfig
site = pathlib.Path(sysconfig.get_paths()["purelib"])
(site / "google/colab").mkdir(parents=True, exist_ok=True)
(site / "google/colab/__init__.py").write_text("")
(site / "colab.pth").write_text("import google.colab")  # at every start, as there
"""


def oldest() -> list[str]:
    """torch, torchvision and matplotlib at the lower bounds of requirements.txt."""
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    bounds = re.findall(r"^(torch|torchvision|matplotlib)>=(\S+)", listed, re.M)
    return [f"{name}=={version}.*" for name, version in bounds]


def run(*command: object, **options: object) -> str:
    """What a command prints; where it fails, the test fails with its last words."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command[0]}: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of that place: made on first use, and anew when the versions asked for change."""
    wanted, stamp = [*oldest(), *BESIDE], PLACE / "installed.json"
    found = PLACE / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not stamp.exists() or json.loads(stamp.read_text(encoding="utf-8")) != wanted:
        stamp.unlink(missing_ok=True)
        run(sys.executable, "-m", "venv", "--clear", PLACE / "venv")
        run(found, "-I", "-m", "pip", "install", "--quiet", *wanted)
        run(found, "-c", STUB)
        stamp.write_text(json.dumps(wanted), encoding="utf-8")
    run(found, "-I", "-m", "pip", "uninstall", "--quiet", "--yes", "inception-edu")
    return found


@pytest.fixture(scope="session")
def fork(tmp_path_factory) -> Path:
    """A fork of this project in a git repository of its own, whose one line says so; stamped."""
    place = tmp_path_factory.mktemp("fork") / "inception-edu"
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), listed):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    project = place / "pyproject.toml"
    line = f'Repository = "{ADDRESS}"'
    text = project.read_text(encoding="utf-8")
    project.write_text(re.sub("^Repository = .*", line, text, flags=re.M), encoding="utf-8")
    env = os.environ | {"PYTHONPATH": str(place)}
    run(sys.executable, "-m", "authoring", "stamp", env=env, cwd=place)
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "fork")):
        run("git", *command, cwd=place)
    return place


def execute(python: Path, notebook: Path, fork: Path) -> None:
    """Run a notebook where it lies; the test fails with the error of a failing cell."""
    env = os.environ | {"INCEPTION_EDU_DATA": str(ROOT / "data"), "GIT_CONFIG_COUNT": "1"}
    env |= {"GIT_CONFIG_KEY_0": f"url.{fork.as_uri()}.insteadOf", "GIT_CONFIG_VALUE_0": ADDRESS}
    env.pop("PYTHONPATH", None)  # by which the other tests find the package
    command = (python, "-m", "jupyter", "execute", "--inplace", "--timeout=900", notebook.name)
    run(*command, cwd=notebook.parent, env=env)


def installed(python: Path) -> set[str]:
    """Name and version of every package there."""
    return set(run(python, "-I", "-m", "pip", "list", "--format=freeze").split())


@pytest.fixture(scope="session")
def colab(python, fork, tmp_path_factory) -> Path:
    """The Python of a place where a lesson's install cell has run, and nothing else."""
    notebook = tmp_path_factory.mktemp("first") / LESSONS[0]
    nb = read(fork / "notebooks" / notebook.name)
    nb.cells = [cell for cell in nb.cells if "colab" in tags(cell)]
    notebook.write_text(dumps(nb), encoding="utf-8")
    before = installed(python)
    execute(python, notebook, fork)
    (new,) = installed(python) - before
    assert new.startswith("inception-edu==") and before <= installed(python)
    return python


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_in_colab_from_an_empty_folder(lesson, colab, fork, tmp_path):
    notebook = Path(shutil.copy(fork / "notebooks" / lesson, tmp_path))
    execute(colab, notebook, fork)
    cells = [cell for cell in code(read(notebook)) if "colab" in tags(cell)]
    assert [cell.outputs for cell in cells] == [[]]
