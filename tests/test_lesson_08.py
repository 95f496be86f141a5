from dataclasses import asdict
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu.cost import layer_table
from inception_edu.factorised import AuxHead
from inception_edu.figures import render
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.layers import Concat, conv
from inception_edu.lessons.lesson_08 import (
    checks as checks,
    endpoints,
    ladder,
    resolutions,
    rmsprop,
    runs as lesson,
    staircase,
)
from inception_edu.lessons.shared import saved

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


# --- exercise 1


@pytest.fixture(scope="module")
def built_once():
    """The networks that exercise 1 asks about, which no answer here changes."""
    networks = list(checks.altered())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "altered", lambda: networks)
        yield


def first(network, alike=lambda h, w: h == w):
    for name, block in network.body.named_children():
        convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
        if not all(alike(*m.kernel_size) for m in convs):
            return name


def by_weights(network):
    """From the shapes of the weights, under the whole name."""
    odd = (n for n, w in network.named_parameters() if w.ndim == 4 and w.shape[2] != w.shape[3])
    return ".".join(next(n for n in odd if n.startswith("body.")).split(".")[:2])


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize(
    "answer", [(first, "A"), (by_weights, "a"), ({"why": " A ", "first_asymmetric": first},)]
)
def test_the_first_asymmetric_block_and_its_reason_are_right(answer):
    assert checks.exercise_1.judge(*answer) == ("right", "")


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize(
    ("find", "why", "said"),
    [
        (lambda n: "grid17a", "A", "Right: why. first_asymmetric: For a network without grid17a"),
        (lambda n: "reduce35to17", ..., "its kernels are all square"),
        (lambda n: "grid8b", "A", "another block before it has some, too"),
        (lambda n: first(n, lambda h, w: h >= w), "A", "a 5x1 and no 1x5 in grid35b"),
        (lambda n: 9, "A", "you return '9', expected grid17a"),
        (first, "B", "Right: first_asymmetric. why: The pair costs 14 in 49 of the 7x7's MACs"),
        (..., "C", "a 7x7 fits into 17x17"),
        (first, "D", "that is reduce35to17"),
        (first, "because", "it is a letter from A to D, got 'because'"),
        (lambda n: n.blocks, "A", "it raised AttributeError"),
    ],
)
def test_wrong_blocks_and_wrong_reasons_are_told_apart(find, why, said):
    state, told = checks.exercise_1.judge(find, why)
    assert state == "not right yet" and said.lower() in told.lower()


# --- exercise 2


def normed(c_in, c_out, k, *, relu=True, **options):
    layers = nn.Conv2d(c_in, c_out, k, **{"bias": False} | options), nn.BatchNorm2d(c_out)
    return nn.Sequential(*layers, *[nn.ReLU()] * relu)


class Own(nn.Module):
    """The second grid reduction, its branches declared and joined in orders of their own."""

    def __init__(self, c_in, *, order="pst", pool=None, relu=True, bias=False, detach=""):
        super().__init__()
        self.order, self.detach = order, detach
        self.p = pool or nn.MaxPool2d(3, stride=2)
        self.s = nn.Sequential(
            normed(c_in, 192, 1, bias=bias),
            normed(192, 192, (1, 7), padding=(0, 3)),
            normed(192, 192, (7, 1), padding="same", relu=relu),
            normed(192, 192, 3, stride=2),
        )
        self.t = nn.Sequential(normed(c_in, 192, 1), normed(192, 320, 3, stride=2))

    def forward(self, x):
        outputs = {name: getattr(self, name)(x) for name in "pst"}
        if self.detach:
            outputs[self.detach] = outputs[self.detach].detach()
        return torch.cat([outputs[name] for name in self.order], dim=1)


