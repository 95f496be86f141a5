"""Where the parts of a network stand beside and below each other, found from its graph of calls."""

import copy
import io
from contextlib import redirect_stderr
from functools import reduce
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from inception_edu.cost import layer_macs
from inception_edu.figures.style import COLOURS
from inception_edu.layers import pair
from inception_edu.network import Outputs

BRANCHES = ("branch1x1", "branch3x3", "branch5x5", "branch_pool")
BOX, GAP, BEND = 1.5, 0.55, 0.4  # widths, of rows' heights: a box, the room after it, a slant
POOLS = {"max_pool2d": "max pool", "avg_pool2d": "average pool", "adaptive_avg_pool2d": "mean"}


class Part(NamedTuple):
    """A box of the drawing, or a point without text where lines meet: from `x` on, around `y`."""

    x: float
    y: float
    text: str = ""
    macs: int = 0
    colour: str = ""
    before: tuple[fx.Node, ...] = ()

    @property
    def end(self) -> float:
        return self.x + BOX * bool(self.text)


class Drawing(NamedTuple):
    """A block: its boxes by node, the rows that they need, its output's shape and its sums."""

    parts: dict[fx.Node, Part]
    rows: int
    output: tuple[int, ...]
    params: int
    macs: int


def laid_out(title: str, block: nn.Module, shape: tuple[int, int, int]) -> Drawing:
    """A block's boxes with their places, found from its graph of calls."""
    layout, last, first = traced(title, block, shape)
    layout.place(last, first, 0.0, GAP, "")
    params = sum(p.numel() for p in block.parameters())
    output = tuple(last.meta["tensor_meta"].shape[1:])
    macs = sum(part.macs for part in set(layout.parts.values()))
    return Drawing(layout.parts, layout.height(last, first), output, params, macs)


def traced(
    title: str, block: nn.Module, shape: tuple[int, int, int]
) -> tuple["Layout", fx.Node, fx.Node]:
    """A block's graph of calls for an image of a shape (c, h, w), still without places; the node
    that makes its output, and that of its input."""
    try:
        graph = fx.symbolic_trace(copy.deepcopy(block))
        with redirect_stderr(io.StringIO()):  # to which ShapeProp prints what it also raises
            ShapeProp(graph.to("meta")).propagate(torch.empty(1, *shape, device="meta"))
    except Exception as error:  # whatever a block of one's own does in its forward
        reason = " ".join(str(error.__cause__ or error).split())
        raise ValueError(f"{title} cannot be drawn: {reason[:200]}") from error
    modules, nodes = dict(graph.named_modules()), list(graph.graph.nodes)
    first, last = nodes[0], nodes[-1].all_input_nodes[0]
    if last.target is Outputs:
        last = last.all_input_nodes[0]  # the main head
    return Layout(modules, _gates(nodes), {first: Part(0.0, 0.0)}), last, first


def _gates(nodes: list[fx.Node]) -> dict[fx.Node, fx.Node]:
    """For each node the last one that everything on its way has passed: its dominator."""
    passed: dict[fx.Node, list[fx.Node]] = {}
    for node in nodes:
        ways = [passed[before] for before in node.all_input_nodes if before in passed]
        common = reduce(lambda a, b: [n for n in a if n in b], ways) if ways else []
        passed[node] = [*common, node]
    return {node: way[-2] for node, way in passed.items() if len(way) > 1}


class Layout:
    """Where the parts of one graph stand: a series from left to right, branches below each other.

    `gates` are the nodes' dominators; `parts` grows with what is placed.
    """

    def __init__(self, modules: dict, gates: dict, parts: dict[fx.Node, Part]) -> None:
        self.modules, self.gates, self.parts = modules, gates, parts

    def series(self, last: fx.Node, first: fx.Node) -> list[fx.Node]:
        """The nodes that everything passes from `first`, which is left out, to `last`."""
        way = [last] if last is not first else []
        while way and self.gates[way[-1]] is not first:
            way.append(self.gates[way[-1]])
        return way[::-1]

    def height(self, last: fx.Node, first: fx.Node) -> int:
        """How many rows the part between two nodes needs."""
        heights = [sum(self.heights(node)) for node in self.series(last, first)]
        return max([1, *heights])

    def heights(self, node: fx.Node) -> list[int]:
        """How many rows each of the branches that meet in a node needs."""
        return [self.height(branch, self.gates[node]) for branch in node.all_input_nodes]

    def place(self, last: fx.Node, first: fx.Node, y: float, x: float, colour: str) -> float:
        """Put the part between two nodes around the height y, from x on; where it ends."""
        for node in self.series(last, first):
            branches, text = node.all_input_nodes, label(node, self.modules)
            if len(branches) > 1:
                rows, ends, top = self.heights(node), [], y + sum(self.heights(node)) / 2
                for i, (branch, high) in enumerate(zip(branches, rows, strict=True)):
                    own = colour or colour_of([branch], i)
                    ends.append(self.place(branch, self.gates[node], top - high / 2, x, own))
                    top -= high
                self.parts[node] = Part(max(ends), y, before=tuple(branches))
                x = max(ends) + GAP
            elif text:
                layer, before = self.modules.get(node.target), branches[0]
                image = tuple(before.meta["tensor_meta"].shape[1:])
                macs = layer_macs(layer, image) if layer else 0
                colour_here = colour or COLOURS["after"]
                self.parts[node] = Part(x, y, text, macs, colour_here, (before,))
                x += BOX + GAP
            elif branches:  # a norm or an activation: no box of its own
                self.parts[node] = self.parts[branches[0]]
        return x


def colour_of(nodes: list[fx.Node], i: int) -> str:
    """The colour of a branch: by the name that its layers have in Concat, else by its place."""
    words = {word for node in nodes for word in str(node.target).split(".")}
    named = [name for name in BRANCHES if name in words]
    return COLOURS[named[0] if named else BRANCHES[i % len(BRANCHES)]]


def label(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """What stands in a node's box; "" for what gets none."""
    layer, name = modules.get(node.target), getattr(node.target, "__name__", "")
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        k, stride = pair(layer.kernel_size), pair(layer.stride)[0]
        size = f"{k[0]}x{k[1]}" + f"/{stride}" * (stride > 1)
        if isinstance(layer, nn.Conv2d):
            return f"{size}, {layer.out_channels}"
        return f"{'max' if isinstance(layer, nn.MaxPool2d) else 'average'} {size}"
    if isinstance(layer, nn.Linear):
        return f"linear, {layer.out_features}"
    return "mean" if isinstance(layer, nn.AdaptiveAvgPool2d) else POOLS.get(name, "")
