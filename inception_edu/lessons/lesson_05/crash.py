"""Lesson 05: a run that is cut off, and what it needs to go on as if nothing had happened."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from inception_edu.data import Dataset, load
from inception_edu.figures import COLOURS, Picture
from inception_edu.training import History, Recipe, checkpoints, fit, silent

PARTS = ("weights", "optimiser", "batches", "random", "history")  # of a checkpoint, to go on


class Restart(NamedTuple):
    """The uninterrupted run, the two that went on after step `at`, and that step."""

    whole: History
    everything: History
    weights_only: History
    at: int

    @property
    def again(self) -> list[float]:
        """The learning rates of the run with weights only, which counts from 1 again."""
        run = self.weights_only
        return [run.recipe.lr_at(step, run.steps) for step in range(1, run.step + 1)]


def show_restart(*runs: History, at: int) -> Picture:
    """Learning rate and loss of an uninterrupted run, of one resumed whole, and weights only."""
    return Picture(_draw_restart, Restart(*runs, at), _words_restart, size=(11, 4.2))


def _words_restart(told: Restart) -> str:
    next_rate = told.whole.recipe.lr_at(told.at + 1, told.whole.steps)
    return (
        f"learning rate of step {told.at + 1}: {next_rate:.5f} in the uninterrupted run and with "
        f"everything restored, {told.again[0]:.5f} with weights only"
    )


def _draw_restart(fig: Figure, told: Restart) -> None:
    rate, loss = fig.subplots(1, 2)
    whole, at, n = told.whole, told.at, told.whole.steps
    rates = [whole.recipe.lr_at(step, n) for step in range(1, n + 1)]
    after = range(at + 1, at + 1 + len(told.again))
    styles = {
        "uninterrupted": dict(color=COLOURS["muted"], lw=7),
        "resumed with everything": dict(color=COLOURS["after"], lw=2.5),
        "resumed with weights only": dict(color=COLOURS["before"], lw=2.5),
    }
    curves = {
        rate: (rates, rates[at:], told.again),
        loss: (
            whole.losses["main"],
            told.everything.losses["main"][at:],
            told.weights_only.losses["main"],
        ),
    }
    for ax, values in curves.items():
        places = range(1, n + 1), range(at + 1, n + 1), after
        for x, y, (name, style) in zip(places, values, styles.items(), strict=True):
            ax.plot(x, y, label=name, **style)
        ax.axvline(at + 0.5, color=COLOURS["ink"], ls=":", lw=2)
        ax.set(xlabel="step")
    rate.set(ylabel="learning rate", title="The rate starts again")
    loss.set(ylabel="training loss", title="The loss leaps", ylim=(0, 3))
    fig.legend(
        *rate.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )


class Trial(NamedTuple):
    """A small run whose checkpoints can be taken apart: its first one and one within the run."""

    dataset: Dataset
    recipe: Recipe
    whole: History
    first: dict
    last: dict


def small_network() -> nn.Module:
    """A network with dropout that trains in a blink."""
    torch.manual_seed(0)
    layers = nn.Linear(784, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10)
    return nn.Sequential(nn.Flatten(), *layers)


def cut_at(step: int) -> Callable[[History, bool], None]:
    """What `fit` should call, to be interrupted when it has done `step` steps or a few more."""

    def watch(history: History, done: bool) -> None:
        if history.step >= step and not done:
            raise KeyboardInterrupt

    return watch


@cache
def trial() -> Trial:
    """The small run, whole, and its checkpoints from before step 1 and after epoch 2."""
    dataset = load("fashion_mnist", limit=300)
    recipe = Recipe(epochs=4, batch_size=32, lr=0.05, precision="float32")
    whole = fit(small_network(), dataset, recipe, device="cpu", watch=silent)
    found = {}
    for name, step in {"first": 1, "last": 20}.items():
        with tempfile.TemporaryDirectory() as out:
            fit(small_network(), dataset, recipe, out=out, device="cpu", watch=cut_at(step))
            found[name] = checkpoints.load(Path(out, "last.pt"))
    return Trial(dataset, recipe, whole, **found)


def resumed_from(parts: set[str]) -> tuple[list[float], list[float]]:
    """Losses of the steps after the interruption: of the whole run, and of one that restores
    these parts of its checkpoint and has everything else as before step 1."""
    t = trial()
    checkpoint = t.first | {name: t.last[name] for name in parts}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.pt")
        torch.save(checkpoint, path)
        how = dict(device="cpu", watch=silent)
        resumed = fit(small_network(), t.dataset, t.recipe, resume=path, **how)
    at = t.last["history"]["rows"][-1]["step"]
    done = at if "history" in parts else 0
    return t.whole.losses["main"][at:], resumed.losses["main"][done:]
