"""Lesson 09: what a network takes for what, its worst mistakes with their maps, a wrong label."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.data.stamps import VIEWS, parts
from inception_edu.figures import COLOURS, Picture
from inception_edu.predict import Classifier
from inception_edu.training import evaluate

WORST = 9
MOVED, INTO = "kiwi", "bird"  # the object of the test split that lies in a wrong folder
Cam = Callable[[Tensor, nn.Linear, int], Tensor]


class Judged(NamedTuple):
    """A part's images and labels, the classes' probabilities, and what each image shows."""

    classifier: Classifier
    part: Split
    chances: Tensor  # (n, classes)
    names: tuple[str, ...]  # (n,)

    @property
    def accuracy(self) -> float:
        """The fraction that is named as the labels say."""
        return (self.chances.argmax(1) == self.part.labels).double().mean().item()


def shown_in_test(seed: int = 0) -> tuple[str, ...]:
    """The object that each test image of the stamps shows."""
    return tuple(photo.path.stem for photo in parts(seed)["test"]) * VIEWS["test"]


def judge(classifier: Classifier, part: Split, names: Sequence[str] | None = None) -> Judged:
    """What a classifier says of every image of a part; without names images are numbered."""
    part = replace(part, mean=classifier.mean, std=classifier.std)
    chances = evaluate(classifier.model, part, device="cpu").logits.softmax(1)
    return Judged(classifier, part, chances, tuple(names or map(str, range(len(part)))))


def mislabelled(part: Split, classes: Sequence[str]) -> Split:
    """The test split of the stamps, with one object filed under a class that it does not have."""
    moved = torch.tensor([name == MOVED for name in shown_in_test()])
    labels = part.labels.masked_fill(moved, list(classes).index(INTO))
    return replace(part, labels=labels)


def objects_in(text: str, names: Sequence[str]) -> list[str]:
    """Those of the names that a text such as " Kiwi" or "fruit/kiwi.webp" holds as words."""
    return [word for word in re.findall(r"[\w-]+", text.lower()) if word in names]


def mend(judged: Judged, name: str, label: str) -> Judged:
    """The same answers, judged after an object is put into the folder of another class."""
    found = objects_in(name, judged.names)
    its = torch.tensor([own in found for own in judged.names])
    labels = judged.part.labels.masked_fill(its, judged.classifier.classes.index(label))
    return judged._replace(part=replace(judged.part, labels=labels))


# The confusion matrix


def confusion(judged: Judged) -> Tensor:
    """How many images of each class (row) were taken for each class (column)."""
    k = len(judged.classifier.classes)
    pairs = judged.part.labels * k + judged.chances.argmax(1)
    return pairs.bincount(minlength=k * k).view(k, k)


def show_confusion(judged: Judged) -> Picture:
    """The confusion matrix of a part."""
    side = 2 + 0.9 * len(judged.classifier.classes)
    return Picture(_draw_confusion, judged, _words_confusion, size=(min(11, side + 1.6), side))


def _draw_confusion(fig: Figure, judged: Judged) -> None:
    ax, counts, names = fig.add_subplot(), confusion(judged), judged.classifier.classes
    k = len(names)
    wrong = counts.clone().fill_diagonal_(0)
    ax.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(1, 1.5 * int(wrong.max())))
    for i in range(k):
        ax.fill_between([i - 0.5, i + 0.5], i - 0.5, i + 0.5, color=COLOURS["after"], alpha=0.5)
        for j in range(k):
            weight = "bold" if i == j else "normal"
            ax.text(j, i, int(counts[i, j]), ha="center", va="center", weight=weight, fontsize=14)
    ax.set_xticks(range(k), names, rotation=40, ha="left")
    ax.set_yticks(range(k), names)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlabel="taken for", ylabel="filed under", xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    right, n = int(counts.diagonal().sum()), int(counts.sum())
    ax.set_title(f"{right} of {n} are named as filed", pad=12)


def _words_confusion(judged: Judged) -> str:
    names = judged.classifier.classes
    lines = ["filed under: images taken for " + ", ".join(names)]
    for name, row in zip(names, confusion(judged).tolist(), strict=True):
        lines.append(f"{name}: " + ", ".join(map(str, row)))
    return "\n".join(lines)


# The worst mistakes


class Mistake(NamedTuple):
    """An image, what it shows, its label, the answer with its probability, and the answer's map."""

    image: Tensor
    name: str
    label: str
    answer: str
    chance: float
    map: Tensor


