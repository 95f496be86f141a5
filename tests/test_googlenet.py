import inspect
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from conftest import refused
from inception_edu.cost import layer_table, receptive_field
from inception_edu.googlenet import (
    GOOGLENET,
    TABLE_1,
    AuxHead,
    GoogLeNet,
    Inception,
    Outputs,
    Row,
    blocks,
    scale,
)
from inception_edu.layers import AuxPool

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
FASHION = dict(num_classes=10, in_channels=1, aux=False)  # grey garments of ten kinds
MIN_SIZES = {"paper": (31, 63), "torchvision": (15, 63), "small": (9, 13)}


pytestmark = pytest.mark.usefixtures("one_thread")


def numel(module):
    return sum(p.numel() for p in module.parameters())


def counted_macs(module, *shape):
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        module.to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return flops.get_total_flops() // 2


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return GoogLeNet("small", **FASHION, width=1 / 8).eval()


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return GoogLeNet()


def narrow(variant="small", **how):
    """A network of a sixteenth of the width, for 3 classes of grey images, without aux heads."""
    return GoogLeNet(variant, **FASHION | dict(num_classes=3, width=1 / 16) | how)


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
    assert [name for name, _ in small.named_children()] == ["stem", "body", "head", "aux"]
    assert not small.aux
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
    assert numel(small) == 96_178
    assert numel(GoogLeNet("small", **FASHION, width=1 / 4)) != 96_178


def test_blocks_at_full_width_have_the_papers_weights():
    weights = sum(m.weight.numel() for m in blocks(192, 1).modules() if isinstance(m, nn.Conv2d))
    assert weights == sum(row[1] for row in EXACT.values())


def test_logits_depend_on_the_image_and_not_on_its_neighbours_in_evaluation():
    model, x = narrow(), torch.randn(3, 1, 28, 28)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch sets the running statistics
    with torch.no_grad():
        model(torch.randn(64, 1, 28, 28))
        model.eval()
        all_three, alone = model(x).logits, model(x[1:2]).logits
    assert (all_three[0] - all_three[1]).abs().max() > 1e-3
    torch.testing.assert_close(alone[0], all_three[1], rtol=1e-4, atol=1e-5)


def test_outputs_cannot_be_changed_and_do_not_share_their_aux():
    logits = torch.zeros(1, 10)
    one, two = Outputs(logits=logits), Outputs(logits)
    one.aux["aux1"] = logits
    assert one.aux == {} == two.aux == Outputs(logits, ()).aux
    with pytest.raises(AttributeError):
        one.logits = logits
    both = Outputs(logits=logits, aux={"aux1": logits + 1})
    assert both[0] is logits and both[1] == both.aux and list(both.aux) == ["aux1"]


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (1, 28, 28), (28, 28), (2, 2, 28, 28)])
def test_wrong_number_of_input_channels_is_refused(small, shape):
    words = ("x must have shape (n, 1, h, w)", f"got {shape}", "in_channels=")
    refused(ValueError, lambda: small(torch.zeros(shape)), *words)


@pytest.mark.parametrize("variant", ["Paper", "v3", "", None, 3, ["small"]])
def test_unknown_variant_is_refused(variant):
    words = ('one of "paper", "torchvision", "small"', repr(variant))
    refused(ValueError, lambda: GoogLeNet(variant), *words)


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


# --- the paper's network


COUNTS = {  # variant, classes, aux heads -> parameters (FACTS sections 1 and 5)
    ("paper", 1000, False): 6_998_552,
    ("paper", 1000, True): 13_378_280,
    ("paper", 10, False): 5_983_802,
    ("paper", 10, True): 10_334_030,
    ("torchvision", 1000, False): 6_624_904,
    ("torchvision", 1000, True): 13_004_888,
    ("torchvision", 10, False): 5_610_154,
    ("torchvision", 10, True): 9_960_638,
}


@pytest.mark.parametrize(("variant", "classes", "aux"), COUNTS)
def test_googlenet_has_6_998_552_parameters_and_13_378_280_with_aux_heads(variant, classes, aux):
    with torch.device("meta"):
        model = GoogLeNet(variant, num_classes=classes, aux=aux)
    assert numel(model) == COUNTS[variant, classes, aux]


