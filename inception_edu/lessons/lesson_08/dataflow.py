"""Which layer of a network stands for which of another one's, however either is written: by what
enters a layer and by what becomes of it, as one pass through the network shows.

Nothing is asked of names, of the order in which layers are declared or run, or of how they are
grouped. What has no weights and joins nothing (norms, ReLUs, means, dropout) is passed through.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

POOLS = {"max_pool2d_with_indices": "max pool", "avg_pool2d": "average pool"}
LINEAR = ("addmm", "mm", "linear")


@dataclass(eq=False)
class Node:
    """A layer at work: its kind, the size of its kernel or window and its stride, what enters it,
    its own tensors (weight, bias, and those of the norm behind it), and the channels it puts out.
    `up` stands for all that leads to it, `down` for all that becomes of it."""

    kind: str
    size: tuple[int, ...]
    stride: tuple[int, ...] = ()
    inputs: tuple["Node", ...] = ()
    tensors: list[Tensor] = field(default_factory=list)
    channels: int = 0
    relus: int = 0
    norms: int = 0
    entering: Tensor | None = None
    down: int = 0

    def __post_init__(self) -> None:
        before = tuple(node.up for node in self.inputs)
        self.up = hash((self.kind, self.size, self.stride, before))

    def __str__(self) -> str:
        if self.kind == "joining":
            return "joining " + " | ".join(str(node.channels) for node in self.inputs) + " channels"
        if self.kind == "linear layer":
            return f"a linear layer from {self.size[1]} to {self.size[0]}"
        across = "x".join(map(str, self.size[-2:]))
        across += f" stride {self.stride[0]}" if self.stride[0] > 1 else ""
        if self.kind == "convolution":
            return f"a {across} convolution from {self.size[1]} to {self.size[0]} channels"
        return f"a {across} {self.kind}"


class Trace(TorchDispatchMode):
    """Notes the layers of a network while it runs, in the order in which they run."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.start = Node("image", ())
        self.nodes: list[Node] = []
        self._of = {id(x): self.start}
        self._alive = [x]  # an id belongs to a tensor only while that is there

    def node(self, tensor: object) -> Node | None:
        """The layer that a tensor comes from."""
        return self._of.get(id(tensor))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        first = out[0] if isinstance(out, (tuple, list)) else out
        if isinstance(first, Tensor) and (node := self._noted(_name(func), args, first)):
            self._of[id(first)] = node
            self._alive.append(first)
        return out

    def _noted(self, name: str, args: tuple, out: Tensor) -> Node | None:
        if name == "cat":
            return self._joined(args[0])
        takes = (value for value in args if isinstance(value, Tensor) and self.node(value))
        if (x := next(takes, None)) is None:
            return None
        before = self.node(x)
        if name == "convolution":
            own = [value for value in args[1:3] if value is not None]
            return self._add("convolution", args[1].shape, args[3], [before], own, out)
        if name in POOLS:
            stride = (args[2] if len(args) > 2 else []) or args[1]
            return self._add(POOLS[name], args[1], stride, [before], [], out)
        if name in LINEAR and out.ndim == 2:
            weight = args[2] if name == "addmm" else args[1]
            own = [weight.t()] + ([args[0]] if name == "addmm" else [])
            return self._add("linear layer", own[0].shape, (), [before], own, out, x)
        if "batch_norm" in name and before.kind == "convolution":
            before.tensors += [value for value in args[1:5] if value is not None]
            before.norms += 1
        if name.startswith(("relu", "clamp", "threshold", "maximum")):
            for node in before.inputs if before.kind == "joining" else [before]:
                node.relus += 1
        return before

    def _joined(self, tensors: Sequence[Tensor]) -> Node | None:
        nodes = [self.node(tensor) for tensor in tensors]
        if None in nodes:
            return None
        inner = [node.inputs if node.kind == "joining" else (node,) for node in nodes]
        return self._add("joining", (), (), [node for group in inner for node in group], [], None)

    def _add(self, kind, size, stride, inputs, own, out, entering=None) -> Node:
        pairs = (tuple(stride) * 2)[:2] if len(stride) < 2 else tuple(stride)
        size = tuple(size) * (2 if kind in POOLS.values() and len(size) == 1 else 1)
        node = Node(kind, size, pairs, tuple(inputs), own, entering=entering)
        node.channels = sum(n.channels for n in inputs) if out is None else out.shape[1]
        self.nodes.append(node)
        return node


