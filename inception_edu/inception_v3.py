"""Inception v2 and v3, built of factorised blocks.

[V3] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
The paper's Table 1 stands here as data. It prints no widths of branches; those are [TV]'s, that is
torchvision's models/inception.py. What does "3 x Inception" count? Section 6 says three blocks,
*then* a reduction, five, a reduction, two: 12 blocks, 54 layers, 26.4 million parameters, 4.1 times
GoogLeNet's cost. We count as [TV] does, the last block of a row being the reduction: 10 blocks, 46
layers, 24.0 million, 3.5 times. Neither gives the 42 layers and 2.5 times that the paper states.
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

from torch import nn

from inception_edu import factorised
from inception_edu.checks import check_choice, entry_of
from inception_edu.factorised import AuxHead, Widths
from inception_edu.layers import channels, classifier, conv, scale
from inception_edu.network import Network


class Row(NamedTuple):
    """One row of [V3] Table 1, columns as printed; `input` is (height, width, channels)."""

    type: str
    patch: int
    stride: int
    input: tuple[int, int, int]


TABLE_1 = {
    "conv1": Row("conv", 3, 2, (299, 299, 3)),
    "conv2": Row("conv", 3, 1, (149, 149, 32)),
    "conv3": Row("conv padded", 3, 1, (147, 147, 32)),
    "pool1": Row("pool", 3, 2, (147, 147, 64)),
    "conv4": Row("conv", 3, 1, (73, 73, 64)),
    "conv5": Row("conv", 3, 2, (71, 71, 80)),
    "conv6": Row("conv", 3, 1, (35, 35, 192)),
    "grid35": Row("3 x Inception", 0, 1, (35, 35, 288)),
    "grid17": Row("5 x Inception", 0, 1, (17, 17, 768)),
    "grid8": Row("2 x Inception", 0, 1, (8, 8, 1280)),
    "pool": Row("pool", 8, 1, (8, 8, 2048)),
    "linear": Row("linear", 0, 1, (1, 1, 2048)),
    "softmax": Row("softmax", 0, 1, (1, 1, 1000)),
}
WIDTHS = {
    "grid35a": Widths(64, 48, 64, 64, 96, 64),
    "grid35b": Widths(64, 48, 64, 64, 96, 64),
    "reduce35to17": Widths(0, 0, 384, 64, 96, 0),
    "grid17a": Widths(192, 128, 192, 128, 192, 192),
    "grid17b": Widths(192, 160, 192, 160, 192, 192),
    "grid17c": Widths(192, 160, 192, 160, 192, 192),
    "grid17d": Widths(192, 192, 192, 192, 192, 192),
    "reduce17to8": Widths(0, 192, 320, 192, 192, 0),
    "grid8a": Widths(320, 384, 384, 448, 384, 192),
    "grid8b": Widths(320, 384, 384, 448, 384, 192),
}


# The smallest image, without and with the aux head at work, by the resolution a stem is made for.
MIN_SIZES = {299: (75, 107), 151: (39, 55), 79: (21, 29)}


class Layout(NamedTuple):
    """What sets a variant apart; the defaults are the paper's v3."""

    stem: dict[str, Row] = dict(list(TABLE_1.items())[:8])  # the last one says what it puts out
    widths: dict[str, Widths] = WIDTHS
    k: int = 3  # kernel of the branch with one aggregation at grid 35; Figure 5 has 3
    padding: int = 0  # of strided windows; 0 drops what they cannot fill, as in Table 1
    dropout: float = 0.0
    aux: str = "grid17d"  # the block whose output the aux head reads: the last at 17x17
    hidden_norm: bool = True  # v3's "BN auxiliary"; v2 has none on that layer (see AuxHead)
    min_sizes: dict[int, tuple[int, int]] = MIN_SIZES
    advice: str = (
        "enlarge them, or build the network with the stem of resolution=151 (from 39 pixels) "
        'or resolution=79 (from 21); InceptionV3("small") is made for 28 to 64'
    )

    def stem_for(self, resolution: int) -> dict[str, Row]:
        """The stem's rows for images of 299, 151 or 79 pixels, at nearly equal cost."""
        rows = dict(self.stem)  # [V3] section 9 says what changes
        if resolution < 299:
            rows["conv1"] = Row("conv", 3, 1, (resolution, resolution, 3))
        if resolution < 151:
            del rows["pool1"]
        return rows