def test_the_papers_network_with_aux_heads_for_1000_classes_is_the_default(paper):
    assert numel(paper) == 13_378_280 and list(paper.aux) == ["aux1", "aux2"]
    assert paper.arguments == dict(
        variant="paper", num_classes=1000, in_channels=3, aux=True, width=1.0
    )


def test_aux_heads_have_3_188_840_and_3_190_888_parameters(paper):
    assert [numel(head) for head in paper.aux.values()] == [3_188_840, 3_190_888]


MACS = {  # variant, side, training -> MACs an image (FACTS sections 1 and 5)
    ("paper", 224, False): 1_582_671_872,
    ("paper", 224, True): 1_591_044_096,
    ("torchvision", 224, False): 1_498_376_192,
    ("torchvision", 224, True): 1_506_748_416,
    ("torchvision", 32, False): 31.58e6,
    ("torchvision", 64, False): 123.26e6,
    ("torchvision", 96, False): 276.05e6,
    ("torchvision", 128, False): 489.96e6,
    ("torchvision", 299, False): 2579.5e6,
}


@pytest.mark.parametrize(("variant", "side", "training"), MACS)
def test_googlenet_costs_1_582_671_872_macs_at_224_pixels(variant, side, training):
    with torch.device("meta"):
        model = GoogLeNet(variant).train(training)
    expected = MACS[variant, side, training]
    table = layer_table(model, (3, side, side), training=training)
    with FlopCounterMode(display=False) as flops:
        model(torch.empty(2, 3, side, side, device="meta"))
    assert table.macs == flops.get_total_flops() // 4  # two images, two operations a MAC
    assert table.macs == expected or abs(table.macs - expected) < 51e3 * (side != 224)
    assert table.params == COUNTS[variant, 1000, training]


@pytest.mark.parametrize("name", [name for name in TABLE_1 if name != "softmax"])
def test_every_row_of_table_1_puts_out_what_the_paper_prints(paper, name):
    where = {"avgpool": "head.pool", "dropout": "head.dropout", "linear": "head.linear"}
    part = "stem" if name in ("conv1", "pool1", "conv2", "pool2") else "body"
    found = []
    module = paper.get_submodule(where.get(name, f"{part}.{name}"))
    hook = module.register_forward_hook(lambda m, i, out: found.append(tuple(out.shape[1:])))
    paper.eval()(torch.empty(1, 3, 224, 224, device="meta"))
    hook.remove()
    h, w, c = TABLE_1[name].output
    assert found[0] in ((c, h, w), (c,))


@pytest.mark.parametrize("name", EXACT | {"conv1": 0, "conv2": 0, "linear": 0})
def test_every_row_of_table_1_costs_what_facts_say(paper, name):
    rows = {row.name.partition(".")[2]: row for row in layer_table(paper, depth=2).rows}
    found = [rows[part] for part in {"conv2": ("conv2_reduce", "conv2")}.get(name, (name,))]
    others = {
        "conv1": (9_472, 118_013_952),
        "conv2": (114_944, 359_661_568),
        "linear": (1_025_000, 1_024_000),
    }
    expected = others.get(name) or EXACT[name][2:]
    assert (sum(row.params for row in found), sum(row.macs for row in found)) == expected


def test_22_layers_with_weights_lie_on_the_longest_path_and_64_in_all(paper):
    def depth(part):
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            return 1
        inside = [depth(child) for child in part.children()]
        return max(inside) if isinstance(part, nn.ModuleDict) else sum(inside)

    assert sum(depth(part) for part in (paper.stem, paper.body, paper.head)) == 22
    kinds = (nn.Conv2d, nn.Linear)
    assert sum(isinstance(m, kinds) for m in paper.modules()) == 64  # 57 + 1, and 3 in each head


def test_local_response_norm_stands_after_pool1_and_after_conv2_as_in_figure_3(paper):
    names = ["conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2"]
    assert [name for name, _ in paper.stem.named_children()] == names
    norms = {n: m for n, m in paper.named_modules() if isinstance(m, nn.LocalResponseNorm)}
    assert list(norms) == ["stem.norm1", "stem.norm2"]
    for norm in norms.values():  # the sizes of [CAFFE]
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 1.0)


