"""Lesson 05: a night's training, what a point of accuracy cost in it, and what others report.

The asset cifar10.json is what `History.save` writes, with its losses thinned by `thin`:
`python -m inception_edu.lessons.lesson_05.night history.json` writes it.
"""

import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from inception_edu.display import Table
from inception_edu.figures import Picture, draw_page
from inception_edu.files import write
from inception_edu.lessons.studies import ASSETS, saved
from inception_edu.training import History

POINTS = 300  # of a saved loss curve
REPORTED = (  # who, what, epochs, result, time, hardware, as they name them
    ("UvA deep learning tutorial 5", "CIFAR-10, GoogLeNet, 260,650 parameters", "200", "89.70 %",
     "53:50 min", "RTX 3090"),
    ("conan7882/GoogLeNet-Inception", "CIFAR-10, stride-1 stem", "100", "93.64 %", "-", "-"),
    ("cifar10-airbench", "CIFAR-10, special network", "-", "94 %", "2.6 s", "one A100"),
    ("d2l 1.0", "Fashion-MNIST at 96 px, GoogLeNet", "10", "80.2 %", "200 s", "one GPU"),
)  # fmt: skip


def thin(history: History) -> dict:
    """A history as plain data whose losses are means of every few steps, to four digits, and whose
    accuracies of single steps are left out, as folders are from the command; `loss_every` says of
    how many steps."""
    every = max(1, history.step // POINTS)
    groups = {
        name: [values[i : i + every] for i in range(0, len(values), every)]
        for name, values in history.losses.items()
    }
    losses = {
        name: [float(f"{statistics.fmean(group):.4g}") for group in each]
        for name, each in groups.items()
    }
    command = " ".join(Path(word).name for word in history.command.split())
    return asdict(history) | dict(losses=losses, accuracies={}, loss_every=every, command=command)


def whole(data: dict) -> History:
    """The history that `thin` made data of: each mean stands for all of its steps."""
    every, steps = data["loss_every"], data["rows"][-1]["step"]
    losses = {
        name: [values[i // every] for i in range(steps)] for name, values in data["losses"].items()
    }
    return History.of(data | dict(losses=losses))


def load() -> History:
    """The night that the lesson shows."""
    return whole(saved("cifar10"))


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
    rows += [
        (row["who"], row["what"], row["epochs"], row["result"], row["time"], row["hardware"])
        for row in gpu
    ]
    caption = "" if gpu else "This project has not measured a GPU. "
    caption += "Others' figures are as they report them."
    return Table([*rows, *REPORTED], left=2, bold=[0], caption=caption)


def measured_on_gpu() -> list[dict]:
    """The rows of the asset gpu.json, which a machine with a GPU leaves; none where it is not."""
    return saved("gpu")["rows"] if (ASSETS / "gpu.json").is_file() else []


def main(path: str) -> None:
    """Thin a history.json into the asset."""
    text = json.dumps(thin(History.load(path)), indent=1) + "\n"
    write(Path(str(ASSETS)) / "cifar10.json", text.encode())


if __name__ == "__main__":
    main(sys.argv[1])
