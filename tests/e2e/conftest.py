"""One JupyterLab and one browser for all these tests, stopped however they end."""

import signal
from contextlib import ExitStack
from pathlib import Path

import chromium
import pytest
from lab_server import jupyterlab

from inception_edu.commands.lab import hand_out, lessons

SECONDS = pytest.StashKey[dict[str, dict[str, float]]]()


def pytest_configure(config) -> None:
    """A time limit outside stops us as Ctrl-C does: what was started is stopped, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.stash[SECONDS] = {}


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Say where the time went."""
    for name, laps in config.stash[SECONDS].items():
        told = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in laps.items())
        terminalreporter.write_line(f"{name}: {sum(laps.values()):.0f} s ({told})")


@pytest.fixture(scope="session")
def seconds(pytestconfig) -> dict[str, dict[str, float]]:
    """Where the seconds of each lesson are noted."""
    return pytestconfig.stash[SECONDS]


@pytest.fixture(scope="session")
def browser():
    """Chromium; the session ends in one sentence where there is none."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(chromium.browser())
        except chromium.NoBrowser as error:
            pytest.exit(str(error), returncode=1)
        yield found


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """What JupyterLab shows: students' copies of all lessons."""
    copies = tmp_path_factory.mktemp("lab")
    for lesson in lessons():
        hand_out(lesson, copies / lesson.name)
    return copies


@pytest.fixture(scope="session")
def lab(folder):
    """JupyterLab; the session ends in one sentence where it does not start."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(jupyterlab(folder))
        except RuntimeError as error:
            pytest.exit(str(error), returncode=1)
        yield server


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder of the pictures, build/screenshots."""
    path = Path(__file__).parents[2] / "build" / "screenshots"
    path.mkdir(parents=True, exist_ok=True)
    return path
