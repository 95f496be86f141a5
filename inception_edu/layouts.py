"""Inception v2 and v3 as data: the paper's Table 1, branch widths, and where the variants differ.

[V3] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
Where it is silent the choice is ours: branch widths are those of [TV], torchvision's
models/inception.py, and of "3x" and "5x Inception" the last block is the grid reduction.
"""

from typing import NamedTuple

from inception_edu.factorised import Widths


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
AUX = {"aux": "grid17d"}  # aux head -> the block whose output it reads


class Layout(NamedTuple):
    """What sets a variant apart: its stem's rows, its blocks, and how it treats the grid's edge."""

    stem: dict[str, Row]
    widths: dict[str, Widths] = WIDTHS
    k: int = 3  # kernel of the branch with one aggregation at grid 35; Figure 5 has 3
    padding: int = 0  # of strided windows; 0 drops what they cannot fill, as in Table 1
    dropout: float = 0.0
    min_sizes: tuple[int, int] | None = None  # None: those of the resolution

    def stem_for(self, resolution: int) -> dict[str, Row]:
        """The stem's rows for images of 299, 151 or 79 pixels, at nearly equal cost."""
        rows = dict(self.stem)  # [V3] section 9 says what changes
        if resolution < 299:
            rows["conv1"] = rows["conv1"]._replace(stride=1)
        if resolution < 151:
            del rows["pool1"]
        return rows


ROWS = list(TABLE_1.items())
LAYOUTS = {
    "paper": Layout(dict(ROWS[:8])),
    "torchvision": Layout(
        dict(ROWS[:4])
        | {
            "conv4": Row("conv", 1, 1, (73, 73, 64)),
            "conv5": Row("conv", 3, 1, (73, 73, 80)),
            "pool2": Row("pool", 3, 2, (71, 71, 192)),
            "grid35": Row("4 x Inception", 0, 1, (35, 35, 192)),
        },
        {"grid35a": Widths(64, 48, 64, 64, 96, 32), "grid35b": WIDTHS["grid35a"]}
        | {"grid35c": WIDTHS["grid35b"]}
        | dict(list(WIDTHS.items())[2:]),
        k=5,
        dropout=0.5,
    ),
    "small": Layout(
        {
            "conv1": Row("conv padded", 3, 1, (28, 28, 3)),
            "conv2": Row("conv padded", 3, 1, (28, 28, 32)),
            "conv3": Row("conv padded", 3, 1, (28, 28, 32)),
            "pool1": Row("pool padded", 3, 2, (28, 28, 64)),
            "grid35": Row("3 x Inception", 0, 1, (14, 14, 64)),
        },
        padding=1,
        min_sizes=(9, 17),
    ),
}
MIN_SIZES = {299: (75, 107), 151: (39, 55), 79: (21, 29)}  # of the full stems, by resolution
