"""One JupyterLab and one browser for all tests of a process, stopped however they end."""

import signal
from contextlib import ExitStack
from pathlib import Path

import chromium
import pytest
from lab_server import jupyterlab


def pytest_configure(config) -> None:
    """A time limit outside stops us as Ctrl-C does: what was started is stopped, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


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
    """What JupyterLab shows: empty at first."""
    return tmp_path_factory.mktemp("lab")


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
