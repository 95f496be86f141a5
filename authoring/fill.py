"""A lesson with every exercise answered by the solution folded below it."""

import re

from nbformat import NotebookNode

from authoring.notebook import tags

FOLD = re.compile(r"<details>.*?</details>", re.S)
SOLUTION = re.compile(r"<summary>[^<]*solution.*?```python\n(.*?)```", re.S | re.I)


def fill(nb: NotebookNode) -> NotebookNode:
    """Put the solutions in, in place; returns the notebook."""
    solution = None
    for cell in reversed(nb.cells):  # so the last one met is the nearest below
        if cell.cell_type == "markdown":
            found = [SOLUTION.search(fold) for fold in FOLD.findall(cell.source)]
            solution = next((match[1].rstrip() for match in found if match), solution)
        elif "exercise" in tags(cell):
            if solution is None:
                raise ValueError(f"{cell.id}: an exercise needs a folded solution below it")
            cell.source, solution = solution, None
    return nb


def without_training(nb: NotebookNode) -> NotebookNode:
    """Leave out, in place, what trains for long and the cells after it; returns the notebook."""
    nb.cells = [cell for cell in nb.cells if not tags(cell) & {"long", "after-long"}]
    return nb
