"""The lessons as they are saved: in order, within STYLE's budgets, and right once filled in."""

import re
import statistics
from pathlib import Path

import pytest

from authoring.check import check
from authoring.fill import FOLD
from authoring.notebook import code, read, tags

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)

BUDGETS = {  # least and most
    "cells": (30, 60),
    "words of text": (1000, 2200),
    "median lines of a code cell": (0, 4),
    "lines of the longest code cell": (0, 20),
    "words of the longest text cell": (0, 120),
    "lines of the set-up cell": (0, 6),
    "lines of code up to the first figure": (0, 10),
    "kilobytes": (0, 600),
}
OWN_BUDGETS = {
    "00": {"cells": (20, 40), "words of text": (600, 1500)},
    "09": {"kilobytes": (0, 850)},  # photographs, which compress badly
    "10": {"cells": (30, 70)},
}


def measures(path: Path) -> dict[str, float]:
    """What the budgets limit. What is folded (hints, solutions, answers) or stamped is not read in
    one go, so its words don't count; a code cell's blank lines don't either, nor does what is
    stamped for Colab."""
    nb = read(path)
    nb.cells = [cell for cell in nb.cells if "colab" not in tags(cell)]
    texts = [
        FOLD.sub("", cell.source)
        for cell in nb.cells
        if cell.cell_type == "markdown" and not tags(cell) & {"nav", "map"}
    ]
    words = [len(re.findall(r"\S*\w\S*", text)) for text in texts]
    lines = [len(re.findall(r"^.*\S", cell.source, re.M)) for cell in code(nb)]
    drawn = [any("image/png" in out.get("data", {}) for out in c.outputs) for c in code(nb)]
    values = (
        len(nb.cells),
        sum(words),
        statistics.median(lines),
        max(lines),
        max(words),
        lines[0],
        sum(lines[: drawn.index(True) + 1]) if any(drawn) else float("inf"),
        path.stat().st_size / 1000,
    )
    return dict(zip(BUDGETS, values, strict=True))


def over_budget(path: Path) -> list[str]:
    """One line per budget missed."""
    limits = BUDGETS | OWN_BUDGETS.get(path.name[:2], {})
    return [
        f"{path.name}: {value:g} {name}, allowed are {limits[name][0]} to {limits[name][1]}"
        for name, value in measures(path).items()
        if not limits[name][0] <= value <= limits[name][1]
    ]


@every_lesson
def test_a_lesson_is_saved_as_run_and_normalised(path):
    assert check(path) == []


@every_lesson
def test_a_lesson_keeps_its_budgets(path):
    assert over_budget(path) == []


TIME = re.compile(r"^\*\*Time:\*\* (\d+) minutes \((.+)\)$", re.M)


@every_lesson
def test_the_minutes_of_a_lesson_are_the_sum_of_the_parts_that_it_names(path):
    nb = read(path)
    named = TIME.search(nb.cells[0].source)
    parts = {word: int(n) for n, word in re.findall(r"(\d+) (?:for the |to )?(\w+)", named[2])}
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    exercises = re.findall(r"^(?:core|extra), (\d+) minutes", text, re.M)
    assert sum(parts.values()) == int(named[1])
    assert parts["exercises"] == sum(map(int, exercises))
    assert parts["read"] == round(measures(path)["words of text"] / 200)
    guesses = sum("guess = ..." in cell.source for cell in code(nb))
    assert parts.get("diagnoses", parts.get("guess")) == guesses  # a minute each


@every_lesson
def test_a_lesson_has_objectives_and_its_links_lead_to_files(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert "**You will**" in text
    links = re.findall(r"\]\((?!https?://|#)([^)\s]+)\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_lists_the_lessons_that_exist():
    if not LESSONS:
        pytest.skip("no lesson yet")
    readme = ROOT / "README.md"
    assert check(readme) == []
    linked = re.findall(r"^\| .*\]\((notebooks/.*?)\)", readme.read_text(encoding="utf-8"), re.M)
    assert linked == [path.relative_to(ROOT).as_posix() for path in LESSONS]
