"""Set-up: one list of dependencies, make's messages, and students' own copies of the lessons."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from inception_edu.__main__ import main
from inception_edu.commands import lab as students

ROOT = Path(__file__).parents[1]
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def bounds(lines: str) -> dict[str, str]:
    return dict(re.findall(r"^\W*([a-z]+)>=([\d.]+)\W*$", lines, re.M))


def test_requirements_are_ranges_with_lower_bounds_and_no_pins():
    lines = [x for x in (ROOT / "requirements.txt").read_text().splitlines() if x[:1] != "#"]
    names = {"torch", "torchvision", "jupyterlab", "matplotlib", "ipywidgets", "torchinfo"}
    assert set(bounds("\n".join(lines))) == names | {"nbval", "pytest"}
    assert len(lines) == 8


def test_lower_bounds_do_not_exceed_what_colab_ships():
    ours = bounds((ROOT / "requirements.txt").read_text())
    colab = {"torch": "2.11", "torchvision": "0.26", "ipywidgets": "7.7.1", "matplotlib": "3.10"}
    for name, version in colab.items():
        assert [*map(int, ours[name].split("."))] <= [*map(int, version.split("."))]


def test_pyproject_names_the_same_bounds_as_requirements():
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)\]", text, re.M | re.S)[1].replace(",", "\n")
    required = bounds((ROOT / "requirements.txt").read_text())
    assert bounds(listed).keys() == {"torch", "torchvision", "matplotlib", "ipywidgets"}
    assert bounds(listed).items() <= required.items()


def test_bare_pytest_needs_no_plugin_that_requirements_do_not_bring():
    text = (ROOT / "pyproject.toml").read_text()
    options = re.search(r'^addopts = "(.*)"', text, re.M)[1].split()
    assert options and all(option.startswith("--nbval-") for option in options)


@pytest.fixture
def make(tmp_path):
    """Run make in a copy of the Makefile, with a Python that is the given shell script."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    def run(script: str, target: str = "lab") -> subprocess.CompletedProcess:
        python = tmp_path / "fake python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        command = ["make", "-C", str(tmp_path), target, f"PYTHON={python}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


@needs_make
def test_make_says_what_to_install_where_python_has_no_venv(make):
    done = make('case "$2" in *ensurepip*) exit 1;; esac')
    assert done.returncode != 0 and done.stdout.count("\n") <= 2
    assert "python3-venv" in done.stderr


@needs_make
def test_make_says_what_to_install_where_python_is_missing_or_old(make):
    for script in ("exit 1", "exit 127"):
        done = make(script)
        assert done.returncode != 0 and "Python 3.10 or newer" in done.stderr


