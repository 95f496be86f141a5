import struct
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import interpolate

from conftest import moved, solutions_pass
from inception_edu import googlenet
from inception_edu.cost import conv_cost, layer_table, receptive_field
from inception_edu.data import Dataset, Split
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.layers import Concat, conv, stack
from inception_edu.lessons import shared, studies as studies_module
from inception_edu.lessons.lesson_02 import (
    activations,
    answers,
    checks as checks,
    muting,
    pictures as lesson,
    runs,
)
from inception_edu.lessons.shared import small_googlenet
from inception_edu.training import silent

pytestmark = pytest.mark.usefixtures("one_thread")


def judged(exercise, answer, said):
    """An answer is right where nothing is to be said of it."""
    state, told = exercise.judge(answer)
    assert state == ("not right yet" if said else "right"), told
    assert said in told and bool(said) == bool(told), told


# --- exercise 1

RIGHT_PADDINGS = dict(branch1x1=0, branch3x3=1, branch5x5=2, branch_pool=1)


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT_PADDINGS,
        [0, 1, 2, 1],
        torch.tensor([0, 1, 2, 1]),
        [0, (1, 1), [2, 2], 1.0],
        dict(branch_pool=1.0, branch5x5="2", branch3x3=np.int64(1), branch1x1=torch.tensor(0)),
    ],
)
def test_paddings_of_0_1_2_1_are_right_in_every_form(answer):
    judged(checks.exercise_1, answer, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(branch5x5=1), "branch5x5: With padding 1 this 5x5 convolution turns 28 x 20 pixels"),
        (dict(branch5x5=1), "into 26 x 18."),
        (dict(branch5x5=1), "Right: branch1x1, branch3x3, branch_pool."),
        (dict(branch1x1=1), "branch1x1: With padding 1 this 1x1 convolution turns 28 x 20 pixels"),
        (dict(branch_pool=0), "branch_pool: With padding 0 this 3x3 max pool turns 28 x 20 pixels"),
        (dict(branch_pool=2), "branch_pool: A max pool takes at most half its window of 3, so 1"),
        (dict(branch3x3=-1), "branch3x3: A padding is a whole number of pixels, from 0, got '-1'."),
        (dict(branch3x3="same"), "as a number, instead of 'same'."),
        (dict(branch5x5=(1, 2)), "from 0, got '(1, 2)'."),
        (dict(branch1x1=10**12), "20 pixels into 2000000000028 x 2000000000020."),
        (dict(branch5x5=...), "Not attempted yet: branch5x5."),
        (dict(branch7x7=3), "It has 'branch7x7'; its parts are branch1x1, branch3x3,"),
    ],
)
def test_each_padding_is_judged_by_itself(changed, said):
    judged(checks.exercise_1, RIGHT_PADDINGS | changed, said)


def test_paddings_all_one_too_large_are_told_one_by_one():
    _, told = checks.exercise_1.judge({name: p + 1 for name, p in RIGHT_PADDINGS.items()})
    assert [told.count(f"{name}: ") for name in RIGHT_PADDINGS] == [1] * 4
    assert "RuntimeError" not in told and told.count("pixels into") == 3


@pytest.mark.parametrize(("k", "padding"), [(k, p) for k in (1, 3, 5) for p in range(4)])
def test_the_sides_that_are_told_are_those_of_a_layer(k, padding):
    h, w = nn.Conv2d(1, 1, k, padding=padding)(torch.zeros(1, 1, 28, 20)).shape[2:]
    told = checks.check_padding(k, pool=False)(padding)
    assert told is None if (h, w) == (28, 20) else told.endswith(f"28 x 20 pixels into {h} x {w}")


# --- exercise 2


def layer(c_in, c_out, k, norm, relu=True):
    parts = [nn.Conv2d(c_in, c_out, k, padding="same", bias=not norm)]
    parts += [nn.BatchNorm2d(c_out)] * norm + [nn.ReLU()] * relu
    return nn.Sequential(*parts)


