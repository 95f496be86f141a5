"""How long an explorer's step takes: every control moved to all its positions, in its notebook.

As an IPython extension it times every explorer that is displayed from then on.
"""

import statistics
import time
from pathlib import Path

from IPython.display import display

from authoring.execution import run_explorers
from authoring.frames import place, positions
from authoring.notebook import code
from inception_edu.widgets import Explorer

TIMES = "application/json"
COLUMNS = "{:>6}  {:<58}{:>7}{:>10}{:>9}{:>9}"


def steps(explorer: Explorer) -> list[float]:
    """Milliseconds of each move: one control after the other, to its end, and back where it was."""
    taken = []
    for control in explorer.controls.values():
        where, now = positions(control)
        for position in [*where[now + 1 :], *where[: now + 1]] if len(where) > 1 else []:
            start = time.perf_counter()
            place(control, position)
            taken.append(1000 * (time.perf_counter() - start))
    return taken


def row(lesson: str, title: str, taken: list[float]) -> str:
    """A row of the table: the median, what nine of ten steps stay below, and the longest."""
    found = statistics.median(taken), sorted(taken)[int(0.9 * len(taken))], max(taken)
    return COLUMNS.format(lesson, title, len(taken), *(f"{ms:.0f}" for ms in found))


def explorers(notebooks: list[Path]) -> list[str]:
    """The table of all explorers of the notebooks, which are run as far as those need it."""
    table = [COLUMNS.format("lesson", "explorer", "steps", "median ms", "9 of 10", "longest")]
    for path in notebooks:
        for out in (out for cell in code(run_explorers(path, __name__)) for out in cell.outputs):
            if TIMES in out.get("data", {}):
                table.append(row(path.name[:2], **out.data[TIMES]))
    return table


def load_ipython_extension(shell: object) -> None:
    """Let every explorer display what its steps take."""

    def show(explorer: Explorer, **kwargs: object) -> None:
        display({TIMES: dict(title=explorer.title, taken=steps(explorer))}, raw=True)

    Explorer._ipython_display_ = show
