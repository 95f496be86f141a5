"""Lesson 04, auxiliary classifiers: the checks of its exercises."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.googlenet import AuxHead, GoogLeNet
from inception_edu.losses import Outputs

MEASUREMENTS = {
    "A": "the gradient at conv1 in the first step",
    "B": "the main head's loss on training images, at the end of a long training",
    "C": "the main head's loss on validation images, at the end of a long training",
    "D": "the step at which the loss leaves ln 10",
    "E": "the accuracy of the aux heads",
    "F": "the same with several seeds, with and without heads",
}


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy by its definition, an independent route."""
    return (logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels]).mean()


def check_loss(loss: Callable[[Outputs, Tensor], Tensor]) -> str | None:
    """`loss(outputs, labels)`: 1, 0.3 and 0.3 in training, the main head alone afterwards."""
    n, classes = 7, 5
    labels = torch.randint(classes, (n,))
    logits, one, two = torch.randn(3, n, classes).mul(2).requires_grad_()
    main, aux1, aux2 = (cross_entropy(x, labels) for x in (logits, one, two))
    training = Outputs(logits=logits, aux={"aux1": one, "aux2": two})
    found, right = loss(training, labels), main + 0.3 * aux1 + 0.3 * aux2
    if not isinstance(found, Tensor) or found.ndim or not found.requires_grad:
        return f"return one number as a tensor that backward() can start from, got {found!r}"
    mistakes = {
        "the heads count as much as the main one: weigh each by 0.3": main + aux1 + aux2,
        "that is the main head alone": main,
        "only one of the two aux heads is counted": main + 0.3 * aux1,
        "the weights need not add up to 1: do not divide by 1.6": right / 1.6,
        "0.3 belongs to each head, not to their mean": main + 0.15 * (aux1 + aux2),
        "the main head has weight 1": 0.3 * (main + aux1 + aux2),
    }
    if not torch.allclose(found, right, rtol=1e-4):
        told = (why for why, value in mistakes.items() if torch.allclose(found, value, rtol=1e-4))
        why = next(told, "mean cross-entropy of each head, with weights 1, 0.3, 0.3")
        return f"in training you say {found:.4f}, expected {right:.4f}; {why}"
    try:
        found = loss(Outputs(logits=logits), labels)
    except KeyError as error:
        return f"at inference it asks for a head that is not there: {error.args[0]}"
    if not torch.allclose(found, main, rtol=1e-4):
        return f"at inference the main head alone counts: you say {found:.4f}, expected {main:.4f}"
    return None


def small_network(kind: str) -> GoogLeNet:
    """A small network: "right", "still" (no dropout), "late" (aux1 reads 4b) or "swapped"."""
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    if kind == "late":
        network.reads = {"aux1": "4b", "aux2": "4d"}
    if kind == "swapped":
        network.reads = {"aux1": "4d", "aux2": "4a"}
        heads = {"aux1": AuxHead(66, 10, width=1 / 8), "aux2": AuxHead(64, 10, width=1 / 8)}
        network.aux = nn.ModuleDict(heads)
    for layer in network.modules():
        if kind == "still" and isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network.train()


def complaint(test: Callable[[GoogLeNet], None], kind: str) -> AssertionError | None:
    """The AssertionError that the test raises for such a network, if it does."""
    try:
        test(small_network(kind))
    except AssertionError as error:
        return error
    return None


def check_test(test: Callable[[GoogLeNet], None]) -> str | None:
    """`test(network)` passes where aux1 reads 4a, and fails where it reads 4b or 4d."""
    if (error := complaint(test, "still")) is not None:
        return f"it fails on the right network, where aux1 does ignore 4b: {error or 'assert'}"
    if complaint(test, "right") is not None:
        return (
            "it fails on the right network; a head's dropout draws anew in every pass: "
            "torch.manual_seed before each, or ask for gradients in one pass"
        )
    reads = {"late": "aux1 reads 4b", "swapped": "the two heads have swapped names"}
    for kind, wrong in reads.items():
        if complaint(test, kind) is None:
            return f"it passes on a network where {wrong}: disturb 4b, and compare aux1 with before"
    return None


def check_regulariser(needed: set[str]) -> str | None:
    """The letters of MEASUREMENTS that are needed to show a regulariser at work."""
    if not isinstance(needed, set) or not needed <= set(MEASUREMENTS):
        return f"give a set of letters from A to F, got {needed!r}"
    wrong = {
        "A": "A shows that the heads reach the first layer, not that the network generalises",
        "D": "D is about the start of training; [V3] found no effect there",
        "E": "E is about heads that are thrown away",
    }
    missing = {
        "B": "a gap has two ends: without B, a better result may just be better fitting",
        "C": "a regulariser is judged on images that were not trained on",
        "F": "one run with and one without cannot be told from luck",
    }
    for letter, why in wrong.items():
        if letter in needed:
            return why
    return next((why for letter, why in missing.items() if letter not in needed), None)


exercise_1 = Exercise("1", check_loss)
exercise_2 = Exercise("2", check_test)
exercise_3 = Exercise("3", check_regulariser)
