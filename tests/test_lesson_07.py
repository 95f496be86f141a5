import math
import statistics
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from authoring.measure import table
from authoring.notebook import read
from conftest import ROOT, moved, solutions_pass
from inception_edu.data import Split
from inception_edu.figures import on_page, render
from inception_edu.lessons.lesson_07 import (
    binning,
    checks as checks,
    explorer as target_explorer,
    live,
    regimes,
    runs as lesson,
    smooth_targets,
)
from inception_edu.lessons.lesson_07.colours import PLAIN, SMOOTH
from inception_edu.lessons.lesson_07.temperature import temperature
from inception_edu.lessons.shared import saved
from inception_edu.losses import (
    LabelSmoothingCrossEntropy,
    expected_calibration_error,
    reliability,
    smoothed_targets,
)
from inception_edu.network import Outputs
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


def test_a_form_that_is_another_one_under_its_name_is_no_form_of_its_own():
    def mixed_targets(logits, labels, eps):
        return mixed(logits, labels, eps)

    state, why = checks.exercise_1.judge(mixed_targets, mixed_targets, kl)
    assert state == "not right yet" and "two_terms: It runs mixed_targets: write this form" in why
    assert why.startswith("Right: mixed_targets, kl_and_entropy.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, y, eps: cross_entropy(x, y, label_smoothing=eps), "it calls torch's own label"),
        (lambda x, y, eps: nn.CrossEntropyLoss(label_smoothing=eps)(x, y), "it calls torch's own"),
        (
            lambda x, y, eps: cross_entropy(x, y, None, None, -100, None, "mean", eps),
            "it calls torch's own",
        ),
        (
            lambda x, y, eps: torch._C._nn.cross_entropy_loss(x, y, None, 1, -100, eps),
            "it calls torch's own",
        ),
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
    forms, names = [mixed, two, kl], list(checks.FORM_NAMES)
    forms[place] = wrong
    state, why = checks.exercise_1.judge(*forms)
    wrong_one = names.pop(place)
    assert state == "not right yet" and said.lower() in why.lower()
    assert why.startswith(f"Right: {', '.join(names)}. {wrong_one}: ")


# --- exercise 2


def image_by_image(loss):
    logits, labels = torch.randn(20, 3), torch.randint(3, (20,))
    right = cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    return not torch.allclose(loss(logits, labels, 0.1), right, atol=1e-5)


def counts(loss):
    """In double precision, by hand, how many images have another loss."""
    logits, labels = 3 * torch.randn(9, 4).double(), torch.randint(4, (9,))
    wrong = 0
    for row, label, found in zip(logits, labels, loss(logits, labels, 0.3), strict=True):
        log_p = row.log_softmax(0)
        wrong += abs(-0.7 * log_p[label] - 0.3 * log_p.mean() - found) > 1e-6
    return wrong


def weighted(loss):
    """By the gradients of a sum in which images have weights of their own."""
    logits, labels = torch.randn(8, 5, requires_grad=True), torch.randint(5, (8,))
    weights = torch.rand(8)
    right = cross_entropy(logits, labels, label_smoothing=0.2, reduction="none")
    pair = [
        torch.autograd.grad((weights * x).sum(), logits)[0]
        for x in (loss(logits, labels, 0.2), right)
    ]
    return np.bool_(not torch.allclose(*pair, atol=1e-5))


def really(eps, classes):
    return eps * classes / (classes - 1)


@pytest.mark.parametrize("faulty", [image_by_image, counts, weighted])
@pytest.mark.parametrize("named", [("D", "B"), "DB", "d, b", ["D", " B "], {"a": "D", "b": "B"}])
@pytest.mark.parametrize("scalar", [float, torch.tensor, np.float32, lambda x: f"{x:.4f}"])
def test_a_test_that_finds_both_with_their_letters_and_eps_is_right(faulty, named, scalar):
    answer = faulty, named, lambda *case: scalar(really(*case))
    assert checks.exercise_2.judge(*answer) == ("right", "")


def test_two_suspects_are_torchs_loss_and_two_are_not():
    logits, labels = torch.randn(9, 5), torch.arange(9) % 5
    right = cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    other = cross_entropy(logits, labels, label_smoothing=really(0.1, 5), reduction="none")
    a, b, c, d = (loss(logits, labels, 0.1) for loss in checks.SUSPECTS.values())
    assert torch.allclose(a, right) and torch.allclose(c, right)
    assert torch.allclose(d, other) and not torch.allclose(d, right)
    assert not torch.allclose(b, right) and torch.allclose(b.mean(), right.mean())


def test_the_batch_mean_learns_rightly_from_a_mean_and_wrongly_from_weighted_images():
    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    right = cross_entropy(logits, labels, label_smoothing=0.3, reduction="none")
    found = checks.SUSPECTS[checks.BATCH_MEAN](logits, labels, 0.3)
    for weights, alike in ((torch.full((6,), 1 / 6), True), (torch.arange(6) / 15, False)):
        mine, theirs = (
            torch.autograd.grad((weights * x).sum(), logits, retain_graph=True)[0]
            for x in (found, right)
        )
        assert torch.allclose(mine, theirs, atol=1e-6) == alike


def in_the_mean(loss):
    logits, labels = torch.randn(20, 3), torch.randint(3, (20,))
    right = cross_entropy(logits, labels, label_smoothing=0.1)
    return not torch.allclose(loss(logits, labels, 0.1).mean(), right, atol=1e-5)


def one_image(loss):
    logits, labels = torch.randn(1, 3), torch.randint(3, (1,))
    right = cross_entropy(logits, labels, label_smoothing=0.1)
    return not torch.allclose(loss(logits, labels, 0.1)[0], right, atol=1e-5)


def many_classes(loss):
    logits, labels = torch.randn(20, 1000), torch.randint(1000, (20,))
    right = cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    return ((loss(logits, labels, 0.1) - right).abs() > 0.01).any()


def to_the_bit(loss):
    logits, labels = torch.randn(99, 3), torch.randint(3, (99,))
    right = cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    return not torch.equal(loss(logits, labels, 0.1), right)


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (in_the_mean, "right in the mean of a batch and wrong for each image"),
        (one_image, "right in the mean of a batch and wrong for each image"),
        (many_classes, "the K - 1 other classes share eps: take few classes"),
        (to_the_bit, "leave room for rounding"),
        (lambda loss: True, "it calls a right loss faulty"),
        (lambda loss: False, "in which eps does nothing"),
        (lambda loss: loss in checks.SUSPECTS.values(), "in which eps does nothing"),
        (lambda loss: loss.nothing, "it raised AttributeError"),
    ],
)
def test_a_test_that_finds_too_little_or_too_much_is_told_what(faulty, said):
    state, why = checks.exercise_2.judge(faulty, ("D", "B"), really)
    assert state == "not right yet" and said.lower() in why.lower()
    assert why.startswith("Right: named, really. faulty: ")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (image_by_image, ("B", "D"), really),
            "in the other order: one alone is right in the mean",
        ),
        ((image_by_image, ("A", "D"), really), "not the two faulty ones"),
        ((image_by_image, (..., "B"), really), "name both suspects"),
        ((image_by_image, "D", really), "name two of A, B, C, D, got 'D'"),
        ((image_by_image, 4, really), "name two of A, B, C, D, got '4'"),
        ((..., "DB", lambda eps, k: eps), "Right: named. really: For eps = 0.1, K = 10 it returns"),
        ((..., ..., lambda eps, k: eps * (k - 1) / k), "the other way round"),
        ((..., "DB", lambda eps, k: eps / (k - 1)), "the target of one other class"),
        ((..., "DB", lambda eps, k: eps * (1 + 1 / k)), "set that equal to"),
        ((..., "DB", lambda eps, k: 1 - eps), "that is what it leaves for the label"),
        (
            (..., "DB", lambda eps, k: 1 / 9),
            "For eps = 0.1, K = 2 it returns 0.111111, expected 0.",
        ),
        ((..., "DB", lambda eps, k: "more"), "it returns 'more', expected a number"),
        ((..., "DB", 0.111), "it raised"),
    ],
)
def test_wrong_letters_and_wrong_eps_are_told_apart(answer, said):
    state, why = checks.exercise_2.judge(*answer)
    assert state == "not right yet" and said.lower() in why.lower()


