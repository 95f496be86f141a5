import copy
import json
import math
import random
import struct
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from conftest import moved, solutions_pass
from inception_edu.data import load
from inception_edu.figures import on_page, render
from inception_edu.lessons import studies
from inception_edu.lessons.lesson_05 import (
    card,
    checks as checks,
    curves,
    cuts,
    loop,
    night,
    pace,
    pictures,
    plain,
    resumptions,
    runs as lesson,
    saving,
    selection,
)
from inception_edu.training import History, Recipe, fit, train

pytestmark = pytest.mark.usefixtures("one_thread")
NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


@pytest.fixture(scope="module")
def fashion():
    return load("fashion_mnist", limit=600)


def judged(exercise, answer, said):
    """An answer, or several, is right where nothing is to be said of it."""
    state, told = exercise.judge(*answer) if isinstance(answer, tuple) else exercise.judge(answer)
    assert state == (NOT_YET if said else RIGHT), told
    assert said in told and bool(said) == bool(told), told


# --- exercise 1: the schedule


def by_cases(step, steps, peak):
    done = (step - 0.5) / steps
    if done < 1 / 4:
        return 4 * done * peak
    return peak * (4 / 3) * (1 - done)


def in_numpy(step, steps, peak):
    return np.interp(step - 0.5, [0, steps / 4, steps], [0.0, peak, 0.0])


def in_torch(step, steps, peak):
    done = torch.tensor((2 * step - 1) / (2 * steps), dtype=torch.float64)
    return peak * torch.minimum(done * 4, (1 - done) / 0.75)


def counted_back(step, steps, peak):
    left = steps - step + 0.5
    return peak * (left / (0.75 * steps) if left <= 0.75 * steps else 4 * (1 - left / steps))


@pytest.mark.parametrize("answer", [by_cases, in_numpy, in_torch, counted_back])
def test_a_schedule_of_any_make_is_right(answer):
    judged(checks.exercise_1, answer, "")


def test_the_packages_schedule_is_the_recipes():
    recipe = Recipe(lr=0.3)
    for steps in (1, 2, 7, 40):
        for step in range(1, steps + 1):
            assert plain.schedule(step, steps, 0.3) == pytest.approx(recipe.lr_at(step, steps))


def through(step, steps, peak, up=0.25):
    done = step / steps
    return peak * (done / up if done < up else (1 - done) / (1 - up))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (through, "at the end of the step; read it at the middle"),
        (lambda s, n, p: through(s - 1, n, p), "at the beginning of the step"),
        (lambda s, n, p: through(s - 1.5, n, p), "the rate of the step before"),
        (lambda s, n, p: through(s + 0.5, n, p), "the rate of the step after"),
        (lambda s, n, p: p * min(1, (n - s + 0.5) / n / 0.75), "the warm-up is missing"),
        (lambda s, n, p: p * min(1, 4 * (s - 0.5) / n), "the fall is missing"),
        (lambda s, n, p: p * (n - s + 0.5) / n, "it falls over the whole run"),
        (lambda s, n, p: through(s - 0.5, n, p, 0.5), "the warm-up takes half of the run"),
        (lambda s, n, p: through(s - 0.5, n, 1), "peak is ignored"),
        (lambda s, n, p: p, "it is the peak at every step"),
        (
            lambda s, n, p: p * max(4 * (s - 0.5) / n, (n - s + 0.5) / n / 0.75),
            "of the two lines take the lower one",
        ),
        (lambda s, n, p: through(s - 0.5, 200, p), "with done = (step - 0.5) / steps"),
        (lambda s, n, p: through(min(s, 30) - 0.5, n, p), "with done = (step - 0.5) / steps"),
        (lambda s, n, p: [p], "expected one number"),
        (lambda s, n, p: plain.schedule(s, n, p), "it calls the package's schedule"),
        (lambda s, n, p: Recipe(lr=p).lr_at(s, n), "it calls the package's schedule"),
        (lambda s, n: 0.1, "It raised TypeError"),
        (0.2, "It raised TypeError"),
    ],
)
def test_wrong_schedules_are_told_apart(answer, said):
    state, told = checks.exercise_1.judge(answer)
    assert state == NOT_YET and said.lower() in told.lower(), told


