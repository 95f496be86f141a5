"""Lesson 07, label smoothing: the runs with and without it, and what is kept of them.

Two regimes see equally many images in equally many steps: in one each image is met once, in the
other 2,000 images are met so often that the network knows them by heart.
"""

from dataclasses import replace
from functools import partial

from torch import Tensor

from inception_edu.lessons.shared import Entry, first_images, small_googlenet
from inception_edu.losses import expected_calibration_error, reliability
from inception_edu.training import Recipe
from inception_edu.training.evaluation import Evaluation
from inception_edu.training.recipe import ONE_PASS


def logit_gap(logits: Tensor) -> float:
    """The mean distance from a row's top logit to the mean of its others; logits (n, K)."""
    top = logits.max(dim=1).values
    others = (logits.sum(dim=1) - top) / (logits.shape[1] - 1)
    return (top - others).mean().item()


def judged(evaluation: Evaluation, labels: Tensor) -> dict:
    """What a reliability diagram and its words need of logits on the test split."""
    logits = evaluation.logits
    return dict(
        negative_log_likelihood=round(evaluation.loss, 4),
        calibration_error=round(expected_calibration_error(logits, labels), 4),
        confidence=round(evaluation.confidence, 4),
        logit_gap=round(logit_gap(logits), 3),
        reliability=[
            [bin.count, round(bin.confidence, 4), round(bin.accuracy, 4)]
            for bin in reliability(logits, labels)
        ],
    )


SEEN, FEW = 38_400, 2_000  # images that a run sees, and those that are met 19 times
RECIPE = Recipe(
    steps=SEEN // 64,
    batch_size=64,
    lr=0.1,
    precision="float32",
    shares=1,
    validate_every=60,
    **ONE_PASS,
)
REGIMES = {"each image once": SEEN, "2,000 images, 19 times": FEW}
RUNS = {  # the study "smoothing"
    f"{regime}, eps {eps:g}": Entry(
        "07",
        small_googlenet,
        replace(RECIPE, label_smoothing=eps),
        prepare=partial(first_images, train=images),
        look=judged,
    )
    for regime, images in REGIMES.items()
    for eps in (0.0, 0.1)
}
