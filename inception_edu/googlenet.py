"""GoogLeNet, the first Inception network.

[G] Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842. The paper's Table 1 stands
here as data; the block and the network below read it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor, nn

from inception_edu.layers import Concat, check_count, conv


class Row(NamedTuple):
    """One row of [G] Table 1, columns as printed; channels are 0 where the table is blank."""

    type: str
    patch: int = 0
    stride: int = 1
    output: tuple[int, int, int] = (0, 0, 0)  # height, width, channels
    depth: int = 0
    n1x1: int = 0
    n3x3_reduce: int = 0
    n3x3: int = 0
    n5x5_reduce: int = 0
    n5x5: int = 0
    pool_proj: int = 0
    params: str = ""
    ops: str = ""

    @property
    def c_out(self) -> int:
        """Channels of an Inception block with this row's widths."""
        return self.n1x1 + self.n3x3 + self.n5x5 + self.pool_proj

    def scaled(self, width: float) -> "Row":
        """The row with its six channel counts multiplied by `width`, each at least 1."""
        names = ("n1x1", "n3x3_reduce", "n3x3", "n5x5_reduce", "n5x5", "pool_proj")
        return self._replace(**{name: scale(getattr(self, name), width) for name in names})


TABLE_1 = {  # fmt: skip
    "conv1": Row("convolution", 7, 2, (112, 112, 64), 1, params="2.7K", ops="34M"),
    "pool1": Row("max pool", 3, 2, (56, 56, 64)),
    "conv2": Row("convolution", 3, 1, (56, 56, 192), 2, 0, 64, 192, params="112K", ops="360M"),
    "pool2": Row("max pool", 3, 2, (28, 28, 192)),
    "3a": Row("inception", 0, 1, (28, 28, 256), 2, 64, 96, 128, 16, 32, 32, "159K", "128M"),
    "3b": Row("inception", 0, 1, (28, 28, 480), 2, 128, 128, 192, 32, 96, 64, "380K", "304M"),
    "pool3": Row("max pool", 3, 2, (14, 14, 480)),
    "4a": Row("inception", 0, 1, (14, 14, 512), 2, 192, 96, 208, 16, 48, 64, "364K", "73M"),
    "4b": Row("inception", 0, 1, (14, 14, 512), 2, 160, 112, 224, 24, 64, 64, "437K", "88M"),
    "4c": Row("inception", 0, 1, (14, 14, 512), 2, 128, 128, 256, 24, 64, 64, "463K", "100M"),
    "4d": Row("inception", 0, 1, (14, 14, 528), 2, 112, 144, 288, 32, 64, 64, "580K", "119M"),
    "4e": Row("inception", 0, 1, (14, 14, 832), 2, 256, 160, 320, 32, 128, 128, "840K", "170M"),
    "pool4": Row("max pool", 3, 2, (7, 7, 832)),
    "5a": Row("inception", 0, 1, (7, 7, 832), 2, 256, 160, 320, 32, 128, 128, "1072K", "54M"),
    "5b": Row("inception", 0, 1, (7, 7, 1024), 2, 384, 192, 384, 48, 128, 128, "1388K", "71M"),
    "avgpool": Row("avg pool", 7, 1, (1, 1, 1024)),
    "dropout": Row("dropout (40%)", 0, 1, (1, 1, 1024)),
    "linear": Row("linear", 0, 1, (1, 1, 1000), 1, params="1000K", ops="1M"),
    "softmax": Row("softmax", 0, 1, (1, 1, 1000)),
}


def scale(channels: int, width: float) -> int:
    """`channels` times `width`, rounded, at least 1."""
    return max(1, round(channels * width))


def Inception(c_in: int, row: Row, *, norm: bool = True) -> Concat:  # noqa: N802
    """The block of [G] Figure 2(b) with one row's widths: (n, c_in, h, w) -> (n, row.c_out, h, w).

    Without `norm` every convolution has a bias and no batch norm, as in the paper.
    """
    return Concat(
        branch1x1=conv(c_in, row.n1x1, 1, norm=norm),
        branch3x3=nn.Sequential(
            conv(c_in, row.n3x3_reduce, 1, norm=norm), conv(row.n3x3_reduce, row.n3x3, 3, norm=norm)
        ),
        branch5x5=nn.Sequential(
            conv(c_in, row.n5x5_reduce, 1, norm=norm), conv(row.n5x5_reduce, row.n5x5, 5, norm=norm)
        ),
        branch_pool=nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv(c_in, row.pool_proj, 1, norm=norm)
        ),
    )


def blocks(c_in: int, width: float) -> nn.Sequential:
    """Table 1 from 3a to 5b, max pools included: (n, c_in, h, w) -> (n, 1024 width, h/4, w/4)."""
    body = nn.Sequential()
    names = list(TABLE_1)
    for name in names[names.index("3a") : names.index("5b") + 1]:
        row = TABLE_1[name].scaled(width)
        if row.type == "max pool":
            body.add_module(name, nn.MaxPool2d(row.patch, row.stride, padding=1))
        else:
            body.add_module(name, Inception(c_in, row))
            c_in = row.c_out
    return body


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a network returns: logits (n, classes), and each aux head's logits by name."""

    logits: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)


class GoogLeNet(nn.Module):
    """GoogLeNet with stem, body and head: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Variant "small" has all nine blocks of Table 1, batch norm and a stride-1 stem for images of
    28 to 64 pixels. `width` multiplies every channel count. Raises ValueError for an unknown
    variant, a wrong number of input channels, and an image below `min_size` pixels.
    """

    min_size = 16  # at 8 blocks 5a and 5b would see one pixel, and padding around it

    def __init__(
        self,
        variant: str = "small",
        *,
        num_classes: int = 10,
        in_channels: int = 1,
        width: float = 1 / 8,
    ) -> None:
        super().__init__()
        if variant != "small":
            raise ValueError(f'variant must be "small", got {variant!r}')
        check_count(num_classes=num_classes, in_channels=in_channels)
        if not 0 < width <= 4:
            raise ValueError(f"width must be above 0 and at most 4, got {width}")
        self.in_channels = in_channels
        c1, c2 = scale(64, width), scale(192, width)
        self.stem = nn.Sequential(
            conv(in_channels, c1, 3),
            conv(c1, c2, 3),
            nn.MaxPool2d(3, 2, padding=1),  # 28x28 -> 14x14
        )
        self.body = blocks(c2, width)  # 14x14 -> 7x7 -> 4x4
        c_last = TABLE_1["5b"].scaled(width).c_out
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_last, num_classes)
        )

    def forward(self, x: Tensor) -> Outputs:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x must have shape (n, {self.in_channels}, h, w), got {tuple(x.shape)}; "
                "in_channels= sets the number of channels when the network is built"
            )
        if min(x.shape[2:]) < self.min_size:
            raise ValueError(
                f"images must be at least {self.min_size} x {self.min_size} pixels, "
                f"got {x.shape[2]} x {x.shape[3]}; enlarge them first"
            )
        return Outputs(logits=self.head(self.body(self.stem(x))))
