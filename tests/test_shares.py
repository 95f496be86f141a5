"""Shares: the sum of their work is the whole, the same every time, and nothing else changes."""

import _thread
import os
import random
import signal
import threading
import time
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from conftest import refused
from inception_edu.data import Dataset, Split
from inception_edu.googlenet import GoogLeNet
from inception_edu.losses import loss_with_aux
from inception_edu.training import Recipe, evaluate, fit, silent
from inception_edu.training.devices import side_by_side
from inception_edu.training.shares import Shares, drop, number_of_shares, replica

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads():
    """Every test begins with one of PyTorch's threads, whatever the one before it left."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def split(n, seed=0, side=8):
    """Noise whose brightness tells its class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 4
    noise = torch.randint(0, 100, (n, 1, side, side), generator=generator)
    return Split((noise + 40 * labels.view(-1, 1, 1, 1)).byte(), labels, (0.4,), (0.2,))


def dataset(n=96, valid=20, side=8):
    return Dataset(
        "tiny", split(n, 0, side), split(valid, 1, side), None, tuple("abcd"), (0.4,), (0.2,)
    )


def student(*more, norm=None, seed=0):
    """A network of one's own with plain logits: convolution, batch norm, and what else is given."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(4) if norm is None else norm
    first = nn.Conv2d(1, 4, 3, padding=1, bias=False), norm, nn.ReLU(), *more
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 4))


def small(seed=0):
    """Batch norm, dropout, two aux heads."""
    torch.manual_seed(seed)
    return GoogLeNet("small", num_classes=4, in_channels=1, width=1 / 32)


def recipe(**how):
    return Recipe(**dict(steps=6, batch_size=32, lr=0.05, precision="float32") | how)


def run(model=None, data=None, threads=1, out=None, resume=None, watch=silent, **how):
    """A fitted network and its history, computed with so many of PyTorch's threads."""
    torch.set_num_threads(threads)
    model, told = student() if model is None else model, recipe(**how)
    parts = dict(out=out, resume=resume, watch=watch, device="cpu")
    return model, fit(model, data or dataset(), told, **parts)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- what shares compute


def by_hand(model, x, labels, n):
    """Gradients, statistics and loss of the model over every n-th image, one share after another;
    each begins with the same statistics."""
    start = {name: value.clone() for name, value in model.state_dict().items()}
    found = []
    for i in range(n):
        model.load_state_dict(start)
        model.zero_grad()
        loss = loss_with_aux(model(x[i::n]), labels[i::n])
        loss.backward()
        values = [p.grad.clone() for p in model.parameters()]
        values += [b.clone().double() for b in model.buffers()]
        found.append((len(labels[i::n]) / len(labels), [*values, loss.detach()]))
    model.load_state_dict(start)
    return [sum(w * v[i] for w, v in found) for i in range(len(values) + 1)]


def learn(network, x, labels):
    loss = loss_with_aux(network(x), labels)
    loss.backward()
    return ({"main": loss.detach()},)


NORMS = {
    "plain": lambda: nn.BatchNorm2d(4),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "without statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
}


@pytest.mark.parametrize("images", [32, 33])
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_gradients_statistics_and_losses_are_the_means_of_the_shares_weighted_by_images(
    norm, n, images
):
    model = student(norm=NORMS[norm]())
    x, labels = split(images).batch(slice(None))
    expected, whole = by_hand(model, x, labels, n), by_hand(model, x, labels, 1)
    shares = Shares(model, n, seed=0, threads=2, layout=torch.channels_last)
    for _ in range(2):  # a second step begins with the statistics of the first
        model.zero_grad()
        (losses,) = shares(learn, x, labels)
        values = [*(p.grad for p in model.parameters()), *model.buffers(), losses["main"]]
        for value, right in zip(values, expected, strict=True):
            torch.testing.assert_close(value.double(), right.double(), rtol=1e-4, atol=1e-6)
        assert any((a - b).abs().max() > 1e-4 for a, b in zip(expected, whole, strict=True))
        expected = by_hand(model, x, labels, n)


