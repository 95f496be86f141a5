"""Lesson 05: save and resume are judged by how a training goes on after a cut."""

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import is_zipfile

import torch
from torch import Tensor

from inception_edu.exercises.answers import whole
from inception_edu.lessons.lesson_05.cuts import Parts, Task, learn, tasks, uncut

Save, Resume = Callable[..., object], Callable[..., object]
PICKLED = (
    "the file holds a pickled object, as torch.save(model) writes it, and loading that may run any "
    "code: save state_dict() of each part, with numbers and tensors beside them"
)
RAN: list[str] = []  # what a file's code did while it was loaded


class Evil:
    """An object whose loading runs code: here, code that only notes that it ran."""

    def __reduce__(self) -> tuple:
        return _note, ()


def _note() -> None:
    RAN.append("ran")


def check_saving(save: Save, resume: Resume) -> str | None:
    """`save(path, model, optimiser, batches, step)` and `resume(path, model, optimiser, batches)`:
    a training goes on to the bit as if it had never been cut.

    All are saved before the first is resumed, and each file is read under another name: what is
    kept in memory and not in the file belongs to another training by then.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, task in enumerate(tasks()):  # a text for one task, a Path for the next
            path, moved = Path(folder, f"{i}.pt"), Path(folder, f"moved{i}.pt")
            if why := other_run(save, task, str(path) if i % 2 else path):
                return why
            files.append((task, path.rename(moved)))
        for task, moved in files:
            if why := other_rest(resume, task, moved):
                return why
        return _runs_code(resume, Path(folder, "evil.pt"))


def other_run(save: Save, task: Task, path: str | Path) -> str | None:
    """What is wrong with what `save` wrote, or did to the training that it saved."""
    parts = task.begin(0)
    learn(parts, task.cut)
    save(path, *parts, task.cut)
    after = learn(parts, task.steps - task.cut)
    if not Path(path).is_file():
        return "save wrote no file at the path that it was given"
    if not is_zipfile(path):
        return "torch.load cannot read the file that save wrote: write it with torch.save"
    try:
        torch.load(path, weights_only=True)
    except pickle.UnpicklingError:
        return PICKLED
    if after != uncut(task)[task.cut :]:
        return (
            "after save the training goes on otherwise than without it: save only reads, so it "
            "must change neither the parts nor the random numbers"
        )
    return None


def other_rest(resume: Resume, task: Task, path: Path) -> str | None:
    """What is another after `resume` than in the training that was not cut, part by part."""
    done = _resumed(resume, task, path)[1]
    if done is None:
        return "resume returns None, expected the number of steps done, which save was given"
    if whole(done) != task.cut:
        return f"saved after step {task.cut}, resume returns {str(done)[:40]}: return step as saved"
    for name, (probe, why) in PROBES.items():
        parts = task.begin(0)
        learn(parts, task.cut)
        expected = probe(parts)
        if not all(map(torch.equal, probe(_resumed(resume, task, path)[0]), expected)):
            return f"after resume, {name} not as at the cut: {why}"
    losses = learn(_resumed(resume, task, path)[0], task.steps - task.cut)
    for step, (a, b) in enumerate(zip(losses, uncut(task)[task.cut :], strict=True), task.cut + 1):
        if a != b:
            return f"step {step} has loss {a:.6f} after resume, {b:.6f} in the run without a cut"
    return None


def _resumed(resume: Resume, task: Task, path: Path) -> tuple[Parts, object]:
    """New parts, as another process makes them, after resume; and what it returned."""
    parts = task.begin(99)
    learn(parts, 1)  # what a new process has done does not matter
    return parts, resume(path, *parts)


def _runs_code(resume: Resume, path: Path) -> str | None:
    """Whether resume runs the code that a file brings along."""
    torch.save({"model": Evil()}, path)
    RAN.clear()
    try:
        resume(path, *tasks()[0].begin(0))
    except Exception:  # as it should: the file is refused
        pass
    if RAN:
        return "resume ran code that a file brought along: torch.load(path, weights_only=True)"
    return None


def _weights(parts: Parts) -> list[Tensor]:
    return [p.detach().clone() for p in parts.model.parameters()]


def _buffers(parts: Parts) -> list[Tensor]:
    return [b.clone() for b in parts.model.buffers()]


def _update(parts: Parts) -> list[Tensor]:
    """The weights after a step with given gradients: what the optimiser makes of them."""
    for p in parts.model.parameters():
        p.grad = torch.linspace(-0.1, 0.2, p.numel()).view_as(p)
    parts.optimiser.step()
    return _weights(parts)


def _drawn(parts: Parts) -> list[Tensor]:
    return [part for _ in range(8) for part in parts.batches.draw()]


def _random(parts: Parts) -> list[Tensor]:
    return [torch.rand(4)]


PROBES = {  # what is asked of the parts, and what was forgotten where the answer is another
    "the weights are": (_weights, "save model.state_dict(), and load it"),
    "batch norm's running statistics are": (
        _buffers,
        "model.state_dict() holds them, parameters() does not",
    ),
    "the optimiser's next update is": (
        _update,
        "optimiser.state_dict() holds its running averages, one for each weight",
    ),
    "the order of the batches is": (
        _drawn,
        "batches.state_dict() holds the images that are left of this epoch and the generator that "
        "shuffles the next",
    ),
    "the random numbers are": (
        _random,
        "dropout draws from PyTorch's generator: torch.get_rng_state() and set_rng_state()",
    ),
}
