import math
import re
import struct
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu.figures import render
from inception_edu.lessons.lesson_07 import (
    calibration,
    checks as checks,
    explorer as target_explorer,
    runs as lesson,
    smooth_targets,
    verdict as smoothing_verdict,
)
from inception_edu.lessons.shared import saved
from inception_edu.losses import expected_calibration_error, smoothed_targets
from inception_edu.training.evaluation import Evaluation

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = [(0.1, 10), (0.1, 1000), (0.5, 3), (0.3, 2)]


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(*answer)
    return exercise.state, capsys.readouterr().out


# --- exercise 1


def soft(labels, classes, eps):
    return (1 - eps) * torch.eye(classes)[labels] + eps / classes


def mixed(logits, labels, eps):
    return -(soft(labels, logits.shape[1], eps) * logits.log_softmax(1)).sum(1).mean()


def two(logits, labels, eps):
    return (1 - eps) * cross_entropy(logits, labels) - eps * logits.log_softmax(1).mean()


def kl(logits, labels, eps):
    q = soft(labels, logits.shape[1], eps)
    divergence = torch.xlogy(q, q) - q * logits.log_softmax(1)
    return (divergence - torch.xlogy(q, q)).sum(1).mean()


def test_the_three_forms_are_right(capsys):
    assert verdict(checks.exercise_1, (mixed, two, kl), capsys)[0] == "right"


def with_others_only(logits, labels, eps):
    classes = logits.shape[1]
    q = soft(labels, classes, 1.0) * eps * classes / (classes - 1)
    q[torch.arange(len(labels)), labels] = 1 - eps
    return -(q * logits.log_softmax(1)).sum(1).mean()


def nan_at_0(logits, labels, eps):
    q = soft(labels, logits.shape[1], eps)
    return (q * q.log() - q * logits.log_softmax(1)).sum(1).mean() - (q * q.log()).sum(1).mean()


def divergence_alone(logits, labels, eps):
    q = soft(labels, logits.shape[1], eps)
    return mixed(logits, labels, eps) + torch.xlogy(q, q).sum(1).mean()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, y, eps: cross_entropy(x, y), "eps does nothing yet"),
        (with_others_only, "shared by all K classes"),
        (
            lambda x, y, eps: (
                (1 - eps) * cross_entropy(x, y) - eps * x.log_softmax(1).sum(1).mean()
            ),
            "a mean over the K classes, not a sum",
        ),
        (lambda x, y, eps: cross_entropy(x, y) - eps * x.log_softmax(1).mean(), "has weight 1"),
        (lambda x, y, eps: two(x, y, 1 - eps), "have changed places"),
        (lambda x, y, eps: len(x) * two(x, y, eps), "average over the images"),
        (lambda x, y, eps: -two(x, y, eps), "minus sign"),
        (lambda x, y, eps: -(soft(y, x.shape[1], eps) * x).sum(1).mean(), "not the logits"),
        (divergence_alone, "the entropy of q' is missing"),
        (nan_at_0, "nan at eps = 0; 0 log 0 counts as 0"),
        (lambda x, y, eps: 2 * two(x, y, eps), "compare your targets with the table"),
        (lambda x, y, eps: x.log_softmax(1), "return one number as a tensor"),
        (lambda x, y, eps: x.nothing, "it raised AttributeError"),
    ],
)
@pytest.mark.parametrize("place", range(3))
def test_wrong_forms_are_told_apart_and_named(wrong, said, place, capsys):
    forms = [mixed, two, kl]
    forms[place] = wrong
    state, line = verdict(checks.exercise_1, forms, capsys)
    name = ("mixed_targets", "two_terms", "kl_and_entropy")[place]
    assert state == "not right yet" and said in line and (name in line or "raised" in line)


# --- exercise 2


def really(eps, classes):
    return eps * classes / (classes - 1)


