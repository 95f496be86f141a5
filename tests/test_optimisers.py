"""RMSProp, clipping, the exponential schedule and the running average of [V3] section 8."""

import math

import pytest
import torch
from torch import nn

from conftest import refused
from inception_edu.data import Dataset, Split
from inception_edu.googlenet import GoogLeNet
from inception_edu.training import Recipe, checkpoints, evaluate, fit, silent
from inception_edu.training.recipe import V3, make_average, make_optimiser

pytestmark = pytest.mark.usefixtures("one_thread")


def dataset(n=48, valid=16):
    """Images of four grey levels, in noise, of four classes."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for size in (n, valid, valid):
        labels = torch.arange(size) % 4
        noise = torch.randint(0, 60, (size, 1, 12, 12), generator=generator)
        images = (noise + 45 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
        parts.append(Split(images, labels, (0.3,), (0.2,)))
    return Dataset("levels", *parts, tuple("abcd"), (0.3,), (0.2,))


def network(seed=0):
    torch.manual_seed(seed)
    return GoogLeNet("small", num_classes=4, in_channels=1, aux=False, width=1 / 32)


def recipe(**how):
    plain = dict(epochs=4, batch_size=8, shift=0, flip=False, precision="float32")
    return Recipe(**plain | how)


def trained(seed=0, watch=silent, resume=None, out=None, **how):
    model = network(seed)
    told = recipe(**how)
    return model, fit(model, dataset(), told, watch=watch, resume=resume, out=out, device="cpu")


def linear(value=1.0):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


# --- RMSProp


@pytest.mark.parametrize("epsilon", [1.0, 1e-8])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_rmsprop_is_the_rule_in_five_lines_with_epsilon_outside_the_root(epsilon, momentum):
    told = recipe(optimiser="rmsprop", lr=0.045, epsilon=epsilon, momentum=momentum, weight_decay=0)
    model, generator = linear(), torch.Generator().manual_seed(0)
    optimiser = make_optimiser(model, told)
    weight, square, speed = 1.0, 0.0, 0.0
    for _ in range(12):
        gradient = torch.randn(1, 1, generator=generator)
        model.weight.grad = gradient
        optimiser.step()
        square = 0.9 * square + 0.1 * gradient.item() ** 2
        speed = momentum * speed + gradient.item() / (math.sqrt(square) + epsilon)
        weight -= 0.045 * speed
        assert model.weight.item() == pytest.approx(weight, rel=1e-5)


def test_epsilon_of_1_makes_small_gradients_take_small_steps():
    moved = {}
    for epsilon in (1.0, 1e-8):
        for gradient in (1e-3, 1e-4):
            model = linear(0.0)
            told = recipe(optimiser="rmsprop", lr=0.1, epsilon=epsilon, momentum=0, weight_decay=0)
            model.weight.grad = torch.full((1, 1), gradient)
            make_optimiser(model, told).step()
            moved[epsilon, gradient] = -model.weight.item()
    assert moved[1.0, 1e-3] / moved[1.0, 1e-4] == pytest.approx(10, rel=1e-2)  # as SGD's
    assert moved[1e-8, 1e-3] / moved[1e-8, 1e-4] == pytest.approx(1, rel=1e-2)


def test_the_papers_recipe_is_what_section_8_says():
    told = Recipe(**V3)
    assert (told.optimiser, told.epsilon, told.lr, told.clip) == ("rmsprop", 1.0, 0.045, 2.0)
    assert (told.schedule, told.label_smoothing, told.warm_up) == ("exponential", 0.1, 0)
    group = make_optimiser(linear(), told).param_groups[0]
    assert (group["alpha"], group["eps"], group["lr"]) == (0.9, 1.0, 0.045)


def test_the_papers_recipe_trains():
    history = trained(**V3 | dict(epochs=12, average=0.0))[1]
    losses = history.losses["main"]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


# --- exponential schedule


def test_the_rate_falls_by_0_94_every_two_epochs():
    told = Recipe(lr=0.045, schedule="exponential", warm_up=0)
    rates = [told.lr_at(step, 1000, 10) for step in (1, 20, 21, 40, 41, 1000)]
    expected = [0.045 * 0.94**n for n in (0, 0, 1, 1, 2, 49)]
    assert rates == pytest.approx(expected)
    rows = trained(schedule="exponential", warm_up=0.0, lr=0.1, epochs=5)[1].rows
    assert [row["lr"] for row in rows] == pytest.approx([0.1, 0.1, 0.094, 0.094, 0.1 * 0.94**2])


def test_without_the_epochs_length_the_schedule_says_what_it_needs():
    told = Recipe(schedule="exponential", warm_up=0)
    refused(ValueError, lambda: told.lr_at(1, 10), "give epoch_steps")


# --- clipping


def test_a_clipped_gradient_moves_the_weights_by_no_more_than_rate_times_clip():
    moved = {}
    for clip in (None, 1e-3):
        before, how = (
            network().state_dict(),
            dict(momentum=0.0, weight_decay=0, schedule="constant"),
        )
        model, _ = trained(clip=clip, lr=0.5, warm_up=0, epochs=None, steps=1, **how)
        pairs = ((p, before[name]) for name, p in model.named_parameters())
        moved[clip] = math.sqrt(sum((a - b).square().sum().item() for a, b in pairs))
    assert moved[1e-3] == pytest.approx(0.5 * 1e-3, rel=1e-2) and moved[None] > 2 * moved[1e-3]


# --- running average


def test_the_average_is_what_tensorflows_rule_says():
    model = linear(0.0)
    average, mean = make_average(model, recipe(average=0.8)), None
    for n in range(12):
        nn.init.constant_(model.weight, float(n))
        average.update_parameters(model)
        keep = min(0.8, (1 + n) / (10 + n))
        mean = n if mean is None else keep * mean + (1 - keep) * n
        assert average.module.weight.item() == pytest.approx(mean, rel=1e-5)
    assert not average.module.weight.requires_grad and model.weight.requires_grad


def test_a_recipe_without_average_keeps_none():
    assert make_average(network(), recipe()) is None


def test_the_average_is_evaluated_saved_and_what_the_model_ends_as(tmp_path):
    plain, _ = trained(lr=0.1)
    model, history = trained(lr=0.1, average=0.7, out=tmp_path)
    found = evaluate(model, dataset().valid)
    assert history.rows[-1]["valid_loss"] == found.loss
    saved = checkpoints.load(tmp_path / "last.pt")
    built = checkpoints.build(saved)
    assert evaluate(built, dataset().valid).loss == found.loss
    for name, value in plain.named_parameters():
        assert torch.equal(saved["training"][name], value)  # training itself is left alone
    assert not torch.equal(saved["weights"]["head.linear.weight"], plain.head.linear.weight)


@pytest.mark.parametrize("step", [7, 12])
def test_a_run_with_average_resumes_to_the_very_same_weights(tmp_path, step):
    how = dict(V3 | dict(average=0.9, epochs=4))

    def interrupt(history, done):
        if history.step >= step and not done:
            raise KeyboardInterrupt

    whole, told = trained(**how)
    assert trained(out=tmp_path, watch=interrupt, **how)[1].stopped
    resumed, history = trained(1, out=tmp_path, resume=tmp_path / "last.pt", **how)
    assert history.losses == told.losses
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_run_that_broke_ends_with_finite_averages():
    model, history = trained(lr=1e30, average=0.9)
    assert history.stopped and all(p.isfinite().all() for p in model.parameters())
