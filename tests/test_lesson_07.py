import math
import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu.figures import on_page, render
from inception_edu.lessons.lesson_07 import (
    calibration,
    checks as checks,
    explorer as target_explorer,
    runs as lesson,
    smooth_targets,
    verdict as smoothing_verdict,
)
from inception_edu.lessons.shared import saved
from inception_edu.losses import (
    LabelSmoothingCrossEntropy,
    expected_calibration_error,
    smoothed_targets,
)
from inception_edu.training.evaluation import Evaluation

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = [(0.1, 10), (0.1, 1000), (0.5, 3), (0.3, 2)]


# --- exercise 1


def soft(labels, classes, eps):
    return (1 - eps) * torch.eye(classes)[labels] + eps / classes


def mixed(logits, labels, eps):
    """In double precision, from whole numbers."""
    q = (1 - eps) * F.one_hot(labels, logits.shape[1]).double() + eps / logits.shape[1]
    return -(q * logits.log_softmax(1)).sum(1).mean()


def by_probabilities(logits, labels, eps):
    """torch's cross-entropy, with targets of one's own."""
    return cross_entropy(logits, soft(labels, logits.shape[1], eps))


def two(logits, labels, eps):
    log_p = F.log_softmax(logits, dim=-1)
    return (1 - eps) * F.nll_loss(log_p, labels) - eps * log_p.mean()


def row_by_row(logits, labels, eps):
    total = 0
    for row, label in zip(logits, labels, strict=True):
        log_p = row - row.exp().sum().log()
        total = total - (1 - eps) * log_p[label] - eps * log_p.mean()
    return total / len(logits)


def kl(logits, labels, eps):
    q = soft(labels, logits.shape[1], eps)
    entropy = torch.special.entr(q).sum(1)
    return F.kl_div(logits.log_softmax(1), q, reduction="none").sum(1).mean() + entropy.mean()


class Module(nn.Module):
    def forward(self, logits, labels, eps):
        return two(logits, labels, eps)


@pytest.mark.parametrize(
    "forms",
    [
        (mixed, two, kl),
        ([by_probabilities, row_by_row, kl],),
        ({"kl_and_entropy": kl, "mixed_targets": mixed, "two_terms": Module()},),
    ],
    ids=["functions", "list", "by name"],
)
def test_the_three_forms_are_right_in_any_make(forms):
    assert checks.exercise_1.judge(*forms) == ("right", "")


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


def half_detached(logits, labels, eps):
    uniform = -logits.detach().log_softmax(1).mean()
    return (1 - eps) * cross_entropy(logits, labels) + eps * uniform


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, y, eps: cross_entropy(x, y, label_smoothing=eps), "it calls torch's own label"),
        (lambda x, y, eps: nn.CrossEntropyLoss(label_smoothing=eps)(x, y), "it calls torch's own"),
        (lambda x, y, eps: LabelSmoothingCrossEntropy(eps)(x, y), "it calls the package's own"),
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
        (lambda x, y, eps: len(x) * two(x, y, eps), "do not sum"),
        (lambda x, y, eps: two(x, y, eps) / x.shape[1], "sum over the classes"),
        (lambda x, y, eps: -two(x, y, eps), "minus sign"),
        (lambda x, y, eps: -(soft(y, x.shape[1], eps) * x).sum(1).mean(), "not the logits"),
        (divergence_alone, "the entropy of q' is missing"),
        (nan_at_0, "it returns nan, expected 1.6517; 0 log 0 counts as 0"),
        (lambda x, y, eps: two(x, y, 0.1), "for logits of shape (5, 10) and eps = 0.3 it returns"),
        (half_detached, "its gradients are others: something is detached"),
        (lambda x, y, eps: two(x, y, eps).item(), "expected a tensor of shape ()"),
        (lambda x, y, eps: x.log_softmax(1), "it returns shape (7, 2), expected ()"),
        (lambda x, y, eps: x.nothing, "it raised AttributeError"),
    ],
)
@pytest.mark.parametrize("place", range(3))
def test_wrong_forms_are_told_apart_and_named(wrong, said, place):
    forms, names = [mixed, two, kl], list(checks.NAMES)
    forms[place] = wrong
    state, why = checks.exercise_1.judge(*forms)
    wrong_one = names.pop(place)
    assert state == "not right yet" and said.lower() in why.lower()
    assert why.startswith(f"Right: {', '.join(names)}. {wrong_one}: ")


