"""Blocks drawn from their own graph of calls."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.cost import layer_table
from inception_edu.factorised import Fork, Grid8
from inception_edu.figures import COLOURS, diagram
from inception_edu.figures.graph import laid_out
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import conv

SHAPE = (192, 28, 28)


class Typed(nn.Module):
    """Block 3a as a student types it, in plain PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.f = nn.Conv2d(192, 64, 1), nn.Conv2d(192, 32, 1)
        self.b, self.c = nn.Conv2d(192, 96, 1), nn.Conv2d(96, 128, 3, padding=1)
        self.d, self.e = nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2)

    def forward(self, x):
        three, five = self.c(F.relu(self.b(x))).relu(), self.e(torch.relu(self.d(x)))
        return torch.cat([self.a(x), three, five, self.f(F.max_pool2d(x, 3, 1, 1))], dim=1)


def boxes(block, shape):
    """What is drawn: text, MACs, colour and row of every box, from left to right."""
    parts = set(laid_out("it", block, shape).parts.values())
    return sorted((p.x, -p.y, p.text, p.macs, p.colour) for p in parts if p.text)


def test_a_block_has_its_layers_in_rows_of_their_branches_colours():
    found = boxes(Inception(192, TABLE_1["3a"]), SHAPE)
    texts = ["1x1, 64", "1x1, 96", "1x1, 16", "max 3x3", "3x3, 128", "5x5, 32", "1x1, 32"]
    assert [text for _, _, text, _, _ in found] == texts
    rows = ["branch1x1", "branch3x3", "branch5x5", "branch_pool"]
    colours = [COLOURS[row] for row in rows]
    assert [colour for *_, colour in found] == colours + colours[1:]
    assert [y for _, y, *_ in found] == [-1.5, -0.5, 0.5, 1.5, -0.5, 0.5, 1.5]
    assert len({x for x, *_ in found}) == 2


def test_a_students_own_block_is_drawn_as_the_packages():
    ours = boxes(Inception(192, TABLE_1["3a"]), SHAPE)
    theirs = boxes(Typed(), SHAPE)
    assert [(*box[:2], *box[3:]) for box in theirs] == [(*box[:2], *box[3:]) for box in ours]
    assert [box[2] for box in theirs] == [box[2].replace("max 3x3", "max pool") for box in ours]


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (Inception(192, TABLE_1["3a"]), SHAPE),
        (conv(3, 8, 3, 2), (3, 16, 16)),
        (nn.Sequential(conv(4, 8, 3), Fork(8, 6), nn.MaxPool2d(3, 2)), (4, 9, 9)),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)), (4, 7, 7)),
    ],
)
def test_costs_and_shapes_are_those_of_the_layer_table(block, shape):
    table, drawing = layer_table(block, shape), laid_out("it", block, shape)
    assert (drawing.params, drawing.macs) == (table.params, table.macs)
    with torch.no_grad():
        assert drawing.output == tuple(block.eval()(torch.zeros(1, *shape)).shape[1:])


def test_branches_within_branches_have_rows_of_their_own():
    with torch.device("meta"):
        block = InceptionV3().body.grid8b
    assert isinstance(block, Grid8)
    drawing = laid_out("grid8b", block, (2048, 8, 8))
    assert drawing.rows == 6 and drawing.output == (2048, 8, 8)
    found = boxes(block, (2048, 8, 8))
    assert [text for _, _, text, _, _ in found].count("1x3, 384") == 2
    places = [box[:2] for box in found]
    assert len(set(places)) == len(places) == 10


def test_a_sum_is_a_place_where_lines_meet():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return x + self.layer(x).relu()

    drawing = laid_out("residual", Residual(), (4, 8, 8))
    assert drawing.rows == 2 and drawing.output == (4, 8, 8)


def test_the_picture_has_every_block_with_its_title_and_words():
    picture = diagram({"3a": Inception(192, TABLE_1["3a"]), "yours": Typed()}, SHAPE)
    first, second, drawn = repr(picture).splitlines()
    assert first == "3a: 28x28x192 -> 28x28x256, 164,064 parameters, 128,049,152 MACs"
    assert second.startswith("yours: 28x28x192 -> 28x28x256, 163,696 parameters")
    assert drawn.count("7 bars or patches") == 2


def test_a_block_whose_calls_depend_on_its_images_is_refused_in_one_sentence():
    class Choosy(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="choosy cannot be drawn: .*control flow") as caught:
        diagram({"choosy": Choosy()}, SHAPE)
    assert "\n" not in str(caught.value)
