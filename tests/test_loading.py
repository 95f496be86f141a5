"""Folders of photos as data sets: decoded once, held out where needed, and no file ends a run."""

import errno
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from conftest import refused
from inception_edu.data import (
    Batches,
    dataset as parts_module,
    load,
    loading,
    mean_and_std,
    split,
)
from inception_edu.data.photos import middle
from inception_edu.googlenet import GoogLeNet
from inception_edu.training import Recipe, checkpoints, evaluate, fit, silent

pytestmark = pytest.mark.usefixtures("one_thread")
HOW = dict(seed=0, shift=2, flip=True, rank=0, world=1)


def photo(path, seed, colour, w=30, h=24):
    """Noise of one of three colours."""
    noise = np.random.default_rng(seed).integers(0, 120, (h, w, 3), dtype=np.uint8)
    noise[..., colour] += 100
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Three classes, 14 photos each, split into train, valid and test."""
    root = tmp_path_factory.mktemp("photos")
    for k, name in enumerate(("blue", "green", "red")):
        for i in range(14):
            photo(root / "all" / name / f"{i}.png", 100 * k + i, 2 - k)
    split(root / "all", root / "parts", valid=0.2, test=0.2)
    return root / "parts"


@pytest.fixture
def folder(original, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "parts"))


def paths(folder, part):
    """The photos of a part, class by class, in the order of their names."""
    return [path for place in sorted((folder / part).iterdir()) for path in sorted(place.iterdir())]


def pixels(photos):
    """(n, 3, h, w) of Pillow's images."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in photos])).permute(0, 3, 1, 2)


def network(**how):
    torch.manual_seed(0)
    return GoogLeNet("small", **dict(num_classes=3, aux=True, width=1 / 16) | how)


def recipe(**how):
    return Recipe(**dict(epochs=3, batch_size=8, lr=0.05, precision="float32") | how)


def run(folder, told=None, **how):
    dataset, model = load(folder, size=16), network()
    watch = how.pop("watch", silent)
    history = fit(model, dataset, told or recipe(), device="cpu", watch=watch, **how)
    return model, history, dataset


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def drawn(part, n, size=8, **how):
    batches = Batches(part, size, **HOW | how)
    return [batches.draw() for _ in range(n)]


def equal(a, b):
    return all(torch.equal(x, y) and torch.equal(k, m) for (x, k), (y, m) in zip(a, b, strict=True))


# --- what is loaded


def test_a_folder_has_its_parts_classes_and_sizes(original):
    dataset = load(original, size=16)
    assert dataset.name == "parts" and dataset.classes == ("blue", "green", "red")
    assert [len(part) for part in (dataset.train, dataset.valid, dataset.test)] == [24, 9, 9]
    assert dataset.train.labels.bincount().tolist() == [8, 8, 8]
    assert dataset.train.shape == (3, 16, 16) and dataset.train.resize == 18
    assert dataset.skipped == {} and dataset.notes == ()
    assert load(original).train.shape == (3, 64, 64)
    assert (dataset.resized(224).test.shape, dataset.resized(224).test.resize) == (
        (3, 224, 224),
        252,
    )


def test_every_photos_middle_is_held_as_uint8_and_is_what_is_evaluated(original):
    part, names = load(original, size=16).valid, sorted(paths(original, "valid"), key=str)
    middles = pixels([middle(Image.open(path), 16, 18) for path in names])
    assert part.images.dtype == torch.uint8 and torch.equal(part.images, middles)
    x, labels = (torch.cat(found) for found in zip(*part.batches(4), strict=True))
    plain = replace(part, resize=None)
    assert torch.equal(x, plain.batch(slice(None))[0]) and torch.equal(labels, part.labels)
    assert [len(y) for _, y in part.batches(4)] == [4, 4, 1]
    assert labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_mean_and_std_are_those_of_the_training_photos(original):
    dataset = load(original, size=16)
    assert (dataset.mean, dataset.std) == mean_and_std(dataset.train.images)
    assert dataset.valid.mean == dataset.test.mean == dataset.mean
    assert mean_and_std(dataset.valid.images)[0] != dataset.mean


def test_limit_keeps_a_balanced_part_of_train_and_valid(original):
    dataset = load(original, size=16, limit=16)
    assert len(dataset.train) + len(dataset.valid) == 16 and len(dataset.test) == 9
    counts = dataset.train.labels.bincount(minlength=3)
    assert counts.max() - counts.min() <= 1
    all_of_it = {x.numpy().tobytes() for x in load(original, size=16).train.images}
    assert {x.numpy().tobytes() for x in dataset.train.images} < all_of_it
    refused(ValueError, lambda: load(original, limit=3), "limit", "from 4 to 33, got 3")


