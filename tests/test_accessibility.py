"""What those need who don't see the pictures, or see other colours."""

import re
from itertools import combinations
from pathlib import Path

import ipywidgets
import numpy as np
import pytest

from authoring.notebook import code, read
from inception_edu.figures import COLOURS, HEAD_COLOURS
from inception_edu.widgets import Explorer

LESSONS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)

# Dichromats' vision of linear RGB, severity 1.0: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15 (2009).
VISION = {
    "colours": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Linear sRGB -> XYZ, D65 (IEC 61966-2-1).
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
)
APART = 15  # in CIELAB, where about 2.3 is just noticeable


def cielab(colour: str, vision: np.ndarray) -> np.ndarray:
    """ "#rrggbb" as seen with some vision -> (L*, a*, b*)"""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    share = XYZ @ (vision @ linear).clip(0, 1) / XYZ.sum(1)
    small = share * (29 / 6) ** 2 / 3 + 4 / 29
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), small)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, vision: str) -> float:
    """How far apart two colours are in CIELAB, as seen with the named vision."""
    return float(np.linalg.norm(cielab(one, VISION[vision]) - cielab(other, VISION[vision])))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "together",
    [
        [name for name in COLOURS if name.startswith("branch")],
        ["before", "after", "muted"],
    ],
    ids=["branches", "before and after"],
)
def test_colours_that_stand_together_differ_for_the_colour_blind(together, vision):
    assert len(together) >= 3
    pairs = combinations(together, 2)
    close = [(a, b) for a, b in pairs if apart(COLOURS[a], COLOURS[b], vision) < APART]
    assert close == []


@pytest.mark.parametrize("vision", VISION)
def test_the_heads_curves_differ_and_every_colour_shows_on_white(vision):
    heads = {HEAD_COLOURS[name] for name in ("main", "aux1", "aux2")}
    assert len(heads) == 3
    assert min(apart(a, b, vision) for a, b in combinations(heads, 2)) >= APART
    assert min(apart(colour, "#ffffff", vision) for colour in COLOURS.values()) > 35


def test_the_distance_tells_a_red_and_a_green_that_only_some_can_tell_apart():
    red, green = "#b08000", "#6c9a00"
    assert apart(red, green, "colours") > 30 > 10 > apart(red, green, "deuteranopia")
    assert apart("#000000", "#ffffff", "colours") == pytest.approx(100, abs=0.1)


def spoken(path: Path) -> list[tuple[str, str]]:
    """Alt text and text/plain of each picture among a notebook's saved outputs."""
    outputs = [out for cell in code(read(path)) for out in cell.outputs if "data" in out]
    return [
        (out.metadata.get(kind, {}).get("alt", ""), out.data.get("text/plain", ""))
        for out in outputs
        for kind in out.data
        if kind.startswith("image/")
    ]


@every_lesson
def test_every_picture_has_its_words_as_alt_text_and_beside_it(path):
    found = spoken(path)
    assert found and [(alt, plain) for alt, plain in found if alt != plain] == []
    assert [
        plain for _, plain in found if len(plain.split()) < 5 or "[picture: " not in plain
    ] == []


@every_lesson
def test_every_explorer_has_a_title_named_controls_and_words(path):
    words = [plain.split("\n") for _, plain in spoken(path)]
    explorers = [lines for lines in words if re.match(r"\[(?!picture)", (lines + [""])[1])]
    for title, chosen, first, *_ in explorers:
        assert title.strip() and re.search(r"\w", first) and not first.startswith("[picture")
        assert re.fullmatch(r"\[\w[^=]* = [^=]+(, \w[^=]* = [^=]+)*\]", chosen), chosen


def test_the_lessons_have_explorers():
    plain = "\n".join(words for path in LESSONS for _, words in spoken(path))
    assert len(re.findall(r"^\[(?!picture)[^\n]* = ", plain, re.M)) >= 5


def test_an_error_in_an_explorer_is_written_in_the_colour_of_the_page():
    slider = ipywidgets.IntSlider(1, 0, 1)
    fall = Explorer({"x": slider}, lambda x: 1 / x, lambda fig, data: None, str, title="1 / x")
    slider.value = 0
    assert "role='alert'" in fall.message.value and "ZeroDivisionError" in fall.message.value
    assert not re.search(r"[;'\s]color:", fall.message.value)  # which a dark theme would swallow
    assert slider.tooltip == "x"