class NormsLast(nn.Module):
    """Convolutions first, norms behind, two branches at once."""

    def __init__(self, c_in):
        super().__init__()
        shapes = (c_in, 1, 192), (c_in, 1, 192), (192, (1, 7), 192), (192, (7, 1), 192)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, k, padding="same", bias=False) for a, k, b in shapes
        )
        self.halving = nn.ModuleList(nn.Conv2d(192, c, 3, 2, bias=False) for c in (320, 192))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, eps=1e-3) for c in [192] * 4 + [320, 192])

    def forward(self, x):
        a, b = self.convs[0](x), self.convs[1](x)
        a, b = self.norms[0](a).relu(), self.norms[1](b).relu()
        b = self.norms[2](self.convs[2](b)).relu()
        b = self.norms[3](self.convs[3](b)).relu()
        a, b = self.halving[0](a), self.halving[1](b)
        parts = self.norms[4](a).relu(), self.norms[5](b).relu(), F.max_pool2d(x, 3, 2)
        return torch.cat(parts, dim=1)


def with_concat(c_in, *, padding=0, seven=((1, 7), (7, 1))):
    return Concat(
        branch_pool=nn.MaxPool2d(3, 2, padding),
        branch7x7=nn.Sequential(
            conv(c_in, 192, 1),
            *(conv(192, 192, k) for k in seven),
            conv(192, 192, 3, 2, padding=padding),
        ),
        branch3x3=nn.Sequential(conv(c_in, 192, 1), conv(192, 320, 3, 2, padding=padding)),
    )


@pytest.mark.parametrize(
    "build",
    [
        Own,
        lambda c: Own(c, order="tsp").double(),
        NormsLast,
        with_concat,
    ],
)
def test_the_second_grid_reduction_is_right_of_any_make_and_in_any_order(build):
    assert checks.exercise_2.judge(build) == ("right", "")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda c: Own(768), "For c_in = 24, it has 1,698,304 parameters, expected 1,412,608"),
        (lambda c: with_concat(c, padding=1), "becomes (2, 1280, 9, 9), expected (2, 1280, 8, 8)"),
        (lambda c: Own(c, order="ts"), "becomes (2, 512, 8, 8), expected (2, 1280, 8, 8)"),
        (
            lambda c: with_concat(c, seven=[(7, 1)]),
            "it has 1,439,872 parameters, expected 1,698,304",
        ),
        (lambda c: with_concat(c, seven=[7]), "a whole 7x7 stands where 1x7 and 7x1"),
        (lambda c: with_concat(c, seven=((7, 1), (1, 7))), "the 7x1 comes before the 1x7"),
        (lambda c: Own(c, pool=nn.AvgPool2d(3, 2)), "the average is pooled, expected the maximum"),
        (lambda c: Own(c, relu=False), "it puts out something else"),
        (lambda c: Own(c, bias=True), "a convolution that batch norm follows has no bias"),
        (lambda c: Own(c, detach="s"), "its outputs are right, but weights of shape"),
        (lambda c: checks.exercise_2.ours(c), "it calls the package's own"),
        (lambda c: nn.Identity(), "it has 0 parameters"),
        (lambda c: c, "return an nn.Module, got '768'"),
        (Own(24), "it is a network already"),
        (lambda c: Own(c, pool=nn.MaxPool2d(3, 2, 1)), "it raised RuntimeError"),
    ],
)
def test_wrong_reductions_are_told_apart(build, said):
    state, why = checks.exercise_2.judge(build)
    assert state == "not right yet" and said.lower() in why.lower()


# --- exercise 3


def head(c_in, classes, *, pool=None, relu=True, end=()):
    layers = normed(c_in, 128, 1, relu=relu), normed(128, 768, 5, relu=relu), nn.Flatten()
    return nn.Sequential(pool or nn.AvgPool2d(5, 3), *layers, nn.Linear(768, classes), *end)


class Functional(nn.Module):
    """The linear layer declared first, pools as functions, a mean instead of a flattening."""

    def __init__(self, c_in, num_classes):
        super().__init__()
        self.linear = nn.Linear(768, num_classes)
        self.wide, self.thin = normed(128, 768, 5), normed(c_in, 128, 1)

    def forward(self, x):
        return self.linear(self.wide(self.thin(F.avg_pool2d(x, 5, 3))).mean((2, 3)))


class Detached(Functional):
    def forward(self, x):
        return self.linear(self.wide(self.thin(F.avg_pool2d(x, 5, 3))).mean((2, 3)).detach())


