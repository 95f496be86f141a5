import pytest
import torch
from torch import nn

from inception_edu.deviations import deviations, facts
from inception_edu.googlenet import GoogLeNet


def build(variant, **how):
    with torch.device("meta"):
        return GoogLeNet(variant, **how)


def differences(*networks):
    """The table of networks named 0, 1, ... as fact -> values."""
    heading, *rows = deviations({str(i): network for i, network in enumerate(networks)})
    assert heading == ("", *map(str, range(len(networks))))
    return {fact: values for fact, *values in rows}


@pytest.fixture
def paper():
    return build("paper")


def test_torchvision_differs_from_the_paper_in_what_facts_list_and_in_nothing_else(paper):
    assert differences(paper, build("torchvision")) == {
        "normalisation": ["2 x local response norm (5 channels)", "59 x batch norm (eps 0.001)"],
        "convolutions with a bias": ["59", "0"],
        "kernels in branch5x5": ["1x1, 5x5", "1x1, 3x3"],
        "max pool body.pool4": ["3x3/2 rounding up", "2x2/2 rounding up"],
        "dropout of the head": ["0.4", "0.2"],
        "pool of the aux heads": ["5x5 stride 3 to 4x4, else adaptive", "adaptive to 4x4"],
        "smallest image, without and with aux heads": ["31 and 63", "15 and 63"],
        "parameters": ["13,378,280", "13,004,888"],
        "parameters without aux heads": ["6,998,552", "6,624,904"],
    }


def test_small_differs_from_the_paper_in_its_stem_too(paper):
    found = differences(paper, build("small"))
    assert found["convolutions of the stem"] == ["7x7/2, 1x1/1, 3x3/1", "3x3/1, 3x3/1"]
    assert found["max pool stem.pool1"] == ["3x3/2 rounding up", "none"]
    assert found["max pool stem.pool"] == ["none", "3x3/2 padding 1"]
    assert found["dropout of the head"] == ["0.4", "none"]
    assert "kernels in branch5x5" not in found


def test_networks_built_alike_differ_in_nothing(paper):
    assert differences(paper, build("paper")) == {} == differences(paper)


def replaced(path, layer):
    def change(network):
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, layer)

    return change


CHANGES = {  # what is done to the second network -> the row that must change, and to what
    "convolutions of the stem": (
        replaced("stem.conv1.conv", nn.Conv2d(3, 64, 5, 1, 2)),
        "5x5/1, 1x1/1, 3x3/1",
    ),
    "kernels in branch3x3": (
        replaced("body.4c.branch3x3.1.conv", nn.Conv2d(128, 256, (1, 7), padding=(0, 3))),
        "1x1, 1x7, 3x3",
    ),
    "max pool body.pool3": (replaced("body.pool3", nn.MaxPool2d(3, 2, 1)), "3x3/2 padding 1"),
    "normalisation": (
        replaced("stem.norm1", nn.BatchNorm2d(64, 64)),
        "1 x batch norm (eps 64), 1 x local response norm (5 channels)",
    ),
    "convolutions with a bias": (
        replaced("body.3a.branch1x1.conv", nn.Conv2d(192, 64, 1, bias=False)),
        "58",
    ),
    "dropout of the head": (replaced("head.dropout", nn.Dropout(0.5)), "0.5"),
    "dropout of the aux heads": (replaced("aux.aux2.dropout", nn.Dropout(0.5)), "0.7, 0.5"),
    "layers with weights": (replaced("head.linear", nn.Identity()), "63"),
    "parameters": (replaced("aux.aux1.linear", nn.Linear(1024, 10)), "12,363,530"),
}


@pytest.mark.parametrize("fact", CHANGES)
def test_a_changed_module_changes_its_row(paper, fact):
    other = build("paper")
    change, expected = CHANGES[fact]
    change(other)
    found = differences(paper, other)
    assert found[fact] == [facts(paper)[fact], expected]
    assert len(found) <= 3  # the row itself, and the numbers of parameters


def test_without_aux_heads_their_rows_say_none(paper):
    found = differences(paper, build("paper", aux=False))
    assert found["pool of the aux heads"][1] == found["dropout of the aux heads"][1] == "none"
    assert found["parameters"] == ["13,378,280", "6,998,552"]
    assert "parameters without aux heads" not in found