# --- exercise 3


def by_masks(logits, labels, bins=15):
    """Lower bins, a tensor of one number, borders by division."""
    confidence, named = F.softmax(logits, dim=-1).max(-1)
    correct, error = (named == labels).float(), torch.zeros(())
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            error += inside.sum() * (confidence[inside].mean() - correct[inside].mean()).abs()
    return error / len(labels)


def by_sums(logits, labels, bins=15):
    """Upper bins, without a loop, in numpy and double precision."""
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    place = np.minimum((p.max(1) * bins).astype(int), bins - 1)
    off = p.max(1) - (p.argmax(1) == labels.numpy())
    return np.abs(np.bincount(place, off, bins)).sum() / len(off)


def by_buckets(logits, labels, bins=15):
    confidence, named = logits.softmax(1).max(1)
    place = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])
    parts = [(place == i).nonzero().flatten() for i in range(bins)]
    gaps = [
        abs((confidence[p] - (named == labels)[p].float()).mean()) * len(p) for p in parts if len(p)
    ]
    return str(float(sum(gaps) / len(labels)))


@pytest.mark.parametrize("measure", [by_masks, by_sums, by_buckets])
def test_a_calibration_error_is_right_in_any_make(measure):
    assert checks.exercise_3.judge(measure) == ("right", "")


