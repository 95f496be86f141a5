"""The file in which a student keeps what was right: it stands alone, and loses nothing."""

import linecache
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inception_edu.exercises import Exercise, mine
from inception_edu.exercises.student_file import FILE, HEAD, load
from inception_edu.googlenet import TABLE_1


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop(FILE.stem, None)


CELLS = []


def cell(text, **names):
    """Run a notebook's cell; all that it defines, by name."""
    path = f"/tmp/ipykernel_1/{len(CELLS)}.py"
    CELLS.append(path)
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    space = {"__name__": "__main__", "torch": torch, "nn": torch.nn} | names
    exec(compile(text, path, "exec"), space)
    return space


DOUBLE = 'def double(x):\n    """Twice x."""\n    return 2 * x\n'


def exercise(name="double", lesson="02", expected=6, **more):
    def check(function):
        found = function(3)
        return None if found == expected else f"double(3) is {found}, expected {expected}"

    return Exercise("1", check, lesson=lesson, keep=name, **more)


def said(capsys):
    return capsys.readouterr().out.strip()


def test_a_right_answer_is_kept_and_works_in_a_fresh_process(capsys, folder):
    double = cell(DOUBLE)["double"]
    assert exercise(ours=len).check(double) is double
    assert said(capsys) == "✔ Exercise 1: right. Kept in my_inception.py."
    assert Path(FILE).read_text() == f"{HEAD}\n\n# Lesson 02\n\n{DOUBLE}"
    code = "import sys, my_inception as my; print(my.double(4), 'inception_edu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout == "8 False\n", done.stderr


def test_a_wrong_answer_is_not_kept(capsys):
    assert exercise(ours=len).check(cell("def double(x):\n    return x\n")["double"]) is len
    assert not Path(FILE).exists()
    assert said(capsys).endswith(
        "Double(3) is 3, expected 6. The lesson goes on with the package's double."
    )


def test_definitions_stand_in_the_order_of_lessons_and_an_older_one_is_replaced(capsys):
    for lesson, name, text in (
        ("04", "four", "def four(x):\n    return x + 3\n"),
        ("02", "double", DOUBLE),
        ("02", "two", "def two(x):\n    return x * 2\n"),
        ("04", "five", "@torch.no_grad()\ndef five(x):\n    return 6\n"),
        ("02", "double", "def double(x):\n    return x + x\n"),
    ):
        exercise(name, lesson).check(cell(text)[name])
    text = Path(FILE).read_text()
    places = [text.index(part) for part in ("# Lesson 02", "x + x", "two", "# Lesson 04", "four")]
    assert places == sorted(places) and text.count("def double") == 1 and "Twice" not in text
    assert "@torch.no_grad()\ndef five" in text
    assert load(text).double(3) == 6


def test_what_the_student_wrote_into_the_file_stays(capsys):
    Path(FILE).write_text(HEAD + "\nNOTE = 'mine'\n\n\ndef helper():\n    return 1  # keep\n")
    exercise().check(cell(DOUBLE)["double"])
    text = Path(FILE).read_text()
    assert "NOTE = 'mine'" in text and "return 1  # keep" in text and "def double" in text


def test_classes_and_the_imports_that_they_need_are_kept(capsys):
    import math

    import numpy as np
    from torch.nn.functional import avg_pool2d, one_hot

    text = (
        "class Pool(nn.Module):\n    def forward(self, x):\n"
        "        assert one_hot(torch.tensor(1)).sum() == 1 and np.ones(1)\n"
        "        return avg_pool2d(x, 3, 1, 1) * math.e\n"
    )
    names = dict(avg_pool2d=avg_pool2d, one_hot=one_hot, math=math, np=np)
    Pool = cell(text, **names)["Pool"]
    keeper = Exercise(
        "1", lambda kind: kind()(torch.ones(1, 4, 4)).sum() < 0, lesson="02", keep="Pool"
    )
    keeper.check(Pool)
    assert said(capsys).endswith("Kept in my_inception.py.")
    top = Path(FILE).read_text().split("# Lesson")[0].splitlines()
    assert top[-7:-2] == [
        "from torch.nn import functional as F",
        "from torch.nn.functional import avg_pool2d",
        "from torch.nn.functional import one_hot",
        "import math",
        "import numpy as np",
    ]
    assert isinstance(mine("Pool", None)(), torch.nn.Module)