# --- exercise 2: save and resume

KEYS = dict(model="m", optimiser="o", batches="b")


def save(path, model, optimiser, batches, step):
    parts = dict(m=model.state_dict(), o=optimiser.state_dict(), b=batches.state_dict())
    torch.save(parts | dict(r=torch.random.get_rng_state(), s=torch.tensor(step)), path)


def forgetting(*lost):
    """A resume that leaves some parts as they are."""

    def resume(path, model, optimiser, batches):
        content = torch.load(path, weights_only=True)
        for name, part in dict(m=model, o=optimiser, b=batches).items():
            if name not in lost:
                part.load_state_dict(content[name])
        if "r" not in lost:
            torch.random.set_rng_state(content["r"])
        return None if "s" in lost else content["s"]

    return resume


def save_list(path, *parts_and_step):
    *parts, step = parts_and_step
    torch.save([torch.get_rng_state(), [part.state_dict() for part in parts], step], path)


def resume_list(path, *parts):
    state, contents, step = torch.load(path)
    torch.default_generator.set_state(state)
    for part, content in zip(parts, contents, strict=True):
        part.load_state_dict(content)
    return float(step)


def save_by_hand(path, model, optimiser, batches, step):
    """Weights and buffers one by one, the shuffling's generator and what is left of the epoch."""
    names = {name: value for name, value in [*model.named_parameters(), *model.named_buffers()]}
    names = {name: value.detach().clone() for name, value in names.items()}
    order = batches.generator.get_state(), batches.left
    torch.save((names, optimiser.state_dict(), order, torch.get_rng_state(), step), path)


def resume_by_hand(path, model, optimiser, batches):
    names, moments, (generator, left), state, step = torch.load(path, map_location="cpu")
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            value.copy_(names[name])
    optimiser.load_state_dict(moments)
    batches.generator.set_state(generator)
    batches.left = left
    model.eval()  # the loop puts it into training mode
    torch.set_rng_state(state)
    return step


@pytest.mark.parametrize(
    "answer",
    [(save, forgetting()), (save_list, resume_list), (save_by_hand, resume_by_hand)],
)
def test_save_and_resume_of_any_make_are_right(answer):
    judged(checks.exercise_2, answer, "")


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("m", "After resume, the weights are not as at the cut: save model.state_dict()"),
        ("o", "After resume, the optimiser's next update is not as at the cut"),
        ("b", "After resume, the order of the batches is not as at the cut"),
        ("r", "After resume, the random numbers are not as at the cut"),
        ("s", "Resume returns None, expected the number of steps done"),
    ],
)
def test_each_part_that_resume_forgets_is_named(lost, said):
    judged(checks.exercise_2, (save, forgetting(lost)), said)


def save_whole(path, model, optimiser, batches, step):
    torch.save((model, optimiser, batches.state_dict(), step), path)


def save_nothing(path, model, optimiser, batches, step):
    kept.update(model=model.state_dict(), step=step)


def keep_in_memory(path, model, optimiser, batches, step):
    parts = dict(m=model.state_dict(), o=optimiser.state_dict(), b=batches.state_dict())
    kept["all"] = copy.deepcopy(parts), torch.get_rng_state(), step
    torch.save({}, path)


def resume_from_memory(path, model, optimiser, batches):
    parts, random, step = copy.deepcopy(kept["all"])
    model.load_state_dict(parts["m"])
    optimiser.load_state_dict(parts["o"])
    batches.load_state_dict(parts["b"])
    torch.set_rng_state(random)
    return step


def save_in_evaluation_mode(path, model, *others):
    torch.rand(1)
    save(path, model, *others)


def save_as_json(path, model, optimiser, batches, step):
    with open(path, "w") as file:
        json.dump(dict(step=step), file)


def weights_without_statistics(path, model, optimiser, batches):
    step = forgetting("m")(path, model, optimiser, batches)
    content = torch.load(path)["m"]
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(content[name])
    return step


