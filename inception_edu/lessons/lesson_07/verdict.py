"""Lesson 07: what the saved runs show, in sentences, and the temperature that mends confidence."""

import statistics

from torch import Tensor

from inception_edu.display import Table
from inception_edu.lessons.lesson_07.calibration import MEASURES, column
from inception_edu.lessons.shared import mean_std


def verdict(study: dict) -> Table:
    """What smoothing changed, seed by seed, and where it left confidence; what changed one way with
    every seed is bold."""
    plain, smooth = study["runs"].values()
    rows, bold = [("measure", f"change, n = {len(plain)}", "the same way with every seed")], []
    for measure, (_, _, digits) in MEASURES.items():
        pairs = zip(column(plain, measure), column(smooth, measure), strict=True)
        changes = [b - a for a, b in pairs]
        one_way = min(changes) > 0 or max(changes) < 0
        bold += [len(rows) - 1] * one_way
        seeds = "yes" if one_way else "no: no difference shown"
        rows.append((measure, mean_std(changes, "+", digits=digits), seeds))
    excesses = {name: excess(runs) for name, runs in study["runs"].items()}
    told = [
        f"{name}: confidence minus accuracy {points:+.1f} points, {leaning(points)}"
        for name, points in excesses.items()
    ]
    return Table(rows, bold=bold, caption="; ".join(told))


def excess(runs: list[dict]) -> float:
    """Mean confidence minus mean accuracy, in percentage points."""
    sure, right = (column(runs, measure) for measure in ("confidence, %", "test accuracy, %"))
    return statistics.mean(sure) - statistics.mean(right)


def leaning(points: float) -> str:
    """What confidence minus accuracy says in a word, from one point on."""
    if abs(points) < 1:
        return "about right"
    return "overconfident" if points > 0 else "underconfident"


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
