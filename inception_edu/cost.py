"""What a convolution costs: parameters, multiply-adds (MACs), receptive field, milliseconds.

One MAC is one multiplication and one addition, so FLOPs = 2 MACs. The closed form counts one
image and leaves out what is cheap beside it: bias, batch norm, ReLU, pooling.
"""

import copy
import time
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inception_edu.checks import check_count, check_kind
from inception_edu.display import Table, text_table as text_table
from inception_edu.layers import Concat, kernel_size, pair, same_padding


class Cost(NamedTuple):
    """Cost of one layer for one image, and the (c, h, w) that it puts out."""

    params: int
    macs: int
    output: tuple[int, int, int]


def conv_cost(
    c_in: int,
    c_out: int,
    k: int | tuple[int, int],
    size: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] = "same",
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    bias: bool = False,
) -> Cost:
    """Closed-form cost of a convolution on a (c_in, h, w) image, `size` being h or (h, w).

    Each of the c_out h' w' output values costs kh kw c_in/groups MACs. Raises TypeError or
    ValueError for a count that is no positive whole number and for an image below the kernel.
    """
    check_count(c_in=c_in, c_out=c_out, groups=groups)
    if c_in % groups or c_out % groups:
        raise ValueError(f"groups must divide c_in={c_in} and c_out={c_out}, got {groups}")
    kernel, image, strides = kernel_size(k), pair(size), pair(stride)
    check_count(height=image[0], width=image[1], stride=min(strides))
    area = kernel[0] * kernel[1]
    kernel = tuple((n - 1) * d + 1 for n, d in zip(kernel, pair(dilation), strict=True))
    pad = same_padding(kernel) if padding == "same" else pair(0 if padding == "valid" else padding)
    h, w = (
        (n + 2 * p - kn) // s + 1 for n, p, kn, s in zip(image, pad, kernel, strides, strict=True)
    )
    if h < 1 or w < 1:
        raise ValueError(
            f"size must be at least the kernel {kernel} with padding {pad}, got {size}"
        )
    weights = area * (c_in // groups) * c_out
    return Cost(weights + bias * c_out, weights * h * w, (c_out, h, w))


class LayerRow(NamedTuple):
    """One line of a layer table: output (c, h, w) or (features,), for one image."""

    name: str
    output: tuple[int, ...]
    params: int
    macs: int


class LayerTable:
    """Rows of a network's cost with their sums; prints as text, shows as a table in a notebook."""

    def __init__(self, rows: list[LayerRow]) -> None:
        self.rows = rows
        self.params = sum(row.params for row in rows)
        self.macs = sum(row.macs for row in rows)

    def cells(self) -> list[tuple[str, str, str, str]]:
        """Heading, rows and total as text."""
        rows = [*self.rows, LayerRow("total", (), self.params, self.macs)]
        lines = [(n, "x".join(map(str, o)), f"{p:,}", f"{macs:,}") for n, o, p, macs in rows]
        return [("layer", "output", "params", "MACs"), *lines]

    def table(self) -> Table:
        """The rows and the total, as they are shown."""
        return Table(self.cells(), left=2, bold=[len(self.rows)])

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def layer_table(
    model: nn.Module,
    input_size: tuple[int, int, int] = (3, 224, 224),
    *,
    depth: int | None = None,
    training: bool = False,
) -> LayerTable:
    """Cost of every layer for one (c, h, w) image, without computing anything (meta device).

    `depth` joins the layers that share the first `depth` parts of their name: 1 gives a row for
    stem, body and head, 2 a row for each block. `training` counts what runs only then (aux heads).
    """
    check_kind("model", model, isinstance(model, nn.Module), "a network (nn.Module)")
    is_size = isinstance(input_size, (tuple, list))
    check_kind("input_size", input_size, is_size, "(channels, height, width), as (3, 224, 224)")
    if depth is not None:
        check_count(depth=depth)
    model = copy.deepcopy(model).to("meta").train(training)
    rows: dict[str, LayerRow] = {}

    def count(module: nn.Module, inputs: tuple, output: Tensor, *, name: str, params: list) -> None:
        key = ".".join(name.split(".")[:depth])
        row = rows.get(key, LayerRow(key, (), 0, 0))
        rows[key] = LayerRow(
            key,
            tuple(output.shape[1:]) if name == key else row.output,
            row.params + (params.pop() if params else 0),  # a layer used twice is counted once
            row.macs + layer_macs(module, tuple(inputs[0].shape[1:])),
        )

    for name, module in model.named_modules():
        if not any(module.children()) or name and depth and name.count(".") + 1 == depth:
            own = [sum(p.numel() for p in module.parameters(recurse=False))]
            module.register_forward_hook(partial(count, name=name, params=own))
    model(torch.empty(1 + training, *input_size, device="meta"))  # batch norm trains on two
    return LayerTable(list(rows.values()))


def layer_macs(layer: nn.Module, image: tuple[int, ...]) -> int:
    """MACs of one layer for one image (c, h, w): of a convolution or a linear layer; else 0."""
    if isinstance(layer, nn.Conv2d):
        sizes = layer.in_channels, layer.out_channels, layer.kernel_size, tuple(image[1:])
        options = {n: getattr(layer, n) for n in ("stride", "padding", "groups", "dilation")}
        return conv_cost(*sizes, **options).macs
    if isinstance(layer, nn.Linear):
        return layer.in_features * layer.out_features
    return 0


class ReceptiveField(NamedTuple):
    """Pixels of the input that one output value sees, and that neighbours lie apart: (h, w)."""

    size: tuple[int, int] = (1, 1)
    jump: tuple[int, int] = (1, 1)


_POINTWISE = (nn.ReLU, nn.BatchNorm2d, nn.Dropout, nn.Identity, nn.LocalResponseNorm)


def receptive_field(*path: nn.Module) -> ReceptiveField:
    """Receptive field of layers run one after the other; of a Concat, that of its widest branch.

    Raises ValueError for a layer that is neither a convolution, a pool nor pointwise.
    """
    return _extend(ReceptiveField(), path)


def _extend(field: ReceptiveField, path: Iterable[nn.Module]) -> ReceptiveField:
    for layer in path:
        if isinstance(layer, Concat):
            fields = [_extend(field, [branch]) for branch in layer.values()]
            size = tuple(max(each.size[i] for each in fields) for i in range(2))
            field = ReceptiveField(size, fields[0].jump)
        elif isinstance(layer, nn.Sequential):
            field = _extend(field, layer)
        elif isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            k, stride = pair(layer.kernel_size), pair(layer.stride)
            dilation = pair(getattr(layer, "dilation", 1))
            span = [(k[i] - 1) * dilation[i] * field.jump[i] for i in range(2)]
            size = tuple(field.size[i] + span[i] for i in range(2))
            field = ReceptiveField(size, tuple(field.jump[i] * stride[i] for i in range(2)))
        elif not isinstance(layer, _POINTWISE):
            kind = type(layer).__name__
            raise ValueError(f"path must hold convolutions, pools and pointwise layers, got {kind}")
    return field


@torch.no_grad()
def milliseconds(module: nn.Module, x: Tensor, *, repeats: int = 20) -> float:
    """The shortest time of `module(x)` in milliseconds, after two runs that are not counted."""
    check_count(repeats=repeats)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        module(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return min(times[2:])  # what else the machine does can only add