def generator_alone(path, model, optimiser, batches):
    step = forgetting("b")(path, model, optimiser, batches)
    batches.generator.set_state(torch.load(path)["b"]["generator"])
    return step


def unsafe(path, model, optimiser, batches):
    torch.load(path, weights_only=False)
    return forgetting()(path, model, optimiser, batches)


kept = {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((save_whole, forgetting()), "The file holds a pickled object, as torch.save(model)"),
        ((save_nothing, lambda *given: kept["step"]), "Save wrote no file at the path"),
        ((keep_in_memory, resume_from_memory), "It raised RuntimeError"),
        ((save_as_json, forgetting()), "Torch.load cannot read the file that save wrote"),
        ((save_in_evaluation_mode, forgetting()), "After save the training goes on otherwise"),
        ((save, lambda *given: forgetting()(*given) + 1), "return step as saved"),
        ((save, lambda *given: forgetting()(*given) * 0), "Saved after step 7, resume returns"),
        ((save, weights_without_statistics), "batch norm's running statistics are not as at"),
        ((save, generator_alone), "the order of the batches is not as at the cut"),
        ((save, unsafe), "Resume ran code that a file brought along"),
        ((save, lambda path, model: 7), "It raised TypeError"),
    ],
)
def test_wrong_ways_to_save_and_resume_are_told_apart(answer, said):
    judged(checks.exercise_2, answer, said)


def test_the_packages_save_and_resume_are_right():
    assert saving.check_saving(plain.save, plain.resume) is None


def test_every_cut_is_in_the_middle_of_an_epoch_and_the_losses_after_it_depend_on_every_part():
    for task in cuts.tasks():
        parts = task.begin(0)
        cuts.learn(parts, task.cut)
        assert 0 < len(parts.batches.left) < 40 and len(parts.batches.left) >= parts.batches.size
        assert cuts.uncut(task) == cuts.uncut(task)
        assert cuts.learn(task.begin(1), task.steps) != cuts.uncut(task)


def test_a_stub_is_not_attempted_yet():
    def stub(valid, test):
        """(k,), (k,) -> one accuracy"""
        ...

    for exercise in (checks.exercise_1, checks.exercise_4):
        assert exercise.judge(stub)[0] == exercise.judge(...)[0] == OPEN
    assert checks.exercise_2.judge(stub, stub)[0] == OPEN
    assert checks.exercise_3.judge(dict.fromkeys("ABCD", ...))[0] == OPEN


# --- exercise 3: diagnoses

DIAGNOSIS = dict(A="rate too low", B="few images", C="rate too high", D="labels shuffled")


@pytest.mark.parametrize(
    "answer",
    [
        DIAGNOSIS,
        list(DIAGNOSIS.values()),
        dict(C="LR too high", D="shuffled labels", B="Few images", A="too low rate"),
        ("learning rate too low", " few_images ", "learning-rate too high", "labels-shuffled"),
    ],
)
def test_the_four_faults_are_told_by_letter(answer):
    assert checks.exercise_3.judge(answer) == (RIGHT, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(A="labels shuffled"), "Right: B, C, D. A: It is not 'labels shuffled': its training"),
        (dict(A="labels shuffled"), "falls without a leap, but so slowly"),
        (dict(B="labels shuffled"), "B: It is not 'labels shuffled': training accuracy ends"),
        (dict(C="labels shuffled"), "above ln 10 = 2.3"),
        (dict(D="rate too low"), "there is no rule to learn"),
        (dict(C="bad luck"), "C: It must be one of 'labels shuffled'"),
        (dict(C=3), "'rate too low', got 3"),
        (dict(B=...), "Right: A, C, D. Not attempted yet: B."),
        (dict(E="few images"), "It has 'E'; its parts are A, B, C, D"),
    ],
)
def test_wrong_diagnoses_are_answered_with_what_the_curve_shows(changed, said):
    state, told = checks.exercise_3.judge(DIAGNOSIS | changed)
    assert state == NOT_YET and said in told


