"""Lesson 05: one photo, augmented several times."""

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from inception_edu.data import augment
from inception_edu.figures import Picture
from inception_edu.lessons.studies import ASSETS

SIDE = 32  # pixels, as CIFAR-10 has them


def small_photo(name: str) -> Tensor:
    """The middle of a photo that comes with the package, uint8 (3, SIDE, SIDE)."""
    with Image.open(str(ASSETS / "photos" / name)) as photo:
        w, h = photo.size
        side = min(w, h)
        box = (w - side) // 2, (h - side) // 2, (w + side) // 2, (h + side) // 2
        small = photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box)
    return (
        torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
        .view(SIDE, SIDE, 3)
        .permute(2, 0, 1)
    )


def show_augmented(photo: Tensor, shift: int, *, n: int = 7) -> Picture:
    """A photo uint8 (3, h, w) as it is, and as the network meets it in n epochs."""
    generator = torch.Generator().manual_seed(1)
    seen = augment(photo.expand(n, -1, -1, -1).contiguous(), generator, shift=shift, flip=True)
    return Picture(_draw, (photo, seen), lambda data: _words(data, shift), size=(11, 1.9))


def _words(data: tuple[Tensor, Tensor], shift: int) -> str:
    photo, seen = data
    changed = sum(not torch.equal(photo, one) for one in seen)
    places = (2 * shift + 1) ** 2
    return (
        f"{changed} of {len(seen)} are other images than the photo; shifts by up to {shift} pixels "
        f"and a flip make {places} x 2 = {2 * places} of it"
    )


def _draw(fig: Figure, data: tuple[Tensor, Tensor]) -> None:
    photo, seen = data
    titles = ["the photo", *(f"epoch {i + 1}" for i in range(len(seen)))]
    grid = fig.subplots(1, len(titles))
    for ax, image, title in zip(grid, [photo, *seen], titles, strict=True):
        ax.imshow(image.permute(1, 2, 0).numpy())
        ax.set(xticks=[], yticks=[], title=title)
