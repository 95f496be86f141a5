"""Lesson 07, label smoothing: the checks of its exercises."""

from collections.abc import Callable
from functools import partial
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode

from inception_edu.exercises import Exercise, number
from inception_edu.exercises.answers import other_number
from inception_edu.exercises.judging import calls, other_function, same
from inception_edu.lessons.lesson_07.suspects import SUSPECTS
from inception_edu.lessons.lesson_07.verdict import temperature
from inception_edu.losses import FORMS, LabelSmoothingCrossEntropy

Loss = Callable[[Tensor, Tensor, float], Tensor]
CASES = ((7, 2, 0.1), (5, 10, 0.3), (9, 3, 0.5), (4, 6, 0.0))  # n, K, eps


def right_loss(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The smoothed loss by torch."""
    return cross_entropy(logits, labels, label_smoothing=eps)


def uniform(logits: Tensor) -> Tensor:
    """The mean of -log p over classes and images."""
    return -logits.log_softmax(1).mean()


def others_only(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The loss in which the K - 1 other classes share eps."""
    k, true = logits.shape[1], cross_entropy(logits, labels)
    return (1 - eps) * true + eps * (k * uniform(logits) - true) / (k - 1)


def divergence(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The loss without the entropy of the targets."""
    q = torch.full_like(logits[0], eps / logits.shape[1])
    q[0] += 1 - eps
    return right_loss(logits, labels, eps) + torch.xlogy(q, q).sum()


MISTAKEN_LOSSES: dict[str, Loss] = {
    "that is plain cross-entropy: eps does nothing yet": lambda x, y, eps: cross_entropy(x, y),
    "eps is shared by all K classes, the label's own among them": others_only,
    "the uniform term is a mean over the K classes, not a sum": (
        lambda x, y, eps: (1 - eps) * cross_entropy(x, y) + eps * x.shape[1] * uniform(x)
    ),
    "the one-hot part has weight 1 - eps": (
        lambda x, y, eps: cross_entropy(x, y) + eps * uniform(x)
    ),
    "eps and 1 - eps have changed places": lambda x, y, eps: right_loss(x, y, 1 - eps),
    "average over the images, do not sum": lambda x, y, eps: len(x) * right_loss(x, y, eps),
    "average over the images, sum over the classes": (
        lambda x, y, eps: right_loss(x, y, eps) / x.shape[1]
    ),
    "a loss has a minus sign before log p": lambda x, y, eps: -right_loss(x, y, eps),
    "log p is logits.log_softmax(1), not the logits": (
        lambda x, y, eps: right_loss(x, y, eps) - x.logsumexp(1).mean()
    ),
    "that is the KL divergence alone: the entropy of q' is missing": divergence,
}


class Watch(TorchFunctionMode):
    """While it is on, `.smoothed` notes whether torch is asked for its own label smoothing."""

    smoothed = False

    def __torch_function__(self, function, types, args=(), kwargs=None):  # as torch asks for it
        self.smoothed |= bool((kwargs or {}).get("label_smoothing"))
        return function(*args, **(kwargs or {}))

    def call(self, function: Callable[..., Tensor], *arguments: object) -> Tensor:
        """What a function returns while it is watched."""
        with self:
            return function(*arguments)


def check_form(loss: Loss) -> str | None:
    """One form of the loss, and its gradient, for random logits of several shapes."""
    cases = [(2 * torch.randn(n, k), torch.randint(k, (n,)), eps) for n, k, eps in CASES]
    watch = Watch()
    for logits, labels, eps in cases:
        logits.requires_grad_()
        why = other_function(
            lambda x, y, eps=eps: watch.call(loss, x, y, eps),
            lambda x, y, eps=eps: right_loss(x, y, eps),
            logits,
            labels,
        )
        if watch.smoothed:
            return "it calls torch's own label_smoothing: write the loss without it"
        if why:
            break
    else:
        own = LabelSmoothingCrossEntropy.forward, *FORMS.values()
        ours = calls(partial(loss, logits, labels, eps), *own)
        return "it calls the package's own: write it in your own lines" if ours else None
    told = f"for logits of shape {tuple(logits.shape)} and eps = {eps:g} {why}"
    if "nan" in why and not eps:
        return f"{told}; 0 log 0 counts as 0 here, as in torch.xlogy(q, q)"
    found = [loss(x.detach().clone(), y, eps) for x, y, eps in cases]
    for mistake, wrong in MISTAKEN_LOSSES.items():
        right = [wrong(*case) for case in cases]
        if all(isinstance(f, Tensor) and same(f, r) for f, r in zip(found, right, strict=True)):
            return f"{told}; {mistake}"
    return told


def check_suspect(letter: object) -> str | None:
    """The letter of the suspect that divides by K - 1."""
    named = str(letter).strip().upper()
    if named not in SUSPECTS:
        return f"name one of {', '.join(SUSPECTS)}, got {str(letter)[:40]!r}"
    if named != "B":
        return f"{named} gives torch's loss on every batch; compare each suspect with torch's"
    return None


REALLY = ((0.1, 10), (0.1, 2), (0.2, 5), (0.1, 1000), (0.3, 3))  # eps, K
MISTAKEN_REALLY: dict[str, Callable[[float, int], float]] = {
    "that is the eps it was given; look at what it leaves for the label": lambda eps, k: eps,
    "the other way round: it smooths more than it was told": lambda eps, k: eps * (k - 1) / k,
    "that is the target of one other class; right ones have e / K there": (
        lambda eps, k: eps / (k - 1)
    ),
    "that is what it leaves for the label": lambda eps, k: 1 - eps,
    "the label keeps 1 - eps; set that equal to 1 - e + e / K": lambda eps, k: eps * (1 + 1 / k),
}


def check_really(really: Callable[[float, int], float]) -> str | None:
    """The eps that the suspect really applies, given eps and K."""
    where, advice = "eps = {:g}, K = {}", "find e with 1 - e + e / K = 1 - eps"

    def right(eps: float, k: int) -> float:
        return eps * k / (k - 1)

    mistakes, wanted = MISTAKEN_REALLY, "a number"
    return other_number(really, right, REALLY, where, mistakes, advice, wanted=wanted)


ENOUGH = 0.01  # of the lowest loss, that a temperature's own may lie above it


def check_temperature(fit: Callable[[Tensor, Tensor], float]) -> str | None:
    """`fit(logits, labels)`: a T whose negative log-likelihood is the lowest, or nearly."""
    cases = []
    for n, classes, size, true in ((3000, 10, 3, 2.5), (1500, 4, 2, 0.7), (2000, 6, 6, 5)):
        logits = size * torch.randn(n, classes)
        cases.append((logits, torch.multinomial((logits / true).softmax(1), 1).squeeze(1)))
    cases.append((logits / 2, cases[-1][1]))
    found = [(fit(x.clone(), y.clone()), temperature(x, y)) for x, y in cases]
    told = ""
    for (answer, right), (x, y) in zip(found, cases, strict=True):
        t = number(answer)
        if t is None or not 0 < t < inf:
            return f"it returns {str(answer)[:60]!r}, expected one number above 0"
        own, lowest = (cross_entropy(x.double() / each, y).item() for each in (t, right))
        if own > (1 + ENOUGH) * lowest:
            told = f"at your T = {t:.3g} cross_entropy(logits / T, labels) is {own:.4f}"
            told += f", at T = {right:.3g} it is {lowest:.4f}"
            break
    if told and all(abs(number(t) * right - 1) < 0.05 for t, right in found if number(t)):
        return f"{told}; divide by T, so T = 1 / scale"
    if told and all(number(t) == 1 for t, _ in found):
        return f"{told}; T = 1 changes nothing"
    return told or None


def package_form(name: str) -> Loss:
    """A form of the package's loss, called as the exercise has it."""
    return lambda logits, labels, eps: LabelSmoothingCrossEntropy(eps, form=name)(logits, labels)


NAMES = ("mixed_targets", "two_terms", "kl_and_entropy")
exercise_1 = Exercise(
    "1",
    dict.fromkeys(NAMES, check_form),
    lesson="07",
    keep=NAMES,
    ours=tuple(map(package_form, FORMS)),
)
exercise_2 = Exercise("2", {"suspect": check_suspect, "really": check_really})
exercise_3 = Exercise("3", check_temperature)
