"""Lesson 05, training for real: runs that went well and wrong, saved; curves of saved runs."""

from dataclasses import replace

import torch
from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture, draw_accuracy, draw_page
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons import shared
from inception_edu.lessons.shared import Entry, small_googlenet
from inception_edu.training.history import History
from inception_edu.training.recipe import BATCH_SIZE, ONE_PASS, Recipe

FEW = 512  # images that the network can learn by heart within the run
SHORT = Recipe(steps=240, batch_size=64, lr=0.05, validate_every=40, **ONE_PASS)


def cut(dataset: Dataset, train: int | None = None) -> Dataset:
    """The first `train` training images (None: all) and 1,000 to validate on."""
    parts = {"train": (dataset.train, train), "valid": (dataset.valid, 1000)}
    short = {
        name: replace(part, images=part.images[:n], labels=part.labels[:n])
        for name, (part, n) in parts.items()
    }
    return replace(dataset, **short)


def few(dataset: Dataset) -> Dataset:
    """So few training images that each is met 30 times."""
    return cut(dataset, FEW)


def shuffled(dataset: Dataset) -> Dataset:
    """The same few images, each with the label of another; the validation part stays right."""
    dataset = few(dataset)
    order = torch.randperm(FEW, generator=torch.Generator().manual_seed(0))
    return replace(dataset, train=replace(dataset.train, labels=dataset.train.labels[order]))


RUNS = {  # the study "training"
    "healthy": Entry("05", small_googlenet, SHORT, prepare=cut),
    "overfitting": Entry("05", small_googlenet, SHORT, prepare=few),
    "lr too high": Entry("05", small_googlenet, replace(SHORT, lr=4.0), prepare=cut),
    "labels shuffled": Entry("05", small_googlenet, SHORT, prepare=shuffled),
}
LETTERS = {"A": "labels shuffled", "B": "overfitting", "C": "lr too high"}

CIFAR10 = {  # the study "cifar10"
    "GoogLeNet, 1/8 width": Entry(
        "05",
        lambda: GoogLeNet("small", num_classes=10, in_channels=3, aux=False, width=1 / 8),
        Recipe(epochs=3),
        "cifar10",
    )
}


def history_of(entry: Entry, run: dict) -> History:
    """A saved run as a History, whose loss curve is as coarse as it was saved."""
    steps, rows = run["rows"][-1]["step"], run["rows"]
    losses = {
        name: [values[min(i // run["loss_every"], len(values) - 1)] for i in range(steps)]
        for name, values in run["losses"].items()
    }
    size = entry.recipe.batch_size or BATCH_SIZE
    seconds = sum(row["train_seconds"] for row in rows)
    return History(
        recipe=entry.recipe_for(run["seed"]),
        steps=steps,
        batch_size=size,
        device="saved",
        precision=run["precision"],
        memory_format="channels_last",
        losses=losses,
        rows=rows,
        test=dict(accuracy=run["test_accuracy"]),
        stopped=run["stopped"],
        elapsed_seconds=seconds,
        images_per_second=steps * size / seconds,
    )


def show_runs() -> Picture:
    """Four saved runs of one network, the first seed of each: a healthy one, and A, B, C."""
    runs = shared.saved("training")["runs"]
    names = {"healthy": "healthy", **LETTERS}
    histories = {key: history_of(RUNS[name], runs[name][0]) for key, name in names.items()}
    return Picture(_draw_runs, histories, _words_runs, size=(12, 6))


def _words_runs(histories: dict[str, History]) -> str:
    rows = [("run", "training loss", "training accuracy", "validation loss", "validation accuracy")]
    for name, history in histories.items():
        last = history.rows[-1]
        main, valid = (f"{last[f'{part}_loss']:.2f}" for part in ("main", "valid"))
        shares = (f"{last[f'{part}_accuracy']:.0%}" for part in ("main", "valid"))
        share, valid_share = shares
        rows.append((name, main, share, valid, valid_share))
    return text_table(rows)


def _draw_runs(fig: Figure, histories: dict[str, History]) -> None:
    columns = zip(*fig.subplots(2, 4, sharey="row"), histories.items(), strict=True)
    for i, (loss, accuracy, (name, history)) in enumerate(columns):
        loss.plot(history.losses["main"], color=COLOURS["before"], lw=2.5)
        draw_accuracy(accuracy, history)
        steps, valid = zip(*((r["step"], r["valid_loss"]) for r in history.rows), strict=True)
        loss.plot(steps, valid, "o-", color=COLOURS["after"], lw=2.5)
        loss.axhline(torch.tensor(10.0).log(), color=COLOURS["ink"], lw=1.5, ls=":")
        loss.set(title=name, xlim=(0, 247), ylim=(0, 5), ylabel="" if i else "loss (dotted: ln 10)")
        accuracy.set_title("")
        accuracy.set(ylabel="" if i else "accuracy, %")
        if i:
            accuracy.get_legend().remove()


def saved_page(study: str, name: str) -> Picture:
    """The first seed's run of an entry on one page, as it was saved."""
    entry = {"training": RUNS, "cifar10": CIFAR10}[study][name]
    run = shared.saved(study)["runs"][name][0]
    return Picture(draw_page, history_of(entry, run), str, size=(11, 7))


def table_price(rows: list[dict[str, float]]) -> Table:
    """What each row of a history gained, and what a percentage point cost there."""
    before, found = 0.0, [("epoch", "lr", "validation", "points", "seconds", "seconds a point")]
    for row in rows:
        accuracy, seconds = 100 * row["valid_accuracy"], row["train_seconds"]
        gained, before = accuracy - before, accuracy
        price = f"{seconds / gained:.0f}" if gained > 0 else "-"
        cells = (f"{accuracy:.1f} %", f"{gained:+.1f}", f"{seconds:.0f}", price)
        found.append((f"{row['epoch']:g}", f"{row['lr']:.3f}", *cells))
    return Table(found)
