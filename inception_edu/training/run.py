"""A training run: what `fit` works with, and all that a checkpoint must hold to go on exactly."""

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone

import torch
from torch import Tensor, nn

from inception_edu import files
from inception_edu.data import Dataset
from inception_edu.losses import head_logits, logits_of
from inception_edu.network import Network
from inception_edu.training import checkpoints, devices
from inception_edu.training.evaluation import check_labels, evaluate
from inception_edu.training.history import History
from inception_edu.training.recipe import Recipe, make_average, make_optimiser, snapshot

LOOK_EVERY = 20  # steps between two waits for the device


class Run:
    """The parts of a run that change with every step, and its epochs: validated, then saved.

    `out` is a folder for last.pt and best.pt; `resume` a checkpoint to go on from. In a process
    group each process takes its share of every batch, and the first validates, saves and tells.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        recipe: Recipe,
        *,
        device: str = "auto",
        out: str | os.PathLike | None = None,
        resume: str | os.PathLike | None = None,
        watch: Callable[[History, bool], None],
    ) -> None:
        self.model, self.dataset, self.recipe, self.watch = model, dataset, recipe, watch
        self.device, n = devices.pick_device(device), len(dataset.train)
        self.rank, world = devices.rank_and_world()
        if n == 0:
            raise ValueError("the training part has 0 images; load the data set with more of them")
        size = recipe.size_for(n)
        if size % world:
            raise ValueError(f"batch_size must be divisible by {world} processes, got {size}")
        self.steps, self.every = recipe.steps_for(n)
        self.epoch_steps, self.pending, self.right = n // size, [], {}
        check_fits(model, dataset, self.device)
        saved = checkpoints.load_for(self, resume) if resume is not None else None
        self.out = checkpoints.prepare(out, resume) if out is not None and self.rank == 0 else None
        self.history = History.of(saved["history"]) if saved else self._begin(size)
        self.memory_format = devices.MEMORY_FORMATS[self.history.memory_format]
        model.to(self.device, memory_format=self.memory_format).train()
        self.optimiser, self.average = make_optimiser(model, recipe), make_average(model, recipe)
        how = dict(seed=recipe.seed, shift=recipe.shift, flip=recipe.flip)
        train = dataset.train.to(self.device)
        self.batches = train.shuffled(size, rank=self.rank, world=world, **how)
        half = self.history.precision == "bfloat16"
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=half)
        torch.manual_seed(recipe.seed + self.rank)  # what dropout draws from
        if saved:
            checkpoints.restore(self, saved)
        else:
            self._save("best.pt", "last.pt")
        self.network = nn.parallel.DistributedDataParallel(model) if world > 1 else model
        self.good = snapshot(self.evaluated)
        self.start = time.perf_counter() - self.history.elapsed_seconds

    def _begin(self, size: int) -> History:
        precision = self.recipe.precision
        if precision == "auto":
            precision = devices.pick_precision(self.device)
        return History(
            recipe=self.recipe,
            steps=self.steps,
            batch_size=size,
            device=str(self.device),
            precision=precision,
            memory_format=devices.pick_memory_format(self.device),
            epoch_steps=self.epoch_steps,
            started_time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.history.step + len(self.pending)

    @property
    def evaluated(self) -> nn.Module:
        """What is evaluated: the running average of the model, where the recipe asks for one."""
        return self.average.module if self.average else self.model

    def begin_step(self) -> tuple[Tensor, Tensor]:
        """Set the learning rate; the images (n, c, h, w) and labels (n,) of the step."""
        self.lr = self.recipe.lr_at(self.step + 1, self.steps, self.epoch_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr
        x, labels = self.batches.draw()
        return x.contiguous(memory_format=self.memory_format), labels

    def note(self, outputs: object, labels: Tensor, losses: dict[str, Tensor]) -> None:
        """Keep a step's losses on the device and look at them now and then; FloatingPointError
        if one was not finite."""
        if not self.right:
            self.right = dict.fromkeys(losses, 0.0)
        right = [(x.argmax(1) == labels).float().mean() for x in head_logits(outputs).values()]
        self.pending.append(torch.stack([*losses.values(), *right]).detach())
        if self.step % LOOK_EVERY == 0 or self._ends_epoch():
            self._look()
            self.good = snapshot(self.evaluated)  # the weights that gave the last of these losses
            self._tell(False)

    def end_step(self) -> None:
        """Take the weights into their average; at the end of an epoch, validate and save."""
        if self.average:
            self.average.update_parameters(self.model)
        if self._ends_epoch():
            if not all(p.isfinite().all() for p in self.model.parameters()):
                raise FloatingPointError(f"a weight was no longer finite after step {self.step}")
            self._end_epoch()
            best = self.history.best is self.history.rows[-1]
            self._save(*(["best.pt"] if best else []), "last.pt")

    def cut_short(self, reason: BaseException) -> None:
        """End the run early: keep what is known to be good, and say why."""
        try:
            if isinstance(reason, FloatingPointError):
                raise reason
            self._look()
            self.history.stopped = f"interrupted after step {self.step}"
        except FloatingPointError as error:
            self.pending.clear()
            self.evaluated.load_state_dict(self.good)
            self.history.stopped = f"{error}; try an lr below {self.recipe.lr}"

    def finish(self) -> History:
        """The history, with a last row where the run ended within an epoch."""
        if self.step > (self.history.rows[-1]["step"] if self.history.rows else 0):
            self._end_epoch()
        if self.average:
            self.model.load_state_dict(self.evaluated.state_dict())
        self._tell(True)
        return self.history

    def _ends_epoch(self) -> bool:
        return self.step % self.every == 0 or self.step == self.steps

    def _tell(self, done: bool) -> None:
        if self.rank == 0:
            self.watch(self.history, done)

    def _look(self) -> None:
        """Wait for the device, and take in what it has computed since the last look."""
        waiting, k = self.pending, len(self.right)
        table = devices.mean_over_processes(torch.stack(waiting)).tolist() if waiting else []
        waiting.clear()
        seconds = self._seconds()
        for row in table:
            self.history.record(list(self.right), row[:k])
            for name, share in zip(self.right, row[k:], strict=True):
                self.right[name] += share
        self.history.elapsed_seconds = seconds
        self.history.images_per_second = self.step * self.history.batch_size / max(seconds, 1e-9)

    def _end_epoch(self) -> None:
        """Add a row to the history; the time that validation takes is not training's."""
        start, rows, found = time.perf_counter(), self.history.rows, {}
        steps = self.step - (rows[-1]["step"] if rows else 0)
        found["train_seconds"] = self._seconds() - sum(row["train_seconds"] for row in rows)
        if self.rank == 0 and len(self.dataset.valid):
            valid = evaluate(self.evaluated, self.dataset.valid, device=str(self.device))
            found |= dict(valid_loss=valid.loss, valid_accuracy=valid.accuracy)
        found["valid_seconds"] = time.perf_counter() - start
        self.start += found["valid_seconds"]
        shares = {name: right / steps for name, right in self.right.items()}
        self.history.add_row(self.step / self.epoch_steps, self.lr, shares, **found)
        self.right = dict.fromkeys(self.right, 0.0)

    def _seconds(self) -> float:
        return time.perf_counter() - self.start

    def _save(self, *names: str) -> None:
        content = checkpoints.dumps(self) if self.out else b""
        for name in names if self.out else ():
            files.write(self.out / name, content)


@torch.no_grad()
def check_fits(model: nn.Module, dataset: Dataset, device: torch.device) -> None:
    """Try one image, so that a network of another size or number of classes fails at once."""
    x, _ = dataset.train.batch(slice(0, 1), device)
    if isinstance(model, Network):
        model.train().check_input(x)  # aux heads need larger images
    check_labels(dataset.train.labels, logits_of(model.to(device).eval()(x)))
