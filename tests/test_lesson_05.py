import math
import struct
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from conftest import moved, solutions_pass
from inception_edu.data import load
from inception_edu.figures import on_page, render
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_05 import (
    checks as checks,
    crash,
    flattery,
    pace,
    runs as lesson,
    schedules,
)
from inception_edu.training import Recipe, fit

pytestmark = pytest.mark.usefixtures("one_thread")
DIAGNOSIS = {"A": "labels shuffled", "B": "overfitting", "C": "lr too high"}
PARTS = {"weights", "optimiser", "history", "batches", "random"}


NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


@pytest.fixture(scope="module")
def fashion():
    return load("fashion_mnist", limit=600)


# --- exercise 1


@pytest.mark.parametrize(
    "answer",
    [
        DIAGNOSIS,
        list(DIAGNOSIS.values()),
        dict(C="LR too high", A="shuffled labels", B="Overfitting"),
        ("labels_shuffled", " overfitting ", "learning rate too high"),
    ],
)
def test_the_three_faults_are_told_by_letter(answer):
    assert checks.exercise_1.judge(answer) == (RIGHT, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(A="overfitting"), "Right: B, C. A: It is not 'overfitting': training accuracy ends"),
        (dict(B="labels shuffled"), "Right: A, C. B: It is not 'labels shuffled': training acc"),
        (dict(B="lr too high"), "far above chance"),
        (dict(C="labels shuffled"), "above ln 10 = 2.3"),
        (dict(C="bad luck"), "C: It must be one of 'labels shuffled'"),
        (dict(C=3), "'lr too high', got 3"),
        (dict.fromkeys("ABC", "overfitting"), "Right: B. A: It is not 'overfitting'"),
        (dict(B=...), "Right: A, C. Not attempted yet: B."),
        (dict(D="overfitting"), "It has 'D'; its parts are A, B, C"),
    ],
)
def test_wrong_diagnoses_are_answered_with_what_the_curve_shows(changed, said):
    state, told = checks.exercise_1.judge(DIAGNOSIS | changed)
    assert state == NOT_YET and said in told


@pytest.mark.parametrize("fault", DIAGNOSIS.values())
def test_every_seed_of_a_saved_run_shows_its_fault(fault):
    runs = shared.saved("training")["runs"]
    healthy = runs["healthy"][0]["rows"][-1]["valid_accuracy"]
    assert len(runs[fault]) == 3
    for run in runs[fault]:
        last, worst = run["rows"][-1], max(run["losses"]["main"])
        train, valid = last["main_accuracy"], last["valid_accuracy"]
        assert valid < healthy
        assert (train > 0.95) == (fault != "lr too high")
        assert (valid > 0.6) == (fault == "overfitting")
        assert (worst > math.log(10) + 0.1) == (fault == "lr too high")


# --- exercise 2


@pytest.mark.parametrize("make", [set, list, tuple, dict.fromkeys, lambda x: map(str.upper, x)])
def test_a_run_resumed_from_five_parts_goes_on_exactly(make):
    whole, resumed = crash.resumed_from(PARTS)
    assert whole == resumed and len(whole) == 16
    assert checks.exercise_2.judge(make(PARTS)) == (RIGHT, "")
    american = {part.replace("optimiser", "Optimizer ") for part in PARTS}
    assert checks.exercise_2.judge(american) == (RIGHT, "")


@pytest.mark.parametrize("part", sorted(PARTS))
def test_without_any_one_part_the_curve_is_another_and_the_check_says_why(part):
    whole, resumed = crash.resumed_from(PARTS - {part})
    assert whole != resumed[: len(whole)]
    state, told = checks.exercise_2.judge(PARTS - {part})
    assert state == NOT_YET and told.endswith(f"missing: {checks.REASONS[part]}.")


def test_no_smaller_set_of_parts_is_right():
    for n in range(len(PARTS)):
        for parts in combinations(sorted(PARTS), n):
            assert checks.exercise_2.judge(set(parts))[0] == NOT_YET, parts


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"weights"}, "running averages start from 0, as if without a past, and 3 more"),
        (set(), "missing: the network starts from random weights, and 4 more"),
        (PARTS | {"images"}, "It goes on exactly, but leave out images: they lie in the data set"),
        (PARTS | {"gradients"}, "leave out gradients: every step computes them anew"),
        (PARTS | set(checks.NEEDLESS), "leave out gradients"),
        (PARTS | {"luck"}, "'luck' is not on the list: weights"),
        (7, "Give a set of names, got 7"),
        ("weights", "Give a set of names, got 'weights'"),
        ([["weights"]], "is not on the list"),
    ],
)
def test_wrong_parts_are_told_apart(parts, said):
    state, told = checks.exercise_2.judge(parts)
    assert state == NOT_YET and said in told


