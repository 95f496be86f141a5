"""A training run: what `fit` works with, and all that a checkpoint must hold to go on exactly."""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from inception_edu.checks import check_kind
from inception_edu.data import Batches, Dataset
from inception_edu.training import checkpoints, devices
from inception_edu.training.evaluation import check_fits, evaluate, renew_statistics, training_mode
from inception_edu.training.history import INTERRUPTED, History, Recorder
from inception_edu.training.recipe import Recipe, make_average, make_optimiser
from inception_edu.training.shares import Measures, Shares, number_of_shares

LOOK_EVERY = 20  # steps between two waits for the device
SETTLED = 50  # steps after which batch norm's running statistics keep up with the weights


class Run:
    """The parts of a run that change with every step, and its epochs: validated, then saved.

    `out` is a folder for last.pt and best.pt; `resume` a checkpoint to go on from. In a process
    group each process takes its images of every batch, and the first validates, saves and tells.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        recipe: Recipe,
        device: str,
        out: str | os.PathLike | None,
        resume: str | os.PathLike | None,
        watch: Callable[[History, bool], None],
    ) -> None:
        check_kind("model", model, isinstance(model, nn.Module), "a network (nn.Module)")
        a_set, a_recipe = 'a data set, as load("mnist") returns', "a Recipe, as Recipe(epochs=3)"
        check_kind("dataset", dataset, isinstance(dataset, Dataset), a_set)
        check_kind("recipe", recipe, isinstance(recipe, Recipe), a_recipe)
        self.model, self.dataset, self.recipe = model, dataset, recipe
        self.device, self.out = devices.pick_device(device), out if out is None else Path(out)
        self.rank, self.world = devices.rank_and_world()
        self.watch = watch if self.rank == 0 else lambda history, done: None
        size = recipe.size_for(len(dataset.train))
        if size % self.world:
            raise ValueError(f"batch_size must be divisible by {self.world} processes, got {size}")
        self.steps, self.every = recipe.steps_for(len(dataset.train))
        training_mode(model)
        check_fits(model, dataset, self.device, shift=recipe.shift)
        self.identity = checkpoints.identity(model, recipe, dataset)
        saved = checkpoints.load_for(self.identity, resume) if resume is not None else None
        if self.out is not None and self.rank == 0:
            checkpoints.prepare(self.out, resume)
        self.history = History.of(saved["history"]) if saved else self._begin(size)
        self._set_up()
        if saved:
            self.load_state_dict(saved)
        else:
            self._save("best.pt", "last.pt")
        self.good = copy.deepcopy(self.evaluated.state_dict())
        self.recorder = Recorder(self.history)

    def _begin(self, size: int) -> History:
        """The history before the first step, with all that is decided by a rule."""
        recipe, device, precision = self.recipe, self.device, self.recipe.precision
        x, _ = self.dataset.train.batch(slice(0, 2), device)
        shares, one_share = number_of_shares(self.model, recipe.shares, size, x)
        return History(
            recipe=recipe,
            steps=self.steps,
            batch_size=size,
            device=str(device),
            precision=devices.pick_precision(device) if precision == "auto" else precision,
            memory_format=devices.pick_memory_format(device),
            epoch_steps=len(self.dataset.train) // size,
            shares=max(1, shares // self.world) * self.world,
            one_share=one_share,
        )

    def _set_up(self) -> None:
        """Make all parts as the history says."""
        model, recipe, device, told = self.model, self.recipe, self.device, self.history
        layout = devices.MEMORY_FORMATS[told.memory_format]
        model.to(device, memory_format=layout)
        for value in model.state_dict().values() if self.world > 1 else ():
            distributed.broadcast(value, 0)  # the first process's weights are everyone's
        self.optimiser, self.average = make_optimiser(model, recipe), make_average(model, recipe)
        self.evaluated = self.average.module if self.average else model
        self.train = self.dataset.train.to(device)
        how = dict(seed=recipe.seed, shift=recipe.shift, flip=recipe.flip)
        self.batches = Batches(self.train, told.batch_size, rank=self.rank, world=self.world, **how)
        half = told.precision == "bfloat16"
        self.autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=half)
        self.interrupted, self.threads = devices.group_interrupts(device), torch.get_num_threads()
        shares = max(1, told.shares // self.world) if device.type == "cpu" else 1
        self.shares = Shares(model, shares, seed=recipe.seed, threads=self.threads, layout=layout)
        if shares > 1:
            torch.set_num_threads(1)  # this thread has little to do: nothing is to spin for it

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.recorder.step

    def begin_step(self) -> tuple[Tensor, Tensor]:
        """Set the learning rate; the images (n, c, h, w) and labels (n,) of the step. Raises
        KeyboardInterrupt if any process of a group was interrupted."""
        if (self.device.type == "cpu" or self.step % LOOK_EVERY == 0) and self.interrupted():
            raise KeyboardInterrupt
        self.lr = self.recipe.lr_at(self.step + 1, self.steps, self.history.epoch_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr
        return self.batches.draw()

    def note(self, losses: Measures, right: Measures) -> None:
        """Note a step's losses and accuracies; FloatingPointError, later, if one is not finite."""
        self.recorder.note(losses, right)
        if self.step % LOOK_EVERY == 0 or self._ends_epoch():
            self.recorder.look()
            self.good = copy.deepcopy(self.evaluated.state_dict())  # gave the last of these losses
            self.watch(self.history, False)

    def end_step(self) -> None:
        """Take the weights into their average; at the end of an epoch, validate and save."""
        if self.average:
            self.average.update_parameters(self.model)
        if self._ends_epoch():
            if not all(p.isfinite().all() for p in self.model.parameters()):
                raise FloatingPointError(f"a weight was no longer finite after step {self.step}")
            self.recorder.end_epoch(self.lr, self._validate)
            best = self.history.best is self.history.rows[-1]
            self._save(*(["best.pt"] if best else []), "last.pt")

    def cut_short(self, reason: BaseException) -> None:
        """End the run early: keep what is known to be good, and say why."""
        try:
            if isinstance(reason, FloatingPointError):
                raise reason
            self.recorder.look()
            self.history.stopped = f"{INTERRUPTED} {self.step}"
        except FloatingPointError as error:
            self.recorder.pending.clear()
            self.evaluated.load_state_dict(self.good)
            self.history.stopped = f"{error}; try an lr below {self.recipe.lr}"

    def finish(self) -> History:
        """The history, with a last row where the run ended within an epoch."""
        if self.step > (self.history.rows[-1]["step"] if self.history.rows else 0):
            self.recorder.end_epoch(self.lr, self._validate)
        if self.average:
            self.model.load_state_dict(self.evaluated.state_dict())
        self.watch(self.history, True)
        return self.history

    def _ends_epoch(self) -> bool:
        return self.step % self.every == 0 or self.step == self.steps

    def _validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation split, in the first process; {} without one."""
        if self.step < SETTLED:
            renew_statistics(self.evaluated, self.train, self.device)
        if self.rank or not len(self.dataset.valid):
            return {}
        with devices.cpu_threads(self.threads):
            found = evaluate(self.evaluated, self.dataset.valid, device=str(self.device))
        return dict(
            valid_loss=found.loss, valid_accuracy=found.accuracy, valid_confidence=found.confidence
        )

    @property
    def _parts(self) -> dict[str, object]:
        """By their names in a checkpoint, the parts that have a state of their own."""
        parts = dict(weights=self.evaluated, optimiser=self.optimiser)
        parts |= dict(batches=self.batches, random=self.shares)
        return parts | (dict(training=self.model) if self.average else {})

    def state_dict(self) -> dict:
        """All that decides how the run goes on; in a group, all processes ask together."""
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        return parts | dict(history=asdict(self.history))

    def load_state_dict(self, state: dict) -> None:
        """Go on from where `state` was taken; the history is put back beforehand."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        if self.average:
            self.average.n_averaged.fill_(self.history.step)

    def _save(self, *names: str) -> None:
        if self.out is not None:
            content = self.identity | self.state_dict()
            if self.rank == 0:
                checkpoints.save(self.out, names, content)
