"""The training runs that lessons show: trained once per seed, saved with what made them.

Runs are trained side by side, each in a process of its own with its fraction of the cores. What is
done of a study that was stopped is in `BEGUN`, and the next call goes on from there.
"""

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import torch

from authoring.execution import ROOT
from inception_edu.data import Dataset, load
from inception_edu.files import write
from inception_edu.lessons.shared import ASSETS, Entry
from inception_edu.training import History, evaluate, fit, silent
from inception_edu.training.checkpoints import versions
from inception_edu.training.devices import hardware, pick_device

STUDIES = {  # name of the saved file -> the lesson's room and its table of entries
    "networks": ("shared", "NETWORKS"),
    "budget": ("lesson_01.runs", "BUDGET"),
    "kernel_rates": ("lesson_02.runs", "RATES"),
    "kernels": ("lesson_02.runs", "KERNELS"),
    "relu": ("lesson_02.runs", "RELU"),
    "aux_rates": ("lesson_04.runs", "RATES"),
    "aux_race": ("lesson_04.runs", "RACE"),
    "aux_heads": ("lesson_04.runs", "REGULARISER"),
    "training": ("lesson_05.runs", "RUNS"),
    "factorised": ("lesson_06.runs", "RUNS"),
    "reduce": ("lesson_06.runs", "REDUCE"),
    "reductions": ("lesson_06.runs", "REDUCTIONS"),
    "wide": ("lesson_06.runs", "WIDE"),
    "smoothing": ("lesson_07.runs", "RUNS"),
    "rung_rates": ("lesson_08.runs", "RATES"),
    "rungs": ("lesson_08.runs", "RUNGS"),
    "deep": ("lesson_08.runs", "DEEP"),
    "stamps": ("lesson_09.runs", "RUNS"),
}
POINTS = 100  # of a saved loss curve
BEGUN = ROOT / "build" / "studies"
Run = tuple[str, int]  # an entry's name and a seed


def table(study: str) -> Mapping[str, Entry]:
    """The entries of a study by name."""
    if study not in STUDIES:
        raise ValueError(f"a study must be one of {', '.join(STUDIES)}, got {study!r}")
    room, name = STUDIES[study]
    return getattr(import_module(f"inception_edu.lessons.{room}"), name)


def measure(
    study: str,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    data: str | None = None,
    jobs: int = 1,
    device: str = "cpu",
) -> Path:
    """Train every entry of a study once per seed, `jobs` runs at a time; `data` replaces its data
    set (a .npz file). A study that was stopped goes on; what is whole is saved as an asset."""
    seeds = list(seeds)
    wanted = [(name, seed) for seed in seeds for name in table(study)]
    path, about = BEGUN / f"{study}.json", _about(study, seeds, data, jobs, device)
    begun = json.loads(path.read_text()) if path.exists() else {}
    if {name: begun.get(name) for name in about} != about:
        begun = about | dict(runs={})  # made otherwise: nothing of it can be gone on with
    done = {(name, run["seed"]) for name, runs in begun["runs"].items() for run in runs}
    todo = [run for run in wanted if run not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    for (name, seed), found in _each(study, todo, data, jobs, device):
        begun["runs"].setdefault(name, []).append(found)
        write(path, _text(begun).encode())
        print(f"{name}, seed {seed}: {found['test_accuracy']:.2%}", end=", ")
        print(f"{found['train_seconds']} s", flush=True)
    runs = {name: sorted(begun["runs"][name], key=lambda run: run["seed"]) for name in table(study)}
    whole = Path(str(ASSETS)) / path.name
    write(whole, _text(about | dict(runs=runs)).encode())
    path.unlink()
    return whole


def _about(study: str, seeds: list[int], data: str | None, jobs: int, device: str) -> dict:
    """What made a study, in words, and the recipe of every entry."""
    command = f"python -m authoring measure {study}"
    command += f" --seeds {' '.join(map(str, seeds))}" if seeds != [0, 1, 2] else ""
    command += f" --data {Path(data).name}" if data else ""
    command += f" --device {device}" if device != "cpu" else ""
    about = dict(command=command, versions=versions(), hardware=hardware(pick_device(device)))
    recipes = {name: asdict(entry.recipe) for name, entry in table(study).items()}
    return about | dict(runs_at_a_time=jobs, recipes=recipes)


def _each(
    study: str, todo: list[Run], data: str | None, jobs: int, device: str = "cpu"
) -> Iterator[tuple[Run, dict]]:
    """Every run and what was found of it, in the order in which they end."""
    if jobs == 1:
        for run in todo:
            yield run, train(study, *run, data, device)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    how = dict(initializer=torch.set_num_threads, initargs=(threads,))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, **how) as pool:
        futures = {pool.submit(train, study, *run, data, device): run for run in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def train(study: str, name: str, seed: int, data: str | None, device: str = "cpu") -> dict:
    """Train an entry with a seed; what is saved of the run. RuntimeError where it was cut short.

    `quiet` says whether nothing else computed, so that its seconds can be believed.
    """
    entry = table(study)[name]
    split = dict(seed=seed) if entry.split_anew else {}
    dataset = prepared(load, data or entry.data, entry.prepare, **split)
    torch.manual_seed(seed)
    model, start, cpu = entry.build(), time.perf_counter(), time.process_time()
    history = fit(model, dataset, entry.recipe_for(seed), device=device, watch=silent)
    if history.stopped:  # nothing is saved of a run that did not come to its end
        raise RuntimeError(f"{name}, seed {seed}: {history.stopped}")
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    tested = evaluate(model, dataset.test, device=device)
    found = dict(seed=seed, test_accuracy=round(tested.accuracy, 4))
    found |= dict(valid_accuracy=_short(history.rows[-1].get("valid_accuracy", 0)))
    found |= dict(train_seconds=round(seconds, 1), cpu_seconds=round(cpu, 1), quiet=quiet())
    found |= dict(precision=history.precision, shares=history.shares)
    return found | entry.look(tested, dataset.test.labels) | shortened(history)


@lru_cache(maxsize=2)  # most studies have one, some two
def prepared(
    load: Callable, data: str, prepare: Callable[[Dataset], Dataset], **split: int
) -> Dataset:
    """A data set as an entry's runs take it."""
    return prepare(load(data, **split))


def quiet() -> bool:
    """Whether no more than this machine's cores were asked for in the last minute."""
    return not hasattr(os, "getloadavg") or os.getloadavg()[0] < (os.cpu_count() or 1) + 0.5


def shortened(history: History) -> dict:
    """A history's rows to four digits, and each head's loss, the mean of every few steps."""
    every = max(1, history.step // POINTS)
    curves = {
        name: [statistics.fmean(some) for some in zip(*[iter(values)] * every, strict=False)]
        for name, values in history.losses.items()
    }
    return dict(
        stopped=history.stopped,
        rows=[{name: _short(value) for name, value in row.items()} for row in history.rows],
        loss_every=every,
        losses={name: [_short(value) for value in values] for name, values in curves.items()},
    )


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _text(study: dict) -> str:
    return json.dumps(study, indent=1) + "\n"
