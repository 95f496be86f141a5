"""Running, normalising, checking, filling and stamping, on small notebooks made here."""

import base64
import copy
import io
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.image import imsave
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from authoring import stamp
from authoring.__main__ import COMMANDS, main
from authoring.check import check
from authoring.fill import fill, without_training
from authoring.notebook import code, dumps, keep_old, normalise, read
from authoring.pictures import difference, palette, shrink
from authoring.stamp import PROJECT, lessons, stamped
from inception_edu.display import Box
from inception_edu.figures import draw_curves, drawn_by, png, render

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"


def text(source: str, *tags: str):
    return new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})


def cell(source: str, *tags: str, printed: str = "", count: int = 1):
    outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, metadata=metadata, outputs=outputs, execution_count=count)


def head(title: str):
    return text(f"# {title}\n\n**Question:** What is {title}?\n\n**Time:** 10 minutes")


def picture(*, bar: int = 40, noise: float = 0.0, width: int = 96) -> str:
    """A white picture with a black bar of that height, as a PNG in base64."""
    pixels = 1 - noise * np.random.default_rng(0).random((64, width, 3))
    pixels[64 - bar :, 32:64] = 0
    file = io.BytesIO()
    imsave(file, pixels, format="png")
    return base64.b64encode(file.getvalue()).decode()


def shown(png: str, words: str = "a bar", by: str = "__main__:draw"):
    about = {"image/png": {"alt": words, "drawn_by": by}}
    return new_output("display_data", data={"image/png": png, "text/plain": words}, metadata=about)


def verdict(word: str):
    """The output of a check."""
    box = Box(word, "Exercise 1", "What was said.")
    return new_output(
        "display_data", data={"text/html": box._repr_html_(), "text/plain": repr(box)}
    )


