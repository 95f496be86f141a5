"""Label smoothing from scratch, calibration, and the loss over main and auxiliary heads."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.checks import check_choice, check_count, check_kind, check_number, check_whole
from inception_edu.network import Outputs


def check_smoothing(name: str, eps: float) -> float:
    """`eps` as Python's; TypeError or ValueError unless it is a number from 0 to below 1."""
    allowed = "at least 0 and below 1 ([V3] uses 0.1)"
    return check_number(name, eps, allowed, lambda value: 0 <= value < 1)


def smoothed_targets(
    labels: Tensor, num_classes: int, eps: float = 0.1, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """q'(k) = (1 - eps) [k = label] + eps / K ([V3] section 7): (n,) -> (n, K = num_classes).

    Raises TypeError for labels that are not whole numbers; ValueError for eps outside [0, 1),
    fewer than 2 classes, and a label outside 0 .. K - 1.
    """
    eps = check_smoothing("eps", eps)
    check_classes(labels, num_classes)
    hot = labels[:, None] == torch.arange(num_classes, device=labels.device)
    return (1 - eps) * hot.to(dtype) + eps / num_classes


def check_classes(labels: Tensor, num_classes: int) -> None:
    """Raise TypeError or ValueError unless `labels` (n,) name some of two classes or more."""
    check_whole("the number of classes", num_classes, 2)
    kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
    if kind not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"labels must be a tensor of whole numbers (torch.int64), got {kind}")
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must have shape (n,) with n > 0, got {tuple(labels.shape)}")
    low, high = labels.min().item(), labels.max().item()
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"labels must be from 0 to {num_classes - 1} for {num_classes} classes, "
            f"got {low} to {high}; num_classes= must be that of the labels"
        )


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Raise TypeError or ValueError unless logits (n, K) and labels (n,) belong together."""
    tensor = isinstance(logits, Tensor)
    if not tensor or logits.ndim != 2 or not logits.is_floating_point():
        kind = f"{tuple(logits.shape)}, {logits.dtype}" if tensor else f"a {type(logits).__name__}"
        raise ValueError(f"logits must be floating point of shape (n, classes), got {kind}")
    check_classes(labels, logits.shape[1])
    if len(labels) != len(logits):
        raise ValueError(f"got {len(logits)} rows of logits and {len(labels)} labels")


def mixed_targets(log_p: Tensor, labels: Tensor, eps: float, weight: Tensor) -> Tensor:
    """Cross-entropy with the smoothed targets: the mean of -sum_k q'(k) log p(k)."""
    q = smoothed_targets(labels, log_p.shape[1], eps, dtype=log_p.dtype)
    return -(weight * q * log_p).sum() / weight[labels].sum()


def two_terms(log_p: Tensor, labels: Tensor, eps: float, weight: Tensor) -> Tensor:
    """(1 - eps) times the cross-entropy plus eps times that with the uniform distribution."""
    share = weight[labels]
    true = -(share * log_p[torch.arange(len(labels)), labels]).sum() / share.sum()
    uniform = -(weight * log_p).mean(dim=1).sum() / share.sum()
    return (1 - eps) * true + eps * uniform


def kl_and_entropy(log_p: Tensor, labels: Tensor, eps: float, weight: Tensor) -> Tensor:
    """KL divergence from q' to p, which learning lowers, plus the entropy of q', a constant."""
    q = smoothed_targets(labels, log_p.shape[1], eps, dtype=log_p.dtype)
    divergence = (weight * (torch.xlogy(q, q) - q * log_p)).sum()
    entropy = -(weight * torch.xlogy(q, q)).sum()  # of the targets alone: the loss's floor
    return (divergence + entropy) / weight[labels].sum()


FORMS = {"mixed targets": mixed_targets, "two terms": two_terms, "kl": kl_and_entropy}


class LabelSmoothingCrossEntropy(nn.Module):
    """The mean label-smoothed loss: logits (n, K), labels (n,) -> scalar, in a form of FORMS.

    `weight` (K,) weighs the classes as in torch: the sum is divided by the labels' weights.
    """

    def __init__(
        self, eps: float = 0.1, *, weight: Tensor | None = None, form: str = "mixed targets"
    ) -> None:
        super().__init__()
        self.eps = check_smoothing("eps", eps)
        self.form = check_choice("form", form, FORMS)
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        check_logits(logits, labels)
        log_p = logits.log_softmax(dim=1)
        weight = log_p.new_ones(logits.shape[1]) if self.weight is None else self.weight
        if weight.shape != log_p.shape[1:]:
            shape, classes = tuple(weight.shape), logits.shape[1]
            raise ValueError(f"weight must have shape ({classes},), one a class, got {shape}")
        return FORMS[self.form](log_p, labels.long(), self.eps, weight)

    def extra_repr(self) -> str:
        return f"eps={self.eps}, form={self.form!r}"


class Bin(NamedTuple):
    """Predictions of similar confidence: their count, mean confidence and accuracy (0 where there
    are none)."""

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
    curve = []
    for i in range(1, bins + 1):
        inside = number == i
        n = int(inside.sum())
        means = (v[inside].mean().item() if n else 0.0 for v in (confidence, right))
        curve.append(Bin(n, *means))
    return curve


def expected_calibration_error(logits: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """The mean distance between confidence and accuracy over the bins, weighed by their counts:
    0 is perfect, 1 the worst. Arguments and errors are those of `reliability`."""
    curve = reliability(logits, labels, bins=bins)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in curve) / len(labels)


AUX_WEIGHT = 0.3  # of each auxiliary head's loss ([G] section 5)


def logits_of(outputs: Outputs | Tensor) -> Tensor:
    """The main logits of a network's output."""
    if isinstance(outputs, Tensor):
        return outputs
    return_value = "what a network returns"
    check_kind(return_value, outputs, hasattr(outputs, "logits"), "logits (n, classes) or Outputs")
    return outputs.logits


def head_logits(outputs: Outputs | Tensor) -> dict[str, Tensor]:
    """The logits (n, classes) of every head that is at work: "main", then the aux heads by name."""
    return {"main": logits_of(outputs), **getattr(outputs, "aux", {})}


def head_losses(
    outputs: Outputs | Tensor, labels: Tensor, *, label_smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Mean cross-entropy of every head, in float32 at least."""
    eps = check_smoothing("label_smoothing", label_smoothing)
    wide = {  # float64 stays
        name: logits.to(torch.promote_types(logits.dtype, torch.float32))
        for name, logits in head_logits(outputs).items()
    }
    return {name: cross_entropy(x, labels, label_smoothing=eps) for name, x in wide.items()}


def weighted_sum(losses: dict[str, Tensor], aux_weight: float = AUX_WEIGHT) -> Tensor:
    """The main head's loss plus `aux_weight` times that of each auxiliary head ([G] section 5)."""
    allowed = "at least 0 and finite"
    aux_weight = check_number("aux_weight", aux_weight, allowed, lambda w: 0 <= w < math.inf)
    return losses["main"] + aux_weight * sum(v for name, v in losses.items() if name != "main")


def loss_with_aux(
    outputs: Outputs | Tensor,
    labels: Tensor,
    *,
    aux_weight: float = AUX_WEIGHT,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss that training lowers, a scalar: main + aux_weight x (aux1 + aux2).

    Takes Outputs or plain logits (n, classes) and labels (n,); without heads at work it is the
    main head's cross-entropy. Raises ValueError for a negative weight.
    """
    return weighted_sum(head_losses(outputs, labels, label_smoothing=label_smoothing), aux_weight)
