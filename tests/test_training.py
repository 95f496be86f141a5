import copy
import csv
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from conftest import refused
from inception_edu.data import Batches, Dataset, Split
from inception_edu.googlenet import GoogLeNet, Outputs
from inception_edu.layers import conv
from inception_edu.losses import logits_of
from inception_edu.training import (
    Evaluation,
    History,
    Recipe,
    evaluate,
    fit,
    pick_device,
    pick_precision,
    print_progress,
)
from inception_edu.training.checkpoints import load
from inception_edu.training.devices import pick_memory_format
from inception_edu.training.evaluation import renew_statistics, training_mode
from inception_edu.training.loop import WIDTH
from inception_edu.training.recipe import for_photos

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def split(n=40, c=1, side=8, classes=4, seed=0):
    """Noise whose brightness tells its class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    images = torch.randint(0, 100, (n, c, side, side), generator=generator)
    images += 40 * labels.view(-1, 1, 1, 1)
    return Split(images.to(torch.uint8), labels, (0.4,) * c, (0.2,) * c)


def dataset(n=40, valid=20, **how):
    parts = split(n, **how), split(valid, seed=1, **how), split(20, seed=2, **how)
    return Dataset("tiny", *parts, tuple("abcd"), parts[0].mean, parts[0].std)


def network(seed=0, c=1, classes=4, outputs=False):
    torch.manual_seed(seed)
    layers = [conv(c, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, classes)]
    return Wrapped(*layers) if outputs else nn.Sequential(*layers)


class Wrapped(nn.Sequential):
    """Returns Outputs instead of plain logits."""

    def forward(self, x):
        return Outputs(logits=super().forward(x))


class TwoHeads(nn.Module):
    """A network with one auxiliary head and dropout."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.drop = conv(1, 4, 3), nn.Dropout(0.3)
        self.head, self.side = (nn.Sequential(nn.Flatten(), nn.Linear(256, 4)) for _ in range(2))

    def forward(self, x):
        x = self.body(x)
        aux = {"aux1": self.side(x)} if self.training else {}
        return Outputs(logits=self.head(self.drop(x)), aux=aux)


def recipe(**how):
    plain = dict(steps=12, batch_size=8, lr=0.05, shift=0, flip=False, precision="float32")
    return Recipe(**plain | how)


def batches(data, told, device):
    """The batches of `told.steps` steps."""
    how = dict(seed=told.seed, shift=told.shift, flip=told.flip, rank=0, world=1)
    source = Batches(data.to(device), told.size_for(len(data)), **how)
    return (source.draw() for _ in range(told.steps))


def blank(told=None, **how):
    """A history before the first step."""
    plain = dict(
        steps=12, batch_size=8, device="cpu", precision="float32", memory_format="channels_last"
    )
    return History(recipe=told or recipe(), **plain | how)


def steady(row):
    """A row without what varies from run to run."""
    return {name: value for name, value in row.items() if not name.endswith("_seconds")}


def silent(history, done):
    """Watches and prints nothing."""


def run(model=None, data=None, watch=silent, **how):
    """A fitted network and its history."""
    model = network() if model is None else model
    return model, fit(model, data or dataset(), recipe(**how), device="cpu", watch=watch)


def snapshot(model):
    return copy.deepcopy(model.state_dict())


def same(model, weights):
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


# --- recipe and learning rate


@pytest.mark.parametrize(("steps", "warm_up"), [(8, 0.25), (7, 0.5), (450, 0.25), (5, 0)])
def test_learning_rate_rises_in_the_warm_up_and_falls_to_0(steps, warm_up):
    told = Recipe(lr=0.2, warm_up=warm_up)
    rates = [told.lr_at(step, steps) for step in range(1, steps + 1)]
    at, corners = (np.arange(steps) + 0.5) / steps, ([0, warm_up, 1], [0, 0.2, 0])
    if warm_up == 0:
        corners = ([0, 1], [0.2, 0])
    np.testing.assert_allclose(rates, np.interp(at, *corners), rtol=1e-12)
    assert 0 < min(rates) and max(rates) <= 0.2 * (1 + 1e-9)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