# --- exercise 3


def by_sorting(valid, test):
    return sorted(zip(valid.tolist(), test.tolist(), strict=True))[-1][1]


def in_numpy(valid, test):
    return test.numpy()[np.argsort(valid.numpy())[-1:]]


def by_a_mask(valid, test):
    return test[valid == valid.max()].mean()


@pytest.mark.parametrize(
    "report", [by_sorting, in_numpy, by_a_mask, lambda v, t: t[v.topk(1).indices].item()]
)
def test_the_test_score_of_the_best_on_validation_is_honest_in_any_make(report):
    assert checks.exercise_3.judge(report) == (RIGHT, "")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (lambda valid, test: test.max(), "so the test set has chosen and flatters"),
        (lambda valid, test: valid.max(), "the validation score that has chosen"),
        (lambda valid, test: test.mean(), "mean over all candidates"),
        (lambda valid, test: test[valid.argmin()], "worst on validation"),
        (lambda valid, test: valid.argmax(), "the place of the candidate"),
        (lambda valid, test: test[(valid + test).argmax()], "best of the sums"),
        (lambda valid, test: test[0], "the first candidate's test score"),
        (lambda valid, test: test[-1], "the last candidate's test score"),
        (lambda valid, test: test.median(), "expected 0."),
        (lambda valid, test: 0.9, "You report 0.900, expected"),
        (lambda valid, test: test, "Return one accuracy, got tensor"),
        (lambda valid, test: print(end=""), "Return one accuracy, got None"),
        (0.9, "It raised TypeError"),
    ],
)
def test_flattering_reports_are_told_apart(report, said):
    state, told = checks.exercise_3.judge(report)
    assert state == NOT_YET and said in told


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_a_stub_is_not_attempted_yet(exercise):
    def stub(valid, test):
        """(k,), (k,) -> one accuracy"""
        ...

    for answer in (..., stub, dict.fromkeys("ABC", ...), {...}):
        assert exercise.judge(answer)[0] == OPEN


# --- the saved runs


def test_few_images_are_512_and_only_their_training_labels_are_shuffled():
    dataset = load("fashion_mnist", limit=6_000)
    few, shuffled = lesson.few(dataset), lesson.shuffled(dataset)
    assert len(few.train) == len(shuffled.train) == 512 and len(few.valid) == 500
    assert torch.equal(few.train.images, shuffled.train.images)
    assert torch.equal(few.valid.labels, shuffled.valid.labels)
    assert torch.equal(*(d.train.labels.sort().values for d in (few, shuffled)))
    assert (few.train.labels == shuffled.train.labels).float().mean() < 0.2
    assert len(lesson.cut(dataset).train) == 5_500


def test_a_saved_run_becomes_a_history_of_every_step():
    run = shared.saved("training")["runs"]["healthy"][1]
    history = lesson.history_of(lesson.RUNS["healthy"], run)
    assert history.step == history.steps == 240 and history.recipe.seed == 1
    assert history.losses["main"][0] == run["losses"]["main"][0]
    assert history.losses["main"][-1] == run["losses"]["main"][-1]
    assert history.losses["main"][2] == run["losses"]["main"][1]
    seconds = sum(row["train_seconds"] for row in run["rows"])
    assert history.images_per_second == pytest.approx(240 * 64 / seconds)


def test_the_figure_of_the_four_runs_tells_their_last_losses_and_hides_their_faults():
    picture = lesson.show_runs()
    lines = picture.words.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["healthy", "A", "B", "C"]
    assert not any(fault in picture.words for fault in lesson.RUNS if fault != "healthy")
    runs = shared.saved("training")["runs"]
    last = runs["overfitting"][0]["rows"][-1]
    assert lines[3].split()[1:] == [
        f"{last['main_loss']:.2f}",
        f"{last['main_accuracy']:.0%}",
        f"{last['valid_loss']:.2f}",
        f"{last['valid_accuracy']:.0%}",
    ]


def test_a_saved_run_is_drawn_on_one_page():
    picture = lesson.saved_page("training", "healthy")
    assert picture.words.startswith("step 240 of 240, loss ")
    assert '"Learning rate peaks at 0.05"' in picture.words


def test_the_cifar10_entry_is_a_quarter_width_net_for_colour_images():
    (entry,) = lesson.CIFAR10.values()
    assert entry.data == "cifar10" and entry.recipe.flip and entry.recipe.shift
    assert entry.build()(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 10)


