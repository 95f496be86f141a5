import copy
import re
import statistics

import pytest
import torch
from torch import nn

from inception_edu.exercises.judging import other_network
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception
from inception_edu.layers import Concat, conv
from inception_edu.lessons import shared

SAVED = shared.saved("networks")


def test_every_network_of_the_series_and_no_other_was_measured_on_3_seeds_or_more():
    assert set(SAVED["runs"]) == set(shared.NETWORKS)
    assert set(SAVED) >= {"command", "versions", "hardware", "runs"}
    for runs in SAVED["runs"].values():
        assert len({run["seed"] for run in runs}) == len(runs) >= 3
        assert all(0.5 < run["test_accuracy"] < 1 and run["train_seconds"] > 0 for run in runs)


@pytest.mark.parametrize(
    ("lesson", "n"),
    [("00", 1), ("01", 1), ("02", 3), ("04", 4), ("05", 5), ("06", 6), ("07", 7), ("08", 8)],
)
def test_table_holds_the_networks_trained_up_to_a_lesson(lesson, n):
    found = shared.reached(lesson)
    assert [r.name for r in found] == list(shared.NETWORKS)[:n]
    for r in found:
        runs = SAVED["runs"][r.name]
        accuracies = [run["test_accuracy"] for run in runs]
        assert r.n == len(runs) >= 3
        assert r.accuracy == pytest.approx(sum(accuracies) / r.n)
        assert r.std == pytest.approx(statistics.stdev(accuracies))
        network = shared.NETWORKS[r.name].build()  # auxiliary heads are no part of what is used
        at_work = (p for name, p in network.named_parameters() if not name.startswith("aux."))
        assert r.params == sum(p.numel() for p in at_work)
        quiet = [run["train_seconds"] for run in runs if run["quiet"]]
        assert quiet and r.seconds == pytest.approx(sum(quiet) / len(quiet))


def test_networks_of_the_series_have_7_850_and_96_178_parameters():
    costs = {r.name: (r.params, r.macs) for r in shared.reached("99")}
    assert costs["linear classifier"] == (7_850, 7_840)
    assert costs["GoogLeNet, 1/8 width"] == (96_178, 5_870_492)
    assert costs["Inception v3, 1/8 width"] == (338_094, 11_526_832)


def test_small_googlenet_reached_89_and_a_half_percent_within_60_seconds():
    best = shared.reached("02")[-1]
    assert best.accuracy >= 0.895 and best.seconds <= 60


def test_running_table_has_a_row_for_each_network_and_where_it_was_measured():
    table = shared.running_table("02")
    heading, *rows, about = repr(table).splitlines()
    assert re.split("  +", heading)[:3] == ["network", "parameters", "MACs per image"]
    assert [re.split("  +", row)[0] for row in rows] == list(shared.NETWORKS)[:3]
    assert all(re.search(r"\d\d\.\d% ± \d\.\d +\d+ +\d+\.\d$", row) for row in rows)
    assert SAVED["hardware"] in about


def test_the_networks_first_trained_in_a_lesson_are_bold_in_its_running_table():
    new = [shared.running_table(lesson).bold for lesson in ("00", "02", "03", "06", "08")]
    assert new == [{0}, {1, 2}, set(), {5}, {7}]


# --- the course network


class Block(nn.Module):
    """The course network's block by functions of torch, as the original has it."""

    def __init__(self, c_in):
        super().__init__()
        self.pool, self.one = nn.Conv2d(c_in, 24, 1), nn.Conv2d(c_in, 16, 1)
        self.five = nn.Sequential(nn.Conv2d(c_in, 16, 1), nn.Conv2d(16, 24, 5, padding=2))
        self.three = nn.Sequential(
            nn.Conv2d(c_in, 16, 1), nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(24, 24, 3, padding=1)
        )

    def forward(self, x):
        pooled = nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([self.pool(pooled), self.one(x), self.five(x), self.three(x)], dim=1)


def test_the_course_network_has_97_298_parameters_and_makes_1408_numbers():
    network = shared.course_network()
    shapes = []
    for layer in network:
        layer.register_forward_hook(lambda module, x, out: shapes.append(tuple(out.shape[1:])))
    assert network(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    first = [(10, 24, 24), (10, 12, 12), (10, 12, 12), (88, 12, 12)]
    second = [(20, 8, 8), (20, 4, 4), (20, 4, 4), (88, 4, 4), (1408,), (10,)]
    assert shapes == first + second
    plain = [nn.Conv2d(1, 10, 5), nn.Conv2d(88, 20, 5), nn.Linear(1408, 10)]
    plain += [Block(10), Block(20)]
    count = sum(p.numel() for layer in plain for p in layer.parameters())
    assert sum(p.numel() for p in network.parameters()) == count == 97_298


def test_the_course_networks_block_is_linear_as_in_the_original():
    block = shared.average_pool_block(10)
    assert not [m for m in block.modules() if isinstance(m, (nn.ReLU, nn.BatchNorm2d))]
    assert other_network(block, lambda: Block(10), (2, 10, 6, 7)) is None
    with_relu = shared.average_pool_block(10, relu=True)
    assert "something else" in other_network(with_relu, lambda: Block(10), (2, 10, 6, 7))


# --- helpers


def test_without_norm_every_convolution_has_a_bias_and_the_shapes_stay():
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    bare = shared.without_norm(copy.deepcopy(network))
    assert [tuple(p.shape) for p in bare.parameters() if p.ndim == 4] == shapes
    kinds = [type(module) for module in bare.modules()]
    assert nn.BatchNorm2d in [type(module) for module in network.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.Conv2d) == len(shapes)
    assert all(m.bias is not None for m in bare.modules() if isinstance(m, nn.Conv2d))


def test_the_longest_way_takes_the_deeper_branch_and_every_layer_of_it():
    deep = nn.Sequential(conv(4, 4, 1), conv(4, 4, 3), conv(4, 4, 3))
    block = Concat(deep=deep, short=conv(4, 4, 1), pool=nn.MaxPool2d(3, 1, 1))
    net = nn.Sequential(conv(2, 4, 3), block, nn.Flatten(), nn.Linear(12 * 16, 3))
    x = torch.randn(1, 2, 4, 4)
    assert shared.longest_path(net.eval()(x)) == 5
    assert shared.longest_path(net[0](x)) == 1
    assert shared.longest_path(block(net[0](x) + 0)) == 4


def test_randomise_draws_every_number_anew_and_alike_for_a_seed():
    one, two = (Inception(4, TABLE_1["3a"].scaled(1 / 8)) for _ in range(2))
    before = {name: v.clone() for name, v in one.state_dict().items()}
    shared.randomise(one), shared.randomise(two)
    alike = two.state_dict()
    for name, value in one.state_dict().items():
        counter = name.endswith("num_batches_tracked")
        assert counter or not (value == before[name]).any(), name
        assert torch.equal(value, alike[name])
        assert not name.endswith("running_var") or value.min() > 0
