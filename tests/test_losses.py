"""The weighted loss over main and auxiliary heads."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from inception_edu.googlenet import GoogLeNet, Outputs
from inception_edu.losses import AUX_WEIGHT, head_losses, logits_of, loss_with_aux, weighted_sum


@pytest.fixture
def three():
    """Logits of three heads for 6 images of 5 classes, and the labels."""
    generator = torch.Generator().manual_seed(0)
    main, aux1, aux2 = torch.randn(3, 6, 5, generator=generator)
    return Outputs(logits=main, aux=dict(aux1=aux1, aux2=aux2)), torch.tensor([0, 1, 2, 3, 4, 0])


def by_hand(logits, labels):
    """Cross-entropy from its definition, in float64."""
    logs = logits.double() - logits.double().exp().sum(1, keepdim=True).log()
    return -logs[range(len(labels)), labels].mean().item()


def test_aux_heads_weigh_0_3_each(three):
    outputs, labels = three
    main, aux1, aux2 = (by_hand(x, labels) for x in (outputs.logits, *outputs.aux.values()))
    assert len({round(v, 3) for v in (main, aux1, aux2)}) == 3
    assert AUX_WEIGHT == 0.3
    assert loss_with_aux(outputs, labels).item() == pytest.approx(main + 0.3 * (aux1 + aux2))
    assert loss_with_aux(outputs, labels, aux_weight=0).item() == pytest.approx(main)


def test_plain_logits_and_outputs_without_heads_have_the_main_loss_only(three):
    outputs, labels = three
    expected = cross_entropy(outputs.logits, labels)
    assert loss_with_aux(outputs.logits, labels) == expected
    assert loss_with_aux(Outputs(logits=outputs.logits), labels) == expected
    assert logits_of(outputs) is outputs.logits is logits_of(outputs.logits)


def test_every_head_is_smoothed(three):
    outputs, labels = three
    hard, soft = head_losses(outputs, labels), head_losses(outputs, labels, label_smoothing=0.1)
    for name, logits in dict(main=outputs.logits, **outputs.aux).items():
        assert soft[name] == cross_entropy(logits, labels, label_smoothing=0.1) != hard[name]


def test_losses_of_bfloat16_logits_are_computed_in_float32_and_of_float64_in_float64(three):
    outputs, labels = three
    half = head_losses(outputs.logits.bfloat16(), labels)["main"]
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(by_hand(outputs.logits.bfloat16(), labels), rel=1e-6)
    assert head_losses(outputs.logits.double(), labels)["main"].dtype == torch.float64


def test_training_network_is_taught_by_all_heads_and_evaluated_by_one():
    torch.manual_seed(0)
    model = GoogLeNet("small", num_classes=5, in_channels=1, width=1 / 16)
    x, labels = torch.randn(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    assert list(head_losses(model(x), labels)) == ["main", "aux1", "aux2"]
    assert list(head_losses(model.eval()(x), labels)) == ["main"]
    loss_with_aux(model.train()(x), labels).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_bad_weight_is_named(weight):
    with pytest.raises(ValueError, match=f"aux_weight must be at least 0 and finite, got {weight}"):
        weighted_sum(dict(main=torch.tensor(1.0)), weight)


def test_weight_and_smoothing_may_be_scalars_of_numpy_or_torch(three):
    plain = loss_with_aux(*three, aux_weight=0.5, label_smoothing=0.25)
    for scalar in (np.float32, torch.tensor):
        assert loss_with_aux(*three, aux_weight=scalar(0.5), label_smoothing=scalar(0.25)) == plain
    assert plain != loss_with_aux(*three, aux_weight=0.5)
    with pytest.raises(TypeError, match="aux_weight must be a number at least 0 and finite"):
        loss_with_aux(*three, aux_weight="0.3")


@pytest.mark.parametrize("eps", [-0.1, 1, 1.5])
def test_bad_label_smoothing_is_named(three, eps):
    with pytest.raises(ValueError, match="label_smoothing must be at least 0 and below 1"):
        loss_with_aux(*three, label_smoothing=eps)
