"""What lies in a folder of photos: splits and classes by the folders' names, photos by content."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from inception_edu.data.photos import NoPhoto, PhotoError, problems
from inception_edu.display import Table
from inception_edu.files import shown

PARTS = {  # the usual names of a data set's splits, in any case
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
HIDDEN = (".", "__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN")  # so begins what systems leave
NAMED = 5  # files left out that a report names


class Photo(NamedTuple):
    """A file that is a photo, its place below the folder of all classes, and its class's number."""

    path: Path
    place: Path
    label: int


@dataclass(frozen=True, repr=False)
class Found:
    """What lies in a folder, and as text a table of how many photos of each class and split."""

    classes: dict[str, Path]  # to train on, with the folder of each, in order
    parts: dict[str, list[Photo]]  # by class and name, alike on every machine
    errors: dict[Path, PhotoError]  # of the other files
    notes: tuple[str, ...] = ()  # what was decided

    @property
    def paths(self) -> list[Path]:
        """The photos' files, split by split."""
        return [photo.path for photos in self.parts.values() for photo in photos]

    @property
    def rejected(self) -> list[tuple[Path, str]]:
        """Files that cannot be read though they seem to be photos, and why."""
        return [(path, error.why) for path, error in self.errors.items() if not error.stray]

    def report(self) -> tuple[str, ...]:
        """Lines on what was decided, how many files were passed over, and which were left out."""
        strays = _kinds(self.errors.values())
        lost = [f"left out: {error}" for error in self.errors.values() if not error.stray]
        more = [f"left out: {len(lost) - NAMED} more"] if len(lost) > NAMED else []
        return *self.notes, *([f"passed over: {strays}"] if strays else ()), *lost[:NAMED], *more

    def table(self) -> Table:
        """How many photos of each class there are in each split."""
        counts = [Counter(photo.label for photo in photos) for photos in self.parts.values()]
        rows = [(shown(x), *(part[i] for part in counts)) for i, x in enumerate(self.classes)]
        rows.append(("together", *(part.total() for part in counts)))
        return Table([("class", *self.parts), *rows], bold=[len(rows) - 1])

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def find_photos(folder: str | os.PathLike, *, whole: bool = True) -> Found:
    """What lies in a folder that has one folder per class, or splits with one. Each photo is
    decoded to be sure of it, or with whole=False only begun with. ValueError without a class."""
    photos, errors, notes = defaultdict(list), {}, []
    parts = parts_of(folder := Path(folder))
    if others := [path for path in folders_in(folder) if parts and path not in parts.values()]:
        names = ", ".join(shown(path.name) for path in others)
        notes.append(f"passed over: {names}, which are no splits with a folder per class")
    classes = class_folders(parts.get("train", folder))
    number = {name: label for label, name in enumerate(classes)}
    for part, place in (parts or {"train": folder}).items():
        for name, inside in class_folders(place).items():
            if name not in number:
                raise ValueError(
                    f"{shown(place)} has a class {shown(name)!r} that train does not have"
                )
            files = files_below(inside)
            errors |= (bad := problems(files, whole=whole))
            photos[part] += [
                Photo(path, Path(name, path.relative_to(inside)), number[name])
                for path in files
                if path not in bad
            ]
        beside = (p for p in place.iterdir() if p.is_file() and not p.name.startswith(HIDDEN))
        why = "lies beside the folders of the classes, so its class is not known"
        errors |= {path: NoPhoto(path, why) for path in sorted(beside)}
    return Found(classes, dict(photos), errors, tuple(notes))


def files_below(folder: str | os.PathLike) -> list[Path]:
    """The files below a folder that somebody put there, sorted alike on every machine; links to
    folders are followed unless they lead back."""
    files, folder = [], Path(folder)
    been = {os.path.realpath(p) for p in (*folder.absolute().parents, *folder.resolve().parents)}
    for place, folders, names in os.walk(folder, onerror=_stop, followlinks=True):
        if (real := os.path.realpath(place)) in been:
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN))
        files += [Path(place, name) for name in names if not name.startswith(HIDDEN)]
    return sorted(files, key=lambda path: (normal(path.relative_to(folder).as_posix()), path))


def class_folders(folder: Path) -> dict[str, Path]:
    """Class name -> its folder, in order; ValueError where there is none."""
    inside = folders_in(folder)
    if not inside:
        raise ValueError(
            f"{shown(folder)} must hold one folder per class, as in {shown(folder / 'cats')} and "
            f"{shown(folder / 'dogs')}; it holds no folder"
        )
    named = {normal(path.name): path for path in inside}
    if len(named) < len(inside):
        raise ValueError(f"two folders in {shown(folder)} have the same name; rename one")
    return named


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that somebody made, not a system, sorted alike on every machine."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {shown(folder)}; give one with a folder per class")
    inside = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(HIDDEN)]
    return sorted(inside, key=lambda path: normal(path.name))


def parts_of(folder: Path) -> dict[str, Path]:
    """train, valid, test -> the folders of a data set's splits under any of their usual names; {}
    where the folders are those of classes. ValueError where no split is there to train on."""
    folders = folders_in(folder)
    named = [(part, path) for path in folders for part in PARTS if path.name.lower() in PARTS[part]]
    parts = dict(named)
    taught = len(folders_in(parts["train"])) if "train" in parts else 0
    if not named or (taught < 2 and len(named) < len(folders)):
        return {}  # a class may be called train, too
    if "train" not in parts or len(parts) < len(named):
        names = " and ".join(shown(path.name) for _, path in named)
        raise ValueError(
            f"{shown(folder)} must hold one folder train, and maybe one valid and one test, with a "
            f"folder per class in each, got {names}"
        )
    whole = {part for part, path in named if part == "train" or folders_in(path)}
    return {part: parts[part] for part in PARTS if part in whole}


def _kinds(errors: Iterable[PhotoError]) -> str:
    """How many files there are of each suffix that nobody takes for photos."""
    strays = (Path(error.name) for error in errors if error.stray)
    counts = Counter(path.suffix.lower() or "without a suffix" for path in strays)
    return ", ".join(f"{n} {shown(suffix)}" for suffix, n in sorted(counts.items()))


def check_classes(classes: dict[str, Path]) -> None:
    """Raise ValueError where there is one class alone, maybe because the classes lie deeper."""
    if len(classes) < 2:
        ((name, inside),) = classes.items()
        deeper = f"; did you mean {shown(inside)}?" if len(folders_in(inside)) > 1 else ""
        raise ValueError(
            f"{shown(inside.parent)} must hold at least 2 classes, one folder each, got "
            f"{shown(name)!r} alone{deeper}"
        )


def check_photos(found: Found) -> None:
    """Raise ValueError where a class has no photo, with what most of its files are instead."""
    taught = {photo.label for photo in found.parts["train"]}
    for label, (name, place) in enumerate(found.classes.items()):
        if label in taught:
            continue
        inside = [error for path, error in found.errors.items() if place in path.parents]
        bad = [error for error in inside if not error.stray]
        if not bad:
            holds = _kinds(inside) or "nothing"
            raise ValueError(f"class {shown(name)!r} has no photo; {shown(place)} holds {holds}")
        ((most, n),) = Counter(error.why for error in bad).most_common(1)
        like = next(Path(error.name).name for error in bad if error.why == most)
        raise ValueError(
            f"class {shown(name)!r} has no photo that can be read among {len(bad)}: {n} like "
            f"{shown(like)}, which {most}"
        )


def normal(name: str) -> str:
    """A file's name in one form of Unicode: macOS writes an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def _stop(error: OSError) -> None:
    raise error  # os.walk would pass over a folder that it cannot list