def test_what_cannot_be_meant_is_refused(original, folder):
    refused(ValueError, lambda: load(original, valid=10), "valid is a folder in", "leave it out")
    refused(ValueError, lambda: load(original, size=-1), "size", "got -1")
    refused(ValueError, lambda: load(original, seed=-1), "seed", "got -1")
    refused(ValueError, lambda: load("no/such/folder"), "or of a folder", "no/such/folder")
    (folder / "valid/pink").mkdir()
    refused(ValueError, lambda: load(folder), "class 'pink' that train does not have")
    (folder / "valid/pink").rmdir()
    for path in paths(folder, "valid"):
        path.write_bytes(b"")
    refused(ValueError, lambda: load(folder), "no photo for valid that can be read")
    refused(ValueError, lambda: load(folder / "train/red"), "one folder per class", "no folder")
    shutil.copytree(original.parent / "all", folder / "more/flowers")
    refused(ValueError, lambda: load(folder / "more"), "at least 2", "did you mean", "flowers?")


def test_photos_that_cannot_be_read_are_left_out_with_the_reason(folder):
    bad, cut = folder / "train/red/bad.jpg", paths(folder, "train")[3]
    bad.write_bytes(b""), cut.write_bytes(cut.read_bytes()[:200])
    (folder / "valid/red/text.png").write_text("no photo")
    (folder / "valid/red/notes.txt").write_text("no photo")
    dataset = load(folder, size=16)
    assert dataset.skipped.pop(str(bad)) == "is empty" and len(dataset.train) == 23
    assert "damaged or cut off" in dataset.skipped.pop(str(cut))
    assert dataset.train.labels.bincount().tolist() == [7, 8, 8]
    assert [Path(path).name for path in dataset.skipped] == ["text.png"]
    assert dataset.notes[0] == "passed over: 1 .txt" and len(dataset.notes) == 4
    assert f"left out: {bad} is empty" in dataset.notes


def test_a_class_that_cannot_be_read_is_told_of_with_the_reason_and_how_many(folder):
    reds = [path for path in paths(folder, "train") if path.parent.name == "red"]
    for i, path in enumerate(reds):
        path.rename(path.with_suffix(".HEIC"))
        path.with_suffix(".HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99) if i else b"")
    call = lambda: load(folder, size=16)  # noqa: E731
    refused(ValueError, call, "class 'red'", "among 8: 7 like", ".HEIC", "pillow-heif", "JPEG")
    shutil.rmtree(folder / "train/red"), (folder / "train/red").mkdir()
    refused(ValueError, call, "class 'red' has no photo", "holds nothing")
    (folder / "train/red/a.mov").write_bytes(b"film")
    refused(ValueError, call, "class 'red' has no photo", "holds 1 .mov")


# --- folders as others lay them out


def names_of(part, names, folder):
    """The names of a part's photos, known by their pixels."""
    known = {}
    for name in names:
        square = pixels([middle(Image.open(folder / name), 16, 18)])
        known[square.numpy().tobytes()] = name
    return {known[x[None].numpy().tobytes()] for x in part.images}


def test_without_a_validation_part_the_photos_that_split_would_take_are_held_out(
    original, tmp_path
):
    whole = original.parent / "all"
    names = [path.relative_to(whole).as_posix() for path in whole.glob("*/*.png")]
    for seed in (0, 5):
        split(whole, tmp_path / f"{seed}", seed=seed)
        apart, together = load(tmp_path / f"{seed}", size=16), load(whole, size=16, seed=seed)
        for part in ("train", "valid"):
            assert torch.equal(getattr(apart, part).images, getattr(together, part).images)
        assert together.notes == ("no validation split: 3 photos are held out of the others",)
        assert together.test is None and (together.name, apart.name) == ("all", f"{seed}")
    assert names_of(load(whole, size=16).valid, names, whole) != names_of(
        together.valid, names, whole
    )


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (dict(train="train", valid="val"), [24, 9, None]),
        (dict(train="Training", valid="Validation", test="Testing"), [24, 9, 9]),
        (dict(train="TRAIN", test="test"), [21, 3, 9]),
        (dict(train="train"), [21, 3, None]),
    ],
)
def test_parts_under_any_usual_name_are_loaded(original, tmp_path, names, sizes):
    for part, name in names.items():
        shutil.copytree(original / part, tmp_path / "set" / name)
    dataset = load(tmp_path / "set", size=16)
    three = dataset.train, dataset.valid, dataset.test
    assert [part and len(part) for part in three] == sizes
    assert dataset.classes == ("blue", "green", "red")
    assert dataset.valid.labels.unique().tolist() == [0, 1, 2]
    assert any("held out" in note for note in dataset.notes) == ("valid" not in names)


