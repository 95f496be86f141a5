"""Lesson 10, room 2: mistakes that run, and show in a curve."""

import math
from collections.abc import Callable, Iterable
from functools import cache

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inception_edu.data import load
from inception_edu.figures import COLOURS, Picture

Rows = list[tuple[float, float]]  # learning rate and loss of each step


def softmax_network(pixels: int, c: int, num_classes: int) -> nn.Sequential:
    """Images (n, 1, h, w) -> what nn.CrossEntropyLoss gets, as it was."""
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(pixels, c), nn.ReLU())
    return nn.Sequential(hidden, nn.Linear(c, num_classes), nn.Softmax(dim=0))


def least_loss(share: float, num_classes: int) -> float:
    """Cross-entropy of an image whose own class scores `share`, and every other class 0."""
    return math.log(math.exp(share) + num_classes - 1) - share


def descend(last: nn.Module, labels: Tensor) -> list[float]:
    """The loss by step, where each image's scores move freely before the layer `last`."""
    scores = torch.zeros(len(labels), 10, requires_grad=True)
    optimiser, losses = torch.optim.Adam([scores], lr=0.2), []
    for _ in range(100):
        loss = cross_entropy(last(scores), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return losses


def show_floor(losses: dict[str, list[float]], least: float) -> Picture:
    """Losses by step, and the floor that the first of them cannot leave."""
    told = "loss at the end: " + ", ".join(f"{name} {x[-1]:.2f}" for name, x in losses.items())
    return Picture(_draw_floor, (losses, least), lambda _: told, size=(8, 3.2))


def _draw_floor(fig: Figure, data: tuple[dict[str, list[float]], float]) -> None:
    losses, least = data
    ax = fig.add_subplot()
    ax.axhline(least, color=COLOURS["ink"], ls="--", lw=2, label=f"floor, {least:.2f}")
    for (name, values), colour in zip(losses.items(), ("before", "after"), strict=True):
        ax.plot(values, color=COLOURS[colour], lw=3, label=name)
    title = f"All answers right, and the loss is {least:.2f}"
    ax.set(xlabel="step", ylabel="loss", ylim=(0, 2.6), title=title)
    ax.legend(frameon=False, loc="center right")


def go_on(saved: dict, model: nn.Module, optimiser: object, schedule: object) -> None:
    """Put back what was saved, as it was."""
    model.load_state_dict(saved["model"])


@cache
def images(n: int) -> tuple[Tensor, Tensor]:
    """The first n validation images of Fashion-MNIST, normalised, and their labels."""
    return load("fashion_mnist").valid.batch(slice(n))


def momentum(parameters: Iterable[nn.Parameter], lr: float = 0.2) -> torch.optim.Optimizer:
    """SGD with momentum."""
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


def trainer(
    restore: Callable,
    *,
    seed: int = 0,
    c: int = 16,
    optimise: Callable[..., torch.optim.Optimizer] = momentum,
    factor: Callable[[int], float] = lambda step: 0.95**step,
) -> Callable:
    """`train(steps, saved=None) -> rows, saved`, which goes on from `saved` by `restore`."""
    batches = [part.split(32) for part in images(4096)]

    def train(steps: int, saved: dict | None = None) -> tuple[Rows, dict]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, c), nn.ReLU())
            model = nn.Sequential(hidden, nn.Linear(c, 10))
        optimiser = optimise(model.parameters())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        if saved:
            restore(saved, model, optimiser, schedule)
        rows, done = [], saved["steps"] if saved else 0
        for step in range(done, done + steps):
            x, labels = (part[step % len(part)] for part in batches)
            loss = cross_entropy(model(x), labels)
            rows.append((optimiser.param_groups[0]["lr"], loss.item()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        parts = dict(model=model, optimiser=optimiser, schedule=schedule)
        states = {name: part.state_dict() for name, part in parts.items()}
        return rows, dict(steps=done + steps, **states)

    return train


def show_restart(whole: Rows, restarted: Rows, at: int) -> Picture:
    """Learning rate and loss of a run and of one that was restarted after step `at`."""
    told = (
        f"learning rate of step {at + 1}: {whole[at][0]:.3f} uninterrupted, "
        f"{restarted[0][0]:.3f} restarted"
    )
    return Picture(_draw_restart, (whole, restarted, at), lambda _: told, size=(9, 3.4))


def _draw_restart(fig: Figure, data: tuple[Rows, Rows, int]) -> None:
    whole, restarted, at = data
    for i, (ax, what) in enumerate(zip(fig.subplots(1, 2), ("learning rate", "loss"), strict=True)):
        runs = {"uninterrupted": (0, whole, "muted", 6), "restarted": (at, restarted, "before", 3)}
        for name, (first, rows, colour, width) in runs.items():
            steps = range(first + 1, first + 1 + len(rows))
            ax.plot(steps, [row[i] for row in rows], color=COLOURS[colour], lw=width, label=name)
        ax.axvline(at + 0.5, color=COLOURS["ink"], ls=":", lw=2)
        ax.set(xlabel="step", ylabel=what, title=f"The {what} jumps", ylim=(0, None))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
