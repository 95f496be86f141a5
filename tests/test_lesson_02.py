import inspect
import struct

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from conftest import moved, solutions_pass
from inception_edu.cost import conv_cost, layer_table, receptive_field
from inception_edu.data import Split
from inception_edu.figures import render
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.layers import Concat, conv
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_02 import checks as checks, muting, pictures as lesson
from inception_edu.lessons.shared import small_googlenet

pytestmark = pytest.mark.usefixtures("one_thread")

RIGHT_PADDINGS = dict(branch1x1=0, branch3x3=1, branch5x5=2, branch_pool=1)


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(answer)
    return exercise.state, capsys.readouterr().out


# --- exercise 1


def test_paddings_of_0_1_2_1_are_right(capsys):
    assert verdict(checks.exercise_1, RIGHT_PADDINGS, capsys)[0] == "right"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(branch5x5=1), "branches can be joined only at equal height and width"),
        (dict(branch3x3=0, branch5x5=0, branch_pool=0), "(k - 1) / 2"),
        (dict(branch1x1=1, branch3x3=2, branch5x5=3), "branch_pool"),
        (dict(branch_pool=2), "RuntimeError"),
    ],
)
def test_wrong_paddings_are_told_apart(changed, said, capsys):
    state, line = verdict(checks.exercise_1, RIGHT_PADDINGS | changed, capsys)
    assert state == "not right yet" and said in line


def test_the_whole_reason_for_a_5x5_with_padding_1_is_printed(capsys):
    line = verdict(checks.exercise_1, RIGHT_PADDINGS | dict(branch5x5=1), capsys)[1]
    assert "branch5x5 (1, 4," in line and line.rstrip().endswith("padding (k - 1) / 2)")


@pytest.mark.parametrize("answer", [[0, 1, 2, 1], dict(branch1x1=0), "same"])
def test_paddings_of_the_wrong_type_are_named(answer, capsys):
    state, line = verdict(checks.exercise_1, answer, capsys)
    assert state == "not right yet" and "give a dict with the keys branch1x1" in line


def test_an_image_that_shrinks_in_every_branch_is_seen():
    block = Concat(a=conv(8, 4, 3, padding=0), b=conv(8, 4, 3, padding=0))
    assert "goes from (9, 8) to (7, 6)" in checks.run(block, 8, 9, 8)


# --- exercise 2


def course_block(c_in, *, pool=None, k=5, widths=(24, 16, 24, 24), relu=True, norm=False):
    """The solution, with a part of it changed."""
    how = dict(norm=norm, relu=relu)
    return Concat(
        branch_pool=nn.Sequential(
            pool or nn.AvgPool2d(3, 1, padding=1), conv(c_in, widths[0], 1, **how)
        ),
        branch1x1=conv(c_in, widths[1], 1, **how),
        branch5x5=nn.Sequential(conv(c_in, 16, 1, **how), conv(16, widths[2], k, **how)),
        branch3x3=nn.Sequential(
            conv(c_in, 16, 1, **how), conv(16, 24, 3, **how), conv(24, widths[3], 3, **how)
        ),
    )


def padded_by_1(c_in):
    block = course_block(c_in)
    block["branch5x5"] = nn.Sequential(
        conv(c_in, 16, 1, norm=False), conv(16, 24, 5, padding=1, norm=False)
    )
    return block


@pytest.mark.parametrize("relu", [True, False])
def test_the_average_pool_block_is_right_with_and_without_relu(relu, capsys):
    answer = verdict(checks.exercise_2, lambda c_in: course_block(c_in, relu=relu), capsys)
    assert answer[0] == "right"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (padded_by_1, "branches can be joined only"),
        (lambda c: course_block(c, widths=(24, 16, 24, 23)), "together 87"),
        (lambda c: course_block(c, widths=(22, 22, 22, 22)), "expected 24 + 16 + 24 + 24"),
        (lambda c: course_block(c, pool=nn.MaxPool2d(3, 1, padding=1)), "MaxPool2d"),
        (lambda c: course_block(c, pool=nn.AvgPool2d(5, 1, padding=2)), "3 x 3, got 5"),
        (lambda c: course_block(c, k=3), "parameters for c_in = 10, expected 19,104"),
        (lambda c: course_block(c, norm=True), "norm=False"),
        (lambda c: course_block(10), "it raised"),
        (lambda c: nn.Sequential(course_block(c)), "got Sequential"),
        (lambda c: 88, "got int"),
        (88, "it raised"),
    ],
)
def test_wrong_average_pool_blocks_are_told_apart(build, said, capsys):
    state, line = verdict(checks.exercise_2, build, capsys)
    assert state == "not right yet" and said in line


# --- exercise 3


def five(c_in, fifth=None, **changed):
    """Block 3a and a fifth branch."""
    block = Inception(c_in, TABLE_1["3a"])
    fifth = fifth or nn.Sequential(conv(c_in, 16, 1), conv(16, 16, 7))
    return Concat(**dict(block.items()), fifth=fifth)


def used_twice(c_in):
    block = Inception(c_in, TABLE_1["3a"])
    return Concat(**dict(block.items()), fifth=block["branch3x3"])


class Silent(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


def test_a_fifth_branch_with_a_reduce_is_right(capsys):
    assert verdict(checks.exercise_3, five, capsys)[0] == "right"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda c: five(c, conv(c, 16, 3, padding=0)), "branches can be joined only"),
        (used_twice, "one object stands in two branches"),
        (lambda c: Inception(c, TABLE_1["3a"]), "at least five branches, got 4"),
        (lambda c: nn.Sequential(five(c)), "return a Concat, got Sequential"),
        (lambda c: five(c, Silent()), "fifth puts out the same for every image"),
        (lambda c: five(c, conv(c, 32, 7)), "above 150,000,000"),
        (lambda c: five(192), "it raised"),
    ],
)
def test_wrong_fifth_branches_are_told_apart(build, said, capsys):
    state, line = verdict(checks.exercise_3, build, capsys)
    assert state == "not right yet" and said in line


def test_the_solution_costs_12_million_macs_more_than_block_3a():
    more = conv_cost(192, 16, 1, 28).macs + conv_cost(16, 16, 7, 28).macs
    assert layer_table(five(192), (192, 28, 28)).macs == 128_049_152 + more < checks.BUDGET


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_a_stub_is_not_attempted_yet(exercise, capsys):
    def stub(c_in):
        """(n, c_in, h, w) -> (n, 88, h, w)"""
        ...

    for answer in (..., stub, dict.fromkeys(RIGHT_PADDINGS, ...)):
        state, line = verdict(exercise, answer, capsys)
        assert state == "not attempted yet" and line.startswith("▫")


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
    assert options == [("none", *muting.BRANCHES), ("all", *muting.BLOCKS)]
    choices = [("branch5x5", "all"), ("branch5x5", "3a"), ("branch_pool", "3a"), ("none", "3a")]
    for branch, block in choices:
        moved(explorer, branch=branch, block=block)
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 900
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
