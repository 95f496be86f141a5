"""An explorer of every kind of control, one of whose values is an error."""

import nbformat
import pytest
from contrast import faint
from keyboard import tour
from lesson_page import opened

SOURCE = """\
from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider, SelectionSlider, ToggleButtons

from inception_edu.widgets import Explorer


def compute(**values):
    if values["whole"] == 3:
        raise ValueError("three is not to my taste")
    return values


controls = {
    "whole": IntSlider(1, 0, 9),
    "part": FloatSlider(value=1, min=0, max=1),
    "option": SelectionSlider(options=["a", "b"]),
    "list": Dropdown(options=["a", "b", "c"]),
    "button": ToggleButtons(options=["a", "b"]),
    "box": Checkbox(),
}
draw = lambda fig, values: fig.text(0, 0.5, str(values))
Explorer(controls, compute, draw, str, title="Try")
"""


@pytest.fixture(scope="module")
def explorer(folder, lab, browser):
    """The explorer in a notebook of its own: the page of the notebook, and the explorer."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nb, folder / "explorer.ipynb")
    with opened(browser, lab, "explorer.ipynb") as notebook:
        notebook.run_all()
        (found,) = notebook.explorers()
        yield notebook, found
        assert notebook.faults == []


def test_every_kind_of_control_is_reached_and_moved_by_the_keyboard(explorer):
    notebook, box = explorer
    assert tour(notebook.page, box) == (6, [(True, True)] * 6)


def test_every_control_is_named_beside_it_and_nothing_is_called_null(explorer):
    _, box = explorer
    labels = box.locator("label:visible").all_inner_texts()
    assert {"whole", "part", "option", "list", "button", "box"} <= {x.strip() for x in labels}
    assert box.locator("[title=null]:visible").count() == 0


def test_an_error_is_shown_and_can_be_read_in_both_themes_and_goes_away(explorer, screenshots):
    notebook, box = explorer
    slider = box.get_by_role("slider").first
    slider.press("ArrowRight")  # to 3
    alert = box.get_by_role("alert")
    alert.wait_for()
    assert "three is not to my taste" in alert.inner_text()
    for theme in ("Dark", "Light"):
        notebook.theme(f"JupyterLab {theme}")
        notebook.screenshot(screenshots / f"explorer_error_{theme.lower()}.png", alert)
        texts, unreadable = faint(notebook.page, ".jp-OutputArea-output")
        assert texts > 10 and unreadable == []
    slider.press("ArrowRight")
    alert.wait_for(state="detached")