@torch.no_grad()
def worst(judged: Judged, cam: Cam, n: int = WORST) -> list[Mistake]:
    """The n mistakes whose label gets the lowest probability, the worst first, one of an object."""
    part, classes, model = judged.part, judged.classifier.classes, judged.classifier.model
    given = judged.chances.gather(1, part.labels[:, None])[:, 0]
    wrong = judged.chances.argmax(1) != part.labels
    order = torch.where(wrong, given, torch.inf).argsort()[: int(wrong.sum())].tolist()
    first = {judged.names[i]: i for i in reversed(order)}  # of each object, the worst of its images
    found = []
    for i in sorted(first.values(), key=order.index)[:n]:
        x, answer = part.batch(slice(i, i + 1))[0], int(judged.chances[i].argmax())
        grid = model.body(model.stem(x))[0]
        heat = torch.as_tensor(cam(grid, model.head.linear, answer)).float()
        names = judged.names[i], classes[part.labels[i]], classes[answer]
        found.append(Mistake(part.images[i], *names, float(judged.chances[i, answer]), heat))
    return found


def show_worst(judged: Judged, cam: Cam) -> Picture:
    """The worst mistakes beside the maps of their answers, all on one scale of colours."""
    found = worst(judged, cam)
    columns, rows = _grid(found)
    return Picture(_draw_worst, found, _words_worst, size=(2.4 + 2.7 * columns, 1.2 + 2 * rows))


def _grid(found: list[Mistake]) -> tuple[int, int]:
    """Columns and rows of the mistakes in the figure."""
    columns = min(3, max(1, len(found)))
    return columns, max(1, -(-len(found) // columns))


def _draw_worst(fig: Figure, found: list[Mistake]) -> None:
    columns, rows = _grid(found)
    axes = fig.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)
    small = dict(fontsize=12, weight="normal", parse_math=False)
    most = max((float(one.map.abs().max()) for one in found), default=1.0)
    for pair in axes[len(found) :]:
        for ax in pair:
            ax.axis("off")
    for (plain, over), one in zip(axes, found, strict=False):
        photo = one.image.permute(1, 2, 0)
        plain.imshow(photo)
        seen = overlay(over, photo, one.map, most)
        plain.set_title(f"{Path(one.name).stem[:12]}\nin {one.label[:10]}", **small)
        over.set_title(f"{one.answer[:12]}\n{100 * one.chance:.0f} % sure", **small)
        for ax in (plain, over):
            ax.set(xticks=[], yticks=[])
    if found:
        label = "against (−), for (+)\nthe answer, in logits"
        fig.colorbar(seen, ax=list(axes.flat), label=label, shrink=0.9, pad=0.02)
    several = f"{len(found)} worst mistakes" if len(found) > 1 else "worst mistake"
    title = f"The {several}:{' ' if columns > 1 else chr(10)}image and folder, answer and its map"
    fig.suptitle(title, weight="bold")


def overlay(ax: object, photo: Tensor, heat: Tensor, most: float) -> object:
    """A map over a photo (h, w, 3) in grey: orange speaks for the class, purple against it."""
    ax.imshow(photo.float().mean(2), extent=(0, 1, 0, 1), vmin=0, vmax=255)
    looks = dict(cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest")
    return ax.imshow(heat, extent=(0, 1, 0, 1), alpha=0.6, **looks)


def _words_worst(found: list[Mistake]) -> str:
    return "\n".join(
        f"{one.name}, filed under {one.label}, is taken for {one.answer} ({one.chance:.0%})"
        for one in found
    )
