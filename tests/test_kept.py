"""The student's file as the folded solutions make it: it stands alone, and every proof holds."""

import ast
import linecache
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from authoring.fill import fill
from authoring.notebook import code, read, tags
from inception_edu.exercises import Exercise
from inception_edu.exercises.student_file import FILE, HEAD, load, read as read_file

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PROVE = """
import my_inception, sys
assert not any(name.startswith("inception_edu") for name in sys.modules), "it leans on the package"
from tests.test_kept import kept
for exercise in kept():
    verdict = exercise.judge(*(getattr(my_inception, name) for name in exercise.keep))
    print(exercise.lesson, *exercise.keep, *verdict)
"""


def kept() -> list[Exercise]:
    """The exercises whose right answers go into the student's file, in the order of lessons."""
    checks = [f"inception_edu.lessons.lesson_{path.name[:2]}.checks" for path in LESSONS]
    exercises = [e for name in checks for e in vars(import_module(name)).values()]
    return [e for e in exercises if isinstance(e, Exercise) and e.keep]


def solution(exercise: Exercise) -> str:
    """The folded solution that defines what an exercise keeps."""
    (path,) = (path for path in LESSONS if path.name.startswith(exercise.lesson))
    for cell in (cell for cell in code(fill(read(path))) if "exercise" in tags(cell)):
        names = {getattr(node, "name", None) for node in ast.parse(cell.source).body}
        if names >= set(exercise.keep):
            return cell.source
    raise AssertionError(f"no solution of lesson {exercise.lesson} defines {exercise.keep}")


def answers(exercise: Exercise) -> list[object]:
    """What the solution defines, as in a notebook's cell."""
    source, names = solution(exercise), {"__name__": "__main__"}
    path = f"ipykernel/{exercise.lesson}.py"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    exec("import torch; from torch import nn; from torch.nn import functional as F", names)
    exec("from torch.nn.functional import cross_entropy", names)
    exec("from inception_edu.googlenet import TABLE_1", names)
    exec("from inception_edu.lessons.lesson_08.plain import BLOCKS", names)
    names |= {name: v for name, v in vars(load(read_file() or HEAD)).items() if name[0] != "_"}
    exec(compile(source, path, "exec"), names)
    return [names[name] for name in exercise.keep]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all solutions were checked, lesson after lesson: what was said of each."""
    place, said = tmp_path_factory.mktemp("student"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(
            "inception_edu.exercises.exercise.display", lambda box: said.append(repr(box))
        )
        for exercise in kept():
            exercise.check(*answers(exercise))
    sys.modules.pop(FILE.stem, None)
    return place, said


def test_every_solution_that_is_to_be_kept_is_kept(folder):
    _, said = folder
    assert len(said) >= 5 and {line.split(": ")[1] for line in said} == {f"right. Kept in {FILE}."}


def test_the_file_reads_in_the_order_of_the_lessons_and_imports_torch_alone(folder):
    text = (folder[0] / FILE).read_text()
    sections = [line for line in text.splitlines() if line.startswith("# Lesson ")]
    assert sections == sorted(set(sections)) and len(sections) >= 7
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    modules = {getattr(n, "module", None) or n.names[0].name for n in imports}
    assert {module.split(".")[0] for module in modules} <= {"torch", "math", "typing"}


def test_it_passes_every_proof_in_a_fresh_process(folder):
    command = [sys.executable, "-c", PROVE]
    paths = f"{folder[0]}:{ROOT}"
    env = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PATH": "", "HOME": str(folder[0])}
    done = subprocess.run(command, cwd=folder[0], env=env, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(kept()), done.stderr
    assert all(line.rstrip().endswith("right") for line in lines), lines


def test_a_definition_that_is_wrong_would_be_seen():
    for exercise in kept():
        broken = [lambda *args, **names: torch.zeros(()) for _ in exercise.keep]
        assert exercise.judge(*broken)[0] == "not right yet"
