"""The bench: a fair plain loop, turns, and a table."""

import pytest
import torch
from torch import nn

from inception_edu.commands import bench
from inception_edu.data import Dataset, Split
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_05 import loop, neighbour
from inception_edu.training import Recipe


@pytest.fixture(scope="module")
def tiny():
    """Classes told apart by brightness."""
    labels = torch.arange(160) % 4
    noise = torch.randint(0, 60, (160, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    part = Split((noise + 50 * labels.view(-1, 1, 1, 1)).byte(), labels, (0.4,), (0.25,))
    return Dataset("tiny", part, part, part, tuple("abcd"), (0.4,), (0.25,))


def test_the_plain_loop_learns_and_takes_the_steps_it_is_told(tiny):
    torch.manual_seed(0)
    model = GoogLeNet("small", num_classes=4, in_channels=1, aux=False, width=1 / 16)
    recipe = Recipe(lr=0.05)
    losses = bench.plain_loop(model, tiny.train, recipe, 16, 30, torch.device("cpu"))
    assert len(losses) == 30 and sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_plain_images_are_normalised_and_moved_as_the_recipes_are(tiny):
    still = loop.PlainImages(tiny.train, Recipe(shift=0, flip=False))
    x, labels = tiny.train.batch(slice(3, 4))
    image, label = still[3]
    torch.testing.assert_close(image, x[0], rtol=1e-5, atol=1e-5)
    assert label == labels.item() and len(still) == 160
    moved = loop.PlainImages(tiny.train, Recipe())
    assert len({tuple(moved[3][0].flatten().tolist()) for _ in range(20)}) > 5


def test_both_loops_train_and_say_on_how_many_images(tiny):
    calls = bench.training_calls(tiny, "cpu", size=16, steps=3, width=1 / 16)
    assert {name: call() for name, call in calls.items()} == {
        "plain loop, batch 16": 48,
        "plain loop, batch 40": 120,
        "this loop, batch 16": 48 * bench.LONGER,
    }


def test_torchvisions_network_and_ours_made_fast_put_out_the_same(monkeypatch):
    seen, original = [], nn.Module.__call__

    def spy(self, x):
        out = original(self, x)
        if type(self).__name__ == "GoogLeNet":
            seen.append(getattr(out, "logits", out))
        return out

    monkeypatch.setattr(nn.Module, "__call__", spy)
    calls = bench.inference_calls(torch.device("cpu"), size=64, n=2)
    assert [call() for call in calls.values()][:2] == [2, 2]
    theirs, ours = seen[:2]
    assert (theirs - ours).abs().max() <= 1e-5 * theirs.abs().max()


def test_calls_take_turns_and_the_first_round_is_not_counted():
    ran = []
    calls = {name: lambda name=name: ran.append(name) or 10 for name in "ab"}
    found = loop.speeds(calls, 2)
    assert ran == list("ababab") and {name: len(v) for name, v in found.items()} == dict(a=2, b=2)
    assert all(value > 0 for values in found.values() for value in values)


def test_words_give_medians_and_how_many_times_the_first_turn_by_turn():
    lines = bench.words("training", dict(plain=[10.0, 20.0, 30.0], ours=[20.0, 60.0, 60.0])).split(
        "\n"
    )
    assert lines[0].split()[0] == "training"
    assert lines[1].split() == ["plain", "20", "10", "30", "1.00"]
    assert lines[2].split() == ["ours", "60", "20", "60", "2.00"]


def test_the_whole_bench_prints_its_three_tables(monkeypatch, tiny):
    monkeypatch.setattr(bench, "load", lambda name: tiny)
    monkeypatch.setattr(bench, "inference_calls", lambda *_, **__: {"one": lambda: 1})
    busy = "beside a busy process"
    monkeypatch.setattr(bench, "NEIGHBOURS", {busy: bench.NEIGHBOURS[busy]})
    text = bench.measure(device="cpu", repeats=1, steps=1, width=1 / 16)
    for part in ("this loop, batch 128", "torch ", "alone", busy, "inference"):
        assert part in text


def test_a_neighbour_runs_meanwhile_and_is_ended_whatever_happens(monkeypatch):
    started, begin = [], neighbour.subprocess.Popen
    monkeypatch.setattr(
        neighbour.subprocess, "Popen", lambda *a, **k: started.append(begin(*a, **k)) or started[-1]
    )
    with pytest.raises(KeyboardInterrupt), bench.beside(bench.NEIGHBOURS["beside a busy process"]):
        assert started[0].poll() is None
        raise KeyboardInterrupt
    assert started[0].poll() is not None
    with pytest.raises(OSError, match="ended before it began"), bench.beside("pass"):
        pass
    with bench.beside(bench.NEIGHBOURS["beside a busy process"]):
        started[-1].stdin.close()  # as when this process is killed
        assert started[-1].wait() == 0
