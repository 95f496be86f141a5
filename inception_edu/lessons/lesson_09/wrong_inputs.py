"""Lesson 09: photos prepared otherwise than in training, and photos of none of the classes."""

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from inception_edu.cost import text_table
from inception_edu.data import Dataset, Split, normalise
from inception_edu.figures import COLOURS, Picture
from inception_edu.losses import logits_of
from inception_edu.predict import Classifier

Prepare = Callable[[Tensor, Classifier], Tensor]  # uint8 (n, 3, h, w) -> what the network gets
PREPARATIONS: dict[str, Prepare] = {
    "as in training": lambda x, c: normalise(x, c.mean, c.std),
    "blue first (BGR)": lambda x, c: normalise(x.flip(1), c.mean, c.std),
    "no mean, no std": lambda x, c: x / 255,
    "0 to 255": lambda x, c: x.float(),
    "normalised twice": lambda x, c: normalise(255 * normalise(x, c.mean, c.std), c.mean, c.std),
}
Damage = dict[str, tuple[float, float]]  # preparation -> accuracy, mean confidence, in percent


@torch.no_grad()
def chances(classifier: Classifier, x: Tensor) -> Tensor:
    """Probabilities (n, classes) of prepared images (n, 3, h, w)."""
    return logits_of(classifier.model(x)).softmax(1)


def damage(classifier: Classifier, split: Split) -> Damage:
    """What each preparation makes of a split's photos."""
    found = {}
    for name, prepare in PREPARATIONS.items():
        sure, taken = chances(classifier, prepare(split.images, classifier)).max(1)
        right = (taken == split.labels).double().mean().item()
        found[name] = 100 * right, 100 * sure.mean().item()
    return found


def words_damage(found: Damage) -> str:
    """A row for each preparation."""
    rows = [("prepared", "accuracy", "mean confidence")]
    return text_table(rows + [(name, *(f"{x:.0f} %" for x in two)) for name, two in found.items()])


def show_damage(found: Damage) -> Picture:
    """Accuracy and confidence of each preparation."""
    return Picture(_draw_damage, found, words_damage, size=(8.5, 3.4))


def _draw_damage(fig: Figure, found: Damage) -> None:
    ax = fig.add_subplot()
    for i, (right, sure) in enumerate(found.values()):
        looks = (right, COLOURS["after"], "accuracy"), (sure, COLOURS["muted"], "mean confidence")
        for k, (value, colour, label) in enumerate(looks):
            ax.barh(i + 0.4 * k, value, 0.38, color=colour, label=label if i == 0 else None)
            ax.text(value + 1, i + 0.4 * k, f"{value:.0f}", va="center")
    ax.set_yticks([i + 0.2 for i in range(len(found))], list(found))
    right, swapped, *_ = (right for right, _ in found.values())
    title = f"Blue first: {swapped:.0f} % correct instead of {right:.0f} %"
    ax.set(title=title, xlabel="%", xlim=(0, 112))
    ax.invert_yaxis()
    fig.legend(loc="outside right upper", frameon=False)


def strangers(dataset: Dataset, garments: Tensor, n: int = 100) -> dict[str, Tensor]:
    """n images (n, 3, side, side) of each kind: the test images, then of none of the classes.

    `garments` are uint8 (m, 1, 28, 28); a grey image becomes RGB by repeating its channel.
    """
    generator = torch.Generator().manual_seed(0)
    side = dataset.test.shape[1]
    size = (n, 3, side, side)
    noise = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    colours = torch.randint(0, 256, (n, 3, 1, 1), dtype=torch.uint8, generator=generator)
    clothes = garments[:n].expand(n, 3, -1, -1).float()
    clothes = interpolate(clothes, (side, side), mode="bilinear").round().to(torch.uint8)
    return {
        "test images": dataset.test.images,
        "garments": clothes,
        "one colour": colours.expand(size),
        "noise": noise,
    }


Sure = dict[str, Tensor]  # kind -> confidence of each image


def how_sure(classifier: Classifier, kinds: dict[str, Tensor]) -> Sure:
    """The highest probability of each image."""
    return {
        name: chances(classifier, normalise(images, classifier.mean, classifier.std)).amax(1)
        for name, images in kinds.items()
    }


def words_sure(sure: Sure) -> str:
    """A row for each kind."""
    rows = [("images", "n", "mean confidence", "above 90 %")]
    for name, top in sure.items():
        often = 100 * (top > 0.9).double().mean()
        rows.append((name, f"{len(top)}", f"{100 * top.mean():.0f} %", f"{often:.0f} %"))
    return text_table(rows)


def show_sure(sure: Sure) -> Picture:
    """A histogram of confidence for each kind."""
    return Picture(_draw_sure, sure, words_sure, size=(10, 3.4))


def _draw_sure(fig: Figure, sure: Sure) -> None:
    panels = fig.subplots(1, len(sure), sharey=True)
    for ax, (name, top) in zip(panels, sure.items(), strict=True):
        colour = COLOURS["after" if name == "test images" else "before"]
        weights = torch.full_like(top, 100 / len(top))
        ax.hist(100 * top, range(20, 101, 10), weights=weights, color=colour)
        ax.set_title(f"{name}:\n{100 * top.mean():.0f} % sure", fontsize=14)
        ax.set(xlabel="confidence, %", xlim=(20, 100), xticks=(25, 50, 75, 100))
    fig.axes[0].set_ylabel("images, %")
