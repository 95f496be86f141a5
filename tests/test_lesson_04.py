import copy
import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, nll_loss

from authoring.measure import table
from conftest import moved, solutions_pass
from inception_edu.figures import on_page, render
from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_04 import (
    checks as checks,
    gradients,
    race as aux_race,
    runs as lesson,
    verdict as aux_verdict,
)
from inception_edu.lessons.lesson_04.runs import HEADS, RATES, SETTINGS, STARTS, Setting
from inception_edu.lessons.shared import saved
from inception_edu.losses import head_logits, head_losses, loss_with_aux
from inception_edu.training.history import History
from inception_edu.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


def heads_of(outputs, labels):
    return [cross_entropy(x, labels) for x in outputs.aux.values()]


# --- exercise 1


def by_a_loop(outputs, labels):
    loss = cross_entropy(outputs.logits, labels)
    for name in outputs.aux:
        loss = loss + 0.3 * cross_entropy(outputs.aux[name], labels)
    return loss


def by_hand(outputs, labels):
    total = 0
    for weight, logits in [(1, outputs.logits), *((0.3, x) for x in outputs.aux.values())]:
        chosen = logits.log_softmax(-1).gather(1, labels[:, None])
        total -= weight * chosen.mean()
    return total


def by_cases(outputs, labels):
    if not outputs.aux:
        return nn.CrossEntropyLoss()(outputs.logits, labels)
    losses = nll_loss(
        torch.stack([outputs.logits, *outputs.aux.values()]).log_softmax(2).permute(1, 2, 0),
        labels[:, None].expand(-1, 3),
        reduction="none",
    ).mean(0)
    return losses @ torch.tensor([1, 0.3, 0.3], dtype=losses.dtype)


class Loss(nn.Module):
    def forward(self, outputs, labels):
        aux = sum(heads_of(outputs, labels), start=torch.zeros(()))
        return 0.3 * aux.double() + cross_entropy(outputs.logits.double(), labels)


@pytest.mark.parametrize("loss", [by_a_loop, by_hand, by_cases, Loss()])
def test_the_loss_with_weights_1_and_0_3_is_right_in_any_make(loss):
    assert checks.exercise_1.judge(loss) == (RIGHT, "")


@pytest.mark.parametrize(
    ("aux_part", "said"),
    [
        (lambda o, y: sum(heads_of(o, y)), "weigh each by 0.3"),
        (lambda o, y: 0.0, "main head alone"),
        (lambda o, y: 0.3 * sum(heads_of(o, y)[:1]), "aux2 is not counted"),
        (lambda o, y: 0.3 * sum(heads_of(o, y)[1:]), "aux1 is not counted"),
        (lambda o, y: 0.15 * sum(heads_of(o, y)), "not to their mean"),
        (lambda o, y: 0.5 * sum(heads_of(o, y)), "In training it returns"),
        (
            lambda o, y: (
                0.3 * cross_entropy(o.aux["aux1"], y) + 0.3 * cross_entropy(o.aux["aux2"], y)
            ),
            "At inference, with no head in outputs.aux, it raised KeyError: there is no aux head",
        ),
        (
            lambda o, y: 0.3 * (sum(heads_of(o, y)) if o.aux else 2 * cross_entropy(o.logits, y)),
            "At inference, where the main head alone counts, it returns",
        ),
        (lambda o, y: 0.3 * sum(x.detach() for x in heads_of(o, y)), "something is detached"),
        (lambda o, y: 0.3 * sum(x.item() for x in heads_of(o, y)), "something is detached"),
        (
            lambda o, y: 0.3 * sum(cross_entropy(x, y.flip(0)) for x in o.aux.values()),
            "In training it returns",
        ),
    ],
)
def test_wrong_losses_are_told_apart(aux_part, said):
    state, told = checks.exercise_1.judge(
        lambda outputs, labels: cross_entropy(outputs.logits, labels) + aux_part(outputs, labels)
    )
    assert state == NOT_YET and said in told


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda o, y: by_a_loop(o, y).item(), "expected a tensor of shape ()"),
        (lambda o, y: cross_entropy(o.logits, y, reduction="none"), "it returns shape (7,)"),
        (lambda o, y: by_a_loop(o, y).detach(), "no gradient flows back"),
        (lambda o, y: by_a_loop(o, y) / 1.6, "do not divide by 1.6"),
        (
            lambda o, y: 0.3 * (cross_entropy(o.logits, y) + sum(heads_of(o, y))),
            "the main head has weight 1",
        ),
        (lambda o, y: 0.3 * sum(heads_of(o, y)), "the main head is not counted"),
        (lambda o, y: by_a_loop(o, y) * len(y), "In training it returns"),
        (lambda o, y: by_a_loop(o, torch.zeros_like(y)), "In training it returns"),
        (lambda o, y: o, "it returns 'Outputs"),
        (0.3, "It raised TypeError"),
    ],
)
def test_losses_of_the_wrong_kind_are_told_apart(loss, said):
    state, told = checks.exercise_1.judge(loss)
    assert state == NOT_YET and said in told


