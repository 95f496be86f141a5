"""Lesson 03: the package's answer to Exercise 1, called as the student's network is."""

from torch import Tensor, nn

from inception_edu import googlenet


class GoogLeNet(nn.Module):
    """[G] Table 1 without auxiliary heads and without local response norm, which the table does not
    list: (n, 3, h, w) -> logits (n, num_classes).

    `norm` puts batch norm where biases are; `k5` is the kernel in the branch called 5x5, `pool4`
    the window of the fourth pool.
    """

    def __init__(
        self, num_classes: int = 1000, norm: bool = False, k5: int = 5, pool4: int = 3
    ) -> None:
        super().__init__()
        variant = googlenet.Variant(lrn=False, norm=norm, k5=k5, pool4=pool4)
        self.network = googlenet.GoogLeNet(variant, num_classes=num_classes, aux=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).logits
