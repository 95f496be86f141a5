import inspect
import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import interpolate

from conftest import moved, solutions_pass
from inception_edu.cost import conv_cost, layer_table, receptive_field
from inception_edu.data import Split
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.layers import Concat, conv
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_02 import checks as checks, muting, pictures as lesson
from inception_edu.lessons.shared import small_googlenet

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
        (dict(branch3x3="same"), "from 0, got 'same'."),
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


def solution(c_in, *, pool=None, five=None, widths=(24, 16, 24, 24), relu=False, norm=False):
    """The package's block, with a part of it changed."""
    how = dict(norm=norm, relu=relu)
    return Concat(
        branch_pool=nn.Sequential(
            pool or nn.AvgPool2d(3, 1, padding=1), conv(c_in, widths[0], 1, **how)
        ),
        branch1x1=conv(c_in, widths[1], 1, **how),
        branch5x5=nn.Sequential(conv(c_in, 16, 1, **how), five or conv(16, widths[2], 5, **how)),
        branch3x3=nn.Sequential(
            conv(c_in, 16, 1, **how), conv(16, 24, 3, **how), conv(24, widths[3], 3, **how)
        ),
    )


class ByHand(nn.Module):
    """Declared and joined in another order; pool and ReLU by functions."""

    def __init__(self, c_in):
        super().__init__()
        self.b3 = nn.Conv2d(24, 24, 3, padding="same")
        self.b2, self.b1 = nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(c_in, 16, 1)
        self.a2, self.a1 = nn.Conv2d(16, 24, (5, 5), padding=(2, 2)), nn.Conv2d(c_in, 16, 1)
        self.d, self.e = nn.Conv2d(c_in, 24, 1), nn.Conv2d(c_in, 16, 1)

    def forward(self, x):
        three = self.b3(F.relu(self.b2(F.relu(self.b1(x)))))
        pooled = self.d(F.avg_pool2d(x, 3, 1, 1))
        return torch.concat((three, self.a2(self.a1(x).relu()), self.e(x), pooled), axis=1)


class Lazy(nn.Module):
    """Layers that find out c_in themselves, in a list; a ReLU on all that is joined."""

    def __init__(self, c_in):
        super().__init__()
        self.reduce = nn.ModuleList(nn.LazyConv2d(16, 1) for _ in range(3))
        self.large = nn.ModuleDict({"5": nn.LazyConv2d(24, 5, padding=2)})
        self.small = nn.Sequential(
            nn.LazyConv2d(24, 3, padding=1), nn.ReLU(), nn.LazyConv2d(24, 3, padding=1)
        )
        self.project, self.pool = nn.LazyConv2d(24, 1), nn.AvgPool2d(3, 1, 1)

    def forward(self, x):
        one, five, three = (layer(x) for layer in self.reduce)
        five, three = self.large["5"](five.relu()), self.small(three.relu())
        return torch.cat([one, three, self.project(self.pool(x)), five], 1).relu_()


@pytest.mark.parametrize(
    "build",
    [
        solution,
        lambda c: solution(c, relu=True),
        lambda c: nn.Sequential(solution(c)),
        ByHand,
        Lazy,
        checks.Block,
    ],
)
def test_the_average_pool_block_of_any_make_is_right_with_relus_and_without(build):
    judged(checks.exercise_2, build, "")


def five(**changed):
    """A 5x5 of 16 to 24 channels, with the number of weights as it should be."""
    return nn.Conv2d(16, 24, **dict(kernel_size=5, padding=2) | changed)


def padded_by_1(c_in):
    return solution(c_in, five=five(padding=1))


class PooledElsewhere(ByHand):
    """The average pool in the 5x5 branch."""

    def forward(self, x):
        three = self.b3(F.relu(self.b2(F.relu(self.b1(x)))))
        large = self.a2(self.a1(F.avg_pool2d(x, 3, 1, 1)).relu())
        return torch.cat((three, large, self.e(x), self.d(x)), 1)


class Detached(ByHand):
    def forward(self, x):
        three = self.b3(F.relu(self.b2(F.relu(self.b1(x))))).detach()
        pooled = self.d(F.avg_pool2d(x, 3, 1, 1))
        return torch.cat((three, self.a2(self.a1(x).relu()), self.e(x), pooled), 1)