LAYOUTS = {
    "paper": Layout(),
    "torchvision": Layout(
        stem={name: TABLE_1[name] for name in ("conv1", "conv2", "conv3", "pool1")}
        | {
            "conv4": Row("conv", 1, 1, (73, 73, 64)),
            "conv5": Row("conv", 3, 1, (73, 73, 80)),
            "pool2": Row("pool", 3, 2, (71, 71, 192)),
            "grid35": Row("4 x Inception", 0, 1, (35, 35, 192)),
        },
        widths={"grid35a": Widths(64, 48, 64, 64, 96, 32), "grid35b": WIDTHS["grid35a"]}
        | {"grid35c": WIDTHS["grid35b"]}
        | dict(list(WIDTHS.items())[2:]),
        k=5,
        dropout=0.5,
    ),
    "small": Layout(
        stem={
            "conv1": Row("conv padded", 3, 1, (28, 28, 3)),
            "conv2": Row("conv padded", 3, 1, (28, 28, 32)),
            "conv3": Row("conv padded", 3, 1, (28, 28, 32)),
            "pool1": Row("pool padded", 3, 2, (28, 28, 64)),
            "grid35": Row("3 x Inception", 0, 1, (14, 14, 64)),
        },
        padding=1,
        min_sizes={299: (9, 17)},  # one stem for all sizes: resolution stays at its default
        advice="enlarge them",
    ),
}


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
        "grid35": partial(factorised.Grid35, k=layout.k),
        "reduce35to17": partial(factorised.Reduce35to17, padding=layout.padding),
        "grid17": factorised.Grid17,
        "reduce17to8": partial(factorised.Reduce17to8, padding=layout.padding),
        "grid8": factorised.Grid8,
    }
    body, c_in = nn.Sequential(), scale(layout.stem["grid35"].input[2], width)
    for name, widths in layout.widths.items():
        block = kinds[name.rstrip("abcdef")](c_in, widths.scaled(width))
        body.add_module(name, block)
        c_in = channels(block, c_in)
    return body


class InceptionV3(Network):
    """Inception-v3: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Variants: "paper" is [V3] Table 1; "torchvision" puts out what torchvision's inception_v3 does;
    "small" has a stride-1 stem for images of 28 to 64 pixels; or a Layout of your own.
    `resolution` chooses the stem: 299, 151 or 79 pixels at nearly equal cost ([V3] section 9).
    `width` multiplies every channel count. Raises ValueError for another variant or resolution, a
    wrong number of input channels, and an image below `min_size` pixels.
    """

    layouts = LAYOUTS

    def __init__(
        self,
        variant: str | Layout = "paper",
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux: bool = True,
        resolution: int = 299,
        width: float = 1.0,
    ) -> None:
        sizes = dict(num_classes=num_classes, in_channels=in_channels, aux=aux, width=width)
        super().__init__(variant=variant, **sizes, resolution=resolution)
        variant = entry_of("variant", variant, self.layouts)
        check_choice("resolution of this variant", resolution, variant.min_sizes)
        rows = variant.stem_for(resolution)
        self.size, self.min_sizes = rows["conv1"].input[0], variant.min_sizes[resolution]
        self.reads, self.advice = {"aux": variant.aux}, variant.advice
        self.stem = stem(rows, in_channels, width)
        self.body = blocks(variant, width)
        self.head = classifier(channels(self.body, 0), num_classes, variant.dropout)
        self.aux = nn.ModuleDict()
        if aux:
            c, norm = channels(self.body.get_submodule(variant.aux), 0), variant.hidden_norm
            self.aux["aux"] = AuxHead(c, num_classes, hidden_norm=norm, width=width)


class InceptionV2(InceptionV3):
    """Inception-v2: v3 but for its aux head, whose fully connected layer is not batch-normalised
    ([V3] section 10; see AuxHead)."""

    layouts = {"paper": LAYOUTS["paper"]._replace(hidden_norm=False)}
