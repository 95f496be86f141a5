"""Lesson 08: the shapes between a network's parts, beside the paper's."""

from inception_edu.display import Table
from inception_edu.inception_v3 import TABLE_1
from inception_edu.lessons.lesson_08.staircase import Stage


def inputs_beside_table_1(parts: list[Stage], image: tuple[int, int, int]) -> Table:
    """[V3] Table 1's input of every row, beside what enters the network's part of that name."""
    entering = [image, *(part.output for part in parts)]
    names = [*(part.name for part in parts), "softmax"]
    rows = [("row", "type", "printed", "computed", "")]
    for name, row in TABLE_1.items():
        first = next(i for i, part in enumerate(names) if part in (name, f"{name}a"))
        got, printed = ("x".join(map(str, shape)) for shape in (entering[first], row.input))
        rows.append((name, row.type, printed, got, "equal" if got == printed else "DIFFERS"))
    return Table(rows, left=2)