class ByHand(nn.Module):
    """Declared in another order, in a dictionary; pool and joining by functions."""

    def __init__(self, c_in, row, norm=True, k5=5):
        super().__init__()
        self.pool = layer(c_in, row.pool_proj, 1, norm)
        self.five = self.make_five(c_in, row, norm, k5)
        self.three = nn.ModuleDict(
            dict(
                large=layer(row.n3x3_reduce, row.n3x3, 3, norm),
                reduce=layer(c_in, row.n3x3_reduce, 1, norm),
            )
        )
        self.one = layer(c_in, row.n1x1, 1, norm)

    def make_five(self, c_in, row, norm, k5):
        reduce = layer(c_in, row.n5x5_reduce, 1, norm)
        return nn.Sequential(reduce, layer(row.n5x5_reduce, row.n5x5, k5, norm))

    def parts(self, x):
        three = self.three["large"](self.three["reduce"](x))
        return [self.one(x), three, self.five(x), self.pool(F.max_pool2d(x, 3, 1, 1))]

    def forward(self, x):
        return torch.concat(self.parts(x), axis=1)


class Doubles(ByHand):
    """In double precision, with one ReLU in place over all that is joined."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.double()

    def forward(self, x):
        return torch.cat(self.parts(x), 1).relu_()


def declarative(c_in, row, norm=True, k5=5):
    return Concat(
        branch1x1=conv(c_in, row.n1x1, 1, norm=norm),
        branch3x3=stack(c_in, (row.n3x3_reduce, 1), (row.n3x3, 3), norm=norm),
        branch5x5=stack(c_in, (row.n5x5_reduce, 1), (row.n5x5, k5), norm=norm),
        branch_pool=nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(c_in, row.pool_proj, 1, norm=norm)),
    )


@pytest.mark.parametrize("build", [ByHand, Doubles, declarative, checks.Block])
def test_an_inception_block_of_any_make_is_right(build):
    judged(checks.exercise_2, build, "")


def changed(**how):
    return lambda *args, norm, k5: checks.Block(*args, norm, k5, **how)


class Swapped(ByHand):
    def parts(self, x):
        one, three, five, pool = super().parts(x)
        return [one, five, three, pool]


class Detached(ByHand):
    def parts(self, x):
        one, three, five, pool = super().parts(x)
        return [one, three.detach(), five, pool]


class DeafPool(ByHand):
    def parts(self, x):
        return [*super().parts(x)[:3], self.pool(F.max_pool2d(x.detach(), 3, 1, 1))]


class Dropped(ByHand):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.5, self.training)


class Narrow(ByHand):
    """The 5x5 branch without padding."""

    def make_five(self, c_in, row, norm, k5):
        reduce = layer(c_in, row.n5x5_reduce, 1, norm)
        return nn.Sequential(reduce, nn.Conv2d(row.n5x5_reduce, row.n5x5, k5, bias=not norm))


class NoReduce(ByHand):
    def make_five(self, c_in, row, norm, k5):
        return layer(c_in, row.n5x5, k5, norm)


class DownTheRows(ByHand):
    """Joined along the height."""

    def forward(self, x):
        return torch.cat(self.parts(x), 2)


class AtOnce(ByHand):
    """Both reduces in one convolution: as many weights, in other shapes."""

    def __init__(self, c_in, row, norm=True, k5=5):
        super().__init__(c_in, row, norm, k5)
        self.cut = row.n3x3_reduce, row.n5x5_reduce
        self.both = layer(c_in, sum(self.cut), 1, norm)
        self.three["reduce"], self.five[0] = nn.Identity(), nn.Identity()

    def parts(self, x):
        three, five = self.both(x).split(self.cut, 1)
        pooled = self.pool(F.max_pool2d(x, 3, 1, 1))
        return [self.one(x), self.three["large"](three), self.five(five), pooled]


class Begun(nn.Module):
    def __init__(self, c_in, row, norm=True, k5=5):
        super().__init__()
        self.one = nn.Conv2d(c_in, row.n1x1, 1)

    def forward(self, x): ...


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Swapped, "the branches are joined as 1x1, 5x5, 3x3, pool; [G] joins 1x1, 3x3, 5x5, pool"),
        (changed(order=(3, 0, 1, 2)), "the branches are joined as pool, 1x1, 3x3, 5x5;"),
        (changed(between=False), "a ReLU is missing between a reduce and its kernel"),
        (changed(after=False), "the ReLU after each branch is missing"),
        (changed(between=False, after=False), "there is no ReLU at all"),
        (changed(project_first=True), "the pool projection stands before the pool; it belongs"),
        (changed(pool=F.avg_pool2d), "the pool takes means; [G] takes a max pool"),
        (changed(pool=lambda x, *window: x), "the max pool is missing before the pool projection"),
        (
            lambda c, row, norm, k5: ByHand(c, row, True, k5),
            "norm=False it still has 6 batch norms",
        ),
        (DownTheRows, "except in dimension 2. Expected size"),
        (DownTheRows, "; channels are dimension 1, so join with dim=1."),
        (AtOnce, "parameters are as many as expected, but in other shapes"),
        (lambda c, row, norm, k5: ByHand(c, row, norm), "With norm=True, k5=3 it has"),
        (lambda c, row, norm, k5: ByHand(c, TABLE_1["3a"], norm, k5), "parameters, expected"),
        (lambda c, row, norm, k5: ByHand(192, row, norm, k5), "It raised RuntimeError"),
        (lambda c, row: ByHand(c, row), "It raised TypeError"),
        (Detached, "its outputs are correct, but weights of shape"),
        (DeafPool, "its outputs are correct, but its input gets other gradients"),
        (Dropped, "the block has no dropout"),
        (Narrow, "Sizes of tensors must match"),
        (NoReduce, "parameters, expected"),
        (Begun, "Its forward must return a tensor, got 'None'."),
        (lambda c, row, **how: Inception(c, row, **how), "It calls the package's block: write it"),
        (lambda c, row, **how: nn.Conv2d(c, row.c_out, 1), "parameters, expected"),
        (lambda c, row, **how: 256, "Return an nn.Module, got '256'."),
        (256, "It raised TypeError"),
    ],
)
def test_wrong_inception_blocks_are_told_apart(build, said):
    judged(checks.exercise_2, build, said)


def test_exercise_2_keeps_the_students_block_and_goes_on_with_the_packages(capsys):
    class Inception(nn.Module):
        def __init__(self, c_in, row, norm=True, k5=5): ...

        def forward(self, x): ...

    assert checks.exercise_2.check(Inception) is googlenet.Inception
    assert capsys.readouterr().out.startswith("▫ Exercise 2: not attempted yet.")
    assert checks.exercise_2.keep == ("Inception",) and checks.exercise_2.lesson == "02"
    assert checks.exercise_2.check(ByHand) is ByHand


# --- exercise 3


def fifth(c_in, row=TABLE_1["3a"], branch=None):
    """Block 3a and a fifth branch."""
    branch = branch or nn.Sequential(conv(c_in, 16, 1), conv(16, 16, 7))
    return Concat(**dict(Inception(c_in, row).items()), fifth=branch)


def used_twice(c_in, row):
    block = Inception(c_in, row)
    return Concat(**dict(block.items()), fifth=block["branch3x3"])


class Silent(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


class Frozen(Concat):
    """A fifth branch that never learns."""

    def __init__(self, c_in, row):
        super().__init__(**dict(fifth(c_in, row).items()))
        self["fifth"].forward = torch.no_grad()(self["fifth"].forward)


class Sliced(nn.Module):
    """One convolution, cut into five and joined again."""

    def __init__(self, c_in, row):
        super().__init__()
        self.conv = nn.Conv2d(c_in, 10, 3, padding=1)

    def forward(self, x):
        return torch.cat(self.conv(x).split(2, dim=1), dim=1)


class Unheard(nn.Module):
    """A fifth branch that is joined and cut off again."""

    def __init__(self, c_in, row):
        super().__init__()
        self.four, self.fifth = Inception(c_in, row), conv(c_in, 4, 3)

    def forward(self, x):
        out = torch.cat([*(branch(x) for branch in self.four.values()), self.fifth(x)], 1)
        return out * (torch.arange(out.shape[1]) < out.shape[1] - 4).view(1, -1, 1, 1)


class Nested(nn.Module):
    """Joins of joins, in plain torch, with functions; a ReLU over all."""

    def __init__(self, c_in, row):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(c_in, 8, k, padding=k // 2) for k in (1, 3, 5))
        self.project = nn.Conv2d(c_in, 8, 1)

    def forward(self, x):
        three = torch.hstack([layer(x) for layer in self.layers])
        pools = torch.concat((self.project(F.avg_pool2d(x, 3, 1, 1)), F.max_pool2d(x, 3, 1, 1)), 1)
        return torch.cat(tensors=[three, pools], dim=1).relu_()


class Stacked(nn.Module):
    """Branches of equal widths on an axis of their own, which is folded into the channels."""

    def __init__(self, c_in, row):
        super().__init__()
        self.all = nn.ModuleList(nn.Conv2d(c_in, 8, k, padding=k // 2) for k in (1, 1, 3, 3, 5))

    def forward(self, x):
        return torch.stack([layer(x) for layer in self.all], dim=1).flatten(1, 2)


class Six(nn.Module):
    """A shared reduce, six branches behind it."""

    def __init__(self, c_in, row):
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(c_in, 16, 1), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Conv2d(16, 8, 3, padding=d, dilation=d) for d in range(1, 7)
        )

    def forward(self, x):
        x = self.reduce(x)
        return torch.cat([branch(x) for branch in self.branches], dim=-3)


@pytest.mark.parametrize(
    "build",
    [
        fifth,
        lambda c, row: fifth(c, row, nn.AvgPool2d(3, 1, 1)),
        lambda c, row: nn.Sequential(fifth(c, row)),
        lambda c, row: Concat(**dict(fifth(c, row).items()), skip=nn.Identity()),
        Nested,
        Six,
        Stacked,
    ],
)
def test_a_block_of_five_branches_of_any_make_is_right(build):
    judged(checks.exercise_3, build, "")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda c, row: Concat(**{f"b{i}": nn.Identity() for i in range(5)}),
            "got 5, 0 of them at work; b0 has no weights and looks at no neighbour; b1",
        ),
        (
            lambda c, row: fifth(c, row, nn.Identity()),
            "fifth has no weights and looks at no neighbour.",
        ),
        (
            lambda c, row: fifth(c, row, nn.Sigmoid()),
            "fifth has no weights and looks at no neighbour.",
        ),
        (
            Sliced,
            "1 of them at work; branch 2 has no layers of its own, they are those of branch 1;",
        ),
        (lambda c, row: fifth(c, row, conv(c, 16, 3, padding=0)), "Branches can be joined only"),
        (
            lambda c, row: Concat(**{f"b{i}": nn.MaxPool2d(3, 1, 1) for i in range(5)}),
            "1 of them at work; b1 has no layers of its own, they are those of b0; b2",
        ),
        (used_twice, "; fifth has no layers of its own, they are those of branch3x3."),
        (
            lambda c, row: Inception(c, row),
            "five branches joined on the channel axis, got 4.",
        ),
        (lambda c, row: nn.Sequential(conv(c, 8, 3), conv(8, 8, 3)), "on the channel axis, got 0."),
        (lambda c, row: fifth(c, row, Silent()), "fifth puts out the same for every image"),
        (Frozen, "fifth puts out the same for every image, or is detached from it."),
        (Unheard, "branch 5 is joined, but does not reach the block's output"),
        (lambda c, row: fifth(c, row, conv(c, 32, 7)), "above 150,000,000: reduce first."),
        (lambda c, row: fifth(192, row), "It raised RuntimeError"),
        (
            lambda c, row: nn.Sequential(fifth(c, row), nn.MaxPool2d(2)),
            "expected the same h and w.",
        ),
        (lambda c, row: 5, "Return an nn.Module, got '5'."),
    ],
)
def test_wrong_fifth_branches_are_told_apart(build, said):
    judged(checks.exercise_3, build, said)


def test_the_solution_costs_12_million_macs_more_than_block_3a():
    more = conv_cost(192, 16, 1, 28).macs + conv_cost(16, 16, 7, 28).macs
    assert layer_table(fifth(192), (192, 28, 28)).macs == 128_049_152 + more < checks.BUDGET


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_a_stub_is_not_attempted_yet(exercise):
    def stub(c_in, row):
        """(n, c_in, h, w) -> (n, 88, h, w)"""
        ...

    if exercise is checks.exercise_1:
        stub = dict.fromkeys(RIGHT_PADDINGS, ...)
    for answer in (..., stub):
        assert exercise.judge(answer) == ("not attempted yet", "")


# --- the figures


def test_a_5x5_kernel_covers_2_6_and_25_percent_of_the_coat():
    image = torch.full((1, 28, 28), 200, dtype=torch.uint8)
    picture = lesson.show_sizes(image)
    assert "covers 2% of it at 40 pixels, 6% of it at 20 pixels, 25% of it at 10" in picture.words
    for side in (40, 20, 10):
        drawn = lesson.on_canvas(image, side)
        assert drawn.shape == (40, 40) and (drawn > 100).sum() == side**2
        rows = (drawn > 100).any(1).nonzero()
        assert rows[0] + rows[-1] == 39  # in the middle


def test_block_3a_sees_7_11_15_and_11_pixels_around_the_window_that_is_drawn():
    torch.manual_seed(0)  # by bad luck, weights can be such that a ReLU lets nothing through
    network = small_googlenet().eval()
    block, sides = network.body.get_submodule("3a"), {}
    for name, branch in block.items():
        images = torch.randn(64, 1, 28, 28, requires_grad=True)
        branch(network.stem(images))[:, :, 4, 7].sum().backward()
        rows, columns = (images.grad.abs().sum((0, 1, axis)).nonzero() for axis in (3, 2))
        sides[name] = receptive_field(network.stem, branch).size[0]
        assert len(rows) == len(columns) == sides[name]
        assert (rows.float().mean(), columns.float().mean()) == (lesson.Y, lesson.X)
    assert list(sides.values()) == [7, 11, 15, 11]
    fig = render(lesson._draw_fields, (sides, torch.rand(28, 28)), (9, 4.8))
    assert [box.get_width() for box in fig.axes[0].patches] == [7, 11, 15, 11]
    assert [ax.images[0].get_array().shape[0] for ax in fig.axes[1:]] == [7, 11, 15, 11]


def test_naive_block_of_3a_puts_out_416_channels_and_the_figure_says_so():
    row, c_in, steps = TABLE_1["3a"], 192, []
    for _ in range(3):
        layers = [(row.n1x1, 1), (row.n3x3, 3), (row.n5x5, 5)]
        macs = sum(conv_cost(c_in, c_out, k, 28).macs for c_out, k in layers)
        c_in += row.n1x1 + row.n3x3 + row.n5x5
        steps.append((c_in, macs))
    assert steps == [(416, 303_464_448), (640, 657_506_304), (864, 1_011_548_160)]
    picture = lesson.show_explosion(steps)
    assert "block 1: 416 channels, 303,464,448 MACs; block 2: 640" in picture.words
    fig = render(lesson._draw_explosion, steps, (9, 3.6))
    assert [bar.get_height() for bar in fig.axes[0].patches] == [416, 640, 864]
    assert "1012" in [text.get_text() for text in fig.axes[1].texts]


# --- the studies


def test_the_four_networks_cost_the_same_and_have_blocks_of_equal_width_and_depth():
    networks = {name: small_googlenet(block) for name, block in runs.BLOCKS.items()}
    for side in (28, 40):
        macs = [layer_table(network, (1, side, side)).macs for network in networks.values()]
        assert max(macs) / min(macs) < 1.02
    x = torch.randn(1, 1, 28, 28)
    assert {shared.longest_path(network.eval()(x).logits) for network in networks.values()} == {21}
    for name, k in (("all 1x1", 1), ("all 3x3", 3), ("all 5x5", 5)):
        for block, row in muting.ROWS.items():
            reduce, large = networks[name].body.get_submodule(block)
            assert (reduce.conv.kernel_size, large.conv.kernel_size) == ((1, 1), (k, k))
            assert large.conv.out_channels == row.c_out


def test_a_block_of_any_width_fits_into_the_small_network():
    network = small_googlenet(lambda c_in, row: conv(c_in, row.c_out + 3, 3))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert network.training and not any(norm.running_mean.any() for norm in norms)
    assert network(torch.randn(2, 1, 28, 28)).logits.shape == (2, 10)


def test_scattered_garments_lie_whole_at_sizes_and_places_of_their_own():
    part = Split(torch.full((300, 1, 28, 28), 250).byte(), torch.arange(300) % 10, (0.5,), (0.3,))
    dataset = Dataset("white", part, part, part, tuple("abcdefghij"), (0.5,), (0.3,))
    found = runs.scattered(dataset)
    assert found.train.shape == (1, 40, 40) and torch.equal(found.train.labels, part.labels)
    white = found.train.images[:, 0] == 250
    sides = white.sum((1, 2)).sqrt()
    assert torch.equal(sides, sides.round()) and (sides.min(), sides.max()) == (10, 40)
    assert torch.equal(white.any(2).sum(1), sides.long())  # squares, nothing of them cut off
    assert len({tuple(image.any(1).nonzero()[0].tolist()) for image in white}) > 15
    assert not torch.equal(found.train.images, found.valid.images)
    assert torch.equal(found.train.images, runs.scattered(dataset).train.images)
    share = white.float().mean()
    assert found.mean[0] == pytest.approx(share.item() * 250 / 255, rel=1e-3)


def test_the_course_network_has_0_2_or_16_relus():
    count = lambda net: sum(isinstance(m, nn.ReLU) for m in net.modules())  # noqa: E731
    assert [count(build()) for build, _ in list(runs.ACTIVATIONS.values())[1:]] == [0, 2, 16]
    params = {
        sum(p.numel() for p in b().parameters()) for b, _ in list(runs.ACTIVATIONS.values())[1:]
    }
    assert params == {97_298}


@pytest.fixture
def studies(monkeypatch):
    """Saved studies, made up: Inception gains with every seed on the first data set alone."""
    kinds, seeds = list(runs.BLOCKS), range(5)

    def run(accuracy, valid=0.5):
        return dict(test_accuracy=accuracy, valid_accuracy=valid)

    def accuracy(kind, data, seed):
        gain = 0.05 if kind == "Inception" and data == runs.FASHION else 0.0
        return 0.8 + gain + 0.01 * ((seed * (1 + kinds.index(kind))) % 3)

    kernels = {
        f"{kind}, {data}": [run(accuracy(kind, data, seed)) for seed in seeds]
        for data in runs.DATA
        for kind in kinds
    }
    relu = {}
    for i, (name, (_, rates)) in enumerate(runs.ACTIVATIONS.items()):
        for lr in rates:  # the lower the rate, the better on the validation images
            found = [run(0.8 + 0.02 * i + 0.001 * (seed % 2), 1 - lr) for seed in seeds]
            relu[f"{name}, lr {lr:g}"] = found
    about = dict(command="python -m authoring measure x", versions={"torch": "2"}, hardware="a box")
    saved = {"kernels": about | dict(runs=kernels), "relu": about | dict(runs=relu)}
    monkeypatch.setattr(answers, "saved", saved.__getitem__)
    return saved


def test_inception_is_judged_against_each_size_by_paired_differences(studies):
    rows = answers.compare_kernels().rows
    assert rows[0] == ("data", "Inception against", "points, 95 % interval", "verdict")
    verdicts = [(data, name, verdict) for data, name, _, verdict in rows[1:]]
    assert verdicts[:3] == [(runs.FASHION, f"all {k}x{k}", "better") for k in (1, 3, 5)]
    assert verdicts[3:] == [(runs.CANVASES, f"all {k}x{k}", "cannot tell") for k in (1, 3, 5)]
    assert "n = 5 seeds, paired; python -m authoring measure x; a box" in repr(
        answers.compare_kernels()
    )
    assert answers.gain_over_3x3() == pytest.approx(5, abs=1)


def test_the_figure_of_the_four_networks_shows_every_run(studies):
    words = answers.show_kernels().words
    assert words.startswith("Fashion-MNIST: all 1x1 80.8 ± 0.8; all 3x3")
    fig = render(answers._draw_kernels, answers.kernels(), (11, 4))
    dots = [line for ax in fig.axes for line in ax.lines if line.get_marker() == "o"]
    assert len(dots) == 8 and all(len(line.get_xdata()) == 5 for line in dots)
    assert fig.axes[0].get_title("left") == "Fashion-MNIST: Inception is highest"


def test_each_network_of_the_relu_study_is_shown_at_its_best_rate(studies):
    found = answers.activations()
    assert list(found) == list(runs.ACTIVATIONS)
    assert {rate for rate, _ in found.values()} == {"0.02"}  # the better by validation accuracy
    words = answers.show_activations().words
    assert "one linear layer: 80.0 ± 0.1, lr 0.02, n = 5" in words
    for line in (
        "course network, as published against one linear layer: +4.0 (+4.0 to +4.0) points, better",
        "as published against course network, no ReLU: +2.0 (+2.0 to +2.0) points, better",
        "every convolution against course network, as published: +2.0 (+2.0 to +2.0) points",
    ):
        assert line in words
    assert 'picture: "Without any ReLU 82.0 %, as published 84.0 %"' in words
    assert answers.gain_as_published() == 4.0


def test_the_saved_studies_hold_every_seed_of_every_entry():
    for name, table in (("kernels", runs.KERNELS), ("relu", runs.RELU)):
        study, n = studies_module.saved(name), {"kernels": 5, "relu": 3}[name]
        assert list(study["runs"]) == list(table)
        seeds = [[run["seed"] for run in found] for found in study["runs"].values()]
        assert seeds == [[*range(n)]] * len(table)
        assert study["command"].startswith(f"python -m authoring measure {name}")
        for entry, recipe in study["recipes"].items():
            assert recipe == asdict(table[entry].recipe)


def test_speeds_are_those_of_the_networks_that_are_given():
    images = torch.randint(256, (128, 1, 28, 28), dtype=torch.uint8)
    part = Split(images, torch.arange(128) % 10, (0.5,), (0.3,))
    dataset = Dataset("noise", part, part, part, tuple("abcdefghij"), (0.5,), (0.3,))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    rows = answers.speeds({"linear": linear}, dataset, steps=2).rows
    assert rows[1][:3] == ("linear", "7,850", "0.01") and float(rows[1][3].replace(",", "")) > 0


def test_ones_own_block_is_raced_beside_the_four(studies, monkeypatch):
    images = torch.randint(256, (200, 1, 28, 28), dtype=torch.uint8)
    part = Split(images, torch.arange(200) % 10, (0.5,), (0.3,))
    dataset = Dataset("noise", part, part, part, tuple("abcdefghij"), (0.5,), (0.3,))
    monkeypatch.setattr(answers, "PLAIN", replace(runs.PLAIN, steps=2))
    monkeypatch.setattr(answers, "LiveCurve", lambda: silent)
    rows = answers.race(lambda c_in, row: conv(c_in, 8, 1), dataset).rows
    assert [row[0] for row in rows[1:]] == [*runs.BLOCKS, "yours"]
    assert rows[4][1:] == ("5,870,492", "85.0") and 0 <= float(rows[5][2]) <= 100


# --- what the branches answer


def test_the_explorer_of_activations_draws_what_the_branches_put_out(prepared):
    network, split = prepared
    explorer = activations.explorer(network, split, dict(first=0, second=7))
    for garment, block, across, down in (("first", "3a", 10, 20), ("second", "4c", 27, 0)):
        moved(explorer, garment=garment, block=block, across=across, down=down)
        view = explorer._data
        x = split.batch(torch.tensor([dict(first=0, second=7)[garment]]))[0]
        with torch.no_grad():
            x = network.stem(x)
            for name, part in network.body.named_children():
                x = part(x)
                if name == block:
                    break
        row, column = view.cell
        assert abs(view.centre[0] - down) <= 28 // x.shape[2]
        assert abs(view.centre[1] - across) <= 28 // x.shape[3]
        first = 0
        for branch, answer in view.answers.items():
            own = x[0, first : first + answer.channels]
            assert answer.value == pytest.approx(own[:, row, column].max().item(), abs=1e-5)
            assert torch.allclose(answer.map, own[answer.channel - 1], atol=1e-5)
            assert f"{branch}: sees {answer.sees}x{answer.sees} pixels; strongest" in explorer.words
            first += answer.channels
        assert first == x.shape[1]


def test_receptive_fields_of_3a_are_7_11_15_and_11_and_grow_from_block_to_block():
    sides = activations.receptive_fields()
    assert list(sides["3a"].values()) == [7, 11, 15, 11]
    widest = [max(found.values()) for found in sides.values()]
    assert widest == sorted(widest) and widest[-1] > 28


# --- muting


@pytest.fixture(scope="module")
def prepared():
    """A network not trained, but with the images' batch norm: its answers differ; 20 images."""
    torch.manual_seed(0)
    coarse = torch.randint(256, (20, 1, 4, 4), dtype=torch.uint8)
    split = Split(interpolate(coarse, size=28), torch.arange(20) % 10, (0.5,), (0.3,))
    network = small_googlenet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(split.batch(slice(None))[0])
    return network.eval(), split


