"""Lesson 08: the exercises on blocks, and what its figures and tables count."""

from dataclasses import asdict
from functools import cache, partial

import pytest
import torch
from test_lesson_08_network import Own
from torch import nn

from authoring.measure import table
from conftest import moved
from inception_edu.cost import layer_table
from inception_edu.exercises.judging import other_network
from inception_edu.factorised import Grid8, Grid35
from inception_edu.figures import render
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.layers import Concat, conv, stack
from inception_edu.lessons.lesson_08 import (
    after,
    checks as checks,
    detective,
    endpoints,
    ladder,
    plain,
    resolutions,
    rmsprop,
    runs as lesson,
    staircase,
    suspects,
)
from inception_edu.lessons.shared import saved
from inception_edu.lessons.studies import best_rates

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def on_meta(build, *arguments):
    """A network for use, without numbers."""
    with torch.device("meta"):
        return build(*arguments).eval()


@cache
def stages(variant="paper", side=299):
    """The staircase of InceptionV3 on an image of so many pixels a side."""
    return staircase.stages(on_meta(InceptionV3, variant), side)


# --- exercises 1 to 3: blocks


def own(name):
    """A block by a network of another make, whose branches run from the last to the first."""
    return lambda c_in, w: getattr(Own, name)(Own.__new__(Own), c_in, w)


def judged(exercise, build):
    given = {"1": (plain.grid17,), "3": (plain.reduce35to17,)}.get(exercise, ())
    given = {"1": (own("grid17"),), "3": (own("reduce35to17"),)}[exercise] if given else given
    return getattr(checks, f"exercise_{exercise}").judge(*given, build)


class Functional(nn.Module):
    """The second grid reduction in one class, its norms behind its convolutions, in double."""

    def __init__(self, c_in, w):
        super().__init__()
        a, b, row, column = w.reduce, w.double_reduce, (1, 7), (7, 1)
        same = dict(bias=False, padding="same")
        sizes = (c_in, a, 1), (c_in, b, 1), (b, b, row), (b, b, column)
        self.convs = nn.ModuleList(nn.Conv2d(*size, **same) for size in sizes)
        ends = (a, w.single), (b, w.double)
        self.convs.extend(nn.Conv2d(*end, 3, 2, bias=False) for end in ends)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c.out_channels) for c in self.convs)
        self.double()

    def layer(self, i, x):
        return self.norms[i](self.convs[i](x)).clamp(min=0)

    def forward(self, x):
        short = self.layer(4, self.layer(0, x))
        long = self.layer(5, self.layer(3, self.layer(2, self.layer(1, x))))
        return torch.cat([short, long, torch.max_pool2d(x, 3, 2)], 1)


RIGHT = [("1", own("grid35")), ("2", own("grid8")), ("3", own("reduce17to8")), ("3", Functional)]


@pytest.mark.parametrize(("exercise", "build"), RIGHT)
def test_a_block_is_right_of_any_make(exercise, build):
    assert judged(exercise, build) == ("right", "")


def rebuilt(exercise, **branches):
    """A right block with other branches, each made by a function of c_in and w."""
    base = {"1": partial(Grid35, k=5), "2": Grid8}.get(exercise, plain.reduce17to8)

    def build(c_in, w):
        made = {name: make(c_in, w) for name, make in branches.items()}
        return Concat(**dict(base(c_in, w).items()) | made)

    return build


def named(name, kind, other):
    """A right block of a row in which every layer of a kind is another one."""

    def build(c_in, w):
        block = own(name)(c_in, w)
        for module in list(block.modules()):
            for part, layer in list(module.named_children()):
                if isinstance(layer, kind):
                    setattr(module, part, other(layer))
        return block

    return build


def ended(name, layer):
    """A right block with a layer behind it."""
    return lambda c_in, w: nn.Sequential(own(name)(c_in, w), layer)


def too_early(c_in, w):
    """The second reduction, its long branch halved by a pool and not by its last convolution."""
    b, row, column = w.double_reduce, (1, 7), (7, 1)
    slow = stack(c_in, (b, 1), (b, row), (b, column), (w.double, 3)).append(nn.MaxPool2d(3, 2))
    return rebuilt("3", branch7x7=lambda *_: slow)(c_in, w)


