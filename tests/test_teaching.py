"""The instructors' pages: complete for every lesson, and true to what it says and prints."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from authoring import answers
from authoring.check import check
from authoring.fill import FOLD
from authoring.notebook import code, dumps, read, tags
from authoring.stamp import lessons, stamped
from inception_edu.exercises import Exercise

ROOT = Path(__file__).parents[1]
GUIDE, KEYS = ROOT / "TEACHING.md", ROOT / "ANSWERS.md"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)

PLACE = re.compile(r"^##+ (\d+(?=\. )|Exhibit \d+(?=:)|The last room|Recap)", re.M)
ROW = re.compile(r'^\| (\S[^|]*?) \| "([^|]+)" \| ([^|]+\?[^|]*) \| ([^|]+) \|$', re.M)
TIMED = re.compile(r"^### (Exercise \d+): .*\n+(?:core|extra), (\d+) minutes", re.M)


@cache
def text() -> str:
    return GUIDE.read_text(encoding="utf-8")


@cache
def page(path: Path) -> str:
    """The instructor's page of a lesson."""
    return (ROOT / f"teaching/{path.name[:2]}.md").read_text(encoding="utf-8")


@cache
def minutes() -> dict[str, int]:
    return {row[0][:2]: int(row[3]) for row in lessons(ROOT / "notebooks")}


def plan(page: str) -> list[tuple[int, str]]:
    """Minutes and part of each row of a plan."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| [^|]*\|$", page, re.M)
    return [(int(n), part) for n, part in rows]


def headings(path: Path) -> set[str]:
    """The numbers of a lesson's sections."""
    sources = "\n".join(cell.source for cell in read(path).cells)
    return set(re.findall(r"^## (\d+)\. ", sources, re.M))


@cache
def printed(path: Path) -> list[tuple[str, str, bool]]:
    """Of each code cell: its place (section or exhibit), what it printed, whether it drew."""
    place, found = "start", []
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            place = [place, *PLACE.findall(FOLD.sub("", cell.source))][-1].lower()
        else:
            data = [out.get("data", {}) for out in cell.outputs]
            out = "".join(out.get("text", "") for out in cell.outputs)
            words = "\n".join([out, *(d.get("text/plain", "") for d in data)])
            found.append((place, words, any("image/png" in d for d in data)))
    return found


def shows(quoted: str, words: str, drawn: bool) -> bool:
    """Whether it is a picture's title, an explorer's name, or among printed words; … stands for a
    measured number, a space for as many as a table has between two cells of a row."""
    title = '[^"\n]*?'.join(map(re.escape, quoted.split("…"))).replace(r"\ ", " +")
    whole = rf'^{title}$|"{title}"' if drawn else rf"(?<!\w){title}(?!\w)"
    return re.search(whole, words, re.M) is not None


def test_a_quoted_row_of_a_table_is_one_row_of_it():
    table = "way    weights  MACs\ndirect     153    12\ndetour      15     1"
    assert shows("direct 153 12", table, False) and shows("direct … 12", table, False)
    for wrong in ("direct 153 1", "direct 15 1", "direct 12", "direct … 1", "direct15312"):
        assert not shows(wrong, table, False), wrong


@every_lesson
def test_a_lesson_has_a_page_with_all_its_parts(path):
    title = read(path).cells[0].source.split("\n")[0]
    anchor = title.removeprefix("# ").lower().replace(" ", "-")
    assert page(path).startswith(f"{title}\n\n[All pages](../TEACHING.md) · ")
    assert f"](../notebooks/{path.name}) · [its answers](../ANSWERS.md#{anchor})\n" in page(path)
    assert f"**{minutes()[path.name[:2]]} minutes.** *Objective:* " in page(path)
    assert len(ROW.findall(page(path))) >= 3
    assert re.search(r'^\*\*Misconception\.\*\* ".+" \*The answer:\* ', page(path), re.M)
    _, table = page(path).split("**Ask before each figure.**\n")
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert [line for line in rows if not ROW.match(line)] == []


@every_lesson
def test_a_page_has_what_students_ask_and_a_sketch_that_fits_the_board(path):
    asked = page(path).split("**Students ask.**\n\n")[1].split("\n\n")[0].splitlines()
    assert len(asked) >= 4
    assert [one for one in asked if not re.fullmatch(r"- \*[^*]+\?\* .+\.", one)] == []
    sketch = page(path).split("**On the board.**\n\n```text\n")[1].removesuffix("\n```\n")
    lines = sketch.splitlines()
    assert 3 <= len(lines) <= 12 and max(map(len, lines)) <= 80 and "```" not in sketch


def exercises(path: Path) -> dict[str, int]:
    """The minutes that a lesson prints on each exercise."""
    sources = "\n".join(cell.source for cell in read(path).cells)
    sources = re.sub(r"^## Exercise", "### Exercise", sources, flags=re.M)
    return {name: int(n) for name, n in TIMED.findall(sources)}


