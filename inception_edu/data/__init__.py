"""Data sets by name, from a .npz file or a folder of photos: load(...) -> train, valid, test."""

from pathlib import Path

from inception_edu.checks import check_whole
from inception_edu.data.augmentation import augment as augment, random_crops as random_crops
from inception_edu.data.dataset import (
    Batches as Batches,
    Dataset as Dataset,
    Split as Split,
    balanced_order,
    mean_and_std as mean_and_std,
    normalise as normalise,
)
from inception_edu.data.folders import find_photos as find_photos
from inception_edu.data.loading import load_folder
from inception_edu.data.photos import PhotoError as PhotoError, read_photo as read_photo
from inception_edu.data.sources import NAMES, SOURCES, is_folder as is_folder, read_npz, read_source
from inception_edu.data.splitting import split as split
from inception_edu.data.stamps import load_stamps


def load(
    name,
    *,
    limit: int | None = None,
    valid: int | None = None,
    seed: int = 0,
    size: int | None = None,
) -> Dataset:
    """A data set by name, a .npz file in Keras's layout (x_train, y_train, x_test, y_test), or a
    folder of photos, with a folder per class or with splits that have one, as `split` makes them.

    seed draws a class-balanced validation split of `valid` (5,000) images from the training images;
    a folder has its own, else a tenth is held out. limit keeps that many of train and valid
    together, in proportion. size scales images to so many pixels a side, and cuts photos to them.
    "stamps" are cut-outs put on backgrounds by the seed, and split by object: images uint8
    (536, 3, size, size) to train on, (108, ...) to validate and (156, ...) to test with, size 48.
    Raises ValueError, TypeError, FileNotFoundError, OSError.
    """
    name = str(name)
    if name == "stamps":
        if not valid is limit is None:
            raise ValueError("stamps are split by object; leave out valid and limit")
        return load_stamps(seed=seed, **{} if size is None else {"size": size})
    if is_folder(name):
        if valid is not None:
            raise ValueError(
                f"valid is a folder in {name}, or a tenth is held out, got {valid}; leave it out, "
                "or choose the fraction with `python -m inception_edu split --valid`"
            )
        return load_folder(Path(name).expanduser(), limit=limit, seed=seed, size=size)
    dataset = _from_arrays(name, limit, 5000 if valid is None else valid, seed)
    return dataset if size is None else dataset.resized(size)


def _from_arrays(name: str, limit: int | None, valid: int, seed: int) -> Dataset:
    if name in SOURCES:
        images, labels, *test, classes = read_source(name)
    elif name.lower().endswith(".npz"):
        images, labels, *test, classes = read_npz(Path(name).expanduser())
    else:
        known = ", ".join(NAMES)
        raise ValueError(
            f"name must be one of {known}, the path of a .npz file or of a folder, got {name!r}"
        )
    n = len(labels)
    total = n if limit is None else limit
    check_whole("valid", valid, 0, n - 1)
    check_whole("limit", total, 1, n)
    order = balanced_order(labels, seed)
    if untaught := set(range(len(classes))) - set(labels[order[valid:]].tolist()):
        lost = classes[min(untaught)]
        raise ValueError(f"valid must leave images of class {lost!r} to train on, got {valid}")
    # Each split is the beginning of its split without a limit, so no image ever changes sides.
    held_out = total * valid // n
    parts = order[valid : valid + total - held_out], order[:held_out]
    scale = mean_and_std(images[parts[0]])
    splits = [Split(images[part], labels[part], *scale) for part in parts]
    return Dataset(Path(name).stem, *splits, Split(*test, *scale), tuple(classes), *scale)
