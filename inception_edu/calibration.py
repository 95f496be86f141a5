"""Whether a network's confidence can be believed: reliability curve, expected calibration error.

Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599. A prediction's
confidence is the probability of the class it names.
"""

from typing import NamedTuple

from torch import Tensor

from inception_edu.layers import check_count
from inception_edu.smoothing import check_logits


class Bin(NamedTuple):
    """The predictions whose confidence lies in (low, high]: how many, mean confidence, share that
    was right; both are 0 where there are none."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(logits: Tensor, labels: Tensor, *, bins: int = 15) -> list[Bin]:
    """The reliability curve of logits (n, K) and labels (n,), over `bins` equal parts of (0, 1]."""
    check_count(bins=bins)
    check_logits(logits, labels)
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    right = (predicted == labels).double()
    number = (confidence * bins).ceil().long().clamp(1, bins)
    found = []
    for i in range(1, bins + 1):
        there = number == i
        n = int(there.sum())
        means = (v[there].mean().item() if n else 0.0 for v in (confidence, right))
        found.append(Bin((i - 1) / bins, i / bins, n, *means))
    return found


def expected_calibration_error(logits: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """The mean distance between confidence and accuracy over the bins, weighed by their counts.

    0 is perfect, 1 the worst. Takes logits (n, K) and labels (n,); raises TypeError or ValueError
    as `smoothing.check_logits` does.
    """
    curve = reliability(logits, labels, bins=bins)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in curve) / len(labels)
