"""Lesson 03: the rows of Table 1 computed again in any network, by what it computes.

A network of any make is run once on the meta device, and every operation is noted as it happens:
nothing is asked of names, of the order of declaration, or of how layers are grouped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inception_edu.display import Table
from inception_edu.googlenet import TABLE_1

COMPUTED = [name for name in TABLE_1 if name not in ("dropout", "softmax")]  # those change no shape
Build = Callable[..., nn.Module]
OVER_ANY_GRID = ": take the mean over whatever grid there is"
POOLS = ("max_pool2d_with_indices", "avg_pool2d", "mean", "_adaptive_avg_pool2d")
LINEAR = ("addmm", "mm", "linear")


@dataclass
class Part:
    """A row of the table as a network computes it: what kind it is, what leaves it (h, w, c), the
    tensors of each of its layers (weight, bias, and those of its norm), and the rest counted."""

    kind: str
    output: tuple[int, int, int] = (1, 1, 0)
    layers: list[list[Tensor]] = field(default_factory=list)
    biases: int = 0
    norms: int = 0
    relus: int = 0
    macs: int = 0
    window: int = 0  # of a max pool
    rounds_up: bool = False  # whether its last window reaches over the edge

    @property
    def weights(self) -> list[tuple[int, ...]]:
        """The shape of each layer's weight."""
        return [tuple(layer[0].shape) for layer in self.layers]


class Recorder(TorchDispatchMode):
    """Notes the parts of a network while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Part] = []
        self.strange: set[str] = set()  # what a GoogLeNet does not do
        self.entering: Tensor | None = None  # what the last linear layer takes
        self._open: Part | None = None  # convolutions since the last row ended

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        first = out[0] if isinstance(out, (tuple, list)) else out
        shape = tuple(first.shape) if isinstance(first, Tensor) else ()
        if name == "convolution":
            self._convolution(shape, args)
        elif name == "cat":
            self._end("inception", shape)
        elif name in POOLS:
            self._pool(name, shape, args)
        elif name in LINEAR and len(shape) == 2:
            self._linear(name, shape, args)
        elif "batch_norm" in name:
            self._norm(args)
        elif name.startswith(("relu", "clamp", "threshold", "maximum")):
            self._relu()
        elif name.startswith(("pow", "avg_pool3d", "_softmax", "_log_softmax")):
            self.strange.add(name)
        return out

    def _grow(self) -> Part:
        self._open = self._open or Part("convolution")
        return self._open

    def _convolution(self, shape: tuple[int, ...], args: tuple) -> None:
        part, weight = self._grow(), args[1]
        part.output = _hwc(shape)
        part.layers.append([value for value in args[1:3] if value is not None])
        part.biases += args[2] is not None
        part.macs += weight.numel() * shape[2] * shape[3]

    def _norm(self, args: tuple) -> None:
        part = self._grow()
        part.norms += 1
        if part.layers:
            part.layers[-1] += [value for value in args[1:3] if value is not None]

    def _relu(self) -> None:
        if self._open or not self.parts:
            self._grow().relus += 1
        else:  # one for all branches, or behind a pool
            self.parts[-1].relus += 1

    def _end(self, kind: str, shape: tuple[int, ...]) -> None:
        part, self._open = self._grow(), None
        part.kind, part.output = kind, _hwc(shape)
        self.parts.append(part)

    def _pool(self, name: str, shape: tuple[int, ...], args: tuple) -> None:
        strides = (args[2] if len(args) > 2 else []) or args[1]
        if name.startswith("max") and max(strides) == 1:
            return  # the pool in a block
        if self._open:
            self._end("convolution", (1, self._open.output[2], *self._open.output[:2]))
        if not name.startswith("max"):
            self.parts.append(Part("avg pool", _hwc(shape)))
            if [part.kind for part in self.parts[-2:]] == ["avg pool"] * 2:  # height, then width
                del self.parts[-2]
            return
        rounds_up = len(args) > 5 and bool(args[5])
        self.parts.append(Part("max pool", _hwc(shape), window=args[1][0], rounds_up=rounds_up))

    def _linear(self, name: str, shape: tuple[int, ...], args: tuple) -> None:
        if self._open:
            self._end("convolution", (1, self._open.output[2], *self._open.output[:2]))
        self.entering = args[1 if name == "addmm" else 0]
        bias, weight = (args[0], args[2]) if name == "addmm" else (None, args[1])
        weight = weight if name == "linear" else weight.t()  # a view of the network's own
        layer = [weight] + [bias] * (bias is not None)
        part = Part("linear", (1, 1, shape[1]), [layer], len(layer) - 1, macs=weight.numel())
        self.parts.append(part)


def _hwc(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(n, c, h, w), or (n, c) for what has no grid any more, as height, width, channels."""
    c, h, w = (*shape[1:], 1, 1)[:3]
    return h, w, c


def recorded(network: nn.Module, side: int = 224) -> tuple[Recorder, Tensor]:
    """What one image of side x side pixels goes through in a network on the meta device, and what
    comes out. An error of the network's own is raised with the recorder as its `recorder`."""
    recorder = Recorder()
    try:
        with recorder, torch.no_grad():
            out = network(torch.empty(1, 3, side, side, device="meta"))
    except Exception as error:
        error.recorder = recorder
        raise
    return recorder, out


def beside_table_1(network: nn.Module) -> Table:
    """What leaves every row of Table 1 in a network on the meta device, beside what is printed."""
    parts = recorded(network.eval())[0].parts
    computed = {name: part.output for name, part in zip(COMPUTED, parts, strict=False)}
    computed["dropout"], computed["softmax"] = computed.get("avgpool"), computed.get("linear")
    rows = [("row", "type", "computed", "printed", "")]
    for name, row in TABLE_1.items():
        got, printed = (
            "x".join(map(str, s)) if s else "" for s in (computed.get(name), row.output)
        )
        rows.append((name, row.type, got, printed, "equal" if got == printed else "DIFFERS"))
    return Table(rows, left=2)
