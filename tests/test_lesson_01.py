import math
import re
import struct

import numpy as np
import pytest
import torch
from torch import nn

from authoring.measure import table
from conftest import solutions_pass
from inception_edu import cost
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.lessons import studies
from inception_edu.lessons.lesson_01 import (
    budget_game,
    checks as checks,
    pictures,
    roofline,
    runs,
    speed,
)
from inception_edu.lessons.shared import small_googlenet


def cells(text):
    """A table of text as rows of cells."""
    return [re.split("  +", line) for line in text.splitlines()]


def moved(explorer, *, size=(8, 3), changes=True, **values):
    """The explorer's words after its controls were set, and that its picture changed."""
    before = explorer.picture.value
    for name, value in values.items():
        explorer.controls[name].value = value
    assert explorer.message.value == "" and explorer.values | values == explorer.values
    assert explorer.picture.value != before or not changes
    assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page(size)[0]
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
    [right, by_counting, as_floats, as_tensors],
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
        (without(c_in=4), "MACs, expected"),
        (without(k=3), "MACs, expected"),
        (
            wrong(macs=lambda m, s: checks.weights(**s) * checks.side(**s) ** 2),
            "; the output's side must be rounded down.",
        ),
        (lambda **s: right(**s)[::-1], "; params come first, then the MACs."),
        (lambda **s: (1, 2), "you say 1 parameters and 2 MACs, expected"),
        (lambda **s: cost.conv_cost(**s)[:2], "It calls the package's conv_cost: write the"),
        (raises, "It raised NotImplementedError: not yet."),
        (lambda c_in, c_out: (1, 2), "It raised TypeError"),
        (lambda **s: sum(right(**s)), "Return two numbers, (params, macs), got"),
        (as_texts, "Return two numbers, (params, macs), got"),
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


# --- exercise 2


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


# --- figures and explorers


def test_photo_is_sharp_colourful_and_between_0_and_1():
    photo = pictures.photo()
    assert photo.shape == (3, 300, 300) and photo.dtype == torch.float32
    assert photo.min() == 0 and photo.max() == 1
    suit, background = photo[:, 220, 70], photo[:, 40, 190]
    assert suit[0] - suit[1] > 0.4 > 0.1 > background[0] - background[1]


def test_photos_are_shown_side_by_side_as_large_as_the_page_allows():
    photo = pictures.photo()
    picture = pictures.show_photos({"a": photo, "b": photo[:1], "twice": 2 * photo})
    assert repr(picture).startswith(f"a: mean {photo.mean():.3f}; b: mean {photo[0].mean():.3f}")
    assert '"a"; 1 images | "b"; 1 images | "twice"; 1 images' in repr(picture)
    fig = render(pictures._draw_photos, {"a": photo, "b": photo, "c": photo}, (10.98, 3.8))
    assert all(ax.images[0].get_window_extent().width > 2 * 280 for ax in fig.axes)


def test_values_outside_of_0_and_1_are_shown_as_black_and_white():
    fig = render(pictures._draw_photos, {"x": torch.tensor([[[-1.0, 0.5, 2.0]]])}, (4, 4))
    assert fig.axes[0].images[0].get_array().tolist() == [[0, 0.5, 1]]


def test_direct_5x5_costs_120_422_400_macs_and_the_detour_2_408_448_and_10_035_200():
    assert pictures.detour() == {
        "direct": {"convolution": 120_422_400},
        "detour": {"1x1 reduce": 2_408_448, "convolution": 10_035_200},
    }


@pytest.mark.parametrize(
    ("c_in", "reduce", "c_out", "k", "grid"), [(16, 1, 8, 1, 7), (832, 192, 384, 7, 56)]
)
def test_detour_of_any_widths_equals_the_closed_form_by_hand(c_in, reduce, c_out, k, grid):
    direct, around = pictures.detour(c_in, reduce, c_out, k, grid).values()
    assert direct == {"convolution": grid**2 * c_in * c_out * k * k}
    assert sum(around.values()) == grid**2 * reduce * (c_in + c_out * k * k)


def test_cost_explorer_starts_at_the_papers_5x5_branch_and_follows_its_sliders():
    explorer = pictures.cost_explorer()
    assert explorer.values == dict(c_in=192, reduce=16, c_out=32, k=5, grid=28)
    assert explorer.words == pictures.words_bars(pictures.detour())
    assert '"The detour costs 9.68 times less"' in explorer.plain
    told = cells(moved(explorer, c_in=64, reduce=4, c_out=8, k=3, grid=7))
    assert told[1][-1] == f"{49 * 64 * 8 * 9:,}"
    assert told[2][-1] == f"{49 * 4 * (64 + 8 * 9):,}"


