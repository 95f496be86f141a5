import copy
import random
import time

import pytest
import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from conftest import refused
from inception_edu.cost import (
    Cost,
    LayerRow,
    LayerTable,
    ReceptiveField,
    conv_cost,
    layer_table,
    milliseconds,
    receptive_field,
    text_table,
)
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception
from inception_edu.layers import Concat, conv

# what GoogLeNet needs to know for Fashion-MNIST; the smallest that the lessons train
FASHION = dict(num_classes=10, in_channels=1, aux=False, width=1 / 8)


pytestmark = pytest.mark.usefixtures("one_thread")


def flops_and_output(module, *shape):
    """FLOPs by torch's own counter and the output's shape, on the meta device."""
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        out = module.to("meta")(torch.empty(1, *shape, device="meta"))
    return flops.get_total_flops(), out


def numel(module):
    return sum(p.numel() for p in module.parameters())


def random_layer(seed):
    """Arguments of conv_cost and the nn.Conv2d that they describe."""
    draw = random.Random(seed)
    groups = draw.choice([1, 1, 2, 4])
    c_in, c_out = groups * draw.randint(1, 16), groups * draw.randint(1, 16)
    k = draw.choice([1, 2, 3, 4, 5, 7, (1, 7), (7, 1), (3, 5), (2, 3)])
    stride = draw.choice([1, 2, 3, (1, 2), (3, 1)])
    padding = draw.choice([0, 1, 3, (0, 3), (2, 1)])
    size = draw.choice([9, 28, 31, (17, 24), (40, 8)])
    how = dict(stride=stride, padding=padding, groups=groups, bias=draw.random() < 0.5)
    return (c_in, c_out, k, size), how


@pytest.mark.parametrize("seed", range(60))
def test_closed_form_equals_torchs_flop_counter_numel_and_output_shape(seed):
    (c_in, c_out, k, size), how = random_layer(seed)
    layer = nn.Conv2d(c_in, c_out, k, **how)
    h, w = size if isinstance(size, tuple) else (size, size)
    flops, out = flops_and_output(layer, c_in, h, w)
    assert conv_cost(c_in, c_out, k, size, **how) == Cost(
        numel(layer), flops // 2, tuple(out.shape[1:])
    )


def test_random_layers_cover_groups_bias_rectangles_and_both_strides():
    layers = [random_layer(seed) for seed in range(60)]
    assert {how["groups"] for _, how in layers} == {1, 2, 4}
    assert {how["bias"] for _, how in layers} == {True, False}
    for place in (2, 3):
        assert {isinstance(shape[place], tuple) for shape, _ in layers} == {True, False}


@pytest.mark.parametrize("k", [1, 3, 5, (1, 7)])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_costs_what_the_packages_own_conv_costs(k, stride):
    layer = conv(6, 8, k, stride, norm=False, relu=False)
    flops, out = flops_and_output(layer, 6, 28, 21)
    cost = conv_cost(6, 8, k, (28, 21), stride=stride, bias=True)
    assert cost == (numel(layer), flops // 2, tuple(out.shape[1:]))


def test_5x5_from_192_to_32_channels_costs_120_422_400_macs_and_12_443_648_with_a_reduce():
    assert conv_cost(192, 32, 5, 28) == (153_600, 120_422_400, (32, 28, 28))
    reduce, after = conv_cost(192, 16, 1, 28), conv_cost(16, 32, 5, 28)
    assert (reduce.params, reduce.macs) == (3_072, 2_408_448)
    assert (after.params, after.macs) == (12_800, 10_035_200)
    assert reduce.macs + after.macs == 12_443_648


def test_naive_3a_has_393_216_weights_and_308_281_344_macs():
    branches = [(64, 1), (128, 3), (32, 5), (32, 1)]
    costs = [conv_cost(192, c_out, k, 28) for c_out, k in branches]
    assert sum(c.params for c in costs) == 393_216
    assert sum(c.macs for c in costs) == 308_281_344
    assert sum(c.output[0] for c in costs) == 256


BAD = [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError), ("3", TypeError)]


