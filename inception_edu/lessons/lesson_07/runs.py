"""Lesson 07, label smoothing: the runs with and without it, and what is kept of them."""

from dataclasses import replace

import torch
from torch import Tensor

from inception_edu.lessons.shared import GOOGLENET_RECIPE, Entry, small_googlenet
from inception_edu.losses import expected_calibration_error, reliability
from inception_edu.training.evaluation import Evaluation


def logit_gap(logits: Tensor) -> float:
    """The mean distance from a row's top logit to the mean of its others; logits (n, K)."""
    top = logits.max(dim=1).values
    others = (logits.sum(dim=1) - top) / (logits.shape[1] - 1)
    return (top - others).mean().item()


def judged(evaluation: Evaluation, labels: Tensor) -> dict:
    """What a reliability diagram and its words need of logits on the test part."""
    logits = evaluation.logits
    confidence = torch.softmax(logits.double(), dim=1).max(dim=1).values
    return dict(
        negative_log_likelihood=round(evaluation.loss, 4),
        calibration_error=round(expected_calibration_error(logits, labels), 4),
        confidence=round(confidence.mean().item(), 4),
        logit_gap=round(logit_gap(logits), 3),
        reliability=[
            [bin.count, round(bin.confidence, 4), round(bin.accuracy, 4)]
            for bin in reliability(logits, labels)
        ],
    )


RECIPES = {
    f"eps {eps:g}": replace(GOOGLENET_RECIPE, label_smoothing=eps, precision="float32")
    for eps in (0.0, 0.1)
}
RUNS = {name: Entry("07", small_googlenet, recipe, look=judged) for name, recipe in RECIPES.items()}
