"""Lesson 08: torchvision's weights in a network of any make, and what it then answers."""

import torch
from torch import Tensor, nn

from inception_edu.display import Table
from inception_edu.lessons.lesson_08 import dataflow
from inception_edu.predict import Classifier, shipped_photo
from inception_edu.torchvision_weights import KNOWN


@torch.no_grad()
def copy(theirs: nn.Module, network: nn.Module) -> int:
    """Give a network torchvision's numbers, running means and variances among them: both are
    followed layer by layer while one batch passes. Returns how many numbers were copied.

    Raises ValueError with the first layer in which they differ. Both end in evaluation mode.
    """
    x, copied = torch.zeros(2, 3, 299, 299), 0
    mine, right = (dataflow.traced(one.train(), x) for one in (network, theirs.requires_grad_()))
    if why := dataflow.difference(mine, right, theirs):
        raise ValueError(f"the networks differ: {why}")
    for own, other in dataflow.pairs(mine, right):
        copied += own.copy_(other).numel()
    theirs.eval(), network.eval()
    return copied


def apart(a: Tensor, b: Tensor) -> str:
    """The largest difference, in percent of the largest number."""
    return f"{((a - b).abs().max() / b.abs().max()).item():.3%}"


@torch.no_grad()
def differences(theirs: nn.Module, network: nn.Module) -> Table:
    """Logits and aux logits of both for the same images, and of ours for others."""
    torch.manual_seed(0)
    x, other = torch.randn(2, 2, 3, 299, 299)
    right, found, moved = theirs.eval()(x), network.eval()(x), network(other)
    rows = [("mode", "compared", "differ by, of the largest")]
    rows.append(("evaluation", "our logits of other images, and these", apart(moved, found)))
    rows.append(("evaluation", "our logits and torchvision's", apart(found, right)))
    (_, mine), aux = network.train()(x), theirs.train()(x).aux_logits
    rows.append(("training", "our aux logits and torchvision's", apart(mine, aux)))
    theirs.eval(), network.eval()
    return Table(rows, left=2)


def answers(network: nn.Module, *names: str) -> Table:
    """The classes that a network with torchvision's trained weights finds in shipped photos."""
    known, middle = KNOWN["inception_v3"], (0.5,) * 3
    asked = Classifier(network.eval(), known.classes, middle, middle, known.crop, known.resize)
    rows = [("photo", "first", "second", "third")]
    for name in names:
        best = asked.most_probable(shipped_photo(name), 3)
        rows.append((name, *(f"{label} {chance:.0%}" for label, chance in best)))
    return Table(rows, left=4)