@pytest.mark.parametrize("fault", DIAGNOSIS.values())
def test_every_seed_of_a_saved_run_shows_its_fault_as_hint_and_check_describe_it(fault):
    runs = studies.saved("training")["runs"]
    assert len(runs[fault]) == len(runs["healthy"]) == 3
    for run, healthy in zip(runs[fault], runs["healthy"], strict=True):
        losses, last = run["losses"]["main"], run["rows"][-1]
        assert last["valid_accuracy"] < healthy["rows"][-1]["valid_accuracy"]
        assert (last["main_accuracy"] > 0.95) == (fault == "few images")
        assert (max(losses[5:]) > 2.6) == (fault == "rate too high")
        assert (losses[-1] > 2.2) == (fault == "labels shuffled")
        slow = 1.0 < losses[-1] < 2.2 and max(losses) < 2.6
        assert slow == (fault == "rate too low")
        assert (last["valid_accuracy"] < 0.25) == (fault == "labels shuffled")
        assert checks.evidence(fault, run)


def test_each_run_has_one_thing_changed():
    healthy = lesson.RUNS["healthy"]
    for name, entry in lesson.RUNS.items():
        own = replace(entry.recipe, lr=healthy.recipe.lr) == healthy.recipe
        other = entry.recipe.lr != healthy.recipe.lr, entry.prepare is not healthy.prepare
        assert own and sum(other) == (name != "healthy")
    assert lesson.RUNS["rate too high"].recipe.lr == 80 * lesson.PEAK
    assert lesson.RUNS["rate too low"].recipe.lr == lesson.PEAK / 80


def test_few_images_are_512_and_only_training_labels_are_shuffled():
    dataset = load("fashion_mnist", limit=6_000)
    every, few, shuffled = (
        f(dataset) for f in (lesson.all_images, lesson.few_images, lesson.shuffled)
    )
    assert len(few.train) == 512 and len(every.train) == len(shuffled.train) == 5_500
    assert torch.equal(every.train.images, shuffled.train.images)
    assert torch.equal(every.valid.labels, shuffled.valid.labels)
    assert torch.equal(*(d.train.labels.sort().values for d in (every, shuffled)))
    assert (every.train.labels == shuffled.train.labels).float().mean() < 0.2


def test_the_figure_of_the_five_runs_tells_their_last_losses_and_hides_their_faults():
    picture = curves.show_runs()
    lines = picture.words.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["healthy", *"ABCD"]
    assert not any(fault in picture.words for fault in DIAGNOSIS.values())
    last = studies.saved("training")["runs"]["few images"][0]["rows"][-1]
    assert lines[3].split()[1:] == [
        f"{last['main_loss']:.2f}",
        f"{last['main_accuracy']:.0%}",
        f"{last['valid_loss']:.2f}",
        f"{last['valid_accuracy']:.0%}",
    ]


def test_the_table_of_faults_names_what_was_changed_and_the_peak():
    rows = curves.table_faults().rows[1:]
    assert [row[:3] for row in rows][:2] == [
        ("healthy", "nothing", "0.05"),
        ("A", "rate too low", "0.000625"),
    ]
    assert rows[3][2] == "4" and {row[-1] for row in rows} == {"3"}


# --- exercise 4: what may be published


def by_sorting(valid, test):
    return sorted(zip(valid.tolist(), test.tolist(), strict=True))[-1][1]


def report_in_numpy(valid, test):
    return test.numpy()[np.argsort(valid.numpy())[-1:]]


def by_a_mask(valid, test):
    return test[valid == valid.max()].mean()


@pytest.mark.parametrize(
    "report", [by_sorting, report_in_numpy, by_a_mask, lambda v, t: t[v.topk(1).indices].item()]
)
def test_the_test_score_of_the_best_on_validation_is_honest_in_any_make(report):
    assert checks.exercise_4.judge(report) == (RIGHT, "")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (lambda valid, test: test.max(), "chosen by the test images: this is selection bias"),
        (lambda valid, test: valid.max(), "the best validation score; report the test score"),
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
def test_biased_reports_are_told_apart(report, said):
    state, told = checks.exercise_4.judge(report)
    assert state == NOT_YET and said in told


# --- learning rates