def masks(inside, mean=torch.mean, empty=False):
    """The error with bins by another rule."""

    def measure(logits, labels, bins=15):
        confidence, named = logits.softmax(1).max(1)
        correct, error = (named == labels).float(), 0.0
        for i in range(bins):
            held = inside(confidence, i / bins, (i + 1) / bins)
            if held.any() or empty:
                error += held.sum() * (mean(confidence[held]) - mean(correct[held])).abs()
        return error / len(labels)

    return measure


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (masks(lambda c, low, high: (c >= low) & (c < high)), "of exactly 1, which belong to the"),
        (masks(lambda c, low, high: (c > low) & (c < high)), "exactly 1, which belong to the last"),
        (masks(lambda c, low, high: (c >= low) & (c <= high)), "on the border of two bins, it ret"),
        (
            masks(lambda c, low, high: (c > low) & (c <= high), empty=True),
            "expected one number; an empty bin has no mean: leave it out",
        ),
        (lambda x, y, bins=15: by_masks(x, y), "the argument bins changes nothing"),
        (lambda x, y, bins=15: by_masks(x.softmax(1), y, bins), "for 400 rows of 5 logits and 15"),
        (lambda x, y, bins: by_masks(x, y, bins), "missing 1 required positional argument"),
        (lambda x, y, bins=15: 0.0, "it returns 0.0000, expected"),
        (lambda x, y, bins=15: x.softmax(1), "expected one number"),
        (lambda x, y, bins=15: expected_calibration_error(x, y, bins=bins), "the package's own"),
        (lambda x, y, bins=15: x.nothing, "it raised AttributeError"),
    ],
)
def test_wrong_calibration_errors_are_told_apart(measure, said):
    state, why = checks.exercise_3.judge(measure)
    assert state == "not right yet" and said.lower() in why.lower()


@pytest.mark.parametrize("mistake", binning.MISTAKES)
def test_every_mistake_of_a_calibration_error_is_named(mistake):
    wrong = binning.MISTAKES[mistake]
    state, why = checks.exercise_3.judge(lambda x, y, bins=15: wrong(x, y, bins))
    assert state == "not right yet" and why.endswith(f"; {mistake}.")


@pytest.mark.parametrize(("n", "classes", "bins"), [(500, 4, 15), (300, 7, 6), (3, 2, 10)])
def test_both_routes_to_the_calibration_error_agree(n, classes, bins):
    logits, labels = torch.randn(n, classes), torch.randint(classes, (n,))
    labels[0] = (logits[0].argmax() + 1) % classes  # at least one answer is wrong
    found = binning.error(logits, labels, bins)
    assert found == pytest.approx(expected_calibration_error(logits, labels, bins=bins))
    assert binning.error(logits, logits.argmax(1), bins) != pytest.approx(found)


