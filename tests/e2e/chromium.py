"""Chromium: found on this machine, started without a window, its pages watched."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE = "INCEPTION_EDU_CHROMIUM"
OPTIONS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--force-color-profile=srgb",
    # Nothing but this machine can be reached, whatever a page asks for.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class NoBrowser(Exception):
    """One sentence that says which browser is missing and what to do."""


def find() -> str:
    """The path of Chromium or Chrome: what the environment variable names, else on the PATH."""
    if asked := os.environ.get(VARIABLE):
        if found := shutil.which(asked):
            return found
        raise NoBrowser(f"{VARIABLE} is {asked!r}, which cannot be run: name Chromium or Chrome.")
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    raise NoBrowser(
        f"No Chromium on the PATH (looked for {', '.join(NAMES)}): "
        f"install it (apt install chromium), or name one with {VARIABLE}=..."
    )


@contextmanager
def browser() -> Iterator:
    """A browser while the block runs; NoBrowser if there is none or it does not start."""
    path = find()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        needed = "Playwright's Python package is missing: pip install -e .[dev]"
        raise NoBrowser(needed) from None
    # Chromium refuses to run its sandbox as root, as in a container.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    options = [*OPTIONS, *(["--no-sandbox"] if root else [])]
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=options)
        except Error as error:
            why = str(error).splitlines()[0].removeprefix("BrowserType.launch: ")
            raise NoBrowser(f"{path} did not start as a browser: {why}") from None
        try:
            yield found
        finally:
            found.close()


def watch(page, *allowed: str) -> list[str]:
    """The list to which every error of a page will be added, and every request that does not
    begin with one of `allowed`."""
    faults, allowed = [], (*allowed, "data:", "blob:")

    def asked(request) -> None:
        if not request.url.startswith(allowed):
            faults.append(f"asked for {request.url}")

    def said(message) -> None:
        if message.type == "error":
            faults.append(f"console: {message.text}")

    page.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    return faults