@pytest.fixture
def series(tmp_path):
    """Two lessons and a README, stamped and normalised."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    first = [text("", "map"), cell("print(42)", printed="42\n"), cell("x = 1")]
    for title, cells in {"00 Start": first, "01 Cost": [cell("2 ** 10")]}.items():
        cells = [head(title), text("", "nav"), *cells, cell("", "colab")]
        nb = normalise(new_notebook(cells=cells))
        name = title.lower().replace(" ", "_")
        (folder / f"{name}.ipynb").write_text(dumps(nb), encoding="utf-8")
    (tmp_path / "README.md").write_text("# R\n<!-- lessons -->\nold\n<!-- /lessons -->\nend\n")
    assert main(["stamp", *map(str, sorted(folder.iterdir()))]) == 0
    return folder


def test_run_twice_gives_the_same_bytes_on_the_cpu_beside_the_notebooks(
    series, capsys, monkeypatch
):
    monkeypatch.delenv("INCEPTION_EDU_DEVICE")  # that pytest has set: run does so by itself
    monkeypatch.delenv("PYTHONPATH")
    path = series / "01_cost.ipynb"
    nb = read(path)
    nb.cells += [
        cell("import os, time, inception_edu"),
        cell("print(os.environ['INCEPTION_EDU_DEVICE'], os.listdir())"),
        cell("print(time.perf_counter())", "nbval-ignore-output"),
        *[cell("1") for _ in range(6)],
    ]
    nb.metadata["widgets"] = {}
    path.write_text(dumps(nb), encoding="utf-8")
    assert main(["run", str(path)]) == 0
    once = path.read_text(encoding="utf-8")
    assert "cpu" in once and "00_start.ipynb" in once and check(path) == []
    assert "01_cost.ipynb: " in capsys.readouterr().out
    assert main(["run", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == once
    assert main(["run", "--fresh", str(path)]) == 0
    assert path.read_text(encoding="utf-8") != once


def test_a_cell_that_fails_is_named_and_nothing_is_saved(series, capsys):
    path = series / "01_cost.ipynb"
    nb = read(path)
    nb.cells += [cell("print(7)"), cell("1 / 0")]
    path.write_text(dumps(nb), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert main(["run", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == before
    said = capsys.readouterr().out
    assert "01_cost.ipynb: cell 5 failed" in said and "ZeroDivisionError" in said


def test_nbval_from_any_folder_passes_a_lesson_and_notices_a_number_and_a_blank_figure(tmp_path):
    draw = f"display({{'image/png': {picture()!r}, 'text/plain': 'a bar'}}, raw=True)"
    exercise = "from inception_edu.display import Box\ndisplay(Box('right', 'Exercise 1', 'Kept.'))"
    figure = cell(draw, count=2)
    figure.outputs = [shown(picture(noise=0.01))]
    done = cell(exercise, count=3)
    done.outputs = [verdict("not attempted yet")]
    near = cell("print('about 85.3 %')", "within:2", printed="about 86.9 %\n", count=4)
    right = new_notebook(cells=[cell("print(6 * 7)", printed="42\n"), figure, done, near])
    copies = {
        name: copy.deepcopy(right) for name in ("right", "number", "blank", "exercise", "near")
    }
    copies["number"].cells[0].outputs[0].text = "43\n"
    copies["blank"].cells[1].outputs = [shown(picture(bar=1))]
    copies["exercise"].cells[2].outputs = [verdict("not right yet")]
    copies["near"].cells[3].outputs[0].text = "about 87.9 %\n"
    for name, nb in copies.items():
        (tmp_path / f"{name}.ipynb").write_text(dumps(nb), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--nbval", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(ROOT), "-p", "conftest", "-p", "no:cacheprovider"]
    command += ["--color=no", "-rA", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    lines = [x.split(" - ")[0] for x in done.stdout.splitlines() if x[:6] in ("PASSED", "FAILED")]
    failed = sorted(x.split()[1].split("/")[-1] + x[-2:] for x in lines if x[0] == "F")
    places = ("blank.ipynb::Cell 1", "exercise.ipynb::Cell 2", "near.ipynb::Cell 3")
    assert failed == [*places, "number.ipynb::Cell 0"]
    assert len(lines) == 20 and "of full scale" in done.stdout


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ([shown(picture())], None),
        ([shown(picture(noise=0.01))], None),
        ([shown(picture(bar=20))], "differs by"),
        ([shown(picture(bar=1))], "differs by"),
        ([], "1 in the file, 0 now"),
        ([shown(picture()), shown(picture())], "1 in the file, 2 now"),
        ([shown(picture(width=48))], "pixels"),
    ],
)
def test_pictures_are_compared_with_a_tolerance(now, found):
    said = difference([shown(picture())], now)
    assert said is None if found is None else found in said


def untidy() -> nbformat.NotebookNode:
    """A notebook as a session in Jupyter leaves it."""
    bar = new_output("stream", name="stdout", text="10 %\r50 %\r")
    done = new_output("stream", name="stdout", text="done\nnext\n")
    view = new_output("execute_result", data={WIDGET: {"model_id": "a"}, "text/plain": "21"})
    view.execution_count = 17
    run = new_code_cell("f()", outputs=[bar, done, view], execution_count=17)
    run.metadata = nbformat.from_dict({"collapsed": True, "tags": ["long", "a"], "execution": {}})
    nb = new_notebook(cells=[text("words"), run, cell("2", count=3)])
    nb.metadata = nbformat.from_dict(
        {"widgets": {}, "kernelspec": {"name": "other", "display_name": "My env"}}
    )
    return nb


def test_normalise_drops_what_belongs_to_one_session():
    nb = normalise(untidy())
    assert [c.id for c in nb.cells] == ["cell-00", "cell-01", "cell-02"]
    assert [c.execution_count for c in code(nb)] == [1, 2]
    assert nb.metadata.kernelspec.name == "python3" and "widgets" not in nb.metadata
    run = nb.cells[1]
    assert run.metadata == {"tags": ["a", "long"]}
    assert [o.output_type for o in run.outputs] == ["stream", "execute_result"]
    assert run.outputs[0].text == "done\nnext\n"
    assert run.outputs[1].data == {"text/plain": "21"} and run.outputs[1].execution_count == 1


def test_normalise_is_idempotent_and_ends_the_file_with_one_newline():
    once = dumps(normalise(untidy()))
    assert dumps(normalise(nbformat.reads(once, as_version=4))) == once
    assert once.endswith("}\n") and '\n "cells"' in once


def pair(**changed):
    """A notebook before and after a run: a compared picture, then an uncompared time."""
    old = new_notebook(cells=[cell("draw()"), cell("time()", "nbval-ignore-output")])
    old.cells[0].outputs = [shown(picture())]
    old.cells[1].outputs = [new_output("stream", name="stdout", text="1.0 s\n")]
    new = copy.deepcopy(old)
    new.cells[0].outputs = [
        shown(changed.get("png", picture(noise=0.01)), changed.get("words", "a bar"))
    ]
    new.cells[1].outputs[0].text = "2.0 s\n"
    return old, new  # fmt: skip


def test_a_picture_drawn_alike_and_an_uncompared_output_keep_their_old_bytes():
    old, new = pair()
    assert new != old
    keep_old(old, new)
    assert new == old


@pytest.mark.parametrize("changed", [{"words": "two bars"}, {"png": picture(bar=9)}])
def test_what_changed_is_kept_new_and_with_it_the_uncompared_outputs(changed):
    old, new = pair(**changed)
    after = copy.deepcopy(new)
    keep_old(old, new)
    assert new == after


def test_pictures_of_other_code_are_kept_new_though_they_look_alike_and_nothing_compares_them():
    old, new = pair()
    old.cells[1].outputs, new.cells[1].outputs = [shown(picture())], [shown(picture(noise=0.01))]
    new.cells[1].outputs[0].metadata["image/png"]["drawn_by"] = "__main__:other"
    keep_old(old, new)
    assert new.cells[0] == old.cells[0] and new.cells[1] != old.cells[1]
    old, new = pair()
    new.cells[0].outputs[0].metadata["image/png"]["drawn_by"] = "__main__:other"
    after = copy.deepcopy(new)
    keep_old(old, new)
    assert new == after
    old, new = pair()
    old.cells[0].metadata["tags"] = new.cells[0].metadata["tags"] = ["within:1"]
    new.cells[0].outputs[0].metadata["image/png"]["drawn_by"] = "__main__:other"
    keep_old(old, new)
    assert new.cells[0] != old.cells[0]


def edited(path: Path, change) -> list[str]:
    """The faults of a lesson after a change to its notebook."""
    nb = read(path)
    change(nb)
    path.write_text(dumps(nb), encoding="utf-8")
    return check(path)


def test_a_stamped_and_normalised_lesson_has_no_fault(series):
    assert [fault for path in series.iterdir() for fault in check(path)] == []
    assert check(series.parent / "README.md") == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("interact(f)", "interact"),
        ("w.interactive_output(f, {})", "interactive_output"),
        ("out = Output()", "Output("),
        ("clear_output(wait=True)", "clear_output"),
        ("update_display(1)", "update_display"),
        ("plot(x);", ";"),
        ("plot(x);  \n", ";"),
        ("# NBVAL_SKIP\nf()", "NBVAL_SKIP"),
        ("open('/mnt/me/data')", "/mnt/me"),
        (r"open('C:\data')", r"C:\data"),
    ],
)
def test_check_notices_what_does_not_belong_in_code(series, source, fault):
    (said,) = edited(series / "00_start.ipynb", lambda nb: code(nb)[1].update(source=source))
    assert fault in said and said.startswith("00_start.ipynb: cell 4: ")


@pytest.mark.parametrize("source", ["Outputs(1)", "x = ';'", "interaction = 1", "a / b / tmp", "1"])
def test_check_leaves_innocent_code_alone(series, source):
    assert edited(series / "00_start.ipynb", lambda nb: code(nb)[1].update(source=source)) == []


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (new_output("stream", name="stderr", text="oh"), "stderr"),
        (new_output("error", ename="E", evalue="", traceback=[]), "error"),
        (new_output("stream", name="stdout", text="<a at 0x7f00aa11bb22>"), "0x7f00aa11bb22"),
        (new_output("display_data", data={"text/html": "<b>/tmp/x</b>"}), "/tmp/x"),
    ],
)
def test_check_notices_outputs_that_cannot_be_the_same_elsewhere(series, output, fault):
    (said,) = edited(series / "00_start.ipynb", lambda nb: code(nb)[1].update(outputs=[output]))
    assert fault in said


@pytest.mark.parametrize(
    ("by", "fault"),
    [
        (drawn_by(draw_curves), None),
        ("__main__:draw", None),
        (drawn_by(draw_curves)[:-1] + "?", "(inception_edu.figures.curves:draw_curves "),
        ("inception_edu.figures.curves:gone 123", "(inception_edu.figures.curves:gone 123)"),
        ("", "(not noted)"),
    ],
)
def test_check_notices_a_picture_older_than_the_code_that_draws_it(series, by, fault):
    outputs = [shown(picture(), by=by)]
    said = edited(series / "00_start.ipynb", lambda nb: code(nb)[1].update(outputs=outputs))
    assert len(said) == (fault is not None)
    assert not said or f"cell 4: a picture older than its code {fault}" in said[0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda nb: code(nb)[1].update(execution_count=None), "not run from top to bottom"),
        (lambda nb: code(nb)[1].update(execution_count=1), "not run from top to bottom"),
        (lambda nb: nb.metadata.update(widgets={}), "not normalised"),
        (lambda nb: nb.cells[0].update(id="abc"), "not normalised"),
        (lambda nb: code(nb)[0].metadata.update(tags=["nbval-skip"]), "nbval-skip"),
        (lambda nb: code(nb)[0].metadata.update(tags=["raises-exception"]), "raises-exception"),
        (lambda nb: code(nb)[0].metadata.update(tags=["nbval-ignore-output"]), "10%"),
        (lambda nb: nb.cells[1].update(source="[Next](07.ipynb)"), "stamp"),
        (lambda nb: nb.cells[2].update(source="my table"), "stamp"),
        (lambda nb: nb.cells[1].metadata.pop("tags"), 'no cell tagged "nav"'),
        (lambda nb: nb.cells[-1].metadata.pop("tags"), 'no cell tagged "colab"'),
    ],
)
def test_check_notices_a_lesson_out_of_order(series, change, fault, capsys):
    (said,) = edited(series / "00_start.ipynb", change)
    assert fault in said
    assert main(["check", str(series / "00_start.ipynb")]) == 1
    assert capsys.readouterr().out == said + "\n"


FOLDED = """Try it.
<details><summary>Hint 1</summary>