class DeafPool(ByHand):
    def forward(self, x):
        three = self.b3(F.relu(self.b2(F.relu(self.b1(x)))))
        pooled = self.d(F.avg_pool2d(x.detach(), 3, 1, 1))
        return torch.cat((three, self.a2(self.a1(x).relu()), self.e(x), pooled), 1)


class Begun(nn.Module):
    def __init__(self, c_in):
        super().__init__()
        self.one = nn.Conv2d(c_in, 16, 1)

    def forward(self, x): ...


OTHER = "its weights have the right shapes, but with the right ones' values it puts out something"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (PooledElsewhere, OTHER[1:]),
        (lambda c: solution(c, five=five(kernel_size=(1, 25), padding=(0, 12))), "of shape (24, 1"),
        (lambda c: solution(c, five=five(dilation=2, padding=4)), OTHER[1:]),
        (lambda c: nn.Sequential(solution(c), nn.Sigmoid()), OTHER[1:]),
        (lambda c: solution(c, pool=nn.MaxPool2d(3, 1, padding=1)), OTHER[1:]),
        (lambda c: solution(c, pool=nn.AvgPool2d(5, 1, padding=2)), OTHER[1:]),
        (lambda c: solution(c, pool=nn.Identity()), OTHER[1:]),
        (lambda c: nn.Sequential(solution(c), nn.ReLU()), OTHER[1:]),
        (padded_by_1, "Branches can be joined only at equal height and width"),
        (lambda c: solution(c, widths=(24, 16, 24, 23)), "It puts out 87 channels, expected 24 +"),
        (lambda c: solution(c, widths=(22, 22, 22, 22)), "parameters, expected"),
        (lambda c: solution(c, five=conv(16, 24, 3, norm=False, relu=False)), "expected 19,104"),
        (lambda c: solution(c, norm=True), "It holds BatchNorm2d: the original has biases and no"),
        (lambda c: nn.Sequential(solution(c), nn.Dropout(0.2)), "something else while it trains"),
        (lambda c: solution(10), "It raised RuntimeError"),
        (lambda c: nn.Conv2d(c, 88, 1), "parameters, expected"),
        (lambda c: nn.Identity(), "It puts out 10 channels, expected"),
        (Detached, "Its outputs are right, but weights of shape"),
        (DeafPool, "Its outputs are right, but its input gets other gradients"),
        (Begun, "Its forward must return a tensor, got 'None'."),
        (shared.average_pool_block, ""),
        (lambda c: shared.average_pool_block(c), "It calls the package's block: write it yourself"),
        (lambda c: 88, "Return an nn.Module, got '88'."),
        (88, "It raised TypeError"),
    ],
)
def test_wrong_average_pool_blocks_are_told_apart(build, said):
    if build is shared.average_pool_block:
        assert checks.exercise_2.judge(build)[0] == "not attempted yet"
    else:
        judged(checks.exercise_2, build, said)


def test_exercise_2_keeps_the_students_block_and_goes_on_with_the_packages(capsys):
    class AveragePoolBlock(nn.Module):
        def __init__(self, c_in): ...

        def forward(self, x): ...

    assert checks.exercise_2.check(AveragePoolBlock) is shared.average_pool_block
    assert capsys.readouterr().out.startswith("▫ Exercise 2: not attempted yet.")
    assert checks.exercise_2.keep == ("AveragePoolBlock",) and checks.exercise_2.lesson == "02"
    assert checks.exercise_2.check(Lazy) is Lazy


# --- exercise 3


def fifth(c_in, branch=None):
    """Block 3a and a fifth branch."""
    branch = branch or nn.Sequential(conv(c_in, 16, 1), conv(16, 16, 7))
    return Concat(**dict(Inception(c_in, TABLE_1["3a"]).items()), fifth=branch)


def used_twice(c_in):
    block = Inception(c_in, TABLE_1["3a"])
    return Concat(**dict(block.items()), fifth=block["branch3x3"])


