"""Lesson 05: small trainings that are cut in the middle of an epoch."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from inception_edu.data import Batches, Split


class Parts(NamedTuple):
    """What a step of training reads and changes."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    batches: Batches


class Task(NamedTuple):
    """A training that is cut after step `cut`, in the middle of an epoch, and has `steps` steps."""

    begin: Callable[[int], Parts]  # seed -> as a new process has them
    cut: int
    steps: int


NETWORKS = (  # what stands between 16 pixels and 6 values, with and without batch norm
    lambda: [nn.Linear(16, 6)],
    lambda: [nn.Linear(16, 6), nn.BatchNorm1d(6)],
    lambda: [nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 6, 4), nn.BatchNorm2d(6), nn.Flatten()],
)


def tasks() -> list[Task]:
    """Other networks, optimisers, sizes of batches (epochs of 5, 4 and 6) and places of the cut."""
    sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    adamw = partial(torch.optim.AdamW, lr=0.02)
    rows = zip(NETWORKS, (sgd, adamw, sgd), (8, 10, 6), (7, 6, 9), (12, 13, 15), strict=True)
    return [Task(partial(_begin, *how), cut, steps) for *how, cut, steps in rows]


def _begin(layers: Callable, optimiser: Callable, size: int, seed: int) -> Parts:
    """The parts with first weights and random numbers of a seed."""
    torch.manual_seed(seed)
    head = nn.ReLU(), nn.Dropout(0.4), nn.Linear(6, 4)
    model = nn.Sequential(nn.Flatten(), *layers(), *head)
    order = dict(seed=seed, shift=1, flip=False, rank=0, world=1)
    return Parts(model, optimiser(model.parameters()), Batches(_images(), size, **order))


def _images() -> Split:
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(256, (40, 1, 4, 4), generator=draw, dtype=torch.uint8)
    return Split(images, torch.randint(4, (40,), generator=draw), (0.5,), (0.3,))


def learn(parts: Parts, n: int) -> list[float]:
    """Train for n steps; the loss of each."""
    losses = []
    parts.model.train()
    for _ in range(n):
        x, labels = parts.batches.draw()
        loss = cross_entropy(parts.model(x), labels)
        parts.optimiser.zero_grad()
        loss.backward()
        parts.optimiser.step()
        losses.append(loss.item())
    return losses


def uncut(task: Task) -> list[float]:
    """The losses of the training without a cut."""
    return learn(task.begin(0), task.steps)