# --- exercise 2


def by_disturbing(network, *, seed=True, block="4b", head="aux1"):
    x, part, passes = torch.randn(2, 1, 28, 28), network.body.get_submodule(block), []
    for change in (0, 1):
        for weight in part.parameters():
            weight.data += change
        if seed:
            torch.manual_seed(0)
        passes.append(network(x).aux[head])
    assert torch.equal(*passes)


def by_gradient(network):
    weights = list(network.body.get_submodule("4b").parameters())
    aux1 = network(torch.randn(2, 1, 28, 28)).aux["aux1"].sum()
    found = torch.autograd.grad(aux1, weights, allow_unused=True)
    assert all(gradient is None for gradient in found)


def by_spoiling(network):
    block = network.body.get_submodule("4b")
    block.register_forward_hook(lambda module, given, output: output * float("nan"))
    outputs = network(torch.randn(2, 1, 28, 28))
    assert outputs.logits.isnan().all()
    torch.testing.assert_close(outputs.aux["aux1"], outputs.aux["aux1"])


def by_another_block(network):
    other = copy.deepcopy(network)
    setattr(other.body, "4b", nn.Identity())
    outputs = []
    for one in (network, other):
        torch.manual_seed(3)
        outputs.append(one(torch.ones(2, 1, 28, 28)).aux["aux1"].detach().numpy())
    np.testing.assert_array_equal(*outputs)


def by_walking(network):
    x = network.stem(image := torch.randn(2, 1, 28, 28))
    for name, block in network.body.named_children():
        x = block(x)
        if name == "4a":
            break
    torch.manual_seed(0)
    expected = network.aux["aux1"](x)
    torch.manual_seed(0)
    assert torch.allclose(network(image).aux["aux1"], expected, atol=1e-6)


@pytest.mark.parametrize(
    "test", [by_disturbing, by_gradient, by_spoiling, by_another_block, by_walking]
)
def test_a_test_that_tells_the_networks_apart_is_right(test):
    assert checks.exercise_2.judge(test) == (RIGHT, "")


def network_shapes(network):
    assert network(torch.randn(2, 1, 28, 28)).aux["aux1"].shape == (2, 10)


def reads_the_settings(network):
    assert network.reads["aux1"] == "4a"


def looks_at_the_heads(network):
    assert network.aux["aux1"].conv.conv.in_channels == 64


def fails(network):
    raise AssertionError("always")


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (lambda n: by_disturbing(n, seed=False), "draws anew in every pass"),
        (lambda n: by_disturbing(n, block="4c"), "It passes on a network in which aux1 reads 4b"),
        (lambda n: by_disturbing(n, head="aux2"), "It fails on a right network, in which aux1"),
        (network_shapes, "It passes on a network in which aux1 reads 4b"),
        (reads_the_settings, "It passes on a network in which aux1 reads 4b"),
        (looks_at_the_heads, "It passes on a network in which aux1 reads 4b"),
        (fails, "in which aux1 does ignore 4b (always)"),
        (lambda n: True, "It passes on a network"),
        (lambda n: by_hooks(n), "outputs have swapped names"),
        (lambda n: roughly(n), "nine parts of 4a and one of 4b"),
        (lambda n: n.body["4b"], "It raised"),
        ("yes", "It raised"),
    ],
)
def test_wrong_tests_are_told_apart(test, said):
    state, told = checks.exercise_2.judge(test)
    assert state == NOT_YET and said in told