@pytest.mark.parametrize(
    "answer",
    [
        ("grid17d", head),
        (" Grid17d", Functional),
        ({"aux_head": lambda c, n: head(c, n, end=[nn.Identity()]), "reads": "body.grid17d"},),
    ],
)
def test_a_normalised_head_on_the_last_17x17_grid_is_right(answer):
    assert checks.exercise_3.judge(*answer) == ("right", "")


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ("grid17a", "the output of grid17a is 17x17, but the head goes on the last grid"),
        ("reduce35to17", "is 17x17"),
        ("grid35b", "is 35x35, of which a 5x5 pool with stride 3 makes 11x11"),
        ("reduce17to8", "is 8x8, of which a 5x5 pool with stride 3 makes 2x2"),
        ("4a", "it is the name of a block, one of grid35a"),
        (17, "got '17'"),
    ],
)
def test_wrong_places_are_told_apart(reads, said):
    state, why = checks.exercise_3.judge(reads, ...)
    assert state == "not right yet" and said.lower() in why.lower()
    assert why.endswith("Not attempted yet: aux_head.")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda c, n: head(c, 10),
            "For c_in = 96, num_classes = 1000, it has 2,479,370 parameters",
        ),
        (lambda c, n: head(768, n), "For c_in = 96, num_classes = 1000, it has 3,326,696"),
        (
            lambda c, n: nn.Sequential(
                nn.AvgPool2d(5, 3),
                conv(c, 128, 1, norm=False),
                conv(128, 768, 5, norm=False, padding=0),
                nn.Flatten(),
                nn.Linear(768, n),
            ),
            "weights of shape (128,) are missing",
        ),
        (lambda c, n: head(c, n, pool=nn.MaxPool2d(5, 3)), "the maximum is pooled"),
        (lambda c, n: head(c, n, pool=nn.AdaptiveAvgPool2d(5)), "other windows"),
        (lambda c, n: head(c, n, end=[nn.Softmax(1)]), "it ends in a softmax"),
        (lambda c, n: head(c, n, relu=False), "there is no ReLU"),
        (Detached, "learn something else"),
        (AuxHead, "it calls the package's own"),
        (lambda c, n: n, "return an nn.Module, got '10'"),
        (head(4, 3), "it is a network already"),
        (lambda c, n: head(c, n, pool=nn.AvgPool2d(5, 2)), "it raised"),
    ],
)
def test_wrong_heads_are_told_apart(build, said):
    state, why = checks.exercise_3.judge("grid17d", build)
    assert state == "not right yet" and said.lower() in why.lower()
    assert why.startswith("Right: reads. aux_head: ")


def test_stubs_are_not_attempted_yet():
    def stub(*arguments):
        """-> a module"""
        ...

    class Stub(nn.Module):
        def __init__(self, c_in): ...

        def forward(self, x): ...

    for name, answer in {"1": (stub, ...), "2": (Stub,), "3": (..., stub)}.items():
        judged = getattr(checks, f"exercise_{name}").judge(*answer)
        assert judged == ("not attempted yet", "")


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


def test_torchvisions_own_shapes_agree_and_a_change_is_seen():
    with torch.device("meta"):
        theirs = models.inception_v3(weights=None, init_weights=False)
    parts = stages("torchvision")
    told = str(endpoints.beside_torchvision(parts, theirs, 299))
    assert told.count("equal") == 16 and "DIFFERS" not in told
    for shape in ("35x35x256", "35x35x288", "17x17x768", "8x8x1280", "8x8x2048"):
        assert told.count(shape) >= 2
    assert "DIFFERS" in str(endpoints.beside_torchvision(parts, theirs, 331))


# --- the ladder


def test_the_papers_ladder_is_table_3_as_printed():
    rows = list(ladder.TABLE_3.values())
    assert [row.top1 for row in rows] == [29.0, 26.8, 25.2, 23.4, 23.1, 22.8, 21.6, 21.2]
    assert [row.top5 for row in rows] == [9.2, None, 7.8, None, 6.3, 6.1, 5.8, 5.6]
    assert [row.ops for row in rows] == [1.5, 1.5, 2.0, 3.8, 3.8, 3.8, 4.8, 4.8]


