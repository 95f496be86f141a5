"""Widgets without a browser or a kernel: ipywidgets' comms are dummies in plain Python."""

import asyncio
import base64
import struct

import ipywidgets
import pytest

from inception_edu import widgets
from inception_edu.figures import drawn_by, png, render
from inception_edu.training.history import History
from inception_edu.training.recipe import Recipe
from inception_edu.widgets import Explorer, LiveCurve, widget_bundle

VIEW = "application/vnd.jupyter.widget-view+json"


def power(base, exponent):
    return {"base": base, "value": base**exponent}


def draw(fig, data):
    ax = fig.add_subplot()
    ax.bar(["base", "value"], [data["base"], data["value"]])
    ax.set_title("A <power>")


def words(data):
    return f"<value> {data['value']}"


def make(compute=power, **how):
    controls = {
        "base": ipywidgets.IntSlider(2, 1, 9),
        "exponent": ipywidgets.IntSlider(3, 0, 4, description="to the power of"),
    }
    return Explorer(controls, compute, draw, words, title="Powers & more", **how)


@pytest.fixture
def explorer():
    return make()


@pytest.fixture
def displayed(monkeypatch):
    """What would have been shown: (arguments, options) of each call."""
    calls = []
    monkeypatch.setattr(widgets, "display", lambda *a, **options: calls.append((a, options)))
    return calls


def size(picture):
    return struct.unpack(">II", picture[16:24])


def test_explorer_starts_with_the_picture_and_words_of_the_controls_values(explorer):
    assert explorer.values == {"base": 2, "exponent": 3}
    assert explorer.picture.value == explorer.png == png(render(draw, power(2, 3), (8, 3.6)))
    assert explorer.words == "<value> 8" and "&lt;value&gt; 8" in explorer.text.value
    assert explorer.message.value == ""


@pytest.mark.parametrize(("name", "value", "told"), [("base", 5, 125), ("exponent", 1, 2)])
def test_moving_a_slider_computes_once_and_changes_picture_and_words(name, value, told):
    calls = []

    def compute(**values):
        calls.append(values)
        return power(**values)

    explorer = make(compute)
    before, sent = explorer.picture.value, []
    explorer.picture.observe(lambda change: sent.append(change["new"]), names="value")
    explorer.controls[name].value = value
    assert calls == [dict(base=2, exponent=3), dict(base=2, exponent=3) | {name: value}]
    assert len(sent) == 1 and explorer.picture.value == sent[0] != before
    assert f"&lt;value&gt; {told}" in explorer.text.value and explorer.words == f"<value> {told}"
    explorer.controls[name].value = value  # no move, no redrawing
    assert len(calls) == 2


def test_pictures_are_of_one_size_whatever_the_sliders_say():
    explorer = make(size=(5, 2.5))
    sizes = set()
    for value in (1, 4, 9):
        explorer.controls["base"].value = value
        sizes.add(size(explorer.picture.value))
    assert sizes == {(840, 420)}  # twice the pixels of the page
    assert (explorer.picture.width, explorer.picture.height) == ("420", "210")


@pytest.mark.parametrize(("asked", "got"), [(99, 9), (-5, 1), (4, 4)])
def test_sliders_keep_their_limits(explorer, asked, got):
    explorer.controls["base"].value = asked
    assert explorer.values["base"] == got and explorer.words == f"<value> {got**3}"


def test_exception_is_shown_where_one_looks_and_goes_away_again():
    def compute(base, exponent):
        if base == 4:
            raise RuntimeError("<four> is not to my taste")
        return power(base, exponent)

    explorer = make(compute)
    before = explorer.picture.value, explorer.plain
    explorer.controls["base"].value = 4
    assert "RuntimeError: &lt;four&gt; is not to my taste" in explorer.message.value
    assert "alert" in explorer.message.value
    assert (explorer.picture.value, explorer.plain) == before
    explorer.controls["base"].value = 5
    assert explorer.message.value == "" and "125" in explorer.text.value


def test_exception_at_the_beginning_is_raised():
    with pytest.raises(ZeroDivisionError):
        make(lambda **values: 1 / 0)


