"""Lesson 00, start here: the checks of its exercises."""

import copy

import torch
from torch import nn

from inception_edu.exercises import Exercise
from inception_edu.exercises.judging import calls, mistaken_for, other_network, same
from inception_edu.lessons.lesson_00.loops import Train, attempt, check_train, tasks
from inception_edu.training import train

SHAPES = (3, 1, 28, 28), (1, 1, 28, 28), (5, 1, 28, 28)


def linear(*after: nn.Module) -> nn.Sequential:
    """One linear layer from 784 pixels to ten classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), *after)


MISTAKES = {
    "it ends in a softmax, which cross_entropy has inside": lambda: linear(nn.Softmax(dim=1)),
    "it ends in a log_softmax, which cross_entropy has inside": lambda: linear(
        nn.LogSoftmax(dim=1)
    ),
    "it ends in a ReLU, which keeps every logit from being negative": lambda: linear(nn.ReLU()),
    "it ends in a sigmoid, which keeps every logit between 0 and 1": lambda: linear(nn.Sigmoid()),
}


def check_network(network: nn.Module) -> str | None:
    """Images (n, 1, 28, 28) -> logits (n, 10), by one linear layer; the network stays as it is."""
    if not isinstance(network, nn.Module):
        return f"a network is an nn.Module, such as nn.Sequential(...), got {str(network)[:60]!r}"
    network(torch.zeros(SHAPES[0]))  # a lazy layer finds its size
    network = copy.deepcopy(network)
    for shape in SHAPES:
        if why := other_network(network, linear, shape):
            known = mistaken_for(network, MISTAKES, shape)
            return known or why
    x = torch.randn(SHAPES[2])
    if not same(network.train()(x), network.eval()(x)):
        return "while it trains it puts out something else: it is to be one linear layer alone"
    return None


def check_own_train(answer: Train) -> str | None:
    """`train(model, batches, lr)` is a loop of one's own, and trains as an independent one does."""
    if calls(lambda: attempt(answer, tasks()[0]), train):
        return "it calls the package's train: write the loop yourself"
    return check_train(answer)


def first_network() -> nn.Sequential:
    """What the lesson goes on with, the same on every machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return linear()


exercise_1 = Exercise("1", check_network, ours=first_network())
exercise_2 = Exercise("2", check_own_train, lesson="00", keep="train", ours=train)
