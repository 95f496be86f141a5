import math
import re
import struct

import numpy as np
import pytest
import torch
from torch import nn

from conftest import solutions_pass
from inception_edu import cost
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.lessons.lesson_01 import (
    budget_game,
    checks as checks,
    pictures as lesson,
    speed,
)

BRANCHES = ["branch1x1", "branch3x3", "branch5x5", "branch_pool"]


def cells(text):
    """A table of text as rows of cells."""
    return [re.split("  +", line) for line in text.splitlines()]


def moved(explorer, **values):
    """The explorer's words after its controls were set, and that its picture changed."""
    before = explorer.picture.value
    for name, value in values.items():
        explorer.controls[name].value = value
    assert explorer.message.value == "" and explorer.values | values == explorer.values
    assert explorer.picture.value != before
    assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((8, 3))[0]
    return explorer.words


# --- exercise 1


def right(c_in, c_out, k, size, stride, padding, groups, bias):
    out = (size + 2 * padding - k) // stride + 1
    weights = k * k * c_in // groups * c_out
    return weights + bias * c_out, weights * out * out


def by_counting(c_in, c_out, k, size, stride, padding, groups, bias):
    """The layer itself, run on one image."""
    layer = nn.Conv2d(c_in, c_out, k, stride, padding, groups=groups, bias=bool(bias))
    with torch.no_grad():
        out = layer(torch.zeros(1, c_in, size, size))
    return np.array(
        [sum(p.numel() for p in layer.parameters()), out.numel() * layer.weight[0].numel()]
    )


def as_floats(c_in, c_out, k, size, stride=1, padding=0, groups=1, bias=False):
    side = math.floor((size - k + 2 * padding) / stride) + 1
    macs = side**2 * c_out * c_in / groups * k**2
    return [macs / side**2 + (c_out if bias else 0), macs]


def as_texts(**shape):
    return [f"{value:,}" for value in right(**shape)]


def as_tensors(**shape):
    return tuple(torch.tensor(float(value)) for value in right(**shape))


@pytest.mark.parametrize(
    "answer",
    [right, by_counting, as_floats, as_tensors, as_texts],
)
def test_exercise_1_takes_right_numbers_in_every_form(answer):
    assert checks.exercise_1.judge(answer) == ("right", "")


def wrong(params=lambda p, s: p, macs=lambda m, s: m):
    """The right function with its results changed by the shape."""

    def cost(**shape):
        p, m = right(**shape)
        return params(p, shape), macs(m, shape)

    return cost


def without(**fixed):
    """The right function, deaf to some of its arguments."""
    return lambda **shape: right(**shape | fixed)


def raises(**shape):
    raise NotImplementedError("not yet")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            wrong(macs=lambda m, s: m // (s["c_in"] // s["groups"])),
            "; c_in is left out of the MACs: each output value reads all input channels",
        ),
        (
            wrong(macs=lambda m, s: checks.weights(**s) * s["size"] ** 2),
            "; the MACs count the input's pixels, expected the output's.",
        ),
        (wrong(macs=lambda m, s: m * s["groups"]), "; groups are left out of the MACs: each"),
        (wrong(macs=lambda m, s: 2 * m), "; a multiplication and its addition are one MAC, not"),
        (without(stride=1), "; the stride is left out of the MACs."),
        (without(padding=0), "; the padding is left out of the MACs."),
        (without(bias=False), "; a bias adds c_out parameters."),
        (without(bias=True), "; without a bias there are no parameters of it."),
        (
            without(groups=1),
            "; groups are left out of params: each output channel reads c_in / groups channels; "
            "groups are left out of the MACs",
        ),
        (without(c_in=4), "expected ("),
        (without(k=3), "expected ("),
        (
            wrong(macs=lambda m, s: checks.weights(**s) * checks.side(**s) ** 2),
            "; the output's side must be rounded down.",
        ),
        (lambda **s: right(**s)[::-1], "; params come first, then the MACs."),
        (lambda **s: (1, 2), "you say (1, 2), expected ("),
        (lambda **s: cost.conv_cost(**s)[:2], "It calls the package's conv_cost: write the"),
        (raises, "It raised NotImplementedError: not yet."),
        (lambda c_in, c_out: (1, 2), "It raised TypeError"),
        (lambda **s: sum(right(**s)), "Return two numbers, (params, macs), got"),
        (lambda **s: "12", "Return two numbers, (params, macs), got '12'."),
        (lambda **s: [None, 1], "Return two numbers, (params, macs), got '[None, 1]'."),
        (12, "'int' object is not callable"),
    ],
)
def test_exercise_1_gives_the_reason_that_is_meant(answer, said):
    state, told = checks.exercise_1.judge(answer)
    assert state == "not right yet" and said in told