COUNT = "must be a whole number from 1 to 1000000000000, got"


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (dict(steps=0), ValueError, f"steps {COUNT} 0"),
        (dict(steps=1.5), TypeError, f"steps {COUNT} 1.5"),
        (dict(batch_size=-8), ValueError, f"batch_size {COUNT} -8"),
        (dict(batch_size=True), TypeError, f"batch_size {COUNT} True"),
        (dict(epochs=0), ValueError, f"epochs {COUNT} 0"),
        (dict(epochs=2, steps=9), ValueError, "give epochs or steps, got epochs=2, steps=9"),
        (dict(seed=-1), ValueError, "seed must be a whole number from 0"),
        (dict(optimiser="lion"), ValueError, 'optimiser must be one of "sgd", "adamw"'),
        (dict(schedule="step"), ValueError, 'schedule must be one of "linear", "cosine"'),
        (dict(momentum=1.0), ValueError, "momentum must be at least 0 and below 1, got 1.0"),
        (dict(epsilon=0), ValueError, "epsilon must be above 0 and"),
        (dict(clip=-2), ValueError, "clip must be above 0 and below 1e38, got -2"),
        (dict(average=1), ValueError, "average must be at least 0 and below 1, got 1"),
        (dict(weight_decay=-1), ValueError, "weight_decay must be at least 0 and below"),
        (dict(aux_weight=-0.3), ValueError, "aux_weight must be at least 0 and"),
        (dict(label_smoothing=1), ValueError, "label_smoothing must be at least 0 and below 1"),
        (dict(learning_rate=1), TypeError, "unexpected keyword argument 'learning_rate'"),
        (dict(validate_every=0), ValueError, f"validate_every {COUNT} 0"),
        (dict(validate_every=-1), ValueError, f"validate_every {COUNT} -1"),
        (dict(validate_every=2.5), TypeError, f"validate_every {COUNT} 2.5"),
        (dict(lr=0), ValueError, "lr must be above 0"),
        (dict(lr=-0.1), ValueError, "got -0.1"),
        (dict(lr=math.nan), ValueError, "got nan"),
        (dict(lr=math.inf), ValueError, "got inf"),
        (dict(warm_up=1), ValueError, "warm_up must be at least 0 and below 1, got 1"),
        (dict(warm_up=-0.1), ValueError, "got -0.1"),
        (dict(precision="float16"), ValueError, '"float32", "bfloat16", got'),
    ],
)
def test_recipe_refuses_a_value_out_of_range(bad, error, words):
    Recipe()
    refused(error, lambda: Recipe(**bad), words)


def test_rates_of_the_other_schedules_are_right():
    cosine, constant = (Recipe(lr=0.2, warm_up=0.2, schedule=s) for s in ("cosine", "constant"))
    assert [constant.lr_at(step, 10) for step in (1, 2, 3, 10)] == pytest.approx(
        [0.05, 0.15, 0.2, 0.2]
    )
    rates = [cosine.lr_at(step, 10) for step in range(1, 11)]
    assert rates[:2] == pytest.approx([0.05, 0.15])
    at = [(step - 0.5) / 10 for step in range(3, 11)]
    half = [0.1 * (1 + math.cos(math.pi * (t - 0.2) / 0.8)) for t in at]  # from the top to 0
    assert rates[2:] == pytest.approx(half)


def test_a_run_is_three_epochs_of_whole_batches_unless_the_recipe_says_otherwise():
    assert Recipe().steps_for(55_000) == (3 * 429, 429)
    assert Recipe(epochs=2, batch_size=100).steps_for(1050) == (20, 10)
    assert Recipe(steps=7, batch_size=100).steps_for(1050) == (7, 10)
    assert Recipe(steps=7, validate_every=3).steps_for(1050) == (7, 3)


def test_few_images_are_trained_on_in_small_batches_and_for_at_least_a_hundred_steps():
    sizes = {55_000: 128, 512: 128, 511: 127, 80: 20, 18: 8, 8: 8, 5: 5, 1: 1}
    assert {n: Recipe().size_for(n) for n in sizes} == sizes
    assert Recipe().steps_for(18) == (100, 2)  # 50 epochs of two batches
    assert Recipe().steps_for(80) == (100, 4)
    assert Recipe().steps_for(4_400) == (102, 34) and Recipe().steps_for(4_000) == (124, 31)
    assert Recipe(epochs=2).steps_for(18) == (4, 2) and Recipe(steps=3).steps_for(18) == (3, 2)
    assert Recipe(batch_size=16).size_for(18) == 16


