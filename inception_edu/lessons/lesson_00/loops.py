"""Lesson 00: a training loop is judged by the weights that a loop of another make finds."""

import copy
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from inception_edu.exercises.answers import number
from inception_edu.exercises.judging import same

Batch = tuple[Tensor, Tensor]
Weights = dict[str, Tensor]
Train = Callable[..., Sequence[float]]


class Task(NamedTuple):
    """A small problem: images (n, 1, 4, 4) of four classes, and a network that is to learn them."""

    model: nn.Module  # in evaluation mode, as an earlier call may have left it
    batches: list[Batch]
    lr: float


class Tried(NamedTuple):
    """What an answer made of a task: its network, what it returned, and by how many passes and
    gradients."""

    model: nn.Module
    returned: object
    passes: int
    gradients: int

    @property
    def weights(self) -> Weights:
        return dict(self.model.named_parameters())


def tasks() -> list[Task]:
    """Networks with and without batch norm; batches in other numbers and sizes, other rates."""
    start = partial(nn.Sequential, nn.Flatten(), nn.Linear(16, 6))
    networks = (
        start(nn.ReLU(), nn.Linear(6, 4)),
        start(nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)),
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 4, bias=False)),
    )
    sizes, rates = ((8, 8, 8, 8), (6, 9, 5), (10, 4, 7, 3, 6)), (0.5, 0.2, 0.05)
    return [
        Task(copy.deepcopy(network).eval(), [_batch(n) for n in numbers], lr)
        for network, numbers, lr in zip(networks, sizes, rates, strict=True)
    ]


def _batch(n: int) -> Batch:
    return torch.randn(n, 1, 4, 4) + 0.5, torch.randint(4, (n,))


