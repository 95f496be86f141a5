"""Data sets by name, from a .npz file or a folder of photos: load(...) -> train, valid, test."""

from pathlib import Path

from inception_edu.checks import check_whole
from inception_edu.data.dataset import (
    Batches as Batches,
    Dataset as Dataset,
    Split as Split,
    augment as augment,
    mean_and_std,
    normalise as normalise,
)
from inception_edu.data.folders import load_folder
from inception_edu.data.sources import SOURCES, balanced_order, data_folder, is_folder, read_npz


def load(
    name,
    *,
    limit: int | None = None,
    valid: int | None = None,
    seed: int = 0,
    size: int | None = None,
) -> Dataset:
    """A data set by name, a .npz file in Keras's layout (x_train, y_train, x_test, y_test), or a
    folder of photos that `split` made, whose parts are streamed.

    seed draws a class-balanced validation part of `valid` (5,000) images from the training images;
    a folder has its own. limit keeps that many of train and valid together, in proportion. size
    scales images to so many pixels a side. Raises ValueError, TypeError, FileNotFoundError.
    """
    name = str(name)
    if is_folder(name):
        if valid is not None:
            raise ValueError(f"valid is a part that {name} has already, got {valid}; leave it out")
        return load_folder(Path(name).expanduser(), limit=limit, seed=seed, size=size)
    dataset = _from_arrays(name, limit, 5000 if valid is None else valid, seed)
    return dataset if size is None else dataset.resized(size)


def _from_arrays(name: str, limit: int | None, valid: int, seed: int) -> Dataset:
    if name in SOURCES:
        source, read = SOURCES[name]
        images, labels, *test, classes = read(source, data_folder())
    elif name.lower().endswith(".npz"):
        images, labels, *test, classes = read_npz(Path(name).expanduser())
    else:
        known = ", ".join(SOURCES)
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
    # Each part is the beginning of its part without a limit, so no image ever changes sides.
    held_out = total * valid // n
    parts = order[valid : valid + total - held_out], order[:held_out]
    scale = mean_and_std(images[parts[0]])
    splits = [Split(images[part], labels[part], *scale) for part in parts]
    return Dataset(Path(name).stem, *splits, Split(*test, *scale), tuple(classes), *scale)