def test_photos_are_trained_on_for_at_least_ten_epochs_and_a_hundred_steps():
    how = dict(shift=2, flip=True)
    assert for_photos(4_000) == dict(epochs=10, batch_size=32, **how)
    assert for_photos(18) == dict(epochs=50, batch_size=8, **how)
    assert for_photos(72) == dict(epochs=25, batch_size=18, **how)
    assert Recipe(**for_photos(72)).steps_for(72) == (100, 4)


def test_a_batch_of_more_images_than_there_are_is_refused():
    words = ("batch_size must be at most the 20 images", "got 64", "leave it out")
    refused(ValueError, lambda: Recipe(batch_size=64).size_for(20), *words)


def test_recipe_takes_keywords_only_and_cannot_be_changed():
    with pytest.raises(TypeError):
        Recipe(10)
    with pytest.raises(AttributeError):
        Recipe().lr = 1


# --- batches


def test_batches_show_every_image_once_before_any_comes_again():
    data, told = split(40), recipe(steps=10, batch_size=8)
    seen = [labels for _, labels in batches(data, told, CPU)]
    assert len(seen) == 10
    images = torch.cat([x for x, _ in batches(data, told, CPU)])
    rows = {tuple(x.flatten().tolist()) for x in images[:40]}
    assert len(rows) == 40 == len({tuple(x.flatten().tolist()) for x in images[40:]})
    assert not torch.equal(images[:40], images[40:])  # shuffled anew
    x, labels = data.batch(slice(0, 1))
    found = (images[:40] == x).flatten(1).all(1)
    assert found.sum() == 1 and torch.cat(seen)[:40][found].equal(labels)


def test_batches_are_all_whole_where_the_images_do_not_divide():
    assert {len(y) for _, y in batches(split(20), recipe(batch_size=8), CPU)} == {8}


def test_small_batches_of_few_images_are_told():
    few, batch = run(data=dataset(20), batch_size=None)[1], run()[1]
    assert few.batch_size == 8 and "batches of 8, since images are few" in str(few)
    assert "few" not in str(batch)


def test_batches_are_augmented_when_the_recipe_says_so():
    first = [
        next(batches(split(), recipe(**how), CPU))[0]
        for how in ({}, dict(shift=2), dict(flip=True), {})
    ]
    assert torch.equal(first[0], first[3])
    assert not any(torch.equal(first[0], other) for other in first[1:3])


# --- fit


