"""Streamed folders: the same whatever the number of processes, and no file ends a run."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from conftest import refused
from inception_edu.data import Split, load, mean_and_std, streams
from inception_edu.data.folders import split
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


def network(seed=0, **how):
    torch.manual_seed(seed)
    like = dict(num_classes=3, aux=True, width=1 / 16)
    return GoogLeNet("small", **like | how)


def recipe(**how):
    return Recipe(**dict(epochs=3, batch_size=8, lr=0.05, precision="float32") | how)


def run(folder, workers=0, told=None, **how):
    dataset = load(folder, size=16)
    dataset = replace(dataset, train=replace(dataset.train, workers=workers))
    model = network()
    watch = how.pop("watch", silent)
    history = fit(model, dataset, told or recipe(), device="cpu", watch=watch, **how)
    return model, history, dataset


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def drawn(part, n, size=8, **how):
    batches = part.shuffled(size, **HOW | how)
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
    assert load(original).train.size == 64 and dataset.resized(224).test.resize == 256


def test_batches_hold_the_normalised_middle_of_every_photo_in_order(original):
    part = load(original, size=16).valid
    x, labels = (torch.cat(found) for found in zip(*part.batches(4), strict=True))
    pixels = [np.asarray(middle(Image.open(path), 16, 18)) for path in part.paths]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    assert torch.equal(x, Split(images, labels, part.mean, part.std).batch(slice(None))[0])
    assert torch.equal(labels, part.labels) and [len(y) for _, y in part.batches(4)] == [4, 4, 1]
    one, label = part.batch(slice(2, 3))
    assert torch.equal(one[0], x[2]) and label == part.labels[2:3]


def test_mean_and_std_are_those_of_what_is_cut_from_the_training_photos(original):
    dataset = load(original, size=16)
    pixels = [np.asarray(middle(Image.open(path), 16, 18)) for path in dataset.train.paths]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    assert (dataset.mean, dataset.std) == mean_and_std(images)
    assert dataset.valid.mean == dataset.test.mean == dataset.mean
    x = torch.cat([x for x, _ in dataset.train.batches(8)])
    assert x.mean((0, 2, 3)).abs().max() < 1e-5 and (x.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_limit_keeps_a_balanced_part_of_train_and_valid(original):
    dataset = load(original, size=16, limit=16)
    assert len(dataset.train) + len(dataset.valid) == 16 and len(dataset.test) == 9
    counts = dataset.train.labels.bincount(minlength=3)
    assert counts.max() - counts.min() <= 1
    assert set(dataset.train.paths) < set(load(original, size=16).train.paths)
    refused(ValueError, lambda: load(original, limit=3), "limit", "from 4 to 33, got 3")


def test_folders_that_are_not_split_are_refused_with_what_makes_them(folder, original):
    refused(
        ValueError, lambda: load(original.parent / "all"), "inception_edu split", "train and valid"
    )
    refused(ValueError, lambda: load(original, valid=10), "valid is a part", "leave it out")
    refused(ValueError, lambda: load(original, size=-1), "size", "got -1")
    refused(ValueError, lambda: load("no/such/folder"), "or of a folder", "no/such/folder")
    (folder / "valid/pink").mkdir()
    refused(ValueError, lambda: load(folder), "class 'pink' that train does not have")
    (folder / "valid/pink").rmdir(), shutil.rmtree(folder / "test")
    assert load(folder).test is None
    for path in (folder / "train/red").iterdir():
        path.write_bytes(b"")
    refused(ValueError, lambda: load(folder), "no photo of class 'red'", "train")
    shutil.rmtree(folder / "train/red"), shutil.rmtree(folder / "train/green")
    shutil.rmtree(folder / "valid")
    refused(ValueError, lambda: load(folder), "must hold the folders train and valid")


def test_photos_that_cannot_be_read_are_left_out_with_the_reason(folder):
    bad = folder / "train/red/bad.jpg"
    bad.write_bytes(b"")
    (folder / "valid/red/text.png").write_text("no photo")
    dataset = load(folder, size=16)
    assert dataset.train.skipped == {str(bad): "is empty"} and len(dataset.train) == 24
    assert [Path(path).name for path in dataset.valid.skipped] == ["text.png"]
    assert dataset.train.to("cpu").skipped is dataset.train.skipped


# --- what is drawn


def test_training_draws_random_crops_and_evaluation_the_middle(original):
    part = load(original, size=16).train
    ((x, labels),) = drawn(part, 1, size=24)
    middles = torch.cat([x for x, _ in part.batches(8)])
    assert sorted(labels.tolist()) == sorted(part.labels.tolist())
    assert not any(torch.equal(a, b) for a in x for b in middles)
    ((x, _),) = drawn(part, 1, size=24, shift=0, flip=False)
    assert all(any(torch.equal(a, b) for b in middles) for a in x)
    ((x, _),) = drawn(part, 1, size=24, shift=0, flip=True)
    kept = sum(any(torch.equal(a, b) for b in middles) for a in x)
    turned = sum(any(torch.equal(a.flip(2), b) for b in middles) for a in x)
    assert kept + turned == 24 and 4 < kept < 20


def test_every_epoch_shows_each_photo_once_and_each_time_anew(original):
    part = load(original, size=16).train
    x = torch.stack([torch.cat([x for x, _ in drawn(part, 6)[k : k + 3]]) for k in (0, 3)])
    counts = [torch.cat([y for _, y in drawn(part, 6)[k : k + 3]]).bincount() for k in (0, 3)]
    assert counts[0].tolist() == counts[1].tolist() == [8, 8, 8]
    assert not any(torch.equal(a, b) for a in x[0] for b in x[1])


def test_draws_depend_on_seed_epoch_and_photo_alone(original):
    part = load(original, size=16).train
    first = drawn(part, 7)
    torch.manual_seed(5)
    assert equal(first, drawn(part, 7))
    assert equal(first, drawn(replace(part, workers=1), 7))
    assert equal(first, drawn(replace(part, workers=2), 7))
    assert not equal(first, drawn(part, 7, seed=1))


def test_drawing_leaves_the_global_random_state_alone(original):
    part = load(original, size=16).train
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for workers in (0, 1):
        drawn(replace(part, workers=workers), 2)
        list(replace(part, workers=workers).batches(8))
    assert torch.equal(torch.get_rng_state(), state)


def test_two_processes_share_every_batch_of_one(original):
    part = load(original, size=16).train
    alone = drawn(part, 5)
    shares = [drawn(part, 5, rank=rank, world=2) for rank in (0, 1)]
    for (x, y), *both in zip(alone, *shares, strict=True):
        for rank, (a, b) in enumerate(both):
            assert torch.equal(x[rank::2], a) and torch.equal(y[rank::2], b)


def test_batches_go_on_from_a_saved_state(original):
    part = load(original, size=16).train
    batches = part.shuffled(8, **HOW)
    before = [batches.draw() for _ in range(4)]
    again = part.shuffled(8, **HOW)
    again.draw()
    again.load_state_dict(batches.state_dict())
    after = [again.draw() for _ in range(4)]
    assert equal(before + after, drawn(part, 8))


def test_what_workers_get_can_be_sent_to_them(original):
    part = load(original, size=16).train
    reader = pickle.loads(pickle.dumps(streams.Reader(part, 3, crop=True, flip=True)))
    mine = streams.Reader(part, 3, crop=True, flip=True)
    assert np.array_equal(reader[1, 5][0], mine[1, 5][0])
    assert not np.array_equal(reader[1, 5][0], mine[2, 5][0])


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_workers_start_on_every_system(original, start, monkeypatch):
    if start not in streams.multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    monkeypatch.setattr(streams, "START", start)
    part = load(original, size=16).train
    assert equal(drawn(part, 2), drawn(replace(part, workers=1), 2))


def test_the_number_of_workers_follows_from_cores_and_photos(monkeypatch):
    def count(cores, photos, world="1"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", world)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(cores), raising=False)
        return streams.worker_count(photos)

    assert [count(cores, 20_000) for cores in (1, 2, 4, 16, 96)] == [0, 1, 2, 8, 8]
    assert [count(16, photos) for photos in (10, 63, 64, 300)] == [0, 0, 1, 4]
    assert [count(8, 20_000, world) for world in "1248"] == [4, 2, 1, 0]


# --- files that break while they are used


def test_a_photo_that_breaks_while_it_is_trained_on_is_replaced_and_named(folder):
    part = load(folder, size=16).train
    whole = torch.cat([x for x, _ in drawn(part, 3)])
    gone, cut = Path(part.paths[3]), Path(part.paths[20])
    gone.unlink(), cut.write_bytes(cut.read_bytes()[:200])
    batches = drawn(part, 3)
    assert [len(y) for _, y in batches] == [8, 8, 8]
    x = torch.cat([x for x, _ in batches])
    assert sum(not torch.equal(a, b) for a, b in zip(x, whole, strict=True)) == 2
    assert part.skipped[str(gone)] == "is not there" and "cut off" in part.skipped[str(cut)]
    assert len(part.skipped) == 2 and equal(batches, drawn(part, 3))


def test_a_photo_that_breaks_is_left_out_of_an_evaluation(folder):
    dataset = load(folder, size=16)
    model = network()
    assert len(evaluate(model, dataset.valid, device="cpu").logits) == 9
    Path(dataset.valid.paths[0]).unlink()
    found = evaluate(model, dataset.valid, device="cpu")
    assert len(found.logits) == 8 and list(dataset.valid.skipped) == [dataset.valid.paths[0]]
    right = found.logits.argmax(1) == dataset.valid.labels[1:]
    assert found.accuracy == pytest.approx(right.double().mean().item())
    assert len(dataset.valid.batch(slice(0, 1))[1]) == 1


def test_a_run_goes_on_when_photos_vanish_in_the_middle_of_it(folder):
    dataset_seen = []

    def vanish(history, done):
        if history.step >= 3 and not dataset_seen:
            for part in ("train", "valid"):
                path = next((folder / part / "green").iterdir())
                path.write_bytes(path.read_bytes()[:100])
                dataset_seen.append(str(path))

    _, history, dataset = run(folder, workers=1, watch=vanish, told=recipe(epochs=6))
    assert history.step == 18 and not history.stopped and len(dataset_seen) == 2
    assert {*dataset.train.skipped, *dataset.valid.skipped} == set(dataset_seen)


def test_a_folder_that_vanishes_is_told_of_in_a_sentence(folder):
    dataset = load(folder, size=16)
    shutil.rmtree(folder)
    refused(OSError, lambda: drawn(dataset.train, 1), "cannot be read any more")
    refused(OSError, lambda: list(dataset.valid.batches(4)), "cannot be read any more")


def test_workers_end_with_the_batches_they_work_for(original):
    part = replace(load(original, size=16).train, workers=1)
    batches = part.shuffled(4, **HOW)
    batches.draw()
    assert len(multiprocessing.active_children()) == 1
    del batches
    assert len(list(part.batches(4))) == 6
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_is_told_of_in_a_sentence(original):
    batches = replace(load(original, size=16).train, workers=1).shuffled(4, **HOW)
    batches.draw()
    (worker,) = multiprocessing.active_children()
    worker.kill()

    def draw():
        for _ in range(9):  # some were made before
            batches.draw()

    refused(OSError, draw, "a process that reads photos ended", "memory")


# --- whole runs


def test_the_number_of_workers_does_not_change_a_run(original):
    one, history, _ = run(original)
    two, again, _ = run(original, workers=2)
    assert same(one, two) and history.losses == again.losses
    assert history.rows[-1]["valid_loss"] == again.rows[-1]["valid_loss"]
    other, _, _ = run(original, told=recipe(seed=1))
    assert not same(one, other)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_was_interrupted_and_resumed_is_the_uninterrupted_one(
    original, tmp_path, workers
):
    whole, history, _ = run(original, workers=workers)
    stops = []

    def stop(seen, done):
        if seen.step == 6 and not done and not stops:
            stops.append(seen.step)
            raise KeyboardInterrupt

    _, cut, _ = run(original, workers=workers, watch=stop, out=tmp_path)
    assert cut.stopped and cut.step < history.step
    resumed, again, _ = run(original, workers=workers, out=tmp_path, resume=tmp_path / "last.pt")
    assert same(whole, resumed) and history.losses == again.losses


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
    assert max(Watch.seen) <= 2**19 and len(Watch.seen) == 9


# --- memory

MEMORY = """
import sys, torch
from psutil import Process
from inception_edu.data import load