def test_suspect_b_smooths_with_eps_k_over_k_minus_1(capsys):
    for scalar in (float, torch.tensor):
        answer = "B", partial(lambda scalar, *case: scalar(really(*case)), scalar)
        assert verdict(checks.exercise_2, answer, capsys)[0] == "right"
    logits, labels = torch.randn(9, 5), torch.arange(9) % 5
    for letter, loss in checks.SUSPECTS.items():
        eps = really(0.1, 5) if letter == "B" else 0.1
        found = loss(logits.log_softmax(1), labels, 0.1)
        assert torch.allclose(found, cross_entropy(logits, labels, label_smoothing=eps))
        assert not torch.allclose(found, cross_entropy(logits, labels, label_smoothing=0.2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("A", really), "A gives torch's loss"),
        (("C", really), "C gives torch's loss"),
        (("b", really), "name one of A, B, C, got 'b'"),
        (("B", lambda eps, k: eps), "the eps it was given"),
        (("B", lambda eps, k: eps * (k - 1) / k), "the other way round"),
        (("B", lambda eps, k: eps / (k - 1)), "the target of one other class"),
        (("B", lambda eps, k: eps * (1 + 1 / k)), "set that equal to"),
        (("B", lambda eps, k: 2 * eps), "find e with 1 - e + e / K = 1 - eps"),
        (("B", lambda eps, k: "more"), "must return a number"),
        (("B", 0.111), "it raised"),
    ],
)
def test_wrong_suspects_and_wrong_eps_are_told_apart(answer, said, capsys):
    state, line = verdict(checks.exercise_2, answer, capsys)
    assert state == "not right yet" and said in line


# --- exercise 3


def by_search(logits, labels):
    tried = torch.logspace(-1, 1, 400)
    losses = [cross_entropy(logits / t, labels).item() for t in tried]
    return tried[losses.index(min(losses))].item()


def test_the_temperature_of_the_lowest_likelihood_is_right(capsys):
    assert verdict(checks.exercise_3, (by_search,), capsys)[0] == "right"


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (lambda x, y: 1 / by_search(x, y), "divide by T, so T = 1 / scale"),
        (lambda x, y: 1, "T = 1 changes nothing"),
        (lambda x, y: 0.1, "must be lowest: at your T = 0.10 it is"),
        (lambda x, y: "hot", "it raised ValueError"),
    ],
)
def test_wrong_temperatures_are_told_apart(fit, said, capsys):
    state, line = verdict(checks.exercise_3, (fit,), capsys)
    assert state == "not right yet" and said in line


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_is_where_the_loss_is_flat(true):
    logits = 3 * torch.randn(2_000, 5, dtype=torch.float64)
    labels = torch.multinomial((logits / true).softmax(1), 1).squeeze(1)
    t = torch.tensor(smoothing_verdict.temperature(logits, labels), requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(logits / t.double(), labels), t)
    assert abs(slope) < 1e-5 and t.item() == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_stub_is_not_attempted_yet(n, capsys):
    def stub(logits, labels, eps):
        """(n, K) -> a scalar"""
        ...

    exercise = getattr(checks, f"exercise_{n}")
    answers = {1: (mixed, stub, kl), 2: (..., stub), 3: (stub,)}[n]
    state, line = verdict(exercise, answers, capsys)
    assert state == "not attempted yet" and line.startswith("▫")


# --- what the targets ask for


@pytest.mark.parametrize(("eps", "classes"), CASES)
def test_the_floor_is_the_loss_of_logits_log_q_and_others_are_above_it(eps, classes):
    q = smoothed_targets(torch.tensor([1]), classes, eps, dtype=torch.float64)
    loss = cross_entropy(q.log(), torch.tensor([1]), label_smoothing=eps).item()
    assert smooth_targets.targets(eps, classes) == pytest.approx((q[0, 1].item(), q[0, 0].item()))
    assert smooth_targets.floor(eps, classes) == pytest.approx(loss, rel=1e-12)
    moved = (q.log() + torch.randn_like(q)).requires_grad_()
    assert cross_entropy(moved, torch.tensor([1]), label_smoothing=eps).item() > loss


