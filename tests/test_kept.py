"""The student's file as the folded solutions make it: it stands alone, and every proof holds."""

import ast
import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nbformat.v4 import new_output

from authoring import readme
from authoring.kept import finish, kept
from authoring.pictures import difference
from inception_edu.exercises.student_file import FILE

ROOT = Path(__file__).parents[1]
PROVE = """
import my_inception, sys
assert not any(name.startswith("inception_edu") for name in sys.modules), "it leans on the package"
from authoring.kept import kept
for exercise in kept():
    verdict = exercise.judge(*(getattr(my_inception, name) for name in exercise.keep))
    print(exercise.lesson, *exercise.keep, *verdict)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all solutions were checked, lesson after lesson: what was said of each."""
    place = tmp_path_factory.mktemp("student")
    return place, finish(place)


def test_every_solution_that_is_to_be_kept_is_kept(folder):
    _, said = folder
    assert len(said) == len(kept()) >= 5 and {*said.values()} == {f"Kept in {FILE}."}


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


def png(data: bytes):
    """An output that holds a picture."""
    return [new_output("display_data", {"image/png": base64.b64encode(data).decode()})]


def test_readmes_pictures_are_what_is_drawn_today(folder):
    place, said = folder
    built = readme.built(place)
    assert f"{len(said)} of {len(said)} proofs passed" in built.words
    drawn = {"built.png": built, "picture.png": readme.photos()}
    for name, picture in drawn.items():
        assert difference(png((ROOT / name).read_bytes()), png(picture.png)) is None, name
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"!\[The (\d+) proofs .*\]\(built\.png\)", text)[1] == str(len(said))
