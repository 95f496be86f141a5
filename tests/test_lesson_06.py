import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import conv2d, max_pool2d

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu import layers
from inception_edu.cost import layer_table, receptive_field
from inception_edu.factorised import Fork, Grid17
from inception_edu.figures import on_page, render
from inception_edu.inception_v3 import WIDTHS
from inception_edu.layers import Concat, conv, kernel_size
from inception_edu.lessons.lesson_06 import (
    blocks,
    checks as checks,
    explorer as factor_explorer,
    footprints,
    grid_reduction,
    lines,
    rank,
    runs as lesson,
    verdict,
)
from inception_edu.lessons.lesson_06.pairs import Pair
from inception_edu.lessons.shared import saved
from inception_edu.lessons.studies import ASSETS

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
        lambda *sizes: 1 - Fraction(left(*sizes)),
        lambda *sizes: np.array([[1 - left(*sizes)]]),
    ],
    ids=["rounded", "text", "numpy", "torch", "fraction", "array"],
)
def test_the_saving_of_3x3s_over_n_by_n_is_right_in_every_form(saving):
    assert checks.exercise_1.judge(saving) == ("right", "")
    assert 1 - left(5, 64, 64) == pytest.approx(0.28) and 1 - left(3, 7, 9) == 0


@pytest.mark.parametrize(
    ("saving", "said"),
    [
        (left, "it returns 0.72, expected 0.28; that is what is left, not what is saved."),
        (lambda n, a, b: 100 * (1 - left(n, a, b)), "a fraction, not percent"),
        (lambda n, a, b: 1 - 9 / n**2, "not one"),
        (lambda n, a, b: 1 - 9 * (a + b) / (n * n * a), "(n - 1) / 2 see n x n"),
        (lambda n, a, b: 1 - 9 * (n - 1) / 2 / n**2, "only the first 3x3 reads c_in"),
        (lambda n, a, b: 1 - 9 * (n - 1) / 2 * b / (n * n * a), "the first 3x3 reads c_in"),
        (lambda n, a, b: 0.28, "For n = 5, c_in = 32, c_out = 64 it returns 0.28, expected -0.08"),
        (lambda n, a, b: 1 - left(n, a, 64), "compare 9 c_in c_out"),
        (lambda n, a, b: 1 - left(5, a, b), "For n = 7, c_in = 128, c_out = 128 it returns 0.28"),
        (lambda n, a, b: 1 - 2 / n, "that is what a 1xn and an nx1 save at equal channels"),
        (lambda n, a, b: 1 - (a + b) / (n * a), "that is what a 1xn and an nx1 save."),
        (lambda n, a, b: max(0, 1 - left(n, a, b)), "let the number be negative"),
        (lambda n, a, b: abs(1 - left(n, a, b)), "what costs more has a negative saving"),
        (lambda n, a, b: left(n, a, b) - 1, "its sign is turned round"),
        (lambda n, a, b: 1 - 9 * (b + (n // 2 - 1) * a) / (n * n * b), "there are c_out channels"),
        (lambda n, a, b: round(1 - left(n, a, b), 2), "it is rounded to two decimals"),
        (lambda n, a, b: round(1 - left(n, a, b), 3), "it is rounded to three decimals"),
        (lambda n, a, b: True, "it returns True, expected one number"),
        (lambda n, a, b: n / 0, "It raised ZeroDivisionError"),
    ],
)
def test_wrong_savings_are_told_apart(saving, said):
    state, why = checks.exercise_1.judge(saving)
    assert state == "not right yet" and said in why


# --- exercise 2


def normed(c_in, c_out, k, padding, *, bias=False):
    return [nn.Conv2d(c_in, c_out, k, padding=padding, bias=bias), nn.BatchNorm2d(c_out), nn.ReLU()]


def both(*parts):
    return nn.Sequential(*(layer for part in parts for layer in part))


class Backwards(nn.Module):
    """The second convolution declared first, by torch's functions, in double precision."""

    def __init__(self, c_in, c_out, first, second):
        super().__init__()
        pads = [(h // 2, w // 2) for h, w in (first, second)]
        self.norms = nn.ModuleList([nn.BatchNorm2d(c_out), nn.BatchNorm2d(c_out)])
        self.second = nn.Conv2d(c_out, c_out, second, padding=pads[1])
        self.first = nn.Conv2d(c_in, c_out, first, padding=pads[0], bias=False)
        self.double()

    def forward(self, x):
        x = F.relu(self.norms[0](self.first(x)))
        return self.norms[1](self.second(x)).clamp(min=0)


class Detached(Backwards):
    def forward(self, x):
        x = F.relu(self.norms[0](self.first(x))).detach()
        return self.norms[1](self.second(x)).relu()


class NoRelu(Backwards):
    def forward(self, x):
        return self.norms[1](self.second(self.norms[0](self.first(x)))).relu()


def changed(build, kind, other):
    """A builder whose layers of a kind are others, made of the channels in front of them."""

    def make(*sizes):
        layers, c = [], 0
        for layer in build(*sizes):
            c = getattr(layer, "out_channels", c)
            layers.append(other(c) if isinstance(layer, kind) else layer)
        return nn.Sequential(*layers)

    return make


def ended(build, layer):
    """A builder with another layer at the end."""
    return lambda *sizes: nn.Sequential(*build(*sizes), layer)


class OwnNorm(nn.Module):
    """Batch norm by torch's function, its numbers in parameters and buffers of its own."""

    def __init__(self, c):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
        self.eps = 1e-3
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("var", torch.ones(c))

    def forward(self, x):
        own = self.mean, self.var, self.scale, self.shift, self.training
        return F.batch_norm(x, *own, 0.03, self.eps)


def lazy(c_in, c_out):
    layers = (nn.LazyConv2d(c_out, 3, padding=1), nn.LazyBatchNorm2d(), nn.ReLU(inplace=True))
    return both(layers, (nn.LazyConv2d(c_out, 3, padding=1), nn.LazyBatchNorm2d(), nn.ReLU()))


def with_bias(c_in, c_out):
    return both(*(normed(i, c_out, 3, "same", bias=True) for i in (c_in, c_out)))


def bare(c_in, c_out):
    three = dict(kernel_size=3, padding=1)
    pair = nn.Conv2d(c_in, c_out, **three), nn.Conv2d(c_out, c_out, **three)
    return nn.Sequential(pair[0], nn.ReLU(), pair[1], nn.ReLU())


def norm_last(c_in, c_out):
    parts = [normed(i, c_out, 3, 1) for i in (c_in, c_out)]
    return both(*([layer, relu, norm] for layer, norm, relu in parts))


@pytest.mark.parametrize(
    "build",
    [
        with_bias,
        lambda i, o: Backwards(i, o, (3, 3), (3, 3)),
        lambda i, o: nn.Sequential(conv(i, o, 3), conv(o, o, 3)),
        lambda i, o: Pair(i, o, ((3, 3), (3, 3)), biases=(False, True)),
        lazy,
        changed(with_bias, nn.BatchNorm2d, OwnNorm),
        changed(with_bias, nn.ReLU, lambda c: nn.Threshold(0.0, 0.0)),
    ],
)
def test_two_3x3_of_any_make_are_right(build):
    assert checks.check_two_3x3(build) is None


@pytest.mark.parametrize(
    "build",
    [
        lambda i, o, n: Backwards(i, o, (1, n), (n, 1)),
        lambda i, o, n: nn.Sequential(conv(i, o, (1, n)), conv(o, o, (n, 1))),
        lambda i, o, n: both(normed(i, o, (1, n), "same"), normed(o, o, [n, 1], "same", bias=True)),
    ],
)
def test_a_1xn_and_an_nx1_of_any_make_are_right(build):
    assert checks.check_factorised(build) is None


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda i, o: both(normed(i, o, 3, 0), normed(o, o, 3, 0)), "neither convolution has"),
        (lambda i, o: both(normed(i, o, 3, 1), normed(o, o, 3, 0)), "the second 3x3 has no pad"),
        (lambda i, o: both(normed(i, o, 3, 0), normed(o, o, 3, 1)), "the first 3x3 has no padding"),
        (lambda i, o: NoRelu(i, o, (3, 3), (3, 3)), "a ReLU is missing between"),
        (lambda i, o: with_bias(i, o)[:5], "the ReLU after the second convolution is missing"),
        (lambda i, o: Pair(i, o, ((3, 3), (3, 3)), between=False, after=False), "no ReLU at all"),
        (norm_last, "batch norm stands behind the ReLU"),
        (bare, "batch norm is missing"),
        (lambda i, o: both(normed(i, o, 5, 2)), "first 3x3 and second 3x3, got 5x5"),
        (lambda i, o: both(normed(i, o, 3, 1), normed(o, o, 5, 2)), "its kernels are 3x3 and 5x5"),
        (lambda i, o: both(normed(i, i, 3, 1), normed(i, o, 3, 1)), "c_in = 5 channels stand"),
        (lambda i, o: both(normed(o, i, 3, 1), normed(o, o, 3, 1)), "c_in and c_out are exchanged"),
        (lambda i, o: both(normed(i, 7, 3, 1), normed(7, o, 3, 1)), "take 5 to 7, 7 to 9 channels"),
        (lambda i, o: both(normed(5, 9, 3, 1), normed(9, 9, 3, 1)), "for c_in = 10, c_out = 8"),
        (lambda i, o: Detached(i, o, (3, 3), (3, 3)), "something is detached"),
        (changed(with_bias, nn.ReLU, lambda c: nn.ReLU6()), "something else"),
        (changed(with_bias, nn.ReLU, lambda c: nn.LeakyReLU()), "a leaky ReLU stands"),
        (changed(with_bias, nn.ReLU, lambda c: nn.GELU()), "a GELU stands"),
        (changed(with_bias, nn.BatchNorm2d, lambda c: nn.BatchNorm2d(c, c)), "an epsilon of 9"),
        (
            changed(with_bias, nn.BatchNorm2d, lambda c: nn.BatchNorm2d(c, affine=False)),
            "no weights of its own",
        ),
        (
            changed(
                with_bias, nn.BatchNorm2d, lambda c: nn.BatchNorm2d(c, track_running_stats=False)
            ),
            "in use its norm takes the batch's own mean",
        ),
        (
            changed(with_bias, nn.BatchNorm2d, lambda c: nn.InstanceNorm2d(c, affine=True)),
            "the mean over one image alone",
        ),
        (changed(with_bias, nn.BatchNorm2d, lambda c: nn.GroupNorm(1, c)), "over all channels"),
        (ended(with_bias, nn.Dropout(0.2)), "changes with each call: dropout"),
        (lambda i, o: lesson.two_3x3(i, o), "it calls the package's own"),
        (lambda i, o: layers.stack(i, (o, 3), (o, 3)), "it calls the package's own"),
        (lambda i, o: None, "return an nn.Module, got 'None'"),
        (lambda i, o: nn.Identity(), "got none"),
        (both(normed(5, 9, 3, 1), normed(9, 9, 3, 1)), "it is a network already"),
    ],
)
def test_wrong_pairs_of_3x3_are_told_apart(build, said):
    assert said in checks.check_two_3x3(build)


def row_and_column(row, column):
    """A builder with these paddings, made of n."""
    return lambda i, o, n: both(
        normed(i, o, (1, n), row(n // 2)), normed(o, o, (n, 1), column(n // 2))
    )


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (row_and_column(lambda p: 0, lambda p: 0), "neither convolution has padding"),
        (row_and_column(lambda p: (0, p), lambda p: 0), "the 7x1 has no padding"),
        (row_and_column(lambda p: (0, p), lambda p: (0, p)), "the 7x1 is padded like the 1x7; it"),
        (row_and_column(lambda p: (p, 0), lambda p: (p, 0)), "the 1x7 is padded like the 7x1; it"),
        (row_and_column(lambda p: (p, 0), lambda p: (0, p)), "the paddings are exchanged: the 1x7"),
        (row_and_column(lambda p: p, lambda p: 0), "all of the padding stands before the 1x7"),
        (
            ended(row_and_column(lambda p: (0, p), lambda p: (p, 0)), nn.Dropout2d(0.1)),
            "changes with each call: dropout",
        ),
        (row_and_column(lambda p: p, lambda p: p), "one number as padding pads height and width"),
        (lambda i, o, n: Backwards(i, o, (n, 1), (1, n)), "the 7x1 comes first, expected last"),
        (lambda i, o, n: Backwards(i, o, (n, n), (n, n)), "its kernels are 7x7 and 7x7"),
        (lambda i, o, n: Backwards(i, o, (1, n), (1, n)), "its kernels are 1x7 and 1x7"),
        (lambda i, o, n: Backwards(i, o, (1, 7), (7, 1)), "n = 3: its kernels are 7x1 and 1x7"),
        (lambda i, o, n: NoRelu(i, o, (1, n), (n, 1)), "a ReLU is missing between"),
        (lambda i, o, n: Detached(i, o, (1, n), (n, 1)), "something is detached"),
        (lambda i, o, n: lesson.factorised(i, o, n), "it calls the package's own"),
        (lambda i, o, n: nn.Conv2d(i, o, n, padding=n // 2), "got 7x7"),
    ],
)
def test_wrong_rows_and_columns_are_told_apart(build, said):
    assert said in checks.check_factorised(build)


def test_exchanged_paddings_keep_the_shape_and_change_the_border():
    torch.manual_seed(0)
    x, kernels = torch.randn(2, 3, 11, 12), ((1, 5), (5, 1))
    right = Pair(3, 4, kernels)
    nn.init.normal_(right.weights[0]), nn.init.normal_(right.weights[1])
    wrong = Pair(3, 4, kernels, pads=((2, 0), (0, 2)))
    wrong.load_state_dict(right.state_dict())
    a, b = right.eval()(x), wrong.eval()(x)
    assert a.shape == b.shape and not torch.allclose(a, b, atol=1e-3)
    assert torch.allclose(a[..., 2:-2, 2:-2], b[..., 2:-2, 2:-2], atol=1e-5)


def test_exercise_2_judges_each_function_and_goes_on_with_both(capsys):
    right = lambda i, o, n: Backwards(i, o, (1, n), (n, 1))  # noqa: E731
    state, why = checks.exercise_2.judge(bare, right)
    assert state == "not right yet" and why.startswith("Right: factorised. two_3x3: For c_in = 5")

    def stub(c_in, c_out):
        """(batch, c_in, h, w) -> (batch, c_out, h, w), two 3x3"""
        ...

    ours = lesson.two_3x3, lesson.factorised
    assert checks.exercise_2.check(stub, stub) == ours
    assert "package's two_3x3 and factorised" in capsys.readouterr().out
    assert checks.exercise_2.judge(*ours) == ("not attempted yet", "")
    assert checks.exercise_2.keep == ("two_3x3", "factorised")


# --- exercise 3


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


class Twice(Own):
    def forward(self, x):
        return torch.cat([self.norm(self.layer(x)).relu()] * 2, dim=1)


class DeafPool(Own):
    def forward(self, x):
        half = self.norm(self.layer(x)).relu()
        return torch.cat([half, max_pool2d(x.detach(), 3, 2)], dim=1)


class Cut(Biased):
    def forward(self, x):
        return super().forward(x).detach()


class ForSix(nn.Sequential):
    def __init__(self, c):
        super().__init__(Own(6))


class Listed(Biased):
    """Its convolution stands in a plain list."""

    def __init__(self, c):
        super().__init__(c)
        self.layers = [self.layer]
        del self.layer

    def forward(self, x):
        return torch.cat([self.layers[0](x), max_pool2d(x, 3, 2)], dim=1)


class Unfolded(Biased):
    """The pool as the largest of windows that are cut out, the halves in front of each other."""

    def forward(self, x):
        windows = x.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
        return torch.stack([windows, self.layer(x)], 1).flatten(1, 2)


def normed_only(c):
    pool = nn.MaxPool2d((3, 3), stride=2, ceil_mode=True)
    return Concat(a=conv(c, c, 3, 2, padding=0, relu=False), b=pool)


def swapped(c):
    return Concat(pool=nn.AdaptiveMaxPool2d(17), conv=conv(c, c, 3, 2, padding=0, norm=False))


@pytest.mark.parametrize("build", [Own, Biased, swapped, Unfolded, normed_only])
def test_conv_and_pool_side_by_side_are_right_of_any_make_and_in_any_order(build):
    assert checks.exercise_3.judge(build) == ("right", "")


@pytest.mark.parametrize(
    ("reduction", "said"),
    [
        (lambda c: grid_reduction.reduction("pool, then convolution", c), "a bottleneck"),
        (
            lambda c: grid_reduction.reduction("convolution, then pool", c),
            "on the full grid, which costs four times as much",
        ),
        (lambda c: nn.Conv2d(c, 2 * c, 3, 2), "all 2c channels are convolved"),
        (Unused, "both halves come from the pool, and the convolution is not used"),
        (Twice, "both halves come from the convolution, and nothing from the pool"),
        (DeafPool, "its input gets other gradients: something is detached"),
        (Cut, "no gradient flows back"),
        (Listed, "it has 0 parameters, expected 144; layers in a plain Python list do not count"),
        (lambda c: Concat(a=nn.Conv2d(c, c, 3, 2), b=nn.MaxPool2d(2)), "its pool is 2x2"),
        (lambda c: nn.Sequential(Biased(c), nn.ReLU()), "a ReLU stands behind the joining"),
        (lambda c: nn.Sequential(Own(c), nn.Dropout(0.2)), "changes with each call: dropout"),
        (
            lambda c: Concat(
                a=nn.Sequential(nn.Conv2d(c, c, 3, 2), nn.ReLU6()), b=nn.MaxPool2d(3, 2)
            ),
            "a ReLU has no upper limit",
        ),
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
        (lambda c: checks.exercise_3.ours(c), "it calls the package's own"),
        (lambda c: nn.Identity(), "it has 0 parameters, expected 144"),
        (lambda c: 3, "return an nn.Module, got '3'"),
        (Own(4), "it is a network already"),
        (lambda c: Concat(a=conv(c, c, 3, 2, padding=0), b=nn.Identity()), "It raised ValueError"),
    ],
)
def test_wrong_reductions_are_told_apart(reduction, said):
    state, why = checks.exercise_3.judge(reduction)
    assert state == "not right yet" and said.lower() in why.lower()
    assert ("bottleneck" in why) == ("bottleneck" in said)


def test_stubs_are_not_attempted_yet():
    class Stub(nn.Module):
        """(n, c, 35, 35) -> (n, 2c, 17, 17)"""

        def __init__(self, c): ...

        def forward(self, x): ...

    def stub(n, c_in, c_out):
        """odd n, channels in and out -> fraction of the MACs saved"""
        ...

    assert checks.exercise_1.judge(stub) == ("not attempted yet", "")
    assert checks.exercise_3.judge(Stub) == ("not attempted yet", "")


# --- windows


@pytest.mark.parametrize("form", lesson.FORMS)
def test_every_form_sees_5x5_by_gradient_and_by_closed_form(form):
    stack = lesson.factors(6, 6, form)
    assert footprints.window(footprints.seen(stack, 6)) == (5, 5)
    assert receptive_field(stack).size == (5, 5)
    first = footprints.window(footprints.seen(stack[:1], 6))
    assert first == kernel_size(lesson.FORMS[form][0][0])


def test_two_3x3_hear_the_middle_on_9_routes_and_a_corner_on_1():
    found = footprints.routes(3, 3)
    line = torch.tensor([0.0, 1, 2, 3, 2, 1, 0])
    assert torch.equal(found, torch.outer(line, line))
    assert footprints.routes((1, 5), (5, 1)).unique().tolist() == [0, 1]
    told = footprints.show({"two": (3, 3), "flat": ((1, 5),)}).words
    assert "two: receptive field 5x5, 25 pixels, at most 9 routes" in told
    assert "flat: receptive field 1x5, 5 pixels, one route each" in told


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
        factor_explorer.way("not measured yet", (3,), 5, 9)
        assert used == [(1, 10)] and torch.get_num_threads() == 2
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


# --- rank


def test_the_best_pair_misses_89_percent_of_a_diagonal_line():
    assert rank.errors(rank.LINE).tolist() == pytest.approx(
        [0.8**0.5, 0.6**0.5, 0.4**0.5, 0.2**0.5, 0]
    )


@pytest.mark.parametrize("kind", lines.KINDS)
def test_level_and_upright_kernels_are_one_pair_and_45_degrees_is_worst(kind):
    missed = {d: rank.errors(lines.kernel(kind, d))[0].item() for d in range(0, 91, 5)}
    assert missed[0] == missed[90] == pytest.approx(0, abs=1e-6)
    assert max(missed, key=missed.get) == 45 and missed[45] > 0.7
    assert missed[30] == pytest.approx(missed[60]) and not torch.equal(
        lines.kernel(kind, 30), lines.kernel(kind, 60)
    )


def test_all_five_pairs_are_the_kernel_and_fewer_are_told():
    image = torch.randint(0, 256, (1, 9, 9), dtype=torch.uint8)
    assert max(lines.summed("line", 45, 5, image).missed) < 1e-6
    kernel, output = lines.summed("line", 45, 3, image).missed
    assert 0.01 < output and kernel == pytest.approx(
        rank.errors(lines.kernel("line", 45))[2].item()
    )
    told = lines.words(lines.summed("edge", 0, 1, image))
    assert "edge at 0 degrees, 1 pair: 0 % of the kernel is missed, 0 % of its output" in told
    assert told.endswith("energy of its five pairs: 100 %, 0 %, 0 %, 0 %, 0 %")


def test_the_explorer_of_lines_follows_its_controls():
    explorer = lines.explorer(torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8))
    for name, value in dict(degrees=45, pairs=4, kind="edge").items():
        moved(explorer, **{name: value})
    assert "edge at 45 degrees, 4 pairs:" in explorer.words


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
    network, x = lesson.five_by_five("5x5").eval(), torch.randn(2, 1, 28, 28)
    whole = network(x)
    assert torch.allclose(rank.through_pairs(network, 120)(x), whole, atol=1e-5)
    assert not torch.allclose(rank.through_pairs(network, 12)(x), whole, atol=1e-3)
    assert torch.equal(network(x), whole)


def test_the_rank_of_banks_is_told_and_drawn():
    torch.manual_seed(0)
    flat = torch.randn(6, 6, 5, 1) * torch.randn(6, 6, 1, 5)
    picture = rank.show_rank({"untrained": torch.randn(6, 6, 5, 5), "trained": flat})
    rows = [line.split() for line in picture.words.splitlines()]
    assert rows[2] == "trained, median 0 % 0 % 0 % 0 % 0 % 1".split()
    assert rows[4][-6:] == "3 6 12 15 30 rank".split() and rows[6][0] == "trained"
    assert rows[1][-1] == "5" and rows[5][-1] == "30"
    fig = render(rank._draw_rank, {"untrained": torch.randn(6, 6, 5, 5), "trained": flat}, (11, 5))
    assert [len(ax.lines) for ax in fig.axes] == [3, 4]
    assert fig.axes[0].get_title("left").startswith("One pair misses 0 %, untrained ")


# --- grid reduction


@pytest.mark.parametrize("way", grid_reduction.WAYS)
def test_each_way_halves_the_grid_and_doubles_the_channels(way):
    assert grid_reduction.reduction(way, 6)(torch.zeros(2, 6, 35, 35)).shape == (2, 12, 17, 17)


def test_the_four_ways_cost_what_the_paper_counts_and_one_is_narrow():
    counted, square = grid_reduction.costs(), 9 * 320 * 640
    full, half = 17 * 17 * 640, 17 * 17 * 320
    assert counted["pool, then convolution"] == (17**2 * square, half) == (532_684_800, 92_480)
    assert counted["convolution, then pool"] == (35**2 * square, full)
    assert counted["stride-2 convolution"] == (17**2 * square, full) == (532_684_800, 184_960)
    assert counted["side by side"] == (17**2 * square // 2, full)
    assert "convolution, then pool  2,257,920,000" in grid_reduction.show_costs().words


def test_the_pool_makes_dark_dots_and_stripes_one_field():
    image = grid_reduction.pattern()
    dots, stripes = image[..., 1:17, 19:], image[..., 19:, 1:17]
    assert min(dots.min(), stripes.min()) < 0.1
    for part in (dots, stripes):
        assert max_pool2d(part, 3, 2).min() > 0.9


def test_what_is_seen_is_what_changes_the_output():
    image, parts = grid_reduction.pattern(), grid_reduction.parts()
    seen = {name: grid_reduction.noticed(layers, image) for name, layers in parts.items()}
    fractions = {name: grid_reduction.percent(one) for name, one in seen.items()}
    assert fractions["max pool alone"] == fractions["pool, then convolution"] < 289 / 1225
    assert 0.8 < fractions["convolution, then pool"] < 1
    for name in ("half of the channels, convolved", "stride-2 convolution", "side by side"):
        assert fractions[name] == 1
    for name in ("max pool alone", "convolution, then pool"):
        before = parts[name](image)
        for changes in (True, False):
            y, x = (seen[name] == changes).nonzero()[50].tolist()
            other = image.clone()
            other[..., y, x] += 1e-6
            assert torch.equal(parts[name](other), before) is not changes


def test_the_picture_of_the_pattern_tells_every_part():
    words = grid_reduction.show_pattern().words
    assert "max pool alone" in words and "side by side" in words and words.count(" 100\n") == 3


# --- the block on 17x17


def test_the_block_with_1x7_and_7x1_is_the_papers_and_the_others_see_as_much():
    with torch.device("meta"):
        ours = blocks.grid17(blocks.SEVENS["1x7 and 7x1"])
        theirs = Grid17(768, WIDTHS["grid17d"])
        fields = {
            name: [receptive_field(branch).size for branch in blocks.grid17(kernels).values()]
            for name, kernels in blocks.SEVENS.items()
        }
    shape = 768, 17, 17
    assert layer_table(ours, shape).macs == layer_table(theirs, shape).macs == 617_914_368
    assert fields["7x7"] == fields["three 3x3"] == fields["1x7 and 7x1"]
    assert [row[2] for row in blocks.sevens().rows[1:]] == ["0%", "40%", "64%"]


# --- the saved studies

STUDIES = [
    name
    for name in ("factorised", "reduce", "reductions", "wide")
    if (ASSETS / f"{name}.json").is_file()
]


def made_up(entries, means, n=5):
    """A study of these entries, whose runs lie around the means, in percent."""
    runs = {
        name: [
            dict(
                test_accuracy=mean / 100 + i % 3 / 1000,
                rows=[dict(step=215, valid_accuracy=mean / 200)],
            )
            for i in range(n)
        ]
        for name, mean in zip(entries, means, strict=True)
    }
    return dict(command="python -m authoring measure x", hardware="a", versions={}, runs=runs)


@pytest.mark.parametrize("name", STUDIES)
def test_a_saved_study_is_of_todays_entries_and_finished(name):
    study, entries = saved(name), table(name)
    assert study["command"].startswith(f"python -m authoring measure {name}")
    assert list(study["runs"]) == list(entries)
    seeds = {tuple(run["seed"] for run in runs) for runs in study["runs"].values()}
    assert len(seeds) == 1 and len(*seeds) >= 3
    for entry, runs in study["runs"].items():
        last = entries[entry].recipe.steps
        assert all(run["stopped"] == "" and run["rows"][-1]["step"] == last for run in runs)


def test_the_five_networks_are_told_layer_by_layer_with_their_costs():
    rows = verdict.five_networks().rows[1:]
    assert [row[0] for row in rows] == list(lesson.FORMS)
    assert rows[0][1:] == ("5x5, norm, ReLU", "43,858", "6,519,984")
    assert rows[4][1] == "1x5, norm; 5x1, norm, ReLU"


def test_differences_are_paired_and_bold_where_they_can_be_told():
    study = made_up(lesson.FORMS, (80, 90, 85, 70, 75))
    study["runs"]["1x5 + 5x1, ReLU between"][0]["test_accuracy"] = 0.9
    found = verdict.against(study, verdict.BETWEEN)
    assert found.rows[1][2:] == ("+5.0 (+5.0 to +5.0)", "better")
    assert found.rows[2][3] == "cannot tell" and found.bold == {0}
    assert found.caption.startswith("n = 5 seeds, paired; python -m authoring measure x")
    assert verdict.gain(study, "5x5", "3x3 + 3x3, ReLU between") == -10
    assert verdict.reached(study, lesson.RUNS).rows[1][-2:] == ("80.1 ± 0.1", "5")


def test_every_run_of_the_forms_is_a_dot():
    picture = verdict.show_forms(made_up(lesson.FORMS, (80, 90, 85, 70, 75)))
    assert "A ReLU between the two: +5.0 and -5.0 points" in picture.words
    assert "5x5: 80.1 ± 0.1 %" in picture.words and "10 lines, 5 labels" in picture.words


@pytest.mark.parametrize(
    ("means", "fewest", "title"),
    [
        ((88, 88, 88, 88, 80, 70), 8, "No loss is shown down to 8 of 32 channels"),
        ((88, 88, 80, 88, 88, 88), 32, "No loss is shown down to 32 of 32 channels"),
        ((88, 80, 88, 88, 88, 88), None, "Every reduce loses accuracy"),
    ],
)
def test_the_fewest_channels_without_a_loss_are_above_the_first_loss(means, fewest, title):
    study = made_up(lesson.REDUCE, means)
    values = {name: verdict.accuracies(study, name) for name in lesson.REDUCE}
    values["8 channels"][0] -= 0.1  # so that an interval is one
    assert verdict.without_loss(values) == fewest
    assert render(verdict._draw_reduce, values, (9, 4)).axes[0].get_title("left") == title
    assert "7 lines, 2 legend entries" in verdict.show_reduce(study).words


def test_ways_and_ends_are_drawn_with_the_highest_named():
    ways = made_up(lesson.REDUCTIONS, (80, 81, 82, 85, 79))
    assert "Side by side: highest mean" in verdict.show_ways(ways).words
    rows = verdict.against(ways, verdict.POOL).rows[1:]
    assert {row[0] for row in rows} == {"side by side"} and len(rows) == 4
    ends = made_up(lesson.WIDE, (80, 81))
    assert "Wide against deep: -1.0 (-1.0 to -1.0) points" in verdict.show_ends(ends).words
    rows = verdict.ends(ends).rows[1:]
    assert rows[0] == ("on validation images, after 215 steps", "-0.5 (-0.5 to -0.5)", "worse")
    assert rows[1] == ("on test images", "-1.0 (-1.0 to -1.0)", "worse")


def test_each_way_to_halve_has_a_colour_of_its_own(monkeypatch):
    monkeypatch.setattr(verdict, "show_dots", lambda dots: dots)
    dots = verdict.show_ways(made_up(lesson.REDUCTIONS, (80, 81, 82, 85, 79)))
    assert len(dots.values) == len(set(dots.colours)) == 5


def test_the_study_of_the_reduce_has_a_control_of_as_many_layers():
    """Against the network without a 1x1, one more layer hides a loss."""
    rows = {row[:2]: row[2:] for row in verdict.against(saved("reduce"), verdict.REDUCED).rows[1:]}
    assert rows["16 channels", "no reduce"] == ("+0.2 (-0.1 to +0.4)", "cannot tell")
    assert rows["16 channels", "32 channels"] == ("-0.3 (-0.5 to -0.1)", "worse")
    assert rows["32 channels", "no reduce"] == ("+0.5 (+0.3 to +0.6)", "better")


# --- the networks of the studies


@pytest.mark.parametrize("form", lesson.FORMS)
def test_a_relu_stands_between_only_where_the_form_says_so(form):
    relus = [isinstance(m, nn.ReLU) for m in lesson.factors(4, 4, form).modules()]
    assert sum(relus) == (2 if "ReLU" in form else 1)


@pytest.mark.parametrize("study", ["factorised", "reduce", "reductions", "wide"])
def test_every_entry_of_a_study_is_a_classifier_of_garments(study):
    for name, entry in table(study).items():
        network = entry.build().eval()
        assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10), name


def test_a_reduce_costs_what_its_channels_say():
    def layer_macs(channels):
        return layer_table(lesson.reduced(32, 32, channels), (32, 14, 14)).macs // 14**2

    assert layer_macs(None) == 25 * 32 * 32
    assert layer_macs(8) == 32 * 8 + 25 * 8 * 32


def test_ways_to_halve_differ_in_nothing_but_the_reduction():
    networks = {name: entry.build() for name, entry in lesson.REDUCTIONS.items()}
    half = networks.pop(lesson.HALF)
    layers = {
        tuple(tuple(p.shape) for name, p in n.named_parameters() if "reduction" not in name)
        for n in networks.values()
    }
    assert len(layers) == 1
    convs = [half.reduction1, networks["side by side"].reduction1["conv"]]
    assert convs[0].conv.weight.shape == convs[1].conv.weight.shape


def test_wide_and_deep_last_blocks_cost_the_same_within_1_percent():
    wide, deep = (layer_table(entry.build(), (1, 28, 28)).macs for entry in lesson.WIDE.values())
    assert abs(wide / deep - 1) < 0.01 and wide != deep
    ends = [lesson.last_block(64, end) for end in lesson.ENDS]
    outputs = [end(torch.zeros(2, 64, 6, 6)).shape[1] for end in ends]
    assert outputs == [128, 92]
    assert [sum(isinstance(m, Fork) for m in end.modules()) for end in ends] == [2, 0]


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("06")