def _name(func: Callable) -> str:
    return func.overloadpacket.__name__


def traced(network: nn.Module, x: Tensor) -> list[Node]:
    """The layers of a network that have a part in what it puts out for x, in the order in which
    they run. An error of the network's own is raised with the layers so far as its `nodes`."""
    trace = Trace(x)
    try:
        with trace, torch.no_grad():
            out = network(x)
    except Exception as error:
        error.nodes = trace.nodes
        raise
    ends: dict[Node, list[tuple]] = {}
    for place, tensor in enumerate(out if isinstance(out, (tuple, list)) else [out]):
        if node := trace.node(tensor):
            ends.setdefault(node, []).append(("output", place))
    for node in reversed(trace.nodes):
        if node not in ends:  # a joining that another one takes in, or what nobody uses
            continue
        node.down = hash(tuple(sorted(ends.get(node, []), key=repr)))
        for place, before in enumerate(node.inputs):
            where = place if node.kind == "joining" else 0
            ends.setdefault(before, []).append((node.kind, node.size, where, node.down))
    return [node for node in trace.nodes if node in ends]


def pairs(mine: list[Node], theirs: list[Node]) -> Iterator[tuple[Tensor, Tensor]]:
    """The tensors of two networks that stand for each other, where their layers are the same."""
    places: dict[tuple[int, int], list[Node]] = {}
    for node in mine:
        places.setdefault((node.up, node.down), []).append(node)
    for node in theirs:
        own = places[node.up, node.down].pop(0)
        yield from zip(own.tensors, node.tensors, strict=True)


def difference(
    mine: list[Node], theirs: list[Node], network: nn.Module, *, begun: bool = False
) -> str | None:
    """The first layer in which a network differs from the right one (`network`, whose layers are
    `theirs`), by its place there; None where all agree. `begun`: what is missing is no fault."""
    have, wanted = (Counter(node.up for node in nodes) for nodes in (mine, theirs))
    surplus, places = have - wanted, named(theirs, network)
    for node in theirs:
        if have[node.up]:
            have[node.up] -= 1
            continue
        before = [n.up for n in node.inputs]
        rivals = [n for n in mine if surplus[n.up] and [i.up for i in n.inputs] == before]
        if node.kind == "joining":
            rivals = [n for n in mine if surplus[n.up] and n.kind == "joining"]
        alike = sorted(rivals, key=lambda n: n.kind != node.kind)[:1]
        if alike or not begun:
            there = f"; your network has {alike[0]} there" if alike else ""
            return f"in {places[node]}, expected {node}{there}"
    more = next((node for node in mine if surplus[node.up]), None)
    return f"it has {more} too many" if more and not begun else None


def named(nodes: list[Node], network: nn.Module) -> dict[Node, str]:
    """Where each layer stands in its network, by the names of the weights there."""
    names = {p.data_ptr(): name for name, p in network.named_parameters()}
    places, block = {}, "the stem"
    for node in nodes:
        if node.tensors:
            name = names[node.tensors[0].data_ptr()].removeprefix("network.")
            block = place_of(name)
        places[node] = block
    return places


def place_of(name: str) -> str:
    """A weight's name in words: body.grid17a.branch7x7.1.conv.weight -> grid17a, branch7x7."""
    part, *rest = name.split(".")
    if part == "body":
        return f"{rest[0]}, {rest[1]}"
    return {"aux": "the aux head", "head": "the head"}.get(part, f"the {part}, {rest[0]}")
