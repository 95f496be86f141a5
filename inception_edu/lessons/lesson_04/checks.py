"""Lesson 04, auxiliary classifiers: the checks of its exercises."""

import re
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import other_function
from inception_edu.googlenet import GoogLeNet
from inception_edu.losses import Outputs, loss_with_aux

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


def weighted(weights: tuple[float, ...], labels: Tensor) -> Callable[..., Tensor]:
    """The heads' losses with these weights: logits of each head -> a scalar."""
    return lambda *heads: sum(
        weight * cross_entropy(x, labels) for weight, x in zip(weights, heads, strict=True)
    )


RIGHT = (1, 0.3, 0.3)
MISTAKES = {  # weights of main, aux1 and aux2
    (1, 1, 1): "the heads count as much as the main one: weigh each by 0.3",
    (1, 0, 0): "that is the main head alone",
    (1, 0.3, 0): "aux2 is not counted",
    (1, 0, 0.3): "aux1 is not counted",
    tuple(w / 1.6 for w in RIGHT): "the weights need not add up to 1: do not divide by 1.6",
    (1, 0.15, 0.15): "0.3 belongs to each head, not to their mean",
    (0.3, 0.3, 0.3): "the main head has weight 1",
    (0, 0.3, 0.3): "the main head is not counted",
    (0.4, 0.3, 0.3): "the main head has weight 1, whatever the others have",
}


def check_loss(loss: Callable[[Outputs, Tensor], Tensor]) -> str | None:
    """`loss(outputs, labels)`: 1, 0.3 and 0.3 in training, the main head alone afterwards, with
    the gradients of each head's logits."""
    for dtype, (n, classes) in product((torch.float32, torch.float64), ((7, 5), (1, 3), (4, 10))):
        labels = torch.randint(classes, (n,))
        heads = [x.requires_grad_() for x in 2 * torch.randn(3, n, classes, dtype=dtype)]

        def training(main: Tensor, one: Tensor, two: Tensor, labels: Tensor = labels) -> Tensor:
            return loss(Outputs(logits=main, aux={"aux1": one, "aux2": two}), labels)

        if why := other_function(training, weighted(RIGHT, labels), *heads):
            return f"in training {why}{mistake(training, heads, labels)}"

        def inference(main: Tensor, labels: Tensor = labels) -> Tensor:
            return loss(Outputs(logits=main), labels)

        try:
            why = other_function(inference, weighted((1,), labels), heads[0])
        except KeyError as error:
            return f"at inference, with no head in outputs.aux, it raised KeyError: {error.args[0]}"
        if why:
            return f"at inference, where the main head alone counts, {why}"
    return None


def mistake(loss: Callable[..., Tensor], heads: list[Tensor], labels: Tensor) -> str:
    """Which other loss a wrong one is, with all its gradients, as the end of a sentence."""
    for weights, why in MISTAKES.items():
        if other_function(loss, weighted(weights, labels), *heads) is None:
            return f"; {why}"
    return ""


class Wired(GoogLeNet):
    """A small network in which it can be chosen what aux1 depends on, whatever `reads` says:
    "4a", "4b", "a little of 4b", or "4d", where the two outputs have swapped names."""

    def __init__(self, aux1: str, *, dropout: bool = True) -> None:
        super().__init__("small", num_classes=10, in_channels=1, width=1 / 8)
        self.aux1_depends_on = aux1
        for layer in self.modules():
            if isinstance(layer, nn.Dropout) and not dropout:
                layer.p = 0.0

    def forward(self, x: Tensor) -> Outputs:
        self.check_input(x)
        x, seen = self.stem(x), {}
        for name, block in self.body.named_children():
            x = seen[name] = block(x)
        if not self.training:
            return Outputs(self.head(x))
        shares = {"4b": 1.0, "a little of 4b": 0.1}
        share = shares.get(self.aux1_depends_on, 0.0)
        enters = torch.lerp(seen["4a"], seen["4b"], share) if share else seen["4a"]
        one, two = self.aux["aux1"](enters), self.aux["aux2"](seen["4d"])
        if self.aux1_depends_on == "4d":
            one, two = two, one
        return Outputs(self.head(x), {"aux1": one, "aux2": two})


WRONG_NETWORKS = {
    "4b": "aux1 reads 4b",
    "a little of 4b": "aux1 reads nine parts of 4a and one of 4b",
    "4d": "the two heads' outputs have swapped names",
}


def complaint(test: Callable[[GoogLeNet], None], network: GoogLeNet) -> AssertionError | None:
    """The AssertionError that the test raises for such a network, if it does."""
    try:
        test(network.train())
    except AssertionError as error:
        return error
    return None


def check_test(test: Callable[[GoogLeNet], None]) -> str | None:
    """`test(network)` passes where aux1 reads 4a, and fails where it depends on 4b, whatever the
    network's settings say."""
    for seed in range(3):
        torch.manual_seed(seed)
        if (error := complaint(test, Wired("4a", dropout=False))) is not None:
            said = f" ({error})" if str(error) else ""
            return f"it fails on a right network, in which aux1 does ignore 4b{said}"
        torch.manual_seed(seed)
        if complaint(test, Wired("4a")) is not None:
            return (
                "it fails on a right network, and passes once its dropout is switched off: dropout "
                "draws anew in every pass, so call torch.manual_seed before each, or ask for "
                "gradients in one pass"
            )
        for depends_on, wrong in WRONG_NETWORKS.items():
            torch.manual_seed(seed)
            if complaint(test, Wired(depends_on)) is None:
                return (
                    f"it passes on a network in which {wrong}: change what 4b computes, and "
                    'compare outputs.aux["aux1"] with before'
                )
    return None


def check_regulariser(needed: object) -> str | None:
    """The letters of MEASUREMENTS that are needed to show a regulariser at work, as a set, list
    or text."""
    letters = re.sub(r"[\s,]", "", needed) if isinstance(needed, str) else needed
    given = {str(letter).strip().upper() for letter in letters} if _several(letters) else {""}
    if not given <= set(MEASUREMENTS):
        return f"give a set of letters from A to F, got {needed!r}"
    wrong = {
        "A": "A shows that the heads reach the first layer, not that the network generalises",
        "D": "D is about the start of training; [V3] found no effect there",
        "E": "E is about heads that are thrown away",
    }
    missing = {
        "B": "a gap has two ends: without B, a better result may just be better fitting",
        "C": "C is missing: a regulariser is judged on images that were not trained on",
        "F": "F is missing: one run with and one without cannot be told from luck",
    }
    for letter, why in wrong.items():
        if letter in given:
            return why
    return next((why for letter, why in missing.items() if letter not in given), None)


def _several(answer: object) -> bool:
    return hasattr(answer, "__iter__") and hasattr(answer, "__len__")


exercise_1 = Exercise("1", check_loss, lesson="04", keep="loss_with_aux", ours=loss_with_aux)
exercise_2 = Exercise("2", check_test)
exercise_3 = Exercise("3", check_regulariser)
