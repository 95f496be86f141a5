"""Lesson 09: where in a photo a class is seen, by the class activation map and by hiding parts."""

import random
from dataclasses import replace
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from inception_edu.data import Split
from inception_edu.data.photos import middle
from inception_edu.display import Table
from inception_edu.losses import logits_of
from inception_edu.predict import Classifier, class_activation_map

TILE, CELL = 48, 8  # pixels of a tile of the collage; of a place of the small network's last grid
AT_ONCE = 36  # images, which fit into a processor's cache
SQUARES = (8, 16, 32)  # pixels of the grey square's side


def examples(part: Split, classes: tuple[str, ...], seed: int = 0) -> dict[str, Image.Image]:
    """A photo of each class from a part, drawn by a seed, in an order drawn by it."""
    dice, chosen = random.Random(seed), {}
    for label in dice.sample(range(len(classes)), len(classes)):
        own = (part.labels == label).nonzero()[:, 0].tolist()
        pixels = part.images[dice.choice(own)].permute(1, 2, 0).numpy()
        chosen[classes[label]] = Image.fromarray(pixels)
    return chosen


def collage(photos: list[Image.Image]) -> Image.Image:
    """The middles of four photos as the quarters of one, row by row."""
    whole = Image.new("RGB", (2 * TILE, 2 * TILE))
    for i, photo in enumerate(photos):
        whole.paste(middle(photo, TILE, TILE), (i % 2 * TILE, i // 2 * TILE))
    return whole


@torch.no_grad()
def occlusion_map(classifier: Classifier, x: Tensor, square: int) -> Tensor:
    """How much each logit falls when a grey square hides a place: (classes, h', w').

    x (1, c, h, w) is normalised, so grey, the mean, is 0. A square is centred on each cell.
    """
    h, w = (side // CELL for side in x.shape[2:])
    middles = [(CELL * (i + 0.5), CELL * (j + 0.5)) for i in range(h) for j in range(w)]
    hidden = x.repeat(len(middles), 1, 1, 1).contiguous(memory_format=torch.channels_last)
    for copy, (i, j) in zip(hidden, middles, strict=True):
        top, left = (max(0, round(at - square / 2)) for at in (i, j))
        copy[:, top : round(i + square / 2), left : round(j + square / 2)] = 0
    logits = [logits_of(classifier.model(few)) for few in hidden.split(AT_ONCE)]
    falls = logits_of(classifier.model(x)) - torch.cat(logits)
    return falls.T.reshape(-1, h, w)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's: 1 where two maps put all places in the same order, 0 where they know nothing
    of each other."""
    ranks = [m.flatten().argsort().argsort().double() for m in (a, b)]
    return torch.corrcoef(torch.stack(ranks))[0, 1].item()


def quarter_of_peak(heat: Tensor) -> int:
    """The quarter, 0 to 3, row by row, whose mean is highest."""
    h, w = (side // 2 for side in heat.shape)
    return int(heat[: 2 * h, : 2 * w].reshape(2, h, 2, w).mean((1, 3)).argmax())


class Measured(NamedTuple):
    """A collage of one photo a class, and for each class (k, h', w') both kinds of maps."""

    photo: Image.Image
    names: tuple[str, ...]  # of the quarters, row by row, and of the maps
    cams: Tensor
    hidden: dict[int, Tensor]  # side of the grey square -> the falls of the logits


def measure(classifier: Classifier, photos: dict[str, Image.Image]) -> Measured:
    """Both kinds of maps of a collage of four photos, named by their classes."""
    whole = collage(list(photos.values()))
    classifier = replace(classifier, size=whole.width, resize=whole.width)
    x, labels = classifier.prepare(whole), [classifier.classes.index(name) for name in photos]
    cams = [class_activation_map(classifier.model, x, label)[0] for label in labels]
    hidden = {square: occlusion_map(classifier, x, square)[labels] for square in SQUARES}
    return Measured(whole, tuple(photos), torch.stack(cams), hidden)


def hits(maps: Tensor) -> int:
    """How many of four maps (4, h, w) are highest, on average, in the quarter of their class."""
    return sum(quarter_of_peak(heat) == i for i, heat in enumerate(maps))


def pointing(classifier: Classifier, part: Split, collages: int = 25) -> float:
    """The fraction of activation maps of a class that are highest, on average, in the quarter that
    shows it, over collages of a part's images; one in four by chance."""
    found = 0
    for seed in range(collages):
        photos = examples(part, classifier.classes, seed)
        whole = collage(list(photos.values()))
        x = replace(classifier, size=whole.width, resize=whole.width).prepare(whole)
        labels = [classifier.classes.index(name) for name in photos]
        maps = [class_activation_map(classifier.model, x, label)[0] for label in labels]
        found += hits(torch.stack(maps))
    return found / (4 * collages)


def agreement(measured: Measured, square: int) -> list[float]:
    """Each class's rank correlation of the activation map and the map by hiding."""
    pairs = zip(measured.cams, measured.hidden[square], strict=True)
    return [rank_correlation(*pair) for pair in pairs]


def table(measured: Measured) -> Table:
    """The agreement of both kinds of maps by the grey square's side and class; the hits below."""
    rows = [("grey square, pixels", *measured.names, "mean")]
    for square in measured.hidden:
        each = agreement(measured, square)
        rows.append((square, *(f"{r:.2f}" for r in (*each, sum(each) / len(each)))))
    largest = max(measured.hidden)
    seen, hidden = hits(measured.cams), hits(measured.hidden[largest])
    said = (
        f"Rank correlations. Highest in the quarter of their class are {seen} of 4 activation maps "
        f"and {hidden} of 4 maps by hiding {largest} pixels."
    )
    return Table(rows, bold={len(rows) - 2}, caption=said)