```python
hint
```
</details>
<details><summary>Solution</summary>

```python
def f(x):
    return 2 * x
```
</details>"""


def test_fill_takes_each_exercise_s_own_solution_and_no_hint():
    other = FOLDED.replace("2 * x", "3 * x").replace(">Solution", ">One solution")
    first, second = cell("...", "exercise"), cell("...", "exercise")
    nb = fill(new_notebook(cells=[first, text(FOLDED), cell("f(1)"), second, text(other)]))
    assert [c.source for c in code(nb)] == [
        "def f(x):\n    return 2 * x",
        "f(1)",
        "def f(x):\n    return 3 * x",
    ]


def test_an_exercise_without_its_own_solution_is_an_error():
    hint = text(FOLDED.split("<details><summary>Solution")[0])
    first, second = cell("...", "exercise"), cell("...", "exercise")
    for cells in ([first, hint], [first, second, text(FOLDED)], [text(FOLDED), first]):
        with pytest.raises(ValueError, match="needs a folded solution"):
            fill(new_notebook(cells=copy.deepcopy(cells)))


def test_what_trains_for_long_and_what_waits_for_it_can_be_left_out():
    cells = [cell("fit()", "long"), cell("plot()", "after-long"), cell("1")]
    assert [c.source for c in without_training(new_notebook(cells=cells)).cells] == ["1"]


def test_fill_writes_copies_and_leaves_the_lessons_alone(series, tmp_path):
    before = {path: path.read_bytes() for path in series.iterdir()}
    out = tmp_path / "out"
    assert main(["fill", "--out", str(out), *map(str, sorted(series.iterdir()))]) == 0
    assert sorted(x.name for x in out.iterdir()) == sorted(x.name for x in series.iterdir())
    assert {path: path.read_bytes() for path in series.iterdir()} == before


def test_stamps_name_the_lessons_that_exist_and_no_other(series):
    first, last = read(series / "00_start.ipynb"), read(series / "01_cost.ipynb")
    links = [nb.cells[1].source.split("\n\n") for nb in (first, last)]
    assert links[0] == ["[Contents](00_start.ipynb) · [01 Cost](01_cost.ipynb) →", stamp.HOW]
    assert links[1] == ["← [00 Start](00_start.ipynb) · [Contents](00_start.ipynb)", stamp.HOW]
    assert "| [01 Cost](01_cost.ipynb) | What is 01 Cost? | 10 |" in first.cells[2].source
    readme = (series.parent / "README.md").read_text(encoding="utf-8")
    assert "[01 Cost](notebooks/01_cost.ipynb)" in readme and "old" not in readme
    assert readme.startswith("# R\n") and readme.endswith("<!-- /lessons -->\nend\n")


def test_a_new_lesson_makes_the_old_stamps_stale(series):
    nb = read(series / "01_cost.ipynb")
    nb.cells[0] = head("02 Block")
    (series / "02_block.ipynb").write_text(dumps(nb), encoding="utf-8")
    stale = [check(path) for path in sorted(series.iterdir())]
    assert all(stale) and len(stale) == 3
    assert check(series.parent / "README.md") != []
    assert main(["stamp", *map(str, sorted(series.iterdir()))]) == 0
    assert "02_block" in (series / "01_cost.ipynb").read_text(encoding="utf-8")
    assert stamped(series / "00_start.ipynb") == (series / "00_start.ipynb").read_text("utf-8")


FORK = "https://github.com/ann/my-inception"


@pytest.fixture
def lives_at(monkeypatch, tmp_path):
    """Let pyproject's Repository be another address."""

    def change(url: str) -> None:
        text = re.sub(
            "^Repository = .*", f'Repository = "{url}"', PROJECT.read_text("utf-8"), flags=re.M
        )
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        monkeypatch.setattr(stamp, "PROJECT", tmp_path / "pyproject.toml")

    return change