def plain_loop(model, data, told):
    """Training as any tutorial writes it, on the same batches; the rates are counted anew."""
    sgd = torch.optim.SGD(model.parameters(), momentum=0.9, weight_decay=5e-4, nesterov=True, lr=1)
    losses = []
    for step, (x, labels) in enumerate(batches(data, told, CPU)):
        at = (step + 0.5) / told.steps
        sgd.param_groups[0]["lr"] = told.lr * min(at / told.warm_up, (1 - at) / (1 - told.warm_up))
        loss = cross_entropy(model(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return losses


def test_fit_equals_a_plain_loop_and_lowers_the_loss():
    data, hand, told = dataset(), network(), recipe(steps=24, lr=0.1)
    expected = plain_loop(hand.train(), data.train, told)
    model, history = run(data=data, steps=24, lr=0.1)
    other = plain_loop(network(), data.train, recipe(steps=24, lr=0.05))
    assert max(abs(a - b) for a, b in zip(expected, other, strict=True)) > 1e-3
    assert history.losses["main"] == pytest.approx(expected, abs=1e-6)
    for ours, theirs in zip(model.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert sum(history.losses["main"][-4:]) < 0.8 * sum(history.losses["main"][:4])


@pytest.mark.parametrize("change", [dict(momentum=0.0), dict(weight_decay=0.3), dict(lr=0.01)])
def test_every_number_of_the_recipe_changes_the_run(change):
    assert run()[1].losses["main"][0] == run(**change)[1].losses["main"][0]
    assert run()[1].losses["main"] != pytest.approx(run(**change)[1].losses["main"], abs=1e-4)


def test_same_seed_gives_the_same_losses_and_another_seed_others():
    how = dict(shift=2, flip=True)
    assert run(**how)[1].losses["main"] == run(**how)[1].losses["main"]
    assert run(seed=1, **how)[1].losses["main"] != run(**how)[1].losses["main"]


def test_global_random_state_neither_decides_the_batches_nor_is_used_up():
    losses = []
    for seed in (1, 2):
        model = network()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        losses.append(run(model, shift=2, flip=True)[1].losses["main"])
        assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1]


def test_fit_trains_in_place_what_returns_outputs_as_what_returns_logits():
    model = network(outputs=True)
    before = snapshot(model)
    _, history = run(model)
    assert not same(model, before)
    assert history.losses["main"] == run()[1].losses["main"]
    assert all(p.requires_grad for p in model.parameters())


def test_fit_trains_in_training_mode_and_updates_the_running_statistics():
    model = network().eval()
    run(model)
    assert model.training and model[0].norm.num_batches_tracked == 12


def test_history_tells_the_run():
    told = recipe()
    history = fit(network(), dataset(), told, device="cpu", watch=silent)
    assert history.recipe is told
    assert (history.device, history.precision, history.stopped) == ("cpu", "float32", "")
    assert len(history.losses["main"]) == 12 and history.elapsed_seconds > 0
    images = history.images_per_second * history.elapsed_seconds
    assert images == pytest.approx(12 * 8)


def test_images_per_second_counts_images_that_were_there():
    history = run(data=dataset(20), steps=3, batch_size=None)[1]
    assert history.images_per_second * history.elapsed_seconds == pytest.approx(3 * 8)


def test_the_end_is_validated_and_equals_evaluate():
    data = dataset()
    model, history = run(data=data)
    found = evaluate(model, data.valid, device="cpu")
    assert [row["step"] for row in history.rows] == [5, 10, 12]  # epochs of 40 // 8 steps
    last = history.rows[-1]
    assert (last["valid_loss"], last["valid_accuracy"]) == (found.loss, found.accuracy)
    named = found.logits.double().softmax(1).gather(1, found.logits.argmax(1, keepdim=True))
    assert last["valid_confidence"] == pytest.approx(named.mean().item())


def test_a_row_holds_the_epochs_mean_loss_accuracy_rate_and_seconds():
    right = []

    class Watched(Wrapped):
        def forward(self, x):
            outputs = super().forward(x)
            if self.training:
                right.append(outputs.logits.argmax(1))
            return outputs

    torch.manual_seed(0)
    data, model = dataset(), Watched(*network().children())
    _, history = run(model, data, steps=10)
    labels = [y for _, y in batches(data.train, recipe(steps=10), CPU)]
    shares = [(a == b).double().mean().item() for a, b in zip(right, labels, strict=True)]
    for i, row in enumerate(history.rows):
        part = slice(5 * i, 5 * i + 5)
        assert (row["epoch"], row["step"]) == (i + 1, 5 * i + 5)
        assert row["lr"] == recipe().lr_at(row["step"], 10)
        assert row["main_loss"] == pytest.approx(sum(history.losses["main"][part]) / 5)
        assert row["main_accuracy"] == pytest.approx(sum(shares[part]) / 5)
        assert row["train_seconds"] > 0 and row["valid_seconds"] > 0
    assert history.rows[0]["main_accuracy"] != history.rows[1]["main_accuracy"]


def test_aux_heads_have_losses_and_accuracies_of_their_own():
    model, history = run(TwoHeads(), steps=10)
    assert list(history.losses) == ["main", "aux1"]
    assert history.losses["main"] != history.losses["aux1"]
    assert {"main_loss", "aux1_loss", "main_accuracy", "aux1_accuracy"} <= set(history.rows[0])
    other = run(TwoHeads(), steps=10, aux_weight=0.0)[1]
    assert other.losses["aux1"][1:] != history.losses["aux1"][1:]
    assert run(TwoHeads(), steps=10)[1].losses == history.losses


def test_best_is_the_row_with_the_highest_validation_accuracy_and_of_equals_the_lowest_loss():
    found = [(0.2, 1.0), (0.5, 2.0), (0.5, 1.5), (0.5, 1.5), (0.4, 0.1)]
    rows = [dict(step=s, valid_accuracy=a, valid_loss=x) for s, (a, x) in enumerate(found)]
    assert blank(rows=rows).best["step"] == 2  # the first of those that are equal in both
    assert blank().best == {} and blank(rows=[dict(step=3), dict(step=4)]).best == dict(step=4)


@pytest.mark.parametrize(
    ("every", "steps", "at"),
    [(4, 12, [4, 8, 12]), (5, 12, [5, 10, 12]), (7, 45, [7, 14, 21, 28, 35, 42, 45])],
)
def test_validate_every_gives_a_row_at_each_of_its_steps_and_at_the_end(every, steps, at):
    history = run(validate_every=every, steps=steps)[1]
    assert [row["step"] for row in history.rows] == at
    assert len(history.losses["main"]) == steps
    assert history.losses["main"] == run(steps=steps)[1].losses["main"]  # looking changes nothing


def test_without_a_validation_part_the_rows_have_no_validation():
    history = run(data=dataset(valid=0))[1]
    assert (
        not any("valid_accuracy" in row for row in history.rows)
        and len(history.losses["main"]) == 12
    )


def test_watch_sees_every_20th_step_and_the_end():
    seen = []
    run(
        steps=45,
        validate_every=45,
        watch=lambda history, done: seen.append((len(history.losses["main"]), done)),
    )
    assert seen == [(20, False), (40, False), (45, False), (45, True)]


def test_progress_is_one_line_that_is_overwritten_and_ends(capsys):
    _, history = run(steps=21, watch=None)
    out = capsys.readouterr()
    assert out.err == "" and out.out.count("\n") == 1 and out.out.endswith("\n")
    parts = out.out.split("\r")
    assert parts[-4].startswith("███████████████████░ step 20 of 21, loss ")
    assert " s left" in parts[-4]
    assert parts[-2] == " " * WIDTH and parts[-1] == f"{history}\n"
    assert "validation" in str(history) and "images/s" in str(history)


def test_print_progress_covers_a_longer_line_before_it(capsys):
    print_progress(blank(), False)
    assert len(capsys.readouterr().out) == 1 + WIDTH


# --- few photos


def colours(each):
    """Red and blue photos in noise, `each` of them to train on and two to validate."""

    def part(n, seed):
        generator, labels = torch.Generator().manual_seed(seed), torch.arange(n) % 2
        colour = torch.tensor([[200, 60, 60], [60, 60, 200]])[labels][:, :, None, None]
        noise = 40 * torch.randn(n, 3, 16, 16, generator=generator)
        return Split((colour + noise).clamp(0, 255).byte(), labels, (0.4,) * 3, (0.3,) * 3)

    parts = part(2 * each, 0), part(4, 1), part(20, 2)
    return Dataset("colours", *parts, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)


def fit_colours(each, **how):
    """How a small GoogLeNet does on the colours, and on those that it never saw."""
    torch.manual_seed(0)
    model = GoogLeNet("small", num_classes=2, in_channels=3, aux=False, width=1 / 32)
    told, data = recipe(**dict(steps=None) | how), colours(each)
    history = fit(model, data, told, device="cpu", watch=silent)
    return history, evaluate(model, data.test, device="cpu").accuracy


def test_the_defaults_for_photos_learn_two_colours_from_nine_photos_each():
    history, accuracy = fit_colours(9, **for_photos(18))
    assert history.rows[-1]["main_accuracy"] == history.best["valid_accuracy"] == accuracy == 1


def test_statistics_that_lag_after_a_few_steps_are_renewed_before_an_evaluation(monkeypatch):
    few = dict(epochs=8, batch_size=18)
    history, accuracy = fit_colours(9, **few)
    assert history.step == 8 and history.best["valid_accuracy"] == 1 and accuracy > 0.9
    monkeypatch.setattr("inception_edu.training.run.SETTLED", 0)
    assert fit_colours(9, **few)[1] < 0.7


def test_renewed_statistics_are_those_of_the_images_and_nothing_else_changes():
    model, data = nn.Sequential(conv(1, 4, 3), nn.Dropout(0.5), conv(4, 4, 3)), split(40)
    model[2].requires_grad_(False).eval()  # this one learns nothing
    training_mode(model.train())
    model[2].eval()
    before, random = snapshot(model), torch.get_rng_state()
    renew_statistics(model, data, CPU)
    with torch.no_grad():
        seen = model[0].conv(data.batch(slice(None))[0])
    torch.testing.assert_close(model[0].norm.running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(model[0].norm.running_var, seen.var((0, 2, 3)), rtol=1e-4, atol=0)
    changed = [name for name, v in model.state_dict().items() if not torch.equal(v, before[name])]
    assert changed == ["0.norm.running_mean", "0.norm.running_var"]
    assert model[0].norm.momentum == 0.1 and model[0].norm.training and not model[2].norm.training
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("n", [1, 7, 500, 1300])
def test_statistics_are_renewed_from_at_most_512_images_of_all_parts_of_a_split(n, monkeypatch):
    monkeypatch.setattr("inception_edu.training.evaluation.PIXELS", 64 * 64)  # of batches of 64
    seen, data = [], split(n, classes=2)
    data = Split(data.images, torch.arange(n), data.mean, data.std)
    batch = Split.batch
    monkeypatch.setattr(
        Split, "batch", lambda self, index, *a: seen.append(index) or batch(self, index, *a)
    )
    renew_statistics(network().train(), data, CPU)
    chosen = torch.cat(seen).sort().values
    assert len(chosen.unique()) == len(chosen) == min(n, 512)
    assert (chosen.diff() <= -(-n // 512)).all() and chosen[0] == 0
    assert max(map(len, seen)) < 2 * 64 and min(map(len, seen)) >= min(n, 64)


# --- what goes wrong


class Breaks(nn.Module):
    """A network whose logits or gradients are not finite in its nth training step."""

    def __init__(self, step, what):
        super().__init__()
        self.net, self.step, self.what, self.calls = network(), step, what, 0

    def forward(self, x):
        logits = self.net(x)
        self.calls += self.training
        if self.training and self.calls == self.step:
            if self.what == "gradient":
                logits.register_hook(lambda gradient: gradient * math.inf)
            else:
                logits = logits * self.what
        return logits


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_names_the_step_and_keeps_the_last_good_weights(value):
    kept, model = [], Breaks(33, value)

    def keep(module, inputs):
        if not module.training:
            return
        kept.append([p.detach().clone() for p in module.parameters()])

    model.net.register_forward_pre_hook(keep)
    _, history = run(model, steps=60, validate_every=60)
    assert history.stopped.startswith("the loss became ") and "at step 33" in history.stopped
    assert "try an lr below 0.05" in history.stopped and history.stopped in str(history)
    assert len(history.losses["main"]) == 32 and all(map(math.isfinite, history.losses["main"]))
    assert history.losses["main"] == run(steps=60)[1].losses["main"][:32]
    last = [all(map(torch.equal, weights, model.parameters())) for weights in kept[:32]]
    assert sum(last) == 1 and any(last[19:])  # weights of step 20 to 32, whose losses were finite
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert math.isfinite(history.rows[-1]["valid_loss"])
    assert model.calls == 40  # stopped there, not at 60


def test_learning_rate_far_too_high_ends_with_finite_weights():
    model, history = run(lr=1e30, steps=40)
    assert "at step" in history.stopped and "try an lr below 1e+30" in history.stopped
    assert 1 <= len(history.losses["main"]) < 20
    first = network().parameters()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), first, strict=True))


@pytest.mark.parametrize("step", [20, 40])
def test_step_that_breaks_the_weights_just_before_they_are_kept_is_undone(step):
    model, history = run(Breaks(step, "gradient"), steps=60, validate_every=60)
    assert f"at step {step + 1}" in history.stopped
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_weights_that_broke_in_an_epochs_last_step_are_neither_validated_nor_saved(tmp_path):
    model, history = Breaks(20, "gradient"), None
    history = fit(model, dataset(), recipe(steps=60), out=tmp_path, device="cpu", watch=silent)
    assert "a weight was no longer finite after step 20; try an lr below 0.05" in history.stopped
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert load(tmp_path / "last.pt")["history"]["rows"][-1]["step"] == 15


def interrupt(*args):
    raise KeyboardInterrupt


def test_interrupt_in_watch_returns_what_there_is():
    kept = []

    def watch(history, done):
        kept.append(done)
        if len(kept) == 1:
            raise KeyboardInterrupt

    model, history = run(steps=60, validate_every=60, watch=watch)
    assert history.stopped == "interrupted after step 20" and "interrupted" in str(history)
    assert history.losses["main"] == run(steps=60)[1].losses["main"][:20]
    assert kept == [False, True] and [row["step"] for row in history.rows] == [20]
    assert not same(model, snapshot(network()))


def test_interrupt_in_a_step_keeps_the_losses_before_it():
    model = network()
    calls = []

    def hook(module, inputs):
        calls.extend([1] * module.training)
        if len(calls) == 8 and module.training:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(hook)
    _, history = run(model)
    assert history.stopped == "interrupted after step 7"
    assert history.losses["main"] == run()[1].losses["main"][:7]
    assert [row["step"] for row in history.rows] == [5, 7]


def test_interrupt_after_the_loss_broke_still_leaves_finite_weights():
    model, calls = network(), []

    def hook(module, inputs):
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(hook)
    _, history = run(model, lr=1e30, steps=40)
    assert history.stopped and all(map(math.isfinite, history.losses["main"]))
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize("at", [2, 3], ids=["renewing statistics", "evaluating"])
def test_interrupt_while_validating_leaves_the_network_in_training_mode(at):
    model, evaluations = network(), []

    def hook(module, inputs):
        if not module.training:
            evaluations.append(1)
            if len(evaluations) == at:  # the first is the trial before the run
                raise KeyboardInterrupt

    model.register_forward_pre_hook(hook)
    _, history = run(model, validate_every=4)
    assert "interrupted" in history.stopped and len(evaluations) == at + 2 and model.training


def test_labels_out_of_the_networks_range_are_refused_before_any_step():
    model = network(classes=3)
    before = [p.clone() for p in model.parameters()]
    words = ("labels must be from 0 to 2", "3 classes", "got 0 to 3", "num_classes=")
    refused(ValueError, lambda: run(model), *words)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_wrong_number_of_channels_is_the_networks_own_sentence():
    model = GoogLeNet("small", num_classes=4, in_channels=1, width=1 / 16)
    data = dataset(8, valid=8, c=3, side=16)
    refused(ValueError, lambda: run(model, data), "x must have shape (n, 1, h, w), got (1, 3,")


def test_empty_training_part_is_refused():
    refused(ValueError, lambda: run(data=dataset(0)), "0 training images")


def test_small_googlenet_learns_the_tiny_task_with_any_batch():
    model = GoogLeNet("small", num_classes=4, in_channels=1, width=1 / 16)
    data = dataset(16, valid=8, side=16)
    _, history = run(model, data, steps=8, batch_size=None, lr=0.1)
    assert history.losses["main"][-1] < history.losses["main"][0]


# --- precision and device


def test_bfloat16_runs_on_the_cpu_and_stays_close_to_float32():
    (_, plain), (half, history) = run(), run(precision="bfloat16")
    assert history.precision == "bfloat16"
    assert history.losses["main"] != plain.losses["main"]
    assert history.losses["main"] == pytest.approx(plain.losses["main"], abs=0.03)
    assert {p.dtype for p in half.parameters()} == {torch.float32}


def test_automatic_precision_is_a_fixed_rule_and_is_written_down():
    chosen = pick_precision(CPU)
    assert chosen in ("float32", "bfloat16")
    history = run(precision="auto")[1]
    assert history.precision == chosen == pick_precision(CPU)
    assert history.memory_format == pick_memory_format(CPU) == "channels_last"
    assert pick_memory_format(torch.device("mps")) == "contiguous"
    assert pick_precision(torch.device("mps")) == "float32"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx2 avx512f", "float32"), ("avx2 avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16")],
)
def test_bfloat16_is_picked_only_where_the_cpu_multiplies_in_it(monkeypatch, flags, expected):
    path = type("Path", (), dict(exists=lambda self: True, read_text=lambda self: flags))
    monkeypatch.setattr("inception_edu.training.devices.pathlib.Path", lambda name: path())
    assert pick_precision(CPU) == expected


def test_device_is_what_inception_edu_device_says(monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "cpu")
    assert pick_device() == pick_device("auto") == CPU
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "quantum")
    refused(ValueError, pick_device, "device must be", '"cpu", "cuda" or "mps"', "'quantum'")
    assert pick_device("cpu") == CPU  # said in the call: the variable is not asked
    monkeypatch.delenv("INCEPTION_EDU_DEVICE")
    assert pick_device().type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("device", ["gpu", "", "quantum:1", "CPU"])
