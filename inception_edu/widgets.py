"""Explorers: live where there is a kernel, picture and words everywhere else."""

import html
import time
import traceback
from collections.abc import Callable

import ipywidgets
from IPython.display import display

from inception_edu.checks import check_choice
from inception_edu.figures import Draw, Easel, describe, draw_curves, picture_bundle, png, render
from inception_edu.training.history import History

WHILE_TRAINING = "While the training runs, its curves are drawn here."

# A red bar beside the text, whose own colour is the page's: it can be read in a dark theme, too.
ALERT = "border-left: 4px solid #d32f2f; padding-left: 8px"


class Explorer:
    """Controls, a pure `compute(**values) -> data`, `draw(fig, data)` and `words(data) -> str`.

    `controls` maps compute's arguments to ipywidgets controls. Moving one replaces the bytes of
    one Image widget, so nothing flickers and the page does not jump. The displayed output holds
    the live view, the PNG as drawn and the words, which is what a page without a kernel shows.
    `moves` names the control that still moves on slides and hand-outs; None: the first.
    """

    def __init__(
        self,
        controls: dict[str, ipywidgets.Widget],
        compute: Callable[..., object],
        draw: Draw,
        words: Callable[[object], str],
        *,
        title: str,
        size: tuple[float, float] = (8, 3.6),
        moves: str | None = None,
    ) -> None:
        self.controls, self.title, self.size = controls, title, size
        self.moves = moves or next(iter(controls))
        check_choice("moves", self.moves, controls)
        self._compute, self.draw, self._words = compute, draw, words
        self._easel = Easel(size)
        # Both width and height are set: the cell keeps its height while a picture is replaced.
        width, height = (str(round(inches * 100)) for inches in size)
        self.picture = ipywidgets.Image(format="png", width=width, height=height)
        self.text, self.message = ipywidgets.HTML(), ipywidgets.HTML()
        heading = ipywidgets.HTML(f"<b>{html.escape(title)}</b>")
        self.view = ipywidgets.VBox(
            [heading, *controls.values(), self.message, self.picture, self.text]
        )
        for name, control in controls.items():
            control.description = control.description or name
            control.tooltip = control.description  # else ipywidgets 8 makes it "null"
            control.style.description_width = "11em"
            control.layout.width = "34em"
            control.observe(self._on_change, names="value")
        self.update()

    @property
    def values(self) -> dict[str, object]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def update(self) -> None:
        """Compute, draw and tell again from the controls' values."""
        data = self._compute(**self.values)
        fig = self._easel.draw(self.draw, data)
        self.png, self.words, drawn = png(fig), self._words(data), describe(fig)
        chosen = ", ".join(
            f"{control.description} = {control.value}" for control in self.controls.values()
        )
        self.plain = f"{self.title}\n[{chosen}]\n{self.words}\n{drawn}"
        self.picture.value = self.png
        self.text.value = _pre(self.words, "aria-live='polite'")
        self.message.value = ""

    def _on_change(self, change: object) -> None:
        try:
            self.update()
        except Exception:  # otherwise lost in the server's log
            report = traceback.format_exc(limit=-2)
            self.message.value = _pre(report, "role='alert'", ALERT)

    def __repr__(self) -> str:
        return self.plain

    def _ipython_display_(self, **kwargs: object) -> None:
        # One raw bundle: ipywidgets 7 (Colab) and 8 show their own objects by different methods.
        data, metadata = picture_bundle(self.png, self.plain, self.draw)
        display(widget_bundle(self.view) | data, metadata=metadata, raw=True)


class LiveCurve:
    """Watches `fit`: shows its curves, redrawn every few seconds while the training runs.

    A page without a kernel shows the words of the first moment only; draw the finished curves
    with `Picture(draw_curves, history, str)`.
    """

    def __init__(self, *, every_seconds: float = 3.0) -> None:
        self.every_seconds, self._due = every_seconds, 0.0
        self.picture = ipywidgets.Image(format="png", width="800", height="360")
        self.text = ipywidgets.HTML()
        self.view = ipywidgets.VBox([self.picture, self.text])

    def __call__(self, history: History, done: bool) -> None:
        if not self._due:
            display(widget_bundle(self.view) | {"text/plain": WHILE_TRAINING}, raw=True)
        if done or time.monotonic() >= self._due:
            self.picture.value = png(render(draw_curves, history, (8, 3.6)))
            self.text.value = _pre(str(history), "aria-live='polite'")
            # 0 shows the next run anew
            self._due = 0.0 if done else time.monotonic() + self.every_seconds


def widget_bundle(view: ipywidgets.Widget) -> dict[str, dict]:
    """The part of an output that a live front end replaces by the widget `view`."""
    reference = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
    return {"application/vnd.jupyter.widget-view+json": reference}


def _pre(text: str, role: str, style: str = "") -> str:
    return f"<pre {role} style='line-height: 1.3; {style}'>{html.escape(text)}</pre>"
