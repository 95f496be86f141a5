"""Lesson 05: a night's training, what a point of accuracy cost in it, and what others report.

The asset cifar10.json is what `python -m authoring ship FOLDER` leaves of a run of `train`.
"""

import statistics

import numpy as np

from inception_edu.display import Table
from inception_edu.figures import Picture, draw_page
from inception_edu.lessons.lesson_05 import card
from inception_edu.lessons.studies import mean_std, saved
from inception_edu.training import History, Recipe
from inception_edu.training.recipe import BATCH_SIZE

REPORTED = (  # who, what, epochs, result, time, hardware, as they name them
    ("UvA deep learning tutorial 5", "CIFAR-10, GoogLeNet, 260,650 parameters", "200", "89.70 %",
     "53:50 min", "RTX 3090"),
    ("conan7882/GoogLeNet-Inception", "CIFAR-10, stride-1 stem", "100", "93.64 %", "-", "-"),
    ("cifar10-airbench", "CIFAR-10, special network", "-", "94 %", "2.6 s", "one A100"),
    ("d2l 1.0", "Fashion-MNIST at 96 px, GoogLeNet", "10", "80.2 %", "200 s", "one GPU"),
)  # fmt: skip


def load() -> History:
    """The night that the lesson shows."""
    return history_of(saved("cifar10"))


def history_of(data: dict) -> History:
    """A shipped run as a History: each mean of its loss curve lies in the middle of its steps, and
    the losses between two of them on a straight line."""
    rows, every, recipe = data["rows"], data["loss_every"], Recipe(**data["recipe"])
    steps, size = rows[-1]["step"], recipe.batch_size or BATCH_SIZE
    seconds = sum(row["train_seconds"] for row in rows)
    return History(
        recipe=recipe,
        steps=steps,
        batch_size=size,
        device="cpu",
        precision=data["precision"],
        memory_format="channels_last",
        epoch_steps=round(steps / rows[-1]["epoch"]),
        shares=data["shares"],
        losses={
            name: np.interp(range(steps), (np.arange(len(values)) + 0.5) * every, values).tolist()
            for name, values in data["losses"].items()
        },
        rows=rows,
        test=data["test"],
        elapsed_seconds=seconds,
        images_per_second=steps * size / seconds,
        command=data["command"],
    )


def page(history: History) -> Picture:
    """The whole night on one page."""
    return Picture(draw_page, history, str, size=(11, 7))


def price(history: History, groups: int = 8) -> Table:
    """What each few epochs gained on the validation images, and what a percentage point cost."""
    rows, every = history.rows, max(1, round(len(history.rows) / groups))
    ends = sorted({*range(every - 1, len(rows), every), len(rows) - 1})
    cells = [("epoch", "rate", "validation, %", "points gained", "minutes", "minutes a point")]
    before, first = 0.0, 0
    for end in ends:
        accuracy = 100 * rows[end]["valid_accuracy"]
        minutes = sum(seconds(row) for row in rows[first : end + 1]) / 60
        gained, before, first = accuracy - before, accuracy, end + 1
        cost = f"{minutes / gained:.1f}" if gained > 0 else "-"
        rate = f"{rows[end]['lr']:.3f}"
        epoch = f"{rows[end]['epoch']:.0f}"
        cells.append((epoch, rate, f"{accuracy:.1f}", f"{gained:+.1f}", f"{minutes:.0f}", cost))
    return Table(cells)


def seconds(row: dict[str, float]) -> float:
    """Of an epoch, its validation included."""
    return row["train_seconds"] + row["valid_seconds"]


def hours(history: History) -> float:
    """Of the whole night, validation included."""
    return sum(map(seconds, history.rows)) / 3600


def beside_others(history: History, parameters: int) -> Table:
    """The night, what a GPU took where one was measured, and what others report."""
    about = f"CIFAR-10, GoogLeNet, {parameters:,} parameters"
    result = f"{100 * history.test['accuracy']:.2f} %" if history.test else "not tested yet"
    epochs, time = f"{history.rows[-1]['epoch']:.0f}", f"{hours(history):.1f} h"
    rows = [("who", "what", "epochs", "test accuracy", "time", "hardware")]
    rows.append(
        (
            "this lesson (n = 1)",
            about,
            epochs,
            result,
            time,
            f"one thread of a {history.device.upper()}",
        )
    )
    gpu = measured_on_gpu()
    caption = "" if gpu else "This project has not measured a GPU. "
    caption += "Others' figures are as they report them."
    return Table([*rows, *gpu, *REPORTED], left=2, bold=[0], caption=caption)


def measured_on_gpu() -> list[tuple[str, ...]]:
    """The row of what `make gpu` left; none where CIFAR-10 was not run."""
    about = card.measured()
    part = about.get("parts", {}).get("cifar10", {})
    if "runs" not in part:
        return []
    accuracies = [100 * run["test_accuracy"] for run in part["runs"]]
    seconds = statistics.mean(run["train_seconds"] for run in part["runs"])
    what = f"CIFAR-10, GoogLeNet, {part['parameters']:,} parameters"
    result = f"{mean_std(accuracies, digits=2)} %", f"{seconds:.0f} s", about["hardware"]
    return [(f"make gpu (n = {len(accuracies)})", what, f"{part['epochs']}", *result)]