@pytest.mark.parametrize(("value", "error"), BAD)
@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("c_in", "c_in"),
        ("c_out", "c_out"),
        ("k", "k (height)"),
        ("size", "height"),
        ("stride", "stride"),
        ("groups", "groups"),
    ],
)
def test_conv_cost_refuses_a_count_that_is_no_positive_whole_number(argument, name, value, error):
    good = dict(c_in=4, c_out=4, k=3, size=8, stride=1, groups=1)
    conv_cost(**good)
    words = f"{name} must be a whole number of at least 1, got {value!r}"
    refused(error, lambda: conv_cost(**good | {argument: value}), words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(groups=3), "groups must divide c_in=4 and c_out=6, got 3"),
        (dict(groups=4), "groups must divide c_in=4 and c_out=6, got 4"),
        (dict(k=2), 'k must be odd for padding="same", got'),
        (dict(k=9, padding=0), "size must be at least the kernel (9, 9) with padding (0, 0), got"),
        (dict(size=(8, 2), padding=0), "got (8, 2)"),
        (dict(size=(8, 8, 8)), "got (8, 8, 8)"),
    ],
)
def test_conv_cost_names_what_does_not_fit(change, words):
    good = dict(c_in=4, c_out=6, k=3, size=8)
    conv_cost(**good)
    refused(ValueError, lambda: conv_cost(**good | change), words)


@pytest.fixture(scope="module")
def small():
    return GoogLeNet("small", **FASHION)


@pytest.mark.parametrize("size", [(1, 28, 28), (1, 64, 33)])
def test_layer_table_totals_equal_numel_torchinfo_and_flop_counter(small, size):
    table = layer_table(small, size)
    flops, _ = flops_and_output(copy.deepcopy(small).eval(), *size)
    parts = nn.Sequential(small.stem, small.body, small.head)  # torchinfo takes tensors only
    info = torchinfo.summary(parts, input_size=(1, *size), verbose=0)
    assert table.params == numel(small) == info.total_params == 96_178
    assert table.macs == flops // 2
    assert (table.params, table.macs) == tuple(
        sum(getattr(row, name) for row in table.rows) for name in ("params", "macs")
    )


def test_layer_table_of_the_small_network_at_28_pixels_has_5_870_492_macs(small):
    assert layer_table(small, (1, 28, 28)).macs == 5_870_492
    assert layer_table(small, (1, 32, 32)).macs > 5_870_492


def test_layer_table_of_a_block_equals_the_papers_128_049_152_macs():
    for norm, params in ((False, 163_696), (True, 164_064)):
        table = layer_table(Inception(192, TABLE_1["3a"], norm=norm), (192, 28, 28))
        assert (table.params, table.macs) == (params, 128_049_152)


def test_layer_table_has_a_row_for_every_layer_with_its_true_output_shape(small):
    shapes, hooks = {}, []
    for name, module in small.named_modules():
        if not list(module.children()):
            hook = lambda m, i, o, name=name: shapes.update({name: tuple(o.shape[1:])})  # noqa: E731
            hooks.append(module.register_forward_hook(hook))
    model = copy.deepcopy(small).eval()
    [hook.remove() for hook in hooks]
    model(torch.zeros(1, 1, 28, 28))
    rows = {row.name: row.output for row in layer_table(small, (1, 28, 28)).rows}
    assert rows == shapes and list(rows) == list(shapes) and len(rows) > 100


@pytest.mark.parametrize(
    ("depth", "names"),
    [
        (1, ["stem", "body", "head"]),
        (
            2,
            [
                "stem.conv1",
                "stem.conv2",
                "stem.pool",
                "body.3a",
                "body.3b",
                "body.pool3",
                "body.4a",
            ],
        ),
    ],
)
def test_joined_rows_keep_the_totals_and_show_the_parts_output(small, depth, names):
    whole, table = layer_table(small, (1, 28, 28)), layer_table(small, (1, 28, 28), depth=depth)
    assert [row.name for row in table.rows][:7] == names
    assert (table.params, table.macs) == (whole.params, whole.macs)
    for row in table.rows:
        part = small.get_submodule(row.name)
        assert row.params == numel(part)
        prefix = row.name + "."
        assert row.macs == sum(
            r.macs for r in whole.rows if r.name == row.name or r.name.startswith(prefix)
        )
    outputs = {row.name: row.output for row in table.rows}
    expected = {1: ("body", (128, 4, 4)), 2: ("body.3a", (32, 14, 14))}[depth]
    assert outputs[expected[0]] == expected[1]