class Silent(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


class Frozen(Concat):
    """A fifth branch that never learns."""

    def __init__(self, c_in):
        super().__init__(**dict(fifth(c_in).items()))
        self["fifth"].forward = torch.no_grad()(self["fifth"].forward)


class Sliced(nn.Module):
    """One convolution, cut into five and joined again."""

    def __init__(self, c_in):
        super().__init__()
        self.conv = nn.Conv2d(c_in, 10, 3, padding=1)

    def forward(self, x):
        return torch.cat(self.conv(x).split(2, dim=1), dim=1)


class Unheard(nn.Module):
    """A fifth branch that is joined and cut off again."""

    def __init__(self, c_in):
        super().__init__()
        self.four, self.fifth = Inception(c_in, TABLE_1["3a"]), conv(c_in, 4, 3)

    def forward(self, x):
        out = torch.cat([*(branch(x) for branch in self.four.values()), self.fifth(x)], 1)
        return out * (torch.arange(260) < 256).view(1, -1, 1, 1)


class Nested(nn.Module):
    """Joins of joins, in plain torch, with functions; a ReLU over all."""

    def __init__(self, c_in):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(c_in, 8, k, padding=k // 2) for k in (1, 3, 5))
        self.project = nn.Conv2d(c_in, 8, 1)

    def forward(self, x):
        three = torch.hstack([layer(x) for layer in self.layers])
        pools = torch.concat((self.project(F.avg_pool2d(x, 3, 1, 1)), F.max_pool2d(x, 3, 1, 1)), 1)
        return torch.cat(tensors=[three, pools], dim=1).relu_()


class Stacked(nn.Module):
    """Branches of equal widths on an axis of their own, which is folded into the channels."""

    def __init__(self, c_in):
        super().__init__()
        self.all = nn.ModuleList(nn.Conv2d(c_in, 8, k, padding=k // 2) for k in (1, 1, 3, 3, 5))

    def forward(self, x):
        return torch.stack([layer(x) for layer in self.all], dim=1).flatten(1, 2)


class Six(nn.Module):
    """A shared reduce, six branches behind it."""

    def __init__(self, c_in):
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
        lambda c: fifth(c, nn.AvgPool2d(3, 1, 1)),
        lambda c: nn.Sequential(fifth(c)),
        lambda c: Concat(**dict(fifth(c).items()), skip=nn.Identity()),
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
            lambda c: Concat(**{f"b{i}": nn.Identity() for i in range(5)}),
            "got 5, 0 of them at work; b0 has no weights and looks at no neighbour; b1",
        ),
        (lambda c: fifth(c, nn.Identity()), "fifth has no weights and looks at no neighbour."),
        (lambda c: fifth(c, nn.Sigmoid()), "fifth has no weights and looks at no neighbour."),
        (
            Sliced,
            "1 of them at work; branch 2 has no layers of its own, they are those of branch 1;",
        ),
        (lambda c: fifth(c, conv(c, 16, 3, padding=0)), "Branches can be joined only"),
        (
            lambda c: Concat(**{f"b{i}": nn.MaxPool2d(3, 1, 1) for i in range(5)}),
            "1 of them at work; b1 has no layers of its own, they are those of b0; b2",
        ),
        (used_twice, "; fifth has no layers of its own, they are those of branch3x3."),
        (
            lambda c: Inception(c, TABLE_1["3a"]),
            "five branches joined on the channel axis, got 4.",
        ),
        (lambda c: nn.Sequential(conv(c, 8, 3), conv(8, 8, 3)), "on the channel axis, got 0."),
        (lambda c: fifth(c, Silent()), "fifth puts out the same for every image"),
        (Frozen, "fifth puts out the same for every image, or is detached from it."),
        (Unheard, "branch 5 is joined, but does not reach the block's output"),
        (lambda c: fifth(c, conv(c, 32, 7)), "above 150,000,000: reduce first."),
        (lambda c: fifth(192), "It raised RuntimeError"),
        (lambda c: nn.Sequential(fifth(c), nn.MaxPool2d(2)), "expected the same h and w."),
        (lambda c: 5, "Return an nn.Module, got '5'."),
    ],
)
def test_wrong_fifth_branches_are_told_apart(build, said):
    judged(checks.exercise_3, build, said)


def test_the_solution_costs_12_million_macs_more_than_block_3a():
    more = conv_cost(192, 16, 1, 28).macs + conv_cost(16, 16, 7, 28).macs
    assert layer_table(fifth(192), (192, 28, 28)).macs == 128_049_152 + more < checks.BUDGET


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_a_stub_is_not_attempted_yet(exercise):
    def stub(c_in):
        """(n, c_in, h, w) -> (n, 88, h, w)"""
        ...

    if exercise is checks.exercise_1:
        stub = dict.fromkeys(RIGHT_PADDINGS, ...)
    for answer in (..., stub):
        assert exercise.judge(answer) == ("not attempted yet", "")


# --- the figures


def test_a_5x5_window_covers_3_13_and_51_percent():
    image = torch.arange(784, dtype=torch.uint8).view(1, 28, 28)
    picture = lesson.show_zooms(image)
    assert picture.words.startswith("a 5x5 window covers 3% of 28x28, 13% of 14x14, 51% of 7x7")
    fig = render(lesson._draw_zooms, [torch.rand(n, n) for n in (28, 14, 7)], (9, 3.5))
    for ax, n in zip(fig.axes, (28, 14, 7), strict=True):
        (box,) = ax.patches
        assert box.get_width() == box.get_height() == 5
        assert all(-0.5 <= edge and edge + 5 <= n - 0.5 for edge in box.get_xy())


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


def test_the_road_of_a_linear_pair_is_straight_and_a_relu_bends_it():
    torch.manual_seed(0)
    first, second = nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2)
    linear, bent = nn.Sequential(first, second), nn.Sequential(first, nn.ReLU(), second)
    told = lesson.show_road(linear, bent).words.splitlines()[0]
    assert "without ReLU: 0.000" in told and "with ReLU: 0.000" not in told
    swapped = lesson.show_road(bent, linear).words.splitlines()[0]
    assert "without ReLU: 0.000" not in swapped


