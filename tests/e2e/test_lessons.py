"""Each lesson in JupyterLab and Chromium: run, moved by the keyboard, answered, in the dark.

What trains for long is left out where no explorer waits for it: that every cell runs is strict
nbval's to prove.
"""

import ast
import re
from pathlib import Path

import pytest
from contrast import faint
from keyboard import tour
from lesson_page import opened

from authoring.execution import waiting_for_training
from authoring.fill import fill, without_training
from authoring.notebook import dumps, read
from inception_edu.commands.lab import hand_out, lessons

OWN_TEXT = ".jp-Notebook .jp-RenderedMarkdown, .jp-Notebook .jp-OutputArea-output"


class Wrong(ast.NodeTransformer):
    """A stub that answers 0 wherever it was handed out with `...`."""

    def visit_Expr(self, node):
        return ast.Return(ast.Constant(0)) if ast.unparse(node) == "..." else node

    def visit_Constant(self, node):
        return ast.Constant(0) if node.value is ... else node


def handed_out(path: Path, folder: Path) -> Path:
    """A student's copy of a lesson, for the browser."""
    copy, nb = folder / path.name, read(path)
    hand_out(path, copy)
    if not waiting_for_training(nb):
        copy.write_text(dumps(without_training(read(copy))), encoding="utf-8")
    return copy


@pytest.fixture(
    scope="module",
    params=lessons(),
    ids=lambda path: path.stem,
)
def lesson(request, folder, lab, browser):
    """A lesson opened and run from top to bottom; its kernel is stopped at the end."""
    copy = handed_out(request.param, folder)
    with opened(browser, lab, copy.name) as found:
        found.path = copy
        found.run_all()
        yield found


@pytest.fixture
def shot(lesson, screenshots):
    """Save a picture of the window: `shot(what, element)`."""
    return lambda what, show=None: lesson.screenshot(
        screenshots / f"{lesson.path.stem}_{what}.png", show
    )


@pytest.fixture(autouse=True)
def quiet(lesson):
    """After each test: no error in the browser, and nothing asked for off this machine."""
    yield
    assert lesson.faults == []


def test_run_all_runs_every_cell_without_an_error_or_warning(lesson, shot):
    shot("run")
    assert lesson.complaints() == []
    counts = [cell["count"] for cell in lesson.cells() if cell["code"] and cell["source"].strip()]
    assert counts == list(range(1, len(counts) + 1))


def test_every_control_is_reached_and_moves_picture_and_words_by_the_keyboard(lesson, shot):
    for number, explorer in enumerate(lesson.explorers(), start=1):
        controls, changed = tour(lesson.page, explorer)
        shot(f"explorer_{number}", explorer)
        assert len(changed) == controls, f"explorer {number}: {changed} of {controls} controls"
        assert (True, True) in changed, f"explorer {number}: {changed} (picture, words)"
    assert lesson.complaints() == []


def test_an_exercise_is_not_attempted_then_wrong_then_right(lesson, shot):
    stub = next(i for i, cell in enumerate(lesson.cells()) if "exercise" in cell["tags"])
    check = next(i for i, c in enumerate(lesson.cells()) if i > stub and ".check(" in c["source"])
    handed_out = lesson.cells()[stub]["source"]
    wrong = ast.unparse(ast.fix_missing_locations(Wrong().visit(ast.parse(handed_out))))
    right = solutions(lesson.path)[stub]
    assert len({handed_out, wrong, right}) == 3
    verdicts = {}
    for what, source in {"not_attempted": None, "wrong": wrong, "right": right}.items():
        if source:
            lesson.run(stub, source)
            lesson.run(check)
        shot(what, lesson.output(check))
        verdicts[what] = re.search(
            r"Exercise \S+: (not attempted yet|not right yet|right)",
            lesson.output(check).inner_text(),
        )[1]
    expected = "not attempted yet", "not right yet", "right"
    assert verdicts == dict(zip(verdicts, expected, strict=True))
    assert lesson.complaints() == []


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_text_can_be_read_in_the_theme(lesson, shot, theme):
    lesson.theme(f"JupyterLab {theme}")
    texts, unreadable = faint(lesson.page, OWN_TEXT)
    for number, explorer in enumerate(lesson.explorers() if theme == "Dark" else (), start=1):
        shot(f"dark_{number}", explorer)
    assert texts > 50 and unreadable == []


def solutions(path) -> list[str]:
    """Each cell's source once the exercises are filled in."""
    return [cell.source for cell in fill(read(path)).cells]
