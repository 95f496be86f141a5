"""Lesson 10: tiny networks and short trainings, by which the damage of a mistake is measured."""

from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.data import load
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.layers import chain, classifier, conv

SEEDS = range(5)
ROW = TABLE_1["3a"].scaled(1 / 8)  # 32 channels come out of a block of these widths
COLOURS = {"as it was": "before", "mended": "after"}  # one colour each through the lesson


@cache
def images(n: int = 2_000) -> tuple[Tensor, Tensor]:
    """The first n training images of Fashion-MNIST, normalised, and their labels."""
    return load("fashion_mnist").train.batch(slice(n))


@cache
def unseen(n: int = 1_000) -> tuple[Tensor, Tensor]:
    """The first n validation images of Fashion-MNIST, normalised, and their labels."""
    return load("fashion_mnist").valid.batch(slice(n))


def batches(seed: int, steps: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random batches of the training images."""
    x, labels = images()
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(x), (size,), generator=draw)
        yield x[chosen], labels[chosen]


def fit(
    network: nn.Module,
    seed: int,
    *,
    steps: int = 100,
    size: int = 50,
    lr: float = 0.1,
    after: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Train by SGD with momentum and a rate that falls to 0; returns the loss of each step.

    `after(step)` is called after every step, which are counted from 1.
    """
    optimiser, losses = torch.optim.SGD(network.parameters(), lr, momentum=0.9), []
    for step, (x, labels) in enumerate(batches(seed, steps, size), start=1):
        network.train()
        optimiser.param_groups[0]["lr"] = lr * (1 - (step - 1) / steps)
        loss = cross_entropy(network(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        after(step)
    return losses


@torch.no_grad()
def percent(network: nn.Module) -> float:
    """Accuracy on the unseen images, in evaluation mode; the network is left in it."""
    x, labels = unseen()
    answers = torch.cat([logits.argmax(1) for logits in map(network.eval(), x.split(500))])
    return 100 * (answers == labels).float().mean().item()


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """What is built, with the weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def dense(head: nn.Module, hidden: int = 32) -> nn.Sequential:
    """One hidden layer: (n, 1, 28, 28) -> what the head makes of (n, hidden)."""
    return chain(flatten=nn.Flatten(), first=nn.Linear(784, hidden), relu=nn.ReLU(), head=head)


def with_block(block: nn.Module | None = None, *, c: int = 8) -> nn.Sequential:
    """A stem of c channels, one block that puts out 32, a head: (n, 1, 28, 28) -> (n, 10)."""
    block = Inception(c, ROW) if block is None else block
    stem = chain(conv=conv(1, c, 3, stride=2), pool=nn.MaxPool2d(3, 2, padding=1))
    return chain(stem=stem, block=block, head=classifier(ROW.c_out, 10))
