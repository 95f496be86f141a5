"""What lies in a folder: photos by content, classes, parts under any usual name, and the rest."""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from test_photos import broken, content, saved, scene

from conftest import refused
from inception_edu.data.folders import Found, files_below, find_photos, parts_of
from inception_edu.data.photos import NoPhoto, in_threads


@pytest.fixture
def folder(tmp_path):
    """Two classes, nested, with everything that lies around in such folders."""
    for name in ("dogs/a.JPG", "dogs/more/b.png", "cats/ä.png", "cats/z.png", "cats/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        saved(scene(), tmp_path / name)
    system = ("dogs/._a.JPG", "dogs/.DS_Store", ".cache/x.png", "cats/.hidden/y.png")
    system += ("dogs/@eaDir/a.JPG/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/dogs/a.JPG", "dogs/notes.TXT")
    for name in system:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    saved(scene(), tmp_path / "loose.png")
    (tmp_path / "list.csv").write_text("")
    return tmp_path


def test_photos_are_found_by_class_in_an_order_of_names(folder):
    found = find_photos(folder)
    names = [path.relative_to(folder).as_posix() for path in found.paths]
    assert list(found.classes) == ["cats", "dogs"]
    assert [photo.label for photo in found.parts["train"]] == [0, 0, 0, 1, 1]
    assert names == ["cats/b.png", "cats/z.png", "cats/ä.png", "dogs/a.JPG", "dogs/more/b.png"]
    assert [path.name for path, _ in found.rejected] == ["loose.png"]
    assert found.report()[0] == "passed over: 1 .csv, 1 .txt" and "beside" in found.report()[1]


def test_the_order_does_not_depend_on_the_file_system(folder, monkeypatch):
    before, walk, listed = find_photos(folder), os.walk, Path.iterdir

    def backwards(top, **how):
        for place, folders, files in walk(top, **how):
            files.reverse(), folders.sort(reverse=True)
            yield place, folders, files

    monkeypatch.setattr(os, "walk", backwards)
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(list(listed(self))))
    after = find_photos(folder)
    assert after.parts == before.parts and list(after.classes) == list(before.classes)
    assert list(after.errors) == list(before.errors)


def test_broken_photos_of_a_folder_are_rejected_with_the_reason(folder):
    said = broken(folder / "dogs")
    found = find_photos(folder)
    assert len(found.paths) == 5
    rejected = {path.name: why for path, why in found.rejected}
    assert rejected.keys() == {*said, "loose.png"}
    assert all(words in rejected[name] for name, words in said.items())


def test_an_interrupt_does_not_wait_for_all_photos():
    done = []

    def slow(item):
        time.sleep(0.01)
        if item == 3:
            raise KeyboardInterrupt
        done.append(item)

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(slow, range(10_000)))
    assert len(done) < 1000


def test_a_report_names_the_first_and_counts_the_rest():
    problems = {name: NoPhoto(name, "is empty") for name in ("a.TXT", "b", "c.txt")}
    problems |= {f"{i}.jpg": NoPhoto(f"{i}.jpg", "is empty") for i in range(7)}
    said = *(f"left out: {i}.jpg is empty" for i in range(5)), "left out: 2 more"
    said = "decided", "passed over: 2 .txt, 1 without a suffix", *said
    assert Found({}, {}, problems, ("decided",)).report() == said
    del problems["5.jpg"], problems["6.jpg"]
    assert Found({}, {}, problems, ("decided",)).report() == said[:-1]
    assert Found({}, {}, {}).report() == ()


def test_a_folder_without_classes_is_refused_with_what_to_do(tmp_path):
    refused(ValueError, lambda: find_photos(tmp_path / "none"), "there is no folder")
    saved(scene(), tmp_path / "a.png")
    refused(ValueError, lambda: find_photos(tmp_path), "one folder per class", "holds no folder")


@pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
def test_two_spellings_of_one_class_are_refused_and_odd_names_are_found(tmp_path):
    for name in ("caf\u00e9", "\udcff"):
        (tmp_path / name).mkdir()
        saved(scene(), tmp_path / name / "\udcfe.png")
    assert len(find_photos(tmp_path).paths) == 2
    (tmp_path / "cafe\u0301").mkdir()
    refused(ValueError, lambda: find_photos(tmp_path), "same name")