def test_exercise_1_gives_no_reason_that_is_not_true_of_all_its_numbers():
    """Right but for stride 2: there its MACs are those without a stride, by accident."""

    def strange(**s):
        return right(**s | {"stride": 1 if s["stride"] == 2 else s["stride"]})

    told = checks.exercise_1.judge(strange)[1]
    assert "stride=2" in told and ";" not in told


def test_exercise_1_keeps_the_students_function_and_goes_on_with_the_packages(capsys):
    def conv_cost(c_in, c_out, k, size, stride, padding, groups, bias):
        """Numbers -> (params, MACs) of a convolution."""
        ...

    assert checks.exercise_1.keep == ("conv_cost",)
    assert checks.exercise_1.check(conv_cost) is cost.conv_cost
    assert capsys.readouterr().out == (
        "▫ Exercise 1: not attempted yet. The lesson goes on with the package's conv_cost.\n"
    )
    assert checks.exercise_1.judge(cost.conv_cost) == ("not attempted yet", "")


def test_random_shapes_of_exercise_1_draw_every_argument_and_are_the_same_each_time():
    shapes = checks.random_shapes(24)
    assert shapes == checks.random_shapes(24) != checks.random_shapes(24, seed=2)
    for name in shapes[0]:
        assert len({shape[name] for shape in shapes}) >= (2 if name == "bias" else 3)
    kinds = {(shape["stride"] > 1, shape["groups"] > 1, shape["bias"]) for shape in shapes}
    assert len(kinds) == 8


@pytest.mark.parametrize("shape", checks.random_shapes(24))
def test_counted_equals_the_closed_form(shape):
    assert checks.counted(shape) == right(**shape) == cost.conv_cost(**shape)[:2]


# --- exercises 2 and 3


def test_reduce_of_51_channels_costs_39_664_128_macs_and_52_too_many():
    assert checks.detour_macs(16) == 12_443_648
    assert checks.detour_macs(51) == 39_664_128 <= checks.LIMIT < checks.detour_macs(52)


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (51, "right", ""),
        (51.0, "right", ""),
        ("51", "right", ""),
        (np.int32(51), "right", ""),
        (torch.tensor(51), "right", ""),
        (52, "not right yet", "52 channels cost 40,441,856 MACs, above 40,000,000."),
        (50, "not right yet", "50 fits, but 51 would still fit: 39,664,128 MACs."),
        (51.4, "not right yet", "Give a whole number of channels, at least 1, got '51.4'."),
        (True, "not right yet", "got 'True'"),
        (0, "not right yet", "got '0'"),
        (-1, "not right yet", "got '-1'"),
        (None, "not right yet", "got 'None'"),
        ([51], "not right yet", "got '[51]'"),
        (10**12, "not right yet", "above 40,000,000"),
        (..., "not attempted yet", ""),
    ],
)
def test_exercise_2_judges(answer, state, said):
    found, told = checks.exercise_2.judge(answer)
    assert found == state and said in told and bool(said) == bool(told)


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ({"params": 1, "macs": 4}, "right", ""),
        ({"macs": "4.0", "params": 1.0}, "right", ""),
        ([1, 4], "right", ""),
        ((torch.tensor(1), np.float32(4)), "right", ""),
        (torch.tensor([1.0, 4.0]), "right", ""),
        ({"params": 4, "macs": 4}, "not right yet", "params: 4 is not it; the same weights"),
        ({"params": 1, "macs": 2}, "not right yet", "macs: 2 is not it; height and width both"),
        ((1, 2), "not right yet", "Right: params. macs: 2 is not it"),
        ((4, 1), "not right yet", "macs: 1 is not it"),
        ((4, 4), "not right yet", "params: 4 is not it"),
        (4, "not right yet", "params: 4 is not it"),
        ({"params": 1, "macs": "four"}, "not right yet", "Give a factor as a number, got 'four'."),
        ({"params": 1}, "not right yet", "Right: params. Not attempted yet: macs."),
        ({"params": 1, "macs": ...}, "not right yet", "Right: params. Not attempted yet: macs."),
        ({"params": ..., "macs": 3}, "not right yet", "macs: 3 is not it"),
        ({"weights": 1}, "not right yet", "It has 'weights'; its parts are params, macs."),
        ((1, 4, 4), "not right yet", "It has 3 parts, expected 2."),
        (..., "not attempted yet", ""),
        ({"params": ..., "macs": ...}, "not attempted yet", ""),
    ],
)
def test_exercise_3_judges(answer, state, said):
    found, told = checks.exercise_3.judge(answer)
    assert found == state and said in told and bool(said) == bool(told)


