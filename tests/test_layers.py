import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, relu

from inception_edu.checks import check_count, check_whole
from inception_edu.layers import Concat, conv, kernel_size, pair, same_padding

KERNELS = [1, 3, 5, 7, (1, 7), (7, 1), (3, 5)]


def refused(error, call, *words):
    """`call` raises `error` in one sentence that holds all the words."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("size", [(9, 12), (28, 28)])
def test_same_padding_keeps_height_and_width_at_stride_1(k, size):
    x = torch.randn(2, 3, *size)
    assert conv(3, 4, k)(x).shape == (2, 4, *size)
    assert k == 1 or conv(3, 4, k, padding=0)(x).shape[2:] != size


@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("stride", [2, 3])
def test_same_padding_at_a_larger_stride_divides_the_grid_and_rounds_up(k, stride):
    for size in (13, 28):
        out = conv(3, 4, k, stride)(torch.randn(1, 3, size, size))
        assert out.shape[2:] == (-(-size // stride),) * 2


@pytest.mark.parametrize(("k", "padding"), [(3, (1, 1)), ((1, 7), (0, 3)), ((7, 1), (3, 0))])
def test_same_padding_is_half_the_kernel_rounded_down(k, padding):
    assert same_padding(k) == padding


def test_convolution_comes_before_norm_before_relu_and_equals_the_functions():
    layer, x = conv(3, 5, 3), torch.randn(4, 3, 6, 6)
    assert list(dict(layer.named_children())) == ["conv", "norm", "relu"]
    assert layer.conv.bias is None and layer.norm.eps == 1e-3
    raw = conv2d(x, layer.conv.weight, padding=1)
    expected = relu(batch_norm(raw, None, None, training=True, eps=1e-3))
    assert not torch.allclose(expected, relu(raw), atol=0.1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("norm", [True, False])
def test_bias_is_there_exactly_where_the_norm_is_not(norm):
    layer = conv(3, 5, (1, 7), norm=norm)
    assert (layer.conv.bias is None) == norm
    assert sum(p.numel() for p in layer.parameters()) == 3 * 5 * 7 + (2 * 5 if norm else 5)


def test_without_relu_values_below_0_come_out_and_with_it_none():
    x, plain = torch.randn(8, 3, 6, 6), conv(3, 5, 3, relu=False)
    assert list(dict(plain.named_children())) == ["conv", "norm"]
    assert plain(x).min() < -0.5
    assert conv(3, 5, 3)(x).min() == 0


@pytest.mark.parametrize(("padding", "side"), [(0, 6), (2, 10), ((0, 1), None), ("valid", 6)])
def test_padding_is_taken_as_given_where_it_is_not_same(padding, side):
    shape = conv(1, 1, 3, padding=padding)(torch.randn(1, 1, 8, 8)).shape[2:]
    assert shape == ((side, side) if side else (6, 8))


def test_even_kernel_is_allowed_where_the_padding_is_a_number():
    assert conv(1, 2, 2, 2, padding=0)(torch.randn(1, 1, 8, 8)).shape == (1, 2, 4, 4)


@pytest.mark.parametrize("k", [2, (3, 4), (2, 1)])
def test_even_kernel_with_same_padding_is_refused(k):
    for call in (lambda: conv(3, 4, k), lambda: same_padding(k)):
        refused(ValueError, call, f'k must be odd for padding="same", got {k}', "use an odd k")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-3, ValueError),
        (1.5, TypeError),
        (2.0, TypeError),
        (True, TypeError),
        ("8", TypeError),
        (None, TypeError),
    ],
)
@pytest.mark.parametrize("name", ["c_in", "c_out", "stride"])
def test_conv_refuses_a_count_that_is_no_positive_whole_number(name, value, error):
    arguments = {"c_in": 3, "c_out": 4, "k": 3, "stride": 1}
    conv(**arguments)
    words = f"{name} must be a whole number of at least 1, got {value!r}"
    refused(error, lambda: conv(**arguments | {name: value}), words)


@pytest.mark.parametrize(
    ("k", "error", "words"),
    [
        (0, ValueError, "k (height) must be a whole number of at least 1, got 0"),
        ((3, -1), ValueError, "k (width) must be a whole number of at least 1, got -1"),
        (3.0, TypeError, "k (height) must be a whole number of at least 1, got 3.0"),
        ("3", TypeError, "got '3'"),
        ((3, 3, 3), ValueError, "(height, width), got (3, 3, 3)"),
    ],
)
def test_kernel_that_is_no_size_is_refused(k, error, words):
    for call in (lambda: kernel_size(k), lambda: conv(1, 1, k, padding=0)):
        refused(error, call, words)


def test_pair_gives_height_and_width():
    assert [pair(3), pair((1, 7)), pair([1, 7])] == [(3, 3), (1, 7), (1, 7)]
    assert kernel_size(5) == (5, 5)


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_kind_are_counts(value):
    check_count(a=value, b=value)
    assert type(check_whole("a", value, 1, 7)) is int


@pytest.mark.parametrize("value", [torch.tensor(3.0), torch.tensor(True), np.True_, np.ones(1)])
def test_scalars_that_are_no_whole_numbers_are_refused(value):
    refused(TypeError, lambda: check_count(a=value), "a must be a whole number of at least 1")


def test_check_count_names_the_first_bad_value_and_check_whole_both_limits():
    refused(ValueError, lambda: check_count(good=1, bad=0, worse=-1), "bad must be", "got 0")
    for value in (0, 8):
        words = f"n must be a whole number from 1 to 7, got {value}"
        refused(ValueError, lambda v=value: check_whole("n", v, 1, 7), words)
    check_whole("n", 0, 0)


def test_concat_joins_its_branches_by_name_and_in_order():
    x = torch.randn(2, 3, 6, 6)
    one, two = conv(3, 4, 1), conv(3, 5, 3)
    block = Concat(a=one, b=two).eval()
    assert list(block) == ["a", "b"] and block["a"] is one
    out = block(x)
    assert out.shape == (2, 9, 6, 6)
    assert not torch.equal(out[:, :4], block(x + 1)[:, :4])
    assert torch.equal(out[:, :4], one(x)) and torch.equal(out[:, 4:], two(x))
    swapped = Concat(b=two, a=one)(x)
    assert torch.equal(swapped, torch.cat([two(x), one(x)], 1)) and not torch.equal(swapped, out)


def test_concats_nest_and_their_parameters_are_found_by_name():
    inner = Concat(left=conv(3, 2, (1, 3)), right=conv(3, 2, (3, 1)))
    block = Concat(fork=inner, pool=nn.MaxPool2d(3, 1, 1))
    assert block(torch.randn(1, 3, 5, 5)).shape == (1, 7, 5, 5)
    assert "fork.left.conv.weight" in block.state_dict()


def test_concat_of_different_grids_names_every_branch_and_its_shape():
    block = Concat(same=conv(3, 4, 3), cut=conv(3, 5, 3, padding=0), also=conv(3, 6, 1))
    shapes = ["same (2, 4, 8, 8)", "cut (2, 5, 6, 6)", "also (2, 6, 8, 8)"]
    refused(ValueError, lambda: block(torch.randn(2, 3, 8, 8)), *shapes, "padding and stride")
