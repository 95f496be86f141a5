"""Figures that follow each other: drawn once each, with the axes where they stood."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from inception_edu.figures import STYLE, Easel, png, render


def draw(fig, data):
    """Two axes: bars up to `data`, and an image beside them with a legend outside of both."""
    bars, image = fig.subplots(1, 2, width_ratios=(2, 1))
    bars.bar(["one", "two"], [data, data / 2], label="bars")
    bars.set(xlabel="bar", ylabel=f"height of {data}", title="Bars of a title that is quite long")
    bars.text(1, data / 2, "half")
    image.imshow(np.eye(3))
    image.set_title("An image")
    fig.legend(loc="outside lower center")


def one(fig, data):
    fig.add_subplot().plot([0, data])


def boxes(fig):
    return np.array([ax.get_position(original=True).extents for ax in fig.axes])


@pytest.fixture
def layouts(monkeypatch):
    """How often matplotlib lays a figure out and draws one."""
    counts = {"layouts": 0, "drawings": 0}

    def counting(owner, name, what):
        real = getattr(owner, name)

        def counted(*args, **how):
            counts[what] += 1
            return real(*args, **how)

        monkeypatch.setattr(owner, name, counted)

    counting(ConstrainedLayoutEngine, "execute", "layouts")
    counting(Figure, "draw", "drawings")
    return counts


@pytest.mark.parametrize(("paint", "data"), [(draw, 5), (draw, 1234567), (one, 3)])
def test_a_figure_is_drawn_once_and_looks_as_matplotlib_lays_it_out(paint, data, layouts):
    found = imread(io.BytesIO(png(render(paint, data, (8, 3.6)))))[..., :3]
    assert layouts == {"layouts": 1, "drawings": 1}
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(8, 3.6), dpi=168, layout="constrained")
        fig.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
        paint(fig, data)
        fig.savefig(file)
    expected = imread(io.BytesIO(file.getvalue()))[..., :3]
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 1 / 255
    other = imread(io.BytesIO(png(render(paint, 2 * data, (8, 3.6)))))[..., :3]
    assert np.abs(other - expected).max() > 0.5


def test_axes_stay_and_nothing_is_laid_out_while_the_labels_fit(layouts):
    easel = Easel((8, 3.6))
    places = [boxes(easel.draw(draw, data)) for data in (800, 900, 8, 9, 800)]
    assert layouts == {"layouts": 1, "drawings": 5}
    assert all((place == places[0]).all() for place in places)
    assert not np.allclose(boxes(render(draw, 8, (8, 3.6))), places[0])  # alone it has more room


def test_labels_that_need_more_room_get_it_and_it_is_kept(layouts):
    easel = Easel((8, 3.6))
    small, large = (boxes(easel.draw(draw, data)) for data in (8, 80_000))
    assert layouts["layouts"] == 2 and large[0, 0] > small[0, 0] + 0.02
    again = [boxes(easel.draw(draw, data)) for data in (8, 800, 80_000)]
    assert layouts["layouts"] == 2 and all((place == large).all() for place in again)
    alone = boxes(render(draw, 80_000, (8, 3.6)))
    np.testing.assert_allclose(alone, large, atol=0.01)


def test_the_most_room_that_any_label_needed_is_kept_on_every_side(layouts):
    def paint(fig, labels):
        fig.add_subplot().set(xlabel=labels[0], ylabel=labels[1])

    easel, two = Easel((8, 3.6)), "one line\nand another"
    for labels in [("a", "a"), ("a", two), (two, "a"), (two, two), ("a", "a"), ("a", two)]:
        (ax,) = easel.draw(paint, labels).axes
        extents = [label.get_window_extent() for label in (ax.xaxis.label, ax.yaxis.label)]
        assert extents[0].y0 >= 0 and extents[1].x0 >= 0
    assert layouts["layouts"] == 3


def test_nothing_is_cut_off_whatever_came_before():
    easel = Easel((6, 3))
    for data in (8, 123_456_789, 3, 40_000, 0.0001234):
        fig = easel.draw(draw, data)
        renderer = fig.canvas.get_renderer()
        shown = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text()]
        extents = np.array([t.get_window_extent(renderer).extents for t in shown])
        assert len(shown) > 8 and extents[:, 0].min() >= 0 and extents[:, 1].min() >= 0


def test_another_grid_legend_or_title_is_laid_out_anew(layouts):
    def titled(fig, data):
        one(fig, 3)
        fig.suptitle(data)

    easel = Easel((8, 3.6))
    for paint, data in [(draw, 8), (one, 8), (titled, "a"), (titled, "b"), (draw, 8)]:
        easel.draw(paint, data)
    assert layouts["layouts"] == 5
    easel.draw(draw, 8)
    assert layouts["layouts"] == 5


def test_two_easels_know_nothing_of_each_other():
    first, second = Easel((8, 3.6)), Easel((8, 3.6))
    first.draw(draw, 80_000)
    assert (boxes(second.draw(draw, 8)) == boxes(render(draw, 8, (8, 3.6)))).all()
    before = png(first.draw(draw, 8))
    second.draw(draw, 9)
    assert png(first.draw(draw, 8)) == before


def test_a_quick_picture_has_its_axes_where_the_last_one_of_its_easel_had_them(layouts):
    easel = Easel((8, 3.6))
    quick = easel.quick()
    for data in (8, 80_000):
        sharp = boxes(easel.draw(draw, data))
        laid_out = layouts["layouts"]
        following = quick.draw(draw, 9)
        assert (boxes(following) == sharp).all() and layouts["layouts"] == laid_out
        assert following.canvas.get_width_height() == (672, 302)
    assert not np.allclose(boxes(easel.quick().draw(one, 8))[0], sharp[0])  # another grid: its own
