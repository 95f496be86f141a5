"""A whole network drawn from itself, of any make."""

import pytest
import torch
from torch import nn

from conftest import refused
from inception_edu.figures import on_page, render, whole
from inception_edu.figures.whole import _draw, _height, stages, wrapped
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import conv
from inception_edu.lessons.lesson_03 import plain

BLOCKS = [name for name, row in TABLE_1.items() if row.type == "inception"]


class Logits(nn.Module):
    """A network of ours that returns its logits alone."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).logits


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return plain.GoogLeNet().eval()


@pytest.fixture(scope="module")
def rows(paper):
    return wrapped(stages("GoogLeNet", paper, (3, 224, 224)))


def test_every_layer_of_googlenet_has_its_box(rows, paper):
    names = [[stage.name for stage in row] for row in rows]
    stem = ["conv1", "pool1", "conv2_reduce", "conv2", "pool2"]
    assert names == [
        [*stem, "3a", "3b", "pool3"],
        ["4a", "4b", "4c", "4d", "4e", "pool4"],
        ["5a", "5b", "pool", "linear"],
    ]
    boxes = [box for row in rows for stage in row for _, own in stage.branches for box in own]
    kinds = (nn.Conv2d, nn.Linear)
    assert sum(solid for _, solid in boxes) == 58
    assert sum(isinstance(m, kinds) for m in paper.modules()) == 58
    fig = render(_draw, ("GoogLeNet", rows), size(rows))
    assert sum(len(ax.patches) for ax in fig.axes) == len(boxes) == 58 + 9 + 5


def test_what_leaves_a_stage_is_table_1s(rows):
    outputs = {stage.name: stage.output for row in rows for stage in row}
    for name in ("conv1", "pool1", "conv2", "pool2", "pool3", "pool4", *BLOCKS):
        assert outputs[name] == TABLE_1[name].output, name


def test_the_picture_follows_the_network_that_it_is_given():
    class Small(nn.Module):
        """A block of the student's own between two layers, joined by torch.cat."""

        def __init__(self):
            super().__init__()
            self.first, self.fc = conv(1, 8, 3, 2), nn.Linear(12, 3)
            self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 8, (1, 7), padding=(0, 3))

        def forward(self, x):
            x = nn.functional.max_pool2d(self.first(x), 2)
            x = torch.cat([self.left(x), self.right(x).relu()], dim=1)
            return self.fc(x.mean((2, 3)))

    lines = [line.split() for line in whole("mine", Small(), (1, 32, 32)).words.splitlines()]
    assert lines[0] == ["mine"] and lines[1] == ["first", "3x3/2", "16x16x8"]
    assert ["1x1", "|", "1x7", "8x8x12"] in lines and ["fc", "linear", "3"] in lines


def test_forks_of_inception_v3_are_one_box_and_its_blocks_are_whole():
    with torch.device("meta"):
        network = Logits(InceptionV3(aux=False)).eval()
    found = {stage.name: stage for stage in stages("v3", network, (3, 299, 299))}
    fork = [[text for text, _ in boxes] for _, boxes in found["grid8a"].branches]
    assert fork[1] == ["1x1", "1x3|3x1"] and fork[2] == ["1x1", "3x3", "1x3|3x1"]
    assert [len(stage.branches) for stage in found.values()].count(1) == 9
    assert found["grid8b"].output == (8, 8, 2048) and found["linear"].output == (1000,)


def test_words_stay_inside_their_boxes_and_the_page(rows):
    fig = render(_draw, ("GoogLeNet", rows), size(rows))
    for ax in fig.axes:
        boxes = [patch.get_window_extent() for patch in ax.patches]
        for text in ax.texts:
            extent = text.get_window_extent()
            assert extent.x0 >= 0 and extent.x1 <= 2 * on_page(size(rows))[0]
            inside = [b for b in boxes if b.contains(*extent.get_points().mean(0))]
            assert all(b.x0 <= extent.x0 and extent.x1 <= b.x1 for b in inside), text.get_text()


def size(rows):
    return 11, 0.46 * sum(map(_height, rows)) + 0.4


def test_a_network_that_cannot_be_followed_says_so():
    class Asks(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    refused(ValueError, lambda: whole("mine", Asks(), (1, 8, 8)), "mine cannot be drawn")


def test_a_block_alone_is_drawn_too():
    words = whole("3a", Inception(192, TABLE_1["3a"]), (192, 28, 28)).words
    assert "1x1 | 1x1 3x3 | 1x1 5x5 | max 3x3 1x1  28x28x256" in words
