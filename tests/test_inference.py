"""optimise_for_inference: the same outputs from fewer layers."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from inception_edu.googlenet import GoogLeNet, Outputs
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import Concat, conv
from inception_edu.training.inference import optimise_for_inference

pytestmark = pytest.mark.usefixtures("one_thread")


def randomised(model):
    """The model with everything drawn at random, as if it were trained."""
    torch.manual_seed(0)
    for name, value in model.state_dict().items():
        if "running_var" in name:
            value.uniform_(0.5, 2)
        elif value.ndim == 4:  # at torch's own start the output hardly depends on the image
            value.normal_(std=(2 / value[0].numel()) ** 0.5)
        elif "norm" in name and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return model.eval()


def apart(a, b):
    return ((a - b).abs().max() / a.abs().max()).item()


@pytest.mark.parametrize(
    ("network", "variant", "side"),
    [
        (GoogLeNet, "torchvision", 64),
        (GoogLeNet, "small", 28),
        (GoogLeNet, "paper", 64),
        (InceptionV3, "torchvision", 80),
        (InceptionV3, "small", 28),
    ],
)
def test_every_variant_puts_out_the_same_and_keeps_its_own(network, variant, side):
    model = randomised(network(variant, num_classes=10, in_channels=1, width=1 / 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast, x = optimise_for_inference(model), torch.randn(4, 1, side, side)
    with torch.no_grad():
        slow, out = model(x), fast(x)
    assert type(out) is Outputs and apart(slow.logits[:1], slow.logits[1:2]) > 0.01
    assert apart(slow.logits, out.logits) <= 1e-5
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_no_batch_norm_and_no_dropout_is_left_and_memory_lies_channels_last():
    fast = optimise_for_inference(GoogLeNet("torchvision", num_classes=10, width=1 / 4))
    kinds = [type(module) for module in fast.modules()]
    assert nn.BatchNorm2d not in kinds and nn.Dropout not in kinds and not fast.training
    kernel = fast.stem.conv1.conv.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.requires_grad


def test_bfloat16_agrees_to_two_digits_and_comes_back_in_float32():
    model = randomised(GoogLeNet("torchvision", num_classes=10, in_channels=1, width=1 / 4))
    fast, x = optimise_for_inference(model, precision="bfloat16"), torch.randn(8, 1, 64, 64)
    with torch.no_grad():
        slow, out = model(x).logits, fast(x).logits
    assert out.dtype == torch.float32 and fast.stem.conv1.conv.weight.dtype == torch.bfloat16
    assert 0 < apart(slow, out) < 0.03
    assert (slow.argmax(1) == out.argmax(1)).float().mean() >= 0.75


def test_any_tree_of_sequential_and_concat_passes_through():
    branches = Concat(a=conv(3, 4, 3), b=nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(3, 2, 1)))
    model = randomised(nn.Sequential(branches, nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(384, 5)))
    fast, x = optimise_for_inference(model), torch.randn(2, 3, 8, 8)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in fast.modules()) == 1  # follows no convolution
    assert apart(model(x), fast(x)) <= 1e-5


def test_a_convolution_that_stands_twice_is_left_as_it_is():
    twice = nn.Conv2d(3, 3, 3, padding=1)
    model = randomised(nn.Sequential(twice, nn.BatchNorm2d(3), nn.ReLU(), twice, nn.BatchNorm2d(3)))
    model[1].running_mean += 1.0
    x = torch.randn(2, 3, 6, 6)
    assert apart(model(x), optimise_for_inference(model)(x)) <= 1e-5


def test_a_batch_norm_without_running_statistics_is_left_as_it_is():
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    model = randomised(nn.Sequential(nn.Conv2d(3, 3, 3), norm))
    x = torch.randn(2, 3, 6, 6)
    assert apart(model(x), optimise_for_inference(model)(x)) <= 1e-5


class Skipping(nn.Sequential):
    """A Sequential in name only: its own forward leaves the norm out and calls dropout by name."""

    def forward(self, x):
        return self.dropout(self.conv(x)) + x


def test_a_sequential_with_a_forward_of_its_own_is_left_as_it_is():
    layers = dict(conv=nn.Conv2d(3, 3, 1), norm=nn.BatchNorm2d(3), dropout=nn.Dropout())
    model = randomised(Skipping(OrderedDict(layers)))
    model.norm.running_mean += 1.0
    x = torch.randn(2, 3, 6, 6)
    assert apart(model(x), optimise_for_inference(model)(x)) <= 1e-5


def test_a_relu_works_in_place_only_on_what_a_convolution_put_out():
    bare, after = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    model = randomised(nn.Sequential(nn.Conv2d(3, 3, 1), Concat(a=bare, b=after)))
    fast, x = optimise_for_inference(model), torch.randn(2, 3, 6, 6)
    assert [m.inplace for m in fast.modules() if isinstance(m, nn.ReLU)] == [False, True]
    assert apart(model(x), fast(x)) <= 1e-5  # in place, the bare one would spoil branch b's input


def test_an_unknown_precision_is_named():
    with pytest.raises(
        ValueError, match='precision must be one of "float32", "bfloat16", got \'int8\''
    ):
        optimise_for_inference(nn.Flatten(), precision="int8")