# --- exercise 4


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
    best = temperature(logits, labels)
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
    assert checks.exercise_4.judge(fit) == ("right", "")


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (lambda x, y: 1 / temperature(x, y), "divide by T, so T = 1 / scale"),
        (lambda x, y: 1, "T = 1 changes nothing"),
        (lambda x, y: 2.5, "At your T = 2.5 cross_entropy(logits / T, labels) is 0.8603, at T = 0"),
        (lambda x, y: x.std(), "cross_entropy(logits / T, labels)"),
        (over([0.5, 1, 2, 4]), "at your T = 2"),
        (lambda x, y: temperature(x, x.argmax(1)), "at your T = 0.001"),
        (lambda x, y: -1, "it returns '-1', expected one number above 0"),
        (lambda x, y: "hot", "it returns 'hot', expected one number above 0"),
        (lambda x, y: x, "expected one number above 0"),
        (lambda x, y: x.temperature, "it raised AttributeError"),
    ],
)
def test_wrong_temperatures_are_told_apart(fit, said):
    state, why = checks.exercise_4.judge(fit)
    assert state == "not right yet" and said.lower() in why.lower()


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_is_where_the_loss_is_flat(true):
    logits = 3 * torch.randn(2_000, 5, dtype=torch.float64)
    labels = torch.multinomial((logits / true).softmax(1), 1).squeeze(1)
    t = torch.tensor(temperature(logits, labels), requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(logits / t.double(), labels), t)
    assert abs(slope) < 1e-5 and t.item() == pytest.approx(true, rel=0.15)


def test_a_stub_is_not_attempted_yet():
    def stub(logits, labels, eps):
        """(n, K) -> a scalar"""
        ...

    unanswered = {1: [stub] * 3, 2: [stub, (..., ...), stub], 3: [stub], 4: [stub]}
    for n, answers in unanswered.items():
        judged = getattr(checks, f"exercise_{n}").judge(*answers)
        assert judged == ("not attempted yet", "")


@pytest.mark.parametrize("name", checks.FORM_NAMES)
def test_without_an_answer_the_lesson_goes_on_with_what_is_right(name):
    ours = dict(zip(checks.FORM_NAMES, checks.OURS, strict=True))[name]
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    right = cross_entropy(logits, labels, label_smoothing=0.2)
    assert torch.allclose(ours(logits, labels, 0.2), right)
    error = expected_calibration_error(logits, labels, bins=4)
    assert checks.package_error(logits, labels, 4) == error


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


def test_the_push_of_hard_labels_is_straight_on_a_logarithmic_scale():
    words = smooth_targets.show_push(0.0).words
    assert "The loss never reaches 0" in words and "1.9e-08" in words and "4.51" not in words
    for ax in render(smooth_targets._draw_push, ((0.0,), 10), (11, 4)).axes:
        (line,) = ax.lines
        assert ax.get_yscale() == "log" and line.get_color() == PLAIN
        assert all(value > 0 for value in line.get_ydata())


def test_the_smoothed_loss_is_a_valley_on_a_linear_scale():
    words = smooth_targets.show_push(0.0, 0.1).words
    rows = [line.split() for line in words.splitlines()]
    assert ["0.1", "4.51", "0.5", "0"] in rows and '"Smoothed: lowest at logit 4.51"' in words
    loss, push = render(smooth_targets._draw_push, ((0.0, 0.1), 10), (11, 4)).axes
    assert loss.get_yscale() == push.get_yscale() == "linear"
    hard, smooth, dot = loss.lines
    assert (hard.get_color(), smooth.get_color()) == (PLAIN, SMOOTH)
    lowest = min(zip(smooth.get_ydata(), smooth.get_xdata(), strict=True))
    assert lowest == pytest.approx((dot.get_ydata()[0], dot.get_xdata()[0]), abs=0.05)
    assert smooth.get_ydata()[-1] > 2 * lowest[0] and hard.get_ydata()[-1] < 1e-3
    pushes = zip(push.lines[1].get_xdata(), push.lines[1].get_ydata(), strict=True)
    assert all((value > 0) == (gap < 4.51) for gap, value in pushes)


