"""Lesson 03: torchvision's network and ours, shape by shape and logit by logit; photos answered."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_03 import plain
from inception_edu.predict import Classifier, shipped, shipped_photo
from inception_edu.torchvision_weights import KNOWN, from_torchvision

TOP, SIDE = 4, 336  # classes with a bar; pixels of a photo's side in the figure


def same_network(theirs: nn.Module) -> nn.Module:
    """torchvision's googlenet -> our plain GoogLeNet with its weights, in evaluation mode."""
    ours = plain.GoogLeNet(len(theirs.fc.bias), norm=True, k5=3, pool4=2)
    ours.network.load_state_dict(from_torchvision(theirs.state_dict()))
    return ours.eval()


@torch.no_grad()
def tries(theirs: nn.Module, x: Tensor) -> Table:
    """What becomes of torchvision's weights in our network, with and without its deviations."""
    weights, right = from_torchvision(theirs.state_dict()), theirs(x)
    rows = [("kernel in the 5x5 branch", "window of pool4", "weights that fit", "logits differ by")]
    for k5, pool4 in ((5, 3), (3, 3), (3, 2)):
        ours = plain.GoogLeNet(len(theirs.fc.bias), norm=True, k5=k5, pool4=pool4).eval()
        fits = [value.shape == weights[n].shape for n, value in ours.network.state_dict().items()]
        apart = ""
        if all(fits):
            ours.network.load_state_dict(weights)
            apart = f"{((ours(x) - right).abs().max() / right.abs().max()).item():.1%}"
        rows.append((f"{k5}x{k5}", f"{pool4}x{pool4}", f"{sum(fits)} of {len(fits)}", apart))
    return Table(rows, left=2, bold=[2])


def imagenet(model: nn.Module) -> Classifier:
    """A network with torchvision's trained weights, beside the classes and the input they expect:
    values from -1 to 1, of the middle 224 x 224 pixels."""
    known = KNOWN["googlenet"]
    middle = (0.5,) * 3
    return Classifier(model, known.classes, middle, middle, known.crop, known.resize)


def small() -> Classifier:
    """The nine blocks at a third of their width, trained on CIFAR-10: the shipped checkpoint, as
    lesson 00 asks it, with photos of 64 pixels."""
    return replace(shipped(), size=64, resize=64)


class Answer(NamedTuple):
    """A photo's middle (h, w, 3), and the classes that a network finds most probable in it."""

    name: str
    photo: np.ndarray
    best: list[tuple[str, float]]


def show_answers(classifier: Classifier, *names: str) -> Picture:
    """Shipped photos, and beside each the classes that a network finds most probable."""
    answers = []
    for name in names:
        photo = shipped_photo(name)
        shown = classifier.cut(photo, SIDE / classifier.size).convert("RGB")
        best = classifier.most_probable(photo, TOP)
        answers.append(Answer(name, np.asarray(shown.resize((SIDE, SIDE), Image.BICUBIC)), best))
    return Picture(_draw_answers, answers, _words, size=(11, 3.2))


def _words(answers: list[Answer]) -> str:
    """A line for each photo."""
    return "\n".join(
        f"{a.name}: {', '.join(f'{label} {chance:.0%}' for label, chance in a.best)}"
        for a in answers
    )


def _draw_answers(fig: Figure, answers: list[Answer]) -> None:
    axes = fig.subplots(1, 2 * len(answers), width_ratios=(1, 1.1) * len(answers))
    for photo, bars, answer in zip(axes[::2], axes[1::2], answers, strict=True):
        photo.imshow(answer.photo)
        photo.set(xticks=[], yticks=[], xlabel=answer.name)
        names, chances = zip(*answer.best, strict=True)
        labels = [name if len(name) < 16 else f"{name[:14]}…" for name in names]
        colours = [COLOURS["before"], *[COLOURS["after"]] * (len(names) - 1)]
        bars.barh(range(len(names)), [100 * c for c in chances], color=colours)
        bars.set_yticks(range(len(names)), labels)
        bars.set(xlim=(0, 100), xlabel="probability, %")
        bars.invert_yaxis()
        bars.set_title(f"{labels[0]}, {chances[0]:.0%}")
