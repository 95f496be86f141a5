"""Cells whose numbers vary: which of them still say the same."""

import pytest
from nbformat.v4 import new_code_cell, new_output

from authoring.compare import agrees_within, close, keep_close, within


@pytest.mark.parametrize(
    ("saved", "now", "units", "same"),
    [
        ("accuracy 85.3 %", "accuracy 87.9 %", 3, True),
        ("accuracy 85.3 %", "accuracy 89.1 %", 3, False),
        ("loss 0.31, 0.28", "loss 0.33, 0.29", 0.02, True),
        ("loss 0.31, 0.28", "loss 0.33, 0.31", 0.02, False),
        ("9.9 seconds\n  faster", "10.1 seconds faster", 1, True),
        ("2.3x faster", "2.5x faster", 0.5, True),
        ("1,024 images", "1,026 images", 5, True),
        ("-1.5e-3 off", "+0.5e-3 off", 0.01, True),
        ("a 3x3 in 4a of v3", "a 5x5 in 4a of v3", 5, False),
        ("a 3x3 in 4a of v3", "a 3x3 in 4b of v3", 5, False),
        ("12x12 pixels", "14x14 pixels", 5, False),
        ("gains 1.0", "loses 1.0", 5, False),
        ("1 2", "1 2 3", 9, False),
        ("True 1", "False 1", 9, False),
    ],
)
def test_words_must_be_the_same_and_numbers_near(saved, now, units, same):
    assert close(saved, now, units) is same


def test_the_tag_is_read():
    assert within(new_code_cell(metadata={"tags": ["long", "within:2.5"]})) == 2.5
    assert within(new_code_cell(metadata={"tags": ["long"]})) is within(new_code_cell()) is None


def text(plain, html):
    return new_output("display_data", data={"text/plain": plain, "text/html": html})


def test_every_text_of_an_output_is_compared_by_itself():
    saved = [new_output("stream", text="a 1"), text("b 10", "<td>10</td>")]
    now = [new_output("stream", text="a 2"), text("b 12", "<td>99</td>")]
    found = agrees_within(saved, now, 2)
    assert found[0].text == "a 1" and found[1].data == {
        "text/plain": "b 10",
        "text/html": "<td>99</td>",
    }
    assert now[0].text == "a 2"  # as it was


@pytest.mark.parametrize(("value", "kept"), [("a 2", True), ("a 9", False), ("b 1", False)])
def test_a_cell_that_agrees_keeps_its_old_outputs(value, kept):
    tagged = dict(metadata={"tags": ["within:3"]})
    old = new_code_cell(outputs=[new_output("stream", text="a 1")], **tagged)
    new = new_code_cell(outputs=[new_output("stream", text=value)], **tagged)
    keep_close(old, new)
    assert new.outputs[0].text == ("a 1" if kept else value)


@pytest.mark.parametrize(("code", "kept"), [("draw 1", True), ("draw 2", False)])
def test_a_picture_is_kept_only_where_the_same_code_drew_it(code, kept):
    def cell(text, code):
        about = {"image/png": {"drawn_by": code}}
        out = new_output("display_data", {"image/png": text, "text/plain": text}, metadata=about)
        return new_code_cell(outputs=[out], metadata={"tags": ["within:3"]})

    old, new = cell("1", "draw 1"), cell("2", code)
    keep_close(old, new)
    assert new.outputs[0].data["image/png"] == ("1" if kept else "2")
