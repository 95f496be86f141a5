"""Explorers: live where there is a kernel, picture and words everywhere else."""

import asyncio
import html
import time
import traceback
from collections.abc import Callable, Sequence

import ipywidgets
from IPython.display import display

from inception_edu.checks import check_choice
from inception_edu.figures import (
    Draw,
    Easel,
    Picture,
    describe,
    draw_curves,
    on_page,
    picture_bundle,
    png,
)
from inception_edu.training.history import History

# A red bar beside the text, whose own colour is the page's: it can be read in a dark theme, too.
ALERT = "border-left: 4px solid #d32f2f; padding-left: 8px"
# For a screen reader alone: the picture says the same.
UNSEEN = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)"
HINT = (
    "<small style='opacity: 0.7'>If the picture no longer follows, the kernel has restarted: run "
    "this cell again.</small>"
)
BUTTONS = 64  # letters that find room beside each other
RESTS = 0.08  # seconds after which a control counts as resting


class Explorer:
    """Controls, a pure `compute(**values) -> data`, `draw(fig, data)` and `words(data) -> str`.

    `controls` maps compute's arguments to ipywidgets controls. Moving one replaces the bytes of
    one Image widget, so nothing flickers and the page does not jump: quickly at first, and sharply
    once the control rests. The displayed output holds the live view, the PNG as drawn and the
    words, which is what a page without a kernel shows. `moves` names the control that still moves
    on slides and hand-outs; None: the first. `tells` says whether the words hold more than the
    picture shows, and so stand below it.
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
        tells: bool = True,
    ) -> None:
        self.controls, self.title, self.size, self.tells = controls, title, size, tells
        self.moves = moves or next(iter(controls))
        check_choice("moves", self.moves, controls)
        self._compute, self.draw, self._words = compute, draw, words
        self._sharp, self._timer = Easel(size), None
        self._quick = self._sharp.quick()
        # Both width and height are set: the cell keeps its height while a picture is replaced.
        width, height = map(str, on_page(size))
        self.picture = ipywidgets.Image(format="png", width=width, height=height)
        self.text, self.message = ipywidgets.HTML(), ipywidgets.HTML()
        heading, hint = ipywidgets.HTML(f"<b>{html.escape(title)}</b>"), ipywidgets.HTML(HINT)
        parts = [heading, *controls.values(), self.message, self.picture, self.text, hint]
        self.view = ipywidgets.VBox(parts, layout={"max_width": f"{on_page((11, 0))[0]}px"})
        for name, control in controls.items():
            control.description = control.description or name
            control.tooltip = control.description  # else ipywidgets 8 makes it "null"
            control.style.description_width = "11em"
            control.layout.width = "100%"
            control.observe(self._on_change, names="value")
        self.update()

    @property
    def values(self) -> dict[str, object]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def update(self) -> None:
        """Compute, draw and tell again from the controls' values."""
        self._follow(self._sharp)

    def _follow(self, easel: Easel) -> None:
        self._data = self._compute(**self.values)
        self._show(easel)
        self.words = self._words(self._data)
        chosen = ", ".join(f"{c.description} = {label(c)}" for c in self.controls.values())
        self.plain = f"{self.title}\n[{chosen}]\n{self.words}\n{self._drawn}"
        self.text.value = _pre(self.words, "aria-live='polite'", "" if self.tells else UNSEEN)
        self.message.value = ""

    def _show(self, easel: Easel) -> None:
        fig = easel.draw(self.draw, self._data)
        self.png, self._drawn = png(fig), describe(fig)
        self.picture.value = self.png

    def _on_change(self, change: object) -> None:
        """Draw quickly while a control moves; where there is an event loop, sharply afterwards."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if self._timer:
            self._timer.cancel()
        try:
            self._follow(self._quick if loop else self._sharp)
        except Exception:  # otherwise lost in the server's log
            report = traceback.format_exc(limit=-2)
            self.message.value = _pre(report, "role='alert'", ALERT)
        else:
            self._timer = loop and loop.call_later(RESTS, self._show, self._sharp)

    def __repr__(self) -> str:
        return self.plain

    def _ipython_display_(self, **kwargs: object) -> None:
        # One raw bundle: ipywidgets 7 (Colab) and 8 show their own objects by different methods.
        data, metadata = picture_bundle(self.png, self.plain, self.draw, self.size)
        display(widget_bundle(self.view) | data, metadata=metadata, raw=True)


def label(control: ipywidgets.Widget) -> str:
    """The control's value as one reads it beside the control."""
    if hasattr(control, "options"):
        return str(control.label)
    if isinstance(control.value, bool):
        return "on" if control.value else "off"
    return f"{control.value:g}" if isinstance(control.value, float) else str(control.value)


def choices(
    options: Sequence[object], value: object = None, description: str = ""
) -> ipywidgets.ToggleButtons | ipywidgets.Dropdown:
    """A control that chooses one of some options (or (label, value) pairs): buttons side by side
    where they are few and short, else a list."""
    labels = [str(option[0] if isinstance(option, tuple) else option) for option in options]
    few = sum(len(label) + 4 for label in labels) <= BUTTONS
    kind = ipywidgets.ToggleButtons if few else ipywidgets.Dropdown
    chosen = {} if value is None else {"value": value}
    control = kind(options=list(options), description=description, **chosen)
    if few:
        control.style.button_width = "auto"
    return control


class LiveCurve:
    """Watches `fit`: shows its curves, redrawn every few seconds while the training runs, and in
    the end as a picture with its words, which stays in the saved notebook."""

    def __init__(self, *, every_seconds: float = 3.0) -> None:
        self.every_seconds, self._due = every_seconds, 0.0

    def __call__(self, history: History, done: bool) -> None:
        if not self._due:
            self._begin()
        if done:
            self._due, self.view.layout.display = 0.0, "none"  # the next run is shown anew
            display(Picture(draw_curves, history, str))
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + self.every_seconds
            self.picture.value = png(Easel((8, 3.6), density=1).draw(draw_curves, history))
            self.text.value = _pre(str(history), "aria-live='polite'")

    def _begin(self) -> None:
        width, height = map(str, on_page((8, 3.6)))
        self.picture = ipywidgets.Image(format="png", width=width, height=height)
        self.text = ipywidgets.HTML()
        self.view = ipywidgets.VBox([self.picture, self.text])
        display(widget_bundle(self.view) | {"text/plain": ""}, raw=True)


def widget_bundle(view: ipywidgets.Widget) -> dict[str, dict]:
    """The part of an output that a live front end replaces by the widget `view`."""
    reference = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
    return {"application/vnd.jupyter.widget-view+json": reference}


def _pre(text: str, role: str, style: str = "") -> str:
    return f"<pre {role} style='line-height: 1.3; {style}'>{html.escape(text)}</pre>"