def attempt(answer: Train, task: Task, **changes: object) -> Tried:
    """Have an answer train a copy of the task's network; what it prints is not shown. The batches
    come as from a generator: they can be gone through once and have no length."""
    task = task._replace(**changes)
    model, passes, gradients = copy.deepcopy(task.model), [], []
    grads = torch.is_grad_enabled
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    last.register_forward_hook(lambda at, *_: passes.extend([1] * (at is last and grads())))
    last.weight.register_hook(lambda _: gradients.append(1))
    given = ((x.clone(), labels.clone()) for x, labels in task.batches)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        returned = answer(model, given, task.lr)
    return Tried(model, returned, len(passes), len(gradients))


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the batch of -log of the probability of each true class."""
    return (logits.logsumexp(1) - logits[torch.arange(len(labels)), labels]).mean()


def learn(
    task: Task,
    batches: Sequence[Batch],
    *,
    training: bool = True,
    momentum: float = 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] = mean_loss,
    sign: float = 1.0,
) -> tuple[Weights, list[float]]:
    """The weights and losses of a loop without optimiser, .grad or a change in place; or those of
    a loop with a mistake."""
    model = copy.deepcopy(task.model).train(training)
    weights, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    total, losses = {name: 0.0 for name in weights}, []
    for x, labels in batches:
        now = loss(functional_call(model, {**weights, **buffers}, (x,)), labels)
        found = torch.autograd.grad(now, list(weights.values()))
        total = {name: momentum * total[name] + g for name, g in zip(weights, found, strict=True)}
        weights = {
            name: (w - sign * task.lr * total[name]).detach().requires_grad_()
            for name, w in weights.items()
        }
        losses.append(now.item())
    return weights, losses


def alike(mine: Weights, theirs: Weights) -> bool:
    """Whether two networks have the same weights."""
    return all(same(mine[name], theirs[name]) for name in theirs)


def mistakes(task: Task) -> dict[str, Weights]:
    """What the common mistakes make of a task, by what is to be said of them."""
    every = task.batches
    n, first, last = len(every), every[:1], every[-1:]

    def summed(logits: Tensor, labels: Tensor) -> Tensor:
        return mean_loss(logits, labels) * len(labels)

    def twice(logits: Tensor, labels: Tensor) -> Tensor:
        return mean_loss(logits.softmax(1), labels)

    made = {
        "the gradients of earlier batches add up: forget them with zero_grad() before "
        "backward()": learn(task, every, momentum=1.0),
        "SGD has a momentum of 0.9, expected none": learn(task, every, momentum=0.9),
        "model.train() is missing: the network learned in evaluation mode": learn(
            task, every, training=False
        ),
        "it stops after the first batch: return stands inside the loop": learn(task, first),
        "every step takes the loss of the first batch": learn(task, first * n),
        "every step takes the loss of the last batch": learn(task, last * n),
        "only the last batch moves the weights: step() belongs inside the loop": learn(task, last),
        "the first batch is left out": learn(task, every[1:]),
        "it goes uphill: take lr times the gradient away": learn(task, every, sign=-1),
        "it takes the sum of the batch's losses, not their mean": learn(task, every, loss=summed),
        "there is a softmax before cross_entropy, which has one inside": learn(
            task, every, loss=twice
        ),
    }
    return {why: weights for why, (weights, _) in made.items()}


def check_train(train: Train) -> str | None:
    """`train(model, batches, lr)`: one step of SGD for each batch, the losses returned."""
    for task in tasks():
        tried, right = attempt(train, task), learn(task, task.batches)
        if not alike(tried.weights, right[0]):
            return _other_weights(train, task, tried)
        if any(layer.training for layer in tried.model.modules()):
            return "the weights are right, but model.eval() is missing at the end"
        if why := _other_losses(tried, task, right):
            return f"the weights are right, but {why}"
    return None


def _other_weights(train: Train, task: Task, tried: Tried) -> str:
    """Why the weights are not those of the independent loop."""
    n, rate = len(task.batches), f"with lr={task.lr:g}"
    if alike(tried.weights, dict(task.model.named_parameters())):
        said = "the weights are what they were before"
        if not tried.passes:
            return f"{said}: no batch has gone through model"
        if not tried.gradients:
            return f"{said}, and no gradients were computed: loss.backward() is missing"
        return f"{said}, though gradients were computed: step() must come right after backward()"
    said = f"after {n} batches {rate} the weights differ from those of an independent loop"
    for why, weights in mistakes(task).items():
        if alike(tried.weights, weights):
            return f"{said}; {why}"
    if alike(attempt(train, task, lr=3 * task.lr).weights, tried.weights):
        return f"{said}; lr is ignored: with lr={3 * task.lr:g} they come out the same"
    one = task.batches[:1]
    if alike(attempt(train, task, batches=one).weights, learn(task, one)[0]):
        return f"{said}; after the first batch they are right, so a later step takes something else"
    return (
        f"{said}, already after the first batch: each weight w is to become w - lr * g, where g is "
        "the gradient of the mean cross-entropy"
    )


def _other_losses(tried: Tried, task: Task, right: tuple[Weights, list[float]]) -> str | None:
    """How what an answer returned differs from the losses of the batches."""
    found, n = tried.returned, len(task.batches)
    if found is None:
        return f"it returns None, expected a list of {n} losses"
    if not hasattr(found, "__len__") or getattr(found, "ndim", 1) == 0:
        return f"it returns {str(found)[:40]}, expected a list of {n} losses, one of each batch"
    if any(getattr(loss, "requires_grad", False) for loss in found):
        return "the losses returned hold on to all that made them: append loss.item()"
    values = [number(loss) for loss in found]
    if len(values) != n or None in values:
        return f"it returns {len(values)} losses, expected {n}, one of each batch"
    if same(torch.tensor(values), torch.tensor(right[1]), 1e-3):
        return None
    if len({f"{value:.6g}" for value in values}) == 1:
        return f"all {n} losses returned are the same number: append the one of each step"
    return f"the losses returned are {values[0]:.4f}, ..., expected {right[1][0]:.4f}, ..."