def test_a_range_test_gives_the_rate_of_the_lowest_averaged_loss():
    losses = [2.3, 0.1, 1.0, 0.9, 3.0, math.nan]  # the lowest single loss is at another rate
    test = curves.range_test([0.001, 0.01, 0.1, 1.0, 10.0, 100.0], losses)
    assert test.best == 1.0 and test.losses[-1] == 1000
    assert test.smooth[1] == pytest.approx((0.8 * 2.3 + 0.1) / 1.8)
    picture = curves.show_range(test)
    assert "at a rate of 1; " in picture.words and "lowest at 1" not in picture.words
    assert '"Falls up to a rate of 1, then rises"; 3 lines' in picture.words


def test_a_spike_is_how_far_the_averaged_loss_climbs_above_its_lowest_before():
    falling = curves.Run([0.1] * 40, [2 - 0.04 * i for i in range(40)])
    assert falling.rise == 0
    spike = curves.Run([0.1] * 60, [1.0] * 30 + [3.0] * 30)
    assert spike.rise == pytest.approx(2.0, abs=0.01)
    test = curves.range_test([0.01, 0.05, 1.0], [2.0, 1.0, 30.0])
    picture = curves.show_peaks([falling, spike], test)
    assert "peak 0.1: averaged loss climbs by 2.00 on its way" in picture.words
    assert "40 of 40 steps above the rate of the lowest loss" in picture.words


# --- pace


def test_a_step_is_timed_after_the_first_ones_and_with_its_batch():
    def slow():
        for i in range(100):
            time.sleep(0.2 if i < pace.FIRST else 0.01)
            yield i

    def learn(model, batches, lr):
        assert [time.sleep(0.01) for _ in batches] == [None] * (pace.FIRST + pace.STEPS)

    assert 0.02 <= pace.seconds_a_step(learn, None, slow()) < 0.08


def test_every_loop_has_its_text_and_trains_the_same_network(fashion, monkeypatch):
    steps = []
    monkeypatch.setattr(
        pace,
        "seconds_a_step",
        lambda train, model, batches: steps.append((train, model, next(batches))) or 1.0,
    )
    monkeypatch.setattr(pace, "pick_precision", lambda device: "bfloat16")
    calls = pace.loops(train, fashion)
    assert list(calls) == list(pace.TEXTS) and len(pace.TEXTS) == 6
    for name in list(calls)[:-1]:
        assert calls[name]() == 1.0
    shapes = {x.shape for _, _, (x, _) in steps}
    assert shapes == {(128, 1, 28, 28)} and steps[0][0] is steps[2][0] is train
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for _, model, _ in steps]
    assert all(torch.equal(weights[0], other) for other in weights[1:])
    last = [model[0][0].conv.weight.is_contiguous(memory_format=pace.LAST) for _, model, _ in steps]
    assert last[2:] == [True] * 3
    monkeypatch.setattr(pace, "pick_precision", lambda device: "float32")
    assert "+ bfloat16" not in pace.loops(train, fashion)


def test_a_share_for_each_core_learns_what_one_loop_does_but_for_batch_norm(fashion, monkeypatch):
    monkeypatch.setattr(pace, "number", lambda: 2)
    start = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    one, two = (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)) for _ in range(2))
    for model in (one, two):
        model.load_state_dict(start.state_dict())
    batches = [fashion.train.batch(slice(i, i + 64)) for i in (0, 64, 128)]
    train(one, batches, 0.05)
    pace.in_shares(two, batches, 0.05)
    assert not torch.equal(start[1].weight, one[1].weight)
    torch.testing.assert_close(one[1].weight, two[1].weight, rtol=1e-4, atol=1e-5)


def test_a_plain_loader_hands_out_what_the_loop_takes(fashion):
    photos = loop.PlainImages(fashion.train, Recipe(shift=0, flip=False))
    x, labels = next(iter(DataLoader(photos, 16)))
    assert x.shape == (16, 1, 28, 28) and torch.equal(labels, fashion.train.labels[:16])
    torch.testing.assert_close(x, fashion.train.batch(slice(0, 16))[0], rtol=1e-4, atol=1e-4)