def test_one_output_holds_live_view_picture_and_words_and_nothing_else(explorer, displayed):
    explorer.controls["base"].value = 3
    explorer._ipython_display_()
    (((bundle,), options),) = displayed
    assert set(bundle) == {VIEW, "image/png", "text/plain"} and options["raw"] is True
    assert bundle[VIEW]["model_id"] == explorer.view.model_id
    assert base64.b64decode(bundle["image/png"]) == explorer.picture.value
    told = "Powers & more\n[base = 3, to the power of = 3]\n<value> 27\n"
    assert bundle["text/plain"] == told + '[picture: "A <power>"; 2 bars or patches]'
    about = {"alt": bundle["text/plain"], "drawn_by": drawn_by(draw), "width": 672, "height": 302}
    assert options["metadata"] == {"image/png": about}
    assert repr(explorer) == bundle["text/plain"]


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def test_view_holds_the_controls_and_no_output_widget(explorer):
    parts = list(tree(explorer.view))
    assert not any(isinstance(part, ipywidgets.Output) for part in parts)
    shown = [*explorer.controls.values(), explorer.picture, explorer.text, explorer.message]
    assert all(any(part is one for part in parts) for one in shown)
    heading = next(part for part in parts if isinstance(part, ipywidgets.HTML))
    assert heading.value == "<b>Powers &amp; more</b>"


def test_controls_are_labelled_by_their_names_unless_they_have_a_label(explorer):
    labels = [control.description for control in explorer.controls.values()]
    assert labels == ["base", "to the power of"]


def test_two_explorers_do_not_move_each_other():
    one, other = make(), make(lambda base, exponent: power(base + 1, exponent))
    before = other.picture.value
    one.controls["base"].value = 9
    assert other.picture.value == before and other.words == "<value> 27"
    other.controls["exponent"].value = 2
    assert (one.words, other.words) == ("<value> 729", "<value> 9")


def test_widget_bundle_refers_to_the_widget():
    label = ipywidgets.Label("x")
    assert widget_bundle(label) == {
        VIEW: {"version_major": 2, "version_minor": 0, "model_id": label.model_id}
    }


def history(losses=(2.0,)):
    how = dict(steps=40, batch_size=8, device="cpu", precision="float32")
    return History(
        recipe=Recipe(), memory_format="contiguous", losses=dict(main=list(losses)), **how
    )


def test_live_curve_is_drawn_while_training_and_ends_as_one_picture_that_stays(displayed):
    curve, pictures = LiveCurve(every_seconds=0), []
    for losses in ([2.0], [2.0, 1.5]):
        curve(history(losses), False)
        pictures.append(curve.picture.value)
    assert len(displayed) == 1 and len(set(pictures)) == 2 and not curve.view.layout.display
    ((bundle,), options) = displayed[0]
    assert set(bundle) == {VIEW, "text/plain"} and options == {"raw": True}
    assert bundle[VIEW]["model_id"] == curve.view.model_id and bundle["text/plain"] == ""
    assert "step 2 of 40, loss 1.500" in curve.text.value
    curve(history([2.0, 1.5, 1.0]), True)
    ((picture,), _) = displayed[1]
    assert len(displayed) == 2 and curve.view.layout.display == "none"
    assert "step 3 of 40, loss 1.000" in repr(picture) and size(picture.png) == (1344, 604)


def test_live_curve_waits_between_two_drawings(displayed):
    curve, pictures = LiveCurve(every_seconds=1000), []
    for losses in ([2.0], [2.0, 1.5]):
        curve(history(losses), False)
        pictures.append(curve.picture.value)
    assert pictures[0] == pictures[1]


def test_live_curve_shows_every_run(displayed):
    curve, views = LiveCurve(), []
    for done in (False, True, False, True):
        curve(history(), done)
        views.append(curve.view)
    assert len(displayed) == 4 and views[0] is views[1] is not views[2] is views[3]


def test_a_control_that_moves_is_followed_quickly_and_drawn_sharply_once_it_rests():
    computed = []

    async def drag():
        for value in (5, 6, 7):
            explorer.controls["base"].value = value
            assert size(explorer.picture.value) == (672, 302)
        await asyncio.sleep(2 * widgets.RESTS)

    explorer = make(lambda **values: computed.append(values) or power(**values))
    asyncio.run(drag())
    assert size(explorer.picture.value) == (1344, 604)
    assert [values["base"] for values in computed] == [2, 5, 6, 7]  # and once more for no picture


def test_words_that_the_picture_says_are_for_screen_readers_alone():
    assert widgets.UNSEEN in make(tells=False).text.value
    assert widgets.UNSEEN not in make().text.value and "aria-live" in make(tells=False).text.value


def test_few_choices_are_buttons_and_many_are_a_list():
    few = widgets.choices(["a", "b"], value="b", description="which")
    assert isinstance(few, ipywidgets.ToggleButtons) and (few.value, few.description) == (
        "b",
        "which",
    )
    pairs = widgets.choices([("one", 1), ("two", 2)])
    assert (pairs.value, widgets.label(pairs)) == (1, "one")
    many = widgets.choices([f"class {i}" for i in range(10)], value="class 3")
    assert isinstance(many, ipywidgets.Dropdown) and many.value == "class 3"
