"""Inception v2 and v3: networks that read the tables of layouts.py, built of factorised blocks.

[V3] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
"""

from functools import partial
from itertools import pairwise

from torch import nn

from inception_edu.factorised import (
    AuxHead,
    grid8,
    grid17,
    grid35,
    reduce17to8,
    reduce35to17,
)
from inception_edu.layers import (
    channels,
    check_choice,
    check_count,
    check_width,
    classifier,
    conv,
    scale,
)
from inception_edu.layouts import AUX, LAYOUTS, MIN_SIZES, Layout, Row
from inception_edu.network import Network


def stem(rows: dict[str, Row], c_in: int, width: float) -> nn.Sequential:
    """The rows before "grid35", each putting out what the next one takes: 299x299 -> 35x35."""
    layers = nn.Sequential()
    for name, following in pairwise(rows):
        row, (h, _, c) = rows[name], rows[following].input
        keeps = h == row.input[0] or "padded" in row.type
        padding, c_out = row.patch // 2 * keeps, scale(c, width)
        if row.type.startswith("pool"):
            layers.add_module(name, nn.MaxPool2d(row.patch, row.stride, padding))
        else:
            layers.add_module(name, conv(c_in, c_out, row.patch, row.stride, padding=padding))
            c_in = c_out
    return layers


def blocks(layout: Layout, width: float) -> nn.Sequential:
    """grid35a to grid8b: (n, c, 35, 35) -> (n, 2048 width, 8, 8)."""
    kinds = {
        "grid35": partial(grid35, k=layout.k),
        "reduce35to17": partial(reduce35to17, padding=layout.padding),
        "grid17": grid17,
        "reduce17to8": partial(reduce17to8, padding=layout.padding),
        "grid8": grid8,
    }
    body, c_in = nn.Sequential(), scale(layout.stem["grid35"].input[2], width)
    for name, widths in layout.widths.items():
        block = kinds[name.rstrip("abcd")](c_in, widths.scaled(width))
        body.add_module(name, block)
        c_in = channels(block, c_in)
    return body


class InceptionV2(Network):
    """Inception-v2 as [V3] Table 1: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Its aux head has no batch norm. `resolution` chooses the stem: 299, 151 or 79 pixels at nearly
    equal cost ([V3] section 9). Raises ValueError for another resolution, a wrong number of input
    channels, and an image below `min_size` pixels.
    """

    reads = AUX

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux: bool = True,
        resolution: int = 299,
        width: float = 1.0,
    ) -> None:
        sizes = dict(num_classes=num_classes, in_channels=in_channels, aux=aux, width=width)
        super().__init__(**sizes, resolution=resolution)
        _build(self, LAYOUTS["paper"], aux_norm=False)


class InceptionV3(Network):
    """Inception-v3: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Variants: "paper" is InceptionV2's network with a batch-normalised aux head ([V3] section 6);
    "torchvision" puts out what torchvision's inception_v3 does; "small" has a stride-1 stem for
    images of 28 to 64 pixels. `width` multiplies every channel count. `resolution` and errors are
    as for InceptionV2.
    """

    reads = AUX

    def __init__(
        self,
        variant: str = "paper",
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux: bool = True,
        resolution: int = 299,
        width: float = 1.0,
    ) -> None:
        sizes = dict(num_classes=num_classes, in_channels=in_channels, aux=aux, width=width)
        super().__init__(variant=variant, **sizes, resolution=resolution)
        check_choice("variant", variant, LAYOUTS)
        _build(self, LAYOUTS[variant], aux_norm=True)


def _build(network: Network, layout: Layout, *, aux_norm: bool) -> None:
    """Give a network its parts, by its arguments."""
    told = network.arguments
    classes, c_in, width = told["num_classes"], told["in_channels"], told["width"]
    check_count(num_classes=classes, in_channels=c_in)
    check_width(width)
    check_choice("resolution", told["resolution"], MIN_SIZES)
    network.min_sizes = layout.min_sizes or MIN_SIZES[told["resolution"]]
    if not layout.min_sizes:
        network.advice = (
            "enlarge them, or build the network with the stem of resolution=151 (from 39 pixels) "
            'or resolution=79 (from 21); InceptionV3("small") is made for 28 to 64'
        )
    elif told["resolution"] != 299:
        raise ValueError(
            "resolution chooses the stem of the full-size variants; leave it out with "
            f'variant="small", got {told["resolution"]}'
        )
    network.stem = stem(layout.stem_for(told["resolution"]), c_in, width)
    network.body = blocks(layout, width)
    c_head = channels(network.body.grid8b, 0)
    network.head = classifier(c_head, classes, layout.dropout)
    network.aux = nn.ModuleDict()
    for name, block in AUX.items() if told["aux"] else ():
        c = channels(network.body.get_submodule(block), 0)
        network.aux[name] = AuxHead(c, classes, norm=aux_norm, width=width)
