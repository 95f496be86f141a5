"""A JupyterLab of its own: on the loopback address, with nobody's settings, gone afterwards."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from inception_edu.commands.lab import SETTINGS as COURSE

SETTINGS = {
    "apputils-extension/notification": {"doNotDisturbMode": True},
    # Every cell stays in the page, to be waited for and looked at.
    "notebook-extension/tracker": {"windowingMode": "none"},
}
OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--LabApp.expose_app_in_browser=True",  # the page's window.jupyterapp
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)


class Server(NamedTuple):
    """Where a JupyterLab answers, and what it asks for."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """The address that all its pages begin with."""
        return f"http://127.0.0.1:{self.port}/"

    def page(self, name: str) -> str:
        """The address of a notebook, alone in a fresh window."""
        return f"{self.url}lab/tree/{name}?token={self.token}&reset"

    def answers(self) -> bool:
        """Whether it is up; past any proxy, which the loopback address must not need."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", f"/api/status?token={self.token}")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False


@contextmanager
def jupyterlab(folder: Path, *, within: float = 120) -> Iterator[Server]:
    """Serve a folder while the block runs; RuntimeError if nothing answers `within` seconds."""
    server = Server(_free_port(), secrets.token_hex(16))
    options = [
        f"--ServerApp.port={server.port}",
        f"--IdentityProvider.token={server.token}",
        f"--ServerApp.root_dir={folder}",
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        log = Path(own) / "log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *OPTIONS, *options],
                env=os.environ | _environment(Path(own)),
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us, who then stop it
            )
            try:
                _wait(server, process, log, within)
                yield server
            finally:
                _stop(process)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


def _environment(own: Path) -> dict[str, str]:
    for name, values in SETTINGS.items():
        path = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    # What `lab` sets: no news, widgets saved, threads that wait let others compute
    course = {"JUPYTER_CONFIG_PATH": str(COURSE), "OMP_WAIT_POLICY": "PASSIVE"}
    # A proxy where nobody listens: a kernel that would download fails, here as without a network.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return {key: str(own / name) for key, name in folders.items()} | nowhere | course


def _wait(server: Server, process: subprocess.Popen, log: Path, within: float) -> None:
    end = time.monotonic() + within
    while not server.answers():
        if process.poll() is not None or time.monotonic() > end:
            said = " ".join(log.read_text(errors="replace")[-400:].split())
            raise RuntimeError(f"JupyterLab did not start within {within:.0f} s; it said: {said}")
        time.sleep(0.2)


def _stop(process: subprocess.Popen) -> None:
    process.terminate()  # it shuts its kernels down, which also end without it
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