def test_every_convolution_of_the_paper_has_a_bias_and_no_batch_norm(paper):
    convolutions = [m for m in paper.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 59 and all(c.bias is not None for c in convolutions)
    assert not [m for m in paper.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize(("variant", "k"), [("paper", 5), ("torchvision", 3), ("small", 5)])
def test_five_by_five_branch_is_5x5_but_in_torchvision(variant, k):
    model = narrow(variant)
    for name in EXACT:
        branch = model.body.get_submodule(name)["branch5x5"]
        assert [c.kernel_size for c in branch.modules() if isinstance(c, nn.Conv2d)][1] == (k, k)


@pytest.mark.parametrize(
    ("variant", "head", "aux", "pool4"),
    [("paper", [0.4], 0.7, 3), ("torchvision", [0.2], 0.7, 2), ("small", [], 0.7, 3)],
)
def test_dropout_is_0_4_in_the_papers_head_and_0_7_in_aux_heads(variant, head, aux, pool4):
    model = narrow(variant, aux=True)
    assert [m.p for m in model.head.modules() if isinstance(m, nn.Dropout)] == head
    assert [m.p for m in model.aux.modules() if isinstance(m, nn.Dropout)] == [aux, aux]
    assert model.body.pool4.kernel_size == pool4 and model.body.pool3.kernel_size == 3


def test_weights_start_as_in_caffe_biases_at_0_2_and_those_of_classifiers_at_0():
    torch.manual_seed(0)
    model = GoogLeNet(num_classes=10, width=1 / 4)
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            start = 0.0 if name in ("head.linear", "aux.aux1.linear", "aux.aux2.linear") else 0.2
            assert (layer.bias == torch.tensor(start)).all(), name
            bound = (3 / layer.weight[0].numel()) ** 0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound, name


def test_the_papers_network_learns_at_its_start_and_not_at_pytorchs():
    def gradient(start):
        torch.manual_seed(0)
        model = GoogLeNet(num_classes=4, aux=False, width=1 / 8)
        for layer in model.modules() if start == "pytorch" else ():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.reset_parameters()
        images = torch.randn(8, 3, 64, 64)
        labels = torch.arange(8) % 4
        nn.functional.cross_entropy(model(images).logits, labels).backward()
        return model.stem.conv1.conv.weight.grad.norm()

    assert gradient("caffe") > 1000 * gradient("pytorch")


# --- aux heads


def test_aux_heads_run_in_training_only_and_the_type_is_the_same():
    model, x = narrow(aux=True), torch.randn(2, 1, 28, 28)
    training = model.train()(x)
    evaluated = model.eval()(x)
    assert type(training) is type(evaluated) is Outputs
    assert {name: logits.shape for name, logits in training.aux.items()} == {
        "aux1": (2, 3),
        "aux2": (2, 3),
    }
    assert evaluated.aux == {} == narrow().train()(x).aux


@pytest.mark.parametrize("name", ["aux1", "aux3", "main"])
def test_a_head_that_is_not_there_is_a_key_error_with_a_sentence(name):
    outputs = narrow().train()(torch.randn(2, 1, 28, 28))
    refused(KeyError, lambda: outputs.aux[name], repr(name), "outputs (none)", "aux=True")
    with_heads = narrow(aux=True).train()(torch.randn(2, 1, 28, 28))
    refused(KeyError, lambda: with_heads.aux["aux3"], "aux3", "outputs (aux1, aux2)")
    assert "aux3" not in with_heads.aux and with_heads.aux.get("aux3") is None


@pytest.mark.parametrize("variant", MIN_SIZES)
def test_aux1_does_not_depend_on_block_4b_and_aux2_does(variant):
    torch.manual_seed(0)
    model = narrow(variant, aux=True, width=1 / 8).train()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    x = torch.randn(4, 1, 64, 64)
    before = model(x)
    with torch.no_grad():
        for parameter in model.body.get_submodule("4b").parameters():
            parameter += 0.5
    after = model(x)
    assert torch.equal(before.aux["aux1"], after.aux["aux1"])
    for a, b in ((before.aux["aux2"], after.aux["aux2"]), (before.logits, after.logits)):
        assert (a - b).abs().max() > 1e-3 * a.abs().max()


def test_aux_heads_read_4a_and_4d():
    assert GoogLeNet.reads == {"aux1": "4a", "aux2": "4d"}
    model, read = narrow(aux=True).train(), {}
    for head, block in GoogLeNet.reads.items():
        block = model.body.get_submodule(block)
        block.register_forward_hook(lambda m, i, out, head=head: read.update({f"{head} out": out}))
        model.aux[head].register_forward_hook(
            lambda m, i, out, head=head: read.update({f"{head} in": i[0]})
        )
    model(torch.randn(2, 1, 28, 28))
    assert all(read[f"{head} out"] is read[f"{head} in"] for head in GoogLeNet.reads)


@pytest.mark.parametrize(
    ("size", "plain"),
    [((14, 14), True), ((16, 14), True), ((13, 14), False), ((17, 14), False), ((7, 7), False)],
)
def test_aux_heads_pool_5x5_stride_3_where_that_gives_4x4_and_adaptively_elsewhere(size, plain):
    x = torch.randn(2, 3, *size)
    adaptive, fixed = nn.AdaptiveAvgPool2d(4)(x), nn.AvgPool2d(5, 3)(x)
    expected = fixed if plain else adaptive
    assert expected.shape[2:] == (4, 4)
    assert not plain or not torch.allclose(fixed, adaptive, atol=0.01)
    assert torch.equal(AuxPool()(x), expected)
    assert torch.equal(AuxPool(adaptive=True)(x), adaptive)


def test_the_papers_heads_pool_5x5_at_224_pixels_and_torchvisions_adaptively(monkeypatch):
    used = []
    for name in ("avg_pool2d", "adaptive_avg_pool2d"):
        real = getattr(nn.functional, name)
        spy = lambda *a, real=real, name=name: used.append(name) or real(*a)  # noqa: E731
        monkeypatch.setattr(f"inception_edu.layers.{name}", spy)
    for variant in ("paper", "torchvision"):
        with torch.device("meta"):
            model = GoogLeNet(variant, width=1 / 16).train()
        model(torch.empty(2, 3, 224, 224, device="meta"))
    assert used == ["avg_pool2d"] * 2 + ["adaptive_avg_pool2d"] * 2
    assert "5x5 stride 3" in repr(AuxPool()) and "adaptive to 4x4" in repr(AuxPool(adaptive=True))


def test_aux_head_has_the_papers_layers():
    head = AuxHead(512, 1000, norm=False)
    assert [name for name, _ in head.named_children()] == [
        "pool", "conv", "flatten", "hidden", "relu", "dropout", "linear"
    ]  # fmt: skip
    sizes = [tuple(m.weight.shape) for m in head.modules() if hasattr(m, "weight")]
    assert sizes == [(128, 512, 1, 1), (1024, 2048), (1000, 1024)]
    assert head(torch.randn(2, 512, 14, 14)).shape == (2, 1000)
    half = AuxHead(64, 7, width=0.5)
    assert (half.hidden.in_features, half.hidden.out_features) == (64 * 16, 512)


# --- sizes, channels, classes


@pytest.mark.parametrize("variant", MIN_SIZES)
@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 10), (3, 7), (2, 1)])
def test_logits_have_a_row_an_image_and_a_column_a_class(variant, in_channels, num_classes):
    how = dict(in_channels=in_channels, num_classes=num_classes, aux=True)
    model = narrow(variant, **how)
    for size in ((63, 63), (64, 80), (97, 66)):
        out = model.train()(torch.randn(2, in_channels, *size))
        assert out.logits.shape == out.aux["aux1"].shape == (2, num_classes)
        assert out.aux["aux2"].shape == (2, num_classes)