def test_a_point_costs_seconds_per_point_and_a_loss_costs_nothing():
    rows = [
        dict(epoch=1.0, lr=0.1, valid_accuracy=0.5, train_seconds=20.0),
        dict(epoch=2.0, lr=0.05, valid_accuracy=0.45, train_seconds=20.0),
        dict(epoch=3.0, lr=0.0, valid_accuracy=0.55, train_seconds=30.0),
    ]
    _, *lines = lesson.table_price(rows).rows
    assert lines[0] == ("1", "0.100", "50.0 %", "+50.0", "20", "0")
    assert lines[1][-3:] == ("-5.0", "20", "-")
    assert lines[2][-3:] == ("+10.0", "30", "3")


# --- learning rates


def test_a_range_test_finds_the_rate_of_the_lowest_averaged_loss():
    losses = [2.3, 0.1, 1.0, 0.9, 3.0, math.nan]  # the lowest single loss is at another rate
    test = schedules.range_test([0.001, 0.01, 0.1, 1.0, 10.0, 100.0], losses)
    assert test.best == 1.0 and test.losses[-1] == 1000
    assert test.smooth[1] == pytest.approx((0.8 * 2.3 + 0.1) / 1.8)
    picture = schedules.show_range(test)
    assert "at a rate of 1; " in picture.words and "lowest at 1" not in picture.words
    assert '"Falls up to a rate of 1, then leaps"; 3 lines' in picture.words


@pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
def test_the_schedule_is_that_of_the_recipe(name):
    found = schedules.schedule(name, 0.1, 0.3)
    recipe = Recipe(steps=200, schedule=name, warm_up=0.1, lr=0.3)
    assert found.rates == [recipe.lr_at(step, 200) for step in range(1, 201)]
    assert found.rates[9] == pytest.approx(0.3 * 9.5 / 20)
    assert found.peak_step == 21
    left = (1 - 149.5 / 200) / 0.9
    at_150 = dict(linear=left, cosine=(1 - math.cos(math.pi * left)) / 2, constant=1)[name]
    assert found.rates[149] == pytest.approx(0.3 * at_150)


def test_the_schedule_explorer_follows_its_controls():
    explorer = schedules.schedule_explorer()
    assert "peak            step 51   rate 0.1993" in explorer.words
    for name, value in (("schedule", "cosine"), ("warm_up", 0.1), ("lr", 0.4)):
        moved(explorer, **{name: value})
        pixels = tuple(2 * n for n in on_page((8, 3.6)))
        assert struct.unpack(">II", explorer.picture.value[16:24]) == pixels
    assert "three quarters  step 150" in explorer.words
    recipe = Recipe(steps=200, schedule="cosine", warm_up=0.1, lr=0.4)
    assert f"rate {recipe.lr_at(150, 200):.4f}" in explorer.words


# --- pace


def count_loop(model, batches, rates):
    """A loop that trains nothing: it only looks at the batches it is given."""
    seen = [images.shape for _, (images, _) in zip(rates, batches, strict=False)]
    assert all(isinstance(parameter, nn.Parameter) for parameter in model.parameters())
    return seen


def test_each_call_takes_the_images_it_says(fashion):
    photos = TensorDataset(torch.zeros(600, 1, 28, 28), torch.zeros(600, dtype=torch.int64))
    calls = pace.calls(count_loop, photos, fashion, steps=2)
    assert list(calls)[:4] == [
        "plain, batch 40",
        "plain, batch 128",
        "+ data in memory",
        "+ channels last",
    ]
    assert list(calls)[-1] == "fit"
    images = {name: call() for name, call in calls.items()}
    assert images.pop("plain, batch 40") == 240
    assert set(images.values()) == {256}


def test_batches_in_memory_are_normalised_and_lie_as_asked(fashion):
    images, labels = next(pace.memory_batches(fashion, 64, torch.channels_last))
    assert images.shape == (64, 1, 28, 28) and labels.shape == (64,)
    assert abs(images.mean()) < 0.2 and abs(images.std() - 1) < 0.2
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_the_pace_is_told_relative_to_the_first_loop():
    found = {"plain, batch 40": 200.0, "plain, batch 128": 300.0, "fit": 500.0}
    picture = pace.show_pace(found)
    assert picture.words.splitlines()[3].split() == ["fit", "500", "2.50"]
    assert '"2.5 times the customary loop"; 3 bars' in picture.words


def test_without_a_gpu_nothing_is_claimed_about_it(fashion, monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "cpu")
    assert pace.on_each_device(fashion).data.startswith("Not measured here")


