"""Lesson 07: the calibration error by an independent route, what mistakes make of it, the check."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from inception_edu.exercises.answers import number
from inception_edu.exercises.judging import calls
from inception_edu.losses import expected_calibration_error, reliability

Measure = Callable[..., object]  # (logits, labels, bins) -> the calibration error
# n, K, bins, and the temperature at which labels come true: from over- to underconfident
DRAWS = ((400, 5, 15, 2.0), (250, 3, 10, 1.0), (300, 10, 7, 0.4), (90, 2, 4, 3.0))
CLOSE = 2e-5  # of two calibration errors that agree


class Held(NamedTuple):
    """What a bin holds: its place from 0, images, mean confidence, accuracy."""

    place: int
    n: int
    confidence: float
    accuracy: float


def named_probability(row: Tensor, rows: Tensor, label: int) -> float:
    """The probability of the class that a row of logits names."""
    return row.softmax(0).max().item()


def held(
    logits: Tensor,
    labels: Tensor,
    bins: int,
    sure: Callable[[Tensor, Tensor, int], float] = named_probability,
    upper: bool = False,
) -> list[Held]:
    """Every bin that holds images, image by image; `upper`: a confidence on the border of two bins
    belongs to the upper one, else to the lower one."""
    rows, inside = logits.double(), {}
    for row, label in zip(rows, labels.tolist(), strict=True):
        confidence = sure(row, rows, label)
        place = math.floor(confidence * bins) if upper else math.ceil(confidence * bins) - 1
        image = confidence, float(row.argmax() == label)
        inside.setdefault(min(max(place, 0), bins - 1), []).append(image)
    found = []
    for place, images in inside.items():
        confidence, accuracy = (sum(column) / len(images) for column in zip(*images, strict=True))
        found.append(Held(place, len(images), confidence, accuracy))
    return found


def error(logits: Tensor, labels: Tensor, bins: int, **options: object) -> float:
    """The calibration error; `options` are those of `held`."""
    found = held(logits, labels, bins, **options)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in found) / len(labels)


def signed(logits: Tensor, labels: Tensor, bins: int) -> float:
    """Mean confidence minus accuracy, in which bins may cancel out."""
    found = held(logits, labels, bins)
    return sum(b.n * (b.confidence - b.accuracy) for b in found) / len(labels)


def squared(logits: Tensor, labels: Tensor, bins: int) -> float:
    """The mean of squared distances."""
    found = held(logits, labels, bins)
    return sum(b.n * (b.confidence - b.accuracy) ** 2 for b in found) / len(labels)


def unweighted(logits: Tensor, labels: Tensor, bins: int) -> float:
    """The sum of distances, each bin counted once."""
    return sum(abs(b.confidence - b.accuracy) for b in held(logits, labels, bins))


def of_the_whole(logits: Tensor, labels: Tensor, bins: int) -> float:
    """Each bin's confidence against the accuracy on all images."""
    found = held(logits, labels, bins)
    accuracy = sum(b.n * b.accuracy for b in found) / len(labels)
    return sum(b.n * abs(b.confidence - accuracy) for b in found) / len(labels)


def from_middles(logits: Tensor, labels: Tensor, bins: int) -> float:
    """Each bin's middle in place of its mean confidence."""
    found = held(logits, labels, bins)
    return sum(b.n * abs((b.place + 0.5) / bins - b.accuracy) for b in found) / len(labels)


