"""Static explorers, slide types and decks, on a small notebook that is run once."""

import copy
import json
import re
from pathlib import Path

import ipywidgets
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from authoring import breaks, execution
from authoring.__main__ import main
from authoring.blocks import HEIGHT, MEAN, code_blocks, text_blocks
from authoring.cells import has_formula, markdown, outputs
from authoring.explorers import row, steps
from authoring.frames import frames, place, positions
from authoring.notebook import dumps, normalise, read
from authoring.slides import Page, pages, slides
from conftest import refused
from inception_edu.display import Box
from inception_edu.widgets import Explorer, label

EXPLORER = """from ipywidgets import IntSlider
from inception_edu.widgets import Explorer

def draw(fig, data):
    fig.add_subplot().bar([0], [data])

Explorer({"n": IntSlider(3, 1, 5)}, lambda n: n * n, draw, "{} squared".format, title="Squares")"""


def text(source, *tags, **slideshow):
    return new_markdown_cell(source, metadata=_metadata(tags, slideshow))


def cell(source, *tags, printed="", **slideshow):
    out = [new_output("stream", name="stdout", text=printed)] if printed else []
    return new_code_cell(
        source, metadata=_metadata(tags, slideshow), outputs=out, execution_count=1
    )


def _metadata(tags, slideshow):
    return ({"tags": list(tags)} if tags else {}) | ({"slideshow": slideshow} if slideshow else {})


def judged():
    """A cell that tells the answer to a guess that nobody made."""
    box = Box("not attempted yet", "Your guess", "The answer is 42 apples.")
    told = cell("print()")
    data = {"text/html": box._repr_html_(), "text/plain": repr(box)}
    told.outputs = [new_output("display_data", data=data)]
    return told


def lesson():
    """A lesson in small: set-up, a guess and its answer, a figure's words, an exercise."""
    fold = "<details><summary>{}</summary>\n\nsecret\n</details>"
    return new_notebook(
        cells=[
            text("# 01 Squares\n\n**Question:** How large?\n\n**Time:** 5 minutes"),
            text("[Contents](00.ipynb)", "nav"),
            cell("install()", "colab"),
            cell("import math"),
            text("## 1. A guess\n\nText.\n\n**Guess first.** How much is 6 x 7?"),
            cell("guess = ...  # a number"),
            judged(),
            text("**What we saw.** It is 42.\n\n## 2. An explorer\n\nMove it:"),
            cell(EXPLORER),
            text("### Exercise 1\n\nWrite it."),
            cell("def f(x):\n    ...", "exercise"),
            cell("check(f)", printed="▫ Exercise 1: not attempted yet\n"),
            text("\n".join(map(fold.format, ("Hint 1", "Solution")))),
            text("## Questions\n\n" + fold.format("1. Why?")),
        ]
    )


EXPECTED = "slide skip skip skip slide - subslide slide fragment subslide - skip skip slide"


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    """The file of a deck, the text of its sections, and the path of its notebook."""
    folder, patch = tmp_path_factory.mktemp("deck"), pytest.MonkeyPatch()
    patch.setattr(execution, "CACHE", folder / "executed")
    path, nb = folder / "01_squares.ipynb", lesson()
    nb.cells[2].source = nb.cells[6].source = nb.cells[11].source = "1"
    nb.cells[8].outputs = [
        new_output("display_data", data={"text/plain": "Squares\n[n = 3]\n9\n[picture: ]"})
    ]
    path.write_text(dumps(normalise(nb)), encoding="utf-8")
    said = slides(path, folder / "slides")
    assert said.startswith(str(folder / "slides/01_squares.html: 7 slides, 0."))
    yield folder / "slides/01_squares.html", path
    patch.undo()


def sections(file):
    body = file.read_text(encoding="utf-8").split('<div class="slides">')[1]
    return re.findall(r"<section[^>]*>((?:(?!<section).)*?)</section>", body, re.S)


def make(control=None, compute=lambda n, other: n, **how):
    controls = {"n": control or ipywidgets.IntSlider(3, 1, 9), "other": ipywidgets.IntSlider(2)}
    how = dict(title="A & B") | how
    return Explorer(controls, compute, lambda fig, data: None, "</script> {}".format, **how)