def test_the_content_decides_what_a_photo_is_and_other_files_are_counted(folder):
    for name in ("a.mpo", "b.jpg_large", "c", "d.Jpeg"):
        (folder / "dogs" / name).write_bytes(content(scene(), "JPEG"))
    (folder / "dogs/e.j2k").write_bytes(content(scene(), "JPEG2000"))
    for name in ("Thumbs.db", "desktop.ini", "labels.json", "labels.xml", "more.json", "README"):
        (folder / "dogs" / name).write_bytes(b"{}")
    for name in ("phone.HEIC", "phone"):
        (folder / "dogs" / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (folder / "dogs/text.jpg").write_text("no photo")
    found = find_photos(folder)
    names = [path.name for path in found.paths if path.parent.name == "dogs"]
    assert names == ["a.JPG", "a.mpo", "b.jpg_large", "c", "d.Jpeg", "e.j2k"]
    rejected = [path.name for path, _ in found.rejected]
    assert rejected == ["phone", "phone.HEIC", "text.jpg", "loose.png"]
    others = {".TXT": 1, ".csv": 1, ".db": 1, ".ini": 1, ".json": 2, ".xml": 1, "": 1}
    strays = [path for path, error in found.errors.items() if error.stray]
    assert Counter(path.suffix for path in strays) == others


links = pytest.mark.skipif(sys.platform == "win32", reason="needs links")


@links
def test_links_to_photos_are_followed_and_those_to_nothing_named(folder):
    os.symlink(folder / "cats/b.png", folder / "dogs/link.png")
    os.symlink(folder / "gone.png", folder / "dogs/dead.png")
    found = find_photos(folder)
    assert folder / "dogs/link.png" in found.paths
    assert (folder / "dogs/dead.png", "is not there") in found.rejected


@links
def test_linked_folders_are_followed_once_and_never_back(folder, tmp_path_factory):
    album = tmp_path_factory.mktemp("album")
    (album / "year").mkdir(), saved(scene(), album / "year/new.png")
    os.symlink(album, folder / "dogs/album")
    os.symlink(album / "year", folder / "dogs/twice")
    for name, target in {"self": folder / "dogs", "up": folder, "top": folder.parent}.items():
        os.symlink(target, folder / "dogs" / name)
        os.symlink(target, album / name)
    names = [path.relative_to(folder).as_posix() for path in files_below(folder / "dogs")]
    assert names == ["dogs/a.JPG", "dogs/album/year/new.png", "dogs/more/b.png", "dogs/notes.TXT"]
    os.symlink(folder / "dogs", album / "class")
    found = files_below(album / "class")  # "album" leads back to where it lies now
    names = [path.relative_to(album / "class").as_posix() for path in found]
    assert names == ["a.JPG", "more/b.png", "notes.TXT", "twice/new.png"]


# --- parts


def tree(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid"),
        ("train", "val"),
        ("Train", "Val", "Test"),
        ("TRAIN", "validation"),
        ("training", "testing"),
        ("train", "test"),
        ("Training", "Validation", "Testing"),
        ("train",),
    ],
)
def test_parts_are_known_by_their_usual_names_in_any_case(tmp_path, names):
    tree(tmp_path, *(f"{name}/{cls}/a.png" for name in names for cls in ("cat", "dog")))
    (tmp_path / "labels.csv").write_text(""), (tmp_path / "__MACOSX").mkdir()
    if len(names) > 1:
        (tmp_path / "annotations").mkdir()
    found = parts_of(tmp_path)
    assert [path.name for path in found.values()] == list(names)
    kinds = dict(tr="train", va="valid", te="test")
    assert list(found) == [kinds[name[:2].lower()] for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("cat/a.png", "dog/a.png"),
        ("train/a.png", "valid/a.png", "ship/a.png"),
        ("train/2019/a.png", "bus/a.png"),
        ("test/old/a.png", "valid/old/a.png", "ship/a.png"),
    ],
)
def test_other_folders_are_classes(tmp_path, names):
    assert parts_of(tree(tmp_path, *names)) == {}


def test_parts_are_never_taken_for_classes(tmp_path):
    for i, (names, said) in enumerate(
        {
            ("val/cat/a.png", "test/cat/a.png"): "got test and val",
            ("train/cat/a.png", "val/cat/a.png", "valid/cat/a.png"): "got train and val and valid",
            ("test/cat/a.png",): "got test",
        }.items()
    ):
        folder = tree(tmp_path / str(i), *names)
        refused(ValueError, lambda folder=folder: parts_of(folder), "one folder train", said)
    flat = tree(tmp_path / "flat", "train/cat.0.jpg", "val/dog.0.jpg")
    assert list(parts_of(flat)) == ["train"]  # and train then has no folder of a class
