"""Lesson 05: what its readers write, as the lesson goes on with it where they did not."""

import os
from typing import Protocol

import torch
from torch import nn


class Stateful(Protocol):
    """What hands out batches and can be asked where it stands, and be put there again."""

    def state_dict(self) -> dict: ...

    def load_state_dict(self, state: dict) -> None: ...


def schedule(step: int, steps: int, peak: float) -> float:
    """The learning rate of `step`, 1 to `steps`: it rises in proportion to what is done of the run
    until that is a quarter, and falls to 0 at the end. In step s, (s - 0.5) / steps is done."""
    done = (step - 0.5) / steps
    return peak * min(done / 0.25, (1 - done) / 0.75)


def save(
    path: str | os.PathLike,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Stateful,
    step: int,
) -> None:
    """Write to a file all that the steps after `step` depend on."""
    content = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "batches": batches.state_dict(),
        "random": torch.get_rng_state(),
        "step": step,
    }
    torch.save(content, path)


def resume(
    path: str | os.PathLike, model: nn.Module, optimiser: torch.optim.Optimizer, batches: Stateful
) -> int:
    """Put everything back as `save` found it; returns the number of steps done."""
    content = torch.load(path, weights_only=True)
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    batches.load_state_dict(content["batches"])
    torch.set_rng_state(content["random"])
    return content["step"]