def by_hooks(network):
    """What enters the module aux1, whatever its output is called then."""
    seen = []
    network.aux["aux1"].register_forward_hook(lambda module, given, output: seen.append(*given))
    network.body.get_submodule("4a").register_forward_hook(lambda module, x, y: seen.append(y))
    network(torch.randn(2, 1, 28, 28))
    assert torch.equal(*sorted(seen, key=id))


def roughly(network):
    before, after = ([], [])
    for passes, change in ((before, 0), (after, 1)):
        for weight in network.body.get_submodule("4b").parameters():
            weight.data += change
        torch.manual_seed(0)
        passes.append(network(torch.ones(2, 1, 28, 28)).aux["aux1"])
    assert torch.allclose(*before, *after, rtol=0, atol=0.3)


def test_the_wired_network_is_googlenet_where_it_is_wired_as_in_the_paper():
    torch.manual_seed(0)
    wired, x = checks.Wired("4a", dropout=False).train(), torch.randn(2, 1, 28, 28)
    plain = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    plain.load_state_dict(wired.state_dict())
    for layer in plain.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    found, right = wired(x), plain.train()(x)
    for a, b in zip(head_logits(found).values(), head_logits(right).values(), strict=True):
        assert torch.equal(a, b)
    assert wired.reads == plain.reads
    for depends_on in checks.WRONG_NETWORKS:
        torch.manual_seed(0)
        other = checks.Wired(depends_on, dropout=False).train()(x)
        assert torch.equal(other.logits, found.logits)
        assert not torch.allclose(other.aux["aux1"], found.aux["aux1"], rtol=0.01)


# --- exercise 3


@pytest.mark.parametrize(
    "needed", [{"B", "C", "F"}, ["F", "B", "C"], ("b", "c", "f"), "BCF", "B, C, F", "f b c"]
)
def test_training_and_validation_loss_over_seeds_would_show_a_regulariser(needed):
    assert checks.exercise_3.judge(needed) == (RIGHT, "")


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        ({"A", "B", "C", "F"}, "A shows that the heads reach the first layer"),
        ({"B", "C", "D", "F"}, "D is about the start"),
        ({"E", "F"}, "E is about heads that are thrown away"),
        (set("ABCDEF"), "A shows that the heads"),
        ({"C", "F"}, "without B"),
        ({"B", "F"}, "C is missing: "),
        ({"B", "C"}, "F is missing: "),
        (set(), "without B"),
        ({"B", "C", "Z"}, "a set of letters from A to F"),
        ([1, 2], "a set of letters from A to F"),
        (3, "a set of letters from A to F, got 3"),
        (None, "a set of letters from A to F, got None"),
    ],
)
def test_wrong_measurements_are_told_apart(needed, said):
    state, told = checks.exercise_3.judge(needed)
    assert state == NOT_YET and said in told


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_stubs_are_not_attempted_yet(exercise):
    def stub(outputs, labels):
        """Outputs, labels -> a scalar"""
        ...

    assert exercise.judge(stub)[0] == exercise.judge(...)[0] == OPEN


def test_the_lesson_goes_on_with_the_packages_loss_until_the_learners_is_right(capsys):
    assert checks.exercise_1.check(...) is loss_with_aux
    assert checks.exercise_1.check(loss_with_aux) is loss_with_aux
    assert checks.exercise_1.state == OPEN


# --- the networks


def test_xavier_is_how_the_papers_variant_starts():
    networks = []
    for start in ("Xavier", "PyTorch", "PyTorch"):
        torch.manual_seed(0)
        networks.append(Setting(start, False).network())
        if len(networks) == 2:
            initialise(networks[1])
    ours, theirs, left_alone = (network.state_dict() for network in networks)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert not torch.equal(ours["stem.conv1.conv.weight"], left_alone["stem.conv1.conv.weight"])