def test_source_shows_what_runs():
    assert inspect.getsource(Inception) in shared.source(Inception).data


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
            module = network.body.get_submodule(block)[branch]
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
            blocks = muting.BLOCKS if block == "all" else (block,)
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
    assert len(muting.BLOCKS) == 9 and len(muted) == 4 * (9 + 1) + 1
    assert all(table.sum() == 20 for table in muted.values())
    assert torch.equal(network(images).logits, before)


def test_the_mute_explorer_looks_up_every_choice_and_its_picture_changes(muted):
    explorer = muting.mute_explorer(muted, tuple("abcdefghij"))
    options = [explorer.controls[name].options for name in ("branch", "block")]
    assert options == [(("none", "none"), *muting.NAMES.items()), ("all", *muting.BLOCKS)]
    assert tuple(muting.NAMES.values()) == muting.BRANCHES
    choices = [("branch5x5", "all"), ("branch5x5", "3a"), ("branch_pool", "3a"), ("none", "3a")]
    for branch, block in choices:
        moved(explorer, branch=branch, block=block)
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((9, 4))[0]
        for name in muting.BRANCHES:
            share = muted[name, block].trace() / muted[name, block].sum()
            assert f"  {name:<18} {share:6.1%}" in explorer.words


def test_the_explorers_words_name_the_commonest_mistake():
    tables = {(branch, block): torch.eye(3, dtype=torch.int64) for branch, block in PAIRS}
    tables["branch3x3", "4a"] = torch.tensor([[5, 0, 0], [0, 1, 7], [2, 0, 5]])
    explorer = muting.mute_explorer(tables, ("coat", "shirt", "bag"))
    explorer.controls["branch"].value = "branch3x3"
    explorer.controls["block"].value = "4a"
    assert "shirt taken for bag, 7 images" in explorer.words
    assert " 55.0%" in explorer.words and "every branch at work 100.0%" in explorer.words


PAIRS = [(branch, block) for branch in muting.BRANCHES for block in ("all", *muting.BLOCKS)]
PAIRS.append(("none", "all"))


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("02")