@pytest.mark.parametrize("training", [True, False])
def test_layer_table_leaves_the_model_untouched(training):
    model = GoogLeNet("small", **FASHION).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_table(model, (1, 28, 28))
    assert model.training is training and all(m.training is training for m in model.modules())
    assert all(p.device.type == "cpu" and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_layer_table_takes_a_network_in_training_mode_down_to_a_grid_of_one_pixel():
    layer = conv(1, 4, 3, padding=0).train()  # batch norm cannot train on a single value
    assert layer_table(layer, (1, 3, 3)).macs == 36


def test_a_layer_used_twice_is_counted_once_in_parameters_and_twice_in_macs():
    layer = nn.Linear(6, 6, bias=False)
    table = layer_table(nn.Sequential(nn.Flatten(), layer, layer), (1, 2, 3))
    assert (table.params, table.macs) == (36, 72)


def test_layer_table_of_one_layer_has_one_row():
    table = layer_table(nn.Conv2d(3, 8, 3), (3, 10, 10))
    assert table.rows == [LayerRow("", (8, 8, 8), 224, 3 * 8 * 9 * 64)]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, dilation=2),
        nn.Conv2d(4, 6, 3, padding="valid"),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 6, (3, 5), (2, 1), (1, 0), groups=2),
    ],
    ids=["dilation", "valid", "same", "groups"],
)
def test_layer_table_counts_any_convolution_as_torchs_flop_counter_does(layer):
    flops, _ = flops_and_output(copy.deepcopy(layer), 4, 20, 20)
    assert layer_table(layer, (4, 20, 20)).macs == flops // 2


def test_layer_table_passes_on_the_networks_own_sentence(small):
    refused(ValueError, lambda: layer_table(small), "in_channels=", "(1, 3, 224, 224)")
    refused(ValueError, lambda: layer_table(small, (1, 8, 8)), "at least 9 x 9")


def test_layer_table_prints_and_shows_its_total_with_thousands_separated(small):
    table = layer_table(small, (1, 28, 28), depth=1)
    assert str(table) == repr(table)
    first, *_, last = str(table).splitlines()
    assert first.split() == ["layer", "output", "params", "MACs"]
    assert last.split() == ["total", "96,178", f"{table.macs:,}"]
    page = table._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == 5
    assert ">96,178</td>" in page and f">{table.macs:,}</td></tr></table>" in page
    assert ">32" not in page and "128x4x4" in page


def test_layer_names_are_escaped_on_a_page():
    assert ">a&lt;b</td>" in LayerTable([LayerRow("a<b", (1,), 2, 3)])._repr_html_()


def test_text_table_aligns_the_left_columns_left_and_the_others_right():
    rows = [("name", "n"), ("a", "1,000"), ("long", "7")]
    assert text_table(rows) == "name      n\na     1,000\nlong      7"
    assert text_table(rows, left=2) == "name  n\na     1,000\nlong  7"