def test_a_test_part_without_classes_and_other_folders_are_passed_over_and_told_of(folder):
    for path in paths(folder, "test"):
        path.rename(folder / "test" / f"{path.parent.name}-{path.name}")
    for place in (folder / "test").iterdir():
        if place.is_dir():
            place.rmdir()
    (folder / "annotations").mkdir()
    dataset = load(folder, size=16)
    assert dataset.test is None and len(dataset.valid) == 9
    assert dataset.notes == (
        "passed over: annotations, test, which are no splits with a folder per class",
    )


@pytest.mark.parametrize("n", [2, 10, 17, 40])
def test_few_photos_a_class_still_validate_every_class(tmp_path, n):
    for k, name in enumerate(("a", "b")):
        for i in range(n):
            photo(tmp_path / "few" / name / f"{i}.png", i, k, 4, 4)
    few = load(tmp_path / "few", size=4)
    assert few.valid.labels.bincount().tolist() == [max(1, round(n / 10))] * 2
    split(tmp_path / "few", tmp_path / "out")
    assert load(tmp_path / "out", size=4).valid.labels.tolist() == few.valid.labels.tolist()


def test_one_photo_a_class_is_not_enough_to_validate(tmp_path):
    for k, name in enumerate(("a", "b")):
        photo(tmp_path / name / "0.png", 0, k)
    refused(ValueError, lambda: load(tmp_path), "no photo for valid")


# --- what is drawn


def test_training_draws_random_crops_and_without_shift_the_middle(original):
    part = load(original, size=16).train
    ((x, labels),) = drawn(part, 1, size=24)
    middles = torch.cat([x for x, _ in part.batches(8)])
    assert x.shape == (24, 3, 16, 16) and sorted(labels.tolist()) == sorted(part.labels.tolist())
    assert not any(torch.equal(a, b) for a in x for b in middles)
    ((x, _),) = drawn(part, 1, size=24, shift=0, flip=False)
    assert all(any(torch.equal(a, b) for b in middles) for a in x)
    ((x, _),) = drawn(part, 1, size=24, shift=0, flip=True)
    kept = sum(any(torch.equal(a, b) for b in middles) for a in x)
    turned = sum(any(torch.equal(a.flip(2), b) for b in middles) for a in x)
    assert kept + turned == 24 and 4 < kept < 20


def test_every_epoch_shows_each_photo_once_and_each_time_anew(original):
    part = load(original, size=16).train
    batches = drawn(part, 6)
    for epoch in (batches[:3], batches[3:]):
        assert torch.cat([y for _, y in epoch]).bincount().tolist() == [8, 8, 8]
    first, second = (torch.cat([x for x, _ in epoch]) for epoch in (batches[:3], batches[3:]))
    assert not any(torch.equal(a, b) for a in first for b in second)


def test_two_processes_share_every_batch_of_one(original):
    part = load(original, size=16).train
    alone = drawn(part, 5)
    shares = [drawn(part, 5, rank=rank, world=2) for rank in (0, 1)]
    for (x, y), *both in zip(alone, *shares, strict=True):
        for rank, (a, b) in enumerate(both):
            assert torch.equal(x[rank::2], a) and torch.equal(y[rank::2], b)
        assert not torch.equal(both[0][0], both[1][0])


