"""Lesson 08: [V3] against itself: what its table and its sections give when they are built."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.factorised import Grid35
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import LAYOUTS, WIDTHS, InceptionV3, Layout
from inception_edu.layers import chain, channels, conv
from inception_edu.lessons.lesson_08 import plain
from inception_edu.lessons.shared import longest_path

SAID = {"layers": 42, "times": 2.5}  # [V3] section 6
PAPER: Layout = LAYOUTS["paper"]
LITERAL = PAPER._replace(  # three, five and two blocks, and the reductions beside them
    widths={
        **{f"grid35{letter}": WIDTHS["grid35b"] for letter in "abc"},
        "reduce35to17": WIDTHS["reduce35to17"],
        **{f"grid17{letter}": WIDTHS[f"grid17{letter}"] for letter in "abcd"},
        "grid17e": WIDTHS["grid17d"],
        "reduce17to8": WIDTHS["reduce17to8"],
        **{f"grid8{letter}": WIDTHS["grid8b"] for letter in "ab"},
    },
    aux="grid17e",
)


def built(layout: Layout | str, *, square: bool = False, seven: bool = False) -> InceptionV3:
    """A reading of the paper on the meta device, without its aux head: `square` puts Figure 5's
    blocks at 17 x 17, `seven` one 7x7 of stride 2 where three 3x3 begin the network."""
    with torch.device("meta"):
        network = InceptionV3(layout, aux=False).eval()
        for name, block in list(network.body.named_children()) if square else ():
            if name.startswith("grid17"):
                widths = WIDTHS["grid17d" if name.endswith("e") else name]
                entering = block.branch1x1.conv.in_channels
                setattr(network.body, name, Grid35(entering, widths))
        if seven:
            first = conv(3, channels(network.stem.conv3, 0), 7, 2, padding=0)
            rest = list(network.stem.named_children())[3:]
            network.stem = chain(conv1=first, **dict(rest))
    return network


READINGS: Mapping[str, Callable[[], InceptionV3]] = {
    "the last block of a row is the reduction": partial(built, PAPER),
    "section 6: reductions beside 3 + 5 + 2 blocks": partial(built, LITERAL),
    "the same, Figure 5 at 17x17 as its text says": partial(built, LITERAL, square=True),
    "one 7x7 first, as Table 3 implies of v2": partial(built, PAPER, seven=True),
    "torchvision's network": partial(built, "torchvision"),
}


def googlenets_macs() -> int:
    """Multiply-adds of [G] Table 1's network for 224 x 224 pixels."""
    with torch.device("meta"):
        return layer_table(GoogLeNet(aux=False)).macs


def facts(network: nn.Module) -> tuple[int, int, int, int]:
    """Blocks, layers with weights on the longest way, parameters, multiply-adds at 299 x 299."""
    logits = network(torch.empty(1, 3, 299, 299, device="meta")).logits
    costs = layer_table(network, (3, 299, 299))
    return len(network.body), longest_path(logits), costs.params, costs.macs


def literal_times() -> float:
    """How many times GoogLeNet's MACs section 6 costs if it is built as it stands."""
    return facts(built(LITERAL))[-1] / googlenets_macs()


def readings() -> Table:
    """What each reading of the paper gives, beside what the paper says."""
    rows = [("reading", "blocks", "layers", "million parameters", "billion MACs", "of GoogLeNet's")]
    for name, build in READINGS.items():
        blocks, layers, params, macs = facts(build())
        times = macs / googlenets_macs()
        numbers = f"{params / 1e6:.1f}", f"{macs / 1e9:.2f}", f"{times:.2f}"
        rows.append((name, blocks, layers, *numbers))
    rows.append(("[V3] abstract, section 6", "", SAID["layers"], "less than 25", "", SAID["times"]))
    return Table(rows, bold=[len(READINGS)])


def widths_table() -> Table:
    """The widths of every block of torchvision's network, as the exercises take them."""
    rows = [("block", *next(iter(plain.BLOCKS.values()))._fields)]
    rows += [(name, *(c or "" for c in w)) for name, w in plain.BLOCKS.items()]
    return Table(rows)
