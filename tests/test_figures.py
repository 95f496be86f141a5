import base64
import importlib
import io
import linecache
import shutil
import struct
import sys

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from inception_edu.figures import (
    COLOURS,
    STYLE,
    Picture,
    centred_mean,
    describe,
    draw_curves,
    draw_page,
    drawn_by,
    is_current,
    picture,
    picture_bundle,
    png,
    provenance,
    render,
    running_mean,
)
from inception_edu.training.history import History
from inception_edu.training.recipe import Recipe


def draw(fig, data):
    """Two axes with something of every kind that is counted."""
    bars, rest = fig.subplots(1, 2)
    bars.bar(range(len(data)), data, label="bars")
    bars.set_title("Three  bars\nhigh")
    bars.legend()
    rest.plot(data)
    rest.plot(data[::-1])
    rest.imshow([[0, 1]])
    rest.scatter(data, data)
    rest.annotate("here", (0, 0))
    rest.set_title("Mixed", loc="center")


def words(data):
    return f"sum {sum(data)}"


def pixels(data):
    return struct.unpack(">II", data[16:24])


def test_describe_counts_what_is_drawn_axes_by_axes():
    told = '[picture: "Three bars high"; 3 bars or patches, 1 legend entries | '
    told += '"Mixed"; 2 lines, 1 images, 1 collections, 1 labels]'
    assert describe(render(draw, [1, 2, 3], (6, 3))) == told
    assert "4 bars" in describe(render(draw, [1, 2, 3, 4], (6, 3)))
    assert describe(Figure()) == "[picture: ]"


@pytest.mark.parametrize("size", [(8, 3.6), (5, 2), (3, 8)])
def test_png_has_168_pixels_an_inch_and_is_the_same_twice(size):
    first, second = (png(render(draw, [1, 2, 3], size)) for _ in range(2))
    assert first[:8] == b"\x89PNG\r\n\x1a\n" and pixels(first) == tuple(int(168 * n) for n in size)
    assert first == second != png(render(draw, [1, 2, 4], size))
    assert not any(key in first for key in (b"Software", b"tEXt", b"tIME"))


def test_style_is_set_while_drawing_and_left_alone_outside():
    def check(fig, data):
        sizes.append(matplotlib.rcParams["font.size"])

    sizes, before = [], dict(matplotlib.rcParams)
    assert before["font.size"] != STYLE["font.size"]
    assert isinstance(render(check, None, (2, 2)), Figure)
    png(render(check, None, (2, 2)))
    assert sizes == [STYLE["font.size"]] * 2
    assert dict(matplotlib.rcParams) == before


def test_letters_that_the_font_lacks_come_from_the_next_that_has_them(monkeypatch):
    def name(fig, letters):
        fig.text(0.1, 0.5, letters)

    monkeypatch.setattr(picture, "OTHER_SCRIPTS", ())
    box, kept = (png(render(name, letters, (2, 1))) for letters in ("\u210a", "kiwi"))
    monkeypatch.setattr(picture, "OTHER_SCRIPTS", ("Not installed", "STIXGeneral"))
    assert picture.fonts() == ["DejaVu Sans", "STIXGeneral"]
    assert png(render(name, "\u210a", (2, 1))) != box
    assert png(render(name, "kiwi", (2, 1))) == kept


def test_every_branch_has_a_colour_of_its_own():
    branches = [COLOURS[f"branch{name}"] for name in ("1x1", "3x3", "5x5", "_pool")]
    assert len(set(branches)) == 4 and COLOURS["before"] != COLOURS["after"]


def test_picture_is_one_bundle_of_png_words_and_alt_text():
    picture = Picture(draw, [1, 2, 3], words, size=(6, 3))
    data, metadata = picture._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert (
        base64.b64decode(data["image/png"]) == picture.png == png(render(draw, [1, 2, 3], (6, 3)))
    )
    first, second = data["text/plain"].splitlines()
    assert first == "sum 6" and second.startswith('[picture: "Three bars high"; 3 bars')
    assert repr(picture) == data["text/plain"]
    about = {"alt": data["text/plain"], "drawn_by": drawn_by(draw), "width": 504, "height": 252}
    assert metadata == {"image/png": about}


