"""An explorer without a kernel: one control's positions drawn beforehand, for slides and pages.

As an IPython extension (`%load_ext authoring.frames`) it adds the frames to what
every explorer displays from then on.
"""

import base64
import html
import json
import re
from collections.abc import Callable

import ipywidgets
from IPython.display import display

from authoring.execution import IS_FRAMES
from authoring.pictures import palette
from inception_edu.figures import picture_bundle
from inception_edu.widgets import Explorer, label, widget_bundle

MOST = 12  # positions


def positions(control: ipywidgets.Widget, most: int = MOST) -> tuple[list, int]:
    """What to set the control to, evenly spread with both ends, and which of them it stands at.

    Options are counted from 0, as `control.index` does.
    """
    if hasattr(control, "options"):
        every, now = list(range(len(control.options))), control.index
    elif isinstance(control, ipywidgets.Checkbox):
        every, now = [False, True], control.value
    elif isinstance(control, (ipywidgets.IntSlider, ipywidgets.FloatSlider)):
        steps = round((control.max - control.min) / control.step)
        every = [round(control.min + control.step * i, 9) for i in range(steps + 1)]
        now = min(every, key=lambda value: abs(value - control.value))
    else:  # nothing is known of its values
        return [control.value], 0
    if len(every) > most:
        every = [every[round(i * (len(every) - 1) / (most - 1))] for i in range(most)]
        if now not in every:
            every[min(range(1, most - 1), key=lambda i: abs(every[i] - now))] = now
    return every, every.index(now)


def place(control: ipywidgets.Widget, position: object) -> None:
    """Move the control to one of its `positions`."""
    setattr(control, "index" if hasattr(control, "options") else "value", position)


def frames(explorer: Explorer) -> str:
    """The explorer as HTML: a slider for one control, picture and words; the rest stays as it is.

    RuntimeError where a position cannot be drawn.
    """
    control = explorer.controls[explorer.moves]
    (where, now), drawn = positions(control), []
    for position in where:
        place(control, position)
        if explorer.message.value:
            why = html.unescape(re.sub("<.*?>", "", explorer.message.value)).split("\n")
            name = f"{explorer.title!r} at {explorer.moves} = {label(control)}"
            raise RuntimeError(f"the explorer {name} cannot be drawn: {' '.join(why[-2:])}")
        picture = "data:image/png;base64," + base64.b64encode(palette(explorer.png)).decode()
        drawn.append([label(control), picture, explorer.words])
    place(control, where[now])
    return _page(explorer, control.description, drawn, now)


def _page(explorer: Explorer, name: str, drawn: list[list], now: int) -> str:
    others = [c for key, c in explorer.controls.items() if key != explorer.moves]
    still = ", ".join(f"{c.description} = {label(c)}" for c in others)
    value, picture, words = (html.escape(text) for text in drawn[now])
    title, name = html.escape(explorer.title), html.escape(name)
    width, height = explorer.picture.width, explorer.picture.height
    drawn[now][1] = None  # it stands in the page already
    data = json.dumps(drawn).replace("<", "\\u003c")
    return f"""{IS_FRAMES}
<p class="mover"><b>{title}</b> <label>{name} <input type="range" min="0" max="{len(drawn) - 1}"
 value="{now}" aria-label="{name}" aria-valuetext="{value}"></label> <output>{value}</output></p>
<img src="{picture}" alt="{title}; {name} = {value}" width="{width}" height="{height}">
<pre aria-live="polite">{words}</pre>
<p class="still">{f"Here {html.escape(still)}; in the notebook all controls move." if still else ""}
</p><script type="application/json">{data}</script></div>"""


def load_ipython_extension(shell: object) -> None:
    """Let every explorer display its frames beside what it displays otherwise."""

    def show(explorer: Explorer, **kwargs: object) -> None:
        data, metadata = picture_bundle(explorer.png, explorer.plain, explorer.draw, explorer.size)
        data |= widget_bundle(explorer.view) | {"text/html": frames(explorer)}
        display(data, metadata=metadata, raw=True)

    Explorer._ipython_display_: Callable = show