@pytest.fixture(scope="module")
def muted(prepared):
    return muting.mute_all(*prepared)


def silenced(network, pairs, images):
    """Predictions by another route: the last batch norm of each muted branch made all zero."""
    with torch.no_grad():
        saved = []
        for block, branch in pairs:
            module = network.body.get_submodule(block)[muting.BRANCHES[branch]]
            norm = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)][-1]
            saved += [(value, value.clone()) for value in (norm.weight, norm.bias)]
        for value, _ in saved:
            value.zero_()
        predicted = network(images).logits.argmax(1)
        for value, before in saved:
            value.copy_(before)
    return predicted


def test_muting_equals_a_branch_whose_last_batch_norm_is_zero(prepared, muted):
    network, split = prepared
    images, labels = split.batch(slice(None))
    whole = silenced(network, [], images)
    different = 0
    for branch in muting.BRANCHES:
        for block in ("all", "3a", "4c", "5b"):
            blocks = muting.ROWS if block == "all" else (block,)
            predicted = silenced(network, [(b, branch) for b in blocks], images)
            for true in range(10):
                counts = predicted[labels == true].bincount(minlength=10)
                assert torch.equal(muted[branch, block][true], counts)
            different += not torch.equal(predicted, whole)
    assert different >= 4
    assert muting.accuracy(muted["none", "all"]) == (whole == labels).float().mean()


