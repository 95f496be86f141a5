"""Lesson 07: the temperature that mends confidence after training."""

from torch import Tensor


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The T at which logits / T (n, K) have the lowest negative log-likelihood, by bisection.

    Its slope by 1 / T is the logits' mean under softmax minus the labels' own: it rises with 1 / T.
    """
    logits = logits.double()
    own = logits.gather(1, labels[:, None]).mean()
    low, high = 1e-3, 1e3  # of 1 / T
    for _ in range(60):
        middle = (low * high) ** 0.5
        expected = ((middle * logits).softmax(1) * logits).sum(1).mean()
        low, high = (middle, high) if expected < own else (low, middle)
    return (low * high) ** -0.5
