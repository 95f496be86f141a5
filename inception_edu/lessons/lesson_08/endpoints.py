"""Lesson 08: the shapes between a network's parts, beside the paper's and torchvision's."""

import torch
from torch import nn

from inception_edu.display import Table
from inception_edu.inception_v3 import TABLE_1
from inception_edu.lessons.lesson_08.staircase import Stage
from inception_edu.torchvision_weights import inception_v3_layers


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


def beside_torchvision(parts: list[Stage], theirs: nn.Module, side: int) -> Table:
    """Each part's output beside that of its counterpart, which torchvision's own code computes."""
    counterparts, outputs = {}, {}
    for ours, other in inception_v3_layers().items():
        counterparts[ours.split(".")[1]] = other.split(".")[0]
    for name, module in theirs.named_children():
        module.register_forward_hook(lambda _, x, out, name=name: outputs.update({name: out}))
    theirs.eval()(torch.empty(1, 3, side, side, device="meta"))
    rows = [("ours", "torchvision's", "ours", "theirs", "")]
    for part in parts:
        if part.name in counterparts and part.kind != "linear":
            other = counterparts[part.name]
            _, c, *grid = outputs[other].shape
            shapes = ["x".join(map(str, shape)) for shape in (part.output, (*grid, c))]
            rows.append((part.name, other, *shapes, "equal" if len({*shapes}) == 1 else "DIFFERS"))
    return Table(rows, left=2)
