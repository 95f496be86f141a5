"""What happened in a training run, as plain data."""

import csv
import io
import json
import math
import os
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inception_edu.files import write
from inception_edu.training.recipe import BATCH_SIZE, Recipe


@dataclass(kw_only=True, repr=False)
class History:
    """The loss of every step by head, and a row for every epoch.

    Only what ends in `_seconds`, `images_per_second`, `started_time` and `command` differs between
    two runs of one recipe on one machine. Seconds are of training alone, without validation.
    """

    recipe: Recipe
    steps: int
    batch_size: int
    device: str
    precision: str
    memory_format: str
    epoch_steps: int | None = None  # of one pass over the training part
    losses: dict[str, list[float]] = field(default_factory=dict)  # "main", "aux1", "aux2"
    rows: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)  # of the best epoch, looked at once
    stopped: str = ""  # why the run ended early, if it did
    elapsed_seconds: float = 0.0
    images_per_second: float = 0.0
    started_time: str = ""
    command: str = ""

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.losses.get("main", ()))

    @property
    def best(self) -> dict[str, float]:
        """The row with the highest validation accuracy, the first of equals; the last row where
        nothing was validated; {} before the first."""
        validated = [row for row in self.rows if "valid_accuracy" in row]
        last = self.rows[-1] if self.rows else {}
        return max(validated, key=lambda row: row["valid_accuracy"], default=last)

    def record(self, names: list[str], losses: list[float]) -> None:
        """Take in a step's losses by head; FloatingPointError if one is not finite."""
        for loss in losses:
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss became {loss} at step {self.step + 1}")
        for name, loss in zip(names, losses, strict=True):
            self.losses.setdefault(name, []).append(loss)

    def add_row(self, epoch: float, lr: float, shares: dict[str, float], **found: float) -> None:
        """Add an epoch's row: mean loss of its steps, share that was right, by head; `found`."""
        start, row = self.rows[-1]["step"] if self.rows else 0, dict(epoch=epoch, step=self.step)
        row["lr"] = lr
        for name, share in shares.items():
            row[f"{name}_loss"] = statistics.fmean(self.losses[name][start:])
            row[f"{name}_accuracy"] = share
        self.rows.append(row | found)

    def __str__(self) -> str:
        words = [f"step {self.step} of {self.steps}"]
        words += [f"loss {self.losses['main'][-1]:.3f}"] if self.step else []
        if self.rows and "valid_accuracy" in self.rows[-1]:
            words += [f"validation {self.rows[-1]['valid_accuracy']:.1%}"]
        words += [f"{self.elapsed_seconds:.0f} s", f"{self.images_per_second:,.0f} images/s"]
        if self.recipe.batch_size is None and self.batch_size < BATCH_SIZE:
            words += [f"batches of {self.batch_size}, which is all there is"]
        return ", ".join(words) + (f"; stopped: {self.stopped}" if self.stopped else "")

    __repr__ = __str__

    def save(self, path: str | os.PathLike) -> None:
        """Write everything as JSON or, where `path` ends in .csv, the rows as a table."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        if Path(path).suffix == ".csv":
            names = list(dict.fromkeys(name for row in self.rows for name in row))
            table = io.StringIO()
            writer = csv.DictWriter(table, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            text = table.getvalue()
        write(Path(path), text.encode())

    @classmethod
    def of(cls, saved: dict) -> "History":
        """The history that `asdict`, or JSON, made a dictionary of."""
        return cls(**saved | dict(recipe=Recipe(**saved["recipe"])))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Read what `save` wrote as JSON."""
        return cls.of(json.loads(Path(path).read_text(encoding="utf-8")))
