import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from conftest import moved, solutions_pass
from inception_edu.cost import conv_cost, layer_table, receptive_field
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, GoogLeNet
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import (
    block_explorer,
    checks as checks,
    pictures as lesson,
    table_detective as detective,
)

BLOCKS = [name for name, row in TABLE_1.items() if row.type == "inception"]


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return GoogLeNet(aux=False).eval()


SUSPECTS, COLUMN = ["conv1", "4c", "5a"], 6.96
NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


# --- exercise 1


@pytest.mark.parametrize(
    "names",
    [
        {"5a", "4c", "conv1"},
        ("Conv1", "4C", " 5A "),
        np.array(["conv1", "4c", "5a"]),
        ["conv 1", "inception (4c)", "Inception 5a"],
        ["conv1", "4c", "5a", "5a"],
        [row for name, row in checks.rows().items() if name in SUSPECTS],
        dict.fromkeys(SUSPECTS),
    ],
)
@pytest.mark.parametrize("column", ["6.96", 6.9608448, np.float32(6.961), torch.tensor(6.96)])
def test_conv1_4c_and_5a_and_7_million_are_right(names, column):
    assert checks.exercise_1.judge(names, column) == (RIGHT, "")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["conv1", "4a", "4c", "5a"], "204 of its 208 filters"),
        (["conv1", "4c", "5a", "4d"], "ow 4d is -1.8% off, within 3%"),
        (["conv1", "4c", "5a", "Linear"], "Row linear is -2.3% off"),
        (["conv1", "4c"], "1 more cannot be: look at both columns"),
        (["5a", "5A"], "2 more cannot be"),
        (["pool1"], "'pool1' is no row with weights: those are conv1, conv2, 3a"),
        (list(checks.rows()), "Row conv2 is"),
        ("conv1", "ive a list of row names"),
        ([1, 2], "ive a list of row names"),
        (3, "ive a list of row names"),
        ([], "ive a list of row names"),
    ],
)
def test_wrong_suspects_are_told_apart_whatever_the_column_is(names, said):
    state, told = checks.exercise_1.judge(names, COLUMN)
    assert state == NOT_YET and said in told and told.startswith("Right: column. suspects: ")
    assert checks.exercise_1.judge(names, ...)[1].endswith("Not attempted yet: column.")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (6.7977, "6.7977 million is K taken as 1000"),
        (6797.7, "6797.7 million is the sum in K"),
        (6_960_844.8, "is the sum in weights"),
        (5, "5 million is what [V3] says"),
        (6.99, "6.99 million is the column as counted here"),
        (7, "7 million is what the network has"),
        (6.998552, "is what the network has"),
        (5.94, "the sum without linear"),
        (6.9, "6.9 million is not what the printed K of all 12 rows add up to"),
        (6.97, "is not what the printed K"),
        (-6.96, "is not what the printed K"),
        ("many", "ive the sum as one number, got 'many'"),
        ([6.96, 7], "ive the sum as one number"),
        (True, "ive the sum as one number, got True"),
    ],
)
def test_wrong_sums_of_the_column_are_told_apart(column, said):
    state, told = checks.exercise_1.judge(SUSPECTS, column)
    assert state == NOT_YET and said in told and told.startswith("Right: suspects. column: ")


def test_rows_off_by_more_than_3_percent_are_the_three_of_facts_and_4a_is_not():
    off = {name: row.off for name, row in checks.rows().items()}
    assert {name for name, value in off.items() if abs(value) > 0.03} == {"conv1", "4c", "5a"}
    assert max(abs(off[name]) for name in off.keys() - {"conv1", "4c", "5a"}) < 0.025
    assert round(off["4c"], 3) == -0.069 and round(off["4a"], 3) == -0.008


# --- exercise 2


