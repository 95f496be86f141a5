"""Lesson 07, label smoothing: the checks of its exercises."""

from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from inception_edu.exercises import Exercise, plain
from inception_edu.lessons.lesson_07.verdict import temperature

Loss = Callable[[Tensor, Tensor, float], Tensor]
CASES = ((7, 2, 0.1), (5, 10, 0.3), (4, 6, 0.0))  # n, K, eps


def mistaken_losses(logits: Tensor, labels: Tensor, eps: float) -> dict[str, Tensor]:
    """What comes out of a loss with a common mistake, by its explanation."""
    log_p, (n, classes) = logits.log_softmax(1), logits.shape
    true = -log_p.gather(1, labels[:, None]).mean()
    uniform = -log_p.mean()
    right = (1 - eps) * true + eps * uniform
    others = (classes * uniform - true) / (classes - 1)
    q = (1 - eps) * torch.eye(classes)[labels] + eps / classes
    return {
        "that is plain cross-entropy: eps does nothing yet": true,
        "eps is shared by all K classes, the label's own among them": (1 - eps) * true
        + eps * others,
        "the uniform term is a mean over the K classes, not a sum": (1 - eps) * true
        + eps * classes * uniform,
        "the one-hot part has weight 1 - eps": true + eps * uniform,
        "eps and 1 - eps have changed places": eps * true + (1 - eps) * uniform,
        "average over the images, do not sum": right * n,
        "a loss has a minus sign before log p": -right,
        "log p is logits.log_softmax(1), not the logits": -(q * logits).sum(1).mean(),
        "that is the KL divergence alone: the entropy of q' is missing": right
        + torch.xlogy(q, q).sum(1).mean(),
    }


def check_form(name: str, loss: Loss) -> str | None:
    """One form of the loss, on random logits of several shapes, against torch's own."""
    for n, classes, eps in CASES:
        logits, labels = 2 * torch.randn(n, classes), torch.randint(classes, (n,))
        found = loss(logits, labels, eps)
        right = cross_entropy(logits, labels, label_smoothing=eps)
        if not isinstance(found, Tensor) or found.ndim:
            return f"{name}: return one number as a tensor, got {str(found)[:60]!r}"
        if torch.allclose(found, right, rtol=1e-4, atol=1e-6):
            continue
        if found.isnan():
            return (
                f"{name}: nan at eps = {eps:g}; 0 log 0 counts as 0 here, as in torch.xlogy(q, q)"
            )
        mistakes = mistaken_losses(logits, labels, eps).items()
        told = (why for why, value in mistakes if torch.allclose(found, value, rtol=1e-4))
        why = next(told, "compare your targets with the table above, row by row")
        seen = f"logits ({n}, {classes}), eps = {eps:g}: you say {found:.4f}, torch {right:.4f}"
        return f"{name}: {seen}; {why}"
    return None


def check_forms(mixed: Loss, two: Loss, kl: Loss) -> str | None:
    """The three forms, each by itself."""
    forms = {"mixed_targets": mixed, "two_terms": two, "kl_and_entropy": kl}
    return next(filter(None, (check_form(name, loss) for name, loss in forms.items())), None)


def loss_a(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect A: two terms."""
    true = -log_p.gather(1, labels[:, None]).squeeze(1)
    return ((1 - eps) * true - eps * log_p.mean(1)).mean()


def loss_b(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect B: targets filled in, then the label's own set."""
    q = torch.full_like(log_p, eps / (log_p.shape[1] - 1))
    q.scatter_(1, labels[:, None], 1 - eps)
    return -(q * log_p).sum(1).mean()


def loss_c(log_p: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Suspect C: targets filled in, then the label's own added to."""
    q = torch.full_like(log_p, eps / log_p.shape[1])
    q[torch.arange(len(labels)), labels] += 1 - eps
    return -(q * log_p).sum(1).mean()


SUSPECTS: dict[str, Loss] = {"A": loss_a, "B": loss_b, "C": loss_c}


def check_mistake(letter: str, really: Callable[[float, int], float]) -> str | None:
    """The suspect that divides by K - 1, and the eps that it really applies."""
    if letter not in SUSPECTS:
        return f"name one of {', '.join(SUSPECTS)}, got {letter!r}"
    if letter != "B":
        return f"{letter} gives torch's loss on every batch; compare each suspect with torch's"
    for eps, classes in ((0.1, 10), (0.1, 2), (0.2, 5), (0.1, 1000)):
        found, right = plain(really(eps, classes)), eps * classes / (classes - 1)
        if not isinstance(found, Real):
            return f"really(eps, K) must return a number, got {found!r}"
        if abs(found - right) > 1e-6:
            mistakes = {
                "that is the eps it was given; what does it leave for the label?": eps,
                "the other way round: B smooths more than it was told": eps - eps / classes,
                "that is the target of one other class; right ones have e / K there": eps
                / (classes - 1),
                "the label keeps 1 - eps in B; set that equal to 1 - e + e / K": eps
                + eps / classes,
            }
            told = (why for why, value in mistakes.items() if abs(found - value) < 1e-6)
            why = next(told, "find e with 1 - e + e / K = 1 - eps")
            return (
                f"eps = {eps:g}, K = {classes}: you say {found:.4f}, B applies {right:.4f}; {why}"
            )
    return None


def check_temperature(fit: Callable[[Tensor, Tensor], float]) -> str | None:
    """`fit(logits, labels)`: the T with the lowest negative log-likelihood, within 2 %."""
    for true in (2.5, 0.4):
        logits = 3 * torch.randn(3_000, 10)
        labels = torch.multinomial((logits / true).softmax(1), 1).squeeze(1)
        right, found = temperature(logits, labels), float(fit(logits, labels))
        if abs(found / right - 1) < 0.02:
            continue
        losses = [cross_entropy(logits / t, labels).item() for t in (found, right)]
        if abs(found * right - 1) < 0.02:
            return f"you say {found:.2f}, expected {right:.2f}: divide by T, so T = 1 / scale"
        if found == 1:
            return f"T = 1 changes nothing; the lowest is near {right:.2f}"
        seen = f"at your T = {found:.2f} it is {losses[0]:.4f}, at {right:.2f} {losses[1]:.4f}"
        return f"cross_entropy(logits / T, labels) must be lowest: {seen}"
    return None


exercise_1 = Exercise("1", check_forms)
exercise_2 = Exercise("2", check_mistake)
exercise_3 = Exercise("3", check_temperature)