@pytest.mark.parametrize(("start", "variance"), [("Xavier", 1), ("Kaiming", 2)])
@pytest.mark.parametrize("norm", [False, True])
def test_weights_start_with_the_stated_variance_over_the_inputs(start, variance, norm):
    torch.manual_seed(0)
    network = Setting(start, norm).network()
    hidden = network.aux["aux1"].hidden
    assert hidden.weight.var().item() * hidden.in_features == pytest.approx(variance, rel=0.05)
    assert {round(bias, 4) for bias in hidden.bias.tolist()} == {0.2 if start == "Xavier" else 0.0}
    assert set(network.head.linear.bias.tolist()) == {0.0}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_with_and_without_heads_one_seed_starts_the_same_network(setting):
    found = []
    for aux in (True, False):
        torch.manual_seed(3)
        found.append(setting.network(aux=aux))
    with_heads, without = found
    assert list(with_heads.aux) == ["aux1", "aux2"] and not without.aux
    weights = with_heads.state_dict()
    assert all(torch.equal(weights[name], v) for name, v in without.state_dict().items())


# --- the gradients


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 1, 28, 28, generator=generator), torch.arange(4)


@pytest.fixture(scope="module")
def grid(batch):
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    measured = gradients.measure(*batch, seeds=2)
    assert torch.equal(torch.rand(1), drawn)  # measuring leaves the random state alone
    return measured


def test_the_grid_holds_what_backward_finds_for_each_head_alone(batch, grid):
    images, labels = batch
    setting = Setting("Xavier", True)
    for head in gradients.HEADS:
        torch.manual_seed(1)
        network = setting.network()
        head_losses(network(images), labels)[head].backward()
        kernels = [p for p in network.body.get_submodule("3b").parameters() if p.ndim == 4]
        square = sum(p.grad.square().sum() for p in kernels)
        assert grid[setting][1][head]["3b"] == pytest.approx(square.sqrt().item(), rel=1e-4)
    assert grid[setting][0] != grid[setting][1]