def used():
    me = Process()
    return sum(p.memory_full_info().pss for p in [me, *me.children(recursive=True)]) // 2**20

if __name__ == "__main__":
    torch.set_num_threads(1)
    start = used()
    part = load(sys.argv[1], size=224).train
    batches = part.shuffled(32, seed=0, shift=2, flip=True, rank=0, world=1)
    for step in range(len(part) // 32):
        batches.draw()
        if step == 5:
            early = used()
    print(len(part), early - start, used() - early)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs links, and memory by process")
def test_memory_stays_flat_over_many_photos(tmp_path):
    pytest.importorskip("psutil")
    for k in range(2):
        Image.new("RGB", (320, 240), (60 + 90 * k, 99, 99)).save(tmp_path / f"{k}.jpg")
        for part, count in dict(train=320, valid=4).items():
            (tmp_path / "parts" / part / f"class{k}").mkdir(parents=True)
            for i in range(count):
                os.symlink(tmp_path / f"{k}.jpg", tmp_path / f"parts/{part}/class{k}/{i}.jpg")
    (tmp_path / "script.py").write_text(MEMORY)
    env = os.environ | dict(PYTHONPATH=str(Path(__file__).parents[1]), OMP_NUM_THREADS="1")
    command = [sys.executable, tmp_path / "script.py", tmp_path / "parts"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    photos, before, after = map(int, done.stdout.split())
    # Another 448 photos are 67 MB as they are decoded, 270 MB as the network takes them.
    assert photos == 640 and before < 600 and after < 40