def test_draws_go_on_from_a_saved_state_and_touch_no_global_one(original):
    part = load(original, size=16).train
    torch.manual_seed(0)
    state, batches = torch.get_rng_state(), Batches(part, 8, **HOW)
    before = [batches.draw() for _ in range(4)]
    again = Batches(part, 8, **HOW | dict(seed=9))
    again.draw()
    again.load_state_dict(batches.state_dict())
    after = [again.draw() for _ in range(4)]
    assert equal(before + after, drawn(part, 8)) and not equal(before, drawn(part, 4, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


# --- whole runs


def test_photos_that_vanish_or_break_after_they_were_read_change_nothing(folder):
    model, history, _ = run(folder)

    def vanish(history, done):
        shutil.rmtree(folder, ignore_errors=True)

    again, told, dataset = run(folder, watch=vanish)
    assert not folder.exists() and same(model, again) and history.losses == told.losses
    assert dataset.skipped == {}


def test_a_run_that_was_interrupted_and_resumed_is_the_uninterrupted_one(original, tmp_path):
    whole, history, _ = run(original)
    stops = []

    def stop(seen, done):
        if seen.step == 6 and not done and not stops:
            stops.append(seen.step)
            raise KeyboardInterrupt

    _, cut, _ = run(original, watch=stop, out=tmp_path)
    assert cut.stopped and cut.step < history.step
    resumed, again, _ = run(original, out=tmp_path, resume=tmp_path / "last.pt")
    assert same(whole, resumed) and history.losses == again.losses
    assert not same(whole, run(original, told=recipe(seed=1))[0])


def test_the_checkpoint_keeps_size_and_crop_and_refuses_another(original, tmp_path):
    run(original, told=recipe(epochs=1), out=tmp_path)
    data = checkpoints.load(tmp_path / "last.pt")["data"]
    assert data["size"] == (16, 16) and data["resize"] == 18 and data["channels"] == 3
    dataset = load(original, size=20)
    call = lambda: fit(network(), dataset, recipe(epochs=1), resume=tmp_path / "last.pt")  # noqa: E731
    refused(ValueError, call, "size is (16, 16) there, (20, 20) here")


def test_a_network_learns_the_colours(original):
    model, history, dataset = run(original, told=recipe(epochs=12, lr=0.1))
    assert evaluate(model, dataset.test, device="cpu").accuracy > 0.8


def test_large_images_are_evaluated_in_small_batches(original):
    class Watch(nn.Module):
        seen = []

        def forward(self, x):
            self.seen.append(len(x) * x.shape[2] * x.shape[3])
            return x.mean((2, 3))

    evaluate(Watch(), load(original, size=600).valid, device="cpu")
    assert max(Watch.seen) <= 2**19 and len(Watch.seen) >= 9


# --- memory and disk


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """The smallest folder is too large for memory; the folder of data sets."""
    for module in (loading, parts_module):
        monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setenv("INCEPTION_EDU_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_large_folder_lies_in_a_file_that_has_no_name_and_trains_the_same(
    original, on_disk, monkeypatch
):
    mapped, told, dataset = run(original)
    assert list(on_disk.iterdir()) == []
    if sys.platform == "linux":
        lines = Path("/proc/self/maps").read_text().splitlines()
        assert any(str(on_disk) in line and "(deleted)" in line for line in lines)
    monkeypatch.setattr(loading, "LARGE", 2**30)
    held, history, _ = run(original)
    assert same(mapped, held) and told.losses == history.losses
    dataset.train.images[0] = 0  # the file is private


def test_a_large_part_stays_where_it_is_and_its_batches_go_to_the_device(original, on_disk):
    part = load(original, size=16).train
    there = part.to(torch.device("meta"))
    assert there.images is part.images and there.labels.is_meta
    small = replace(part, images=part.images[:1], labels=part.labels[:1])
    assert small.to(torch.device("meta")).images.is_meta


def test_a_full_disk_is_told_of_in_a_sentence_and_nothing_is_left(original, on_disk, monkeypatch):
    make = loading.TemporaryFile

    def small(**how):
        file = make(**how)
        full = OSError(errno.ENOSPC, "No space left on device")

        class Full:
            def write(self, content):
                raise full

            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

        return Full()

    monkeypatch.setattr(loading, "TemporaryFile", small)
    words = "No space left on device", str(on_disk), "INCEPTION_EDU_DATA", "42 photos"
    refused(OSError, lambda: load(original, size=16), *words)
    assert list(on_disk.iterdir()) == []


def test_it_is_told_how_many_photos_are_read_where_that_takes_long(original, monkeypatch, capsys):
    monkeypatch.setattr(loading, "MANY", 20)
    load(original, size=16)
    assert (
        capsys.readouterr().out == "".join(f"\r{n} of 42 photos read" for n in (20, 40, 42)) + "\n"
    )
    monkeypatch.setenv("RANK", "1")
    load(original, size=16)
    monkeypatch.setattr(loading, "MANY", 43), monkeypatch.setenv("RANK", "0")
    load(original, size=16)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs links, and memory by process")
def test_photos_take_no_more_memory_than_their_pixels(tmp_path):
    def used():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for k in range(2):
        Image.new("RGB", (320, 240), (60 + 90 * k, 99, 99)).save(tmp_path / f"{k}.jpg")
        (tmp_path / f"set/class{k}").mkdir(parents=True)
        for i in range(300):
            os.link(tmp_path / f"{k}.jpg", tmp_path / f"set/class{k}/{i}.jpg")
    before = used()
    dataset = load(tmp_path / "set", size=224)
    held = (len(dataset.train) + len(dataset.valid)) * 3 * 224 * 224
    assert held == 600 * 3 * 224 * 224 and used() - before < 1.5 * held
