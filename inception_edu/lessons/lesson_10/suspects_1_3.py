"""Lesson 10, exhibits 1 to 3: the code, right or with a bug, that the student's tests are run on.

Each function returns a maker: from a seed, 0 to 2, which sets sizes, to the test's arguments.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from inception_edu.googlenet import TABLE_1
from inception_edu.lessons.lesson_10 import exhibit_3 as three, trials
from inception_edu.lessons.lesson_10.guard import Make, sealed

WIDTHS, CLASSES, ROWS = (8, 16, 12), (10, 5, 100), ("4d", "3a", "5b")


def given(function: Callable) -> Make:
    """The function itself."""
    return lambda seed: (sealed(function),)


def counted(logits: Tensor, labels: Tensor) -> Tensor:
    """An accuracy that is right: a count, divided."""
    return (logits.argmax(1) == labels).sum() / len(labels)


def one_by_one(logits: Tensor, labels: Tensor) -> float:
    """An accuracy that is right: in a loop."""
    hits = [int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True)]
    return sum(hits) / len(hits)


def in_columns(logits: Tensor, labels: Tensor) -> float:
    """An accuracy that is right: both of shape (n, 1)."""
    answers = logits.argmax(dim=1, keepdim=True)
    return (answers == labels[:, None]).double().mean().item()


def labels_in_a_column(logits: Tensor, labels: Tensor) -> float:
    """Every label against every answer: the other of the two has a second axis."""
    return (logits.argmax(1) == labels[:, None]).float().mean().item()


def too_many(logits: Tensor, labels: Tensor) -> float:
    """Every answer against every label, but divided by the number of images."""
    return (logits.argmax(1) == labels[:, None]).sum().item() / len(labels)


class Hidden(nn.Module):
    """Dropout before the hidden layer, in evaluation mode, too."""

    def __init__(self, c: int, num_classes: int) -> None:
        super().__init__()
        self.hidden, self.linear = nn.Linear(c, 2 * c), nn.Linear(2 * c, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.hidden(dropout(x, 0.2)).relu())


class Noisy(nn.Module):
    """A head to whose logits dropout is applied, in evaluation mode, too."""

    def __init__(self, c: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(c, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return dropout(self.linear(x), 0.5)


def with_layer(c: int, num_classes: int) -> nn.Sequential:
    """A head that is right: dropout is a layer, which evaluation mode switches off."""
    return nn.Sequential(nn.Dropout(0.4), nn.Linear(c, num_classes))


def ending(head: Callable[[int, int], nn.Module]) -> Make:
    """A network in evaluation mode, as a function, that ends with a head."""

    def make(seed: int) -> tuple[Callable[[Tensor], Tensor]]:
        network = trials.dense(head(WIDTHS[seed], CLASSES[seed]), WIDTHS[seed])
        return (sealed(network.eval()),)

    return make


def built(block: Callable[..., nn.Module]) -> Make:
    """A function that builds the block anew, and an input for it."""

    def make(seed: int) -> tuple[Callable[[], nn.Module], Tensor]:
        c_in, row = WIDTHS[seed], TABLE_1[ROWS[seed]].scaled(1 / 8)
        return sealed(lambda: block(c_in, row)), torch.randn(4, c_in, 7, 8 + seed)

    return make


class ByName(three.Block):
    """Right: each branch is an attribute."""

    def __init__(self, c_in: int, row: object) -> None:
        super().__init__(c_in, row)
        self.a, self.b, self.c, self.d = self.branches
        del self.branches

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x), self.c(x), self.d(x)], dim=1)


class Listed(three.Block):
    """Right: a list in use, and a ModuleList that registers its modules."""

    def __init__(self, c_in: int, row: object) -> None:
        super().__init__(c_in, row)
        self.known = nn.ModuleList(self.branches)


class InDict(three.Block):
    """The branches in a dictionary of Python's."""

    def __init__(self, c_in: int, row: object) -> None:
        super().__init__(c_in, row)
        self.named = dict(enumerate(self.branches))
        del self.branches

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.named.values()], dim=1)


class OneLeft(three.Block):
    """Three branches are registered, and the last one is not."""

    def __init__(self, c_in: int, row: object) -> None:
        super().__init__(c_in, row)
        self.known = nn.ModuleList(self.branches[:3])
