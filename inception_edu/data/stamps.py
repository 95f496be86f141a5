"""The stamps: 133 photographs of birds, flowers, fruit and mammals, cut out and put on backgrounds.

Every photograph shows another object, and a split holds all images of an object or none, so that
no split knows an object of another one. (Tux Paint's stamps, GPL-2; see assets/stamps/LICENSE.txt.)
"""

import random
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inception_edu.checks import check_whole
from inception_edu.data.dataset import Dataset, Split, mean_and_std
from inception_edu.data.folders import Photo, class_folders, files_below
from inception_edu.data.photos import read_photo
from inception_edu.data.splitting import divided

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BACKGROUNDS = ("coffee.jpg", "rocket.jpg")  # photos that show none of the four classes
VALID, TEST = 0.2, 0.3  # fractions of the objects of each class
VIEWS = dict(train=8, valid=4, test=4)  # images of each object
SIDES = 0.5, 1.0  # the object's longer side, as a fraction of the image's
SIZE = 48  # pixels of a side where nothing else is said
SMALLEST = 0.25  # side of a piece of background, as a fraction of its photo's shorter side


def objects() -> list[Photo]:
    """The cut-outs by class and name, alike on every machine."""
    return [
        Photo(path, Path(name, path.name), label)
        for label, (name, folder) in enumerate(class_folders(ASSETS / "stamps").items())
        for path in files_below(folder)
    ]


def parts(seed: int = 0) -> dict[str, list[Photo]]:
    """The objects to train on, to validate and to test with, drawn by their names and a seed."""
    return divided(objects(), VALID, TEST, seed)


def load_stamps(*, seed: int = 0, size: int = SIZE) -> Dataset:
    """Images uint8 (n, 3, size, size) of the objects of each split; image i shows object i modulo
    the number of objects. The seed draws splits, sizes, places and backgrounds; the same seed shows
    the same scenes at any size."""
    check_whole("seed", seed, 0)
    check_whole("size", size, 8, 512)
    images, labels = {}, {}
    for part, photos in parts(seed).items():
        views = [(photo, i) for i in range(VIEWS[part]) for photo in photos]
        images[part] = torch.stack([_view(photo, size, f"{seed}/{i}") for photo, i in views])
        labels[part] = torch.tensor([photo.label for photo, _ in views])
    scale = mean_and_std(images["train"])
    splits = {part: Split(images[part], labels[part], *scale) for part in images}
    return Dataset(
        "stamps",
        **splits,
        classes=tuple(class_folders(ASSETS / "stamps")),
        mean=scale[0],
        std=scale[1],
    )


def _view(photo: Photo, size: int, draw: str) -> Tensor:
    """One image (3, size, size) of an object; all that is drawn depends on its name and `draw`."""
    dice = random.Random(f"{draw}/{photo.place.as_posix()}")
    image = place(_cut_out(photo.path), size, dice)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def place(stamp: Image.Image, size: int, dice: random.Random) -> Image.Image:
    """A cut-out (RGBA) at a random size and place on a random background, size x size pixels."""
    image = _background(size, dice)
    scale = size * dice.uniform(*SIDES) / max(stamp.size)
    sides = [max(1, round(scale * side)) for side in stamp.size]
    corner = [round(dice.random() * (size - side)) for side in sides]
    stamp = stamp.resize(sides, Image.Resampling.BILINEAR)
    image.paste(stamp, tuple(corner), stamp)
    return image


def _background(size: int, dice: random.Random) -> Image.Image:
    """One colour, or as often a piece of a photo."""
    if dice.random() < 0.5:
        return Image.new("RGB", (size, size), tuple(dice.randrange(256) for _ in range(3)))
    photo = _photo(dice.choice(BACKGROUNDS))
    side = dice.uniform(SMALLEST, 1) * min(photo.size)
    left, top = (dice.random() * (whole - side) for whole in photo.size)
    box = left, top, left + side, top + side
    return photo.resize((size, size), Image.Resampling.BILINEAR, box)


@cache
def _photo(name: str) -> Image.Image:
    return read_photo(ASSETS / "photos" / name)


@cache
def _cut_out(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")