def test_a_fork_changes_one_line_and_stamps_links_and_install_cells(series, lives_at):
    lives_at(FORK + "/")
    assert all(check(path) for path in series.iterdir())
    assert main(["stamp", *map(str, sorted(series.iterdir()))]) == 0
    nb = read(series / "01_cost.ipynb")
    assert f"    %pip install --quiet git+{FORK}" == nb.cells[-1].source.splitlines()[-1]
    link = "(https://colab.research.google.com/github/ann/my-inception/blob/main/notebooks/01_cost.ipynb)"
    assert nb.cells[1].source.split("\n\n")[0].endswith(f" · [Open in Colab]{link}")
    assert f"· [Open in Colab]{link} |" in (series.parent / "README.md").read_text(encoding="utf-8")


def test_a_repository_elsewhere_is_installed_from_but_has_no_link_into_colab(series, lives_at):
    lives_at("https://example.org/ann/my-inception")
    nb = nbformat.reads(stamped(series / "01_cost.ipynb"), as_version=4)
    assert "git+https://example.org/ann/my-inception" in nb.cells[-1].source
    assert "Colab]" not in nb.cells[1].source


def test_the_address_of_the_repository_is_typed_once_and_stamped_elsewhere():
    command = ["git", "grep", "-l", stamp.repository(), "--", ".", ":!notebooks", ":!README.md"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode > 1:
        pytest.skip("not a git repository")
    assert set(found.stdout.split()) <= {"pyproject.toml", "tests/test_authoring.py"}


def test_the_install_cell_asks_for_a_copy_in_colab_alone_and_only_until_the_package_is_there(
    lives_at, capsys, monkeypatch
):
    def run():
        exec(
            TransformerManager().transform_cell(stamp.install_cell()),
            {"get_ipython": lambda: Shell},
        )

    class Shell:
        run_line_magic = lambda name, line: installed.append(f"{name} {line}")  # noqa: E731

    installed, colab = [], ModuleType("google.colab")
    colab.files = ModuleType("files")
    colab.files.upload = lambda: {"copy of it.zip": b""}
    lives_at("https://github.com/OWNER/inception-edu")
    run()
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    run()
    assert installed == [] and capsys.readouterr().out == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run()
    assert installed == ['pip install --quiet "./{name}"']
    said = capsys.readouterr().out
    assert "zip of the project's folder" in said and said.count("\n") == 1


@pytest.mark.parametrize("line", ["# ", "**Question:**", "**Time:**"])
def test_a_first_cell_without_a_line_is_named(series, line, capsys):
    nb = read(series / "01_cost.ipynb")
    nb.cells[0].source = nb.cells[0].source.replace(line, "no ", 1)
    (series / "01_cost.ipynb").write_text(dumps(nb), encoding="utf-8")
    with pytest.raises(ValueError, match="01_cost.ipynb: its first cell must have the lines"):
        lessons(series)
    assert main(["stamp", str(series / "00_start.ipynb")]) == 1
    assert "01_cost.ipynb: its first cell" in capsys.readouterr().out


def test_large_pictures_get_a_palette_and_look_alike_and_small_ones_stay():
    large, small = picture(width=640, noise=0.01), picture()
    nb = new_notebook(cells=[new_code_cell("x", outputs=[shown(large), shown(small)])])
    shrink(nb)
    found, kept = (out.data["image/png"] for out in nb.cells[0].outputs)
    assert len(large) > 60_000 and len(found) < 0.7 * len(large) and kept == small
    assert difference([shown(large)], [shown(found)]) is None
    assert difference([shown(picture(width=640, bar=2))], [shown(found)])


def test_a_missing_notebook_is_named(tmp_path, capsys):
    for command in COMMANDS.keys() - {"measure", "gpu", "ship", "readme"}:
        assert main([command, str(tmp_path / "07.ipynb")]) == 1
        assert capsys.readouterr().out == f"there is no notebook {tmp_path / '07.ipynb'}\n"


def test_what_is_no_run_is_not_shipped_and_one_sentence_says_so(tmp_path, capsys):
    assert main(["ship", str(tmp_path)]) == 1
    said = f"{tmp_path} must be the folder of a finished run; it has no history.json\n"
    assert capsys.readouterr().out == said


def test_every_command_that_is_spoken_of_exists():
    places = [ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("notebooks/[0-9]*.ipynb")]
    places += [*ROOT.glob("authoring/*.py"), *ROOT.glob("inception_edu/**/*.py")]
    texts = "\n".join(place.read_text(encoding="utf-8") for place in places)
    named = set(re.findall(r"-m\s+authoring\s+([a-z]\w*)", texts))
    assert len(named) >= 5 and named <= COMMANDS.keys()


def test_a_palette_keeps_the_round_corners_of_a_card_clear():
    card = png(render(lambda fig, data: fig.text(0.1, 0.5, data), "words", (4, 2)))
    small = Image.open(io.BytesIO(palette(card)))
    before, after = Image.open(io.BytesIO(card)).convert("RGBA"), small.convert("RGBA")
    assert small.mode == "P" and before.size == after.size
    for place in ((0, 0), (0, before.height - 1), (before.width - 1, 0)):
        assert before.getpixel(place)[3] == after.getpixel(place)[3] == 0
    assert after.getpixel((before.width // 2, 2)) == (255, 255, 255, 255)
    assert palette(palette(card)) == palette(card)