def test_picture_draws_and_tells_the_data_that_it_is_given():
    one, other = Picture(draw, [1, 2, 3], words), Picture(draw, [3, 2, 2], words)
    assert one.png != other.png and repr(one) != repr(other)
    assert pixels(one.png) == (1344, 604)  # twice those of the page


def test_picture_bundle_keeps_bytes_and_words():
    data, metadata = picture_bundle(b"abc", "words", draw_curves, (8, 3.6))
    assert data == {"image/png": "YWJj", "text/plain": "words"}
    about = metadata["image/png"]
    assert about["alt"] == "words" and about["drawn_by"] == drawn_by(draw_curves)


def history(losses=(2.3, 2.0, 1.5), rows=((2, 0.4), (3, 0.6)), **heads):
    seconds = dict(train_seconds=4.0, valid_seconds=1.0)
    rows = [
        dict(step=s, valid_accuracy=a, valid_loss=1 - a, main_accuracy=a - 0.1, **seconds)
        for s, a in rows
    ]
    how = dict(steps=3, batch_size=8, device="cpu", precision="float32")
    losses = dict(main=list(losses)) if losses else {}
    return History(
        recipe=Recipe(lr=0.3, warm_up=0.5),
        memory_format="contiguous",
        losses=losses | heads,
        rows=rows,
        **how,
    )


def test_curves_show_each_loss_its_mean_and_the_accuracy_in_percent():
    fig = render(draw_curves, history(), (8, 3.6))
    loss, accuracy = fig.axes
    raw, mean = loss.lines
    assert list(raw.get_xdata()) == [1, 2, 3] and list(raw.get_ydata()) == [2.3, 2.0, 1.5]
    assert list(mean.get_ydata()) == pytest.approx([2.3, (2.3 + 2.0 + 1.5) / 3, 1.5])
    training, validation = accuracy.lines
    assert list(validation.get_xdata()) == [2, 3]
    assert list(validation.get_ydata()) == pytest.approx([40, 60])
    assert list(training.get_ydata()) == pytest.approx([30, 50])
    assert "%" in accuracy.get_ylabel() and loss.get_xlabel() == "step"
    assert accuracy.get_title("left") == "Accuracy reaches 60.0%"


def test_a_running_mean_is_weighted_by_hand_and_lags_behind_at_no_time():
    assert running_mean([4.0, 1.0], keep=0.5) == pytest.approx([4.0, (0.5 * 4 + 1) / 1.5])
    assert running_mean([3.0] * 50) == pytest.approx([3.0] * 50)
    weights, values = [0.9**k for k in range(5)], [1.0, 5.0, 2.0, 0.0, 3.0]
    expected = sum(w * v for w, v in zip(weights, values[::-1], strict=True)) / sum(weights)
    assert running_mean(values, keep=0.9)[-1] == pytest.approx(expected)
    assert running_mean([]) == []


def test_the_mean_of_a_falling_loss_lies_on_it_from_the_first_step_on():
    falling = [3.0 - 0.02 * step for step in range(100)]
    assert list(centred_mean(falling)) == pytest.approx(falling)
    assert running_mean(falling)[30] - falling[30] > 0.2  # a mean of what came before lags
    noisy = [value + 0.3 * (-1) ** i for i, value in enumerate(falling)]
    assert max(abs(centred_mean(noisy) - falling)[10:]) < 0.04  # the end is no single step's loss
    assert list(centred_mean([2.5])) == [2.5] and len(centred_mean([])) == 0


