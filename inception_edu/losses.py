"""Losses over a network's main head and its auxiliary heads; label smoothing is smoothing.py's."""

import math

from torch import Tensor
from torch.nn.functional import cross_entropy

from inception_edu.calibration import expected_calibration_error as expected_calibration_error
from inception_edu.network import Outputs
from inception_edu.smoothing import (
    LabelSmoothingCrossEntropy as LabelSmoothingCrossEntropy,
    check_smoothing,
    smoothed_targets as smoothed_targets,
)

AUX_WEIGHT = 0.3  # of each auxiliary head's loss ([G] section 5)


def logits_of(outputs: Outputs | Tensor) -> Tensor:
    """The main logits of a network's output."""
    return outputs if isinstance(outputs, Tensor) else outputs.logits


def head_logits(outputs: Outputs | Tensor) -> dict[str, Tensor]:
    """The logits (n, classes) of every head that is at work: "main", then the aux heads by name."""
    aux = {} if isinstance(outputs, Tensor) else outputs.aux
    return {"main": logits_of(outputs), **aux}


def head_losses(
    outputs: Outputs | Tensor, labels: Tensor, *, label_smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Mean cross-entropy of every head, in float32 whatever the logits are."""
    check_smoothing("label_smoothing", label_smoothing)
    return {
        name: cross_entropy(
            logits if logits.dtype.itemsize >= 4 else logits.float(),
            labels,
            label_smoothing=label_smoothing,
        )
        for name, logits in head_logits(outputs).items()
    }


def weighted_sum(losses: dict[str, Tensor], aux_weight: float = AUX_WEIGHT) -> Tensor:
    """The main head's loss plus `aux_weight` times that of each auxiliary head ([G] section 5)."""
    if not 0 <= aux_weight < math.inf:
        raise ValueError(f"aux_weight must be at least 0 and finite, got {aux_weight}")
    return losses["main"] + aux_weight * sum(v for name, v in losses.items() if name != "main")


def loss_with_aux(
    outputs: Outputs | Tensor,
    labels: Tensor,
    *,
    aux_weight: float = AUX_WEIGHT,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss that training lowers: main + aux_weight x (aux1 + aux2), a scalar.

    Takes Outputs or plain logits (n, classes) and labels (n,); where no auxiliary head is at work
    it is the main head's cross-entropy. Raises ValueError for a negative weight.
    """
    return weighted_sum(head_losses(outputs, labels, label_smoothing=label_smoothing), aux_weight)
