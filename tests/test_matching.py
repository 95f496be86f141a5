"""How weights are matched, and how a network is told which mistake it is."""

import time
from functools import partial

import pytest
import torch
from torch import nn

from inception_edu.exercises import matching, number
from inception_edu.exercises.judging import mistaken_for, other_network


def test_a_number_that_learns_is_taken_without_a_warning():
    assert number(torch.ones(1, requires_grad=True)) == 1


def norms(eps=1e-3):
    """Five layers of one shape, each with a norm: 14,400 ways to match convolutions and norms."""
    layers = [(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, eps=eps), nn.ReLU()) for _ in range(5)]
    return nn.Sequential(*(part for layer in layers for part in layer))


class NormsFirst(nn.Module):
    """The same, its norms declared before its convolutions, in the order from the last one."""

    def __init__(self, activation=torch.relu) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(5))
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, dtype=torch.float64) for _ in range(5))
        self.activation = activation

    def forward(self, x):
        for i in reversed(range(5)):
            x = self.activation(self.norms[i](self.convs[i](x)))
        return x


def test_norms_go_with_what_they_norm_in_the_order_of_use_with_any_epsilon_and_dtype():
    torch.manual_seed(0)
    assert other_network(NormsFirst(), norms, (2, 4, 13, 13)) is None
    start = time.monotonic()
    assert "something else" in other_network(NormsFirst(torch.tanh), norms, (2, 4, 13, 13))
    assert time.monotonic() - start < 2 * matching.SECONDS


def test_a_network_is_told_which_well_known_mistake_it_is():
    torch.manual_seed(0)
    mistakes = {"it has one layer": lambda: nn.Conv2d(3, 4, 1), "it ends in tanh": tanh}
    shape = (2, 3, 4, 4)
    assert mistaken_for(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh()), mistakes, shape) == (
        "it ends in tanh"
    )
    assert mistaken_for(nn.Conv2d(3, 4, 1), mistakes, shape) == "it has one layer"
    assert mistaken_for(nn.Conv2d(3, 5, 1), mistakes, shape) is None


def tanh():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh())


class Scaled(nn.Module):
    """Batch norm in use; while it trains, the running numbers all the same."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

    def forward(self, x):
        kept = torch.zeros(4), torch.ones(4)
        return nn.functional.batch_norm(x, *kept, self.scale, self.shift, eps=1e-5)


def layered(*after):
    """A convolution with a norm, and what stands behind them."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), *after)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (layered(nn.ReLU(inplace=True)), None),
        (layered(nn.ReLU(), nn.Dropout(0.3)), "changes with each call"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), Scaled(), nn.ReLU()), "but in training mode"),
    ],
    ids=["right", "dropout", "a norm of another kind"],
)
def test_what_differs_only_while_it_trains_is_seen_where_that_is_asked_for(answer, said):
    torch.manual_seed(0)
    right, shape = partial(layered, nn.ReLU()), (2, 3, 6, 7)
    assert other_network(answer, right, shape) is None
    why = other_network(answer, right, shape, training=True)
    assert why is None if said is None else said in why
    assert not answer.training


def test_an_activation_with_an_upper_limit_is_no_relu():
    def two(activation):
        return nn.Sequential(nn.Conv2d(3, 4, 3), activation)

    torch.manual_seed(0)
    shape, limited = (2, 3, 6, 7), nn.Hardtanh(0, 40)
    assert other_network(two(nn.ReLU()), lambda: two(nn.ReLU()), shape) is None
    why = other_network(two(limited), lambda: two(nn.ReLU()), shape)
    assert "a ReLU has no upper limit" in why


def test_a_number_of_channels_as_epsilon_is_named_and_a_large_usual_one_is_not():
    def normed(*eps):
        return lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, *eps))

    assert "an epsilon of 4" in other_network(normed(4)(), normed(), (2, 3, 4, 4))
    assert other_network(normed(1e-3)(), normed(), (2, 3, 4, 4)) is None


def test_lazy_layers_get_their_weights_by_a_first_pass():
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU())
    torch.manual_seed(0)
    assert other_network(lazy, partial(layered, nn.ReLU()), (2, 3, 6, 7)) is None
