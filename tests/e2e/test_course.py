"""JupyterLab as the course sets it up: opened, begun in the middle, restarted, reopened."""

import nbformat
import pytest
from lesson_page import NOTEBOOK, opened

from inception_edu.commands.lab import hand_out

EXPLORER = """\
import ipywidgets
from inception_edu.widgets import Explorer

draw = lambda fig, data: fig.text(0, 0.5, str(data))
controls = {"number": ipywidgets.IntSlider(value=start, min=0, max=9)}
Explorer(controls, lambda number: 10 * number, draw, "ten times: {}".format, title="Ten times")
"""


@pytest.fixture
def notebook(request, folder, lab, browser):
    """A student's copy of a small lesson, in a window of its own."""
    sources = "start = 4", EXPLORER, "print(start + 1)"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(x) for x in sources])
    nbformat.write(nb, folder / "original.ipynb")
    name = f"{request.node.name}.ipynb"
    hand_out(folder / "original.ipynb", folder / name)
    with opened(browser, lab, name) as page:
        page.name = name
        yield page
        assert page.faults == []


def test_a_copy_that_is_opened_does_not_count_as_changed(notebook):
    notebook.page.wait_for_timeout(1000)
    assert not notebook.changed()
    notebook.run(0)
    assert notebook.changed()


def test_one_can_begin_in_the_middle(notebook):
    notebook.select(2)
    notebook.command("notebook:run-all-above")
    notebook.run(2)
    assert notebook.complaints() == []
    assert notebook.output(2).inner_text().strip() == "5"


def test_after_a_restart_the_explorer_says_what_to_do_and_lives_again(notebook):
    notebook.run(0)
    notebook.run(1)
    (box,) = notebook.explorers()
    notebook.page.evaluate(f"() => {NOTEBOOK}.sessionContext.session.kernel.restart()")
    notebook.page.wait_for_function(
        f"() => {NOTEBOOK}.sessionContext.session.kernel.status === 'idle'"
    )
    assert "run this cell again" in notebook.output(1).inner_text()
    notebook.command("notebook:clear-all-cell-outputs")
    notebook.run(0)
    notebook.run(1)
    (box,) = notebook.explorers()
    box.get_by_role("slider").first.press("ArrowRight")
    box.locator("pre", has_text="ten times: 50").wait_for()


def test_a_saved_notebook_that_is_reopened_shows_the_picture_and_what_to_do(
    notebook, lab, browser, screenshots
):
    notebook.run(0)
    notebook.run(1)
    notebook.explorers()
    notebook.page.wait_for_timeout(500)
    notebook.command("docmanager:save")
    notebook.page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")
    with opened(browser, lab, notebook.name) as again:
        (box,) = again.explorers()
        again.screenshot(screenshots / "reopened.png", box)
        said = again.output(1).inner_text()
        assert "model not found" not in said and "run this cell again" in said
        assert box.locator("img").first.evaluate("picture => picture.naturalWidth") > 500
        assert again.faults == []
