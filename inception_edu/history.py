"""What a training run was told to do, and what happened in it: both plain data."""

import json
import math
import os
import pathlib
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from inception_edu.layers import check_count


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a network is trained; ValueError names a value out of range."""

    steps: int = 450
    batch_size: int = 128
    lr: float = 0.2
    warm_up: float = 0.25  # part of the steps in which the rate rises; then it falls to 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    shift: int = 2  # pixels by which an image is moved at most; 0 leaves it in place
    flip: bool = True  # mirror half of the images; turn off for digits and text
    precision: str = "auto"  # "float32", "bfloat16", or "auto": what the hardware has units for
    validate_every: int | None = None  # steps; the end is always validated
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(steps=self.steps, batch_size=self.batch_size)
        if self.validate_every is not None:
            check_count(validate_every=self.validate_every)
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm_up must be at least 0 and below 1, got {self.warm_up}")
        choices = ("auto", "float32", "bfloat16")
        if self.precision not in choices:
            raise ValueError(f"precision must be one of {choices}, got {self.precision!r}")

    def lr_at(self, step: int) -> float:
        """The learning rate of `step`, 1 to `steps`: linearly up to `lr`, then down to 0."""
        done = (step - 0.5) / self.steps
        if done < self.warm_up:
            return self.lr * done / self.warm_up
        return self.lr * (1 - done) / (1 - self.warm_up)


@dataclass(kw_only=True, repr=False)
class History:
    """What happened in a run: the loss of every step, and a row per validation."""

    recipe: Recipe
    device: str
    precision: str
    losses: list[float] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""  # why the run ended early, if it did
    elapsed_seconds: float = 0.0
    images_per_second: float = 0.0

    def record(self, pending: list[Tensor], size: int, seconds: float) -> bool:
        """Take in the losses of the last batches of `size`; False if one was not finite."""
        for loss in torch.stack(pending).tolist() if pending else ():
            if not math.isfinite(loss):
                step, lr = len(self.losses) + 1, self.recipe.lr
                self.stopped = f"the loss became {loss} at step {step}; try an lr below {lr}"
                break
            self.losses.append(loss)
        pending.clear()
        self.elapsed_seconds = seconds
        self.images_per_second = len(self.losses) * size / seconds
        return not self.stopped

    def __str__(self) -> str:
        words = [f"step {len(self.losses)} of {self.recipe.steps}"]
        words += [f"loss {self.losses[-1]:.3f}"] if self.losses else []
        words += [f"validation {self.rows[-1]['valid_accuracy']:.1%}"] if self.rows else []
        words += [f"{self.elapsed_seconds:.0f} s", f"{self.images_per_second:,.0f} images/s"]
        return ", ".join(words) + (f"; stopped: {self.stopped}" if self.stopped else "")

    __repr__ = __str__

    def save(self, path: str | os.PathLike) -> None:
        """Write everything as JSON or, where `path` ends in .csv, the rows as a table."""
        path, text = pathlib.Path(path), json.dumps(asdict(self), indent=1)
        if path.suffix == ".csv":
            names = ("step", "valid_loss", "valid_accuracy")
            lines = [names, *(row.values() for row in self.rows)]
            text = "\n".join(",".join(map(str, line)) for line in lines)
        path.write_text(text + "\n")
