"""What happened in a training run, as plain data."""

import csv
import io
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from inception_edu.files import write
from inception_edu.training.recipe import BATCH_SIZE, Recipe

INTERRUPTED = "interrupted after step"  # so begins what stopped a run that can simply go on


@dataclass(kw_only=True, repr=False)
class History:
    """The loss and accuracy of every step by head, and a row for every epoch.

    Two runs of one recipe on one machine differ in `command`, in `images_per_second` and in what
    ends in `_seconds`, and in nothing else. `elapsed_seconds` counts training, not validation.
    """

    recipe: Recipe
    steps: int
    batch_size: int
    device: str
    precision: str
    memory_format: str
    epoch_steps: int | None = None  # of one pass over the training split
    shares: int = 1  # that every batch was computed in
    one_share: str = ""  # why there was one, where the recipe asks for more
    losses: dict[str, list[float]] = field(default_factory=dict)  # "main", "aux1", "aux2"
    accuracies: dict[str, list[float]] = field(default_factory=dict)  # of the step's images
    rows: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)  # of the best epoch, looked at once
    stopped: str = ""  # why the run ended early, if it did
    elapsed_seconds: float = 0.0
    images_per_second: float = 0.0
    command: str = ""

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.losses.get("main", ()))

    @property
    def best(self) -> dict[str, float]:
        """The row with the highest validation accuracy, of equals that with the lowest validation
        loss; the last row where nothing was validated; {} before the first."""
        validated = [row for row in self.rows if "valid_accuracy" in row]
        if not validated:
            return self.rows[-1] if self.rows else {}
        return max(validated, key=lambda row: (row["valid_accuracy"], -row.get("valid_loss", 0.0)))

    def __str__(self) -> str:
        words = [f"step {self.step} of {self.steps}"]
        words += [f"loss {self.losses['main'][-1]:.3f}"] if self.step else []
        if self.rows and "valid_accuracy" in self.rows[-1]:
            words += [f"validation {self.rows[-1]['valid_accuracy']:.1%}"]
        words += [f"{self.elapsed_seconds:.0f} s", f"{self.images_per_second:,.0f} images/s"]
        if self.recipe.batch_size is None and self.batch_size < BATCH_SIZE:
            words += [f"batches of {self.batch_size}, since images are few"]
        if self.one_share.startswith("the network"):  # device and batches speak for themselves
            words += [f"in one share: {self.one_share}"]
        return ", ".join(words) + (f"; stopped: {self.stopped}" if self.stopped else "")

    __repr__ = __str__

    def save(self, path: str | os.PathLike) -> None:
        """Write everything as JSON or, where `path` ends in .csv, the rows as a table."""
        text = io.StringIO()
        if Path(path).suffix == ".csv":
            names = dict.fromkeys(name for row in self.rows for name in row)
            writer = csv.DictWriter(text, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        else:
            json.dump(asdict(self), text, indent=1)
            text.write("\n")
        write(Path(path), text.getvalue().encode())

    @classmethod
    def of(cls, saved: dict) -> "History":
        """The history that `asdict`, or JSON, made a dictionary of; what older versions noted and
        this one does not is left out."""
        own = {one.name: saved[one.name] for one in fields(cls) if one.name in saved}
        return cls(**own | dict(recipe=Recipe(**saved["recipe"])))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Read what `save` wrote as JSON."""
        return cls.of(json.loads(Path(path).read_text(encoding="utf-8")))


class Recorder:
    """Writes a history while a run goes on: losses wait on the device until they are looked at,
    for a GPU that is asked after every step has to wait for the answer."""

    def __init__(self, history: History) -> None:
        self.history, self.heads, self.pending = history, [], []
        self.start = time.perf_counter() - history.elapsed_seconds

    @property
    def step(self) -> int:
        """Steps whose losses are known, here or on the device."""
        return self.history.step + len(self.pending)

    def note(self, losses: dict[str, Tensor], right: dict[str, Tensor]) -> None:
        """Keep a step's losses and accuracies by head where they are."""
        self.heads = list(losses)
        self.pending.append(torch.stack([*losses.values(), *right.values()]).detach())

    def look(self) -> None:
        """Take all that waits into the history; FloatingPointError if a loss was not finite."""
        history, n = self.history, len(self.heads)
        table = torch.stack(self.pending).tolist() if self.pending else []
        self.pending.clear()
        for measures in table:
            if bad := [loss for loss in measures[:n] if not math.isfinite(loss)]:
                raise FloatingPointError(f"the loss became {bad[0]} at step {history.step + 1}")
            for head, loss, accuracy in zip(self.heads, measures[:n], measures[n:], strict=True):
                history.losses.setdefault(head, []).append(loss)
                history.accuracies.setdefault(head, []).append(accuracy)
        history.elapsed_seconds = seconds = time.perf_counter() - self.start
        history.images_per_second = history.step * history.batch_size / max(seconds, 1e-9)

    def end_epoch(self, lr: float, validate: Callable[[], dict[str, float]]) -> None:
        """Add a row: the means over its steps by head, and what `validate` returns; the time that
        this takes is not training's."""
        start, history = time.perf_counter(), self.history
        first = history.rows[-1]["step"] if history.rows else 0
        row = dict(epoch=history.step / history.epoch_steps, step=history.step, lr=lr)
        for head in history.losses:
            row[f"{head}_loss"] = statistics.fmean(history.losses[head][first:])
            row[f"{head}_accuracy"] = statistics.fmean(history.accuracies[head][first:])
        before = sum(row["train_seconds"] for row in history.rows)
        row |= dict(train_seconds=start - self.start - before) | validate()
        row["valid_seconds"] = time.perf_counter() - start
        self.start += row["valid_seconds"]
        history.rows.append(row)
