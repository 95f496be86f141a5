import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, max_pool2d

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu.cost import receptive_field
from inception_edu.figures import on_page, render
from inception_edu.layers import Concat, conv, kernel_size
from inception_edu.lessons.lesson_06 import (
    checks as checks,
    explorer as factor_explorer,
    footprints,
    grid_reduction,
    rank,
    runs as lesson,
    verdict as factor_verdict,
)
from inception_edu.lessons.shared import saved

pytestmark = pytest.mark.usefixtures("one_thread")


# --- exercise 1


def left(n, c_in, c_out):
    return (9 * c_in + ((n - 1) // 2 - 1) * 9 * c_out) / (n * n * c_in)


def in_steps(n, c_in, c_out):
    """A loop over the layers, in decimals rounded to four."""
    cost, side = 0, 1
    while side < n:
        cost += 9 * (c_in if side == 1 else c_out) * c_out
        side += 2
    return round(1 - cost / (n * n * c_in * c_out), 4)


@pytest.mark.parametrize(
    "saving",
    [
        in_steps,
        lambda *sizes: f"{1 - left(*sizes):.4f}",
        lambda *sizes: np.float32(1 - left(*sizes)),
        lambda *sizes: torch.tensor([1 - left(*sizes)], requires_grad=True),
    ],
    ids=["rounded", "text", "numpy", "torch"],
)
def test_the_saving_of_3x3s_over_n_by_n_is_right_in_every_form(saving):
    assert checks.exercise_1.judge(saving) == ("right", "")
    assert 1 - left(5, 64, 64) == pytest.approx(0.28) and 1 - left(3, 7, 9) == 0


@pytest.mark.parametrize(
    ("saving", "said"),
    [
        (left, "it returns 0.72, expected 0.28; that is what is left, not what is saved."),
        (lambda n, a, b: 100 * (1 - left(n, a, b)), "a share, not percent"),
        (lambda n, a, b: 1 - 9 / n**2, "not one"),
        (lambda n, a, b: 1 - 9 * (a + b) / (n * n * a), "(n - 1) / 2 see n x n"),
        (lambda n, a, b: 1 - 9 * (n - 1) / 2 / n**2, "only the first 3x3 reads c_in"),
        (lambda n, a, b: 1 - 9 * (n - 1) / 2 * b / (n * n * a), "the first 3x3 reads c_in"),
        (lambda n, a, b: 0.28, "For n = 5, c_in = 32, c_out = 64 it returns 0.28, expected -0.08"),
        (lambda n, a, b: 1 - left(n, a, 64), "compare 9 c_in c_out"),
        (lambda n, a, b: 1 - left(5, a, b), "For n = 7, c_in = 128, c_out = 128 it returns 0.28"),
        (lambda n, a, b: True, "it returns True, expected one number"),
        (lambda n, a, b: n / 0, "It raised ZeroDivisionError"),
    ],
)
def test_wrong_savings_are_told_apart(saving, said):
    state, why = checks.exercise_1.judge(saving)
    assert state == "not right yet" and said in why


# --- exercise 2


class Own(nn.Module):
    """The reduction by torch's functions, its norm declared first, the pool's half in front."""

    def __init__(self, c):
        super().__init__()
        self.norm = nn.BatchNorm2d(c)
        self.layer = nn.Conv2d(c, c, 3, stride=2, bias=False)

    def forward(self, x):
        return torch.cat([max_pool2d(x, 3, 2), self.norm(self.layer(x)).relu()], dim=1)


class Biased(nn.Module):
    """A bare convolution with a bias, in double precision."""

    def __init__(self, c):
        super().__init__()
        self.layer = nn.Conv2d(c, c, kernel_size=(3, 3), stride=(2, 2), dtype=torch.float64)

    def forward(self, x):
        return torch.cat([self.layer(x), max_pool2d(x, 3, 2)], dim=1)


class Unused(Own):
    def forward(self, x):
        self.layer(x)
        return torch.cat([max_pool2d(x, 3, 2)] * 2, dim=1)


class Detached(Biased):
    def forward(self, x):
        return super().forward(x).detach()


class ForSix(nn.Sequential):
    def __init__(self, c):
        super().__init__(Own(6))


def swapped(c):
    return Concat(pool=nn.AdaptiveMaxPool2d(17), conv=conv(c, c, 3, 2, padding=0, norm=False))


@pytest.mark.parametrize("build", [Own, Biased, swapped])
def test_conv_and_pool_side_by_side_are_right_of_any_make_and_in_any_order(build):
    assert checks.exercise_2.judge(build) == ("right", "")


@pytest.mark.parametrize(
    ("reduction", "said"),
    [
        (lambda c: grid_reduction.reduction("pool then conv", c), "a bottleneck"),
        (
            lambda c: grid_reduction.reduction("conv then pool", c),
            "on the full grid, which is dear",
        ),
        (lambda c: nn.Conv2d(c, 2 * c, 3, 2), "all 2c channels are convolved"),
        (Unused, "it puts out something else"),
        (Detached, "no gradient flows back"),
        (ForSix, "For c = 4, it has 336 parameters, expected 152"),
        (
            lambda c: Concat(a=conv(c, c, 3, 2), b=nn.MaxPool2d(3, 2, 1)),
            "(2, 4, 35, 35) becomes (2, 8, 18, 18), expected (2, 8, 17, 17)",
        ),
        (
            lambda c: Concat(a=conv(c, 2 * c, 3, 2, padding=0), b=nn.MaxPool2d(3, 2)),
            "weights of shape (8,) are not expected",
        ),
        (
            lambda c: Concat(a=conv(c, c, 3, 2, padding=0), b=nn.AvgPool2d(3, 2)),
            "the average is pooled, expected the maximum",
        ),
        (
            lambda c: Concat(
                a=nn.Sequential(conv(c, c, 1), conv(c, c, 3, 2, padding=0)), b=nn.MaxPool2d(3, 2)
            ),
            "it has 176 parameters, expected 152",
        ),
        (lambda c: checks.exercise_2.ours(c), "it calls the package's own"),
        (lambda c: nn.Identity(), "it has 0 parameters, expected 144"),
        (lambda c: 3, "return an nn.Module, got '3'"),
        (Own(4), "it is a network already"),
        (lambda c: Concat(a=conv(c, c, 3, 2, padding=0), b=nn.Identity()), "It raised ValueError"),
    ],
)
def test_wrong_reductions_are_told_apart(reduction, said):
    state, why = checks.exercise_2.judge(reduction)
    assert state == "not right yet" and said.lower() in why.lower()
    assert ("bottleneck" in why) == ("bottleneck" in said)


# --- exercise 3


@pytest.mark.parametrize(
    ("saved_share", "best"),
    [
        (0.11, [(1, 3), (3, 1)]),
        ("0.111", ["3x1", "1x3"]),
        (torch.tensor(1 / 9), torch.tensor([[3, 1], [1, 3]])),
        (np.float32(1 / 9), np.array([[1.0, 3.0], [3.0, 1.0]])),
    ],
    ids=["tuples", "texts", "torch", "numpy"],
)
def test_two_2x2_save_11_percent_and_1x3_with_3x1_cost_least(saved_share, best):
    assert checks.exercise_3.judge(saved_share, best) == ("right", "")


@pytest.mark.parametrize(
    ("two_2x2", "best", "said"),
    [
        (5 / 9, [(1, 3), (3, 1)], "Right: best. saved: It is 0.555556 with you; that is one 2x2"),
        (8 / 9, ..., "what is left, not what is saved. Not attempted yet: best."),
        (11, [(1, 3), (3, 1)], "a share, not percent"),
        (0.28, [(1, 3), (3, 1)], "4 + 4 against 9"),
        (None, [(1, 3), (3, 1)], "saved: It is one number"),
        (1 / 9, [2, 2], "Right: saved. best: They have 8 weights"),
        (1 / 9, [(1, 3), (1, 3)], "they see 1x5"),
        (1 / 9, [3], "it is two kernels"),
        (1 / 9, [(0, 4), (4, 0)], "it is two kernels, each as (height, width) of at least 1"),
        (..., 7, "best: It is two kernels, each as (height, width) of at least 1, got 7."),
    ],
)
def test_wrong_answers_on_two_2x2_are_told_apart(two_2x2, best, said):
    state, why = checks.exercise_3.judge(two_2x2, best)
    assert state == "not right yet" and said.lower() in why.lower()


def test_stubs_are_not_attempted_yet():
    def stub(c):
        """(n, c, 35, 35) -> (n, 2c, 17, 17)"""
        ...

    class Stub(nn.Module):
        """(n, c, 35, 35) -> (n, 2c, 17, 17)"""

        def __init__(self, c): ...

        def forward(self, x): ...

    answers = {"1": [stub], "2": [Stub], "3": [..., (..., ...)]}
    for name, answer in answers.items():
        judged = getattr(checks, f"exercise_{name}").judge(*answer)
        assert judged == ("not attempted yet", "")


# --- windows


@pytest.mark.parametrize("form", lesson.FORMS)
def test_every_form_sees_5x5_by_gradient_and_by_closed_form(form):
    layers = lesson.factors(6, form)
    assert footprints.window(footprints.seen(layers, 6)) == (5, 5)
    assert receptive_field(layers).size == (5, 5)
    first = footprints.window(footprints.seen(layers[:1], 6))
    assert first == kernel_size(lesson.FORMS[form][0][0])


def test_two_3x3_hear_the_middle_on_9_routes_and_a_corner_on_1():
    found = footprints.routes(3, 3)
    line = torch.tensor([0.0, 1, 2, 3, 2, 1, 0])
    assert torch.equal(found, torch.outer(line, line))
    assert footprints.routes((1, 5), (5, 1)).unique().tolist() == [0, 1]
    told = footprints.show({"two": (3, 3), "flat": ((1, 5),)}).words
    assert "two: window 5x5, 25 pixels, at most 9 routes" in told
    assert "flat: window 1x5, 5 pixels, one route each" in told


# --- the explorer


def test_every_split_sees_n_by_n_at_its_price():
    prices = {"1xn + nx1": 14, "only 3x3": 27, "only 1x3 + 3x1": 18}
    for split, weights in prices.items():
        direct, other = factor_explorer.compare(7, split, 4, 8)
        assert (direct.weights, other.weights) == (16 * 49, 16 * weights)
        assert other.macs == 64 * other.weights and other.milliseconds > 0
        assert receptive_field(factor_explorer.layers(other.kernels, 1)).size == (7, 7)


def test_a_way_is_timed_on_one_thread_and_the_threads_come_back(monkeypatch):
    used, before = [], torch.get_num_threads()
    timed = lambda *_, repeats: used.append((torch.get_num_threads(), repeats)) or 1.0  # noqa: E731
    monkeypatch.setattr(factor_explorer, "milliseconds", timed)
    try:
        torch.set_num_threads(2)
        for patience in (1, 4):
            factor_explorer.way("not measured yet", (3,), 5, 9, patience)
        assert used == [(1, 10), (1, 40)] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_changed_is_said_in_words():
    assert factor_explorer.less(100, 72) == "28 % less"
    assert factor_explorer.less(100, 130) == "30 % more"
    assert factor_explorer.less(100, 100.2) == "the same"


def test_the_explorer_starts_at_the_papers_place_and_its_picture_changes():
    explorer = factor_explorer.explorer()
    assert explorer.values == dict(n=7, split="1xn + nx1", c=192, grid=17)
    assert "1x7 + 7x1 against 7x7: MACs 71 % less, time " in explorer.words
    for name, value in dict(c=32, grid=8, n=5, split="only 3x3").items():
        moved(explorer, **{name: value})
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((9, 3.6))[0]
    assert "only 3x3 against 5x5: MACs 28 % less" in explorer.words


def test_the_table_has_a_row_for_each_split_that_is_one(monkeypatch):
    def made_up(n, split, c, grid, *, patience):
        assert patience > 1
        one = factor_explorer.Way("", (n,), 1, 100, 10.0)
        return one, one._replace(macs=50, milliseconds=12.0 if c == 32 else 8.0)

    monkeypatch.setattr(factor_explorer, "compare", made_up)
    rows = factor_explorer.table_here().rows
    assert len(rows) == 8
    assert rows[1] == ("3", "1xn + nx1", "50 % less", "20 % less", "20 % more")


# --- rank


def test_a_pair_says_an_upright_edge_and_misses_89_percent_of_a_diagonal_line():
    assert rank.errors(rank.UPRIGHT)[0].item() == pytest.approx(0, abs=1e-6)
    assert rank.errors(rank.LINE).tolist() == pytest.approx(
        [0.8**0.5, 0.6**0.5, 0.4**0.5, 0.2**0.5, 0]
    )
    assert rank.errors(rank.DIAGONAL)[0].item() == pytest.approx(0.762, abs=1e-3)
    assert "upright edge 0 %, diagonal edge 76 %, diagonal line 89 %" in rank.show_edges().words


def test_no_5x5_is_worse_for_a_pair_than_the_diagonal_line():
    torch.manual_seed(0)
    worst = rank.errors(torch.randn(2000, 5, 5))[:, 0].max()
    assert 0.7 < worst < rank.errors(rank.LINE)[0]


@pytest.mark.parametrize("m", [1, 3, 8])
def test_the_best_pair_is_two_convolutions_that_are_the_nearest_bank(m):
    torch.manual_seed(0)
    weight, x = torch.randn(4, 3, 5, 5).double(), torch.randn(2, 3, 9, 9).double()
    row, column = rank.best_pair(weight, m)
    assert row.shape == (m, 3, 1, 5) and column.shape == (4, m, 5, 1)
    two = conv2d(conv2d(x, row, padding=(0, 2)), column, padding=(2, 0))
    bank = rank.nearest(weight, m)
    assert torch.allclose(two, conv2d(x, bank, padding=2))
    missed = ((bank - weight).norm() / weight.norm()).item()
    assert missed > 0.1 and missed == pytest.approx(
        rank.errors(rank.as_matrix(weight))[m - 1].item()
    )


def test_a_network_through_all_channels_is_the_network_and_stays_untouched():
    torch.manual_seed(0)
    network, x = lesson.plain_network("5x5").eval(), torch.randn(2, 1, 28, 28)
    whole = network(x)
    assert torch.allclose(rank.through_pairs(network, 120)(x), whole, atol=1e-5)
    assert not torch.allclose(rank.through_pairs(network, 12)(x), whole, atol=1e-3)
    assert torch.equal(network(x), whole)


def test_the_rank_of_banks_is_told_and_drawn():
    torch.manual_seed(0)
    flat = torch.randn(6, 6, 5, 1) * torch.randn(6, 6, 1, 5)
    picture = rank.show_rank({"untrained": torch.randn(6, 6, 5, 5), "trained": flat})
    rows = [line.split() for line in picture.words.splitlines()]
    assert rows[2] == "trained, median 0 % 0 % 0 % 0 % 0 %".split()
    assert rows[4][-5:] == "3 6 12 15 30".split() and rows[6][0] == "trained"
    fig = render(rank._draw_rank, {"untrained": flat, "trained": flat}, (10, 4.4))
    assert [len(ax.lines) for ax in fig.axes] == [3, 4]
    assert fig.axes[0].get_title("left") == "One pair misses 0 %"


# --- grid reduction


@pytest.mark.parametrize("way", grid_reduction.WAYS)
def test_each_way_halves_the_grid_and_doubles_the_channels(way):
    assert grid_reduction.reduction(way, 6)(torch.zeros(2, 6, 35, 35)).shape == (2, 12, 17, 17)


def test_conv_first_costs_4_times_pool_first_and_pool_first_is_narrow():
    found, square = grid_reduction.costs(), 9 * 320 * 640
    assert found["pool then conv"] == (17**2 * square, 17 * 17 * 320)
    assert found["conv then pool"] == (35**2 * square, 17 * 17 * 640)
    assert found["side by side"] == (17**2 * square // 2, 17 * 17 * 640)
    assert "conv then pool  2,257,920,000" in grid_reduction.show_costs().words


def test_the_pool_makes_dark_dots_and_stripes_one_field():
    image = grid_reduction.pattern()
    dots, stripes = image[..., 1:17, 19:], image[..., 19:, 1:17]
    assert min(dots.min(), stripes.min()) < 0.1
    for part in (dots, stripes):
        assert max_pool2d(part, 3, 2).min() > 0.9


def test_what_a_way_notices_is_what_changes_its_output():
    image = grid_reduction.pattern()
    shares = {
        way: grid_reduction.noticed(way, image).double().mean() for way in grid_reduction.WAYS
    }
    assert shares["pool then conv"] < 289 / 1225 < 0.9 < shares["conv then pool"] < 1
    assert shares["side by side"] == 1
    seen, pooled = grid_reduction.noticed("pool then conv", image), max_pool2d(image, 3, 2)
    for found in (True, False):
        y, x = (seen == found).nonzero()[50].tolist()
        moved = image.clone()
        moved[..., y, x] += 1e-6
        assert torch.equal(max_pool2d(moved, 3, 2), pooled) is not found


# --- the saved comparison


def test_the_saved_study_is_of_todays_forms_three_seeds_each_and_finished():
    study = saved("factorised")
    assert study["command"] == "python -m authoring measure factorised"
    assert list(study["runs"]) == list(table("factorised")) == list(lesson.FORMS)
    for runs in study["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1, 2]
        assert all(r["stopped"] == "" and r["rows"][-1]["step"] == 400 for r in runs)


def test_the_verdict_has_a_row_for_each_form_and_the_gain_seed_by_seed():
    values = dict(zip(lesson.FORMS, (0.8, 0.9, 0.85, 0.7, 0.75), strict=True))
    runs = {
        form: [dict(test_accuracy=v + i / 100) for i in (-1, 0, 1)] for form, v in values.items()
    }
    words = factor_verdict.show(dict(runs=runs)).words
    assert "5x5                            43,858  6,519,984        80.0 ± 1.0  3" in words
    assert "3x3 + 3x3: ReLU against linear +5.0 ± 0.0 points (seeds +5.00, +5.00, +5.00)" in words
    assert "1x5 + 5x1: ReLU against linear -5.0 ± 0.0 points" in words
    assert "77.2 against 76.2, +1.0 points" in words
    ax = render(factor_verdict._draw, dict(runs=runs), (9, 4)).axes[0]
    assert ax.get_title("left") == "ReLU between: +5.0 ± 0.0 and -5.0 ± 0.0 points"
    assert len(ax.lines) == 10


@pytest.mark.parametrize("form", lesson.FORMS)
def test_a_relu_stands_between_only_where_the_form_says_so(form):
    relus = [isinstance(m, nn.ReLU) for m in lesson.factors(4, form).modules()]
    assert sum(relus) == (2 if "ReLU" in form else 1)


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("06")