def grids(model, side):
    """Sides of the grids that the body's layers put out for an image of `side` pixels."""
    sides, hooks = {}, []
    for name, block in model.body.named_children():
        hook = lambda m, i, out, name=name: sides.update({name: out.shape[2]})  # noqa: E731
        hooks.append(block.register_forward_hook(hook))
    try:
        model(torch.zeros(2, 1, side, side))
    finally:
        [hook.remove() for hook in hooks]
    return sides


@pytest.mark.parametrize("variant", MIN_SIZES)
@pytest.mark.parametrize("heads", [False, True])
def test_smallest_image_is_exact_and_one_pixel_less_is_refused(variant, heads):
    model, least = narrow(variant, aux=True).train(heads), MIN_SIZES[variant][heads]
    assert model.min_size == least
    model(torch.zeros(2, 1, least, least + 5))
    words = [f"at least {least} x {least} pixels", f"got {least + 5} x {least - 1}", "enlarge"]
    words += ["aux=False"] * heads + ['use variant "small"'] * (variant != "small")
    refused(ValueError, lambda: model(torch.zeros(2, 1, least + 5, least - 1)), *words)


@pytest.mark.parametrize("variant", MIN_SIZES)
def test_smallest_images_follow_from_the_grids(variant):
    without, with_heads = MIN_SIZES[variant]
    model = narrow(variant, aux=True).eval()
    model.min_sizes = (1, 1)
    assert grids(model, with_heads)["4a"] == 4 and grids(model, with_heads - 1)["4a"] == 3
    if variant == "small":  # it would run, but 5a and 5b would see one pixel and padding
        assert grids(model, without)["5a"] == 2 and grids(model, without - 1)["5a"] == 1
    else:
        assert grids(model, without)["5b"] == 1
        with pytest.raises(RuntimeError, match="Output size is too small"):
            grids(model, without - 1)