def built(path: Path) -> set[str]:
    """The exercises whose answers go into the student's file: what a lesson is about."""
    checks = import_module(f"inception_edu.lessons.lesson_{path.name[:2]}.checks")
    found = [x for x in vars(checks).values() if isinstance(x, Exercise)]
    return {f"Exercise {x.name}" for x in found if x.keep}


@every_lesson
def test_the_plan_of_a_lesson_takes_90_minutes_and_gives_its_exercises_their_time(path):
    rows = plan(page(path))
    assert sum(n for n, _ in rows) == 90
    planned = {name: n for n, part in rows for name in re.findall(r"Exercise \d+", part)}
    timed = exercises(path)
    assert [name for name, n in planned.items() if timed.get(name, 99) > n] == []
    home = re.findall(
        r"Exercises? ([\d, and]+?)(?: and section \d+)? (?:is|are) for home", page(path)
    )
    later = {f"Exercise {n}" for n in re.findall(r"\d+", "".join(home))}
    assert planned.keys() | later == timed.keys() and not planned.keys() & later
    sections = {n for _, part in rows for n in re.findall(r"section (\d+)", part)}
    assert sections <= headings(path)


@every_lesson
def test_what_is_left_out_is_of_the_plan_and_never_what_the_lesson_builds(path):
    first, never = re.search(
        r"^\*\*Leave out first:\*\* (.+)\. \*\*Never:\*\* ([^.]+)\.", page(path), re.M
    ).groups()
    cut = [(int(n), part) for part, n in re.findall(r"([^,(]+) \((\d+)\)(?:, )?", first)]
    assert len(cut) >= 2 and [one for one in cut if one not in plan(page(path))] == []
    assert built(path) <= {*never.split(", ")} <= exercises(path).keys()
    assert not {*never.split(", ")} & {part for _, part in cut}
    assert {*never.split(", ")} <= {*re.findall(r"Exercise \d+", str(plan(page(path))))}


@every_lesson
def test_every_quoted_figure_is_in_its_section_of_the_lesson(path):
    for place, quoted, _, _ in ROW.findall(page(path)):
        here = [found for where, *found in printed(path) if where == place]
        assert any(shows(quoted, *found) for found in here), f"{place}: {quoted}"


@every_lesson
def test_before_every_figure_there_is_a_question(path):
    rows = ROW.findall(page(path))
    for place, words, drawn in printed(path):
        if drawn:
            asked = [quoted for where, quoted, _, _ in rows if where == place]
            assert any(shows(quoted, words, True) for quoted in asked), words


@every_lesson
def test_every_guess_exercise_and_question_is_in_the_key(path):
    nb, key = read(path), answers.key(path)
    assert f"\n\n{key}" in KEYS.read_text(encoding="utf-8")
    told = [answers.text_of(out) for cell in code(nb) for out in cell.outputs]
    assert len(answers.guesses(nb)) == "".join(told).count("Your guess:")
    assert all(asked and not asked.endswith("* ") for asked, _ in answers.guesses(nb))
    (asked,) = (c.source for c in nb.cells if c.source.startswith("## Questions"))
    assert len(answers.questions(nb)) == asked.count("<details>")
    assert all(re.match(r"\d+\. ", question) and a for question, a in answers.questions(nb))
    stubs = [cell.source for cell in code(nb) if "exercise" in tags(cell)]
    found = answers.solutions(nb)
    assert len({title for title, _ in found}) == len(found) == len(stubs)
    assert all(title.startswith("Exercise ") for title, _ in found)
    assert not {solution for _, solution in found} & {*stubs}


def test_guide_and_keys_are_as_stamped_with_one_page_for_each_lesson():
    assert check(GUIDE) == check(KEYS) == []
    linked = re.findall(r"^\| \[.*\]\(teaching/(\d+)\.md\)", text(), re.M)
    pages = sorted(path.stem for path in (ROOT / "teaching").iterdir())
    assert linked == pages == [path.name[:2] for path in LESSONS]


def test_what_is_written_by_hand_stays_short():
    words = {path.name: len(re.findall(r"\S*\w\S*", page(path))) for path in LESSONS}
    assert {name: n for name, n in words.items() if n > 1000} == {}
    assert len(re.findall(r"\S*\w\S*", text())) <= 1200


def course(name: str) -> str:
    """A section of the guide's plans."""
    return text().split(f"\n### {name}\n")[1].split("\n### ")[0]


def test_the_plan_of_one_lecture_takes_90_minutes_and_has_a_building_exercise():
    rows, made = plan(course("90 minutes")), set()
    assert sum(n for n, _ in rows) == 90
    for n, part in rows:
        (path,) = (path for path in LESSONS if path.name.startswith(part[:2]))
        assert set(re.findall(r"\d+", part.split("section")[-1])) <= headings(path) | {part[:2]}
        for name in re.findall(r"Exercise \d+", part):
            assert n >= exercises(path)[name]
            made |= {name} & built(path)
    assert made


