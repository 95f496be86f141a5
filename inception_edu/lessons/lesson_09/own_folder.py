"""Lesson 09: a folder of one's own, from photos to a network and what its answers are worth."""

import os
from collections import Counter, defaultdict
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
from IPython.display import display
from PIL import Image
from torch import Tensor

from inception_edu.checks import check_count
from inception_edu.data import Dataset, Split, find_photos
from inception_edu.data.folders import Found, Photo, check_classes, check_photos
from inception_edu.data.loading import decode
from inception_edu.data.splitting import divided
from inception_edu.data.stamps import objects
from inception_edu.display import Table
from inception_edu.files import shown
from inception_edu.lessons.lesson_09.board import most_frequent
from inception_edu.lessons.lesson_09.memory_test import memoriser
from inception_edu.lessons.lesson_09.mistakes import Cam, judge, show_confusion, show_worst
from inception_edu.lessons.lesson_09.runs import RECIPE, fine_tune, start
from inception_edu.predict import Classifier, pretrained

FEWEST = 4  # photos, or folders of one object each, that every class must have
HELD_OUT = 0.25  # fraction of each class that is kept for the test
SHIPPED = "the shipped weights (inception_edu/assets/cifar10_small.pt), 90.75 % on CIFAR-10"
IMAGENET = "torchvision's weights for ImageNet"
SEEN = 2000  # images that a run sees, where nothing else is said


def write_example(folder: Path, classes: tuple[str, ...] = ("bird", "fruit"), n: int = 12) -> Path:
    """A folder as one has it, with n stamps of each class on white; returns it."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for photo in [p for p in objects() if p.place.parts[0] == name][:n]:
            stamp = Image.open(photo.path).convert("RGBA")
            paper = Image.new("RGBA", (160, 160), "white")
            paper.alpha_composite(stamp, tuple((160 - side) // 2 for side in stamp.size))
            paper.convert("RGB").save(folder / name / f"{photo.path.stem}.png")
    return folder


def yours(
    folder: str | os.PathLike,
    networks: dict[str, Classifier],
    cam: Cam,
    *,
    imagenet: bool = False,
    seen: int = SEEN,
) -> None:
    """Split a folder's photos, tune a network on them, show what it takes for what and its worst
    mistakes, and add it to `networks`, as often as one likes. What is left out, and what is in the
    way, is printed."""
    try:
        check_count(seen=seen)
        found = without_copies(find_photos(folder := Path(folder).expanduser()))
        print(*found.report(), sep="\n", end="\n" * bool(found.report()))
        parts = split_by_object(found)
        before = replace(pretrained(), size=112, resize=112) if imagenet else start()
        dataset = read(found, parts, 112 if imagenet else 48)
    except (TypeError, ValueError, OSError) as error:
        print(f"Nothing was trained: {error}")
        return
    n = len(dataset.train)
    recipe = replace(RECIPE, batch_size=min(16, n), epochs=max(1, seen // n), validate_every=None)
    recipe = replace(recipe, lr=0.01) if imagenet else recipe
    often = "once" if recipe.epochs == 1 else f"{recipe.epochs} times"
    print(f"training on {n} photos, {often} each ...", flush=True)
    tuned, _ = fine_tune(before, dataset, replace(recipe, shares=2))
    names = [photo.place.as_posix() for photo in parts["valid"]]
    judged = judge(tuned, dataset.valid, names)
    networks[f"yours: {shown(folder.resolve().name)}"] = tuned
    about = (
        f"trained from {IMAGENET if imagenet else SHIPPED}; epochs: {recipe.epochs}, batches of "
        f"{recipe.batch_size}, lr {recipe.lr:g}, seed 0, n = 1; one photo of the test is "
        f"{100 / len(names):.0f} points"
    )
    display(replace(found, parts=dict(train=parts["train"], test=parts["valid"])).table())
    display(_results(dataset, judged.accuracy, about))
    display(show_confusion(judged))
    display(show_worst(judged, cam)) if judged.accuracy < 1 else print("no mistake in the test")


def _results(dataset: Dataset, accuracy: float, caption: str) -> Table:
    """The network's accuracy on the photos held out, beside what needs no network."""
    tested = replace(dataset, test=dataset.valid)
    rows = [("on photos never trained on", f"%, of {len(dataset.valid)}")]
    ways = {"most frequent class": most_frequent, "pixel memoriser": memoriser}
    rows += [(name, f"{100 * way(tested):.0f}") for name, way in ways.items()]
    return Table([*rows, ("fine-tuned", f"{100 * accuracy:.0f}")], bold={2}, caption=caption)


def without_copies(found: Found) -> Found:
    """The same photos without files that hold the very bytes of an earlier one: a copy in the test
    would ask what was trained on."""
    known, parts = set(), {part: [] for part in found.parts}
    for part, photo in ((part, photo) for part, own in found.parts.items() for photo in own):
        if (digest := sha256(photo.path.read_bytes()).digest()) not in known:
            known.add(digest)
            parts[part].append(photo)
    copies = len(found.paths) - len(known)
    note = (f"left out: {copies} copies of other photos",) if copies else ()
    return replace(found, parts=parts, notes=found.notes + note)


def split_by_object(found: Found, seed: int = 0) -> dict[str, list[Photo]]:
    """The photos to train on and to test with: as the folder is split, if it has parts with each
    class in them, else by object. A folder inside a class's folder is one object, whose photos
    stay together; any other photo is an object of its own. ValueError where a class has too few."""
    check_classes(found.classes)
    check_photos(found)
    train, *others = found.parts.values()
    if held := [photo for own in others for photo in own]:
        return _as_it_is(found, train, held)
    groups = defaultdict(list)
    for photo in train:
        groups[photo.place.parts[:2]].append(photo)
    for label, name in enumerate(found.classes):
        n = sum(own[0].label == label for own in groups.values())
        if n < FEWEST:
            raise ValueError(
                f"class {shown(name)} has {n} photo{'s' * (n != 1)} of different objects; add some "
                f"until it has {FEWEST}, better 30, so that some can be kept for the test"
            )
    heads = [own[0]._replace(place=Path(*key)) for key, own in groups.items()]
    drawn = divided(heads, HELD_OUT, seed=seed)
    return {
        part: [photo for head in own for photo in groups[head.place.parts]]
        for part, own in drawn.items()
    }


def _as_it_is(found: Found, train: list[Photo], held: list[Photo]) -> dict[str, list[Photo]]:
    """The folder's own parts; ValueError where one of them lacks photos of a class."""
    for part, own, fewest in (("train", train, FEWEST - 1), ("valid or test", held, 1)):
        counts = Counter(photo.label for photo in own)
        for label, name in enumerate(found.classes):
            if counts[label] < fewest:
                raise ValueError(
                    f"class {shown(name)} has {counts[label]} photos in the part {part}, needed "
                    f"are {fewest} at least"
                )
    return dict(train=train, valid=held)


def read(found: Found, parts: dict[str, list[Photo]], size: int) -> Dataset:
    """The photos' middles, size x size pixels; the part held out is both valid and test."""

    def split(photos: list[Photo]) -> Split:
        images, bad = decode([photo.path for photo in photos], size, size)
        if bad:
            raise ValueError(f"{min(map(str, bad))} cannot be read any more")
        labels: Tensor = torch.tensor([photo.label for photo in photos])
        return Split(images, labels, (0.5,) * 3, (0.25,) * 3)

    train, valid = split(parts["train"]), split(parts["valid"])
    return Dataset("yours", train, valid, None, tuple(found.classes), train.mean, train.std)
