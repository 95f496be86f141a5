"""How weights are matched, and how a network is told which mistake it is."""

import time

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