def test_cost_explorer_survives_both_ends_of_every_slider():
    explorer = pictures.cost_explorer()
    assert list(explorer.controls) == ["c_in", "reduce", "c_out", "k", "grid"]
    for name, control in explorer.controls.items():
        ends = [control.options[i] for i in (0, -1)] if hasattr(control, "options") else None
        for end in ends or (control.min, control.max):
            moved(explorer, **{name: end})


def test_reduce_of_77_is_nearest_to_half_and_from_155_the_detour_costs_more():
    def ratio(reduce, grid):
        direct, around = pictures.detour(reduce=reduce, grid=grid).values()
        return sum(around.values()) / direct["convolution"]

    for grid in (7, 56):
        assert min(range(1, 193), key=lambda r: abs(ratio(r, grid) - 0.5)) == 77
        assert ratio(154, grid) < 1 < ratio(155, grid)


def test_detour_that_costs_more_says_so():
    fig = render(pictures._draw_detour, pictures.detour(k=1, reduce=192), (8, 3))
    title = fig.axes[0].get_title("left")
    assert title == "The detour costs 7.00 times as much"  # 192 (192 + 32) / (192 32)


def test_bars_are_told_as_a_table_with_their_sums():
    bars = {"one": {"branch1x1": 1000, "branch_pool": 30}, "two": {"branch1x1": 5}}
    assert cells(pictures.words_bars(bars)) == [
        ["MACs", "1x1", "pool", "total"],
        ["one", "1,000", "30", "1,030"],
        ["two", "5", "0", "5"],
    ]


# --- the budget game and its study


def test_the_study_has_every_setting_of_the_sliders_once():
    assert table("budget") is runs.BUDGET and len(runs.BUDGET) == 18
    weights = {sum(p.numel() for p in entry.build().parameters()) for entry in runs.BUDGET.values()}
    assert len(weights) == 18 and max(weights) == 96_178
    for entry in runs.BUDGET.values():
        recipe = entry.recipe_for(2)
        assert (recipe.steps, recipe.batch_size, recipe.lr, recipe.seed) == (200, 128, 0.2, 2)
        assert (recipe.precision, recipe.shares, recipe.flip) == ("float32", 1, False)


def test_the_published_setting_is_the_series_small_googlenet_to_the_number():
    torch.manual_seed(0)
    theirs = small_googlenet().eval()
    torch.manual_seed(0)
    ours = runs.BUDGET["published, published, published"].build().eval()
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x).logits)
        assert not torch.equal(ours(x), ours(x.flip(3)))


def test_a_squeezed_row_narrows_its_own_columns_alone():
    row = TABLE_1["5b"]
    narrow = runs.squeezed(row, ("starved", "half", "starved"))
    assert narrow == row._replace(n3x3_reduce=12, n5x5_reduce=24, pool_proj=8)
    assert runs.squeezed(row, ("published",) * 3) == row
    small = runs.squeezed(TABLE_1["3a"], ("starved", "starved", "starved"), 1 / 8)
    assert (small.n3x3_reduce, small.n5x5_reduce, small.pool_proj, small.n3x3) == (1, 1, 1, 16)


def test_all_nine_blocks_are_squeezed():
    network = runs.BUDGET["half, starved, published"].build()
    blocks = [b for b in network.body if isinstance(b, Inception)]
    rows = [row for row in TABLE_1.values() if row.type == "inception"]
    assert len(blocks) == len(rows) == 9
    for block, row in zip(blocks, rows, strict=True):
        reduce3, reduce5 = (block[f"branch{k}x{k}"][0].conv.out_channels for k in (3, 5))
        assert reduce3 == round(row.n3x3_reduce / 16) and reduce5 == max(
            1, round(row.n5x5_reduce / 128)
        )
        assert block["branch_pool"][1].conv.out_channels == row.pool_proj / 8


@pytest.fixture
def grid(monkeypatch):
    """A saved study: 90 % as published, a point less for every slider that is starved."""
    saved = {
        name: [
            dict(
                seed=seed,
                test_accuracy=0.9 + 0.001 * (seed - 1) - 0.01 * name.count("starved"),
            )
            for seed in range(3)
        ]
        for name in runs.BUDGET
    }
    about = dict(command="measured", versions=dict(torch="2"), hardware="2 cores")
    study = about | dict(runs=saved)
    monkeypatch.setattr(budget_game, "saved", lambda name: {"budget": study}[name])
    budget_game.settings.cache_clear()
    yield
    budget_game.settings.cache_clear()


def test_block_3a_has_128_049_152_macs_as_published_and_its_branches_those_of_the_block():
    macs = budget_game.branch_macs(budget_game.PUBLISHED)
    assert sum(macs.values()) == 128_049_152
    for name, branch in Inception(192, TABLE_1["3a"]).items():
        weights = sum(p.numel() for p in branch.parameters() if p.ndim == 4)
        assert macs[name] == 28 * 28 * weights


