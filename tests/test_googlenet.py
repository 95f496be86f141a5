from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inception_edu.cost import receptive_field
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception, Outputs, Row, blocks, scale

# [G] Table 1, typed from FACTS: output, depth, six channel counts, params, ops.
INCEPTION_ROWS = {
    "3a": ((28, 28, 256), 2, 64, 96, 128, 16, 32, 32, "159K", "128M"),
    "3b": ((28, 28, 480), 2, 128, 128, 192, 32, 96, 64, "380K", "304M"),
    "4a": ((14, 14, 512), 2, 192, 96, 208, 16, 48, 64, "364K", "73M"),
    "4b": ((14, 14, 512), 2, 160, 112, 224, 24, 64, 64, "437K", "88M"),
    "4c": ((14, 14, 512), 2, 128, 128, 256, 24, 64, 64, "463K", "100M"),
    "4d": ((14, 14, 528), 2, 112, 144, 288, 32, 64, 64, "580K", "119M"),
    "4e": ((14, 14, 832), 2, 256, 160, 320, 32, 128, 128, "840K", "170M"),
    "5a": ((7, 7, 832), 2, 256, 160, 320, 32, 128, 128, "1072K", "54M"),
    "5b": ((7, 7, 1024), 2, 384, 192, 384, 48, 128, 128, "1388K", "71M"),
}
# type, patch, stride, output, depth, params, ops of the others
OTHER_ROWS = {
    "conv1": ("convolution", 7, 2, (112, 112, 64), 1, "2.7K", "34M"),
    "pool1": ("max pool", 3, 2, (56, 56, 64), 0, "", ""),
    "conv2": ("convolution", 3, 1, (56, 56, 192), 2, "112K", "360M"),
    "pool2": ("max pool", 3, 2, (28, 28, 192), 0, "", ""),
    "pool3": ("max pool", 3, 2, (14, 14, 480), 0, "", ""),
    "pool4": ("max pool", 3, 2, (7, 7, 832), 0, "", ""),
    "avgpool": ("avg pool", 7, 1, (1, 1, 1024), 0, "", ""),
    "dropout": ("dropout (40%)", 0, 1, (1, 1, 1024), 0, "", ""),
    "linear": ("linear", 0, 1, (1, 1, 1000), 1, "1000K", "1M"),
    "softmax": ("softmax", 0, 1, (1, 1, 1000), 0, "", ""),
}
# FACTS, "exact arithmetic": c_in, weights, parameters with biases, MACs
EXACT = {
    "3a": (192, 163_328, 163_696, 128_049_152),
    "3b": (256, 388_096, 388_736, 304_267_264),
    "4a": (480, 375_552, 376_176, 73_608_192),
    "4b": (512, 448_512, 449_160, 87_908_352),
    "4c": (512, 509_440, 510_104, 99_850_240),
    "4d": (512, 604_672, 605_376, 118_515_712),
    "4e": (528, 867_328, 868_352, 169_996_288),
    "5a": (832, 1_042_432, 1_043_456, 51_079_168),
    "5b": (832, 1_442_816, 1_444_080, 70_697_984),
}
ORDER = ["3a", "3b", "pool3", "4a", "4b", "4c", "4d", "4e", "pool4", "5a", "5b"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny networks run faster on one thread, on a busy machine several times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def numel(module):
    return sum(p.numel() for p in module.parameters())


def counted_macs(module, *shape):
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        module.to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return flops.get_total_flops() // 2


def refused(error, call, *words):
    """`call` raises `error` in one sentence that holds all the words."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return GoogLeNet("small").eval()


@pytest.mark.parametrize("name", INCEPTION_ROWS)
def test_table_1_has_the_papers_inception_rows(name):
    row = TABLE_1[name]
    assert (row.type, row.patch, row.stride) == ("inception", 0, 1)
    assert row[3:] == INCEPTION_ROWS[name]


@pytest.mark.parametrize("name", OTHER_ROWS)
def test_table_1_has_the_papers_other_rows(name):
    row = TABLE_1[name]
    assert (*row[:5], row.params, row.ops) == OTHER_ROWS[name]
    assert row[5:11] == ((0, 64, 192, 0, 0, 0) if name == "conv2" else (0,) * 6)


def test_table_1_has_19_rows_in_the_papers_order():
    stem, end = ["conv1", "pool1", "conv2", "pool2"], ["avgpool", "dropout", "linear", "softmax"]
    assert list(TABLE_1) == [*stem, *ORDER, *end]
    assert sum(row.depth for row in TABLE_1.values()) == 22  # "22 layers deep"


@pytest.mark.parametrize("name", INCEPTION_ROWS)
def test_branches_of_every_block_add_up_to_table_1s_output_channels(name):
    row, (c_in, *_) = TABLE_1[name], EXACT[name]
    assert row.c_out == row.output[2]
    block = Inception(c_in, row).eval()
    assert block(torch.zeros(1, c_in, 5, 4)).shape == (1, row.output[2], 5, 4)
    channels = [branch(torch.zeros(1, c_in, 2, 2)).shape[1] for branch in block.values()]
    assert list(block) == ["branch1x1", "branch3x3", "branch5x5", "branch_pool"]
    assert channels == [row.n1x1, row.n3x3, row.n5x5, row.pool_proj]


@pytest.mark.parametrize("name", EXACT)
def test_weights_parameters_and_macs_of_the_nine_blocks_are_exact(name):
    c_in, weights, params, macs = EXACT[name]
    plain, normed = (Inception(c_in, TABLE_1[name], norm=norm) for norm in (False, True))
    convolutions = [m for m in plain.modules() if isinstance(m, nn.Conv2d)]
    assert sum(c.weight.numel() for c in convolutions) == weights
    assert numel(plain) == params
    assert numel(normed) == weights + 2 * (params - weights)  # a scale and a shift for each bias
    assert counted_macs(plain, c_in, *TABLE_1[name].output[:2]) == macs


@pytest.mark.parametrize("name", [name for name in EXACT if name != "5a"])
def test_macs_agree_with_the_papers_ops_column_but_for_5a(name):
    assert abs(EXACT[name][3] / 1e6 - int(TABLE_1[name].ops.removesuffix("M"))) < 1


def test_3a_has_163_328_weights_163_696_parameters_and_128_049_152_macs():
    assert EXACT["3a"] == (192, 163_328, 163_696, 128_049_152)
    assert numel(Inception(192, TABLE_1["3a"], norm=False)) == 163_696


def test_five_by_five_branch_really_is_5x5():
    block = Inception(192, TABLE_1["3a"])
    kernels = {
        name: [m.kernel_size for m in branch.modules() if isinstance(m, nn.Conv2d)]
        for name, branch in block.items()
    }
    assert kernels == {
        "branch1x1": [(1, 1)],
        "branch3x3": [(1, 1), (3, 3)],
        "branch5x5": [(1, 1), (5, 5)],
        "branch_pool": [(1, 1)],
    }
    sees = {name: receptive_field(branch).size for name, branch in block.items()}
    assert list(sees.values()) == [(1, 1), (3, 3), (5, 5), (3, 3)]


def test_every_convolution_of_a_block_is_followed_by_a_relu():
    block, x = Inception(8, TABLE_1["3a"].scaled(1 / 8)), torch.randn(4, 8, 6, 6)
    seen = []
    for module in block.modules():
        if isinstance(module, (nn.Conv2d, nn.ReLU)):
            module.register_forward_hook(lambda m, _, out: seen.append((type(m), out.min())))
    block(x)
    kinds = [kind for kind, _ in seen]
    assert kinds == [nn.Conv2d, nn.ReLU] * 6
    assert all(low < 0 for _, low in seen[::2]) and all(low == 0 for _, low in seen[1::2])


def test_scaled_row_multiplies_six_channel_counts_and_nothing_else():
    row = TABLE_1["3a"]
    half = row.scaled(0.5)
    assert half[5:11] == (32, 48, 64, 8, 16, 16)
    assert half[:5] + half[11:] == row[:5] + row[11:]
    assert row.scaled(1) == row and half.c_out == 128
    assert row.scaled(1e-6)[5:11] == (1,) * 6
    assert [scale(192, 1 / 8), scale(100, 0.126), scale(3, 0.01)] == [24, 13, 1]


def test_scaling_a_row_leaves_table_1_as_it_is():
    TABLE_1["5b"].scaled(0.1)
    assert TABLE_1["5b"].n1x1 == 384
    with pytest.raises(AttributeError):
        TABLE_1["5b"].n1x1 = 1
    assert Row("max pool").c_out == 0


def test_small_network_has_nine_blocks_in_the_papers_order(small):
    assert [name for name, _ in small.body.named_children()] == ORDER
    assert [name for name, _ in small.named_children()] == ["stem", "body", "head"]
    pools = [small.body.get_submodule(name) for name in ("pool3", "pool4")]
    assert all(isinstance(p, nn.MaxPool2d) and p.kernel_size == 3 for p in pools)


def test_blocks_run_in_the_order_of_their_names_and_each_sees_the_one_before(small):
    ran = []
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: ran.append((name, i[0], o)))
        for name, module in small.body.named_children()
    ]
    small(torch.randn(1, 1, 28, 28))
    [hook.remove() for hook in hooks]
    assert [name for name, *_ in ran] == ORDER
    assert all(a[2] is b[1] for a, b in zip(ran, ran[1:], strict=False))
    widths = [TABLE_1[name].output[2] // 8 for name in ORDER]
    assert [out.shape[1] for *_, out in ran] == widths
    assert [out.shape[2] for *_, out in ran] == [14, 14, 7, 7, 7, 7, 7, 7, 4, 4, 4]


def test_small_network_at_an_eighth_of_the_width_has_96_178_parameters(small):
    assert numel(small) == 96_178 == numel(GoogLeNet(width=1 / 8, num_classes=10, in_channels=1))
    assert numel(GoogLeNet(width=1 / 4)) != 96_178


def test_blocks_at_full_width_have_the_papers_weights():
    weights = sum(m.weight.numel() for m in blocks(192, 1).modules() if isinstance(m, nn.Conv2d))
    assert weights == sum(row[1] for row in EXACT.values())


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (28, 40), (16, 16)])
@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 10), (3, 7), (2, 1)])
def test_logits_have_a_row_an_image_and_a_column_a_class(size, in_channels, num_classes):
    model = GoogLeNet(in_channels=in_channels, num_classes=num_classes, width=1 / 16).eval()
    out = model(torch.randn(2, in_channels, *size))
    assert out.logits.shape == (2, num_classes) and out.aux == {}


def test_last_grid_is_2x2_at_16_pixels_and_would_be_1x1_at_8(small, monkeypatch):
    sides = []
    hook = small.body.register_forward_hook(lambda m, i, o: sides.append(o.shape[2]))
    small(torch.zeros(1, 1, 16, 16))
    monkeypatch.setattr(GoogLeNet, "min_size", 1)
    small(torch.zeros(1, 1, 8, 8))
    hook.remove()
    assert sides == [2, 1]


def test_logits_depend_on_the_image_and_not_on_its_neighbours_in_evaluation():
    model, x = GoogLeNet(width=1 / 16), torch.randn(3, 1, 28, 28)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch sets the running statistics
    with torch.no_grad():
        model(torch.randn(64, 1, 28, 28))
        model.eval()
        all_three, alone = model(x).logits, model(x[1:2]).logits
    assert (all_three[0] - all_three[1]).abs().max() > 1e-3
    torch.testing.assert_close(alone[0], all_three[1], rtol=1e-4, atol=1e-5)


def test_outputs_are_of_one_type_in_training_and_evaluation():
    model = GoogLeNet(width=1 / 16)
    for mode in (True, False):
        out = model.train(mode)(torch.randn(2, 1, 28, 28))
        assert type(out) is Outputs and out.aux == {}


def test_outputs_need_keywords_and_do_not_share_their_aux():
    logits = torch.zeros(1, 10)
    with pytest.raises(TypeError):
        Outputs(logits)
    one, two = Outputs(logits=logits), Outputs(logits=logits)
    assert one.aux == {} and one.aux is not two.aux
    with pytest.raises(FrozenInstanceError):
        one.logits = logits


@pytest.mark.parametrize("size", [(15, 15), (8, 28), (28, 15), (1, 1)])
def test_image_below_16_pixels_is_refused_with_the_minimum(small, size):
    words = ("at least 16 x 16 pixels", f"got {size[0]} x {size[1]}", "enlarge")
    refused(ValueError, lambda: small(torch.zeros(1, 1, *size)), *words)


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (1, 28, 28), (28, 28), (2, 2, 28, 28)])
def test_wrong_number_of_input_channels_is_refused(small, shape):
    words = ("x must have shape (n, 1, h, w)", f"got {shape}", "in_channels=")
    refused(ValueError, lambda: small(torch.zeros(shape)), *words)


@pytest.mark.parametrize("variant", ["paper", "Small", "", None, 3])
def test_unknown_variant_is_refused(variant):
    refused(ValueError, lambda: GoogLeNet(variant), 'variant must be "small"', repr(variant))


@pytest.mark.parametrize("width", [0, -0.5, 4.1, float("nan"), float("inf")])
def test_width_out_of_range_is_refused(width):
    refused(
        ValueError,
        lambda: GoogLeNet(width=width),
        "width must be above 0 and at most 4",
        str(width),
    )


@pytest.mark.parametrize("name", ["num_classes", "in_channels"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_classes_and_channels_must_be_counts(name, value, error):
    words = f"{name} must be a whole number of at least 1, got {value!r}"
    refused(error, lambda: GoogLeNet(**{name: value}), words)


def test_options_are_keywords_only():
    with pytest.raises(TypeError):
        GoogLeNet("small", 10)
    with pytest.raises(TypeError):
        Inception(192, TABLE_1["3a"], False)


def test_block_of_a_row_without_channels_is_refused():
    refused(ValueError, lambda: Inception(192, TABLE_1["pool3"]), "c_out must be", "got 0")
    refused(ValueError, lambda: Inception(0, TABLE_1["3a"]), "c_in must be", "got 0")
