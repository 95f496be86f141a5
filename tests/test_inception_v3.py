"""Inception v2 and v3: counts, shapes, stems by resolution, factorised blocks, the aux head."""

import inspect
import time

import pytest
import torch
from torch import nn

from conftest import refused
from inception_edu.cost import layer_table, receptive_field
from inception_edu.deviations import deviations
from inception_edu.factorised import (
    AuxHead,
    Fork,
    Grid8,
    Grid17,
    Grid35,
    Reduce17to8,
    Reduce35to17,
    Widths,
)
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import (
    LAYOUTS,
    MIN_SIZES,
    TABLE_1,
    WIDTHS,
    InceptionV2,
    InceptionV3,
    Row,
)
from inception_edu.layers import Concat, channels
from inception_edu.training import checkpoints

pytestmark = pytest.mark.usefixtures("one_thread")
FULL = ["paper", "torchvision"]


def on_meta(build, *args, **how):
    with torch.device("meta"):
        return build(*args, **how)


def params(module):
    return sum(p.numel() for p in module.parameters())


def macs_by_hooks(model, size):
    """Multiply-adds of a network's convolutions and linears, counted from what flows."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        per_value = layer.weight[0].numel()
        total += per_value * output[0].numel()

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    model.eval()(torch.empty(1, *size, device="meta"))
    return total


# --- counts


@pytest.mark.parametrize(
    ("variant", "classes", "bare", "whole"),
    [
        ("torchvision", 1000, 23_834_568, 27_161_264),
        ("torchvision", 10, 21_806_058, 24_371_444),
        ("paper", 1000, 24_027_240, 27_353_936),
    ],
)
def test_inception_v3_has_23_834_568_parameters_and_27_161_264_with_its_head(
    variant, classes, bare, whole
):
    how = dict(num_classes=classes)
    assert params(on_meta(InceptionV3, variant, aux=False, **how)) == bare
    assert params(on_meta(InceptionV3, variant, **how)) == whole


@pytest.mark.parametrize(
    ("variant", "training", "macs"),
    [
        ("torchvision", False, 5_713_216_096),
        ("torchvision", True, 5_718_899_296),
        ("paper", False, 5_576_975_456),
    ],
)
def test_inception_v3_costs_5_713_216_096_macs_at_299_pixels(variant, training, macs):
    model = on_meta(InceptionV3, variant)
    assert layer_table(model, (3, 299, 299), training=training).macs == macs
    if not training:
        assert macs_by_hooks(model, (3, 299, 299)) == macs


def test_torchvisions_inception_costs_2_837_921_120_macs_at_224_pixels():
    model = on_meta(InceptionV3, "torchvision", aux=False)
    assert layer_table(model, (3, 224, 224)).macs == 2_837_921_120


def test_inception_v2_is_the_papers_v3_but_for_batch_norm_on_the_heads_fully_connected_layer():
    v2, v3 = on_meta(InceptionV2), on_meta(InceptionV3)
    assert layer_table(v2, (3, 299, 299)).macs == layer_table(v3, (3, 299, 299)).macs
    assert params(v2) == 27_353_168 and params(v3) - params(v2) == 768  # a shift for each bias
    assert hasattr(v2.aux["aux"].conv, "norm") and not hasattr(v2.aux["aux"].hidden, "norm")
    assert hasattr(v3.aux["aux"].conv, "norm") and hasattr(v3.aux["aux"].hidden, "norm")
    states = [set(m.state_dict()) for m in (v2, v3)]
    assert all(name.startswith("aux.aux.hidden.") for name in states[0] ^ states[1])


def test_counting_the_reductions_apart_as_section_6_does_gives_12_blocks_and_26_4_million():
    a, *rows = WIDTHS.items()
    literal = dict([("grid35a", a[1]), ("grid35b", a[1]), ("grid35c", a[1]), *rows[1:6]])
    literal["grid17e"] = WIDTHS["grid17d"]
    literal |= dict(rows[6:])
    how = dict(widths=literal, aux="grid17e")
    model = on_meta(InceptionV3, LAYOUTS["paper"]._replace(**how), aux=False)
    assert len(model.body) == 12 and len(on_meta(InceptionV3).body) == 10
    table, v1 = layer_table(model, (3, 299, 299)), layer_table(on_meta(GoogLeNet))
    assert round(table.params / 1e6, 1) == 26.4 and round(table.macs / v1.macs, 2) == 4.10
    depths = [depth(m) for m in (model, on_meta(InceptionV3))]
    assert depths == [54, 46]  # "42 layers"


def depth(part):
    """Layers with weights on the longest way through a part of a network."""
    if isinstance(part, (nn.Conv2d, nn.Linear)):
        return 1
    inside = [depth(child) for name, child in part.named_children() if name != "aux"]
    return max(inside) if isinstance(part, Concat) else sum(inside)


def test_inception_v2_costs_3_5_times_googlenet_where_the_paper_says_about_2_5():
    v2 = layer_table(on_meta(InceptionV2), (3, 299, 299)).macs
    v1 = layer_table(on_meta(GoogLeNet), (3, 224, 224)).macs
    assert round(v2 / v1, 1) == 3.5


def test_building_and_costing_on_the_meta_device_takes_less_than_a_second():
    layer_table(on_meta(GoogLeNet))  # the first use of the meta device loads what torch keeps
    start = time.perf_counter()
    layer_table(on_meta(InceptionV3), (3, 299, 299))
    assert time.perf_counter() - start < 3  # 0.3 s on one idle core


# --- shapes


def outputs(model, size):
    """Name of each part of stem and body -> (h, w, c) that it puts out."""
    rows = layer_table(model, size, depth=2).rows
    return {row.name.split(".")[1]: (*row.output[1:], row.output[0]) for row in rows}


def test_the_papers_stem_and_grids_take_and_put_out_what_table_1_prints():
    found, rows = outputs(on_meta(InceptionV3), (3, 299, 299)), list(TABLE_1.values())
    stem = list(TABLE_1)[:7]
    for name, following in zip(stem, rows[1:8], strict=True):
        assert found[name] == following.input, name
    assert found["reduce35to17"] == TABLE_1["grid17"].input == (17, 17, 768)
    assert found["reduce17to8"] == TABLE_1["grid8"].input == (8, 8, 1280)
    assert found["grid8b"] == TABLE_1["pool"].input == (8, 8, 2048)
    assert found["pool"] == TABLE_1["linear"].input == (1, 1, 2048)


def test_torchvisions_endpoints_are_35x35x192_to_8x8x2048():
    found = outputs(on_meta(InceptionV3, "torchvision"), (3, 299, 299))
    expected = {
        "conv1": (149, 149, 32),
        "conv2": (147, 147, 32),
        "conv3": (147, 147, 64),
        "pool1": (73, 73, 64),
        "conv4": (73, 73, 80),
        "conv5": (71, 71, 192),
        "pool2": (35, 35, 192),
        "grid35a": (35, 35, 256),
        "grid35b": (35, 35, 288),
        "grid35c": (35, 35, 288),
        "reduce35to17": (17, 17, 768),
        **{f"grid17{letter}": (17, 17, 768) for letter in "abcd"},
        "reduce17to8": (8, 8, 1280),
        "grid8a": (8, 8, 2048),
        "grid8b": (8, 8, 2048),
    }
    assert {name: found[name] for name in expected} == expected
    assert list(found)[: len(expected)] == list(expected)


def test_rows_of_blocks_count_three_five_and_two_with_the_reductions():
    model = on_meta(InceptionV2)
    names = [name for name, _ in model.body.named_children()]
    rows = [names[:3], names[3:8], names[8:]]
    assert [len(row) for row in rows] == [3, 5, 2]
    assert [row[-1] for row in rows] == ["reduce35to17", "reduce17to8", "grid8b"]


# --- resolutions


@pytest.mark.parametrize("variant", FULL)
def test_151_pixels_cost_exactly_what_299_do_and_79_about_6_percent_less(variant):
    tables, grid = {}, {}
    for side in (299, 151, 79):
        model = on_meta(InceptionV3, variant, aux=False, resolution=side)
        tables[side] = layer_table(model, (3, side, side))
        grid[side] = outputs(model, (3, side, side))["grid35a"][:2]
        assert tables[side].params == tables[299].params
    assert tables[151].macs == tables[299].macs
    assert 0.93 < tables[79].macs / tables[299].macs < 0.94
    assert grid == {299: (35, 35), 151: (35, 35), 79: (36, 36)}


def test_only_first_stride_and_first_pool_change_with_the_resolution():
    stems = [on_meta(InceptionV3, aux=False, resolution=r).stem for r in (299, 151, 79)]
    assert [stem.conv1.conv.stride for stem in stems] == [(2, 2), (1, 1), (1, 1)]
    assert [hasattr(stem, "pool1") for stem in stems] == [True, True, False]
    assert on_meta(InceptionV2, resolution=79).stem.conv1.conv.stride == (1, 1)
    assert LAYOUTS["paper"].stem_for(299) == dict(list(TABLE_1.items())[:8])  # left as it was


def test_unknown_resolution_and_one_for_the_small_variant_are_refused():
    words = ("resolution of this variant must be one of 299, 151, 79, got 224",)
    refused(ValueError, lambda: InceptionV3(resolution=224), *words)
    refused(ValueError, lambda: InceptionV2(resolution=0), "got 0")
    words = ("resolution of this variant must be one of 299, got 79",)
    refused(ValueError, lambda: InceptionV3("small", resolution=79), *words)


def test_a_network_knows_the_size_that_it_is_made_for():
    found = [on_meta(InceptionV3, aux=False, resolution=r).size for r in MIN_SIZES]
    assert found == list(MIN_SIZES) and on_meta(InceptionV2, resolution=79).size == 79
    assert [on_meta(InceptionV3, v).size for v in LAYOUTS] == [299, 299, 28]


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("resolution", [*MIN_SIZES, "small"])
def test_smallest_image_is_exact_and_one_pixel_less_is_refused(resolution, heads):
    how = dict(num_classes=3, in_channels=1, width=1 / 32)
    if resolution == "small":
        model, least = InceptionV3("small", **how), LAYOUTS["small"].min_sizes[299][heads]
    else:
        model = InceptionV3(resolution=resolution, **how)
        least = MIN_SIZES[resolution][heads]
    model.train(heads)
    out = model(torch.zeros(2, 1, least, least + 3))
    assert out.logits.shape == (2, 3) and list(out.aux) == ["aux"] * heads
    words = [f"at least {least} x {least} pixels", f"got {least + 3} x {least - 1}", "enlarge"]
    if resolution != "small":
        words += ["resolution=151 (from 39", "resolution=79 (from 21)", 'InceptionV3("small")']
    words += [f"{model.min_sizes[0]} with aux=False"] * heads
    refused(ValueError, lambda: model(torch.zeros(2, 1, least + 3, least - 1)), *words)


@pytest.mark.parametrize("resolution", MIN_SIZES)
def test_smallest_images_follow_from_the_grids(resolution):
    without, with_heads = MIN_SIZES[resolution]
    model = on_meta(InceptionV3, resolution=resolution, aux=False)
    model.min_sizes = (1, 1)
    assert outputs(model, (3, with_heads, with_heads))["grid17d"][0] == 5  # what the head pools to
    assert outputs(model, (3, with_heads - 1, with_heads - 1))["grid17d"][0] == 4
    assert outputs(model, (3, without, without))["grid8b"][0] == 1
    with pytest.raises(RuntimeError, match="[Oo]utput size|Kernel size"):
        outputs(model, (3, without - 1, without - 1))


def test_an_image_of_74_pixels_names_75_and_the_stems_to_use():
    model = on_meta(InceptionV3).eval()
    words = ("at least 75 x 75 pixels", "got 74 x 74", "resolution=151", "resolution=79")
    refused(ValueError, lambda: model(torch.empty(1, 3, 74, 74, device="meta")), *words)


# --- blocks


def kernels(branch):
    return [m.kernel_size for m in branch.modules() if isinstance(m, nn.Conv2d)]


def test_figure_5_has_a_5x5_as_two_3x3_and_a_single_3x3():
    block = Grid35(288, WIDTHS["grid35a"])
    assert kernels(block.branch3x3) == [(1, 1), (3, 3)]
    assert kernels(block.branch3x3dbl) == [(1, 1), (3, 3), (3, 3)]
    assert receptive_field(block.branch3x3dbl).size == (5, 5)
    assert kernels(Grid35(288, WIDTHS["grid35a"], k=5).branch3x3) == [(1, 1), (5, 5)]


def test_figure_6_sees_7_and_13_pixels_through_1x7_and_7x1():
    block, one = Grid17(768, WIDTHS["grid17a"]), [(1, 7), (7, 1)]
    assert kernels(block.branch7x7) == [(1, 1), *one]
    assert kernels(block.branch7x7dbl) == [(1, 1), *reversed(one), *reversed(one)]
    assert receptive_field(block.branch7x7).size == (7, 7)
    assert receptive_field(block.branch7x7dbl).size == (13, 13)


def test_figure_7_forks_at_the_end_of_two_branches():
    block = Grid8(1280, WIDTHS["grid8a"])
    for branch in (block.branch3x3, block.branch3x3dbl):
        assert isinstance(branch[-1], Fork)
        assert kernels(branch[-1]) == [(1, 3), (3, 1)]
    assert channels(Fork(6, 5), 6) == 10
    x = torch.randn(1, 1280, 3, 4)
    assert block.eval()(x).shape == (1, 2048, 3, 4)


@pytest.mark.parametrize(
    ("build", "c_in", "name", "c_out"),
    [(Reduce35to17, 288, "reduce35to17", 768), (Reduce17to8, 768, "reduce17to8", 1280)],
)
def test_reductions_halve_the_grid_in_every_branch_and_keep_the_pooled_channels(
    build, c_in, name, c_out
):
    block = build(c_in, WIDTHS[name]).eval()
    x = torch.randn(1, c_in, 9, 9)
    assert block(x).shape == (1, c_out, 4, 4)
    assert torch.equal(block(x)[:, -c_in:], nn.functional.max_pool2d(x, 3, 2))
    assert build(c_in, WIDTHS[name], padding=1).eval()(x).shape == (1, c_out, 5, 5)
    strided = [m for m in block.modules() if getattr(m, "stride", 1) in (2, (2, 2))]
    assert len(strided) == 3


@pytest.mark.parametrize("name", WIDTHS)
def test_widths_scale_and_what_is_not_there_stays_away(name):
    half = WIDTHS[name].scaled(0.5)
    assert [2 * c for c in half] == list(WIDTHS[name])
    assert min(c for c in WIDTHS[name].scaled(1e-4) if c) == 1
    assert Widths(0, 1, 2, 3, 4, 0).scaled(0.1)[0] == 0


def test_every_convolution_but_the_last_of_v2s_aux_head_has_batch_norm_and_relu():
    for model in (on_meta(InceptionV2), *(on_meta(InceptionV3, v) for v in LAYOUTS)):
        for name, layers in model.named_modules():
            if isinstance(getattr(layers, "conv", None), nn.Conv2d):
                plain = isinstance(model, InceptionV2) and name == "aux.aux.hidden"
                assert (layers.conv.bias is not None) == plain == (not hasattr(layers, "norm"))
                assert isinstance(layers.relu, nn.ReLU)


def test_pools_inside_blocks_average_and_those_of_stem_and_reductions_take_the_maximum():
    model = on_meta(InceptionV3, "torchvision")
    average = [n for n, m in model.body.named_modules() if isinstance(m, nn.AvgPool2d)]
    assert len(average) == 9 and all(".branch_pool." in name for name in average)
    assert sum(isinstance(m, nn.MaxPool2d) for m in model.modules()) == 4


# --- the aux head


def test_aux_head_pools_17x17_to_5x5_and_reads_the_last_17x17_block():
    model = on_meta(InceptionV3).train()
    rows = {r.name: r.output for r in layer_table(model, (3, 299, 299), training=True).rows}
    assert rows["aux.aux.pool"] == (768, 5, 5) and rows["aux.aux.conv.conv"] == (128, 5, 5)
    assert rows["aux.aux.hidden.conv"] == (768, 1, 1) and rows["aux.aux.linear"] == (1000,)


def test_aux_head_depends_on_grid17d_and_not_on_the_second_reduction():
    torch.manual_seed(0)
    model = InceptionV3("small", num_classes=4, in_channels=1, width=1 / 16).train()
    x = torch.randn(4, 1, 28, 28)

    def changed(block):
        before = model(x)
        weight = next(p for p in model.body.get_submodule(block).parameters())
        with torch.no_grad():
            weight += 0.5 * torch.randn_like(weight)
        after = model(x)
        pairs = ((before.logits, after.logits), (before.aux["aux"], after.aux["aux"]))
        return [not torch.allclose(a, b) for a, b in pairs]

    assert changed("reduce17to8") == [True, False]
    assert changed("grid17d") == [True, True]


def test_aux_head_runs_in_training_only():
    model = InceptionV3("small", num_classes=4, in_channels=1, width=1 / 16)
    x = torch.randn(2, 1, 28, 28)
    assert list(model(x).aux) == ["aux"] and model.eval()(x).aux == {}
    bare = InceptionV3("small", in_channels=1, aux=False, width=1 / 16).train()
    assert bare(x).aux == {} and not list(bare.aux.parameters())


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("side", [4, 17, 19, 23])
def test_aux_head_takes_any_grid(norm, side):
    head = AuxHead(16, 7, hidden_norm=norm, width=1 / 8)
    assert [hasattr(layer, "norm") for layer in (head.conv, head.hidden)] == [True, norm]
    assert head(torch.randn(2, 16, side, side + 1)).shape == (2, 7)
    assert head.pool(torch.randn(1, 16, 17, 19)).shape[2:] == (5, 5)


# --- building


@pytest.mark.parametrize("variant", LAYOUTS)
def test_logits_have_a_row_an_image_and_a_column_a_class(variant):
    model = InceptionV3(variant, num_classes=7, in_channels=2, width=1 / 32)
    x, other = torch.randn(2, 2, 2, 110, 115)
    out = model(x)
    assert out.logits.shape == out.aux["aux"].shape == (2, 7)
    model.eval()
    assert not torch.equal(model(x).logits, model(other).logits)


@pytest.mark.parametrize(
    "build", [InceptionV2, InceptionV3, lambda **how: InceptionV3("small", **how)]
)
def test_a_networks_arguments_build_it_again_from_its_checkpoint(build):
    model = build(num_classes=5, in_channels=2, width=1 / 32)
    assert model.arguments.keys() == inspect.signature(type(model)).parameters.keys()
    again = checkpoints.build(dict(model=checkpoints.describe(model), weights=model.state_dict()))
    x = torch.randn(1, 2, 80, 80)
    assert type(again) is type(model)
    assert torch.equal(model.eval()(x).logits, again.eval()(x).logits)


# --- a variant is one entry of one table


def strides(model):
    return [m.stride[0] for m in model.stem.modules() if isinstance(m, nn.Conv2d)]


FIELDS = {  # field -> another value for it, and what must be found in the network then
    "stem": (
        {"conv1": Row("conv", 5, 3, (299, 299, 3)), "grid35": Row("", 0, 1, (99, 99, 8))},
        lambda m: (strides(m), m.stem.conv1.conv.kernel_size, m.stem.conv1.conv.out_channels),
        ([3], (5, 5), 8),
    ),
    "widths": (
        WIDTHS | {"grid8b": WIDTHS["grid8b"]._replace(n1x1=100)},
        lambda m: m.body.grid8b.branch1x1.conv.out_channels,
        100,
    ),
    "k": (7, lambda m: m.body.grid35b.branch3x3[1].conv.kernel_size, (7, 7)),
    "padding": (
        2,
        lambda m: (
            {
                m.body.reduce35to17.branch3x3.conv.padding,
                m.body.reduce17to8.branch7x7[3].conv.padding,
            }
        ),
        {(2, 2)},
    ),
    "dropout": (
        0.25,
        lambda m: [d.p for d in m.head.modules() if isinstance(d, nn.Dropout)],
        [0.25],
    ),
    "aux": (
        "grid35b",
        lambda m: (m.reads, m.aux["aux"].conv.conv.in_channels),
        ({"aux": "grid35b"}, 288),
    ),
    "hidden_norm": (False, lambda m: hasattr(m.aux["aux"].hidden, "norm"), False),
    "min_sizes": ({299: (200, 250)}, lambda m: (m.min_sizes, m.min_size), ((200, 250), 250)),
    "advice": ("buy another camera", lambda m: m.advice, "buy another camera"),
}


@pytest.mark.parametrize("variant", LAYOUTS)
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_layout_is_honoured(variant, field):
    assert list(FIELDS) == list(LAYOUTS[variant]._fields)
    value, seen, expected = FIELDS[field]
    changed = LAYOUTS[variant]._replace(**{field: value})
    assert seen(on_meta(InceptionV3, variant)) != expected == seen(on_meta(InceptionV3, changed))


def test_a_layout_of_ones_own_may_stand_in_the_table_or_be_given_and_goes_through_a_checkpoint(
    monkeypatch, tmp_path
):
    mine = LAYOUTS["small"]._replace(k=5, hidden_norm=False)
    monkeypatch.setitem(LAYOUTS, "mine", mine)
    how = dict(num_classes=3, in_channels=1, width=1 / 32)
    given, named = InceptionV3(mine, **how), InceptionV3("mine", **how)
    assert str(given) == str(named) != str(InceptionV3("small", **how))
    saved = dict(format=1, model=checkpoints.describe(given), weights=given.state_dict())
    torch.save(saved, tmp_path / "mine.pt")
    loaded = checkpoints.load(tmp_path / "mine.pt")
    assert loaded["model"] == saved["model"]
    again = checkpoints.build(loaded)
    x = torch.randn(1, 1, 28, 28)
    assert torch.equal(given.eval()(x).logits, again.eval()(x).logits)


def test_wrong_arguments_are_refused_in_one_sentence():
    words = ('variant must be one of "paper", "torchvision", "small"', "'v4'")
    refused(ValueError, lambda: InceptionV3("v4"), *words)
    refused(ValueError, lambda: InceptionV3(num_classes=0), "num_classes must be a whole number")
    refused(TypeError, lambda: InceptionV2(in_channels=1.5), "in_channels must be a whole number")
    refused(ValueError, lambda: InceptionV3(width=0), "width must be above 0")
    grey = torch.empty(1, 1, 299, 299, device="meta")
    refused(ValueError, lambda: on_meta(InceptionV3)(grey), "(n, 3, h, w)", "(1, 1, 299, 299)")


def test_torchvision_deviates_from_the_paper_in_what_the_table_lists_and_in_nothing_else():
    networks = {v: on_meta(InceptionV3, v) for v in FULL}
    heading, *rows = deviations(networks)
    found = {fact: values for fact, *values in rows}
    assert heading == ("", *FULL)
    assert found["convolutions of the stem"] == [
        "3x3/2, 3x3/1, 3x3/1, 3x3/1, 3x3/2, 3x3/1",
        "3x3/2, 3x3/1, 3x3/1, 1x1/1, 3x3/1",
    ]
    assert "5x5" not in found["kernels in branch3x3"][0]
    assert "5x5" in found["kernels in branch3x3"][1]
    assert found["max pool stem.pool2"] == ["none", "3x3/2"]
    assert found["dropout of the head"] == ["none", "0.5"]
    assert found["parameters"] == ["27,353,936", "27,161,264"]
    assert len(found) == 8, found