def test_seven_settings_keep_to_the_budget_six_of_them_starve_reduce3(grid):
    inside = [s.steps for s in budget_game.settings().values() if s.total <= budget_game.LIMIT]
    assert len(inside) == 7 and sum(steps[0] == "starved" for steps in inside) == 6
    other = budget_game.pick(reduce3="half", reduce5="starved", pool_proj="starved")
    assert other.steps in inside and round(other.total / 1e6, 1) == 61.3


def test_the_game_starts_as_published_and_tells_what_narrower_layers_cost(grid):
    game = budget_game.explorer()
    assert game.values == dict.fromkeys(runs.SLIDERS, "published")
    assert game.words.endswith("test accuracy 90.0 ± 0.1 % (n = 3); over the budget")
    told = moved(game, reduce3="half", reduce5="starved", pool_proj="starved", size=(11, 4))
    assert told.endswith("test accuracy 88.0 ± 0.1 % (n = 3); within the budget, 2.0 points lost")
    assert '"Block 3a: 61.3 million MACs"' in game.plain and "starved: 1" in game.plain


def test_winners_are_the_settings_within_the_budget_the_most_accurate_first(grid):
    found = budget_game.winners()
    heading, published, *inside = found.rows
    assert published[:5] == (*budget_game.PUBLISHED, "128,049,152", "90.0 ± 0.1 %")
    assert [row[:3].count("starved") for row in inside] == [1, 1, 2, 2, 2, 2, 3]
    assert inside[0][-2:] == ("-1.0 (-1.0 to -1.0)", "worse")  # the same for each seed
    assert [row[-1] for row in inside] == ["worse"] * 7
    assert inside[-1] == (
        *("starved",) * 3, f"{sum(budget_game.branch_macs(('starved',) * 3).values()):,}",
        "87.0 ± 0.1 %", "-3.0 (-3.0 to -3.0)", "worse",
    )  # fmt: skip
    assert "n = 3 seeds" in found.caption and "measured; 2 cores; torch 2" in found.caption


def test_a_difference_whose_interval_holds_0_is_not_told_as_one(grid):
    setting = budget_game.settings()["starved", "published", "published"]
    setting.accuracies[:] = [90.9, 89.0, 90.4]
    (row,) = (row for row in budget_game.winners().rows if row[:3] == setting.steps)
    assert row[-1] == "cannot tell" and row[-2].startswith("+0.1 (-")


def test_a_setting_that_is_better_than_the_published_one_gains(grid):
    better = budget_game.pick(reduce3="half", reduce5="half", pool_proj="published")
    better = better._replace(accuracies=[91.0, 91.2, 91.4])
    assert budget_game.verdict(better) == "over the budget, 1.2 points gained"


def test_the_game_follows_every_button(grid):
    game = budget_game.explorer()
    for name, (_, steps) in runs.SLIDERS.items():
        for step in steps:
            moved(game, **{name: step}, size=(11, 4), changes=step != "published")


def test_the_saved_study_has_three_runs_of_every_setting_and_what_made_it():
    study = studies.saved("budget")
    assert study["command"] == "python -m authoring measure budget"
    assert study["versions"]["torch"] and study["hardware"]
    assert {name: len(each) for name, each in study["runs"].items()} == dict.fromkeys(
        runs.BUDGET, 3
    )


# --- the speed of six layers


@pytest.mark.parametrize("batch", speed.BATCHES)
@pytest.mark.parametrize("name", speed.SHAPES)
def test_a_layers_macs_and_bytes_are_those_of_what_runs(name, batch, monkeypatch):
    ran = []
    monkeypatch.setattr(
        nn.Conv2d, "forward", lambda layer, x: ran.append((layer, x)) or forward(layer, x)
    )
    c_in, c_out, k, grid, groups = speed.SHAPES[name]
    job, macs, size = speed.layer_job(speed.SHAPES[name], batch)
    with torch.no_grad():
        out = job()
    ((layer, x),) = ran
    assert out.shape == (batch, c_out, grid, grid) and layer.groups == groups
    assert macs * batch == out.numel() * layer.weight[0].numel()
    assert size * batch == pytest.approx(4 * (x.numel() + out.numel() + layer.weight.numel()))


forward = nn.Conv2d.forward


def test_jobs_take_turns_and_the_shortest_time_of_each_counts(monkeypatch):
    order, now = [], [0.0]
    takes = {"a": iter([9, 9, 3, 1, 2]), "b": iter([1, 1, 5, 6, 4])}
    monkeypatch.setattr(speed, "CLOCK", lambda: now[0])

    def job(name):
        order.append(name)
        now[0] += next(takes[name])

    found = speed.fastest({name: lambda name=name: job(name) for name in takes}, rounds=3)
    assert order == ["a", "b"] * 5 and found == {"a": 1, "b": 4}  # two rounds are not counted