@pytest.mark.parametrize("first", [0.2, 2.3, 6.9])  # ln 1000
def test_every_loss_lies_within_the_axes(first):
    losses = [first * factor for factor in (1.0, 1.3, 0.8, 0.5)]
    loss = render(draw_curves, history(losses, aux1=[2 * x for x in losses]), (8, 3.6)).axes[0]
    highest = max(max(line.get_ydata()) for line in loss.lines)
    assert loss.get_ylim()[0] == 0 and highest < loss.get_ylim()[1] < 2 * highest
    leap = render(draw_curves, history([first, first, 1e6 * first]), (8, 3.6)).axes[0]
    assert loss.get_ylim()[1] < leap.get_ylim()[1] < 0.9e6 * first


def test_every_heads_loss_is_named_and_has_a_colour_of_its_own():
    both = history(aux1=[2.4, 2.2, 1.9], aux2=[2.5, 2.4, 2.2])
    loss = render(draw_curves, both, (8, 3.6)).axes[0]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["main", "aux1", "aux2"]
    assert len({line.get_color() for line in loss.lines[1:]}) == 3
    assert render(draw_curves, history(), (8, 3.6)).axes[0].get_legend() is None


def test_a_run_on_one_page_has_loss_accuracy_rate_and_seconds():
    page = render(draw_page, history(), (11, 7))
    loss, accuracy, rate, seconds = page.axes
    assert (len(loss.lines), len(accuracy.lines), len(seconds.patches)) == (2, 2, 4)
    recipe = history().recipe
    whole, done = rate.lines
    expected = [recipe.lr_at(step, 3) for step in (1, 2, 3)]
    assert list(whole.get_ydata()) == list(done.get_ydata()) == expected
    assert [bar.get_height() for bar in seconds.patches] == [4, 4, 1, 1]
    half = render(draw_page, history(losses=(2.3,)), (11, 7)).axes[2]
    assert list(half.lines[1].get_ydata()) == expected[:1]


@pytest.mark.parametrize("draw", [draw_curves, draw_page])
@pytest.mark.parametrize("empty", [dict(losses=()), dict(rows=()), dict(losses=(), rows=())])
def test_curves_can_be_drawn_before_there_is_anything_to_draw(empty, draw):
    picture = Picture(draw, history(**empty), str)
    assert repr(picture).startswith("step ")
    assert imread(io.BytesIO(picture.png)).shape[:2] == (604, 1344)


# --- which code drew it


def test_the_note_of_what_drew_a_picture_changes_with_the_code_the_style_and_what_is_called(
    monkeypatch, tmp_path
):
    (tmp_path / "inception_edu_drawing.py").write_text(
        "def helper(fig):\n    pass\n\ndef other():\n    pass\n\n"
        "def draw(fig, data):\n    [helper(fig) for _ in data]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def note(old="", new=""):
        file = tmp_path / "inception_edu_drawing.py"
        file.write_text(file.read_text().replace(old, new))
        linecache.clearcache()
        sys.modules.pop(file.stem, None)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        return drawn_by(importlib.import_module(file.stem).draw)

    first = note()
    assert first.startswith("inception_edu_drawing:draw ") and is_current(first)
    assert note("other():\n    pass", "other():\n    return 1") == first
    helped = note("helper(fig):\n    pass", "helper(fig):\n    return 1")
    assert helped != first and not is_current(first) and is_current(helped)
    assert note("for _ in data", "for i in data") not in (first, helped)
    assert not is_current("inception_edu_drawing:gone 12")
    assert not is_current("inception_edu_nowhere:draw 12") and not is_current("")
    now = note()
    monkeypatch.setattr(provenance.inspect, "getsource", lambda code: "another style")
    assert drawn_by(importlib.import_module("inception_edu_drawing").draw) != now


def test_what_a_notebook_draws_itself_has_no_note_but_its_name():
    namespace = {"__name__": "__main__"}
    exec("def draw(fig, data): pass", namespace)
    assert drawn_by(namespace["draw"]) == "__main__:draw" and is_current("__main__:draw")