def extent(net, c_in, side, y, x):
    """First and last row and column with a gradient from output (y, x), over random images."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(64, c_in, side, side, generator=generator, dtype=torch.float64)
    image.requires_grad_()
    out = net(image)[:, :, y, x]
    (out * torch.rand(out.shape, generator=generator, dtype=out.dtype)).sum().backward()
    seen = image.grad.abs().sum((0, 1)) > 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    return rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()


PATHS = {
    "1x1": lambda: [conv(2, 4, 1)],
    "three 3x3": lambda: [conv(2, 4, 3), conv(4, 4, 3), conv(4, 4, 3)],
    "strided": lambda: [conv(2, 4, 3, 2), conv(4, 4, 5), conv(4, 4, 3, 2)],
    "rectangular": lambda: [conv(2, 4, (1, 7)), conv(4, 4, (3, 1), 2), conv(4, 4, (3, 5))],
    "pools": lambda: [conv(2, 4, 3), nn.MaxPool2d(3, 2), conv(4, 4, 3), nn.AvgPool2d(2)],
    "dilated": lambda: [nn.Conv2d(2, 4, 3, padding=2, dilation=2), nn.ReLU(), conv(4, 4, 3)],
    "dilated pool": lambda: [conv(2, 4, 1), nn.MaxPool2d(3, 1, dilation=2)],
    "stem": lambda: [GoogLeNet("small", in_channels=1, width=1 / 16).stem],
    **{
        name: lambda name=name: [Inception(2, TABLE_1["3a"].scaled(1 / 8))[name]]
        for name in ("branch1x1", "branch3x3", "branch5x5", "branch_pool")
    },
    "block": lambda: [Inception(2, TABLE_1["3a"].scaled(1 / 8))],
    "branch after stem": lambda: [
        GoogLeNet("small", in_channels=1, width=1 / 16).stem,
        Inception(12, TABLE_1["3a"].scaled(1 / 8))["branch5x5"],
    ],
    "fork": lambda: [conv(2, 4, 3), Concat(a=conv(4, 4, (1, 3)), b=conv(4, 4, (3, 1)))],
}


@pytest.mark.parametrize("name", PATHS)
def test_receptive_field_equals_where_the_gradient_is_not_0(name):
    torch.manual_seed(0)
    path, side = PATHS[name](), 41
    field, net = receptive_field(*path), nn.Sequential(*path).double().eval()
    c_in = next(m for m in net.modules() if isinstance(m, nn.Conv2d)).in_channels
    y = x = net(torch.zeros(1, c_in, side, side).double()).shape[2] // 2
    top, bottom, left, right = extent(net, c_in, side, y, x)
    assert (bottom - top + 1, right - left + 1) == field.size
    below, beside = extent(net, c_in, side, y + 1, x), extent(net, c_in, side, y, x + 1)
    assert (below[0] - top, beside[2] - left) == field.jump


def test_receptive_fields_of_3as_branches_are_1_3_5_and_3():
    block = Inception(192, TABLE_1["3a"])
    assert [receptive_field(b).size[0] for b in block.values()] == [1, 3, 5, 3]
    assert receptive_field() == ReceptiveField((1, 1), (1, 1))


@pytest.mark.parametrize("layer", [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)])
def test_receptive_field_refuses_a_layer_that_it_cannot_follow(layer):
    words = ("path must hold convolutions", f"got {type(layer).__name__}")
    refused(ValueError, lambda: receptive_field(conv(1, 1, 3), layer), *words)


class Counting(nn.Module):
    """Sleeps for the next of the given seconds and counts its calls."""

    def __init__(self, *seconds):
        super().__init__()
        self.seconds, self.calls, self.grad = seconds, 0, []

    def forward(self, x):
        self.grad.append(torch.is_grad_enabled())
        time.sleep(self.seconds[self.calls % len(self.seconds)])
        self.calls += 1
        return x


@pytest.mark.parametrize("repeats", [1, 4, 15])
def test_milliseconds_runs_twice_and_then_as_often_as_told_without_gradients(repeats):
    module = Counting(0)
    assert milliseconds(module, torch.zeros(1), repeats=repeats) > 0
    assert module.calls == repeats + 2 and not any(module.grad)


def test_milliseconds_is_measured_at_least_once():
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 1, got 0"):
        milliseconds(Counting(0), torch.zeros(1), repeats=0)


def test_milliseconds_is_the_shortest_of_the_runs_after_the_first_two():
    seconds = (0.001, 0.001, 0.15, 0.02, 0.15)
    found = milliseconds(Counting(*seconds), torch.zeros(1), repeats=3)
    assert 20 <= found < 100