def pool(kind):
    return lambda c_in, w: nn.Sequential(kind, conv(c_in, w.pool_proj, 1))


def bare(c_in, w):
    """The second branch of the 35 grid without a ReLU between its two layers."""
    return nn.Sequential(conv(c_in, w.reduce, 1, relu=False), conv(w.reduce, w.single, 5))


def biased(c_in, w):
    made = conv(c_in, w.n1x1, 1)
    made.conv = nn.Conv2d(c_in, w.n1x1, 1)
    return made


def forked(fork):
    return lambda c_in, w: stack(c_in, (w.reduce, 1)).append(fork(w.reduce, w.single))


def halved(c_in, c_out):
    half = c_out // 2
    return Concat(a=conv(c_in, half, (1, 3)), b=conv(c_in, c_out - half, (3, 1)))


def turned(c_in, c_out):
    return Concat(a=conv(c_in, c_out, (3, 1)), b=conv(c_in, c_out, (1, 3)))


class Joined(nn.Module):
    """A block whose branches are joined by torch, which names no branch in its errors."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.block.values()], 1)


def coarse(c_in, w):
    return rebuilt("1", branch_pool=pool(nn.AvgPool2d(3)))(c_in, w)


class Detached(nn.Module):
    def __init__(self, c_in, w):
        super().__init__()
        self.block = plain.reduce17to8(c_in, w)

    def forward(self, x):
        first, *rest = (branch(x) for branch in self.block.values())
        return torch.cat([first.detach(), *rest], 1)


def backwards(build):
    """The branches of a block joined from the last to the first."""
    return lambda c_in, w: Concat(**dict(reversed(build(c_in, w).items())))


def long(*layers):
    return lambda c_in, w: stack(
        c_in, (w.double_reduce, 1), *((w.double_reduce, k) for k in layers), (w.double, 3, 2)
    )


WRONG = [
    ("1", lambda c_in, w: Concat(**Grid35(c_in, w)), "Figure 5"),
    ("1", rebuilt("1", branch_pool=pool(nn.MaxPool2d(3, 1, 1))), "the maximum is pooled"),
    ("1", rebuilt("1", branch3x3=bare), "activations"),
    ("1", rebuilt("1", branch1x1=biased), "has no bias"),
    ("1", backwards(partial(Grid35, k=5)), "joined in another order"),
    ("1", lambda c_in, w: own("grid35")(c_in, w._replace(pool_proj=64)), "parameters, expected"),
    ("1", lambda c_in, w: nn.Identity(), "it has 0 parameters"),
    ("1", ended("grid35", nn.Dropout(0.2)), "changes with each call: dropout"),
    ("1", ended("grid35", nn.ReLU6()), "something else"),
    (
        "1",
        named("grid35", nn.BatchNorm2d, lambda norm: nn.BatchNorm2d(norm.num_features, 64)),
        "an epsilon of 64",
    ),
    (
        "1",
        rebuilt("1", branch_pool=lambda c, w: conv(c, w.pool_proj, 1)),
        "pool projection is miss",
    ),
    ("1", lambda c_in, w: Joined(coarse(c_in, w)), "it joins grids of different heights"),
    (
        "1",
        rebuilt(
            "1",
            branch3x3dbl=lambda c, w: stack(
                c, (w.double_reduce, 1), (w.double_reduce, 3), (w.double, 3)
            ),
        ),
        "the first 3x3 puts out double_reduce channels",
    ),
    ("2", rebuilt("2", branch3x3=forked(turned)), "something else"),
    ("2", rebuilt("2", branch3x3=forked(lambda a, b: conv(a, b, 3))), "are not expected"),
    (
        "2",
        rebuilt("2", branch_pool=pool(nn.AvgPool2d(3, 1, 1, False, False))),
        "leaves the padding",
    ),
    ("2", lambda c_in, w: suspects.forked(c_in, w, halved), "the two ends of a fork share"),
    ("2", ended("grid8", nn.Dropout2d(0.2)), "changes with each call: dropout"),
    ("2", backwards(Grid8), "joined in another order"),
    ("2", lambda c_in, w: own("grid8")(24, w), "parameters, expected"),
    ("2", own("grid8")(24, plain.widths()), "it is a block already"),
    ("3", rebuilt("3", branch7x7=long((7, 1), (1, 7))), "the 7x1 comes before the 1x7"),
    ("3", rebuilt("3", branch7x7=long((7, 7))), "a whole 7x7 stands"),
    ("3", rebuilt("3", branch7x7=long()), "1x7 and 7x1 are missing"),
    ("3", rebuilt("3", branch_pool=lambda c_in, w: nn.AvgPool2d(3, 2)), "expected the maximum"),
    ("3", Detached, "detached"),
    ("3", rebuilt("3", branch_pool=lambda c_in, w: nn.MaxPool2d(2)), "its pool is 2x2"),
    ("3", ended("reduce17to8", nn.Dropout(0.2)), "changes with each call: dropout"),
    ("3", too_early, "something else"),
    ("3", lambda c_in, w: w, "nn.Module"),
]


@pytest.mark.parametrize(("exercise", "build", "said"), WRONG)
def test_wrong_blocks_are_told_apart(monkeypatch, exercise, build, said):
    monkeypatch.setattr(checks, "OURS", ())  # many of these are made of the package's blocks
    state, told = judged(exercise, build)
    assert state == "not right yet" and said.lower() in told.lower(), told


def test_a_slower_long_branch_is_never_taken_for_the_right_one():
    """Wrong values must show behind four layers, whatever widths are drawn."""
    for seed in range(60):
        torch.manual_seed(seed)
        w, shape = plain.widths(), (2, 24, 13, 11)
        right = partial(plain.reduce17to8, 24, w)
        assert other_network(own("reduce17to8")(24, w), right, shape) is None
        assert "something else" in other_network(too_early(24, w), right, shape)


@pytest.mark.parametrize("exercise", "123")
def test_calling_the_packages_block_is_no_answer(exercise):
    name = {"1": "grid35", "2": "grid8", "3": "reduce17to8"}[exercise]
    assert "the package's own" in judged(exercise, lambda c_in, w: getattr(plain, name)(c_in, w))[1]


def test_a_given_block_that_was_changed_is_named():
    state, told = checks.exercise_1.judge(own("grid35"), own("grid35"))
    assert state == "not right yet" and told.startswith("Grid17, which was given, has been changed")


def test_stubs_are_not_attempted_yet():
    def stub(c_in, w):
        """-> a block"""
        ...

    class Stub(nn.Module):
        def __init__(self, num_classes=1000, width=1.0): ...

        def forward(self, x): ...

    answers = {"1": (plain.grid17, stub), "2": (stub,), "3": (stub, stub), "4": (Stub,)}
    for name, answer in answers.items():
        assert getattr(checks, f"exercise_{name}").judge(*answer) == ("not attempted yet", "")


# --- the staircase and the bill


def test_stages_are_the_networks_own_grids_and_costs():
    parts = stages()
    whole = layer_table(on_meta(InceptionV3), (3, 299, 299))
    assert sum(part.macs for part in parts) == whole.macs == 5_576_975_456
    outputs = {part.name: part.output for part in parts}
    assert outputs["conv6"] == (35, 35, 288) and outputs["grid17d"] == (17, 17, 768)
    assert outputs["reduce17to8"] == (8, 8, 1280) and outputs["linear"] == (1, 1, 1000)


def test_every_kind_of_part_is_read_off_its_modules():
    kinds = {part.name: part.kind for part in stages()}
    expected = dict(conv1="convolution", pool1="pool", grid35a="square kernels", linear="linear")
    expected |= dict(reduce35to17="grid reduction", grid17d="1xn and nx1", grid8b="forks")
    expected |= dict(reduce17to8="grid reduction")
    assert {name: kinds[name] for name in expected} == expected
    assert set(kinds.values()) == set(staircase.KINDS)
    assert staircase.kind(nn.Flatten()) == ""


def test_v1_and_v2_stand_side_by_side_by_grid():
    pair = {"v1": (on_meta(GoogLeNet), 224), "v2": (on_meta(InceptionV2), 299)}
    words = staircase.show_side_by_side(pair).words
    assert "14x14x832    pool3 4a 4b 4c 4d 4e" in words
    assert "17x17x768    reduce35to17 grid17a grid17b grid17c grid17d" in words
    assert '"v1: 9 blocks, down to 7x7"' in words and '"v2: 10 blocks, down to 8x8"' in words


def test_the_cost_bars_are_every_paid_parts_and_add_up():
    parts = stages()
    words = staircase.show_costs(parts).words
    assert "grid17d has the most, 11% of all" in words and "25% of all" in words
    assert words.split("total")[1].split()[:2] == ["24,027,240", "5,576,975,456"]
    bars, _ = render(staircase._draw_costs, parts, (11, 5.6)).axes
    assert sum(bar.get_height() for bar in bars.patches) == pytest.approx(5576.975456)


def test_the_papers_table_agrees_row_by_row_and_a_change_is_seen():
    parts = stages()
    told = str(endpoints.inputs_beside_table_1(parts, (299, 299, 3)))
    assert told.count("equal") == 13 and "DIFFERS" not in told
    told = str(endpoints.inputs_beside_table_1(parts, (298, 298, 3)))
    assert told.count("DIFFERS") == 1
    larger = stages(side=331)
    assert str(endpoints.inputs_beside_table_1(larger, (331, 331, 3))).count("DIFFERS") == 11


# --- the ladder


def test_the_papers_ladder_is_table_3_as_printed():
    rows = list(ladder.TABLE_3.values())
    assert [row.top1 for row in rows] == [29.0, 26.8, 25.2, 23.4, 23.1, 22.8, 21.6, 21.2]
    assert [row.top5 for row in rows] == [9.2, None, 7.8, None, 6.3, 6.1, 5.8, 5.6]
    assert [row.ops for row in rows] == [1.5, 1.5, 2.0, 3.8, 3.8, 3.8, 4.8, 4.8]


def test_googlenet_without_norm_starts_as_caffes_and_with_norm_as_pytorch_does():
    plain, normed = (lesson.RUNGS[rung].build() for rung in list(lesson.RUNGS)[:2])
    convs = [m for m in plain.body.modules() if isinstance(m, nn.Conv2d)]
    assert all((m.bias == 0.2).all() for m in convs) and list(plain.aux) == list(normed.aux)
    norms = [[isinstance(m, nn.BatchNorm2d) for m in net.modules()] for net in (plain, normed)]
    assert not any(norms[0]) and any(norms[1])
    assert all(m.bias is None for m in normed.body.modules() if isinstance(m, nn.Conv2d))


def test_what_the_lesson_says_of_the_ladder_is_what_was_saved():
    study = saved("rungs")
    assert list(study["runs"]) == list(lesson.RUNGS)
    assert study["recipes"] == {name: asdict(e.recipe) for name, e in lesson.RUNGS.items()}
    for runs in study["runs"].values():
        assert [run["seed"] for run in runs] == list(range(8))
        assert {run["rows"][-1]["step"] for run in runs} == {468}
    verdicts = [step.verdict for step in ladder.steps(study)]
    assert verdicts == ["gains", "loses", "loses", *3 * ["cannot tell"]]
    reached = [run["test_accuracy"] for run in study["runs"]["GoogLeNet"]]
    assert (f"{min(reached):.0%}", f"{max(reached):.0%}") == ("21%", "80%")
    largest = {name for name, lr in lesson.BEST.items() if lr == max(lesson.SWEPT[name])}
    assert largest == {"GoogLeNet", "+ BN auxiliary"}
    others = [step for step in ladder.steps(study) if step.verdict == "cannot tell"]
    assert all(step.here.low < step.paper < step.here.high for step in others)


def test_each_rungs_rate_is_the_best_on_validation_images():
    study = saved("rung_rates")
    assert study["recipes"] == {name: asdict(e.recipe) for name, e in lesson.RATES.items()}
    assert best_rates(study) == lesson.BEST


def study_of(**accuracies):
    runs = {rung: [90.0, 90.2, 89.8] for rung in lesson.RUNGS}
    runs |= {rung.replace("_", "-"): values for rung, values in accuracies.items()}
    runs = {rung: [dict(test_accuracy=v / 100) for v in runs[rung]] for rung in runs}
    return dict(runs=runs, hardware="somewhere", command="made", versions={})


def test_a_step_is_the_paired_difference_with_its_interval():
    study = study_of(GoogLeNet=[70.0, 71.0, 72.0], BN_GoogLeNet=[80.0, 82.0, 81.0])
    step = ladder.steps(study)[0]
    assert step.here.mean == pytest.approx(10) and step.verdict == "gains"
    assert step.here.low == pytest.approx(10 - 4.303 / 3**0.5)
    assert step.paper == pytest.approx(2.2)
    assert ladder.steps(study)[-1].paper == pytest.approx(0.4)
    assert ladder.steps(study)[-1].verdict == "cannot tell"
    worse = study_of(GoogLeNet=[95.0, 95.1, 95.2], BN_GoogLeNet=[80.0, 80.1, 80.3])
    assert ladder.steps(worse)[0].verdict == "loses"
    apart = study_of(GoogLeNet=[70.0, 90.0, 50.0], BN_GoogLeNet=[71.0, 91.0, 51.1])
    assert ladder.steps(apart)[0].verdict == "gains"  # paired, though the runs lie far apart


def test_every_step_is_drawn_with_its_interval_and_what_lies_outside_as_an_arrow():
    study = study_of(GoogLeNet=[70.0, 71.0, 72.0])
    assert '"Here: 5 of 6 steps cannot be told"' in ladder.show(study).words
    assert "not built" in str(ladder.verdicts(study)) and "n = 3" in str(ladder.verdicts(study))
    found = ladder.steps(study)
    paper, here = render(ladder._draw, found, (11, 5)).axes
    printed = [bar.get_width() for bar in paper.patches]
    assert printed == pytest.approx([2.2, 3.4, 0.3, 0.3, 1.2, 0.4])
    spans, marks = here.lines[:-1:2], here.lines[1:-1:2]
    assert [tuple(line.get_xdata()) for line in spans] == [(s.here.low, s.here.high) for s in found]
    assert [line.get_marker() for line in marks] == [">", "o", "o", "o", "o", "o"]
    assert marks[0].get_xdata()[0] == ladder.RANGE and found[0].here.mean > ladder.RANGE
    assert [text.get_text() for text in here.texts][:2] == ["+19.0", "+0.0"]


def test_the_recipes_are_told_from_the_entries_themselves():
    lines = str(ladder.recipes(lesson.RUNGS)).splitlines()
    assert len(lines) == 8 and lines[1].split()[:2] == ["GoogLeNet", "sgd"]
    last = lesson.RUNGS["+ BN auxiliary"].recipe
    assert lines[-1].split()[3:6] == ["rmsprop", f"{last.lr:g}", "0.1"]


def test_one_rung_is_one_change():
    rungs = list(lesson.RUNGS)
    assert rungs == list(ladder.TABLE_3)[:2] + list(ladder.TABLE_3)[3:]
    recipes = [asdict(lesson.RUNGS[rung].recipe) for rung in rungs]
    pairs = list(zip(recipes, recipes[1:], strict=False))
    changed = [{n for n in b if a[n] != b[n]} - {"lr"} for a, b in pairs]
    assert changed == [set(), set(), {"optimiser"}, {"label_smoothing"}, set(), set()]
    builds = [str(lesson.RUNGS[rung].build()) for rung in rungs]
    same = [a == b for a, b in zip(builds, builds[1:], strict=False)]
    assert same == [False, False, True, True, False, False]


def test_its_sevens_work_on_a_grid_of_14_and_its_networks_share_their_grids():
    for rung, blocks in {"BN-GoogLeNet": ("3a", "4a", "5a"), "+ BN auxiliary": GRIDS}.items():
        network = lesson.RUNGS[rung].build()
        rows = layer_table(network, (1, 28, 28), depth=2).rows
        sides = {row.name: row.output[-1] for row in rows}
        assert [sides[f"body.{name}"] for name in blocks] == [28, 14, 7], rung


GRIDS = ("grid35a", "grid17a", "grid8a")


def test_v2s_head_normalises_its_convolution_and_v3s_its_hidden_layer_too():
    heads = [lesson.RUNGS[r].build().aux["aux"] for r in ("Inception-v2", "+ BN auxiliary")]
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in head.modules()) for head in heads]
    assert norms == [1, 2]


def test_every_rung_is_swept_over_four_rates_on_three_passes_of_10_000_images():
    assert table("rungs") is lesson.RUNGS and table("rung_rates") is lesson.RATES
    assert len(lesson.RATES) == 4 * len(lesson.RUNGS) == 28
    assert {entry.recipe.epochs for entry in lesson.RUNGS.values()} == {3}
    for rung, entry in lesson.RUNGS.items():
        assert lesson.RATES[f"{rung}, lr {entry.recipe.lr:g}"].recipe == entry.recipe


def test_the_best_rates_are_read_from_validation_images():
    rates = {"a, lr 0.1": 0.8, "a, lr 0.2": 0.9, "b, lr 0.1": 0.7, "b, lr 0.02": 0.6}
    runs = {n: [dict(valid_accuracy=v, test_accuracy=1 - v)] for n, v in rates.items()}
    assert best_rates(dict(runs=runs)) == {"a": 0.2, "b": 0.1}


def test_deep_stacks_differ_by_the_sum_alone():
    assert table("deep") is lesson.DEEP and len(lesson.DEEP) == 16
    plain, residual, *_ = (lesson.DEEP[f"{k}, 4 blocks, lr 0.1"].build() for k in after.BLOCKS)
    assert len(plain.body) == len(residual.body) == 4
    assert str(residual.body[0].block) == str(plain.body[0])
    assert plain(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


# --- the detective story


def test_each_reading_of_the_paper_is_counted():
    rows = {row[0]: row[1:] for row in detective.readings().rows[1:]}
    found = {name: (blocks, layers, times) for name, (blocks, layers, *_, times) in rows.items()}
    assert list(found.values()) == [
        ("10", "46", "3.52"),
        ("12", "54", "4.10"),
        ("12", "44", "3.79"),
        ("10", "44", "3.26"),
        ("11", "48", "3.61"),
        ("", "42", "2.5"),
    ]
    assert detective.literal_times() == pytest.approx(4.096, abs=1e-3)


def test_three_3x3_cost_041_billion_more_than_one_7x7():
    seven, three = (
        layer_table(detective.built(detective.PAPER, seven=s), (3, 299, 299)).macs
        for s in (True, False)
    )
    assert three - seven == 19_181_664 + 199_148_544 + 398_297_088 - 49 * 3 * 64 * 147**2


# --- after v3


def test_the_residual_sum_is_what_its_formula_says():
    block = after.branches(16)
    both, x = after.Residual(block, 16, scale=0.3), torch.randn(2, 16, 6, 6)
    assert torch.equal(both(x), torch.relu(x + 0.3 * both.mix(block(x))))
    with torch.no_grad():
        both.mix.weight.zero_(), both.mix.bias.zero_()
    assert torch.equal(both(x), torch.relu(x)) and not torch.equal(block(x), torch.relu(x))


def test_a_plain_stack_loses_the_gradient_that_a_sum_keeps():
    plain, residual = (after.kept(after.BLOCKS[kind], 16, 0) for kind in ("plain", "residual"))
    assert plain < 1e-5 and 0.1 < residual < 10
    words = after.show_fading({k: dict.fromkeys(after.DEPTHS, 0.5) for k in after.COLOUR}).words
    assert "plain, batch norm" in words and "3 lines" in words


def test_views_are_the_middle_and_ten_others_of_a_photo():
    seen = after.views("cat")
    assert seen.shape == (11, 10) and torch.allclose(seen.sum(1), torch.ones(11))
    assert len({tuple(view.tolist()) for view in seen}) == 11


def test_what_crops_and_networks_buy_is_as_printed():
    rows = {(r[0], r[1], r[2]): r[3:6] for r in after.what_crops_buy().rows[1:]}
    assert rows["GoogLeNet", "7", "144"] == ("1008", "", "6.67")
    assert rows["Inception v3", "4", "144"] == ("576", "17.2", "3.58")


# --- RMSProp


def stepped(gradient, epsilon, form, n):
    """The size of the nth step by the rule itself."""
    square = 1.0 if form == "TensorFlow" else 0.0
    for _ in range(n):
        square = 0.9 * square + 0.1 * gradient**2
    inside = form == "TensorFlow"
    return gradient / ((square + epsilon) ** 0.5 if inside else square**0.5 + epsilon)


@pytest.mark.parametrize("form", ["TensorFlow", "PyTorch"])
@pytest.mark.parametrize(("gradient", "epsilon"), [(1.0, 1.0), (0.01, 1e-8), (30.0, 0.1)])
def test_the_closed_form_is_the_rule_step_by_step(form, gradient, epsilon):
    path = [rmsprop.sizes(gradient, epsilon, form, n) for n in range(1, 61)]
    assert path == pytest.approx([stepped(gradient, epsilon, form, n) for n in range(1, 61)])
    settled = rmsprop.settled(gradient, epsilon, form)
    assert settled == pytest.approx(stepped(gradient, epsilon, form, 400))


def test_the_20th_step_is_0707_there_and_0516_in_torch():
    steps = [rmsprop.sizes(1.0, 1.0, form, 20) for form in ("TensorFlow", "PyTorch")]
    assert [f"{size:.3f}" for size in steps] == ["0.707", "0.516"]


def test_epsilon_1_is_drawn_beside_sgd():
    words = rmsprop.show_epsilon().words
    rows = [line.split() for line in words.splitlines()]
    assert ["0.01", "0.01", "1", "0.009901"] in rows and "3 lines" in words


# --- small pictures


@pytest.mark.parametrize("variant", ["paper", "torchvision"])
@pytest.mark.parametrize(("side", "stem"), [(299, 299), (75, 299), (151, 151), (79, 79)])
def test_the_walk_of_the_tree_finds_what_the_layers_cost(variant, side, stem):
    network = resolutions.network(variant, stem)
    assert resolutions.parts_of(network, side) == staircase.stages(network, side)


def test_the_three_stems_cost_nearly_the_same():
    rows = resolutions.beside_the_paper().rows[1:]
    assert [row[0] for row in rows] == ["299x299", "151x151", "79x79"]
    assert [row[-2:] for row in rows] == [
        ("5,576,975,456", "76.6"),
        ("5,576,975,456", "76.4"),
        ("5,218,016,864", "75.2"),
    ]
    assert [row[-3] for row in rows] == ["35x35", "35x35", "36x36"]


@pytest.mark.parametrize(("stem", "least"), [(299, 75), (151, 39), (79, 21)])
@pytest.mark.parametrize("variant", ["paper", "torchvision"])
def test_an_image_below_the_minimum_is_refused_in_the_networks_words(stem, least, variant):
    seen = resolutions.look(least - 1, stem, variant)
    assert seen.parts == [] and "refused: images must be at least" in resolutions.words(seen)
    assert resolutions.look(least, stem, variant).refusal == ""
    fig = render(resolutions._draw, seen, (10.5, 4.4))
    assert f"{least - 1} pixels are too few" in fig.axes[0].get_title("left")


def test_the_explorer_of_stems_is_moved_by_every_control():
    explorer = resolutions.explorer()
    assert explorer.values == dict(side=299, stem=299, variant="paper")
    assert "299 -> 149 -> 147 -> 73 -> 71 -> 35 -> 17 -> 8 -> 1" in explorer.words
    for name, value in dict(side=79, stem=79, variant="torchvision").items():
        moved(explorer, **{name: value})
    assert "5,361,703,520 MACs, 93.8% of what 299 pixels cost" in explorer.words
    explorer.controls["stem"].value = 299
    assert '"79 pixels: the last block sees 1x1"' in explorer.plain
    explorer.controls["side"].value = 64
    assert explorer.words.startswith("refused: images must be at least 75 x 75 pixels, got 64 x 64")


def test_a_cost_above_the_usual_is_drawn_whole():
    seen = resolutions.look(331, 79, "torchvision")
    _, bars = render(resolutions._draw, seen, (10.5, 4.4)).axes
    assert bars.get_ylim()[1] > bars.patches[1].get_height() == pytest.approx(seen.macs / 1e9)


def test_the_papers_accuracies_fall_by_little():
    assert list(resolutions.PAPER.items()) == [(299, 76.6), (151, 76.4), (79, 75.2)]