def test_half_a_day_takes_240_minutes_and_gives_each_lesson_its_own():
    rows = plan(course("Half a day"))
    assert sum(n for n, _ in rows) == 240
    taught = [(n, minutes()[part]) for n, part in rows if part in minutes()]
    assert len(taught) == 4 and all(n >= least for n, least in taught)


def test_four_weeks_have_every_lesson_once_and_in_order():
    rows = re.findall(r"^\| \d \| ([^|]+) \|", course("Four weeks"), re.M)
    assert re.findall(r"\d\d", " ".join(rows)) == [path.name[:2] for path in LESSONS]
    assert [row for row in rows if row.count(",") != 2] == []


def test_running_times_are_the_lessons_own():
    early = r"\*[Ss]tart early:\* ([^(|]*\([^|]*\))"
    rows = [(path, row) for path in LESSONS for row in re.findall(early, page(path))]
    assert len(rows) >= 9
    for path, row in rows:
        said = "\n".join(cell.source for cell in read(path).cells).lower()
        assert [time for time in re.findall(r"\(([^)]*)\)", row) if time not in said] == [], row


def lesson(folder: Path, *cells) -> Path:
    """A notebook of these cells in a project of its own."""
    nb = nbformat.v4.new_notebook(cells=list(cells))
    (folder / "notebooks").mkdir()
    (folder / "notebooks/01_one.ipynb").write_text(dumps(nb), encoding="utf-8")
    return folder / "notebooks/01_one.ipynb"


def small_lesson(folder: Path, answer="3") -> Path:
    """A lesson with a guess, an exercise and two questions."""
    text_cell, stub = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell("x = ...")
    stub.metadata.tags = ["exercise"]
    guess = nbformat.v4.new_code_cell("Guess(3).check(guess)")
    told = {"text/plain": f"▫ Your guess: not attempted yet. The answer is {answer} weights."}
    guess.outputs = [nbformat.v4.new_output("display_data", told)]
    fold = "<details><summary>Solution</summary>\n\n```python\nx = 7\n```\n</details>"
    end = """## Questions

<details><summary>1. Why?</summary>

So.
</details>

2. How?
<details><summary>Answer</summary>Thus.</details>"""
    first = "# 01 One\n\n**Question:** What?\n\n**Time:** 5 minutes"
    ask = "## 1. Weights\n\n**Guess first.** How\nmany?\n\nMore."
    exercise = "### Exercise 1: seven"
    texts = [text_cell(source) for source in (first, ask, exercise, fold, end)]
    return lesson(folder, texts[0], texts[1], guess, texts[2], stub, *texts[3:])


def test_a_key_is_made_of_guess_solution_and_questions(tmp_path):
    assert answers.key(small_lesson(tmp_path)).splitlines() == [
        "- *1. Weights:* How many? **3 weights**",
        "",
        "**Exercise 1: seven**",
        "",
        "```python",
        "x = 7",
        "```",
        "",
        "**Questions**",
        "",
        "1. Why? *So.*",
        "2. How? *Thus.*",
    ]


def test_stamp_writes_the_keys_and_check_notices_stale_ones(tmp_path):
    path, guide = small_lesson(tmp_path), tmp_path / "ANSWERS.md"
    guide.write_text("old", "utf-8")
    assert len(check(guide)) == 1 and "answer keys" in check(guide)[0]
    guide.write_text(stamped(guide), encoding="utf-8")
    assert check(guide) == [] and stamped(guide).count("x = 7") == 1
    assert stamped(guide).startswith("# Answers\n") and "\n\n## 01 One\n\n- " in stamped(guide)
    path.write_text(path.read_text("utf-8").replace("answer is 3", "answer is 4"), "utf-8")
    assert "**4 weights**" in stamped(guide) and len(check(guide)) == 1


def test_the_command_stamps_guide_and_keys_after_the_lessons(tmp_path, capsys):
    from authoring.__main__ import main

    path = small_lesson(tmp_path)
    guide, keys = tmp_path / "TEACHING.md", tmp_path / "ANSWERS.md"
    guide.write_text("before\n<!-- pages -->\nold\n<!-- /pages -->\nafter\n", "utf-8")
    keys.write_text("", "utf-8")
    assert main(["stamp", str(path)]) == 0
    assert answers.key(path) in keys.read_text("utf-8")
    row = "| [01 One](teaching/01.md) | What? |"
    assert guide.read_text("utf-8").splitlines() == [
        *("before", "<!-- pages -->", "| page | question |", "|---|---|", row),
        *("<!-- /pages -->", "after"),
    ]