MISTAKES: dict[str, Measure] = {
    "a bin counts by its images: weigh each distance by n_b / n": (
        lambda x, y, bins: unweighted(x, y, bins) / len(held(x, y, bins))
    ),
    "a bin counts by its images, n_b / n, not 1 / bins": (
        lambda x, y, bins: unweighted(x, y, bins) / bins
    ),
    "the distances are not weighted by n_b / n": unweighted,
    "take each bin's distance without its sign, else over- and underconfidence cancel out": signed,
    "take the distance within each bin; over all images, bins cancel out": (
        lambda x, y, bins: abs(signed(x, y, bins))
    ),
    "compare a bin's confidence with the accuracy within that bin, not on all images": of_the_whole,
    "confidence is a probability: softmax the logits first": partial(
        error, sure=lambda row, rows, label: row.max().item()
    ),
    "confidence is that of the class that is named, the largest, not of the label": partial(
        error, sure=lambda row, rows, label: row.softmax(0)[label].item()
    ),
    "softmax runs over the classes, dim 1, not over the images": partial(
        error,
        sure=lambda row, rows, label: (row - rows.logsumexp(0)).exp().max().item(),
    ),
    "divide by the n images, not by the K classes": (
        lambda x, y, bins: error(x, y, bins) * len(y) / x.shape[1]
    ),
    "divide the sum by the n images": lambda x, y, bins: error(x, y, bins) * len(y),
    "take the distance itself, not its square": squared,
    "take the distances themselves, without squares and root": (
        lambda x, y, bins: squared(x, y, bins) ** 0.5
    ),
    "take the mean over the bins, not the largest distance": (
        lambda x, y, bins: max(abs(b.confidence - b.accuracy) for b in held(x, y, bins))
    ),
    "take the mean confidence within a bin, not its middle": from_middles,
    "return a fraction from 0 to 1, not percent": lambda x, y, bins: 100 * error(x, y, bins),
    "take the means within a bin first, then their distance, not each image's": (
        lambda x, y, bins: error(x, y, 10**9)  # so many bins that each image has its own
    ),
    "the argument bins changes nothing": lambda x, y, bins: error(x, y, 15),
}


def drawn(n: int, classes: int, bins: int, true: float) -> tuple[Tensor, Tensor]:
    """Random logits, and labels that come true as logits / true say; no confidence lies so near to
    a border of two bins that rounding could move it."""
    while True:
        logits = 2 * torch.randn(n, classes)
        labels = torch.multinomial((logits / true).softmax(1), 1).squeeze(1)
        place = logits.double().softmax(1).amax(1) * bins
        if (place - place.round()).abs().min() > 1e-5:
            return logits, labels


def edge_cases() -> dict[str, tuple[Tensor, Tensor, int]]:
    """What is easily forgotten: logits, labels and bins by what is special about them."""
    sure = torch.tensor([[200.0, 0, 0], [0, 200, 0], [0, 0, 200], [2, 1, 0]])
    half = torch.tensor([[0.0, 0], [0, 0], [0, 0], [3, 0], [0, 4]])
    return {
        "confidences of exactly 1, which belong to the last bin": (
            sure,
            torch.tensor([0, 1, 0, 1]),
            10,
        ),
        "confidences of exactly 0.5, on the border of two bins": (half, torch.zeros(5).long(), 2),
        "two images, which leave most bins empty": (sure[2:], torch.tensor([0, 0]), 15),
        "one image": (sure[3:], torch.tensor([1]), 5),
    }


def check_calibration(measure: Measure) -> str | None:
    """`measure(logits, labels, bins=15)` is the expected calibration error."""
    cases = [(*drawn(*draw), draw[2]) for draw in DRAWS]
    x, y, bins = cases[0]
    if calls(partial(measure, x, y, bins), expected_calibration_error, reliability):
        return "it calls the package's own: write it in your own lines"
    found = [measure(x.clone(), y.clone(), bins) for x, y, bins in cases]
    where = ["for {} rows of {} logits and {} bins".format(*draw[:3]) for draw in DRAWS]
    cases.append((x, y, 15))
    found.append(measure(x.clone(), y.clone()))
    where.append("without the argument bins")
    for about, case in edge_cases().items():
        found.append(measure(case[0].clone(), case[1].clone(), case[2]))
        cases.append(case)
        where.append(f"for {about},")
    for about, answer, case in zip(where, found, cases, strict=True):
        if (value := number(answer)) is None or abs(value) == math.inf:
            shown = f"{about} it returns {str(answer)[:40]!r}, expected one number"
            empty = str(answer).lower().find("nan") >= 0
            return shown + "; an empty bin has no mean: leave it out" * empty
        right = [error(*case, upper=upper) for upper in (False, True)]
        if min(abs(value - each) for each in right) > CLOSE:
            told = f"{about} it returns {value:.4f}, expected {right[0]:.4f}"
            return told + "; " * bool(why := mistake(found, cases)) + why
    return None


def mistake(found: list[object], cases: list[tuple[Tensor, Tensor, int]]) -> str:
    """The common mistake that random draws have in common; "" if there is none."""
    pairs = [(number(answer), case) for answer, case in zip(found, cases, strict=True)]
    for why, wrong in MISTAKES.items():
        random = pairs[: len(DRAWS)]
        if all(v is not None and abs(v - wrong(*case)) <= CLOSE * max(1, v) for v, case in random):
            return why
    return ""