def test_a_helper_inside_may_have_the_name_of_something_in_the_notebook(capsys):
    text = "def double(x):\n    def conv(y):\n        return 2 * y\n\n    return conv(x)\n"
    from inception_edu.layers import conv

    exercise().check(cell(text, conv=conv)["double"])
    assert said(capsys).endswith("Kept in my_inception.py.")


def helped(x):
    return x


@pytest.mark.parametrize(
    ("text", "names", "why"),
    [
        (
            "def double(x):\n    return helper(x)\n",
            dict(helper=lambda x: 2 * x),
            "it uses helper, which another cell defines: move helper into this one.",
        ),
        (
            "def double(x):\n    return x * TWO\n",
            dict(TWO=2),
            "it uses TWO, which another cell defines: move TWO into this one.",
        ),
        (
            "def double(x):\n    return Concat and 2 * x\n",
            dict(Concat=__import__("inception_edu.layers", fromlist=["Concat"]).Concat),
            "it uses Concat of inception_edu, and your file must work without it: "
            "use torch alone, or keep your own first.",
        ),
        (
            "def double(x):\n    from inception_edu.layers import pair\n    return sum(pair(x))\n",
            {},
            "it imports from inception_edu, and your file must work without it: "
            "use torch alone, or keep your own first.",
        ),
        (
            "double = lambda x: 2 * x\n",
            {},
            "its source was not found: define double with def or class, in one cell.",
        ),
        (
            "def twice(x):\n    return 2 * x\ndouble = twice\n",
            {},
            "its source was not found: define double with def or class, in one cell.",
        ),
    ],
)
def test_what_leans_on_its_notebook_is_right_but_not_kept(text, names, why, capsys):
    double = cell(text, **names)["double"]
    assert exercise().check(double) is None
    assert said(capsys) == f"✔ Exercise 1: right. It is not kept in your file, since {why}"
    assert not Path(FILE).exists()


def test_an_answer_that_is_another_when_read_from_the_file_is_not_kept(capsys):
    text = "def double(x, seen=[]):\n    seen.append(x)\n    return 6 if len(seen) < 2 else 7\n"
    double = cell(text)["double"]
    Path(FILE).write_text(HEAD + "\n\ndef double(x):\n    return 2 * x\n")
    calls = []

    def check(function):
        calls.append(function)
        return None if len(calls) == 1 else "double(3) is 7, expected 6"

    Exercise("1", check, lesson="02", keep="double").check(double)
    assert "since run from my_inception.py, it fails its check: double(3) is 7" in said(capsys)
    assert "return 2 * x" in Path(FILE).read_text()