CONTROLS = [
    (ipywidgets.Dropdown(options=["a", "b", "c"], value="b"), [0, 1, 2], 1, "b"),
    (ipywidgets.SelectionSlider(options=[("one", 1), ("two", 2)], value=2), [0, 1], 1, "two"),
    (ipywidgets.Checkbox(True), [False, True], 1, "on"),
    (ipywidgets.IntSlider(4, 0, 6, 2), [0, 2, 4, 6], 2, "4"),
    (ipywidgets.FloatSlider(value=0.3, min=0, max=0.4, step=0.1), [0, 0.1, 0.2, 0.3, 0.4], 3, None),
    (ipywidgets.Text("x"), ["x"], 0, "x"),
]


@pytest.mark.parametrize(("control", "values", "now", "told"), CONTROLS)
def test_a_control_s_positions_are_all_its_values_where_they_are_few(control, values, now, told):
    assert positions(control) == (values, now)
    assert label(control) == (told or "0.3")
    place(control, values[0])
    assert positions(control)[1] == 0


@pytest.mark.parametrize("start", [1, 17, 96, 192])
def test_of_many_positions_twelve_are_drawn_with_both_ends_and_the_start(start):
    values, now = positions(ipywidgets.IntSlider(start, 1, 192))
    assert len(values) == 12 and values == sorted(set(values))
    assert (values[0], values[-1], values[now]) == (1, 192, start)


def test_frames_hold_every_picture_and_its_words_and_put_the_control_back():
    explorer = make()
    page, before = frames(explorer), explorer.picture.value
    assert page.startswith(execution.IS_FRAMES) and explorer.values == {"n": 3, "other": 2}
    assert explorer.picture.value == before
    assert 'type="range" min="0" max="8"' in page and 'value="2" aria-label="n"' in page
    assert 'alt="A &amp; B; n = 3"' in page and "<output>3</output>" in page
    assert "Here other = 2; in the notebook all controls move." in page
    drawn = json.loads(re.search(r"json\">(.*?)</script>", page)[1])
    assert [row[0] for row in drawn] == [str(n) for n in range(1, 10)]
    assert [row[2] for row in drawn] == [f"</script> {n}" for n in range(1, 10)]
    assert [row[1] is None for row in drawn] == [n == 3 for n in range(1, 10)]  # it is in the page
    assert page.count("data:image/png;base64,") == 9 and page.count("<script") == 1


def test_another_control_moves_where_the_explorer_says_so():
    assert 'aria-label="other"' in frames(make(moves="other")) and "Here n = 3" in frames(
        make(moves="other")
    )
    refused(ValueError, lambda: make(moves="m"), "moves must be one of", '"other"', "'m'")


def test_a_position_that_cannot_be_drawn_is_named():
    explorer = make(compute=lambda n, other: 1 / (n - 7))
    why = "'A & B' at n = 7 cannot be drawn: ZeroDivisionError: division by zero"
    refused(RuntimeError, lambda: frames(explorer), why)


def test_slide_types_follow_the_anatomy_of_a_lesson():
    assert breaks.slide_types(lesson()) == EXPECTED.split()


@pytest.mark.parametrize("ask", ["**Your task:** move it.", "**Guess first.** How much?"])
def test_a_conclusion_stays_with_its_result_unless_it_goes_on_to_ask(ask):
    cells = [text("# T"), text("Look:"), cell("f()"), text("**What we saw.** 42.")]
    assert breaks.slide_types(new_notebook(cells=cells))[3] == "fragment"
    cells[3].source += f"\n\n{ask}"
    assert breaks.slide_types(new_notebook(cells=cells))[3] == "subslide"


def test_breaks_are_written_where_the_author_chose_none_and_only_once():
    nb = lesson()
    nb.cells[9].metadata["slideshow"] = {"slide_type": "slide"}
    breaks.set_breaks(nb)
    once = copy.deepcopy(nb)
    breaks.set_breaks(nb)
    assert nb == once and nb.cells[9].metadata["slideshow"] == {"slide_type": "slide"}
    assert nb.cells[1].metadata["slideshow"] == {"slide_type": "skip"}
    assert "slideshow" not in nb.cells[5].metadata and breaks.faults(nb) == []


