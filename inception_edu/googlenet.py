"""GoogLeNet, the first Inception network.

[G] Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842. The paper's Table 1 stands
here as data; the block and the network below read it.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, pad

from inception_edu.checks import check_choice
from inception_edu.layers import AuxPool, Concat, chain, channels, classifier, conv, scale, stack
from inception_edu.network import Network, Outputs as Outputs


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


AUX = {"aux1": "4a", "aux2": "4d"}  # aux head -> the block whose output it reads


class Variant(NamedTuple):
    """What sets a variant apart; the defaults are the paper's. GOOGLENET["small"]._replace(k5=3) is
    one more, to be given to GoogLeNet as it is or by a name in the table below."""

    full_stem: bool = True  # that of Table 1; else one for images of 28 to 64 pixels
    lrn: bool = True  # local response norm in the stem ([G] Figure 3)
    norm: bool = False  # batch norm; without it every convolution has a bias
    k5: int = 5  # kernel in the branch that Table 1 calls 5x5
    pool4: int = 3  # window of the last max pool
    ceil: bool = True  # max pools between blocks round the side up; else they pad by 1
    dropout: float = 0.4
    adaptive: bool = False  # aux heads pool adaptively at every size
    size: int = 224  # pixels of a side, of the images that the network is made for
    min_sizes: tuple[int, int] = (31, 63)  # smallest image, without and with aux heads at work
    advice: str = 'enlarge them, or use variant "small", made for 28 to 64 pixels'

    def max_pool(self, k: int = 3, stride: int = 2) -> nn.MaxPool2d:
        """The pools between blocks: (n, c, h, w) -> (n, c, h / stride, w / stride)."""
        return nn.MaxPool2d(k, stride, padding=0 if self.ceil else 1, ceil_mode=self.ceil)


GOOGLENET = {
    "paper": Variant(),
    "torchvision": Variant(lrn=False, norm=True, k5=3, pool4=2, dropout=0.2, adaptive=True,
                           min_sizes=(15, 63)),
    "small": Variant(full_stem=False, lrn=False, norm=True, ceil=False, dropout=0.0, size=28,
                     min_sizes=(9, 13), advice="enlarge them"),
}  # fmt: skip


class LocalResponseNorm(nn.LocalResponseNorm):
    """As in torch, whose own has no bfloat16 kernel on the CPU and branches on a traced size."""

    def forward(self, x: Tensor) -> Tensor:
        wide, after = _wide(x), (self.size - 1) // 2
        squares = pad((wide * wide).unsqueeze(1), (0, 0, 0, 0, self.size // 2, after))
        mean = avg_pool3d(squares, (self.size, 1, 1), stride=1).squeeze(1)  # over near channels
        return (wide / (self.k + self.alpha * mean) ** self.beta).to(x.dtype)


@torch.fx.wrap  # the precision is known when it runs, not when it is traced
def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def stem(c_in: int, width: float, variant: Variant) -> nn.Sequential:
    """Table 1 up to block 3a: (n, c_in, h, w) -> (n, 192 width, h/8, w/8); h/2, w/2 if small."""
    row1, row2 = TABLE_1["conv1"], TABLE_1["conv2"]
    c1, reduce, c2 = (scale(c, width) for c in (row1.output[2], row2.n3x3_reduce, row2.n3x3))
    norm, lrn1, lrn2 = variant.norm, {}, {}
    if variant.lrn:
        lrn1, lrn2 = dict(norm1=LocalResponseNorm(5)), dict(norm2=LocalResponseNorm(5))  # [CAFFE]
    if not variant.full_stem:
        return chain(
            conv1=conv(c_in, c1, 3, norm=norm),
            **lrn1,
            conv2=conv(c1, c2, 3, norm=norm),
            **lrn2,
            pool=variant.max_pool(),  # 28x28 -> 14x14
        )
    return chain(
        conv1=conv(c_in, c1, row1.patch, row1.stride, norm=norm),  # 224x224 -> 112x112
        pool1=variant.max_pool(),  # 112x112 -> 56x56
        **lrn1,
        conv2_reduce=conv(c1, reduce, 1, norm=norm),
        conv2=conv(reduce, c2, row2.patch, norm=norm),
        **lrn2,
        pool2=variant.max_pool(),  # 56x56 -> 28x28
    )


def blocks(c_in: int, width: float, variant: Variant = GOOGLENET["small"]) -> nn.Sequential:
    """Table 1 from 3a to 5b, max pools included: (n, c_in, h, w) -> (n, 1024 width, h/4, w/4)."""
    body = nn.Sequential()
    names = list(TABLE_1)
    for name in names[names.index("3a") : names.index("5b") + 1]:
        row = TABLE_1[name].scaled(width)
        if row.type == "max pool":
            k = variant.pool4 if name == "pool4" else row.patch
            body.add_module(name, variant.max_pool(k, row.stride))
        else:
            body.add_module(name, Inception(c_in, row, norm=variant.norm, k5=variant.k5))
            c_in = row.c_out
    return body


def initialise(model: nn.Module, nonlinearity: str = "linear", bias: float = 0.2) -> None:
    """Start weights as [CAFFE] does: uniform, variance 1 / inputs; biases 0.2, classifiers' 0.

    [G] is silent; from PyTorch's own start this net without batch norm stays at chance. With
    "relu" the variance is 2 / inputs.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity=nonlinearity)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0 if name.endswith("linear") else bias)


class GoogLeNet(Network):
    """GoogLeNet with stem, body and head: (n, in_channels, h, w) -> Outputs, logits (n, classes).

    Variants: "paper" is [G] Table 1; "torchvision" puts out what torchvision's googlenet does;
    "small" has batch norm and a stride-1 stem for images of 28 to 64 pixels; or a Variant of your
    own. `width` multiplies every channel count. Raises ValueError for another variant, a wrong
    number of input channels, and an image below `min_size` pixels.
    """

    reads = AUX

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
        if not isinstance(variant, Variant):
            variant = GOOGLENET[check_choice("variant", variant, GOOGLENET)]
        self.size, self.min_sizes, self.advice = variant.size, variant.min_sizes, variant.advice
        self.stem = stem(in_channels, width, variant)
        self.body = blocks(scale(TABLE_1["conv2"].n3x3, width), width, variant)
        self.head = classifier(channels(self.body, 0), num_classes, variant.dropout)
        options = dict(norm=variant.norm, width=width, adaptive=variant.adaptive)
        self.aux = nn.ModuleDict()
        for name, block in AUX.items() if aux else ():
            c = channels(self.body.get_submodule(block), 0)
            self.aux[name] = AuxHead(c, num_classes, **options)
        if not variant.norm:
            initialise(self)
