"""Lesson 04, auxiliary classifiers: the checks of its exercises."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import other_function
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_04.heads import AuxHead, check_head
from inception_edu.losses import Outputs, loss_with_aux


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy by its definition, an independent route."""
    return (logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels]).mean()


def weighted(weights: tuple[float, ...], labels: Tensor) -> Callable[..., Tensor]:
    """The heads' losses with these weights: logits of each head -> a scalar."""
    return lambda *heads: sum(
        weight * cross_entropy(x, labels) for weight, x in zip(weights, heads, strict=True)
    )


HEADS, RIGHT = ("main", "aux1", "aux2"), (1, 0.3, 0.3)
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
    wrong = {why: weighted(weights, labels) for weights, why in MISTAKES.items()}
    wrong |= {
        "add up the heads' losses, not their logits": lambda main, one, two: cross_entropy(
            main + 0.3 * (one + two), labels
        ),
        "cross-entropy takes logits: no softmax stands before it": lambda *all_heads: weighted(
            RIGHT, labels
        )(*(x.softmax(1) for x in all_heads)),
    }
    for why, other in wrong.items():
        if other_function(loss, other, *heads) is None:
            return f"; {why}"
    return silent(loss, heads)


def silent(loss: Callable[..., Tensor], heads: list[Tensor]) -> str:
    """Which heads' logits get no gradient from a loss, as the end of a sentence."""
    value = loss(*heads)
    if not isinstance(value, Tensor) or not value.requires_grad or value.ndim:
        return ""
    gradients = torch.autograd.grad(value, heads, allow_unused=True)
    names = [n for n, g in zip(HEADS, gradients, strict=True) if g is None or not g.any()]
    return f"; no gradient reaches the logits of {' and '.join(names)}" if names else ""


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
        part = {"4b": 1.0, "a little of 4b": 0.1}.get(self.aux1_depends_on, 0.0)
        enters = torch.lerp(seen["4a"], seen["4b"], part) if part else seen["4a"]
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
            return (
                f"it fails on a right network, in which aux1 does ignore 4b{said}: there, "
                'outputs.aux["aux1"] stays as it was when 4b changes'
            )
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
                advice = 'change what 4b computes, and compare outputs.aux["aux1"] with before'
                if test(Wired(depends_on).train()) is not None:
                    advice = "a test fails by assert; what it returns is not looked at"
                return f"it passes on a network in which {wrong}: {advice}"
    return None


exercise_1 = Exercise("1", check_head, lesson="04", keep="AuxHead", ours=AuxHead)
exercise_2 = Exercise("2", check_loss, lesson="04", keep="loss_with_aux", ours=loss_with_aux)
exercise_3 = Exercise("3", check_test)