def test_targets_are_drawn_as_bars_that_sum_to_1_in_the_colour_of_their_eps():
    words = smooth_targets.show_targets(0, 0.1).words
    assert "eps 0.1: 0.91 for it, 0.01 for each other" in words and words.count("10 bars") == 2
    fig = render(smooth_targets._draw_targets, ((0, 0.1), 10, 3), (11, 3.4))
    for ax, own, colour in zip(fig.axes, (1, 0.91), (PLAIN, SMOOTH), strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert sum(heights) == pytest.approx(1) and heights[3] == pytest.approx(own)
        assert ax.patches[3].get_facecolor()[:3] == pytest.approx(rgb(colour))


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


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
    ("eps", "classes", "title"), [(0.1, 10, "gap 4.51"), (0, 2, "No gap is lowest")]
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
    bins = [[0, 0.0, 0.0]] * 7 + [[30, 0.5, 0.6], [10, 0.6, 0.1], [60, 0.7, 0.7]]
    row = dict(step=60, main_accuracy=0.5, valid_accuracy=0.4, valid_confidence=0.3)
    last = dict(step=120, main_accuracy=1.0, valid_accuracy=accuracy, valid_confidence=confidence)
    return dict(
        test_accuracy=accuracy,
        confidence=confidence,
        calibration_error=error,
        negative_log_likelihood=0.3,
        logit_gap=gap,
        reliability=bins,
        rows=[row, last],
    )


@pytest.fixture
def study(monkeypatch):
    """Two regimes: smoothing hurts calibration in the first and helps it in the second."""
    errors = {0: ([0.01, 0.02, 0.01], [0.08, 0.09, 0.08]), 1: ([0.1, 0.12, 0.11], [0.02] * 3)}
    found = {}
    for i, regime in enumerate(lesson.REGIMES):
        for eps, values in zip((0.0, 0.1), errors[i], strict=True):
            accuracies = [0.80 + eps / 100, 0.81 - eps / 10, 0.82]
            runs = [run_of(a, a + 0.05 - eps, e) for a, e in zip(accuracies, values, strict=True)]
            found[f"{regime}, eps {eps:g}"] = runs
    made = dict(command="measure", hardware="2 cores", versions=dict(torch="2"), runs=found)
    monkeypatch.setattr(regimes, "saved", lambda name: made)
    return made


ONCE, OFTEN = lesson.REGIMES


def test_a_run_is_judged_on_the_logits_of_the_test_part():
    logits, labels = 3 * torch.randn(400, 10), torch.randint(10, (400,))
    loss = cross_entropy(logits, labels).item()
    found = lesson.judged(Evaluation(accuracy=0.5, loss=loss, logits=logits), labels)
    assert found["calibration_error"] == round(expected_calibration_error(logits, labels), 4)
    assert found["negative_log_likelihood"] == round(loss, 4)
    assert found["confidence"] == pytest.approx(logits.softmax(1).amax(1).mean().item(), abs=1e-4)
    assert sum(n for n, *_ in found["reliability"]) == 400
    assert lesson.logit_gap(torch.tensor([[5.0, 1.0, 0.0], [0.0, 2.0, 1.0]])) == 3.0


def test_a_difference_is_judged_by_its_interval_and_by_which_way_is_better(study):
    assert regimes.verdict(ONCE, "calibration error, %") == "worse"
    assert regimes.verdict(OFTEN, "calibration error, %") == "better"
    assert regimes.verdict(ONCE, "test accuracy, %") == "cannot tell"
    assert regimes.verdict(ONCE, "confidence - accuracy, points") == "lower"
    assert regimes.mean(ONCE, 0.0, "confidence - accuracy, points") == 5.0
    assert regimes.mean(OFTEN, 0.1, "calibration error, %") == 2.0


def test_the_table_has_means_differences_and_verdicts_of_both_regimes(study):
    heading, *rows = regimes.compare().rows
    assert heading[-2:] == ("difference, 95 % interval", "verdict") and len(rows) == 12
    by_name = {row[:2]: row[2:] for row in rows}
    found = by_name[ONCE, "calibration error, %"]
    assert found == ("1.3 ± 0.6", "8.3 ± 0.6", "+7.0 (+7.0 to +7.0)", "worse")
    assert by_name[OFTEN, "training accuracy, %"][:2] == ("100.0 ± 0.0", "100.0 ± 0.0")
    bold = {rows[i][1] for i in regimes.compare().bold}
    assert "calibration error, %" in bold and "test accuracy, %" not in bold
    assert "n = 3 seeds, paired" in regimes.compare().caption


def test_the_seeds_that_a_gain_needs_come_from_how_differences_scatter(study):
    _, once, _ = regimes.needed(0.2).rows
    changes = [0.1, -1.0, 0.0]
    n, few = int(once[-1]), int(regimes.needed(2.0).rows[1][-1])
    half = [regimes.quantile(k - 1) * statistics.stdev(changes) / k**0.5 for k in (n - 1, n)]
    assert once[0] == ONCE and half[1] <= 0.2 < half[0] and few < n


@pytest.mark.parametrize(
    ("freedom", "right"), [(2, 4.303), (4, 2.776), (10, 2.228), (29, 2.045), (60, 2.000)]
)
def test_the_quantile_of_students_t_distribution_is_that_of_printed_tables(freedom, right):
    assert regimes.quantile(freedom) == pytest.approx(right, abs=3e-3)


def test_reliability_leaves_out_bins_with_few_images_and_keeps_one_colour_for_each_eps(study):
    fig = render(regimes._draw_reliability, regimes.runs(), (11, 5.2))
    titles = [ax.get_title("left") for ax in fig.axes]
    assert titles[0].endswith("smoothing hurts") and titles[1].endswith("smoothing helps")
    for ax in fig.axes:
        assert [line.get_color() for line in ax.lines[1:]] == [PLAIN] * 3 + [SMOOTH] * 3
        assert [tuple(xy) for xy in ax.lines[1].get_xydata()] == [(0.5, 0.6), (0.7, 0.7)]
    assert f"{ONCE}, eps 0.1: calibration error 8.3 ± 0.6 %" in regimes.show_reliability().words


def test_confidence_minus_accuracy_is_drawn_over_steps_seed_by_seed_with_its_mean(study):
    fig = render(regimes._draw_excess, regimes.runs(), (11, 4.4))
    lines = fig.axes[0].lines[:8]
    assert [line.get_color() for line in lines] == [PLAIN] * 4 + [SMOOTH] * 4
    assert list(lines[3].get_xdata()) == [60, 120]
    assert list(lines[3].get_ydata()) == pytest.approx([-10, 5])
    assert fig.axes[0].get_title("left").endswith(": +5.0 and -5.0")
    assert "-10.0 points after 60 steps, +5.0 at the end" in regimes.show_excess().words


def test_the_study_differs_in_eps_and_images_alone_and_is_saved_with_five_seeds():
    assert table("smoothing") is lesson.RUNS and len(lesson.RUNS) == 4
    recipes = [vars(entry.recipe) for entry in lesson.RUNS.values()]
    assert {k for k in recipes[0] if len({r[k] for r in recipes}) > 1} == {"label_smoothing"}
    study = saved("smoothing")
    assert study["command"].startswith("python -m authoring measure smoothing --seeds 0 1 2 3 4")
    assert list(study["runs"]) == list(lesson.RUNS)
    for runs in study["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1, 2, 3, 4]
        for run in runs:
            assert run["stopped"] == "" and run["precision"] == "float32"
            assert run["rows"][-1]["step"] == 600 and len(run["reliability"]) == 15


# --- the live runs


class Seen(nn.Module):
    """A linear network that notes how often it was given each image, by its first pixel."""

    def __init__(self):
        super().__init__()
        self.linear, self.often = nn.Linear(4, 3), torch.zeros(256, dtype=torch.int64)

    def forward(self, x):
        self.often += torch.bincount((x[:, 0, 0, 0] * 255).round().long(), minlength=256)
        return Outputs(self.linear(x.flatten(1)), {})


def test_the_live_run_meets_every_image_equally_often_under_the_loss_that_it_is_given(capsys):
    images = torch.arange(40 * 4).reshape(40, 1, 2, 2).remainder(256).to(torch.uint8)
    images[:, 0, 0, 0] = torch.arange(40)
    part = Split(images, torch.arange(40) % 3, mean=(0.0,), std=(1.0,))
    network, given = Seen(), set()

    def loss_of(logits, labels, eps):
        given.add(eps)
        return cross_entropy(logits, labels)

    before = network.linear.weight.clone()
    losses = live.train(network, part, loss_of, 0.3, passes=6, size=8)
    assert given == {0.3} and len(losses) == 30 and "step 30 of 30" in capsys.readouterr().out
    assert network.often[:40].tolist() == [6] * 40 and network.often[40:].sum() == 0
    assert not torch.equal(network.linear.weight, before)


def test_the_live_run_steps_as_torchs_sgd_does_with_the_studys_rates():
    part = Split(
        torch.randint(256, (8, 1, 2, 2), dtype=torch.uint8), torch.arange(8) % 3, (0.0,), (1.0,)
    )
    network, losses = Seen(), []
    twin = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    twin[1].load_state_dict(network.linear.state_dict())
    found = live.train(network, part, right, 0.1, passes=5, size=8)
    recipe = lesson.RECIPE
    how = dict(momentum=recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True)
    optimizer = torch.optim.SGD(twin.parameters(), recipe.lr, **how)
    x, labels = part.batch(slice(0, 8))
    for step in range(1, 6):
        optimizer.param_groups[0]["lr"] = recipe.lr_at(step, 5)
        loss = right(twin(x), labels, 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert found == pytest.approx(losses, rel=1e-4) and losses[-1] < losses[0]


def right(logits, labels, eps):
    return cross_entropy(logits, labels, label_smoothing=eps)


def test_losses_are_drawn_over_their_floors():
    losses = {0.0: [2.0, 1.0, 0.2], 0.1: [2.0, 1.0, 0.7]}
    words = live.show_losses(losses).words
    assert "eps 0: training loss ends at" in words and "its floor is 0.500" in words
    lines = render(live._draw_losses, losses, (11, 4)).axes[0].lines
    assert [line.get_color() for line in lines] == [PLAIN] * 3 + [SMOOTH] * 3
    assert lines[5].get_ydata()[0] == pytest.approx(0.5003, abs=5e-5)


def test_what_a_temperature_changes_is_drawn_and_titled_with_its_calibration_error():
    logits, labels = 2 * torch.randn(3_000, 10), torch.randint(10, (3_000,))
    before, after = {0.0: logits, 0.1: logits / 2}, {0.0: logits / 20, 0.1: logits / 30}
    picture = live.show_mended(before, after, labels)
    errors = [100 * expected_calibration_error(x, labels) for x in before.values()]
    assert f'"As trained: off by {errors[0]:.1f} and {errors[1]:.1f} %"' in picture.words
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    assert picture.words.count(f"accuracy {100 * accuracy:.1f} %") == 4
    bins = reliability(logits, labels)
    assert live.off_by(bins) == pytest.approx(errors[0]) and live.of_all(bins) == 3_000


# --- what the lesson says of the saved numbers


def test_smoothing_hurts_calibration_where_each_image_is_met_once_and_helps_where_few_are_known():
    assert regimes.verdict(ONCE, "calibration error, %") == "worse"
    assert regimes.verdict(ONCE, "negative log-likelihood") == "worse"
    assert regimes.verdict(OFTEN, "calibration error, %") == "better"
    assert regimes.verdict(OFTEN, "negative log-likelihood") == "cannot tell"
    for regime in (ONCE, OFTEN):
        assert regimes.verdict(regime, "confidence - accuracy, points") == "lower"
        assert regimes.verdict(regime, "test accuracy, %") == "cannot tell"


def test_the_plain_network_is_calibrated_after_one_pass_and_overconfident_after_nineteen():
    sure = "confidence - accuracy, points"
    assert abs(regimes.mean(ONCE, 0.0, sure)) < 1 and regimes.mean(ONCE, 0.1, sure) < -5
    assert regimes.mean(OFTEN, 0.0, sure) > 5
    assert regimes.mean(OFTEN, 0.0, "training accuracy, %") > 98


def test_the_lesson_prints_the_saved_numbers_in_its_words():
    (path,) = Path(ROOT, "notebooks").glob("07_*.ipynb")
    text = "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    error = "calibration error, %"
    for regime in (ONCE, OFTEN):
        plain, smooth = (regimes.mean(regime, eps, error) for eps in regimes.EPS)
        assert f"from {plain:.1f} % to {smooth:.1f} %" in text.split("## Recap")[1]
        assert f"{smooth:.1f} %" in text.split("## 5. Two regimes")[1].split("## 6")[0]


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("07")