def test_copy_goes_through_all_of_its_pieces():
    copy = speed.copy_job()
    target, source = (dict(zip("ab", pair, strict=True)) for pair in next_pieces(copy))
    assert not torch.equal(*target.values()) and not torch.equal(*source.values())


def next_pieces(copy):
    """The first two pairs of pieces that a copy job works on."""
    (pieces,) = (cell.cell_contents for cell in copy.__closure__)
    return [next(pieces), next(pieces)]


def test_a_machine_is_measured_on_one_core_and_its_ceilings_bound_its_layers():
    before = torch.get_num_threads()
    machine = speed.measure(1, names=["1x1, 832 to 256"])
    assert torch.get_num_threads() == before
    assert list(machine.layers) == [("1x1, 832 to 256", 1), ("1x1, 832 to 256", 8)]
    for timing in machine.layers.values():
        assert timing.macs == 10_436_608 and timing.seconds > 0
        assert 0 < timing.gmacs_per_second <= machine.gmacs
        assert timing.macs_per_byte == timing.macs / timing.bytes
        assert timing.gigabytes_per_second == pytest.approx(timing.bytes / timing.seconds / 1e9)
    assert machine.gigabytes > 0


def test_the_process_that_keeps_its_memory_is_told_so_and_measures_the_same_layer(monkeypatch):
    asked = []

    def run(command, **how):
        asked.append((command, how["env"]))
        return type("Ran", (), {"stdout": "[[4, 2, 0.5], [4, 2, 0.25]]"})

    monkeypatch.setattr(speed.subprocess, "run", run)
    kept = speed.with_memory_kept("3x3, 3 to 64")
    assert kept == {
        ("3x3, 3 to 64", 1): speed.Timing(4, 2, 0.5),
        ("3x3, 3 to 64", 8): speed.Timing(4, 2, 0.25),
    }
    ((command, env),) = asked
    assert "measure(100, ['3x3, 3 to 64'])" in command[2] and env.items() >= speed.KEEP.items()


@pytest.fixture
def machine():
    """A machine whose layers all take a millisecond an image, but for those that are told."""
    times = {("3x3, 3 to 64", 8): 0.004, ("5x5, 192 to 32", 1): 0.007}
    layers = {}
    for name, shape in speed.SHAPES.items():
        for batch in speed.BATCHES:
            _, macs, size = speed.layer_job(shape, batch)
            layers[name, batch] = speed.Timing(macs, size, times.get((name, batch), 0.001))
    return speed.Machine(layers, 150.0, 10.0)


def test_claims_are_ratios_of_what_was_measured(machine):
    kept = {("3x3, 3 to 64", batch): speed.Timing(1, 1, 0.002) for batch in (1, 8)}
    rows = roofline.claims(machine, kept).rows
    assert rows[1][1:] == ("2 to 20", "7.0") and rows[2][1:] == ("above 1.2", "1.0")
    assert rows[-2][1:] == ("above 1.5", "4.0") and rows[-1][1:] == ("below 1.5", "1.0")
    rates = [t.macs / t.seconds for (_, batch), t in machine.layers.items() if batch == 1]
    assert rows[4][2] == f"{max(rates) / min(rates):.1f}"
    assert rows[5][2] == f"{120_422_400 / 7 / 21_676_032:.1f}"  # (1) is the slower of the two


def test_claims_say_how_many_times_fewer_or_more_macs_two_layers_have():
    macs = [speed.layer_job(shape, 1)[1] for shape in speed.SHAPES.values()]
    assert macs[0] / macs[1] == 25 and round(macs[1] / macs[5], 1) == 3.6
    often = [
        macs / speed.layer_job(s, 1)[2] for s, macs in zip(speed.SHAPES.values(), macs, strict=True)
    ]
    assert min(often[0], often[2]) > 75 > 10 > max(often[i] for i in (1, 3, 4, 5))
    assert abs(often[1] - often[4]) < 0.3  # "as many MACs per byte"


def test_roofline_is_drawn_with_every_layer_and_told_with_its_speeds(machine):
    picture = roofline.show_roofline(machine)
    assert "ceilings: 150 GMAC/s and 10.0 GB/s" in picture.words
    assert "(5) 3x3, 3 to 64: 21.7 GMAC/s, eight images at once 5.4" in picture.words
    fastest, slowest = 120.4224, 1.354752
    assert f'"A MAC is up to {fastest / slowest:.0f} times faster' in picture.words
    rows = roofline.table(machine).rows
    assert len(rows) == 7 and rows[5][:2] == ("(5) 3x3, 3 to 64", "21,676,032")
    assert rows[5][2:6] == ("1.000", "4.000", "21.7", "5.4")


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("01")