BROKEN = {
    "def (": "my_inception.py is not Python in line 1; correct or move it",
    "import absent_module": "my_inception.py cannot be run (ModuleNotFoundError: No module named",
    "raise SystemError('no\\nway')": "my_inception.py cannot be run (SystemError: no way)",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_the_student_broke_is_left_alone_and_the_packages_version_runs(text, capsys):
    Path(FILE).write_text(text)
    assert mine("double", len) is len
    assert said(capsys).startswith(f"double: the package's, since {BROKEN[text]}")
    exercise().check(cell(DOUBLE)["double"])
    assert f"✔ Exercise 1: right. It is not kept in your file, since {BROKEN[text]}" in said(capsys)
    assert Path(FILE).read_text() == text


def test_a_file_of_other_bytes_or_a_folder_in_its_place_is_one_sentence(capsys, folder):
    Path(FILE).write_bytes(b"\xff\xfe")
    assert mine("double", len) is len
    assert "my_inception.py is not a text in UTF-8; save it as one" in said(capsys)
    Path(FILE).unlink()
    Path(FILE).mkdir()
    assert mine("double", len) is len
    assert "my_inception.py cannot be read (Is a directory)" in said(capsys)


def test_a_folder_that_cannot_be_written_to_is_one_sentence(capsys, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    exercise().check(cell(DOUBLE)["double"])
    assert (
        "not kept in your file, since my_inception.py could not be written (Permission denied)"
        in (said(capsys))
    )


def test_mine_is_the_students_where_there_is_one(capsys):
    assert mine("double", len) is len
    assert said(capsys) == "double: the package's"
    exercise().check(cell(DOUBLE)["double"])
    said(capsys)
    assert mine("double", len)(5) == 10
    assert said(capsys) == "double: yours, from my_inception.py"
    assert mine("triple", len) is len
    assert said(capsys) == "triple: the package's"


def test_several_parts_are_kept_together(capsys):
    check = {name: (lambda f: None if f(3) == 6 else "no") for name in ("double", "twice")}
    both = Exercise("1", check, lesson="07", keep=("double", "twice"))
    names = cell(DOUBLE + "def twice(x):\n    return x + x\n")
    both.check(names["double"], ...)
    assert not Path(FILE).exists()
    both.check(names["double"], names["twice"])
    assert said(capsys).endswith("Kept in my_inception.py.")
    assert load(Path(FILE).read_text()).twice(4) == 8


def test_helpers_and_constants_of_the_same_cell_go_along(capsys):
    text = "TWO = 2\n\n\ndef helper(x):\n    return TWO * x\n\n\n"
    text += "def double(x):\n    return helper(x)\n"
    exercise().check(cell(text, other=3)["double"])
    assert said(capsys).endswith("right. Kept in my_inception.py.")
    file = FILE.read_text()
    assert file.index("TWO = 2") < file.index("def helper") < file.index("def double")
    assert load(file).double(4) == 8


def test_a_helper_of_another_lesson_is_not_replaced(capsys):
    helped = "def helper(x):\n    return {}\n\n\ndef {}(x):\n    return helper(x)\n"
    exercise().check(cell(helped.format("2 * x", "double"))["double"])
    before, later = FILE.read_text(), exercise("triple", "03", 9)
    later.check(cell(helped.format("3 * x", "triple"))["triple"])
    assert said(capsys).endswith(
        "not kept in your file, since lesson 02 has another helper there: "
        "give it a name of its own."
    )
    assert FILE.read_text() == before
    exercise().check(
        cell(helped.format("x + x", "double"))["double"]
    )  # its own lesson's may change
    assert "return x + x" in FILE.read_text()


def test_what_the_file_has_already_may_be_leaned_on(capsys):
    exercise().check(cell(DOUBLE)["double"])
    text = "def quadruple(x):\n    return double(double(x))\n"
    exercise("quadruple", "03", 12).check(cell(text, double=mine("double", len))["quadruple"])
    assert said(capsys).endswith("right. Kept in my_inception.py.")
    assert load(FILE.read_text()).quadruple(1) == 4


def test_a_table_of_the_paper_goes_along_as_data(capsys, folder):
    text = "def channels(name):\n    return TABLE_1[name].scaled(0.5).c_out\n"
    answer = cell(text, TABLE_1=TABLE_1)["channels"]
    check = lambda f: None if f("3a") == 128 else f"{f('3a')}"  # noqa: E731
    Exercise("1", check, lesson="03", keep="channels").check(answer)
    assert said(capsys).endswith("right. Kept in my_inception.py.")
    alone = "import my_inception as m; print(m.TABLE_1['4d'].ops, m.channels('4d'))"
    run = subprocess.run([sys.executable, "-c", alone], cwd=folder, capture_output=True, text=True)
    assert run.stdout.split() == ["119M", "264"] and "inception_edu" not in FILE.read_text()
    assert {name: tuple(row) for name, row in load(FILE.read_text()).TABLE_1.items()} == {
        name: tuple(row) for name, row in TABLE_1.items()
    }