def separable(c_in, multiplier, c_out, k, size, stride):
    side = -(-size // stride)
    weights = k * k * c_in * multiplier + c_in * multiplier * c_out
    return weights, weights * side * side


def built(*sizes):
    """By modules of one's own, in numbers of another kind."""
    c_in, multiplier, c_out, k, size, stride = sizes
    first = nn.Conv2d(c_in, c_in * multiplier, k, stride, (k - 1) // 2, groups=c_in, bias=False)
    mix = nn.Conv2d(c_in * multiplier, c_out, 1, bias=False)
    y = first(torch.zeros(1, c_in, size, size))
    weights = torch.tensor(first.weight.numel() + mix.weight.numel())
    return [weights, weights * float(y[0, 0].numel())]


def in_floats(a, b, c, kernel, n, step):
    return np.array([a * b * (kernel**2 + c), a * b * (kernel**2 + c) * np.ceil(n / step) ** 2])


def by_conv_cost(c_in, multiplier, c_out, k, size, stride):
    first = conv_cost(c_in, c_in * multiplier, k, size, stride=stride, groups=c_in)
    mix = conv_cost(c_in * multiplier, c_out, 1, (size - 1) // stride + 1)
    return {"weights": first.params + mix.params, "macs": first.macs + mix.macs}.values()


@pytest.mark.parametrize("multiplier", [8, 8.0, "8", np.int64(8), torch.tensor(8.0)])
def test_multiplier_8_is_right_in_any_kind_of_number(multiplier):
    assert checks.exercise_2.judge(separable, multiplier) == (RIGHT, "")


@pytest.mark.parametrize("function", [separable, built, in_floats, by_conv_cost])
def test_a_separable_convolution_is_right_in_any_make(function):
    assert checks.exercise_2.judge(function, 8) == (RIGHT, "")
    assert separable(3, 8, 64, 7, 224, 2) == (2_712, 34_019_328)


def with_(weights=None, side=None):
    """`separable` with other weights for c, m, o, k, or another side for size, stride."""

    def function(c, m, o, k, size, stride):
        w = weights(c, m, o, k) if weights else k * k * c * m + c * m * o
        return w, w * (side(size, stride) if side else -(-size // stride)) ** 2

    return function


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (with_(lambda c, m, o, k: k * k * c * m), "the 1x1 that mixes the channels is missing"),
        (with_(lambda c, m, o, k: k * k * c * c * m + c * m * o), "each filter reads one channel"),
        (with_(lambda c, m, o, k: k * k * c * m + c * m * o + c * m + o), "there are no biases"),
        (with_(lambda c, m, o, k: 49 * c * m + c * m * o), "then a 1x1"),
        (with_(lambda c, m, o, k: k * k * 3 * m + 3 * m * o), "then a 1x1"),
        (with_(lambda c, m, o, k: k * k * c * 8 + c * 8 * o), "then a 1x1"),
        (with_(lambda c, m, o, k: k * k * c * m + c * m * 64), "then a 1x1"),
        (with_(side=lambda size, stride: size), "the stride leaves fewer outputs"),
        (with_(side=lambda size, stride: size // stride), "the outputs of a side are rounded up"),
        (with_(side=lambda size, stride: 1), "used at every output of the grid"),
        (with_(side=lambda size, stride: 224 // stride), "used once at each output"),
        (with_(side=lambda size, stride: -(-size // 2)), "used once at each output"),
        (lambda *sizes: separable(*sizes)[::-1], "weights come first, then MACs"),
        (
            lambda *sizes: (separable(*sizes)[0], 2 * separable(*sizes)[1]),
            "a multiply-add counts once",
        ),
        (lambda *sizes: (2712, 34_019_328), "for c_in="),
        (lambda *_: (1, 1), "then a 1x1"),
        (lambda *_: 2712, "return two numbers, (weights, macs), got 2712"),
        (lambda *sizes: sizes, "return two numbers"),
        (lambda *_: print(end=""), "got None"),
        (lambda *_: "ab", "got 'ab'"),
        (lambda c_in: (1, 1), "t raised TypeError"),
        (2712, "t raised TypeError"),
    ],
)
def test_wrong_separable_convolutions_are_told_apart(function, said):
    state, told = checks.exercise_2.judge(function, 8)
    assert state == NOT_YET and said.lower() in told.lower()
    assert told.startswith("Right: multiplier. separable: ")


@pytest.mark.parametrize(
    ("multiplier", "said"),
    [
        (7, "7 gives 2.32 K and 29.8 M, another is nearer"),
        (9, "another is nearer"),
        (8.5, "from 1 to 1000, got 8.5"),
        (0, "got 0"),
        (1e12, "from 1 to 1000"),
        (True, "got True"),
        ("eight", "got 'eight'"),
    ],
)
def test_wrong_multipliers_are_told_apart(multiplier, said):
    state, told = checks.exercise_2.judge(separable, multiplier)
    assert state == NOT_YET and said in told and told.startswith("Right: separable. multiplier: ")


def test_half_an_answer_is_judged():
    assert checks.exercise_2.judge(separable, ...) == (
        NOT_YET,
        "Right: separable. Not attempted yet: multiplier.",
    )
    assert checks.exercise_2.judge(lambda *_: ..., 8)[1].startswith("Right: multiplier. ")


def test_every_argument_of_separable_is_drawn_at_least_three_times():
    assert all(len(set(drawn)) >= 3 for drawn in zip(*checks.shapes(), strict=True))


def test_multiplier_8_is_nearest_to_2_7_k_and_34_m():
    far = {}
    for multiplier in range(1, 33):
        weights, macs = checks.counted(3, multiplier, 64, 7, 224, 2)
        far[multiplier] = abs(weights / 1024 / 2.7 - 1) + abs(macs / 34e6 - 1)
    assert min(far, key=far.get) == 8 and far[8] < 0.03


# --- exercise 3


@pytest.mark.parametrize(("width", "params"), [(0.35, 737_644), (0.36, 784_850), (0.5, 1_502_690)])
def test_parameters_of_narrow_networks(width, params):
    assert checks.params(width) == params
    built = GoogLeNet(num_classes=10, aux=False, width=width)
    assert sum(p.numel() for p in built.parameters()) == params


@pytest.mark.parametrize(
    "scalar",
    [str, float, np.float32, np.float16, np.array, torch.tensor, lambda x: Fraction(7, 20)],
)
def test_width_0_35_is_right(scalar):
    assert checks.exercise_3.judge(scalar(0.35)) == (RIGHT, "")


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (0.5, "Width 0.5 has 1,502,690 parameters, above 750,000"),
        (0.36, "784,850 parameters, above"),
        (0.25, "grow with the square of the width"),
        (0.3, "wider fits too"),
        (0.354, "0.354 is no whole number of hundredths"),
        (0.3526, "no whole number of hundredths"),
        (1, "5,983,802 parameters"),
        (0, "from 0.01 to 1, such as 0.5, got 0"),
        (35, "from 0.01 to 1, such as 0.5, got 35"),
        (0.001, "from 0.01 to 1"),
        ([0.35, 0.36], "from 0.01 to 1"),
    ],
)
def test_wrong_widths_are_told_apart(width, said):
    state, told = checks.exercise_3.judge(width)
    assert state == NOT_YET and said in told


def test_stubs_are_not_attempted_yet():
    def stub(c_in, multiplier, c_out, k, size, stride):
        """-> (weights, macs)"""
        ...

    assert checks.exercise_1.judge([...], ...)[0] == OPEN
    assert checks.exercise_2.judge(stub, ...)[0] == OPEN
    assert checks.exercise_3.judge(...)[0] == OPEN


# --- the diagram and the longest way


def test_the_diagram_has_a_box_for_every_layer_of_the_model(paper):
    rows = lesson.stages(paper)
    names = [[stage.name for stage in row] for row in rows]
    stem = ["conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2"]
    assert names == [
        [*stem, "3a", "3b", "pool3"],
        ["4a", "4b", "4c", "4d", "4e", "pool4"],
        ["5a", "5b", "pool", "dropout", "linear"],
    ]
    solid = [ok for row in rows for s in row for branch in s.branches.values() for _, ok in branch]
    kinds = (nn.Conv2d, nn.Linear)
    assert sum(solid) == sum(isinstance(m, kinds) for m in paper.modules()) == 58
    fig = render(lesson._draw_net, rows, (10, 7.6))
    assert sum(len(ax.patches) for ax in fig.axes) == len(solid)


def test_the_diagram_follows_the_model_that_it_is_given():
    with torch.device("meta"):
        small = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8).eval()
        small.body.get_submodule("4a")["branch5x5"][1].conv = nn.Conv2d(
            2, 6, (1, 7), padding=(0, 3)
        )
        small.body.pool4 = nn.MaxPool2d(2, 4)
    words = lesson.show_net(small).words
    lines = {line.split()[0]: line for line in words.splitlines()}
    assert "1x1 | 1x1 3x3 | 1x1 1x7 | max 3x3 1x1" in lines["4a"]
    assert "max 2x2/4" in lines["pool4"] and "14x14x104" in lines["pool4"]
    assert "norm1" not in lines and lines["conv1"].endswith("224x224x8")


def test_outputs_in_the_diagram_are_table_1s(paper):
    found = {stage.name: stage.output for row in lesson.stages(paper) for stage in row}
    for name in ("conv1", "pool1", "conv2", "pool2", "pool3", "pool4", *BLOCKS):
        assert found[name] == "x".join(map(str, TABLE_1[name].output)), name


def test_words_stay_inside_their_boxes_in_the_diagram(paper):
    fig = render(lesson._draw_net, lesson.stages(paper), (10, 7.6))
    for ax in fig.axes:
        boxes = [patch.get_window_extent() for patch in ax.patches]
        for text in ax.texts:
            extent = text.get_window_extent()
            assert extent.x0 >= 0 and extent.x1 <= 2 * on_page((10, 7.6))[0]
            inside = [b for b in boxes if b.contains(*extent.get_points().mean(0))]
            assert all(b.x0 <= extent.x0 and extent.x1 <= b.x1 for b in inside), text.get_text()


def test_the_longest_way_is_22_layers_by_autograd(paper):
    image = torch.empty(1, 3, 224, 224, device="meta")
    assert shared.longest_path(paper(image).logits) == 22


# --- the explorer of blocks


@pytest.mark.parametrize("name", BLOCKS)
def test_a_blocks_numbers_equal_those_of_layer_table_and_receptive_field(paper, name):
    block = block_explorer.look(paper, name, 224)
    h, w, c = TABLE_1[name].output
    assert block.leaves == (c, h, w)
    rows = {row.name: row for row in layer_table(paper, depth=3).rows}
    row = TABLE_1[name]
    widths = [row.n1x1, row.n3x3, row.n5x5, row.pool_proj]
    assert [b.channels for b in block.branches.values()] == widths
    for branch, found in block.branches.items():
        assert found.macs == rows[f"body.{name}.{branch}"].macs
        modules = paper.body.get_submodule(name)[branch].modules()
        assert found.weights == sum(m.weight.numel() for m in modules if isinstance(m, nn.Conv2d))


WINDOWS = {  # by hand: the window of what enters, then (k - 1) steps more
    "3a": [27, 43, 59, 43],
    "3b": [59, 75, 91, 75],
    "4b": [171, 203, 235, 203],
    "5b": [587, 651, 715, 651],
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_grow_by_k_minus_1_steps_of_the_grid(paper, name):
    branches = block_explorer.look(paper, name, 224).branches
    assert [branch.window for branch in branches.values()] == WINDOWS[name]
    step = {"3": 8, "4": 16, "5": 32}[name[0]]
    first = WINDOWS[name][0]
    assert WINDOWS[name] == [first, first + 2 * step, first + 4 * step, first + 2 * step]


def test_the_stems_window_is_27_pixels(paper):
    assert receptive_field(paper.stem).size == (27, 27)  # 7, +2x2, +2x4, +2x4


def test_4b_looks_past_224_pixels_first_and_3b_has_the_largest_5x5_share(paper):
    blocks = {name: block_explorer.look(paper, name, 224).branches for name in BLOCKS}
    assert next(n for n in BLOCKS if blocks[n]["branch5x5"].window > 224) == "4b"
    share = {
        n: b["branch5x5"].macs / sum(branch.macs for branch in b.values())
        for n, b in blocks.items()
    }
    assert max(share, key=share.get) == "3b" and round(share["3b"], 2) == 0.22
    assert {max(b, key=lambda name: b[name].macs) for b in blocks.values()} == {"branch3x3"}


def test_moving_the_explorers_controls_changes_picture_and_words(paper):
    explorer = block_explorer.explorer(paper)
    assert list(explorer.controls["name"].options) == BLOCKS
    assert explorer.values == dict(name="3a", side=224)
    for name, value in (("name", "3b"), ("side", 320), ("name", "5b"), ("side", 96)):
        moved(explorer, **{name: value})
        pixels = tuple(2 * n for n in on_page((9, 3.8)))
        assert struct.unpack(">II", explorer.picture.value[16:24]) == pixels


def test_the_explorers_words_tell_shapes_costs_and_windows(paper):
    explorer = block_explorer.explorer(paper)
    assert "block 3a: 28x28x192 -> 28x28x256, 128,049,152 MACs" in explorer.words
    assert "branch5x5          32   15,872   12,443,648   9.7%          59" in explorer.words
    explorer.controls["side"].value = 320
    assert "block 3a: 40x40x192 -> 40x40x256" in explorer.words
    assert "15,872" in explorer.words and "12,443,648" not in explorer.words


@pytest.mark.parametrize("side", [96, 320])
def test_the_explorer_draws_a_box_for_each_branch_inside_its_axes(paper, side):
    block = block_explorer.look(paper, "4c", side)
    fig = render(block_explorer._draw, block, (9, 3.8))
    image, *boxes = fig.axes[1].patches
    assert image.get_width() == side
    assert [box.get_width() for box in boxes] == [b.window for b in block.branches.values()]
    low, high = fig.axes[1].get_xlim()
    assert all(low < box.get_x() and box.get_x() + box.get_width() < high for box in boxes)


# --- the detective's tables


def test_shapes_beside_the_papers_say_where_they_differ():
    net, c_in = nn.Sequential(), 3
    for name, row in list(TABLE_1.items())[:2]:
        net.add_module(name, nn.Conv2d(c_in, row.output[2], 3, 2, 1, device="meta"))
        c_in = row.output[2]
    assert detective.shapes_beside(net).rows[1:] == [
        ("conv1", "112x112x64", "112x112x64", "equal"),
        ("pool1", "56x56x64", "56x56x64", "equal"),
    ]
    net.pool1 = nn.MaxPool2d(3, 2)
    assert detective.shapes_beside(net).rows[2][1:] == ("55x55x64", "56x56x64", "DIFFERS")


def test_costs_beside_the_papers_are_those_of_facts(paper):
    rows = {name: [*cells] for name, *cells in detective.beside_the_paper(paper).rows}
    assert rows["conv1"] == ["9.2", "2.7", "118.0", "34"]
    assert rows["4c"] == ["497.5", "463", "99.9", "100"]
    assert rows["5a"] == ["1018.0", "1072", "51.1", "54"]
    assert rows["linear"] == ["1000.0", "1000", "1.0", "1"]
    assert list(rows) == ["row", "conv1", "conv2", *BLOCKS, "linear"]
    counted = detective.costs(paper)
    assert round(sum(row.printed_weights for row in counted), 1) == 6797.7
    assert sum(row.printed_ops for row in counted) == 1502
    assert sum(row.weights for row in counted) * 1024 == 6_990_272
    assert round(sum(row.ops for row in counted) * 1e6) == 1_582_671_872


def test_readings_of_the_first_row_are_those_of_facts():
    found = {name: numbers for name, _, *numbers in detective.readings().rows}
    assert found["7x7 on RGB, the row itself"] == ["9.19", "118.0"]  # 9,408 and 118,013,952
    assert found["7x7 separable, 8 a channel"] == ["2.65", "34.0"]  # 2,712 and 34.02 M
    assert found["7x1 beside 1x7"] == ["2.62", "33.7"]  # 2,688 and 33.7 M
    assert found["7x1, then 1x7"][0] == "29.31"  # 30,016
    assert found["printed in Table 1"] == ["2.7", "34"]


def test_networks_side_by_side_tell_and_draw_what_was_counted(paper):
    with torch.device("meta"):
        networks = {"AlexNet": torchvision.models.alexnet(), "GoogLeNet": paper}
    tables = {name: layer_table(network) for name, network in networks.items()}
    picture = detective.show_networks(tables)
    assert "AlexNet    61,100,840    714,188,480" in picture.words
    assert "GoogLeNet   6,998,552  1,582,671,872" in picture.words
    assert (
        '"GoogLeNet has the fewest"' in picture.words
        and '"AlexNet has the fewest"' in picture.words
    )
    fig = render(detective._draw_networks, tables, (9, 3))
    assert [bar.get_width() for bar in fig.axes[0].patches] == [61.10084, 6.998552]
    assert [text.get_text().strip() for text in fig.axes[1].texts] == ["0.7", "1.6"]


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("03")