def test_min_size_without_aux_heads_is_that_of_evaluation():
    model = narrow("paper").train()
    assert model.min_size == 31 and model(torch.zeros(2, 1, 31, 31)).logits.shape == (2, 3)


# --- a variant is one entry of one table


def pools(model):
    return [m for part in (model.stem, model.body) for m in part if isinstance(m, nn.MaxPool2d)]


def has(kind):
    return lambda m: any(isinstance(layer, kind) for layer in m.modules())


FIELDS = {  # field -> a value that differs from the variant's, and what that does to the network
    "full_stem": (lambda v: not v.full_stem, lambda m: hasattr(m.stem, "conv2_reduce")),
    "lrn": (lambda v: not v.lrn, has(nn.LocalResponseNorm)),
    "norm": (lambda v: not v.norm, has(nn.BatchNorm2d)),
    "k5": (lambda v: 7, lambda m: m.body.get_submodule("5b").branch5x5[1].conv.kernel_size[0]),
    "pool4": (lambda v: 4, lambda m: m.body.pool4.kernel_size),
    "edge": (
        lambda v: dict(padding=1, ceil_mode=True),
        lambda m: dict(
            padding=min(p.padding for p in pools(m)), ceil_mode=all(p.ceil_mode for p in pools(m))
        ),
    ),
    "dropout": (lambda v: 0.1, lambda m: sum(d.p for d in m.head if isinstance(d, nn.Dropout))),
    "adaptive": (lambda v: not v.adaptive, lambda m: m.aux.aux2.pool.adaptive),
    "size": (lambda v: 99, lambda m: m.size),
    "min_sizes": (lambda v: (70, 80), lambda m: m.min_sizes),
    "advice": (lambda v: "buy another camera", lambda m: m.advice),
}


@pytest.mark.parametrize("variant", GOOGLENET)
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_variant_is_honoured(variant, field):
    assert list(FIELDS) == list(GOOGLENET[variant]._fields)
    other, seen = FIELDS[field]
    value = other(GOOGLENET[variant])
    with torch.device("meta"):
        plain, changed = (
            GoogLeNet(v) for v in (variant, GOOGLENET[variant]._replace(**{field: value}))
        )
    assert seen(changed) == value != seen(plain)


def test_without_norm_no_batch_norm_is_left_and_every_convolution_has_a_bias():
    model = narrow(GOOGLENET["small"]._replace(norm=False), aux=True)
    kinds = [type(m) for m in model.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.Conv2d) == 58
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    assert model.stem.conv1.conv.bias[0].item() == pytest.approx(0.2)  # started as [CAFFE] does