def test_the_floors_and_gaps_that_the_lesson_tells():
    assert smooth_targets.floor(0.1, 10) == pytest.approx(0.5003, abs=5e-5)
    assert smooth_targets.floor(0.0, 10) == 0 and smooth_targets.optimal_gap(0.0, 10) == math.inf
    gaps = {(0.1, 1000): "9.11", (0.05, 1000): "9.85", (0.1, 2): "2.94", (0.1, 10): "4.51"}
    assert {case: f"{smooth_targets.optimal_gap(*case):.2f}" for case in gaps} == gaps


@pytest.mark.parametrize(("eps", "classes"), [*CASES, (0.0, 10)])
@pytest.mark.parametrize("gap", [0.0, 2.5, 9.0])
def test_loss_and_push_are_what_torch_and_autograd_find(eps, classes, gap):
    row = torch.zeros(1, classes, dtype=torch.float64)
    row[0, 1] = gap
    loss = cross_entropy(row.requires_grad_(), torch.tensor([1]), label_smoothing=eps)
    loss.backward()
    assert smooth_targets.loss_at(gap, eps, classes) == pytest.approx(loss.item(), rel=1e-9)
    push = smooth_targets.push_at(gap, eps, classes)
    assert push == pytest.approx(-row.grad[0, 1].item(), abs=1e-12)


@pytest.mark.parametrize(("eps", "classes"), CASES)
def test_at_the_optimal_gap_the_loss_stands_on_its_floor_and_nothing_pushes(eps, classes):
    gap, floor = smooth_targets.optimal_gap(eps, classes), smooth_targets.floor(eps, classes)
    assert smooth_targets.loss_at(gap, eps, classes) == pytest.approx(floor, rel=1e-12)
    assert smooth_targets.push_at(gap, eps, classes) == pytest.approx(0, abs=1e-12)
    assert smooth_targets.loss_at(gap + 0.1, eps, classes) > floor
    assert smooth_targets.push_at(gap - 1, eps, classes) > 0
    assert smooth_targets.push_at(gap + 1, eps, classes) < 0


@pytest.mark.parametrize(("logits", "eps"), [((2.0, 1.0, 0.0), 0.1), ((0.5, -1.0, 3.0), 0.2)])
def test_the_example_by_hand_gives_torchs_loss_in_each_form(logits, eps):
    lines = smooth_targets.by_hand(logits, eps).splitlines()
    losses = [line.split("= ")[1] for line in lines[1:]]
    rows, labels = torch.tensor([logits] * 3), torch.arange(3)
    right = cross_entropy(rows, labels, label_smoothing=eps, reduction="none")
    assert losses == [f"{loss:.4f}" for loss in right.tolist() for _ in range(3)]
    for line in lines[1:]:
        terms, loss = re.split(r"targets|terms|entropy", line)[1].split("=")
        products = [math.prod(map(float, term.split("x"))) for term in terms.split("+")]
        assert sum(products) == pytest.approx(float(loss), abs=5e-4)


# --- its figures


def test_the_push_is_drawn_with_and_without_smoothing():
    hard = smooth_targets.show_push(0.0).words
    assert "The loss never reaches 0" in hard and "1.9e-08" in hard and "4.51" not in hard
    words = smooth_targets.show_push(0.0, 0.1).words
    rows = [line.split() for line in words.splitlines()]
    assert ["0.1", "4.51", "0.5", "0"] in rows and '"eps = 0.1: lowest at 4.51"; 2 lines' in words
    fig = render(smooth_targets._draw_push, ((0.0, 0.1), 10), (11, 4))
    hard, up, back = fig.axes[1].lines
    assert all(value > 0 for value in hard.get_ydata())
    for line, pushed in ((up, lambda gap: gap < 4.51), (back, lambda gap: gap > 4.51)):
        drawn = zip(line.get_xdata(), line.get_ydata(), strict=True)
        assert all((value > 0) == pushed(gap) for gap, value in drawn)