def test_with_a_gpu_three_speeds_are_told(fashion, monkeypatch):
    monkeypatch.setattr(pace, "pick_device", lambda: torch.device("cuda"))
    asked = []
    monkeypatch.setattr(pace, "ours", lambda data, *how: asked.append(how) or how[0])
    table = pace.on_each_device(fashion, steps=1)
    assert [name for name, *_ in table.rows[1:]] == [
        "cpu, batch 128",
        "cuda, batch 128",
        "cuda, batch 512",
    ]
    assert set(asked) == {(128, 1, "cpu"), (128, 1, "cuda"), (512, 1, "cuda")}


# --- the crash


def test_the_restart_figure_shows_where_the_rate_starts_again(fashion):
    recipe = Recipe(epochs=3, batch_size=64, warm_up=0, lr=0.1, precision="float32")
    silent = dict(watch=crash.silent, device="cpu")
    whole = fit(crash.small_network(), fashion, recipe, **silent)
    again = fit(crash.small_network(), fashion, recipe, watch=crash.cut_at(8), device="cpu")
    assert again.stopped == "interrupted after step 8" and whole.step == 24
    picture = crash.show_restart(whole, whole, again, at=16)
    rates = recipe.lr_at(17, 24), recipe.lr_at(1, 24)
    assert f"step 17: {rates[0]:.5f} in" in picture.words
    assert f"restored, {rates[1]:.5f} with weights only" in picture.words
    fig = render(crash._draw_restart, crash.Restart(whole, whole, again, 16), (11, 4))
    rate, loss = fig.axes
    through, everything, weights_only = rate.lines[:3]
    assert list(everything.get_ydata()) == list(through.get_ydata())[16:]
    assert list(weights_only.get_xdata()) == list(range(17, 25))
    assert list(loss.lines[2].get_ydata()) == again.losses["main"]


def test_the_trials_checkpoints_are_of_before_step_1_and_of_epoch_2():
    trial = crash.trial()
    assert trial.first["history"]["rows"] == [] and not trial.first["optimiser"]["state"]
    assert trial.last["history"]["rows"][-1]["step"] == 16
    assert set(crash.PARTS) == PARTS == set(checks.REASONS) and PARTS <= set(trial.last)


# --- flattery


def test_the_expected_best_is_exact_where_it_can_be_counted_by_hand():
    assert flattery.expected_best(1, 100, 0.84) == pytest.approx(0.84)
    assert flattery.expected_best(2, 1, 0.5) == pytest.approx(0.75)  # right unless both are wrong
    throws = torch.distributions.Binomial(1000, torch.tensor(0.9))
    torch.manual_seed(0)
    mean = throws.sample((4000, 10)).amax(1).mean().item() / 1000
    assert flattery.expected_best(10, 1000, 0.9) == pytest.approx(mean, abs=0.0005)
    assert mean > 0.91


def test_the_flattery_figure_tells_20_networks_and_falls_with_more_images():
    picture = flattery.show_flattery(0.84)
    exact = 100 * (flattery.expected_best(20, 10_000, 0.84) - 0.84)
    assert f"{exact:.2f} points on 10,000 test images" in picture.words
    assert 0.6 < exact < 0.8


def test_variants_differ_in_the_last_layer_by_their_noise_alone(fashion):
    torch.manual_seed(0)
    network = nn.Sequential()
    parts = dict(stem=nn.Identity(), body=nn.AvgPool2d(4))
    head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(49, 10))
    for name, part in (parts | dict(head=head)).items():
        network.add_module(name, part)
    right = flattery.variants(network, fashion.train, k=2, noise=0)
    with torch.no_grad():
        images, labels = fashion.train.batch(slice(None))
        expected = network.eval()(images).argmax(1) == labels
    assert right.shape == (2, 550) and 0 < expected.sum() < 550
    assert torch.equal(right[0], expected) and torch.equal(right[1], expected)
    noisy = flattery.variants(network, fashion.train, k=2, noise=1)
    assert not torch.equal(noisy[0], expected) and not torch.equal(noisy[0], noisy[1])


def test_flattery_is_that_of_independent_networks_where_they_are():
    right = torch.rand(30, 1000, generator=torch.Generator().manual_seed(0)) < 0.8
    expected = 100 * (flattery.expected_best(30, 500, 0.8) - 0.8)
    assert flattery.flattery_of(right) == pytest.approx(expected, abs=1.2)
    same = right[:1].expand(30, -1)
    assert abs(flattery.flattery_of(same)) < 0.5


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("05")
