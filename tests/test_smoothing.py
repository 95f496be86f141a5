"""Label smoothing in three forms, against torch's."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from conftest import refused
from inception_edu.losses import FORMS, LabelSmoothingCrossEntropy, smoothed_targets

SHAPES = [(2, 2, 0.1), (7, 10, 0.1), (5, 1000, 0.1), (64, 3, 0.9), (9, 17, 0.0), (1, 4, 0.37)]


def drawn(n, classes, dtype=torch.float64, seed=0):
    """Random logits, labels and class weights."""
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=generator)
    weight = 0.1 + torch.rand(classes, generator=generator, dtype=torch.float64)
    return logits.to(dtype), labels, weight.to(dtype)


def test_targets_are_one_minus_eps_plus_its_share_and_eps_over_k():
    found = smoothed_targets(torch.tensor([2, 0]), 4, 0.1)
    expected = [[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]
    torch.testing.assert_close(found, torch.tensor(expected))
    assert smoothed_targets(torch.tensor([0]), 1000).max().item() == pytest.approx(0.9001)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_targets_sum_to_1_over_all_classes_the_true_one_included(classes):
    labels = torch.arange(classes)
    for eps in (0.0, 0.1, 0.99):
        q = smoothed_targets(labels, classes, eps, dtype=torch.float64)
        torch.testing.assert_close(q.sum(1), torch.ones(classes, dtype=torch.float64))
        assert q.diagonal()[0].item() == pytest.approx(1 - eps + eps / classes)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "class weights"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "classes", "eps"), SHAPES)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-6), (torch.float64, 1e-10)])
def test_every_form_equals_torchs(n, classes, eps, form, weighted, dtype, rtol):
    logits, labels, weight = drawn(n, classes, dtype)
    weight = weight if weighted else None
    torchs = nn.CrossEntropyLoss(weight=weight, label_smoothing=eps)
    ours = LabelSmoothingCrossEntropy(eps, weight=weight, form=form)
    expected = torchs(logits, labels)
    assert torchs(logits.flip(1), labels) != expected  # other logits, another loss
    torch.testing.assert_close(ours(logits, labels), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_gradient_is_probability_minus_target_and_torchs(form, eps):
    logits, labels, weight = drawn(6, 5)
    logits.requires_grad_()
    for w in (None, weight):
        loss = LabelSmoothingCrossEntropy(eps, weight=w, form=form)(logits, labels)
        (found,) = torch.autograd.grad(loss, logits)
        torchs = nn.CrossEntropyLoss(weight=w, label_smoothing=eps)(logits, labels)
        (expected,) = torch.autograd.grad(torchs, logits)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
        if w is None:
            q = smoothed_targets(labels, 5, eps, dtype=torch.float64)
            torch.testing.assert_close(found, (logits.softmax(1) - q) / 6)
    assert torch.autograd.gradcheck(LabelSmoothingCrossEntropy(eps, form=form), (logits, labels))


def test_the_loss_cannot_fall_below_the_entropy_of_its_targets():
    eps, classes = 0.1, 10
    q = smoothed_targets(torch.tensor([3]), classes, eps, dtype=torch.float64)
    floor = -(q * q.log()).sum()
    loss = LabelSmoothingCrossEntropy(eps)
    torch.testing.assert_close(loss(q.log(), torch.tensor([3])), floor)
    gap = math.log((1 - eps) * classes / eps + 1)  # of the best logits
    assert (q.log().max() - q.log().min()).item() == pytest.approx(gap)
    assert loss(2 * q.log(), torch.tensor([3])) > floor


def test_defaults_are_the_papers_and_the_module_says_what_it_does():
    assert LabelSmoothingCrossEntropy().eps == 0.1
    assert "eps=0.1" in repr(LabelSmoothingCrossEntropy())


def test_other_whole_number_types_are_labels_too():
    logits, labels, _ = drawn(4, 3)
    loss = LabelSmoothingCrossEntropy()
    assert loss(logits, labels.to(torch.int32)) == loss(logits, labels)


def test_class_weights_move_with_the_module():
    weight = torch.tensor([1.0, 2.0])
    loss = LabelSmoothingCrossEntropy(weight=weight).double()
    assert loss.weight.dtype == torch.float64


@pytest.mark.parametrize("eps", [-0.1, 1, 1.0, 2, math.nan])
def test_eps_outside_0_to_1_is_refused(eps):
    words = ("eps must be at least 0 and below 1", "[V3] uses 0.1")
    refused(ValueError, lambda: LabelSmoothingCrossEntropy(eps), *words)
    refused(ValueError, lambda: smoothed_targets(torch.tensor([0]), 3, eps), *words)


@pytest.mark.parametrize("scalar", [np.float32, np.array, torch.tensor])
def test_eps_may_be_a_scalar_of_numpy_or_torch_and_is_kept_as_pythons(scalar):
    loss, labels, logits = LabelSmoothingCrossEntropy(scalar(0.5)), torch.tensor([1]), torch.eye(3)
    assert type(loss.eps) is float
    assert torch.equal(smoothed_targets(labels, 3, scalar(0.5)), smoothed_targets(labels, 3, 0.5))
    assert loss(logits[:1], labels) == LabelSmoothingCrossEntropy(0.5)(logits[:1], labels)
    words = "eps must be at least 0 and below 1"
    refused(ValueError, lambda: LabelSmoothingCrossEntropy(scalar(1.5)), words)


@pytest.mark.parametrize("eps", ["0.1", None, True, [0.1], np.array([0.1]), 1j])
def test_eps_that_is_no_number_is_refused(eps):
    refused(TypeError, lambda: LabelSmoothingCrossEntropy(eps), "eps must be a number")


def test_one_class_is_refused():
    labels = torch.tensor([0, 0])
    words = "number of classes must be a whole number of at least 2, got 1"
    refused(ValueError, lambda: smoothed_targets(labels, 1), words)
    refused(ValueError, lambda: LabelSmoothingCrossEntropy()(torch.zeros(2, 1), labels), words)


@pytest.mark.parametrize("labels", [[-1, 2], [0, 3], [-100, 0]])
def test_labels_out_of_range_are_refused(labels):
    labels = torch.tensor(labels)
    words = ("labels must be from 0 to 2 for 3 classes", f"got {labels.min()} to {labels.max()}")
    refused(ValueError, lambda: smoothed_targets(labels, 3), *words)
    refused(ValueError, lambda: LabelSmoothingCrossEntropy()(torch.zeros(2, 3), labels), *words)


@pytest.mark.parametrize(
    "labels", [torch.tensor([0.0, 1.0]), torch.tensor([True, False]), [0, 1], None]
)
def test_labels_of_the_wrong_type_are_refused(labels):
    words = "labels must be a tensor of whole numbers"
    refused(TypeError, lambda: smoothed_targets(labels, 3), words)
    refused(TypeError, lambda: LabelSmoothingCrossEntropy()(torch.zeros(2, 3), labels), words)


@pytest.mark.parametrize("labels", [torch.zeros(2, 1, dtype=torch.int64), torch.tensor(1)])
def test_labels_of_the_wrong_shape_are_refused(labels):
    refused(ValueError, lambda: smoothed_targets(labels, 3), "labels must have shape (n,)")


def test_logits_weights_and_forms_that_cannot_be_are_refused():
    labels, loss = torch.tensor([0, 1]), LabelSmoothingCrossEntropy()
    refused(ValueError, lambda: loss(torch.zeros(3), labels), "logits must be", "(3,)")
    refused(ValueError, lambda: loss(torch.zeros(2, 3).long(), labels), "logits must be")
    refused(ValueError, lambda: loss([[0.0, 1.0]], labels), "logits must be", "got a list")
    refused(ValueError, lambda: loss(torch.zeros(3, 3), labels), "3 rows of logits and 2 labels")
    weighted = LabelSmoothingCrossEntropy(weight=torch.ones(4))
    refused(ValueError, lambda: weighted(torch.zeros(2, 3), labels), "weight must have shape (3,)")
    words = ("form must be one of", '"two terms"', "'mean'")
    refused(ValueError, lambda: LabelSmoothingCrossEntropy(form="mean"), *words)
