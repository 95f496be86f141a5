"""A split is decided by names and a seed, is there whole or not at all, and loses no photo."""

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from conftest import refused
from inception_edu.data import load, split, splitting
from inception_edu.data.folders import Photo, parts_of


def photo(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(path)


@pytest.fixture
def photos(tmp_path):
    """Three classes of 20, 5 and 1 photos."""
    folder = tmp_path / "photos"
    for name, n in dict(cat=20, dog=5, eel=1).items():
        for i in range(n):
            photo(folder / name / f"{i}.png", i)
    return folder


def numbers(found):
    """The rows of the table by their name."""
    return {name: list(map(int, row)) for name, *row in table(found)[1:]}


def table(found):
    return [line.split() for line in str(found).splitlines()]


def listing(folder):
    """The files below a folder, by their path within it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_every_photo_lands_in_one_part_and_its_class_with_its_content(photos, tmp_path):
    counts = split(photos, tmp_path / "out", valid=0.2, test=0.1)
    assert list(counts.classes) == ["cat", "dog", "eel"]
    assert numbers(counts) == dict(
        cat=[14, 4, 2], dog=[3, 1, 1], eel=[1, 0, 0], together=[18, 5, 3]
    )
    placed = [Path(name).parts for name in listing(tmp_path / "out")]
    assert sorted(f"{cls}/{name}" for _, cls, name in placed) == listing(photos)
    for part, cls, name in placed:
        copy = tmp_path / "out" / part / cls / name
        assert copy.read_bytes() == (photos / cls / name).read_bytes() and not copy.is_symlink()
    assert list(parts_of(tmp_path / "out")) == ["train", "valid", "test"] and not parts_of(photos)


def test_without_a_test_share_there_is_no_test_part(photos, tmp_path):
    counts = split(photos, tmp_path / "out")
    assert table(counts)[0] == ["class", "train", "valid"]
    assert sorted(os.listdir(tmp_path / "out")) == ["train", "valid"]
    assert numbers(counts) == dict(cat=[18, 2], dog=[4, 1], eel=[1, 0], together=[23, 3])


def test_the_split_of_these_names_and_this_seed_is_fixed_for_ever(photos, tmp_path):
    split(photos, tmp_path / "out", valid=0.2, seed=7)
    held = ["valid/cat/11.png", "valid/cat/2.png", "valid/cat/7.png", "valid/cat/8.png"]
    assert [name for name in listing(tmp_path / "out") if "valid/cat" in name] == held


def test_another_seed_gives_another_split_and_the_same_seed_the_same(photos, tmp_path):
    for name, seed in dict(a=0, b=0, c=1).items():
        split(photos, tmp_path / name, seed=seed)
    a, b, c = (listing(tmp_path / name) for name in "abc")
    assert a == b != c


def test_neither_the_place_nor_the_file_systems_order_nor_its_unicode_matters(
    photos, tmp_path, monkeypatch
):
    for i in range(10):
        photo(photos / "caf\u00e9" / f"\u00e9{i}.png")
    split(photos, tmp_path / "a")
    there, walk = tmp_path / "else/where", os.walk
    shutil.copytree(photos, there)
    monkeypatch.setattr(os, "walk", lambda top, **how: ((p, d, f[::-1]) for p, d, f in walk(top)))
    for path in [*(there / "caf\u00e9").iterdir(), there / "caf\u00e9"]:  # as macOS writes them
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    split(there, tmp_path / "b")
    names = [unicodedata.normalize("NFC", name) for name in listing(tmp_path / "b")]
    assert sorted(names) == listing(tmp_path / "a")
    assert "train" in listing(tmp_path / "b")[0] and any("/caf\u00e9/" in name for name in names)


def test_valid_stays_the_same_when_a_test_part_is_wanted_too(photos, tmp_path):
    for name, share in dict(a=0, b=0.2).items():
        split(photos, tmp_path / name, valid=0.2, test=share)
    a, b = ([n for n in listing(tmp_path / x) if n.startswith("valid")] for x in "ab")
    assert a == b and a


def shares(n, valid, test):
    """How many of a class's n photos validate and test."""
    photos = [Photo(Path(f"a/{i}"), Path(f"a/{i}"), 0) for i in range(n)]
    parts = splitting.divided(photos, valid, test)
    assert sorted(photo for part in parts.values() for photo in part) == sorted(photos)
    return len(parts["valid"]), len(parts.get("test", ()))


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize(("valid", "test"), [(0.001, 0), (0.1, 0.1), (0.5, 0.49), (0.99, 0)])
def test_every_class_can_be_trained_on_and_validated_where_it_has_two(n, valid, test):
    n_valid, n_test = shares(n, valid, test)
    assert n_valid + n_test < n and (n_valid >= 1) == (n >= 2)
    assert (n_test >= 1) == (n >= 3 and test > 0 and n_valid < n - 1)


def test_shares_are_near_what_was_asked_for():
    assert shares(1000, 0.1, 0.25) == (100, 250)


def test_nested_photos_keep_their_folders_so_that_none_overwrites_another(photos, tmp_path):
    photo(photos / "dog/old/0.png", 99)
    split(photos, tmp_path / "out")
    names = [name.split("/", 2)[2] for name in listing(tmp_path / "out") if "/dog/" in name]
    assert sorted(names) == ["0.png", "1.png", "2.png", "3.png", "4.png", "old/0.png"]


def test_broken_photos_are_left_out_and_named(photos, tmp_path):
    (photos / "cat/empty.png").write_bytes(b"")
    counts = split(photos, tmp_path / "out")
    assert counts.rejected == [(photos / "cat/empty.png", "is empty")]
    assert sum(numbers(counts)["cat"]) == 20


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_point_at_the_photos_from_anywhere(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    split("photos", "out", link=True)
    links = [path for path in (tmp_path / "out").rglob("*.png")]
    assert len(links) == 26 and all(path.is_symlink() for path in links)
    assert all(os.path.isabs(os.readlink(path)) and path.is_file() for path in links)


def test_a_system_without_links_is_told_of_in_a_sentence(photos, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    call = lambda: split(photos, tmp_path / "out", link=True)  # noqa: E731
    refused(OSError, call, "privilege", "leave out --link")
    assert os.listdir(tmp_path) == ["photos"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_nothing(photos, tmp_path, monkeypatch, error):
    done = []

    def full(a, b):
        done.append(b)
        if len(done) == 9:
            raise error
        Path(b).write_bytes(b"")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(type(error)) as caught:
        split(photos, tmp_path / "out")
    assert os.listdir(tmp_path) == ["photos"] and len(done) == 9
    if isinstance(error, OSError):
        assert "No space left" in str(caught.value) and "nothing is left" in str(caught.value)


def test_an_empty_out_is_taken_and_a_used_one_is_not(photos, tmp_path):
    (tmp_path / "out").mkdir()
    split(photos, tmp_path / "out")
    before = listing(tmp_path / "out")
    refused(FileExistsError, lambda: split(photos, tmp_path / "out", seed=1), "holds something")
    (tmp_path / "file").write_text("")
    refused(FileExistsError, lambda: split(photos, tmp_path / "file"), "new folder")
    assert listing(tmp_path / "out") == before
    split(photos, tmp_path / "deep/er/out")
    assert listing(tmp_path / "deep/er/out") == before


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (dict(valid=1.2), "valid must be above 0 and below 1, got 1.2"),
        (dict(valid=0), "valid must be"),
        (dict(valid=float("nan")), "valid must be"),
        (dict(test=0.95), "test must be at least 0 and below 0.9"),
        (dict(test=-0.1), "test must be"),
    ],
)
def test_shares_that_cannot_be_are_refused(photos, tmp_path, how, said):
    refused(ValueError, lambda: split(photos, tmp_path / "out", **how), said)


def test_places_that_cannot_be_meant_are_refused(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    refused(ValueError, lambda: split(photos, photos / "parts"), "out must lie outside")
    monkeypatch.chdir(photos)
    refused(ValueError, lambda: split(".", "parts/all"), "out must lie outside")
    refused(ValueError, lambda: split(photos / "cat", out), "one folder per class")
    refused(ValueError, lambda: split(photos / "none", out), "there is no folder")
    split(photos, out)
    shutil.rmtree(photos / "cat"), shutil.rmtree(photos / "dog")
    refused(
        ValueError, lambda: split(photos, tmp_path / "new"), "at least 2 classes", "'eel' alone"
    )
    assert sorted(os.listdir(tmp_path)) == ["out", "photos"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train", "val"), "into train and val"),
        (("Train", "TEST"), "into Train and TEST"),
        (("training",), "into training"),
    ],
)
def test_what_is_split_already_is_to_be_trained_with_and_can_be(photos, tmp_path, names, said):
    for name in names:
        shutil.copytree(photos, tmp_path / "set" / name)
    call = lambda: split(tmp_path / "set", tmp_path / "again")  # noqa: E731
    refused(ValueError, call, "is split already", said, f"train --data {tmp_path / 'set'}")
    assert load(tmp_path / "set", size=4).classes == ("cat", "dog", "eel")


def test_parts_without_classes_are_no_classes_either(photos, tmp_path):
    for part in ("train", "val"):
        photo(tmp_path / "flat" / part / "dog.0.png")
    for call in (
        lambda: split(tmp_path / "flat", tmp_path / "out"),
        lambda: load(tmp_path / "flat"),
    ):
        refused(ValueError, call, str(tmp_path / "flat/train"), "one folder per class", "no folder")


def test_a_class_without_a_photo_is_refused_with_what_it_holds(photos, tmp_path):
    (photos / "fox").mkdir()
    call = lambda: split(photos, tmp_path / "out")  # noqa: E731
    refused(ValueError, call, "class 'fox' has no photo", "holds nothing")
    (photos / "fox/notes.txt").write_text("")
    refused(ValueError, call, "class 'fox' has no photo", "holds 1 .txt")
    for i in range(3):
        (photos / f"fox/{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    refused(ValueError, call, "class 'fox'", "among 3: 3 like 0.heic", "is HEIC")
    assert os.listdir(tmp_path) == ["photos"]


def test_other_files_are_counted(photos, tmp_path):
    for name in ("cat/notes.txt", "dog/Thumbs.db", "dog/more.txt", "labels.csv"):
        (photos / name).write_text("")
    counts = split(photos, tmp_path / "out")
    assert counts.report() == ("passed over: 1 .csv, 1 .db, 2 .txt",) and not counts.rejected
    assert len(listing(tmp_path / "out")) == 26


def test_a_class_may_be_called_train(tmp_path):
    for name in ("train", "valid", "ship"):
        photo(tmp_path / "photos" / name / "0.png")
    found = split(tmp_path / "photos", tmp_path / "out")
    assert list(found.classes) == ["ship", "train", "valid"]


def test_counts_are_a_table(photos, tmp_path):
    found = split(photos, tmp_path / "out", valid=0.2, test=0.1)
    assert table(found) == [
        ["class", "train", "valid", "test"],
        ["cat", "14", "4", "2"],
        ["dog", "3", "1", "1"],
        ["eel", "1", "0", "0"],
        ["together", "18", "5", "3"],
    ]
    assert len({len(line) for line in str(found).splitlines()}) == 1
