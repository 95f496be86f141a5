"""Tables and boxes, as a page shows them and as text."""

import re

import pytest

from inception_edu.display import VERDICTS, Box, Table


@pytest.fixture
def table():
    rows = [("network", "accuracy", "n"), ("plain & small", 81.5, 3), ("wide", "9.25", 10)]
    return Table(rows, bold=[1], caption="in percent <here>")


def test_a_table_is_text_with_numbers_flush_right(table):
    assert repr(table).splitlines() == [
        "network        accuracy   n",
        "plain & small      81.5   3",
        "wide               9.25  10",
        "in percent <here>",
    ]


def test_the_same_words_stand_in_html_escaped_with_the_finding_bold(table):
    page = table._repr_html_()
    assert re.findall(r"<t[hd] style=\"([^\"]*)\">([^<]*)<", page) == [
        ("text-align: left", "network"),
        ("text-align: right", "accuracy"),
        ("text-align: right", "n"),
        ("text-align: left", "plain &amp; small"),
        ("text-align: right", "81.5"),
        ("text-align: right", "3"),
        ("text-align: left; font-weight: bold", "wide"),
        ("text-align: right; font-weight: bold", "9.25"),
        ("text-align: right; font-weight: bold", "10"),
    ]
    assert "<p>in percent &lt;here&gt;</p>" in page


def test_every_verdict_has_a_word_a_sign_and_a_colour_of_its_own():
    boxes = [Box(verdict, "Exercise 1", "a < b") for verdict in VERDICTS]
    assert [repr(box) for box in boxes] == [
        "✔ Exercise 1: right. a < b",
        "✘ Exercise 1: not right yet. a < b",
        "▫ Exercise 1: not attempted yet. a < b",
    ]
    pages = [box._repr_html_() for box in boxes]
    assert len({re.search(r"#\w{6}", page)[0] for page in pages}) == 3
    assert all("a &lt; b" in page and "\n" not in page for page in pages)
    assert repr(Box("right", "It")) == "✔ It: right."


@pytest.mark.parametrize("paper", [0.0, 1.0])
def test_a_verdicts_colour_is_seen_on_a_white_and_on_a_black_page(paper):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for _, colour in VERDICTS.values():
        light, dark = sorted((luminance(colour), paper), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.1, 1.4.11