def test_local_response_norm_follows_both_convolutions_of_a_small_stem():
    model = narrow(GOOGLENET["small"]._replace(lrn=True))
    names = ["conv1", "norm1", "conv2", "norm2", "pool"]
    assert [name for name, _ in model.stem.named_children()] == names
    assert model(torch.randn(2, 1, 28, 28)).logits.shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_local_response_norm_is_torchs(dtype):
    ours = GoogLeNet("paper", **FASHION, width=1 / 16).stem.norm1
    theirs = nn.LocalResponseNorm(ours.size, ours.alpha, ours.beta, ours.k)
    a = (30 * torch.randn(2, 7, 4, 5, dtype=dtype)).requires_grad_()
    b = a.detach().clone().requires_grad_()
    grad = torch.randn_like(a)
    ours(a).backward(grad), theirs(b).backward(grad)
    assert torch.equal(ours(a), theirs(b)) and torch.equal(a.grad, b.grad)
    assert not torch.allclose(ours(a), a, rtol=1e-3)


@pytest.mark.parametrize("scalar", [np.array, torch.tensor, np.float32])
def test_scalars_of_numpy_and_torch_are_taken_and_kept_as_plain_numbers(scalar):
    count = np.int64(3) if scalar is np.float32 else scalar(3)
    model = GoogLeNet("small", num_classes=count, width=scalar(1 / 16))
    assert {type(value) for value in model.arguments.values()} == {str, int, bool, float}
    assert model.eval()(torch.randn(1, 3, 28, 28)).logits.shape == (1, 3)


# --- building again, and weights that do not fit


@pytest.mark.parametrize("variant", MIN_SIZES)
def test_a_networks_arguments_build_it_again(variant):
    how = dict(num_classes=5, in_channels=2, aux=True, width=1 / 16)
    model = GoogLeNet(variant, **how)
    again = GoogLeNet(**model.arguments)
    assert model.arguments == dict(variant=variant) | how
    assert list(model.arguments) == list(inspect.signature(GoogLeNet).parameters)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 2, 32, 32)
    assert torch.equal(model.eval()(x).logits, again.eval()(x).logits)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(num_classes=5), "size mismatch for head.linear.weight"),
        (dict(variant="torchvision"), 'Missing key(s) in state_dict: "stem.conv1.conv.bias"'),
        (dict(aux=True), 'Unexpected key(s) in state_dict: "aux.aux1.conv.conv.weight"'),
        (dict(in_channels=3), "stem.conv1.conv.weight: copying a param with shape"),
    ],
)
def test_weights_of_another_network_are_refused_in_one_sentence(change, words):
    model = narrow("paper")
    other = GoogLeNet(**model.arguments | change).state_dict()
    refused(RuntimeError, lambda: model.load_state_dict(other), words, "GoogLeNet(variant='paper'")
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(other)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_weights_that_lack_a_key_may_be_loaded_where_strict_is_off():
    model = narrow()
    part = {name: v for name, v in model.state_dict().items() if name.startswith("head")}
    assert "stem.conv1.conv.weight" in model.load_state_dict(part, strict=False).missing_keys
    wide = GoogLeNet(**model.arguments | dict(num_classes=5)).state_dict()
    wide = {name: v for name, v in wide.items() if name.startswith("head")}
    words = "size mismatch for head.linear.weight"
    refused(RuntimeError, lambda: model.load_state_dict(wide, strict=False), words)


@pytest.mark.parametrize("value", [1.0, "weights", None, [1.0, 2.0]])
def test_a_value_that_is_no_tensor_is_named(value):
    model = narrow()
    state = model.state_dict() | {"stem.conv1.norm.bias": value}
    words = ("stem.conv1.norm.bias", f"{type(value)}", "GoogLeNet(variant='small'")
    refused(RuntimeError, lambda: model.load_state_dict(state), *words)


def test_building_and_costing_on_the_meta_device_takes_a_fraction_of_a_second(paper):
    layer_table(paper)  # the first use of the meta device loads what PyTorch keeps for it
    start = time.perf_counter()
    with torch.device("meta"):
        layer_table(GoogLeNet())
    assert time.perf_counter() - start < 2  # 0.1 s on one idle core