# --- figures and explorers


def test_photo_is_small_colourful_and_between_0_and_1():
    photo = lesson.photo()
    assert photo.shape == (3, 100, 150) and photo.dtype == torch.float32
    assert 0 <= photo.min() < 0.2 and 0.8 < photo.max() <= 1
    assert not torch.equal(photo[0], photo[2])


def test_photos_are_shown_side_by_side_with_their_brightness():
    photo = lesson.photo()
    told = repr(lesson.show_photos(colour=photo, grey=photo.mean(0, keepdim=True)))
    mean = f"{photo.mean():.3f}"
    assert told.startswith(f"colour: mean brightness {mean}, grey: mean brightness {mean}\n")
    assert '"colour"; 1 images | "grey"; 1 images' in told


def test_direct_5x5_costs_120_422_400_macs_and_the_detour_2_408_448_and_10_035_200():
    bars = lesson.detour()
    assert bars == {
        "direct": {"convolution": (120_422_400, 153_600)},
        "detour": {"1x1 reduce": (2_408_448, 3_072), "convolution": (10_035_200, 12_800)},
    }
    assert lesson.total(bars["detour"]) == 12_443_648
    assert repr(lesson.show_detour()).splitlines()[2].split() == [
        "detour",
        "10,035,200",
        "2,408,448",
        "12,443,648",
        "15,872",
    ]
    assert '"The detour costs 9.68 times less"' in repr(lesson.show_detour())


@pytest.mark.parametrize(
    ("c_in", "reduce", "c_out", "k", "grid"), [(16, 1, 8, 1, 7), (832, 192, 384, 7, 56)]
)
def test_detour_of_any_widths_equals_the_closed_form_by_hand(c_in, reduce, c_out, k, grid):
    bars = lesson.detour(c_in, reduce, c_out, k, grid)
    assert lesson.total(bars["direct"]) == grid**2 * c_in * c_out * k * k
    assert lesson.total(bars["detour"]) == grid**2 * reduce * (c_in + c_out * k * k)


def test_chain_stops_where_a_width_is_0():
    assert [c.macs for c in lesson.chain(4, 2, (3, 1), (2, 3))] == [48, 216]
    assert lesson.chain(4, 2, (0, 1), (2, 3)) == lesson.chain(4, 2, (3, 1), (0, 3)) == []


def test_cost_explorer_starts_at_the_papers_5x5_branch_and_follows_its_sliders():
    explorer = lesson.cost_explorer()
    assert explorer.values == dict(c_in=192, reduce=16, c_out=32, k=5, grid=28)
    assert explorer.words == lesson.words_bars(lesson.detour())
    told = cells(moved(explorer, c_in=64, reduce=4, c_out=8, k=3, grid=7))
    assert told[1][-2:] == [f"{49 * 64 * 8 * 9:,}", f"{64 * 8 * 9:,}"]
    assert told[2][-2] == f"{49 * 4 * (64 + 8 * 9):,}"


def test_cost_explorer_survives_both_ends_of_every_slider():
    explorer = lesson.cost_explorer()
    assert list(explorer.controls) == ["c_in", "reduce", "c_out", "k", "grid"]
    for name, control in explorer.controls.items():
        ends = [control.options[i] for i in (0, -1)] if hasattr(control, "options") else None
        for end in ends or (control.min, control.max):
            moved(explorer, **{name: end})


def test_detour_that_costs_more_says_so():
    fig = render(lesson._draw_detour, lesson.detour(k=1, reduce=192), (8, 3))
    title = fig.axes[0].get_title("left")
    assert title == "The detour costs 7.00 times as much"  # 192 (192 + 32) / (192 32)


def test_block_3a_naive_has_308_281_344_macs_and_reduced_128_049_152():
    bars = budget_game.block_bars()
    assert [list(parts) for parts in bars.values()] == [BRANCHES, BRANCHES]
    assert lesson.total(bars["naive"]) == 308_281_344
    assert sum(weights for _, weights in bars["naive"].values()) == 393_216
    assert lesson.total(bars["reduced"]) == 128_049_152
    assert sum(weights for _, weights in bars["reduced"].values()) == 163_328
    block = Inception(192, TABLE_1["3a"])
    for name, branch in block.items():
        assert bars["reduced"][name][1] == sum(
            p.numel() for p in branch.parameters() if p.ndim == 4
        )


