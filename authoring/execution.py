"""Running a notebook: all of it for its outputs, or what its explorers' static frames need."""

import copy
import hashlib
import os
import time
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

from authoring.notebook import code, dumps, normalise, read, save, tags
from authoring.pictures import shrink

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build/executed"
FRAMES = "authoring.frames"
IS_FRAMES = '<div class="frames">'  # how the HTML of an explorer's frames begins


def execute(nb: NotebookNode, folder: Path, *, extension: str | None = None) -> str:
    """Run a notebook, in place, on the CPU; returns where the time went. A failing cell raises.

    `extension` names a module that IPython loads before the first cell.
    """
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = os.environ | {"INCEPTION_EDU_DEVICE": "cpu", "PYTHONPATH": os.pathsep.join(paths)}
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as JupyterLab has it from `lab`
    client, times = NotebookClient(nb, resources={"metadata": {"path": str(folder)}}), []
    if extension:
        client.extra_arguments = [f"--InteractiveShellApp.extra_extensions={extension}"]
    with client.setup_kernel(env=env):
        for i, cell in enumerate(nb.cells):
            start = time.perf_counter()
            try:
                client.execute_cell(cell, i)
            except Exception as error:
                raise RuntimeError(f"cell {i} failed, nothing was saved: {error}") from error
            times.append((time.perf_counter() - start, i))
    slowest = ", ".join(f"cell {i} {t:.1f} s" for t, i in sorted(times, reverse=True)[:3])
    return f"{sum(t for t, _ in times):.1f} s (slowest: {slowest})"


def with_frames(path: Path) -> NotebookNode:
    """A notebook whose explorers show static frames, run once and then read from build/executed.

    Saved outputs are taken as they are; a notebook without them is run whole.
    """
    kept, key = CACHE / path.name, _key(path)
    if kept.is_file() and (nb := read(kept)).metadata.get("made_of") == key:
        return nb
    nb = read(path)
    saved = all(cell.execution_count for cell in code(nb))
    new = run_explorers(path, FRAMES) if saved else copy.deepcopy(nb)
    if not saved:
        print(f"{path.name}: {execute(new, path.parent, extension=FRAMES)}", flush=True)
    for i, cell in enumerate(new.cells):
        if not saved or any(is_frames(out) for out in cell.get("outputs", [])):
            nb.cells[i] = cell
    normalise(nb)
    shrink(nb)
    nb.metadata["made_of"] = key
    save(kept, dumps(nb))
    return nb


def run_explorers(path: Path, extension: str) -> NotebookNode:
    """A copy of a notebook in which the cells have run that its explorers need, if it has any."""
    nb = read(path)
    needed = _needed(nb)
    for i, cell in enumerate(nb.cells):
        if i not in needed:  # so that a failing cell is named by its true number
            cell.update(cell_type="raw")
    if needed:
        print(f"{path.name}: {execute(nb, path.parent, extension=extension)}", flush=True)
    return nb


def is_frames(out: NotebookNode) -> bool:
    """Whether an output is an explorer drawn beforehand."""
    return out.get("data", {}).get("text/html", "").startswith(IS_FRAMES)


def _explorers(nb: NotebookNode) -> list[int]:
    return [i for i, cell in enumerate(nb.cells) if any(map(_is_explorer, cell.get("outputs", [])))]


def waiting_for_training(nb: NotebookNode) -> bool:
    """Whether an explorer of a saved notebook shows what a long training made."""
    return any("after-long" in tags(nb.cells[i]) for i in _explorers(nb))


def _needed(nb: NotebookNode) -> list[int]:
    """The cells to run for the explorers: up to the last one, training only if one waits for it."""
    wait = waiting_for_training(nb)
    return [
        i
        for i in range(max(_explorers(nb), default=-1) + 1)
        if wait or not tags(nb.cells[i]) & {"long", "after-long"}
    ]


def _is_explorer(out: NotebookNode) -> bool:
    """Whether a saved output has an explorer's words: title, [its values], numbers, [picture]."""
    lines = out.get("data", {}).get("text/plain", "").splitlines()
    return len(lines) > 2 and " = " in lines[1] and lines[1][0] + lines[1][-1] == "[]"


def _key(path: Path) -> str:
    """Changes with the notebook and with everything in the package that it may run."""
    package, digest = ROOT / "inception_edu", hashlib.sha256(path.read_bytes())
    for file in sorted([*package.rglob("*.py"), *(package / "assets").rglob("*")]):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()