def test_a_heads_gradient_ends_where_it_is_attached(grid):
    reached = {head: list(gradients.middle(grid[SETTINGS[1]], head)) for head in gradients.HEADS}
    blocks = ["conv1", "conv2", "3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    assert reached == {"main": blocks, "aux2": blocks[:8], "aux1": blocks[:5]}


def made_up(conv1=1.0, last=1.0):
    """A grid whose numbers are known: all heads alike but for conv1 and 5b."""
    layers = dict.fromkeys(["conv1", "4a", "5b"], 1.0)
    main, aux1 = layers | {"conv1": conv1, "5b": last}, layers | {"conv1": 50.0, "5b": 0.0}
    run = {"main": main, "aux2": aux1, "aux1": aux1}
    return {setting: [run, run] for setting in SETTINGS}


def test_the_share_kept_is_conv1_over_5b_of_the_main_head():
    grid = made_up(conv1=0.002, last=4.0)
    assert gradients.kept(grid[SETTINGS[0]]) == pytest.approx(0.0005)
    table = gradients.table_conv1(grid)
    assert table.rows[1] == ("PyTorch, no norm", "2.0e-03", "5.0e+01", "5.0e+01", "5.0e-04")
    assert table.bold == set(range(6)) and not gradients.table_conv1(made_up()).bold


def test_the_middle_is_the_median_over_seeds():
    runs = [{"main": {"conv1": value, "5b": 0.0}} for value in (1.0, 10.0, 100.0)]
    assert gradients.middle(runs, "main") == {"conv1": 10.0}


def test_the_explorer_looks_up_every_setting_and_its_picture_changes(grid):
    explorer = gradients.explorer(grid)
    assert explorer.controls["start"].options == tuple(STARTS)
    for name, value in dict(start="Kaiming", norm="batch norm", head="aux1").items():
        moved(explorer, **{name: value})
        width, _ = struct.unpack(">II", explorer.picture.value[16:24])
        assert width == 2 * on_page((9, 4.2))[0]
    choice = gradients.Choice(SETTINGS[-1], grid[SETTINGS[-1]], ("aux1",))
    assert SETTINGS[-1] == Setting("Kaiming", True) and explorer.words == gradients._words(choice)


@pytest.mark.parametrize("heads", [("aux1",), gradients.HEADS])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_explorers_words_are_those_of_the_setting_and_its_heads(grid, setting, heads):
    runs = grid[setting]
    words = gradients._words(gradients.Choice(setting, runs, heads))
    assert words.startswith(str(setting))
    assert f"conv1 gets {gradients.kept(runs):.1e} of what 5b gets" in words
    assert ("main  " in words) == (heads == gradients.HEADS)
    assert f"{gradients.middle(runs, 'aux1')['4a']:.0e}" in words


def test_the_explorer_draws_a_line_and_a_band_for_each_head(grid):
    choice = gradients.Choice(SETTINGS[0], grid[SETTINGS[0]], gradients.HEADS)
    ax = render(gradients._draw, choice, (9, 4.2)).axes[0]
    assert [len(line.get_xdata()) for line in ax.lines] == [11, 8, 5] and len(ax.collections) == 3
    values = gradients.middle(choice.runs, "main")
    assert list(ax.lines[0].get_ydata()) == list(values.values())


# --- the heads, drawn


def test_the_heads_are_drawn_where_the_network_reads_them():
    with torch.device("meta"):
        network = GoogLeNet()
    words = aux_race.show_heads(network).words
    assert "aux1 reads 4a (14x14x512), aux2 reads 4d (14x14x528)" in words
    assert "stem -> 3a -> 3b -> 4a -> 4b" in words and "5b -> head" in words
    small = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    small.reads = {"aux1": "4b", "aux2": "4d"}
    late = aux_race.stages(small, (1, 28, 28))
    assert aux_race.words_heads(late).endswith("aux1 reads 4b (7x7x64), aux2 reads 4d (7x7x66)")


def test_the_heads_are_48_percent_of_what_is_trained():
    with torch.device("meta"):
        network = GoogLeNet()
    heads = sum(p.numel() for p in network.aux.parameters())
    whole = sum(p.numel() for p in network.parameters())
    assert (heads, whole, round(100 * heads / whole)) == (6_379_728, 13_378_280, 48)


# --- the race


def test_the_race_is_a_study_of_eight_runners_who_differ_in_their_heads_alone():
    race = table("aux_race")
    assert list(race) == [f"{s}, {heads}" for s in RATES for heads in HEADS] and len(race) == 8
    for setting in RATES:
        plain, helped = (race[f"{setting}, {heads}"] for heads in HEADS)
        assert plain.recipe == helped.recipe and plain.recipe.lr == RATES[setting]
        assert not plain.build().aux and list(helped.build().aux) == ["aux1", "aux2"]


def test_the_saved_race_is_of_todays_entries_three_seeds_each_and_finished():
    race = saved("aux_race")
    assert race["command"] == "python -m authoring measure aux_race"
    assert list(race["runs"]) == list(lesson.RACE)
    for name, runs in race["runs"].items():
        recipe = lesson.RACE[name].recipe
        assert [run["seed"] for run in runs] == [0, 1, 2]
        heads = ["main", "aux1", "aux2"] if "with heads" in name else ["main"]
        for run in runs:
            assert run["stopped"] == "" and run["precision"] == "float32"
            assert run["rows"][-1]["step"] == recipe.steps and list(run["losses"]) == heads


def race_of(plain, helped, loss=(2.3, 1.9)):
    """A saved race whose accuracies are given by seed, alike in every setting."""
    losses = {"main": list(loss)}
    runs = {
        f"{setting}, {heads}": [
            dict(test_accuracy=accuracy, losses=losses, loss_every=3) for accuracy in accuracies
        ]
        for setting in RATES
        for heads, accuracies in zip(HEADS, (plain, helped), strict=True)
    }
    return dict(runs=runs)


def test_gains_are_points_seed_by_seed():
    race = race_of((0.80, 0.70, 0.75), (0.81, 0.73, 0.73))
    found = aux_race.gains(race, next(iter(RATES)))
    assert found == pytest.approx([1, 3, -2])
    assert shared.mean_std(found, "+") == "+0.7 ± 2.5"


def test_chance_is_left_when_the_loss_falls_below_2():
    run = dict(losses=dict(main=[2.3, 2.0, 1.99, 2.4]), loss_every=3)
    assert aux_race.leaves(run) == 9
    assert aux_race.leaves(dict(losses=dict(main=[2.3, 2.0]), loss_every=3)) is None


def test_the_races_words_have_a_row_for_each_runner_and_the_gains():
    words = aux_race.words_race(race_of((0.80, 0.70, 0.75), (0.81, 0.73, 0.73)))
    rows = [line.split() for line in words.splitlines()]
    assert rows[1] == "PyTorch, no norm without 75.0 ± 5.0 6, 6, 6 3".split()
    assert words.count("with ") == 4 and "Xavier, no norm +0.7 ± 2.5; Kaiming" in words
    assert "never, never" in aux_race.words_race(race_of((0.1, 0.1), (0.1, 0.1), (2.3, 2.2)))


def test_the_race_is_drawn_with_a_line_for_every_run():
    race = race_of((0.80, 0.70, 0.75), (0.81, 0.73, 0.73))
    fig = render(aux_race._draw_race, race, (10, 6.4))
    assert [len(ax.lines) for ax in fig.axes] == [6, 6, 6, 6]
    assert list(fig.axes[0].lines[0].get_xdata()) == [3, 6]
    assert fig.axes[2].get_title("left") == "Kaiming, no norm: +0.7 ± 2.5 points"


def test_the_losses_of_a_run_are_drawn_and_told_head_by_head():
    how = dict(recipe=Recipe(steps=30), steps=30, batch_size=8, device="cpu")
    how |= dict(precision="float32", memory_format="contiguous")
    plain = History(losses=dict(main=[9.0] * 10 + [2.0] * 20), **how)
    helped = History(losses=dict(main=[1.5] * 30, aux1=[1.7] * 30, aux2=[1.6] * 30), **how)
    runs = {"without heads": plain, "with heads": helped}
    words = aux_race.show_losses(runs).words
    assert "without heads: step 30 of 30" in words and "last 20 steps: main 2.00\n" in words
    assert "last 20 steps: main 1.50, aux1 1.70, aux2 1.60\n" in words
    fig = render(aux_race._draw_losses, runs, (10, 3.8))
    assert [len(ax.lines) for ax in fig.axes] == [3, 5]
    assert fig.axes[1].get_title("left") == "with heads: main at 1.50"


# --- the verdict


def test_the_verdict_counts_pairs_and_leaves_settings_out_that_never_trained():
    race = race_of((0.80, 0.70, 0.75), (0.81, 0.73, 0.73))
    for heads in HEADS:
        for run in race["runs"][f"PyTorch, no norm, {heads}"]:
            run["losses"] = dict(main=[2.3, 2.3])
    race["runs"]["Kaiming, no norm, with heads"][1]["losses"] = dict(main=[1.9, 1.8])
    said = repr(aux_verdict.conclusion(race, made_up(conv1=0.1)))
    assert "PyTorch, no norm: none left it; Xavier, no norm: sooner in 0 of 3 pairs" in said
    assert "Kaiming, no norm: sooner in 1 of 3 pairs" in said
    assert "early in training: Xavier, no norm +0.7 ± 2.5; Kaiming" in said
    assert "in times main's: PyTorch, no norm 500; Xavier" in said and "(n = 2" in said
    assert "PyTorch, no norm 2.5; " in repr(aux_verdict.conclusion(race, made_up(conv1=20.0)))


def test_the_verdict_names_who_claims_what():
    heading, *rows = aux_verdict.conclusion(race_of((0.8, 0.7), (0.8, 0.7)), made_up()).rows
    assert heading == ("claim", "who says it", "here") and len(rows) == 5
    assert [who for _, who, _ in rows].count("[V3] section 4") == 2
    assert rows[3][0].endswith("regulariser") and rows[3][2].startswith("open; ")


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("04")
