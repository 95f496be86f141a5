"""What sets the variants of a network apart, as data: the paper's, torchvision's, a small one.

[CAFFE] is BVLC/caffe models/bvlc_googlenet, whose pools round up; [G] gives only their shapes.
"""

from typing import NamedTuple

from torch import nn


class Variant(NamedTuple):
    """What sets a variant apart; its smallest image, without and with aux heads at work."""

    full_stem: bool  # conv1, pool1, conv2, pool2 of Table 1; else for images of 28 to 64 pixels
    lrn: bool  # local response norm in the stem ([G] Figure 3)
    norm: bool  # batch norm; without it every convolution has a bias
    k5: int  # kernel in the branch that Table 1 calls 5x5
    pool4: int  # window of the last max pool
    edge: dict  # how max pools treat the edge of the grid
    dropout: float
    adaptive: bool  # aux heads pool adaptively at every size
    min_sizes: tuple[int, int]


CEIL, PADDED = dict(ceil_mode=True), dict(padding=1)
GOOGLENET = {
    "paper": Variant(
        full_stem=True,
        lrn=True,
        norm=False,
        k5=5,
        pool4=3,
        edge=CEIL,
        dropout=0.4,
        adaptive=False,
        min_sizes=(31, 63),
    ),
    "torchvision": Variant(
        full_stem=True,
        lrn=False,
        norm=True,
        k5=3,
        pool4=2,
        edge=CEIL,
        dropout=0.2,
        adaptive=True,
        min_sizes=(15, 63),
    ),
    "small": Variant(
        full_stem=False,
        lrn=False,
        norm=True,
        k5=5,
        pool4=3,
        edge=PADDED,
        dropout=0.0,
        adaptive=False,
        min_sizes=(9, 13),
    ),
}


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