def test_all_36_branches_are_muted_each_alone_and_by_kind_and_leave_the_network_as_it_was(prepared):
    network, split = prepared
    images, _ = split.batch(slice(None))
    before = network(images).logits
    muted = muting.mute_all(network, split, n=20)
    assert len(muting.ROWS) == 9 and len(muted) == 4 * (9 + 1) + 1
    assert all(table.sum() == 20 for table in muted.values())
    assert torch.equal(network(images).logits, before)


def test_branches_are_found_by_their_channels():
    row = TABLE_1["3a"]
    assert list(muting.places(row).values()) == [
        slice(0, 64),
        slice(64, 192),
        slice(192, 224),
        slice(224, 256),
    ]
    assert muting.fractions("3a")["3x3"] == 16 / 32
    assert sum(muting.fractions("all").values()) == pytest.approx(1)


def test_the_mute_explorer_looks_up_every_choice_and_its_picture_changes(muted):
    explorer = muting.mute_explorer(muted, tuple("abcdefghij"))
    options = [explorer.controls[name].options for name in ("branch", "block")]
    assert options == [("none", *muting.BRANCHES), ("all", *muting.ROWS)]
    choices = [("5x5", "all"), ("5x5", "3a"), ("pool", "3a"), ("none", "3a")]
    for branch, block in choices:
        moved(explorer, branch=branch, block=block)
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((11, 4.6))[0]
        for name in muting.BRANCHES:
            share = muted[name, block].trace() / muted[name, block].sum()
            assert f"  {name:<5} {share:6.1%}, " in explorer.words


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("02")