def test_one_share_is_the_plain_loop():
    model, hand = student(), student()
    x, labels = split(32).batch(slice(None))
    Shares(model, 1, seed=0, threads=2, layout=torch.contiguous_format)(learn, x, labels)
    learn(hand, x, labels)
    assert same(model, hand)
    pairs = zip(model.parameters(), hand.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_a_weight_that_only_some_shares_use_gets_their_gradient():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.always, self.sometimes, self.never = (nn.Linear(64, 4) for _ in range(3))

        def forward(self, x):
            x = x.flatten(1)
            return self.always(x) + (self.sometimes(x) if x[0, 0] > 0 else 0)

    model, x, labels = Sometimes(), torch.ones(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    x[1::2] = -1
    Shares(model, 2, seed=0, threads=1, layout=torch.contiguous_format)(learn, x, labels)
    alone = Sometimes()
    alone.load_state_dict(model.state_dict())
    learn(alone, x[0::2], labels[0::2])
    torch.testing.assert_close(model.sometimes.weight.grad, alone.sometimes.weight.grad / 2)
    assert model.never.weight.grad is None


def test_shares_change_the_run_and_how_many_threads_compute_them_does_not(monkeypatch):
    class Late(nn.ReLU):
        """Takes its time, another one whenever it is asked."""

        def forward(self, x):
            time.sleep(os.urandom(1)[0] / 50_000)
            return super().forward(x)

    one = run(student(Late(), nn.Dropout(0.3)), shares=1)
    two = run(student(Late(), nn.Dropout(0.3)), shares=2)
    assert (one[1].shares, two[1].shares) == (1, 2)
    assert two[1].losses["main"] != pytest.approx(one[1].losses["main"], abs=1e-5)
    for threads in (1, 2, 3):  # in turn; at once; with a thread to spare
        model, history = run(student(Late(), nn.Dropout(0.3)), shares=2, threads=threads)
        assert same(model, two[0]) and history.losses == two[1].losses
    model, history = run(student(Late(), nn.Dropout(0.3)), shares=2, threads=4)
    assert history.losses["main"] == pytest.approx(two[1].losses["main"], abs=1e-4)


def test_a_share_has_its_part_of_pytorchs_threads_and_the_run_leaves_them_as_they_were():
    seen = set()

    class Watched(nn.ReLU):
        def forward(self, x):
            seen.add((threading.current_thread().name, torch.get_num_threads(), self.training))
            return super().forward(x)

    run(student(Watched()), threads=4, steps=2)
    trained = {(name, n) for name, n, training in seen if training and name != "MainThread"}
    assert {n for _, n in trained} == {2} and len(trained) == 2
    assert {n for *_, n, training in seen if not training and n != 4} == {1}  # evaluation
    assert torch.get_num_threads() == 4
    with pytest.raises(ZeroDivisionError):
        run(threads=4, watch=lambda *_: 1 / 0)
    assert torch.get_num_threads() == 4


def test_a_new_thread_after_a_run_has_as_many_threads_as_before():
    run(threads=3)
    evaluate(student(), split(20), device="cpu")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [3]


def test_an_error_in_a_share_keeps_its_traceback():
    class Broken(nn.ReLU):
        def forward(self, x):
            if self.training and len(x) == 16:
                raise TypeError("a slip of mine")
            return super().forward(x)

    with pytest.raises(TypeError, match="a slip of mine") as caught:
        run(student(Broken()))
    assert "raise TypeError" in str(caught.getrepr(style="long"))


def test_an_interrupt_waits_for_the_shares_and_ends_the_run():
    calls = count()

    class Interrupting(nn.ReLU):
        def forward(self, x):
            if self.training and next(calls) == 13:  # two shares never take one number
                _thread.interrupt_main()
                time.sleep(0.05)
            return super().forward(x)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    try:
        model, history = run(student(Interrupting()), steps=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.stopped.startswith("interrupted after step") and 2 <= history.step < 10
    assert history.losses["main"] == run(steps=60)[1].losses["main"][: history.step]
    assert all(value.isfinite().all() for value in model.state_dict().values())


# --- dropout and going on

LAYERS = {
    "elements": (nn.Dropout(0.3), (6, 5, 4, 4)),
    "channels last": (nn.Dropout(0.3), (6, 5, 4, 4)),
    "vectors": (nn.Dropout(0.6), (6, 5)),
    "nothing dropped": (nn.Dropout(0.0), (6, 5)),
    "all dropped": (nn.Dropout(1.0), (6, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_from_a_generator_of_its_own_draws_what_pytorchs_would(name):
    layer, shape = LAYERS[name]
    x = torch.randn(shape)
    if name == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(5)
    expected = layer.train()(x.clone())
    assert torch.equal(drop(layer, torch.Generator().manual_seed(5), x.clone()), expected)
    if 0 < layer.p < 1:
        assert not torch.equal(drop(layer, torch.Generator().manual_seed(6), x.clone()), expected)
    assert torch.equal(drop(layer.eval(), torch.Generator(), x.clone()), x)


def test_each_share_drops_something_else_and_another_seed_something_else_again():
    def masks(seed):
        seen = {}

        def look(network, x, labels):
            seen[id(network)] = network(x)[:, 0]
            return ({"main": network(x).mean()},)

        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).append(nn.Linear(64, 64, bias=False))
        nn.init.eye_(model[2].weight)
        x, labels = torch.ones(64, 1, 8, 8), torch.zeros(64)
        Shares(model, 2, seed=seed, threads=2, layout=torch.contiguous_format)(look, x, labels)
        return [seen[name] for name in sorted(seen, key=lambda k: k != id(model))]

    first, second = masks(0)
    assert not torch.equal(first, second) and set(first.tolist()) == {0.0, 2.0}
    assert all(torch.equal(a, b) for a, b in zip(masks(0), (first, second), strict=True))
    assert torch.equal(masks(1)[0], second) and not torch.equal(masks(1)[1], second)


def test_a_network_with_dropout_is_left_as_it_was_written():
    model = run(student(nn.Dropout(0.2)))[0]
    assert not any("forward" in vars(layer) for layer in model.modules())
    twin = replica(model, torch.Generator())
    assert "forward" in vars(twin[3])
    pairs = zip(model.parameters(), twin.parameters(), strict=True)
    assert all(a.data_ptr() == b.data_ptr() and a is not b for a, b in pairs)


@pytest.mark.parametrize(
    ("make", "step"),
    [(small, 4), (lambda seed=0: student(nn.Dropout(0.4), seed=seed), 1)],
    ids=["small GoogLeNet, in epoch 2", "a student's network, before epoch 1"],
)
def test_a_run_in_shares_that_was_cut_off_goes_on_to_the_very_same_weights(make, step, tmp_path):
    def cut(history, done):
        if history.step >= step and not done:
            raise KeyboardInterrupt

    how = dict(data=dataset(64, side=16), steps=None, epochs=3)
    whole, told = run(make(), **how)
    assert told.shares == 2 and told.one_share == ""
    assert run(make(), out=tmp_path, watch=cut, **how)[1].stopped
    again, history = run(make(7), out=tmp_path, resume=tmp_path / "last.pt", threads=2, **how)
    assert same(again, whole) and history.losses == told.losses
    assert history.accuracies == told.accuracies and history.shares == 2


def test_the_state_of_shares_is_needed_to_draw_the_same_dropout_again():
    def draw(shares):
        x, labels = torch.ones(64, 1, 8, 8), torch.zeros(64)
        return shares(lambda network, x, _: ({"main": network(x).sum()},), x, labels)[0]["main"]

    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))
    model.register_parameter("weight", nn.Parameter(torch.zeros(1)))
    shares = Shares(model, 2, seed=0, threads=1, layout=torch.contiguous_format)
    state = shares.state_dict()
    first, second = draw(shares), draw(shares)
    shares.load_state_dict(state)
    assert draw(shares) == first != second
    for kept in (state[:1], [shares.state_dict()[0], state[1]]):  # of one share alone
        shares.load_state_dict(state)
        draw(shares)
        shares.load_state_dict(kept)
        assert draw(shares) != first


# --- networks that cannot be shared out


class Own(nn.Module):
    """Does something in its forward pass that threads must not do at once."""

    def __init__(self, act):
        super().__init__()
        self.act = act
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x):
        x = self.norm(x.flatten(1))
        return x + self.act(self, x) if self.training else x


def own(act):
    torch.manual_seed(0)
    return nn.Sequential(Own(act), nn.Linear(64, 4))


def hooked(register):
    model = student()
    register(model)
    return model


class Stubborn(nn.Linear):
    def __deepcopy__(self, memo):
        raise RuntimeError("only one of me")


NUMBERS = "draws random numbers outside of nn.Dropout"
ALONE = {
    "functional dropout": (lambda: own(lambda _, x: dropout(x, 0.5)), NUMBERS),
    "noise": (lambda: own(lambda _, x: torch.randn_like(x)), NUMBERS),
    "alpha dropout": (lambda: student(nn.AlphaDropout(0.1)), NUMBERS),
    "dropout of channels": (lambda: student(nn.Dropout2d(0.1)), NUMBERS),
    "Python's numbers": (lambda: own(lambda _, x: random.random()), NUMBERS),
    "NumPy's numbers": (lambda: own(lambda _, x: float(np.random.random())), NUMBERS),
    "forward hook": (
        lambda: hooked(lambda m: m[0].register_forward_hook(lambda *_: None)),
        "the network has hooks",
    ),
    "gradient hook": (
        lambda: hooked(lambda m: m[0].weight.register_hook(lambda g: 2 * g)),
        "the network has hooks",
    ),
    "copy": (
        lambda: nn.Sequential(nn.Flatten(), Stubborn(64, 4)),
        "the network cannot be copied (only one of me)",
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_cannot_be_shared_out_repeatably_is_trained_in_one_share_and_the_history_says_why(
    name,
):
    make, why = ALONE[name]
    torch.manual_seed(0)
    model, history = run(make())
    assert history.shares == 1 and why in history.one_share and why in str(history)
    torch.manual_seed(0)
    _, plain = run(make(), shares=1)
    assert plain.shares == 1 and plain.one_share == "" and "share" not in str(plain)
    if name not in ("Python's numbers", "NumPy's numbers"):
        assert plain.losses == history.losses


def test_the_trial_leaves_the_network_and_pytorchs_random_numbers_as_they_were():
    model, x = own(lambda _, x: torch.rand(())), split(2)
    before, numbers = {n: v.clone() for n, v in model.state_dict().items()}, torch.get_rng_state()
    assert number_of_shares(model, 2, 64, x.batch(slice(None))[0])[0] == 1
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


class Keeps(nn.Module):
    """Keeps its input for later in the same pass, counts its calls and normalises by itself."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.calls, self.first, self.act = 0, nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x):
        self.skip, self.calls = x, self.calls + 1
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        x = self.act(self.first(x - self.mean))
        time.sleep(os.urandom(1)[0] / 100_000)  # another thread would be in between
        return x + self.skip / (1 + self.training * self.calls)


def test_a_network_that_keeps_something_in_a_pass_is_shared_out_repeatably(monkeypatch):
    monkeypatch.setattr("inception_edu.training.evaluation.PIXELS", 8 * 64)
    model, history = run(student(Keeps()))
    assert history.shares == 2 and history.one_share == "" and model[3].calls > 6
    found = evaluate(model, split(100), device="cpu")
    for threads in (2, 3):
        again, told = run(student(Keeps()), threads=threads)
        assert same(again, model) and told.losses == history.losses
        torch.set_num_threads(threads)
        assert torch.equal(evaluate(model, split(100), device="cpu").logits, found.logits)
    with torch.no_grad():
        logits = model.eval()(split(100).batch(slice(None))[0])
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(evaluate(student(Keeps()), split(100)).logits, logits, atol=1e-2)


@pytest.mark.parametrize(
    ("wanted", "size", "expected"),
    [(2, 128, 2), (2, 32, 2), (2, 31, 1), (2, 8, 1), (4, 128, 4), (4, 40, 2), (1, 128, 1)],
)
def test_a_share_has_at_least_16_images(wanted, size, expected):
    shares, why = number_of_shares(student(), wanted, size, torch.randn(2, 1, 8, 8))
    small = f"batches of {size} are too small to be shared out"
    assert (shares, why) == (expected, small if size < 32 else "")
    if size < 32:
        assert "share" not in str(run(batch_size=8)[1])  # that is told of networks alone


# --- frozen parts


def test_frozen_parts_in_evaluation_mode_stay_as_they_are():
    model = student(nn.Dropout(0.5), nn.BatchNorm2d(4), norm=nn.BatchNorm2d(4))
    frozen = model[:3].requires_grad_(False).eval()
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    first = model[-1].weight.detach().clone()
    _, history = run(model)
    assert history.shares == 2
    assert all(torch.equal(frozen.state_dict()[name], value) for name, value in before.items())
    assert not frozen[0].training and not frozen[1].training
    assert model[3].training and model[4].training and model.training
    assert model[4].num_batches_tracked == 6 and model[4].running_mean.abs().sum() > 0
    assert not torch.equal(model[-1].weight, first)
    evaluate(model, split(20), device="cpu")
    assert not frozen[1].training and model[4].training


def test_frozen_weights_in_training_mode_still_update_batch_norms_statistics():
    model = student()
    model[:2].requires_grad_(False)
    weight = model[0].weight.clone()
    run(model)
    assert model[1].num_batches_tracked == 6 and torch.equal(model[0].weight, weight)


def test_a_network_in_evaluation_mode_whose_weights_learn_is_trained_as_ever():
    assert same(run(student(nn.Dropout(0.5)).eval())[0], run(student(nn.Dropout(0.5)))[0])


def test_a_network_with_nothing_to_learn_is_refused(tmp_path):
    frozen = student().requires_grad_(False)
    words = ("must have weights that learn", "Sequential", "frozen")
    refused(ValueError, lambda: run(frozen, out=tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


# --- side by side


def test_calls_side_by_side_come_back_in_order_and_each_has_one_thread_and_no_gradients():
    torch.set_num_threads(3)
    names = set()

    def call(i):
        names.add(threading.current_thread().name)
        time.sleep(0.02 * (i == 0))
        return i, torch.get_num_threads(), torch.is_grad_enabled()

    assert side_by_side(call, range(8)) == [(i, 1, False) for i in range(8)]
    assert torch.get_num_threads() == 3 and torch.is_grad_enabled()
    names.clear()
    assert len(side_by_side(call, range(8), threads=1)) == 8 and len(names) == 1
    assert side_by_side(call, []) == []


def test_an_error_in_one_call_ends_the_others_that_have_not_begun():
    began = []

    def call(i):
        began.append(i)
        time.sleep(0.01)
        if i == 1:
            raise OSError("the second")

    with pytest.raises(OSError, match="the second"):
        side_by_side(call, range(100))
    assert len(began) < 50


def test_an_evaluation_depends_neither_on_threads_nor_on_the_memory_format(monkeypatch):
    monkeypatch.setattr("inception_edu.training.evaluation.PIXELS", 32 * 64)
    data = split(150)
    model = run(student(nn.Conv2d(4, 4, 3)))[0]
    found = evaluate(model, data, device="cpu")
    for threads, layout in [(1, torch.contiguous_format), (3, torch.channels_last)]:
        torch.set_num_threads(threads)
        again = evaluate(model.to(memory_format=layout), data, device="cpu")
        assert torch.equal(again.logits, found.logits)
    x, labels = data.batch(slice(None))
    with torch.no_grad():
        logits = model.eval()(x)
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-5)
    assert found.loss == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)
    assert found.loss != pytest.approx(evaluate(student(), data, device="cpu").loss, rel=1e-2)


def test_an_evaluation_of_a_network_with_hooks_or_random_numbers_goes_batch_by_batch(monkeypatch):
    monkeypatch.setattr("inception_edu.training.evaluation.PIXELS", 16 * 64)
    torch.set_num_threads(3)
    seen, model = [], student()
    model.register_forward_hook(lambda layer, x, out: seen.append(x[0][0, 0, 0, 0].item()))
    data = split(100)
    evaluate(model, data, device="cpu")
    assert seen == [data.batch(slice(i, i + 1))[0][0, 0, 0, 0].item() for i in range(0, 100, 16)]
    noisy = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), Noise())
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(evaluate(noisy, data, device="cpu").logits)
    assert torch.equal(*found) and not torch.equal(
        found[0], evaluate(noisy, data, device="cpu").logits
    )


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)