def test_the_ladder_is_saved_with_three_seeds_and_equal_steps():
    study = saved("ladder")
    assert table("ladder") is lesson.LADDER and list(study["runs"]) == list(lesson.LADDER)
    assert study["command"] == "python -m authoring measure ladder"
    for runs in study["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1, 2]
        assert {run["rows"][-1]["step"] for run in runs} == {400}
    assert {entry.recipe.batch_size for entry in lesson.LADDER.values()} == {64}


def test_each_rung_of_v2_changes_what_its_name_says():
    rungs = list(lesson.LADDER)[2:]
    recipes = [asdict(lesson.LADDER[rung].recipe) for rung in rungs]
    changed = [
        {name for name in b if a[name] != b[name]}
        for a, b in zip(recipes, recipes[1:], strict=False)
    ]
    first = {"optimiser", "lr", "clip"}
    assert changed == [first, {"label_smoothing"}, set(), set(), {"average"}]
    builds = [str(lesson.LADDER[rung].build()) for rung in rungs]
    same = [a == b for a, b in zip(builds, builds[1:], strict=False)]
    assert same == [True, True, False, False, True]


def test_googlenet_without_norm_starts_as_caffes_and_with_norm_as_pytorch_does():
    plain, normed = (lesson.LADDER[rung].build() for rung in list(lesson.LADDER)[:2])
    convs = [m for m in plain.body.modules() if isinstance(m, nn.Conv2d)]
    assert all((m.bias == 0.2).all() for m in convs) and list(plain.aux) == list(normed.aux)
    norms = [[isinstance(m, nn.BatchNorm2d) for m in net.modules()] for net in (plain, normed)]
    assert not any(norms[0]) and any(norms[1])
    assert all(m.bias is None for m in normed.body.modules() if isinstance(m, nn.Conv2d))


def test_what_the_lesson_says_of_the_ladder_is_what_was_saved():
    study = saved("ladder")
    verdicts = {step.rung: step.verdict for step in ladder.steps(study)}
    gains = {"BN-GoogLeNet", "+ label smoothing", "+ factorised 7x7"}
    assert {rung for rung, told in verdicts.items() if told == "gains"} == gains
    assert {rung for rung, told in verdicts.items() if told == "loses"} == {"Inception-v2"}
    assert len(verdicts) == 7
    told = {step.rung: f"{step.gain:+.1f}" for step in ladder.steps(study)}
    assert (told["BN-GoogLeNet"], told["Inception-v2"]) == ("+12.7", "-2.2")
    assert (told["+ label smoothing"], told["+ factorised 7x7"]) == ("+0.7", "+0.8")
    top = ladder.step(study, "GoogLeNet", "+ averaged weights")
    assert f"{top.gain:.1f}" == "12.1" and top.gain > 5 * top.spread
    assert ladder.step(study, "BN-GoogLeNet", "+ averaged weights").verdict == "loses"


def study_of(**accuracies):
    runs = {rung: [90.0, 90.2, 89.8] for rung in lesson.LADDER}
    runs |= {rung.replace("_", "-"): values for rung, values in accuracies.items()}
    runs = {rung: [dict(test_accuracy=v / 100) for v in runs[rung]] for rung in runs}
    return dict(runs=runs, hardware="somewhere")


def test_a_gain_and_its_spread_are_computed_from_all_seeds():
    study = study_of(GoogLeNet=[70.0, 71.0, 72.0], BN_GoogLeNet=[80.0, 82.0, 84.0])
    step = ladder.steps(study)[0]
    assert step.gain == pytest.approx(11) and step.spread == pytest.approx(5**0.5)
    assert step.paper == pytest.approx(2.2) and step.verdict == "gains"
    second = ladder.steps(study)[1]
    assert second.verdict == "gains" and second.gain == pytest.approx(8)
    assert ladder.steps(study)[-1].paper is None
    assert ladder.steps(study)[-1].verdict == "inside the spread"
    assert step._replace(gain=-3.0).verdict == "loses"


def test_both_ladders_are_drawn_with_every_seed():
    study = study_of(GoogLeNet=[70.0, 71.0, 72.0])
    words = ladder.show(study).words
    assert "BN-Inception" in words and "not built" in words and "n = 3 seeds" in words
    assert '"Here: 1 of 7 steps up"' in words and "71.0 ± 1.0" in words
    paper, here = render(ladder._draw, study, (11, 5.6)).axes
    assert [bar.get_width() for bar in paper.patches] == [t.top1 for t in ladder.TABLE_3.values()]
    assert here.patches[0].get_width() == pytest.approx(29)
    assert sorted(here.lines[0].get_xdata()) == pytest.approx([28, 29, 30])
    errors = [row.top1 for row in ladder.TABLE_3.values()]
    assert errors == sorted(errors, reverse=True) and len(errors) == 8


def test_the_recipes_are_told_from_the_ladder_itself():
    lines = str(ladder.recipes()).splitlines()
    assert lines[1].split()[:3] == ["GoogLeNet", "sgd", "0.02"]
    assert "rmsprop    0.045            0.1" in lines[-1] and "running average" in lines[-1]
    assert sum("running average" in line for line in lines) == 1 and len(lines) == 9


# --- RMSProp


def stepped(gradient, epsilon, form, n):
    """The size of the nth step by the rule itself."""
    square = 1.0 if form == "TensorFlow" else 0.0
    for _ in range(n):
        square = 0.9 * square + 0.1 * gradient**2
    inside = form == "TensorFlow"
    return gradient / ((square + epsilon) ** 0.5 if inside else square**0.5 + epsilon)


@pytest.mark.parametrize("form", rmsprop.FORMS)
@pytest.mark.parametrize(("gradient", "epsilon"), [(1.0, 1.0), (0.01, 1e-8), (30.0, 0.1)])
def test_the_closed_form_is_the_rule_step_by_step(form, gradient, epsilon):
    path = rmsprop.follow(gradient, epsilon, form).path
    assert path == pytest.approx([stepped(gradient, epsilon, form, n) for n in range(1, 61)])
    settled = rmsprop.settled(gradient, epsilon, form)
    assert settled == pytest.approx(stepped(gradient, epsilon, form, 400))


@pytest.mark.parametrize(("gradient", "epsilon"), [(1.0, 1.0), (0.5, 1e-3)])
def test_the_pytorch_form_is_pytorchs_own(gradient, epsilon):
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimiser = torch.optim.RMSprop([weight], lr=1.0, alpha=0.9, eps=epsilon)
    for expected in rmsprop.follow(gradient, epsilon, "PyTorch").path:
        before = weight.item()
        weight.grad = torch.full_like(weight, gradient)
        optimiser.step()
        assert before - weight.item() == pytest.approx(expected)


def test_the_20th_step_is_0707_there_and_0516_in_torch():
    steps = [rmsprop.follow(1.0, 1.0, form).path[19] for form in ("TensorFlow", "PyTorch")]
    assert [f"{size:.3f}" for size in steps] == ["0.707", "0.516"]


def test_epsilon_1_is_drawn_beside_sgd():
    words = rmsprop.show_epsilon().words
    rows = [line.split() for line in words.splitlines()]
    assert ["0.01", "0.01", "1", "0.009901"] in rows and "3 lines" in words


def test_the_explorer_of_the_rule_is_moved_by_every_control():
    explorer = rmsprop.explorer()
    assert explorer.values == dict(gradient=1.0, epsilon=1.0, form="TensorFlow")
    assert "step 20     0.7071" in explorer.words
    for name, value in dict(form="PyTorch", gradient=0.1, epsilon=1e-8).items():
        moved(explorer, **{name: value})
    assert "RMSProp's last step is 10 times SGD's" in explorer.words


class Losses:
    """What the picture of runs asks of a history."""

    def __init__(self, *losses):
        self.losses = dict(main=list(losses))

    def __str__(self):
        return "some steps"


def test_live_runs_are_named_by_the_one_that_leaps_highest():
    runs = {"eps 1": Losses(2.3, 2.0), "eps 1e-08": Losses(2.3, 7.2, 3.0)}
    words = rmsprop.show_runs(runs).words
    assert "eps 1e-08 leaps up to 7" in words and "eps 1: some steps; highest 2.3" in words
    (ax,) = render(rmsprop._draw_runs, runs, (9, 4)).axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2], [1, 2, 3]]


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


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("08")
