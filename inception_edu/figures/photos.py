"""A photo beside what a network says of it, and what each place of the photo alone would say.

All maps have one scale of colours: the probability of the most probable class, from 0 to 100 %.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from inception_edu.figures.picture import Picture
from inception_edu.figures.style import COLOURS
from inception_edu.files import shown
from inception_edu.layers import pair
from inception_edu.predict import Classifier, place_logits

SIDE = 448  # pixels of a photo's longer side in the figure
MOST = 12  # photos in a figure
AS_IS = dict(parse_math=False)  # a photo or a class may be called a_$x^2$


class Seen(NamedTuple):
    """A photo's middle (h, w, 3), the probability (h', w') of its most probable class where one
    place alone decides, and its classes."""

    name: str
    photo: np.ndarray
    map: np.ndarray  # from 0 to 1
    best: list[tuple[str, float]]  # class and probability, the most probable first


def look(classifier: Classifier, photo: Image.Image, name: str, top: int) -> Seen:
    """What the figure shows of a photo: the part that the network sees, in more pixels, and what
    one pass of the network says of its places and, by their mean, of `top` classes."""
    (places,) = place_logits(classifier.model, classifier.prepare(photo))
    best = classifier.ranked(places.mean((0, 1)).softmax(0), top)
    label = classifier.classes.index(best[0][0])
    part = classifier.cut(photo, SIDE / max(pair(classifier.size)))
    return Seen(shown(name), np.asarray(part), places.softmax(2)[..., label].numpy(), best)


def predictions(classifier: Classifier, photos: dict[str, Image.Image], top: int = 4) -> Picture:
    """Photos by name, each with its `top` classes, and where the first of them is seen."""
    seen = [look(classifier, photo, name, top) for name, photo in photos.items()]
    return Picture(draw_predictions, seen, words, size=size_of(seen))


def size_of(seen: list[Seen]) -> tuple[float, float]:
    """Inches of the figure."""
    return 11, 3.4 * len(seen)


def draw_predictions(fig: Figure, seen: list[Seen]) -> None:
    """A row for each photo: as it is, in grey with its map over it, and bars of probabilities."""
    grid = fig.subplots(len(seen), 3, squeeze=False, width_ratios=(1, 1, 1.5))
    for (plain, over, bars), one in zip(grid, seen, strict=True):
        h, w, _ = one.photo.shape
        plain.imshow(one.photo, extent=(0, w, 0, h))
        over.imshow(one.photo.mean(2), extent=(0, w, 0, h), cmap="gray", vmin=0, vmax=255)
        plain.set(xticks=[], yticks=[])
        over.set(xticks=[], yticks=[])
        plain.set_title(_short(one.name, 22), **AS_IS)
        looks = dict(cmap="viridis", alpha=0.6, vmin=0, vmax=100, interpolation="bilinear")
        seen_in = over.imshow(100 * one.map, extent=(0, w, 0, h), **looks)
        label = "by one place alone, %"
        fig.colorbar(seen_in, ax=over, ticks=(0, 50, 100), shrink=0.85, pad=0.03, label=label)
        over.set_title(f"where: {_short(one.best[0][0], 14)}", **AS_IS)
        names = [_short(name, 20) for name, _ in one.best]
        chances = [100 * chance for _, chance in one.best]
        colours = [COLOURS["before"], *[COLOURS["after"]] * (len(names) - 1)]
        bars.barh(range(len(names)), chances, color=colours)
        bars.set(xlim=(0, 118), xlabel="probability, %")
        bars.set_yticks(range(len(names)), names, **AS_IS)
        bars.set_xticks(range(0, 101, 25))
        bars.invert_yaxis()
        for k, chance in enumerate(chances):
            bars.text(chance + 2, k, f"{chance:.0f}", va="center")
        bars.set_title(f"{chances[0]:.0f} % {names[0]}", **AS_IS)


def words(seen: list[Seen]) -> str:
    """The figure in words: each photo's classes, and where in it the first one's map is highest."""
    lines = []
    for one in seen:
        chances = ", ".join(f"{name} {chance:.0%}" for name, chance in one.best)
        h, w = one.map.shape
        row, column = np.unravel_index(one.map.argmax(), one.map.shape)
        across, down = (column + 0.5) / w, (row + 0.5) / h
        place = f"{across:.0%} from the left, {down:.0%} from the top"
        lines.append(f"{one.name}: {chances}; highest at {place}")
    return "\n".join(lines)


def _short(name: str, most: int) -> str:
    name = shown(name)
    return name if len(name) <= most else name[: most - 1] + "…"