# --- exercise 2


def really(eps, classes):
    return eps * classes / (classes - 1)


@pytest.mark.parametrize(
    ("suspect", "scalar"),
    [("B", float), ("b", torch.tensor), (" B ", np.float32), ("B", lambda x: f"{x:.4f}")],
)
def test_suspect_b_smooths_with_eps_k_over_k_minus_1(suspect, scalar):
    answer = suspect, lambda *case: scalar(really(*case))
    assert checks.exercise_2.judge(*answer) == ("right", "")


@pytest.mark.parametrize("letter", checks.SUSPECTS)
def test_the_suspects_are_torchs_loss_with_the_eps_that_is_told(letter):
    logits, labels = torch.randn(9, 5), torch.arange(9) % 5
    eps = really(0.1, 5) if letter == "B" else 0.1
    found = checks.SUSPECTS[letter](logits.log_softmax(1), labels, 0.1)
    assert torch.allclose(found, cross_entropy(logits, labels, label_smoothing=eps))
    assert not torch.allclose(found, cross_entropy(logits, labels, label_smoothing=0.2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("A", really), "Right: really. suspect: A gives torch's loss"),
        (("C", ...), "suspect: C gives torch's loss on every batch; compare each suspect"),
        (("loss", really), "name one of A, B, C, got 'loss'"),
        (("B", lambda eps, k: eps), "Right: suspect. really: For eps = 0.1, K = 10 it returns 0.1"),
        ((..., lambda eps, k: eps * (k - 1) / k), "the other way round"),
        (("B", lambda eps, k: eps / (k - 1)), "the target of one other class"),
        (("B", lambda eps, k: eps * (1 + 1 / k)), "set that equal to"),
        (("B", lambda eps, k: 1 - eps), "that is what it leaves for the label"),
        (("B", lambda eps, k: 1 / 9), "For eps = 0.1, K = 2 it returns 0.111111, expected 0.2"),
        (("B", lambda eps, k: "more"), "it returns 'more', expected a number"),
        (("B", 0.111), "it raised"),
    ],
)
def test_wrong_suspects_and_wrong_eps_are_told_apart(answer, said):
    state, why = checks.exercise_2.judge(*answer)
    assert state == "not right yet" and said.lower() in why.lower()


# --- exercise 3


def over(tried):
    """The best of some temperatures."""

    def search(logits, labels):
        losses = [cross_entropy(logits / t, labels).item() for t in tried]
        return tried[losses.index(min(losses))]

    return search


def by_gradient(logits, labels):
    T = torch.ones(1, requires_grad=True)
    search = torch.optim.LBFGS([T], max_iter=40)

    def loss():
        search.zero_grad()
        found = cross_entropy(logits / T, labels)
        found.backward()
        return found

    search.step(loss)
    return T


def in_place(logits, labels):
    """Spoils the logits that it was given."""
    best = smoothing_verdict.temperature(logits, labels)
    logits /= best
    return str(best)


