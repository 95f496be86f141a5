"""Lesson 08: the package's answers to Exercises 1 to 4, called as the student's are.

The network is torchvision's, whose weights were released; where it is not [V3]'s, the lesson says.
"""

import torch
from torch import Tensor, nn

from inception_edu import factorised
from inception_edu.factorised import Widths
from inception_edu.inception_v3 import LAYOUTS, InceptionV3 as Whole

BLOCKS = LAYOUTS["torchvision"].widths  # name of a block -> its widths


def grid35(c_in: int, w: Widths) -> nn.Module:
    """(n, c_in, h, w) -> (n, n1x1 + single + double + pool_proj, h, w)."""
    return factorised.Grid35(c_in, w, k=5)


def grid17(c_in: int, w: Widths) -> nn.Module:
    """(n, c_in, h, w) -> (n, n1x1 + single + double + pool_proj, h, w)."""
    return factorised.Grid17(c_in, w)


def grid8(c_in: int, w: Widths) -> nn.Module:
    """(n, c_in, h, w) -> (n, n1x1 + 2 single + 2 double + pool_proj, h, w)."""
    return factorised.Grid8(c_in, w)


def reduce35to17(c_in: int, w: Widths) -> nn.Module:
    """(n, c_in, 35, 35) -> (n, single + double + c_in, 17, 17)."""
    return factorised.Reduce35to17(c_in, w)


def reduce17to8(c_in: int, w: Widths) -> nn.Module:
    """(n, c_in, 17, 17) -> (n, single + double + c_in, 8, 8)."""
    return factorised.Reduce17to8(c_in, w)


class InceptionV3(nn.Module):
    """(n, 3, h, w) -> logits (n, num_classes); while it trains, (logits, aux logits)."""

    def __init__(self, num_classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        self.network = Whole("torchvision", num_classes=num_classes, width=width)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        out = self.network(x)
        return (out.logits, out.aux["aux"]) if self.training else out.logits


def widths(at_most: int = 12) -> Widths:
    """A row of random widths, no two alike."""
    return Widths(*(2 + torch.randperm(at_most)[: len(Widths._fields)]).tolist())
