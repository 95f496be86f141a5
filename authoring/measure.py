"""The training runs that lessons show: trained once per seed, saved with what made them."""

import json
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import torch

from inception_edu.data import load
from inception_edu.figures import running_mean
from inception_edu.lessons.shared import ASSETS, Entry
from inception_edu.training import History, evaluate, fit, silent
from inception_edu.training.checkpoints import versions
from inception_edu.training.devices import hardware

STUDIES = {  # name of the saved file -> the lesson's room and its table of entries
    "networks": ("shared", "NETWORKS"),
    "aux_race": ("lesson_04.runs", "RACE"),
    "training": ("lesson_05.runs", "RUNS"),
    "cifar10": ("lesson_05.runs", "CIFAR10"),
    "factorised": ("lesson_06.runs", "RUNS"),
    "smoothing": ("lesson_07.runs", "RUNS"),
    "ladder": ("lesson_08.runs", "LADDER"),
}
POINTS = 100  # of a saved loss curve


def table(study: str) -> Mapping[str, Entry]:
    """The entries of a study by name."""
    if study not in STUDIES:
        raise ValueError(f"a study must be one of {', '.join(STUDIES)}, got {study!r}")
    room, name = STUDIES[study]
    return getattr(import_module(f"inception_edu.lessons.{room}"), name)


def measure(study: str, seeds: Iterable[int] = (0, 1, 2), *, data: str | None = None) -> Path:
    """Train every entry of a study once per seed; `data` replaces its data set (a .npz file)."""
    runs = {}
    for name, entry in table(study).items():
        dataset = entry.prepare(load(data or entry.data))
        for seed in seeds:
            torch.manual_seed(seed)
            model, start = entry.build(), time.perf_counter()
            history = fit(model, dataset, entry.recipe_for(seed), watch=silent)
            if history.stopped:  # nothing is saved of a study that was not run to its end
                raise RuntimeError(f"{name}, seed {seed}: {history.stopped}")
            seconds = round(time.perf_counter() - start, 1)
            tested = evaluate(model, dataset.test)
            found = dict(seed=seed, test_accuracy=round(tested.accuracy, 4))
            found |= dict(train_seconds=seconds, precision=history.precision)
            found |= entry.look(tested, dataset.test.labels)
            runs.setdefault(name, []).append(found | shortened(history))
            print(f"{name}, seed {seed}: {found['test_accuracy']:.2%}, {seconds} s", flush=True)
    about = dict(command=f"python -m authoring measure {study}", versions=versions())
    if data:
        about["command"] += f" --data {Path(data).name}"
    about["hardware"] = hardware(torch.device(history.device))
    path = Path(str(ASSETS)) / f"{study}.json"
    path.write_text(json.dumps(about | dict(runs=runs), indent=1) + "\n")
    return path


def shortened(history: History) -> dict:
    """A history's rows to four digits, and points of each head's loss curve, averaged."""
    every = max(1, history.step // POINTS)
    curves = {
        name: running_mean(values)[every - 1 :: every] for name, values in history.losses.items()
    }
    return dict(
        stopped=history.stopped,
        rows=[{name: _short(value) for name, value in row.items()} for row in history.rows],
        loss_every=every,
        losses={name: [_short(value) for value in values] for name, values in curves.items()},
    )


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")