@pytest.mark.parametrize(
    "fit",
    [
        over(torch.linspace(0.1, 10, 100)),
        over(list(np.linspace(0.1, 10, 60))),
        by_gradient,
        in_place,
    ],
    ids=["a hundred evenly", "sixty evenly, numpy", "gradient", "in place"],
)
def test_a_temperature_is_right_if_its_loss_is_the_lowest_within_a_hundredth(fit):
    assert checks.exercise_3.judge(fit) == ("right", "")


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (lambda x, y: 1 / smoothing_verdict.temperature(x, y), "divide by T, so T = 1 / scale"),
        (lambda x, y: 1, "T = 1 changes nothing"),
        (lambda x, y: 2.5, "At your T = 2.5 cross_entropy(logits / T, labels) is 0.8603, at T = 0"),
        (lambda x, y: x.std(), "cross_entropy(logits / T, labels)"),
        (over([0.5, 1, 2, 4]), "at your T = 2"),
        (lambda x, y: smoothing_verdict.temperature(x, x.argmax(1)), "at your T = 0.001"),
        (lambda x, y: -1, "it returns '-1', expected one number above 0"),
        (lambda x, y: "hot", "it returns 'hot', expected one number above 0"),
        (lambda x, y: x, "expected one number above 0"),
        (lambda x, y: x.temperature, "it raised AttributeError"),
    ],
)
def test_wrong_temperatures_are_told_apart(fit, said):
    state, why = checks.exercise_3.judge(fit)
    assert state == "not right yet" and said.lower() in why.lower()


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_is_where_the_loss_is_flat(true):
    logits = 3 * torch.randn(2_000, 5, dtype=torch.float64)
    labels = torch.multinomial((logits / true).softmax(1), 1).squeeze(1)
    t = torch.tensor(smoothing_verdict.temperature(logits, labels), requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(logits / t.double(), labels), t)
    assert abs(slope) < 1e-5 and t.item() == pytest.approx(true, rel=0.15)


def test_a_stub_is_not_attempted_yet():
    def stub(logits, labels, eps):
        """(n, K) -> a scalar"""
        ...

    for n, answers in {1: [stub] * 3, 2: [..., stub], 3: [stub]}.items():
        judged = getattr(checks, f"exercise_{n}").judge(*answers)
        assert judged == ("not attempted yet", "")


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
    _, *lines = smooth_targets.by_hand(logits, eps).rows
    losses = [loss for *_, loss in lines]
    rows, labels = torch.tensor([logits] * 3), torch.arange(3)
    right = cross_entropy(rows, labels, label_smoothing=eps, reduction="none")
    assert losses == [f"{loss:.4f}" for loss in right.tolist() for _ in range(3)]
    for *_, terms, loss in lines:
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
    assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((11, 4.2))[0]
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
    table = smoothing_verdict.verdict(study_of(plain, smooth))
    heading, accuracy, *rows = table.rows
    assert heading[1] == "change, n = 2"
    assert accuracy == ("test accuracy, %", "+0.0 ± 1.4", "no: no difference shown")
    assert ("logit gap", "-4.00 ± 0.00", "yes") in rows and 0 not in table.bold
    assert table.bold == {1 + rows.index(row) for row in rows if row[2] == "yes"}
    assert "eps 0: confidence minus accuracy +5.0 points, overconfident" in table.caption
    assert "eps 0.1: confidence minus accuracy -5.0 points, underconfident" in table.caption
    assert smoothing_verdict.leaning(0.9) == "about right" == smoothing_verdict.leaning(-0.9)


def test_the_saved_runs_show_what_the_lesson_says_of_them():
    study = saved("smoothing")
    plain, smooth = study["runs"].values()
    _, accuracy, *others = smoothing_verdict.verdict(study).rows
    assert accuracy == ("test accuracy, %", "+0.7 ± 0.6", "no: no difference shown")
    assert [row[2] for row in others] == ["yes"] * 4
    assert others[2][0] == "negative log-likelihood" and others[2][1].startswith("+")
    assert round(smoothing_verdict.excess(smooth)) == -8
    assert smoothing_verdict.leaning(smoothing_verdict.excess(plain)) == "about right"
    gaps = [sum(calibration.column(runs, "logit gap")) for runs in (plain, smooth)]
    assert 0.4 < gaps[1] / gaps[0] < 0.6


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("07")