def test_targets_are_drawn_as_bars_that_sum_to_1():
    words = smooth_targets.show_targets(0, 0.1, 0.5).words
    assert "eps 0.1: 0.91 for it, 0.01 for each other" in words and words.count("10 bars") == 3
    fig = render(smooth_targets._draw_targets, ((0, 0.1, 0.5), 10, 3), (11, 3.4))
    for ax, own in zip(fig.axes, (1, 0.91, 0.55), strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert sum(heights) == pytest.approx(1) and heights[3] == pytest.approx(own)


def test_the_explorer_starts_at_the_papers_values_and_every_slider_moves_it():
    explorer = target_explorer.explorer()
    assert explorer.values == dict(eps=0.1, classes=1000, gap=3)
    assert "0.9001 for the label, 0.0001 for each of 999 others" in explorer.words
    assert "optimal logit gap: 9.105; at gap 3.0 the gradient pushes up by" in explorer.words
    for name, value in dict(gap=12.0, classes=10, eps=0.5).items():
        moved(explorer, **{name: value})
    assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 1100
    assert "optimal logit gap: 2.398; at gap 12.0 the gradient pulls back" in explorer.words
    explorer.controls["gap"].value = 2.4
    lowest = f"{smooth_targets.floor(0.5, 10):.4f}"
    assert f"loss: {lowest} at gap 2.4, its floor is {lowest}" in explorer.words


@pytest.mark.parametrize(
    ("eps", "classes", "title"), [(0.1, 10, "gap 4.51"), (0, 2, "ever enough")]
)
def test_the_explorer_draws_targets_a_floor_and_the_chosen_gap(eps, classes, title):
    fig = render(target_explorer._draw, target_explorer.Asked(eps, classes, 3.0), (11, 4.2))
    bars, loss = fig.axes
    assert len(bars.patches) == classes and title in loss.get_title("left")
    (dot,) = (line for line in loss.lines if line.get_marker() == "o")
    assert dot.get_ydata()[0] == pytest.approx(smooth_targets.loss_at(3.0, eps, classes))
    assert len(loss.lines) == (4 if eps else 3)
    thousand = target_explorer.Asked(0.1, 1000, 3.0)
    assert len(render(target_explorer._draw, thousand, (11, 4.2)).axes[0].patches) == 20


# --- the saved runs


def run_of(accuracy, confidence, error=0.05, gap=4.0):
    """A saved run whose numbers are known."""
    middle = [[0, 0.0, 0.0]] * 7 + [[30, 0.5, 0.6], [10, 0.6, 0.1]] + [[0, 0.0, 0.0]] * 6
    return dict(
        test_accuracy=accuracy,
        confidence=confidence,
        calibration_error=error,
        negative_log_likelihood=0.3,
        logit_gap=gap,
        reliability=middle,
        losses=dict(main=[2.0, 0.7]),
        loss_every=4,
    )


def study_of(plain, smooth):
    return dict(runs={"eps 0": plain, "eps 0.1": smooth})


def test_a_run_is_judged_on_the_logits_of_the_test_part():
    logits, labels = 3 * torch.randn(400, 10), torch.randint(10, (400,))
    loss = cross_entropy(logits, labels).item()
    found = lesson.judged(Evaluation(accuracy=0.5, loss=loss, logits=logits), labels)
    assert found["calibration_error"] == round(expected_calibration_error(logits, labels), 4)
    assert found["negative_log_likelihood"] == round(loss, 4)
    assert found["confidence"] == pytest.approx(logits.softmax(1).amax(1).mean().item(), abs=1e-4)
    assert sum(n for n, *_ in found["reliability"]) == 400
    assert lesson.logit_gap(torch.tensor([[5.0, 1.0, 0.0], [0.0, 2.0, 1.0]])) == 3.0


def test_the_study_differs_in_eps_alone_and_is_saved_with_three_seeds():
    assert table("smoothing") is lesson.RUNS and list(lesson.RUNS) == ["eps 0", "eps 0.1"]
    plain, smooth = (vars(entry.recipe) for entry in lesson.RUNS.values())
    assert {name for name in plain if plain[name] != smooth[name]} == {"label_smoothing"}
    study = saved("smoothing")
    assert study["command"] == "python -m authoring measure smoothing"
    assert list(study["runs"]) == list(lesson.RUNS)
    for runs in study["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1, 2]
        for run in runs:
            assert run["stopped"] == "" and run["precision"] == "float32"
            assert run["rows"][-1]["step"] == 460 and len(run["reliability"]) == 15


def test_the_table_has_mean_and_spread_of_every_measure():
    runs = {"one": [run_of(0.8, 0.9), run_of(0.9, 0.9)], "two": [run_of(0.7, 0.6)] * 2}
    rows = [line.split("  ") for line in calibration.words_runs(runs).splitlines()]
    assert rows[0][0] == "n = 2" and len(rows) == 6
    assert [cell.strip() for cell in rows[1] if cell] == [
        "test accuracy, %",
        "85.0 ± 7.1",
        "70.0 ± 0.0",
    ]
    assert "70.0\n" in calibration.words_runs({"one": [run_of(0.7, 0.6)]})


def test_reliability_leaves_out_bins_with_few_images_and_counts_all():
    runs = {"one": [run_of(0.8, 0.9, error=0.125)], "two": [run_of(0.7, 0.6)] * 3}
    fig = render(calibration._draw_calibration, runs, (10, 6.6))
    curve, _, share, _ = fig.axes
    assert [len(ax.lines) for ax in fig.axes[:2]] == [2, 4]
    assert (
        list(curve.lines[1].get_xydata()[0]) == [0.5, 0.6] and len(curve.lines[1].get_xdata()) == 1
    )
    heights = [bar.get_height() for bar in share.patches]
    assert len(heights) == 15 and heights[7] == 75 and sum(heights) == 100
    assert curve.get_title("left") == "one: off by 12.5 %"
    assert share.get_title("left") == "90.0 % sure, 80.0 % right"


def test_losses_are_drawn_over_their_floors():
    study = study_of([run_of(0.8, 0.8)] * 3, [run_of(0.8, 0.7)] * 3)
    words = calibration.show_losses(study).words
    assert "eps 0: training loss ends at 0.70 ± 0.00, its floor is 0.000" in words
    assert "eps 0.1: training loss ends at 0.70 ± 0.00, its floor is 0.500" in words
    lines = render(calibration._draw_losses, study["runs"], (9, 4)).axes[0].lines
    assert len(lines) == 8 and list(lines[0].get_xdata()) == [4, 8]
    assert lines[7].get_ydata()[0] == pytest.approx(0.5003, abs=5e-5)


def test_the_verdict_is_computed_seed_by_seed():
    plain = [run_of(0.80, 0.85, gap=8), run_of(0.90, 0.95, gap=9)]
    smooth = [run_of(0.81, 0.75, gap=4), run_of(0.89, 0.85, gap=5)]
    lines = smoothing_verdict.verdict(study_of(plain, smooth)).splitlines()
    assert (
        lines[0] == "test accuracy, %: +0.0 ± 1.4 (n = 2), not with every seed: no difference shown"
    )
    assert "logit gap: -4.00 ± 0.00 (n = 2), with every seed" in lines
    assert "eps 0: confidence minus accuracy +5.0 points, overconfident" in lines
    assert "eps 0.1: confidence minus accuracy -5.0 points, underconfident" in lines
    assert smoothing_verdict.leaning(0.9) == "about right" == smoothing_verdict.leaning(-0.9)


def test_the_saved_runs_show_what_the_lesson_says_of_them():
    study = saved("smoothing")
    plain, smooth = study["runs"].values()
    accuracy, *others = smoothing_verdict.verdict(study).splitlines()[:5]
    assert accuracy.startswith("test accuracy, %: +0.7 ± 0.6 (n = 3), not with every seed")
    assert all(line.endswith(", with every seed") for line in others)
    assert "negative log-likelihood: +" in others[2]
    assert round(smoothing_verdict.excess(smooth)) == -8
    assert smoothing_verdict.leaning(smoothing_verdict.excess(plain)) == "about right"
    gaps = [sum(calibration.column(runs, "logit gap")) for runs in (plain, smooth)]
    assert 0.4 < gaps[1] / gaps[0] < 0.6


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("07")