@needs_make
def test_make_installs_nothing_when_everything_is_installed(make, tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    assert "-m inception_edu lab" in make("exit 1", "lab").stdout
    done = make("exit 1", "test")
    assert done.returncode == 0 and " pip " not in done.stdout
    assert "--nbval tests notebooks" in done.stdout
    os.utime(tmp_path / "requirements.txt", (4e9, 4e9))
    assert make("exit 1", "test").returncode != 0


@pytest.fixture
def series(tmp_path, monkeypatch):
    """A folder with two lessons, seen by the command as the repository."""
    monkeypatch.setattr(students, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    for name in ("00_start_here", "01_counting"):
        shown = {"output_type": "stream", "name": "stdout", "text": ["42\n"]}
        cell = {"cell_type": "code", "source": ["6 * 7"], "outputs": [shown], "metadata": {}}
        text = {"cell_type": "markdown", "source": ["über"], "metadata": {}}
        notebook = {"cells": [text, cell | {"execution_count": 1}], "nbformat": 4}
        (tmp_path / f"notebooks/{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """The commands that would have started JupyterLab, which the user stops with Ctrl-C."""
    commands = []

    class Server:
        def __init__(self, command, env):
            commands.append((command, env))
            self.interrupts = 1

        def wait(self):
            self.interrupts -= 1
            if self.interrupts >= 0:
                raise KeyboardInterrupt
            return 0

    monkeypatch.setattr(students.subprocess, "Popen", Server)
    monkeypatch.setattr(students.signal, "signal", lambda *_: None)
    return commands


def test_lab_opens_the_first_copy_finds_the_package_and_passes_options_on(series, opened):
    assert main(["lab", "--no-browser", "--port", "8890"]) == 0
    command, env = opened[0]
    assert command[1:3] == ["-m", "jupyterlab"]
    assert command[3:] == [
        str(series / "my_notebooks/00_start_here.ipynb"),
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
        *("--no-browser", "--port", "8890"),
    ]
    settings = Path(env["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0])
    assert (settings / "labconfig/default_setting_overrides.json").is_file()
    assert json.loads((settings / "jupyter_server_config.json").read_text())
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(series)
    assert env["OMP_WAIT_POLICY"] == os.environ["OMP_WAIT_POLICY"]  # which `main` has set


def test_a_copy_shows_no_answers_before_the_guess(series, opened):
    main(["lab"])
    copy = json.loads((series / "my_notebooks/01_counting.ipynb").read_text(encoding="utf-8"))
    assert copy["cells"][0]["source"] == ["über"]
    assert copy["cells"][1]["source"] == ["6 * 7"]
    assert copy["cells"][1]["outputs"] == [] and copy["cells"][1]["execution_count"] is None


def test_lab_never_overwrites_a_copy_and_adds_a_new_lesson_later(series, opened):
    main(["lab"])
    (series / "my_notebooks/01_counting.ipynb").write_text("mine")
    shutil.copy(series / "notebooks/00_start_here.ipynb", series / "notebooks/02_block.ipynb")
    main(["lab"])
    assert (series / "my_notebooks/01_counting.ipynb").read_text() == "mine"
    assert (series / "my_notebooks/02_block.ipynb").exists()


@pytest.mark.parametrize("name", ["01", "01_counting"])
def test_restore_gives_a_fresh_copy_and_loses_no_old_one(series, name, capsys):
    copy = series / "my_notebooks/01_counting.ipynb"
    assert main(["restore", name]) == 0
    fresh = copy.read_text(encoding="utf-8")
    for text in ("first", "second", "third"):
        copy.write_text(text)
        main(["restore", name])
        assert copy.read_text(encoding="utf-8") == fresh
        if text == "second":  # the student throws one away: its number may be used again
            (copy.parent / "01_counting.old-1.ipynb").unlink()
    kept = {x.name: x.read_text() for x in copy.parent.glob("*.old-*")}
    assert kept == {"01_counting.old-1.ipynb": "third", "01_counting.old-2.ipynb": "second"}
    assert "01_counting.old-1.ipynb" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["open"], ["restore"], ["restore", "07"], ["restore", "00", "01"]]
)
def test_wrong_arguments_exit_with_2_and_one_sentence(series, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = capsys.readouterr()
    assert stopped.value.code == 2 and said.out == ""
    assert said.err.count("\n") == 1 and "--help" in said.err


def test_restore_names_the_lessons_there_are(series, capsys):
    with pytest.raises(SystemExit):
        main(["restore", "07"])
    assert "00_start_here, 01_counting, got '07'" in capsys.readouterr().err


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "python -m inception_edu lab --no-browser" in capsys.readouterr().out


def test_without_the_repository_the_command_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(students, "ROOT", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["lab"])
    assert stopped.value.code == 1
    assert "get the whole repository" in capsys.readouterr().err


def test_no_file_names_a_machine_s_path():
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    ends = (".py", ".md", ".txt", ".toml", ".cfg", ".ipynb", ".json", "Makefile", ".ci/run")
    here = re.compile(r"(?<![\w.])/(home|root|work|Users)/\w|[A-Z]:\\Users")
    names = [n for n in git.stdout.splitlines() if n.endswith(ends) and (ROOT / n).exists()]
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    named = {name: match[0] for name, text in texts.items() if (match := here.search(text))}
    assert len(names) > 10 and named == {}
