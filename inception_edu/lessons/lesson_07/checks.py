"""Lesson 07, label smoothing: the checks of its exercises."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from inception_edu.exercises import Exercise, number, unattempted
from inception_edu.exercises.answers import other_number
from inception_edu.exercises.judging import calls, other_function, same
from inception_edu.lessons.lesson_07.binning import check_calibration
from inception_edu.lessons.lesson_07.mistaken_losses import MISTAKEN_LOSSES, Watch, right_loss
from inception_edu.lessons.lesson_07.suspects import SUSPECTS, Loss
from inception_edu.lessons.lesson_07.temperature import temperature
from inception_edu.losses import FORMS, LabelSmoothingCrossEntropy, expected_calibration_error

# Exercise 1: three forms

CASES = ((7, 2, 0.1), (5, 10, 0.3), (9, 3, 0.5), (4, 6, 0.0))  # n, K, eps


def check_form(loss: Loss, name: str = "") -> str | None:
    """One form of the loss, and its gradient, for random logits of several shapes; `name` is the
    form's, which must not run another one."""
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
        if calls(partial(loss, logits, labels, eps), *own):
            return "it calls the package's own: write it in your own lines"
        others = runs_by_name(partial(loss, logits, labels, eps)) & {*FORM_NAMES} - {name}
        return f"it runs {min(others)}: write this form by its own formula" if others else None
    said = f"for logits of shape {tuple(logits.shape)} and eps = {eps:g} {why}"
    if "nan" in why and not eps:
        return f"{said}; 0 log 0 counts as 0 here, as in torch.xlogy(q, q)"
    found = [loss(x.detach().clone(), y, eps) for x, y, eps in cases]
    for mistake, wrong in MISTAKEN_LOSSES.items():
        right = [wrong(*case) for case in cases]
        if all(isinstance(f, Tensor) and same(f, r) for f, r in zip(found, right, strict=True)):
            return f"{said}; {mistake}"
    return said


def runs_by_name(call: Callable[[], object]) -> set[str]:
    """The names of the functions that a call runs."""
    names, before = set(), sys.getprofile()
    sys.setprofile(lambda frame, event, about: names.add(frame.f_code.co_name))
    try:
        call()
    finally:
        sys.setprofile(before)
    return names


# Exercise 2: four suspects

BATCH_MEAN, OTHERS_ONLY = "B", "D"  # the faulty ones
HIDDEN: dict[str, Loss] = {  # what a test has to find, by what is said where it doesn't
    "it lets a loss pass in which eps does nothing": (
        lambda x, y, eps: cross_entropy(x, y, reduction="none")
    ),
    "it lets a loss pass in which the K - 1 other classes share eps: take few classes": (
        lambda x, y, eps: SUSPECTS[OTHERS_ONLY](x, y, eps)
    ),
    "it lets a loss pass that is right in the mean of a batch and wrong for each image: take a "
    "batch of several images, and compare image by image": (
        lambda x, y, eps: SUSPECTS[BATCH_MEAN](x, y, eps)
    ),
}
RIGHT: tuple[Loss, ...] = (
    lambda x, y, eps: cross_entropy(x, y, label_smoothing=eps, reduction="none"),
    lambda x, y, eps: SUSPECTS["A"](x, y, eps),
    lambda x, y, eps: SUSPECTS["C"](x, y, eps),
)


def check_faulty(faulty: Callable[[Loss], object]) -> str | None:
    """A test of losses, asked three times each of right ones and of faulty ones."""
    for _ in range(3):
        for loss in RIGHT:
            if bool(faulty(loss)):
                return (
                    "it calls a right loss faulty: compare with torch's losses of the images "
                    '(reduction="none"), and leave room for rounding, as torch.allclose does'
                )
    missed = [why for why, loss in HIDDEN.items() if not all(faulty(loss) for _ in range(3))]
    return missed[0] if missed else None


def check_named(answer: object) -> str | None:
    """The letters of the two faulty suspects, in the order of the question."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    letters = list(answer) if isinstance(answer, Iterable) else [answer]
    letters = [letter for letter in letters if str(letter).strip(" ,")]
    if any(map(unattempted, letters)):
        return "name both suspects"
    letters = [str(letter).strip().upper() for letter in letters]
    if len(letters) != 2 or not set(letters) <= {*SUSPECTS}:
        return f"name two of {', '.join(SUSPECTS)}, got {str(answer)[:40]!r}"
    if letters == [OTHERS_ONLY, BATCH_MEAN]:
        return None
    if letters == [BATCH_MEAN, OTHERS_ONLY]:
        return "these are the two faulty ones in the other order: one alone is right in the mean"
    return "these are not the two faulty ones: call faulty on each suspect"


REALLY = ((0.1, 10), (0.1, 2), (0.2, 5), (0.1, 1000), (0.3, 3))  # eps, K
MISTAKEN_REALLY: dict[str, Callable[[float, int], float]] = {
    "that is the eps it was given; look at what it leaves for the label": lambda eps, k: eps,
    "it is the other way round: the suspect smooths more than eps says": lambda eps, k: (
        eps * (k - 1) / k
    ),
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


# Exercise 4: temperature

ENOUGH = 0.01  # of the lowest loss, that a temperature's own may lie above it


def check_temperature(fit: Callable[[Tensor, Tensor], float]) -> str | None:
    """`fit(logits, labels)`: a T whose negative log-likelihood is the lowest, or nearly."""
    cases = []
    for n, classes, size, true in ((3000, 10, 3, 2.5), (1500, 4, 2, 0.7), (2000, 6, 6, 5)):
        logits = size * torch.randn(n, classes)
        cases.append((logits, torch.multinomial((logits / true).softmax(1), 1).squeeze(1)))
    cases.append((logits / 2, cases[-1][1]))
    found = [(fit(x.clone(), y.clone()), temperature(x, y)) for x, y in cases]
    said = ""
    for (answer, right), (x, y) in zip(found, cases, strict=True):
        t = number(answer)
        if t is None or not 0 < t < inf:
            return f"it returns {str(answer)[:60]!r}, expected one number above 0"
        own, lowest = (cross_entropy(x.double() / each, y).item() for each in (t, right))
        if own > (1 + ENOUGH) * lowest:
            said = f"at your T = {t:.3g} cross_entropy(logits / T, labels) is {own:.4f}"
            said += f", at T = {right:.3g} it is {lowest:.4f}"
            break
    if said and all(abs(number(t) * right - 1) < 0.05 for t, right in found if number(t)):
        return f"{said}; divide by T, so T = 1 / scale"
    if said and all(number(t) == 1 for t, _ in found):
        return f"{said}; T = 1 changes nothing"
    return said or None


def package_form(name: str) -> Loss:
    """A form of the package's loss, called as the exercise has it."""
    return lambda logits, labels, eps: LabelSmoothingCrossEntropy(eps, form=name)(logits, labels)


def package_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """The package's calibration error, called as the exercise has it."""
    return expected_calibration_error(logits, labels, bins=bins)


FORM_NAMES = ("mixed_targets", "two_terms", "kl_and_entropy")
FORM_CHECKS = {name: partial(check_form, name=name) for name in FORM_NAMES}
OURS = tuple(map(package_form, FORMS))
exercise_1 = Exercise("1", FORM_CHECKS, lesson="07", keep=FORM_NAMES, ours=OURS)
exercise_2 = Exercise("2", {"faulty": check_faulty, "named": check_named, "really": check_really})
exercise_3 = Exercise(
    "3", check_calibration, lesson="07", keep="calibration_error", ours=package_error
)
exercise_4 = Exercise("4", check_temperature, ours=temperature)