def test_the_pace_is_told_alone_and_beside_a_busy_process():
    speeds = {"your loop": (200.0, 100.0), "+ in memory": (300.0, 120.0), "fit": (500.0, 300.0)}
    picture = pace.show_pace(speeds)
    assert picture.words.splitlines()[3].split()[-4:] == ["500", "2.50", "300", "3.00"]
    assert '"2.5 times your loop; 3.0 times it beside a busy process"; 6 bars' in picture.words


def test_without_a_gpu_nothing_is_claimed_about_it(fashion, monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "cpu")
    monkeypatch.setattr(card, "measured", dict)
    assert pace.on_each_device(fashion).data.startswith("Not measured here")


def test_without_a_gpu_the_saved_card_stands_beside_its_own_cpu(fashion, monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "cpu")
    speeds = {"cpu, batch 128": 2_000, "cuda, batch 128": 9_000, "cuda, batch 512": 30_000}
    mnist = {
        name: dict(test_accuracy=0.98, train_seconds=s) for name, s in (("cpu", 40), ("cuda", 6))
    }
    about = dict(command="make gpu", hardware="a card", versions=dict(torch="2"))
    about["parts"] = dict(images_per_second=speeds, mnist=mnist)
    monkeypatch.setattr(card, "measured", lambda: about)
    table = pace.on_each_device(fashion)
    assert table.rows[1][1:] == ("2,000", "9,000") and table.rows[2][1:] == ("", "30,000")
    assert table.rows[3][1:] == ("40", "6") and "make gpu; a card" in table.caption
    about["parts"]["mnist"] = dict(not_run="no network")
    assert table.rows[:3] == pace.on_each_device(fashion).rows