def test_unknown_device_is_named(device):
    refused(ValueError, lambda: pick_device(device), "device must be", repr(device))
    refused(ValueError, lambda: run_on(device), repr(device))


def run_on(device):
    return evaluate(network(), split(4), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here the device is there")
def test_device_that_is_not_there_is_named():
    refused(ValueError, lambda: pick_device("cuda"), "and be there, got 'cuda'")


# --- evaluate


def test_evaluate_equals_a_direct_computation_over_more_than_one_batch():
    model, data = run()[0], split(620)
    found = evaluate(model, data, device="cpu")
    with torch.no_grad():
        logits = model.eval()((data.images.float() / 255 - 0.4) / 0.2)
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-5)
    assert found.accuracy == pytest.approx((logits.argmax(1) == data.labels).double().mean().item())
    assert found.loss == pytest.approx(cross_entropy(logits, data.labels).item(), abs=1e-5)
    assert 0.3 < found.accuracy < 1 or found.loss < 1.3  # it learned: the sides could differ
    assert abs(found.loss - evaluate(network(), data, device="cpu").loss) > 0.01


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_restores_the_mode_and_changes_nothing(training):
    model = network().train(training)
    before = snapshot(model)
    found = evaluate(model, split(), device="cpu")
    assert model.training is training and same(model, before)
    assert not found.logits.requires_grad
    model.train()(split().batch(slice(0, 8))[0])
    assert not same(model, before)  # a training step would have shown


