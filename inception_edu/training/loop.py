"""Training in the open: the whole loop in one screen. What a step needs is kept by `Run`."""

import os
from collections.abc import Callable

from torch import Tensor, nn

from inception_edu.data import Dataset
from inception_edu.losses import head_losses, weighted_sum
from inception_edu.training.devices import left_as_it_was
from inception_edu.training.evaluation import accuracies
from inception_edu.training.history import History
from inception_edu.training.recipe import Recipe
from inception_edu.training.run import Run

WIDTH = 110  # letters of the line that shows progress


@left_as_it_was()
def fit(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    out: str | os.PathLike | None = None,
    resume: str | os.PathLike | None = None,
    device: str = "auto",
    watch: Callable[[History, bool], None] | None = None,
) -> History:
    """Train `model`, (n, c, h, w) -> Outputs or logits (n, classes), in place on `dataset.train`.

    `out` is a folder that gets last.pt and best.pt after every epoch; `resume=".../last.pt"` goes
    on from there to the very weights and history of a run that was never interrupted.
    `watch(history, done)` is called every few steps and at the end; None prints progress. Parts in
    evaluation mode with frozen weights stay as they are. With `recipe.average` the model ends as
    the running average of its weights. An interrupt, or a loss that is not finite, ends the run:
    `stopped` says why, the model keeps the last weights that worked.
    """
    run = Run(model, dataset, recipe, device, out, resume, watch or print_progress)

    def learn(network: nn.Module, x: Tensor, labels: Tensor) -> tuple[dict, dict]:
        with run.autocast():
            outputs = network(x)
        losses = head_losses(outputs, labels, label_smoothing=recipe.label_smoothing)
        weighted_sum(losses, recipe.aux_weight).backward()
        return losses, accuracies(outputs, labels)

    try:
        while run.step < run.steps:
            x, labels = run.begin_step()
            run.optimiser.zero_grad()
            run.note(*run.shares(learn, x, labels))  # each thread learns from a share of the batch
            if recipe.clip:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            run.optimiser.step()
            run.end_step()
    except (KeyboardInterrupt, FloatingPointError) as reason:
        run.cut_short(reason)
    return run.finish()


def silent(history: History, done: bool) -> None:
    """Shows nothing: for the argument `watch` of `fit`."""


def print_progress(history: History, done: bool) -> None:
    """A bar with speed and time left, overwritten while a run goes on; ends as one clean line."""
    if done:
        print(f"\r{'':{WIDTH}}\r{history!s}", flush=True)  # nothing of the bar is left
        return
    fraction = history.step / history.steps
    left = history.elapsed_seconds * (1 - fraction) / fraction if fraction else 0
    bar = "█" * round(20 * fraction)
    line = f"{bar:░<20} {history!s}, {left:.0f} s left"
    print(f"\r{line:<{WIDTH}.{WIDTH}}", end="", flush=True)
