"""GoogLeNet, the first Inception network: [G] Szegedy et al., "Going deeper with convolutions",
arXiv:1409.4842. The paper's Table 1 stands here as data; the block and the network read it."""

from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from inception_edu.checks import entry_of
from inception_edu.layers import AuxPool, Concat, LocalRespNorm, classifier, conv, scale, stack
from inception_edu.network import Network, Outputs as Outputs, initialise


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
        return Row(*self[:5], *(max(1, round(c * float(width))) for c in self[5:11]), *self[11:])


TABLE_1 = {
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


class Inception(Concat):
    """The block of [G] Figure 2(b) with one row's widths: (n, c_in, h, w) -> (n, row.c_out, h, w).

    Without `norm` every convolution has a bias and no batch norm, as in the paper.
    """

    def __init__(self, c_in: int, row: Row, *, norm: bool = True, k5: int = 5) -> None:
        super().__init__(
            branch1x1=conv(c_in, row.n1x1, 1, norm=norm),
            branch3x3=stack(c_in, (row.n3x3_reduce, 1), (row.n3x3, 3), norm=norm),
            branch5x5=stack(c_in, (row.n5x5_reduce, 1), (row.n5x5, k5), norm=norm),
            branch_pool=nn.Sequential(
                nn.MaxPool2d(3, stride=1, padding=1), conv(c_in, row.pool_proj, 1, norm=norm)
            ),
        )


class AuxHead(nn.Sequential):
    """The auxiliary classifier of [G] section 5: (n, c_in, h, w) -> (n, num_classes)."""

    def __init__(
        self,
        c_in: int,
        num_classes: int,
        *,
        norm: bool = True,
        width: float = 1.0,
        adaptive: bool = False,
    ) -> None:
        c, hidden = scale(128, width), scale(1024, width)
        layers = OrderedDict(
            pool=AuxPool(adaptive=adaptive),  # 14x14 -> 4x4
            conv=conv(c_in, c, 1, norm=norm),
            flatten=nn.Flatten(),
            hidden=nn.Linear(16 * c, hidden),
            relu=nn.ReLU(),
            dropout=nn.Dropout(0.7),
            linear=nn.Linear(hidden, num_classes),
        )
        super().__init__(layers)


class Variant(NamedTuple):
    """What sets a variant apart; the defaults are the paper's. A new one is one more entry of the
    table below, or GOOGLENET["small"]._replace(k5=3), given to GoogLeNet as it is."""

    full_stem: bool = True  # that of Table 1; else one for images of 28 to 64 pixels
    lrn: bool = True  # local response norm in the stem ([G] Figure 3)
    norm: bool = False  # batch norm; without it every convolution has a bias
    k5: int = 5  # kernel in the branch that Table 1 calls 5x5
    pool4: int = 3  # window of the last max pool
    edge: dict = dict(ceil_mode=True)  # how max pools between blocks treat the grid's edge
    dropout: float = 0.4
    adaptive: bool = False  # aux heads pool adaptively at every size
    size: int = 224  # pixels of a side, of the images that the network is made for
    min_sizes: tuple[int, int] = (31, 63)  # smallest image, without and with aux heads at work
    advice: str = 'enlarge them, or use variant "small", made for 28 to 64 pixels'


GOOGLENET = {
    "paper": Variant(),
    "torchvision": Variant(lrn=False, norm=True, k5=3, pool4=2, dropout=0.2, adaptive=True,
                           min_sizes=(15, 63)),
    "small": Variant(full_stem=False, lrn=False, norm=True, edge=dict(padding=1), dropout=0.0,
                     size=28, min_sizes=(9, 13), advice="enlarge them"),
}  # fmt: skip


def stem(c_in: int, width: float, variant: Variant) -> nn.Sequential:
    """Table 1 up to block 3a: (n, c_in, h, w) -> (n, 192 width, h/8, w/8); h/2, w/2 if small."""
    row1, row2, norm, edge = TABLE_1["conv1"], TABLE_1["conv2"], variant.norm, variant.edge
    c1, reduce, c2 = (scale(c, width) for c in (row1.output[2], row2.n3x3_reduce, row2.n3x3))
    lrn1, lrn2 = ({f"norm{i}": LocalRespNorm(5)} if variant.lrn else {} for i in (1, 2))
    if variant.full_stem:
        layers = OrderedDict(
            conv1=conv(c_in, c1, row1.patch, row1.stride, norm=norm),  # 224x224 -> 112x112
            pool1=nn.MaxPool2d(3, 2, **edge),  # 112x112 -> 56x56
            **lrn1,
            conv2_reduce=conv(c1, reduce, 1, norm=norm),
            conv2=conv(reduce, c2, row2.patch, norm=norm),
            **lrn2,
            pool2=nn.MaxPool2d(3, 2, **edge),  # 56x56 -> 28x28
        )
    else:
        layers = OrderedDict(conv1=conv(c_in, c1, 3, norm=norm), **lrn1)
        layers.update(conv2=conv(c1, c2, 3, norm=norm), **lrn2, pool=nn.MaxPool2d(3, 2, **edge))
    return nn.Sequential(layers)


def blocks(c_in: int, width: float, variant: Variant = GOOGLENET["small"]) -> nn.Sequential:
    """Table 1 from 3a to 5b, max pools included: (n, c_in, h, w) -> (n, 1024 width, h/4, w/4)."""
    body = nn.Sequential()
    for name, row in list(TABLE_1.items())[4:15]:
        if row.type == "max pool":
            k = variant.pool4 if name == "pool4" else row.patch
            body.add_module(name, nn.MaxPool2d(k, row.stride, **variant.edge))
        else:
            row = row.scaled(width)
            body.add_module(name, Inception(c_in, row, norm=variant.norm, k5=variant.k5))
            c_in = row.c_out
    return body


class GoogLeNet(Network):
    """GoogLeNet with stem, body and head: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Variants: "paper" is [G] Table 1; "torchvision" puts out what torchvision's googlenet does;
    "small" has batch norm and a stride-1 stem for images of 28 to 64 pixels; or a Variant of your
    own. `width` multiplies every channel count. Raises ValueError for another variant, a wrong
    number of input channels, and an image below `min_size` pixels.
    """

    reads = {"aux1": "4a", "aux2": "4d"}

    def __init__(
        self,
        variant: str | Variant = "paper",
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux: bool = True,
        width: float = 1.0,
    ) -> None:
        sizes = dict(num_classes=num_classes, in_channels=in_channels, aux=aux, width=width)
        super().__init__(variant=variant, **sizes)
        variant = entry_of("variant", variant, GOOGLENET)
        self.size, self.min_sizes, self.advice = variant.size, variant.min_sizes, variant.advice
        self.stem = stem(in_channels, width, variant)
        self.body = blocks(scale(TABLE_1["conv2"].n3x3, width), width, variant)
        self.head = classifier(TABLE_1["5b"].scaled(width).c_out, num_classes, variant.dropout)
        options = dict(norm=variant.norm, width=width, adaptive=variant.adaptive)
        self.aux = nn.ModuleDict()
        for name, block in self.reads.items() if aux else ():
            self.aux[name] = AuxHead(TABLE_1[block].scaled(width).c_out, num_classes, **options)
        if not variant.norm:
            initialise(self)