def test_with_a_gpu_three_speeds_are_told_after_a_run_that_warms_up(fashion, monkeypatch):
    """The GPU's part is played by the CPU."""
    runs = []

    def on_cpu(model, data, recipe, *, device, watch):
        history = fit(model, data, replace(recipe, batch_size=32), device="cpu", watch=watch)
        runs.append((device, recipe.batch_size, history.step, len(data.valid)))
        return replace(history, images_per_second=1000.4 * len(runs))

    monkeypatch.setattr(pace, "pick_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(card, "fit", on_cpu), monkeypatch.setattr(card, "WARM_UP", 1)
    table = pace.on_each_device(fashion, steps=2)
    names = ["cpu, batch 128", "cuda, batch 128", "cuda, batch 512"]
    assert table.rows[1:] == list(zip(names, ("2,001", "4,002", "6,002"), strict=True))
    cases = [("cpu", 128), ("cuda", 128), ("cuda", 512)]
    assert runs == [(*case, steps, 0) for case in cases for steps in (1, 2)]


# --- resumptions


def test_what_each_part_was_worth_is_told_seed_by_seed():
    names = list(resumptions.STYLES)
    losses = {name: [[1.0 - 0.1 * i] * 4, [1.2 - 0.1 * i] * 4] for i, name in enumerate(names)}
    losses["everything"] = losses["not cut"]
    scores = {name: [80.0 + i, 82.0 + i] for i, name in enumerate(names)}
    _, first, step, *_, last = resumptions.table_worth(losses, scores).rows
    assert first[0] == "weights only" and first[2] == first[4] == ""
    assert step[2] == "-0.100 (-0.100 to -0.100)" and step[4] == "+1.0 (+1.0 to +1.0)"
    assert last[0] == "not cut" and last[2].startswith("+0.000")


def test_the_figure_of_resumptions_shows_where_the_rate_starts_again():
    rates = [plain.schedule(step, 10, 0.4) for step in range(1, 11)]
    losses = {name: [[0.5, 0.4, 0.3, 0.2]] for name in resumptions.STYLES}
    picture = resumptions.show_resumed(losses, rates, 6)
    assert f"step 7: {rates[6]:.4f}, and {rates[0]:.4f} with weights only" in picture.words
    fig = render(resumptions._draw_resumed, (losses, rates, 6), (11, 4))
    assert list(fig.axes[0].lines[1].get_ydata()) == rates[:4]
    assert list(fig.axes[0].lines[4].get_ydata()) == rates[6:]


# --- the night


@pytest.fixture
def history():
    """A made-up night of four epochs."""
    rows = [
        dict(epoch=1.0, step=100, lr=0.1, train_seconds=100.0, valid_seconds=20.0),
        dict(epoch=2.0, step=200, lr=0.2, train_seconds=100.0, valid_seconds=20.0),
        dict(epoch=3.0, step=300, lr=0.1, train_seconds=220.0, valid_seconds=20.0),
        dict(epoch=4.0, step=400, lr=0.0, train_seconds=100.0, valid_seconds=20.0),
    ]
    for row, accuracy in zip(rows, (0.5, 0.45, 0.55, 0.75), strict=True):
        row.update(main_loss=1.0, main_accuracy=0.5, valid_loss=1.0, valid_accuracy=accuracy)
    draw = random.Random(0)
    return History(
        recipe=Recipe(epochs=4), steps=400, batch_size=128, device="cpu", precision="float32",
        memory_format="channels_last", epoch_steps=100, rows=rows, test=dict(accuracy=0.7512),
        losses=dict(main=[draw.random() for _ in range(400)]), accuracies=dict(main=[0.5] * 400),
        command="python -m inception_edu train --data /somewhere/cifar10.npz --lr 0.1",
    )  # fmt: skip


def shipped(history, every):
    """What `ship` leaves of a run, as far as the lesson reads it."""
    losses = history.losses["main"]
    means = [sum(losses[i : i + every]) / every for i in range(0, len(losses) - every + 1, every)]
    about = dict(recipe=asdict(history.recipe), test=history.test, command=history.command)
    about |= dict(rows=history.rows, precision=history.precision, shares=history.shares)
    return json.loads(json.dumps(about | dict(losses=dict(main=means), loss_every=every)))


def test_a_shipped_night_is_read_again(history):
    again = night.history_of(shipped(history, 30))  # 400 steps are 13 thirties and ten more
    assert again.step == again.steps == 400 and again.rows == history.rows
    losses, given = again.losses["main"], history.losses["main"]
    first, second = sum(given[:30]) / 30, sum(given[30:60]) / 30
    assert losses[:16] == pytest.approx([first] * 16)  # then a straight line to the next middle
    assert losses[30] == pytest.approx((first + second) / 2) and losses[45] == pytest.approx(second)
    assert losses[-1] == losses[375] and again.test == history.test
    assert again.batch_size == 128 and again.epoch_steps == 100
    assert night.page(again).words.startswith("step 400 of 400")


def test_a_point_costs_minutes_and_a_loss_costs_nothing(history):
    _, *lines = night.price(history).rows
    assert lines[0] == ("1", "0.100", "50.0", "+50.0", "2", "0.0")
    assert lines[1][-3:] == ("-5.0", "2", "-")
    assert lines[2][-3:] == ("+10.0", "4", "0.4")
    _, *lines = night.price(history, groups=2).rows
    assert lines[1] == ("4", "0.000", "75.0", "+30.0", "6", "0.2")


def test_the_night_stands_beside_others_and_a_gpu_only_where_one_was_measured(
    history, monkeypatch, tmp_path
):
    monkeypatch.setattr(night, "measured_on_gpu", lambda: [])
    table = night.beside_others(history, 670_783)
    assert table.rows[1][1:5] == (
        "CIFAR-10, GoogLeNet, 670,783 parameters",
        "4",
        "75.12 %",
        "0.2 h",
    )
    assert table.rows[2][3] == "89.70 %" and "has not measured a GPU" in table.caption
    part = dict(parameters=5_000_000, epochs=16)
    part |= dict(runs=[dict(test_accuracy=a, train_seconds=50.0) for a in (0.93, 0.94)])
    about = dict(hardware="a card", parts=dict(cifar10=part))
    monkeypatch.undo()
    monkeypatch.setattr(studies, "ASSETS", tmp_path)
    monkeypatch.setattr(card, "ASSETS", tmp_path)
    assert night.measured_on_gpu() == []
    for content, rows in ((about, 1), (dict(parts=dict(cifar10=dict(not_run="no"))), 0)):
        (tmp_path / "gpu.json").write_text(json.dumps(content))
        table = night.beside_others(history, 670_783)
        assert len(table.rows) == 2 + rows + len(night.REPORTED)
        assert ("has not measured" in table.caption) == (not rows)
        if rows:
            assert table.rows[2][0] == "make gpu (n = 2)" and table.rows[2][2:] == (
                "16",
                "93.50 ± 0.71 %",
                "50 s",
                "a card",
            )


def test_the_saved_night_is_of_a_third_of_the_width():
    history = night.load()
    assert history.step == history.rows[-1]["step"] and history.recipe.epochs == 24
    assert night.hours(history) > 0.1 and history.best["valid_accuracy"] > 0.7


def test_a_photo_is_augmented_as_training_images_are():
    photo = pictures.small_photo("chelsea.png")
    assert photo.shape == (3, 32, 32) and photo.dtype == torch.uint8 and photo.float().std() > 20
    words = pictures.show_augmented(photo, 4).words
    assert words.startswith("7 of 7 are other images") and "81 x 2 = 162" in words


# --- selection bias


def test_the_expected_best_is_exact_where_it_can_be_counted_by_hand():
    assert selection.expected_best(1, 100, 0.84) == pytest.approx(0.84)
    assert selection.expected_best(2, 1, 0.5) == pytest.approx(0.75)  # right unless both are wrong
    throws = torch.distributions.Binomial(1000, torch.tensor(0.9))
    torch.manual_seed(0)
    mean = throws.sample((4000, 10)).amax(1).mean().item() / 1000
    assert selection.expected_best(10, 1000, 0.9) == pytest.approx(mean, abs=0.0005)
    assert mean > 0.91


def test_the_explorer_of_selection_bias_follows_its_controls():
    explorer = selection.bias_explorer()
    exact = 100 * (selection.expected_best(20, 10_000, 0.84) - 0.84)
    assert 0.6 < exact < 0.8 and f"{exact:.2f} points too high" in explorer.words
    moved(explorer, n=500)
    assert "3.00 points too high" in explorer.words
    moved(explorer, k=1)
    assert "on 500 images, 0.00 points" in explorer.words.replace("-0.00", "0.00")
    pixels = tuple(2 * n for n in on_page((8, 3.6)))
    assert struct.unpack(">II", explorer.picture.value[16:24]) == pixels


def test_the_probabilities_of_the_best_of_k_sum_to_1():
    found = selection.bias(7, 500)
    assert found.single.sum().item() == pytest.approx(
        1
    ) and found.best.sum().item() == pytest.approx(1)
    mean = (found.best * found.percent).sum().item() - 84
    assert mean == pytest.approx(found.points, abs=1e-6)


def test_variants_differ_in_the_last_layer_by_their_noise_alone(fashion):
    torch.manual_seed(0)
    head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(49, 10))
    network = nn.Sequential(nn.Identity(), nn.AvgPool2d(4), head)
    right = selection.variants(network, fashion.train, k=2, noise=0)
    with torch.no_grad():
        images, labels = fashion.train.batch(slice(None))
        expected = network.eval()(images).argmax(1) == labels
    assert right.shape == (2, 550) and 0 < expected.sum() < 550
    assert torch.equal(right[0], expected) and torch.equal(right[1], expected)
    noisy = selection.variants(network, fashion.train, k=2, noise=1)
    assert not torch.equal(noisy[0], expected) and not torch.equal(noisy[0], noisy[1])


def test_bias_is_that_of_independent_networks_where_they_are():
    right = torch.rand(30, 1000, generator=torch.Generator().manual_seed(0)) < 0.8
    expected = 100 * (selection.expected_best(30, 500, 0.8) - 0.8)
    assert selection.bias_of(right) == pytest.approx(expected, abs=1.2)
    same = right[:1].expand(30, -1)
    assert abs(selection.bias_of(same)) < 0.5


def test_every_folded_solution_passes_its_own_check_and_is_kept():
    file = solutions_pass("05")
    for name in ("schedule", "save", "resume"):
        assert f"def {name}(" in file
