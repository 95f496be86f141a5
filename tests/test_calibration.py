"""Expected calibration error and the reliability curve, against cases worked out by hand."""

import math

import pytest
import torch

from conftest import refused
from inception_edu.losses import expected_calibration_error, reliability


def logits_for(confidences):
    """Logits of two classes whose first has the given probability; it is predicted above 0.5."""
    return torch.tensor([[math.log(p / (1 - p)), 0.0] for p in confidences], dtype=torch.float64)


def test_a_case_by_hand():
    # Ten bins. 0.55, 0.58: confidence 0.565, 1 of 2 right. 0.95 three times: 3 of 3 right.
    logits, labels = logits_for([0.55, 0.58, 0.95, 0.95, 0.95]), torch.tensor([0, 1, 0, 0, 0])
    curve = reliability(logits, labels, bins=10)
    assert [bin.count for bin in curve] == [0] * 5 + [2, 0, 0, 0, 3]
    assert curve[5].confidence == pytest.approx(0.565) and curve[5].accuracy == 0.5
    assert curve[9].confidence == pytest.approx(0.95) and curve[9].accuracy == 1
    expected = 2 / 5 * 0.065 + 3 / 5 * 0.05
    assert expected_calibration_error(logits, labels, bins=10) == pytest.approx(expected)


def test_one_bin_compares_mean_confidence_with_accuracy():
    logits, labels = logits_for([0.6, 0.9]), torch.tensor([0, 1])
    found = expected_calibration_error(logits, labels, bins=1)
    assert found == pytest.approx(0.75 - 0.5)


def test_certain_and_right_is_0_certain_and_wrong_is_1():
    logits = torch.tensor([[100.0, 0, 0], [0, 100, 0]])
    assert expected_calibration_error(logits, torch.tensor([0, 1])) == pytest.approx(0, abs=1e-9)
    assert expected_calibration_error(logits, torch.tensor([1, 2])) == pytest.approx(1)
    assert reliability(logits, torch.tensor([0, 1]))[-1].count == 2  # 1.0 is in the last bin


def test_confidence_on_an_edge_is_in_the_bin_below_it():
    curve = reliability(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), bins=2)
    assert [bin.count for bin in curve] == [4, 0] and curve[0].confidence == 0.5


def test_a_calibrated_network_has_an_error_near_0_and_a_sharpened_one_has_not():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert expected_calibration_error(logits, labels) < 0.02
    assert expected_calibration_error(3 * logits, labels) > 0.1
    counts = [bin.count for bin in reliability(logits, labels)]
    assert sum(counts) == 20_000 and len(counts) == 15


def test_bad_input_is_refused():
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 3])
    refused(ValueError, lambda: expected_calibration_error(logits, labels), "from 0 to 2")
    labels = torch.tensor([0, 1])
    refused(ValueError, lambda: reliability(logits, labels, bins=0), "bins must be a whole number")
    refused(TypeError, lambda: reliability(logits, labels.float()), "whole numbers")
    refused(ValueError, lambda: reliability(logits[:, :1], labels * 0), "at least 2, got 1")
    refused(ValueError, lambda: reliability(torch.zeros(3, 3), labels), "3 rows", "2 labels")
