"""Strict nbval skips PNG pictures, their presence too; here they are compared, with a tolerance."""

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Kernels inherit this: they find the package uninstalled, and compute on the CPU whatever is there.
ROOT = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
os.environ["INCEPTION_EDU_DEVICE"] = "cpu"
# Before torch is imported: threads that spin while they wait, or more of them than there are cores
# for all processes at work, make a process beside a busy one up to 40 times slower.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A list of fonts of this checkout's own: a stale one in the home folder warns in every figure.
os.environ["MPLCONFIGDIR"] = str(Path(ROOT) / "build" / "matplotlib")


def pytest_configure(config) -> None:
    """Add the comparison of pictures to nbval's comparison of text, where nbval is used."""
    if not getattr(config.option, "nbval", False):
        return
    import matplotlib.font_manager  # noqa: F401  lists the fonts once, before processes share them

    rules = config.option.nbval_sanitize_with  # pyproject's is meant from the root, wherever we are
    config.option.nbval_sanitize_with = rules and str(config.rootpath / rules)
    from nbval.plugin import IPyNbCell

    from authoring.compare import agrees_within, within
    from authoring.pictures import difference

    compare_text = IPyNbCell.compare_outputs

    def compare_outputs(self, test, ref, skip_compare=None) -> bool:
        if (units := within(self.cell)) is not None:
            test = agrees_within(ref, test, units)
            return compare_text(self, test, ref, skip_compare)
        if not compare_text(self, test, ref, skip_compare):
            return False
        found = difference(ref, test)
        if found:
            self.comparison_traceback.append(found)
        return found is None

    IPyNbCell.compare_outputs = compare_outputs


@pytest.fixture(autouse=True)
def drawn_alike() -> None:
    """Each test draws the same random numbers, whatever ran before it."""
    if "torch" in sys.modules:  # it takes seconds, and is not needed to validate notebooks
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="module")
def one_thread():
    """Tiny networks run faster on one thread, on a busy machine several times."""
    from inception_edu.training.devices import (
        cpu_threads,  # torch: not needed to validate notebooks
    )

    with cpu_threads(1):
        yield


def refused(error: type, call, *words: str) -> None:
    """`call` raises `error` in one sentence that holds all the words."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def moved(explorer, **values) -> None:
    """Setting these controls changes an explorer's picture and words, without an error."""
    before, told = explorer.picture.value, explorer.words
    for name, value in values.items():
        explorer.controls[name].value = value
    assert explorer.message.value == ""
    assert explorer.picture.value != before and explorer.words != told


def randomise(model, seed=0):
    """Draw everything in a network anew: at its start the output hardly depends on the image."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("running_var", ".bn.weight", ".norm.weight")):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.ndim > 1:  # keeps the size of what flows, as ReLU halves it
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            elif value.is_floating_point():
                value.normal_(0, 0.2, generator=generator)
            else:
                value.fill_(7)  # num_batches_tracked
    return model


def tiny_npz(folder: Path, train: int) -> Path:
    """A small data set of 4 classes of 16x16 noise, told apart by brightness."""
    import numpy as np

    draw, arrays = np.random.default_rng(0), {}
    for part, n in dict(train=train, test=20).items():
        labels = np.arange(n) % 4
        noise = draw.integers(0, 90, (n, 16, 16)) + 40 * labels[:, None, None]
        arrays |= {f"x_{part}": noise.astype(np.uint8), f"y_{part}": labels}
    np.savez(folder / "tiny.npz", **arrays)
    return folder / "tiny.npz"


def apart(a, b):
    """Largest difference, relative to the largest value."""
    return ((a - b).abs().max() / b.abs().max()).item()


def solutions_pass(lesson: str, file: str = "") -> str:
    """Every exercise of a lesson, answered by its folded solution, is judged right; what trains for
    long is left out. `file` is what earlier lessons left in my_inception.py; returns it as it is
    afterwards."""
    from authoring.execution import execute
    from authoring.fill import fill, without_training
    from authoring.notebook import code, read, tags

    (path,) = Path(ROOT, "notebooks").glob(f"{lesson}_*.ipynb")
    nb = read(path)
    exercises = [cell for cell in code(nb) if "exercise" in tags(cell)]
    stubs = [cell.source for cell in exercises]
    without_training(fill(nb))
    assert [cell.source for cell in exercises if cell.source in stubs] == []
    with TemporaryDirectory() as folder:  # which gets the student's file
        if file:
            Path(folder, "my_inception.py").write_text(file, encoding="utf-8")
        execute(nb, Path(folder))
        kept = Path(folder, "my_inception.py")
        file = kept.read_text(encoding="utf-8") if kept.exists() else ""
    outputs = [out for cell in code(nb) for out in cell.outputs]
    printed = "\n".join(o.get("text", o.get("data", {}).get("text/plain", "")) for o in outputs)
    last = dict(re.findall(r"^. Exercise (\S+): (right|not right yet.*|not att.*)", printed, re.M))
    assert [f"{name}: {verdict}" for name, verdict in last.items() if verdict != "right"] == []
    assert bool(last) == bool(exercises) and "It is not kept" not in printed
    return file