def test_budget_game_starts_over_the_budget_and_is_not_won():
    game = budget_game.explorer()
    assert game.values == dict(reduce3=96, reduce5=16, pool_proj=32)
    assert game.words.endswith("4 of 4 branches alive; not won yet")
    assert "over the budget" in game.plain and budget_game.BUDGET == 100_000_000


def test_budget_game_can_be_won():
    game = budget_game.explorer()
    told = moved(game, reduce3=64)
    macs = lesson.total(budget_game.block_bars(64, 16, 32)["reduced"])
    assert macs < 100_000_000 and f"{macs:,}" in told
    assert told.endswith("4 of 4 branches alive; won")
    assert f'"Block 3a at {macs / 1e6:.1f} million MACs: under the budget"' in game.plain


def test_budget_game_is_not_won_with_a_dead_branch():
    game, won = budget_game.explorer(), dict(reduce3=64, reduce5=16, pool_proj=32)
    dead = {"reduce3": "branch3x3", "reduce5": "branch5x5", "pool_proj": "branch_pool"}
    for alive, (name, branch) in zip((3, 2, 1), dead.items(), strict=True):
        bars = budget_game.block_bars(**won | {name: 0})
        assert bars["reduced"][branch] == (0, 0)
        assert budget_game.words_game(bars).endswith("3 of 4 branches alive; not won yet")
        assert moved(game, **{name: 0}).endswith(f"{alive} of 4 branches alive; not won yet")


def test_budget_itself_is_not_under_the_budget():
    bars = {
        "naive": budget_game.block_bars()["naive"],
        "reduced": dict.fromkeys(BRANCHES, (25_000_000, 1)),
    }
    assert budget_game.words_game(bars).endswith("not won yet")
    bars["reduced"] |= {"branch1x1": (24_999_999, 1)}
    assert budget_game.words_game(bars).endswith("; won")


def test_bars_are_told_as_a_table_with_their_sums():
    bars = {"one": {"branch1x1": (1000, 2), "branch_pool": (30, 4)}, "two": {"branch1x1": (5, 6)}}
    assert cells(lesson.words_bars(bars)) == [
        ["MACs", "1x1", "pool", "total", "weights"],
        ["one", "1,000", "30", "1,030", "6"],
        ["two", "5", "0", "5", "6"],
    ]


# --- the speed of six layers


@pytest.mark.parametrize("name", speed.SHAPES)
def test_timed_layers_macs_and_bytes_are_those_of_the_layer(name, monkeypatch):
    ran = []

    def timed(layer, x):
        ran.append((layer, x, torch.get_num_threads()))
        return 8.0

    monkeypatch.setattr(speed, "milliseconds", timed)
    c_in, c_out, k, grid, groups = shape = speed.SHAPES[name]
    timing = speed.time_layer(*shape)
    ((layer, x, threads),) = ran
    with torch.no_grad():
        out = layer(x)
    assert out.shape == (8, c_out, grid, grid) and layer.groups == groups
    assert timing.macs == cost.conv_cost(c_in, c_out, k, grid, groups=groups).macs
    assert timing.macs * 8 == out.numel() * layer.weight[0].numel()
    assert timing.bytes == 4 * (x.numel() + out.numel() + layer.weight.numel()) // 8
    assert timing.milliseconds == 1.0 and threads == 1
    assert timing.gmacs_per_second == pytest.approx(timing.macs / 1e6)
    assert timing.macs_per_byte == timing.macs / timing.bytes


@pytest.fixture
def timings():
    return {
        "fast": speed.Timing(macs=1000, bytes=10, milliseconds=1.0),
        "slow": speed.Timing(macs=500, bytes=50, milliseconds=2.0),
    }


def test_prediction_takes_the_first_layers_speed_for_all(timings):
    assert speed.predicted(timings) == pytest.approx({"fast": 1.0, "slow": 0.5})


def test_speed_is_told_and_drawn_with_the_largest_slowdown_as_title(timings):
    rows = [re.split("  +", line) for line in speed.words_speed(timings).splitlines()]
    assert rows[0][:4] == ["layer", "MACs", "predicted ms", "measured ms"]
    assert rows[2] == ["slow", "500", "0.500", "2.000", "0", "10.0"]
    picture = speed.show_speed(timings)
    told = repr(picture)
    assert struct.unpack(">II", picture.png[16:24]) == tuple(2 * n for n in on_page((11, 4)))
    assert '"Up to 4 times slower"' in told and "2 legend entries" in told


def test_at_least_four_shapes_are_timed(monkeypatch):
    monkeypatch.setattr(speed, "time_layer", lambda *shape: shape)
    assert speed.time_shapes() == speed.SHAPES
    assert len(speed.SHAPES) >= 4


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("01")