@pytest.mark.parametrize("after", ["text", "code"])
def test_an_answer_beside_its_guess_and_an_unknown_type_are_faults(after):
    ask, guess = text("## 1. A\n\n**Guess first.** How much?"), cell("guess = ...")
    answer = (text if after == "text" else cell)("42", slide_type="fragment")
    nb = new_notebook(cells=[text("# T"), ask, guess, answer])
    said = breaks.faults(nb)
    assert said == ["cell 3 shows the answer beside the guess of cell 2: make it a subslide"]
    nb.cells[3].metadata["slideshow"]["slide_type"] = "slid"
    (said,) = breaks.faults(nb)
    assert "cell 3: slide type 'slid' must be one of -, fragment" in said
    nb.cells[3].metadata["slideshow"]["slide_type"] = "subslide"
    assert breaks.faults(nb) == []


def test_a_deck_needs_nothing_from_anywhere(deck):
    page = deck[0].read_text(encoding="utf-8")
    written = page.split("</div></div>\n<script>")[0]
    assert re.findall(r'(?:src|href)="(?!data:)[^"#][^"]*"', written) == []
    assert not re.search("<script [^>]*src|<link", page)
    assert "@import" not in written and not re.search(r"url\((?!data:)", written)
    assert "Reveal.initialize" in page and '<html lang="en">' in page
    assert "inlineMath" not in page and len(page) < 1e6 and "<title>01 Squares</title>" in page


def test_no_page_of_a_deck_shows_a_guess_and_its_answer(deck):
    found = sections(deck[0])
    (ask,) = [i for i, one in enumerate(found) if "How much is 6 x 7?" in one]
    (answer,) = [i for i, one in enumerate(found) if "42 apples" in one]
    assert answer == ask + 1 and "guess" in found[ask] and "It is 42." in found[answer]
    assert "not attempted" not in "".join(found)  # nobody could guess
    assert '<strong class="answer">The answer is 42 apples.</strong>' in found[answer]


def test_a_deck_folds_code_and_answers_and_leaves_out_hints_links_and_checks(deck):
    found = "".join(sections(deck[0]))
    assert found.count('<details class="code">') == 2 and "<details open" not in found
    assert "1. Why?" in found and found.count("secret") == 1
    for absent in ("Hint", "Solution", "Contents", "install()", "math"):
        assert absent not in found, absent
    assert "def" in found and '<p class="where">2. An explorer</p>' in found


def test_an_explorer_in_a_deck_has_a_slider_its_pictures_and_its_words(deck):
    (box,) = re.findall(r'<div class="frames">.*?</script></div>', "".join(sections(deck[0])), re.S)
    assert box.count("data:image/png;base64,") == 5 and "9 squared" in box
    assert 'aria-label="n"' in box and "in the notebook" not in box  # there is no other control


def test_a_notebook_that_did_not_change_is_not_run_again(deck, monkeypatch):
    monkeypatch.setattr(execution, "execute", lambda *a, **b: pytest.fail("ran"))
    assert read(execution.CACHE / deck[1].name).cells[8].outputs
    slides(deck[1], deck[0].parent)
    deck[1].write_text(deck[1].read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match="ran"):
        slides(deck[1], deck[0].parent)


def test_the_table_of_explorers_has_a_row_for_each_with_the_time_of_every_step(deck, capsys):
    assert main(["explorers", str(deck[1])]) == 0
    head, row = capsys.readouterr().out.splitlines()[1:3]
    assert head.split()[:3] == ["lesson", "explorer", "steps"]
    lesson, title, steps, *times = row.split()
    assert (lesson, title, steps) == ("01", "Squares", "5")
    median, nine_of_ten, longest = map(int, times)
    assert 0 < median <= nine_of_ten <= longest


