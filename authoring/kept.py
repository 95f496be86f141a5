"""The student's file as the folded solutions make it, without a run of the lessons."""

import ast
import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authoring.execution import ROOT
from authoring.fill import fill
from authoring.notebook import code, read, tags
from inception_edu.commands.prove import kept
from inception_edu.exercises import Exercise
from inception_edu.exercises.student_file import FILE, HEAD, keep, load, read as read_file

NAMES = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from inception_edu.googlenet import TABLE_1
from inception_edu.lessons.lesson_08.plain import BLOCKS
"""  # what cells before the exercises define


def lessons() -> list[Path]:
    """The notebooks, in order."""
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def solution(exercise: Exercise) -> str:
    """The folded solution that defines what an exercise keeps."""
    (path,) = (path for path in lessons() if path.name.startswith(exercise.lesson))
    for cell in (cell for cell in code(fill(read(path))) if "exercise" in tags(cell)):
        names = {getattr(node, "name", None) for node in ast.parse(cell.source).body}
        if names >= set(exercise.keep):
            return cell.source
    raise ValueError(f"no solution of lesson {exercise.lesson} defines {exercise.keep}")


def answers(exercise: Exercise) -> list[object]:
    """What the solution defines, as in a cell of a notebook beside the student's file."""
    source, names = solution(exercise), {"__name__": "__main__"}
    path = f"ipykernel/{exercise.lesson}_{exercise.name}.py"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    exec(NAMES, names)
    names |= {name: v for name, v in vars(load(read_file() or HEAD)).items() if name[0] != "_"}
    exec(compile(source, path, "exec"), names)
    return [names[name] for name in exercise.keep]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, as a notebook there does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def finish(folder: Path) -> dict[Exercise, str]:
    """Write the file of one who answered every exercise into a folder; says of each exercise
    whether its answer was kept, for which its check has passed on what the file defines."""
    said = {}
    with inside(folder):
        for exercise in kept():
            answer = exercise.lesson, exercise.keep, answers(exercise)
            said[exercise] = keep(*answer, lambda *found, e=exercise: e.judge(*found)[1])
    sys.modules.pop(FILE.stem, None)
    return said