def test_evaluate_restores_the_mode_where_it_raises():
    for data in (split(0), split(4, c=2)):
        model = network().train()
        with pytest.raises((ValueError, RuntimeError)):
            evaluate(model, data, device="cpu")
        assert model.training


def test_evaluate_refuses_an_empty_part_and_labels_out_of_range():
    refused(ValueError, lambda: evaluate(network(), split(0), device="cpu"), "no images")
    words = ("from 0 to 2", "got 0 to 3")
    refused(ValueError, lambda: evaluate(network(classes=3), split(), device="cpu"), *words)


def test_evaluation_needs_keywords_and_logits_of_takes_both_kinds():
    logits = torch.zeros(2, 3)
    with pytest.raises(TypeError):
        Evaluation(1.0, 0.0, logits)
    assert logits_of(logits) is logits is logits_of(Outputs(logits=logits))


# --- history


def test_history_before_the_first_step_prints_too():
    history = blank()
    assert str(history) == "step 0 of 12, 0 s, 0 images/s"


@pytest.mark.parametrize("as_text", [True, False])
def test_history_saved_as_json_comes_back_whole(tmp_path, as_text):
    _, history = run(validate_every=6)
    path = tmp_path / "run.json"
    history.save(str(path) if as_text else path)
    assert History.load(str(path) if as_text else path) == history
    read = json.loads(path.read_text())
    assert read["losses"] == history.losses and len(read["losses"]["main"]) == 12


def test_history_saved_as_csv_is_a_table_of_its_rows(tmp_path):
    _, history = run(validate_every=20, steps=40)
    history.save(tmp_path / "run.csv")
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == history.rows
    names = ["epoch", "step", "lr", "main_loss", "main_accuracy", "train_seconds"]
    assert list(rows[0]) == [
        *names,
        *("valid_loss", "valid_accuracy", "valid_confidence", "valid_seconds"),
    ]
    assert len(rows) == 2


def test_history_without_rows_can_be_saved_too(tmp_path):
    _, history = run(data=dataset(valid=0))
    for name in ("run.json", "run.csv"):
        history.save(tmp_path / name)
        assert (tmp_path / name).exists()