def test_an_explorer_is_timed_through_all_positions_of_all_controls_and_ends_where_it_was():
    seen = []
    explorer = make(compute=lambda n, other: seen.append((n, other)))
    seen.clear()
    assert len(steps(explorer)) == len(seen) == 9 + 12
    assert explorer.values == {"n": 3, "other": 2} and {n for n, _ in seen} == set(range(1, 10))
    assert row("01", "A", [3.0, 1.0, 2.0]).split() == ["01", "A", "3", "2", "3", "3"]


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Runs are recorded, and not made."""
    ran = []
    monkeypatch.setattr(execution, "CACHE", tmp_path / "executed")
    monkeypatch.setattr(
        execution, "execute", lambda nb, folder, **how: ran.append([c.cell_type for c in nb.cells])
    )

    def take(*cells):
        path = tmp_path / "01_a.ipynb"
        path.write_text(dumps(normalise(new_notebook(cells=list(cells)))), encoding="utf-8")
        return execution.with_frames(path), ran

    return take


def shown(source, *tags):
    made = cell(source, *tags)
    made.outputs = [new_output("display_data", data={"text/plain": "T\n[n = 3]\n9\n[picture: ]"})]
    return made


def test_without_an_explorer_saved_outputs_are_taken_and_nothing_runs(cached):
    nb, ran = cached(cell("f()", "long", printed="7"))
    assert ran == [] and nb.cells[0].outputs[0].text == "7"


def test_training_runs_only_for_an_explorer_that_waits_for_it(cached):
    train, last = cell("fit()", "long"), cell("1")
    _, ran = cached(train, shown("e()"), last)
    assert ran == [["raw", "code", "raw"]]
    _, ran = cached(train, shown("e()", "after-long"), last)
    assert ran[1:] == [["code", "code", "raw"]]


def tall(count):
    return text("\n\n".join(f"Paragraph {i} of some words." for i in range(count)))


def test_what_does_not_fit_goes_on_to_a_page_of_its_own(tmp_path):
    ((*found,),) = pages(new_notebook(cells=[text("# T"), *[tall(30)]]), tmp_path)
    assert len(found) > 2 and all(sum(b.height for b in page) <= HEIGHT for page in found)
    assert sum(len(page) for page in found) == 31


def test_a_half_empty_page_takes_the_next_one_in_but_no_answer_to_its_guess(tmp_path):
    def deck(*cells):
        ((*found,),) = pages(new_notebook(cells=[text("# T"), *cells]), tmp_path)
        return [[(re.sub("<.*?>", "", b.page).strip(), b.later) for b in page] for page in found]

    short, other = text("Short."), text("Other.")
    assert deck(short, other) == [[("T", False), ("Short.", True), ("Other.", True)]]
    asked = text("**Guess first.** How many?"), cell("guess = ..."), cell("1", printed="7")
    question, (answer, *_) = deck(*asked)
    assert "How many?" in str(question) and "7" in answer[0] and not answer[1]
    exercise = text("### Exercise 1\n\nWrite.")
    assert len(deck(short, exercise)) == 2
    assert [len(page) for page in deck(tall(9), tall(9))] == [10, 9]


def test_a_question_keeps_its_answer_and_a_heading_its_text(tmp_path):
    source = "## H\n\nText.\n\n1. Why?\n\n<details><summary>Answer</summary>\n\nSo.\n</details>"
    found = text_blocks(text(source), tmp_path)
    assert ["Text." in block.page for block in found] == [True, False]
    assert "Why?" in found[1].page and "So." in found[1].page and found[0].level == 2


def test_wide_output_is_set_smaller_and_a_picture_gives_way_to_the_text(tmp_path):
    narrow, wide = (code_blocks(cell("f()", printed="x" * n + "\n"))[0] for n in (20, 100))
    assert narrow.size == 30 > wide.size >= 15
    square = "iVBORw0KGgoAAAANSUhEUgAAAyAAAAFoCAIAAAA"  # the head of a PNG of 800 x 360
    drawn = cell("f()")
    drawn.outputs = [new_output("display_data", data={"image/png": square, "text/plain": "alt"})]
    (block,) = code_blocks(drawn)
    assert block.picture == 500 and 'alt="alt"' in block.page
    page = Page(text_blocks(tall(3), tmp_path))
    assert page.fits(block) and sum(b.height for b in page) + block.height > HEIGHT
    page.append(block)
    height = float(re.findall(r"--picture: (\d+)px", page.html())[-1])
    assert 300 <= height < 500


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("A sum $a_1 + b$.", True),
        ("$$\\sum_i x_i$$", True),
        ("It costs $5, or $6.", False),
        ("`$x$` and\n```\n$$y$$\n```", False),
        ("No formula", False),
    ],
)
def test_mathjax_comes_only_with_formulas(source, found):
    assert has_formula(new_notebook(cells=[text(source)])) is found


def test_a_deck_with_a_formula_holds_mathjax(cached, tmp_path):
    cached(text("# T\n\n$x^2$"))
    slides(tmp_path / "01_a.ipynb", tmp_path)
    page = (tmp_path / "01_a.html").read_text(encoding="utf-8")
    assert "window.MathJax" in page and 2e6 < len(page) < 5e6 and "<p>$x^2$</p>" in page


def test_links_to_lessons_lead_to_pages_and_pictures_are_put_in(tmp_path):
    (tmp_path / "a b.png").write_bytes(b"\x89PNG")
    page = markdown(text("[1](01_a.ipynb#x) [2](https://x.org/b.ipynb) ![p](a%20b.png)"), tmp_path)
    assert 'href="01_a.html#x"' in page and 'href="https://x.org/b.ipynb"' in page
    assert 'src="data:image/png;base64,iVBORw=="' in page
    for source in ("![p](none.png)", "![p](https://x.org/p.png)"):
        refused(ValueError, lambda s=source: markdown(text(s), tmp_path), "a picture must be")


def test_outputs_are_shown_in_their_richest_form_and_escaped():
    made = cell("f()", printed="a < b")
    data = [{"text/html": "<table></table>", "text/plain": "t"}, {"text/markdown": "**m**"}]
    made.outputs += [new_output("display_data", data=one) for one in data]
    made.outputs.append(new_output("display_data", data={"text/plain": ""}))
    plain, table, bold = outputs(made)
    assert plain == "<pre>a &lt; b</pre>" and "<table>" in table and "<strong>m</strong>" in bold


def test_slides_says_in_one_sentence_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(execution, "CACHE", tmp_path / "executed")
    path, out = tmp_path / "01_a.ipynb", str(tmp_path / "out")
    assert main(["slides", str(path), "--out", out]) == 1
    assert capsys.readouterr().out == f"there is no notebook {path}\n"
    path.write_text(dumps(normalise(new_notebook(cells=[text("# T")]))), encoding="utf-8")
    (tmp_path / "file").write_text("")
    assert main(["slides", str(path), "--out", str(tmp_path / "file")]) == 1
    assert "01_a.ipynb: out must be a folder that can be made" in capsys.readouterr().out
    assert main(["slides", str(path), "--out", out]) == 0
    assert capsys.readouterr().out.startswith(f"saved {Path(out) / '01_a.html'}: 1 slides")


def test_a_notebook_that_fails_is_named_with_its_cell_and_makes_no_deck(
    tmp_path, capsys, monkeypatch
):
    def fail(nb, folder, **how):
        raise RuntimeError("cell 1 failed, nothing was saved: ZeroDivisionError")

    monkeypatch.setattr(execution, "execute", fail)
    nb = new_notebook(cells=[text("# T"), new_code_cell("1 / 0")])
    (tmp_path / "01_a.ipynb").write_text(dumps(nb), encoding="utf-8")
    assert main(["slides", str(tmp_path / "01_a.ipynb"), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("01_a.ipynb: cell 1 failed")
    assert not (tmp_path / "01_a.html").exists()


def test_a_table_gets_type_in_which_its_columns_stand_side_by_side():
    def size(columns):
        row = "<tr>" + "<td>ten signs </td>" * columns + "</tr>"
        shown = new_output("display_data", {"text/html": f"<table>{row * 3}</table>"})
        return code_blocks(new_code_cell("table", outputs=[shown]))[0].size

    assert size(2) == 30 and 15 <= size(8) <= 1160 / (MEAN * 8 * 12) < size(6) <= 30
