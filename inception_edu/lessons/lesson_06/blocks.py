"""Lesson 06: a block of Inception v3 with its 7x7s in three forms, counted."""

import torch

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.factorised import pooled
from inception_edu.inception_v3 import WIDTHS
from inception_edu.layers import Concat, conv, stack
from inception_edu.lessons.lesson_06.footprints import Kernels

C_IN, SIDE = 768, 17
SEVENS: dict[str, Kernels] = {
    "7x7": (7,),
    "three 3x3": (3, 3, 3),
    "1x7 and 7x1": ((1, 7), (7, 1)),
}


def grid17(kernels: Kernels) -> Concat:
    """The last block on 17x17, with some kernels wherever it sees 7x7 pixels: (n, 768, h, w) ->
    (n, 768, h, w)."""
    w, last = WIDTHS["grid17d"], kernels[-1]
    first = [(w.reduce, k) for k in kernels[:-1]]
    twice = [(w.double_reduce, k) for k in (*kernels, *kernels[:-1])]
    return Concat(
        branch1x1=conv(C_IN, w.n1x1, 1),
        branch7x7=stack(C_IN, (w.reduce, 1), *first, (w.single, last)),
        branch7x7dbl=stack(C_IN, (w.double_reduce, 1), *twice, (w.double, last)),
        branch_pool=pooled(C_IN, w.pool_proj),
    )


def sevens() -> Table:
    """What the block costs in each form."""
    with torch.device("meta"):
        blocks = {name: grid17(kernels) for name, kernels in SEVENS.items()}
    macs = {name: layer_table(block, (C_IN, SIDE, SIDE)).macs for name, block in blocks.items()}
    rows = [("each 7x7 as", "MACs of the block", "saved")]
    for name, count in macs.items():
        rows.append((name, f"{count:,}", f"{1 - count / macs['7x7']:.0%}"))
    return Table(rows, bold=[2])
