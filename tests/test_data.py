import gzip
import hashlib
import io
import pickle
import socket
import struct
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from inception_edu import data
from inception_edu.data import (
    Batches,
    Split,
    augment,
    load,
    mean_and_std,
    random_crops,
    sources,
)

SHIPPED = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing is reached, and what a test asks for is seen: the list of addresses tried."""
    tried = []

    def refuse(request, *args, **kwargs):
        tried.append(getattr(request, "full_url", request))
        raise urllib.request.URLError("no network in a test")

    def refuse_connection(*args):
        raise OSError("no network in a test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse_connection)
    monkeypatch.delenv("INCEPTION_EDU_DATA", raising=False)
    return tried


@pytest.fixture(scope="module")
def fashion():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("INCEPTION_EDU_DATA", raising=False)
        return load("fashion_mnist")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Fashion-MNIST as torchvision itself unpacks and reads it: the independent route."""
    raw = tmp_path_factory.mktemp("torchvision") / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for file in (SHIPPED / "FashionMNIST/raw").glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    root = raw.parents[1]
    return [datasets.FashionMNIST(root, train=train) for train in (True, False)]


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def snapshot(folder: Path) -> dict:
    return {p: p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def sentence(error) -> str:
    """The message, which must be one sentence on one line."""
    message = str(error.value)
    assert "\n" not in message and not message.endswith("."), message
    return message


def sorted_rows(images: torch.Tensor) -> np.ndarray:
    rows = images.flatten(1).numpy()
    return rows[np.lexsort(rows.T[::-1])]


# Small data sets in each layout


def arrays(n=40, n_test=20, k=4, shape=(6, 5), seed=0) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (n, *shape), np.uint8),
        "y_train": np.arange(n, dtype=np.uint8) % k,
        "x_test": rng.integers(0, 256, (n_test, *shape), np.uint8),
        "y_test": np.arange(n_test, dtype=np.uint8) % k,
    }


@pytest.fixture
def npz(tmp_path):
    def write(**changed) -> Path:
        held = {key: a for key, a in {**arrays(), **changed}.items() if a is not None}
        np.savez(tmp_path / "own.npz", **held)
        return tmp_path / "own.npz"

    return write


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def mnist_files(source: type, monkeypatch, seed=0) -> dict[str, bytes]:
    """A tiny MNIST's four files, whose checksums torchvision's class is made to expect."""
    held = arrays(k=10, shape=(28, 28), seed=seed)
    names = [name for name, _ in source.resources]
    keys = ("x_train", "y_train", "x_test", "y_test")
    files = {name: idx(held[key]) for name, key in zip(names, keys, strict=True)}
    expected = [(name, md5(content)) for name, content in files.items()]
    monkeypatch.setattr(source, "resources", expected)
    return files


def cifar_files(monkeypatch) -> dict[str, bytes]:
    held, source = arrays(n=50, n_test=10, k=10, shape=(3, 32, 32)), datasets.CIFAR10
    parts = [(held["x_train"][i::5], held["y_train"][i::5]) for i in range(5)]
    files = {
        name: pickle.dumps({"data": x.reshape(len(x), -1), "labels": y.tolist()}, 2)
        for (name, _), (x, y) in zip(
            [*source.train_list, *source.test_list],
            [*parts, (held["x_test"], held["y_test"])],
            strict=True,
        )
    }
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")}, 2)
    sums = {name: md5(content) for name, content in files.items()}
    monkeypatch.setattr(source, "train_list", [[n, sums[n]] for n, _ in source.train_list])
    monkeypatch.setattr(source, "test_list", [[n, sums[n]] for n, _ in source.test_list])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": sums["batches.meta"]})
    return files


def eurosat_files(monkeypatch, per_class=6) -> dict[str, bytes]:
    """Two classes of one colour each, so that label and picture can be compared."""
    monkeypatch.setattr(sources, "EUROSAT_IMAGES", 2 * per_class)
    monkeypatch.setattr(sources, "EUROSAT_TEST", 4)
    files = {}
    for name, red in (("AnnualCrop", 40), ("River", 200)):
        for i in range(per_class):
            buffer = io.BytesIO()
            Image.new("RGB", (64, 64), (red, 10 * i, 0)).save(buffer, "JPEG", quality=95)
            files[f"{name}/{name}_{i}.jpg"] = buffer.getvalue()
    return files


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "data sets"
    folder.mkdir()
    monkeypatch.setenv("INCEPTION_EDU_DATA", str(folder))
    return folder


def serve(monkeypatch, files: dict[str, bytes]):
    """urlopen answers from files, whatever server is asked."""
    asked = []

    class Answer(io.BytesIO):
        def __init__(self, url):
            asked.append(url)
            super().__init__(files[url.rsplit("/", 1)[1]])
            self.url, self.length = url, len(self.getvalue())

    monkeypatch.setattr(urllib.request, "urlopen", lambda request, **_: Answer(request.full_url))
    return asked


# Fashion-MNIST as shipped


def test_shipped_files_are_what_torchvision_expects():
    for name, expected in datasets.FashionMNIST.resources:
        assert md5((SHIPPED / "FashionMNIST/raw" / name).read_bytes()) == expected
    assert "Expat" in (SHIPPED / "FashionMNIST/LICENSE.txt").read_text()


def test_readme_lists_the_sizes_and_checksums_of_the_shipped_files():
    text = (SHIPPED / "README.md").read_text()
    for name, expected in datasets.FashionMNIST.resources:
        size = (SHIPPED / "FashionMNIST/raw" / name).stat().st_size
        assert f"| `{name}` | {size:,} | `{expected}` |" in text


def test_fashion_mnist_has_55_000_train_5_000_valid_and_10_000_test_images(fashion):
    for split, n in ((fashion.train, 55_000), (fashion.valid, 5_000), (fashion.test, 10_000)):
        assert len(split) == n
        assert split.images.shape == (n, 1, 28, 28) and split.images.dtype == torch.uint8
        assert split.labels.shape == (n,) and split.labels.dtype == torch.int64
    assert fashion.name == "fashion_mnist"
    assert fashion.classes[0] == "T-shirt/top" and fashion.classes[9] == "Ankle boot"


def test_test_part_equals_what_torchvision_reads(fashion, original):
    assert torch.equal(fashion.test.images[:, 0], original[1].data)
    assert torch.equal(fashion.test.labels, original[1].targets)


def test_train_and_valid_together_are_the_60_000_training_images_with_their_labels(
    fashion, original
):
    ours = torch.cat([fashion.train.images, fashion.valid.images]).flatten(1)
    labels = torch.cat([fashion.train.labels, fashion.valid.labels])
    # A fingerprint of each picture and its label: whole numbers below 2**53, so exact.
    weights = torch.randint(0, 2**30, (784,), generator=torch.Generator().manual_seed(1)).double()
    mine = (ours.double() @ weights) * 10 + labels
    theirs = (original[0].data.flatten(1).double() @ weights) * 10 + original[0].targets
    assert torch.equal(mine.sort().values, theirs.sort().values)
    assert not torch.equal(mine, theirs)


def test_mean_and_std_are_those_of_the_training_part_only(fashion):
    pixels = fashion.train.images.numpy()
    mean, std = pixels.mean(dtype=np.float64) / 255, pixels.std(dtype=np.float64) / 255
    assert fashion.mean == pytest.approx([mean], abs=1e-12)
    assert fashion.std == pytest.approx([std], abs=1e-12)
    whole = torch.cat([fashion.train.images, fashion.valid.images]).numpy().mean() / 255
    assert abs(fashion.mean[0] - whole) > 1e-6
    for split in (fashion.train, fashion.valid, fashion.test):
        assert (split.mean, split.std) == (fashion.mean, fashion.std)


def test_mean_and_std_keep_channels_apart():
    images = torch.randint(0, 256, (7, 3, 5, 4), dtype=torch.uint8)
    images[:, 2] = 51
    mean, std = mean_and_std(images)
    pixels = images.double() / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert std[:2] == pytest.approx(pixels.std((0, 2, 3), correction=0)[:2].tolist(), abs=1e-12)
    assert std[2] == 1.0  # one colour: nothing to divide by
    assert all(isinstance(value, float) for value in mean + std)


def test_loading_fashion_mnist_leaves_the_folder_as_it_was():
    before = {p: p.stat().st_mtime_ns for p in SHIPPED.rglob("*")}
    load("fashion_mnist")
    assert {p: p.stat().st_mtime_ns for p in SHIPPED.rglob("*")} == before


def test_shown_dataset_does_not_print_its_pixels(fashion):
    assert len(repr(fashion)) < 1000 and "tensor" not in repr(fashion)


# Splits and limits


def test_parts_are_balanced_to_within_one_image_a_class(fashion):
    assert fashion.valid.labels.bincount().tolist() == [500] * 10
    assert fashion.train.labels.bincount().tolist() == [5500] * 10


@pytest.mark.parametrize("limit", [6007, 1000, 33])
def test_limit_keeps_a_balanced_subset_of_train_and_of_valid(fashion, limit):
    small = load("fashion_mnist", limit=limit)
    assert len(small.valid) == limit * 5000 // 60000
    assert len(small.train) + len(small.valid) == limit
    for part in ("train", "valid"):
        counts = getattr(small, part).labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= 1
        whole = {row.tobytes() for row in getattr(fashion, part).images.numpy()}
        assert {row.tobytes() for row in getattr(small, part).images.numpy()} <= whole
    assert torch.equal(small.test.images, fashion.test.images)
    assert small.mean == mean_and_std(small.train.images)[0] != fashion.mean


def test_limit_of_6_000_gives_500_valid_and_5_500_train():
    small = load("fashion_mnist", limit=6000)
    assert (len(small.train), len(small.valid), len(small.test)) == (5500, 500, 10_000)


def test_smaller_limits_are_nested_in_larger_ones(npz):
    file = npz()
    parts = [load(file, valid=9, limit=limit) for limit in range(1, 41)]
    for smaller, larger in zip(parts, parts[1:], strict=False):
        for part in ("train", "valid"):
            images = getattr(smaller, part).images
            assert torch.equal(getattr(larger, part).images[: len(images)], images)
    assert (len(parts[0].train), len(parts[0].valid)) == (1, 0)
    assert (len(parts[-1].train), len(parts[-1].valid)) == (31, 9)


def test_same_seed_gives_the_same_split_whatever_the_global_seed(npz):
    file = npz()
    torch.manual_seed(1)
    first = load(file, valid=8, seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = load(file, valid=8, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.train.images, second.train.images)
    assert not torch.equal(first.train.images, load(file, valid=8, seed=4).train.images)
    assert torch.equal(first.test.images, load(file, valid=8, seed=4).test.images)


def test_images_keep_their_labels(npz):
    held = arrays(k=4, shape=(6, 5))
    held["x_train"][:, 0, 0] = held["y_train"] * 50
    held["x_test"][:, 0, 0] = held["y_test"] * 50
    own = load(npz(**held), valid=8)
    for split in (own.train, own.valid, own.test):
        assert torch.equal(split.images[:, 0, 0, 0].long(), split.labels * 50)
        assert len(split.labels.unique()) == 4


def test_valid_may_be_0_and_its_batches_then_say_so(npz):
    own = load(npz(), valid=0)
    assert len(own.valid) == 0 and len(own.train) == 40
    with pytest.raises(ValueError) as error:
        own.valid.batches(10, "cpu")
    assert "no images" in sentence(error)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"limit": 41}, ValueError, "limit must be a whole number from 1 to 40, got 41"),
        ({"limit": 0}, ValueError, "limit must be a whole number from 1 to 40, got 0"),
        ({"limit": -3}, ValueError, "got -3"),
        ({"limit": 10.0}, TypeError, "limit must be a whole number from 1 to 40, got 10.0"),
        ({"limit": True}, TypeError, "got True"),
        ({"limit": "all"}, TypeError, "got 'all'"),
        ({"valid": 40}, ValueError, "valid must be a whole number from 0 to 39, got 40"),
        ({"valid": -1}, ValueError, "got -1"),
        ({"valid": 0.1}, TypeError, "got 0.1"),
        ({"valid": 38}, ValueError, "valid must leave images of class '0' to train on, got 38"),
        ({"seed": -1}, ValueError, "seed must be a whole number from 0"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number"),
    ],
)
def test_bad_limit_valid_and_seed_are_named(npz, options, kind, words):
    with pytest.raises(kind) as error:
        load(npz(), **{"valid": 8, **options})
    assert words in sentence(error)


@pytest.mark.parametrize(
    "name", ["imagenet", "Fashion-MNIST", "", None, 3, ["mnist"], Path("/none")]
)
def test_unknown_name_lists_what_is_known(name):
    with pytest.raises(ValueError) as error:
        load(name)
    message = sentence(error)
    assert repr(str(name)) in message
    assert all(known in message for known in ("fashion_mnist, mnist, cifar10, eurosat", ".npz"))


# Batches and augmentation


def test_batch_is_normalised_by_the_training_parts_mean_and_std(fashion):
    index = torch.tensor([5, 0, 54_999])
    x, labels = fashion.train.batch(index, "cpu")
    by_hand = (fashion.train.images[index].double() / 255 - fashion.mean[0]) / fashion.std[0]
    assert x.dtype == torch.float32 and x.shape == (3, 1, 28, 28)
    assert torch.allclose(x.double(), by_hand, atol=1e-5)
    assert torch.equal(labels, fashion.train.labels[index])
    assert not torch.equal(x, fashion.train.batch(index.flip(0), "cpu")[0])


def test_batch_normalises_each_channel_by_its_own_numbers_and_leaves_the_images_alone():
    images = torch.randint(0, 256, (4, 3, 2, 2), dtype=torch.uint8)
    split = Split(images.clone(), torch.arange(4), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    x, _ = split.batch(slice(0, 4))
    for c in range(3):
        by_hand = (images[:, c] / 255 - split.mean[c]) / split.std[c]
        assert torch.allclose(x[:, c], by_hand, atol=1e-6)
    assert torch.equal(split.images, images)


def test_batches_give_every_image_once_in_order():
    split = Split(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.arange(10), (0.0,), (1.0,))
    batches = list(split.batches(4, "cpu"))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(10))


def test_empty_batch_and_bad_size_are_named():
    split = Split(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3), (0.0,), (1.0,))
    for index in (torch.tensor([], dtype=torch.int64), slice(3, 9)):
        with pytest.raises(ValueError) as error:
            split.batch(index, "cpu")
        assert "at least one of 3 images" in sentence(error)
    for size, kind in ((0, ValueError), (-1, ValueError), (2.0, TypeError)):
        with pytest.raises(kind) as error:
            split.batches(size, "cpu")
        assert "size must be a whole number of at least 1" in sentence(error)


def moved(x: torch.Tensor, down: int, right: int, flip: bool) -> torch.Tensor:
    """Augmented by another route: pad with the edge, cut out, flip."""
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    h, w = x.shape[2:]
    cut = padded[:, :, 2 + down : 2 + down + h, 2 + right : 2 + right + w]
    return cut.flip(3) if flip else cut


@pytest.mark.parametrize("c", [1, 3])
def test_augmented_images_are_shifts_and_flips_of_the_originals_and_all_kinds_occur(c):
    x = torch.randn(1000, c, 9, 7)
    out = augment(x, torch.Generator().manual_seed(0))
    assert out.shape == x.shape and out.dtype == x.dtype
    kinds = [(d, r, f) for d in range(-2, 3) for r in range(-2, 3) for f in (False, True)]
    equal = torch.stack([(moved(x, *kind) == out).flatten(1).all(1) for kind in kinds])
    assert (equal.sum(0) == 1).all()  # each image is one of the 50 kinds,
    assert equal.sum(1).min() > 5  # and none of the kinds is rare
    assert 430 < equal[1::2].sum() < 570


def test_augmentation_draws_from_its_own_generator_only():
    x = torch.randn(32, 1, 8, 8)
    first = augment(x, torch.Generator().manual_seed(5))
    torch.manual_seed(9)
    state = torch.get_rng_state()
    assert torch.equal(first, augment(x, torch.Generator().manual_seed(5)))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, augment(x, torch.Generator().manual_seed(6)))


def test_shift_and_flip_can_be_turned_off():
    x = torch.randn(64, 1, 8, 8)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(augment(x, generator, shift=0, flip=False), x)
    flipped = augment(x, generator, shift=0)
    same = [torch.equal(a, b) for a, b in zip(flipped, x, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, x, strict=True)]
    assert 0 < sum(same) < 64 and sum(same) + sum(mirrored) == 64


@pytest.mark.parametrize(("shift", "kind"), [(-1, ValueError), (8, ValueError), (1.5, TypeError)])
def test_bad_shift_is_named(shift, kind):
    with pytest.raises(kind) as error:
        augment(torch.zeros(2, 1, 8, 9), torch.Generator(), shift=shift)
    assert f"shift must be a whole number from 0 to 7, got {shift}" in sentence(error)


SIDE = 40  # pixels of the ramps


def ramps(n: int) -> torch.Tensor:
    """Images whose channels hold the row, the column, and noise: (n, 3, SIDE, SIDE)."""
    places = torch.arange(SIDE).float()
    noise = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    one = torch.stack([places[:, None].expand(-1, SIDE), places.expand(SIDE, -1), noise])
    return one.expand(n, -1, -1, -1)


def crops(n: int = 2000, seed: int = 0, **how) -> torch.Tensor:
    return random_crops(ramps(n), torch.Generator().manual_seed(seed), **how)


def test_crops_have_the_areas_aspects_and_places_of_the_paper_and_half_are_mirrored():
    rows, columns, _ = crops().double().unbind(1)
    (
        high,
        wide,
    ) = (  # as shares of the image, from the steps in the middle, where nothing is repeated
        (rows[:, 21, 9] - rows[:, 18, 9]) / 3,
        (columns[:, 9, 21] - columns[:, 9, 18]) / 3,
    )
    area, aspect = high * wide.abs(), wide.abs() / high
    assert 0.079 < area.min() < 0.085 and area.max() < 1.001 and high.max() < 1.001
    assert aspect.min() > 0.749 and aspect.max() < 1.334
    assert area.mean().item() == pytest.approx(0.54, abs=0.02)  # evenly from 0.08 to 1
    assert (area < 0.31).double().mean().item() == pytest.approx(0.25, abs=0.04)
    assert aspect[area < 0.5].log().mean().item() == pytest.approx(0, abs=0.02)
    assert (aspect[area < 0.5] > 1.25).double().mean() > 0.08
    assert (wide < 0).double().mean().item() == pytest.approx(0.5, abs=0.04)
    assert (crops(flip=False)[:, 1, 9, 21] > crops(flip=False)[:, 1, 9, 18]).all()
    middle = rows[:, 19:21, 9].mean(1) + 0.5  # of the crop, of which nothing lies outside the image
    assert (middle - SIDE * high / 2).min() > -1e-3 and (
        middle + SIDE * high / 2
    ).max() < SIDE + 1e-3
    free = (middle / SIDE - high / 2)[area < 0.9] / (1 - high[area < 0.9])
    assert free.mean().item() == pytest.approx(0.5, abs=0.03) and free.std() > 0.25


def test_a_crops_pixels_are_those_of_the_image_bilinearly():
    out = crops(1000)
    rows, columns, found = out.double().unbind(1)
    noise = ramps(1)[0, 2].double()
    top, left = rows.floor().long().clamp(max=SIDE - 2), columns.floor().long().clamp(max=SIDE - 2)
    down, right = rows - top, columns - left
    by_hand = (1 - down) * ((1 - right) * noise[top, left] + right * noise[top, left + 1])
    by_hand += down * ((1 - right) * noise[top + 1, left] + right * noise[top + 1, left + 1])
    assert torch.allclose(found, by_hand, atol=1e-3) and found.std() > 0.5
    assert rows.min() >= 0 and rows.max() <= SIDE - 1


def test_crops_depend_on_their_own_generator_and_are_shared_by_processes():
    torch.manual_seed(9)
    state = torch.get_rng_state()
    whole = crops(32)
    assert torch.equal(whole, crops(32)) and not torch.equal(whole, crops(32, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    for rank in (0, 1):
        assert torch.equal(whole[rank::2], crops(16, rank=rank, world=2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_cuts_out_the_same():
    on_gpu = random_crops(ramps(64).cuda(), torch.Generator().manual_seed(0))
    assert torch.allclose(on_gpu.cpu(), crops(64), atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_batches_and_the_same_draws(fashion):
    index = torch.arange(64)
    x, labels = fashion.train.batch(index, "cuda")
    assert x.is_cuda and labels.is_cuda
    on_gpu = augment(x, torch.Generator().manual_seed(0)).cpu()
    on_cpu = augment(fashion.train.batch(index, "cpu")[0], torch.Generator().manual_seed(0))
    assert torch.allclose(on_gpu, on_cpu, atol=1e-6)


# A .npz of one's own


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3)])
def test_npz_in_keras_layout_is_a_data_set(npz, shape):
    held = arrays(shape=shape)
    held["y_train"] = held["y_train"][:, None].astype(np.int64)
    own = load(npz(**held), valid=8)
    pixels = torch.from_numpy(held["x_test"].reshape(20, 6, 5, -1)).permute(0, 3, 1, 2)
    assert torch.equal(own.test.images, pixels) and own.test.images.is_contiguous()
    together = torch.cat([own.train.images, own.valid.images])
    pixels = torch.from_numpy(held["x_train"].reshape(40, 6, 5, -1)).permute(0, 3, 1, 2)
    assert np.array_equal(sorted_rows(together), sorted_rows(pixels))
    assert own.test.labels.tolist() == held["y_test"].tolist()
    assert own.name == "own" and own.classes == ("0", "1", "2", "3")
    assert len(own.mean) == pixels.shape[1]


def test_npz_is_found_by_text_by_path_and_from_the_home_folder(npz, monkeypatch):
    file = npz()
    monkeypatch.setenv("HOME", str(file.parent))
    monkeypatch.setenv("USERPROFILE", str(file.parent))
    for name in (str(file), file, "~/own.npz"):
        assert len(load(name, valid=8).train) == 32


def test_absent_npz_is_named_with_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as error:
        load("absent.npz")
    assert str(tmp_path / "absent.npz") in sentence(error)


BAD_ARRAYS = [
    ({"x_test": None}, "must be x_train, y_train, x_test, y_test, got x_train, y_train, y_test"),
    ({k: None for k in arrays()} | {"a": np.zeros(3)}, "got none of these"),
    ({"x_train": np.zeros((40, 6, 5), np.float32)}, "x_train in", "uint8", "float32"),
    ({"x_test": np.zeros((20, 6, 5), np.int64)}, "x_test in", "uint8", "int64"),
    ({"x_train": np.zeros((40, 30), np.uint8)}, "x_train's shape", "got (40, 30)"),
    ({"x_train": np.zeros((40, 3, 6, 5), np.uint8)}, "x_train's shape", "(40, 3, 6, 5)"),
    ({"x_train": np.uint8(3)}, "x_train's shape", "got ()"),
    ({"x_train": np.zeros((0, 6, 5), np.uint8), "y_train": np.zeros(0, int)}, "n > 0, got (0,"),
    ({"x_test": np.zeros((0, 6, 5), np.uint8), "y_test": np.zeros(0, int)}, "x_test's", "n > 0"),
    ({"x_test": np.zeros((20, 6, 6), np.uint8)}, "x_test", "(6, 5) as in x_train, got (6, 6)"),
    ({"y_train": np.arange(39)}, "y_train's shape", "must be (40,), got (39,)"),
    ({"y_test": np.zeros((20, 4), np.uint8)}, "y_test's shape", "got (20, 4)"),
    ({"y_train": np.arange(40) % 4 / 1}, "y_train in", "integers, got float64"),
    ({"y_train": np.arange(40) % 4 + 1}, "y_train in", "0 to 3", "got 1 to 4"),
    ({"y_train": np.arange(40) % 4 - 1}, "y_train in", "0 to 3", "got -1 to 2"),
    ({"y_test": np.arange(20) % 5}, "y_test in", "0 to 3 (y_train has 4 classes), got 0 to 4"),
    ({"y_train": np.array([0, 1, None, 3] * 10)}, "whole .npz file of plain arrays"),
]


@pytest.mark.parametrize(("changed", *["words"]), [(c, w) for c, *w in BAD_ARRAYS])
def test_bad_npz_is_described_in_one_sentence(npz, changed, words):
    file = npz(**changed)
    with pytest.raises(ValueError) as error:
        load(file, valid=8)
    assert all(word in sentence(error) for word in [str(file), *words])


def test_files_that_are_no_npz_or_are_truncated_or_altered_are_named_and_closed(npz, tmp_path):
    whole = npz().read_bytes()
    altered = bytearray(whole)
    altered[whole.index(b"x_train") + 300] ^= 0xFF
    np.save(tmp_path / "single.npy", np.zeros(3))
    single = (tmp_path / "single.npy").read_bytes()
    contents = [b"", b"words", whole[: len(whole) // 2], whole[:-10], bytes(altered), single]
    for content in [*contents, pickle.dumps([1])]:
        file = put(tmp_path, {"bad.npz": content}) / "bad.npz"
        with pytest.raises(ValueError) as error:
            load(file, valid=8)
        assert f"{file} must be a whole .npz file" in sentence(error)


# Folders and files


def test_environment_variable_sets_the_data_folder(root, monkeypatch):
    put(root / "FashionMNIST/raw", mnist_files(datasets.FashionMNIST, monkeypatch))
    assert len(load("fashion_mnist", valid=10).train) == 30
    monkeypatch.setenv("INCEPTION_EDU_DATA", "")
    assert sources.data_folder() == SHIPPED


def test_without_the_repository_the_folder_is_a_cache_in_the_home_folder(tmp_path, monkeypatch):
    module = tmp_path / "site-packages/inception_edu/data/sources.py"
    monkeypatch.setattr(sources, "__file__", str(module))
    (tmp_path / "site-packages/data").mkdir(parents=True)  # somebody else's
    assert sources.data_folder() == Path.home() / ".cache" / "inception_edu"
    (tmp_path / "site-packages/data/FashionMNIST").mkdir()
    assert sources.data_folder() == tmp_path / "site-packages/data"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_layout_reads_the_gz_files_and_never_what_lies_unpacked_beside_them(
    root, monkeypatch, name
):
    source = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
    raw = put(root / source.__name__ / "raw", mnist_files(source, monkeypatch))
    for file, _ in source.resources:
        (raw / file.removesuffix(".gz")).write_bytes(b"half written")
    before = snapshot(root)
    small = load(name, valid=10)
    held = arrays(k=10, shape=(28, 28))
    assert np.array_equal(small.test.images[:, 0].numpy(), held["x_test"])
    assert small.test.labels.tolist() == held["y_test"].tolist()
    together = torch.cat([small.train.images, small.valid.images])
    assert np.array_equal(sorted_rows(together), sorted_rows(torch.from_numpy(held["x_train"])))
    assert small.classes == tuple(source.classes)
    assert snapshot(root) == before


def test_loading_from_a_read_only_folder_writes_nothing(root, monkeypatch):
    put(root / "MNIST/raw", mnist_files(datasets.MNIST, monkeypatch))

    def refuse(*args, **kwargs):
        raise PermissionError("read-only")

    for function in ("mkdir", "replace", "rename", "open", "remove", "symlink"):
        monkeypatch.setattr(sources.os, function, refuse)
    monkeypatch.setattr(sources.tempfile, "TemporaryDirectory", refuse)
    assert len(load("mnist", valid=10).train) == 30


@pytest.mark.parametrize("damage", ["truncated", "altered"])
@pytest.mark.parametrize("which", range(4))
def test_damaged_gz_is_named_not_read_and_not_replaced(
    root, monkeypatch, no_network, damage, which
):
    files = mnist_files(datasets.FashionMNIST, monkeypatch)
    name, expected = datasets.FashionMNIST.resources[which]
    content = files[name][:-1] if damage == "truncated" else files[name][:-1] + b"!"
    raw = put(root / "FashionMNIST/raw", {**files, name: content})
    before = snapshot(root)
    with pytest.raises(ValueError) as error:
        load("fashion_mnist", valid=10)
    message = sentence(error)
    assert all(word in message for word in (str(raw / name), expected, md5(content), "delete it"))
    assert "git checkout" in message
    assert snapshot(root) == before and no_network == []


def test_offline_error_names_the_missing_files_the_folder_and_what_works(
    root, monkeypatch, no_network
):
    files = mnist_files(datasets.MNIST, monkeypatch)
    kept, *missing = files
    put(root / "MNIST/raw", {kept: files[kept]})
    before = snapshot(root)
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", valid=10)
    message = sentence(error)
    assert all(f"MNIST/raw/{name}" in message for name in missing) and kept not in message
    assert all(word in message for word in (str(root), "network", "fashion_mnist", ".npz"))
    assert no_network, "no download was tried"
    assert snapshot(root) == before


@pytest.mark.parametrize(
    ("name", "missing"),
    [("cifar10", "cifar-10-batches-py/test_batch"), ("eurosat", "eurosat/2750")],
)
def test_cifar10_and_eurosat_say_what_is_missing_offline(root, name, missing):
    with pytest.raises(FileNotFoundError) as error:
        load(name)
    assert missing in sentence(error) and str(root) in sentence(error)
    assert list(root.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("no folder")
    monkeypatch.setenv("INCEPTION_EDU_DATA", str(tmp_path / "a file" / "data"))
    with pytest.raises(FileNotFoundError) as error:
        load("mnist")
    assert "INCEPTION_EDU_DATA be a writable folder" in sentence(error)
    monkeypatch.setenv("INCEPTION_EDU_DATA", str(tmp_path))

    def refuse(*args, **kwargs):
        raise PermissionError("read-only")

    monkeypatch.setattr(sources.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(FileNotFoundError) as error:
        load("mnist")
    assert "(PermissionError)" in sentence(error)


def test_missing_files_are_downloaded_checked_and_moved_into_place(root, monkeypatch, capfd):
    files = mnist_files(datasets.MNIST, monkeypatch)
    kept, *missing = files
    put(root / "MNIST/raw", {kept: files[kept]})
    asked = serve(monkeypatch, files)
    assert len(load("mnist", valid=10).train) == 30
    assert asked and {p.name for p in (root / "MNIST/raw").iterdir()} == set(files)
    assert [p.name for p in root.iterdir()] == ["MNIST"]  # nothing temporary stays
    asked.clear()
    load("mnist", valid=10)
    assert asked == []


def test_a_download_with_the_wrong_checksum_or_cut_off_is_not_kept(root, monkeypatch, capfd):
    files = mnist_files(datasets.MNIST, monkeypatch)
    last = list(files)[-1]
    serve(monkeypatch, {**files, last: files[last][:-5]})
    with pytest.raises(FileNotFoundError):
        load("mnist", valid=10)
    assert list(root.rglob("*")) == []


def test_cifar10_is_read_through_torchvision(root, monkeypatch):
    put(root / "cifar-10-batches-py", cifar_files(monkeypatch))
    held, small = arrays(n=50, n_test=10, k=10, shape=(3, 32, 32)), load("cifar10", valid=10)
    assert np.array_equal(small.test.images.numpy(), held["x_test"])
    assert small.test.labels.tolist() == held["y_test"].tolist()
    together = torch.cat([small.train.images, small.valid.images])
    assert np.array_equal(sorted_rows(together), sorted_rows(torch.from_numpy(held["x_train"])))
    assert small.classes == tuple("abcdefghij") and len(small.std) == 3
    assert (len(small.train), len(small.valid)) == (40, 10)


def test_cifar10_downloads_its_archive_and_leaves_only_the_checked_files(root, monkeypatch, capfd):
    files = cifar_files(monkeypatch)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    serve(monkeypatch, {datasets.CIFAR10.filename: buffer.getvalue()})
    assert len(load("cifar10", valid=10).train) == 40
    left = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    assert left == {str(Path("cifar-10-batches-py", name)) for name in files}


def test_altered_cifar10_file_is_named_and_never_unpickled(root, monkeypatch):
    folder = put(root / "cifar-10-batches-py", cifar_files(monkeypatch))
    (folder / "data_batch_3").write_bytes(b"cos\nsystem\n(S'echo unpickled'\ntR.")
    with pytest.raises(ValueError) as error:
        load("cifar10", valid=10)
    assert str(folder / "data_batch_3") in sentence(error)


def test_eurosat_is_decoded_and_a_balanced_test_part_is_split_off_for_good(root, monkeypatch):
    put(root / "eurosat/2750", eurosat_files(monkeypatch))
    sets = [load("eurosat", valid=2, seed=seed) for seed in (0, 1)]
    for small in sets:
        assert small.classes == ("Annual crop", "River")
        assert [len(small.train), len(small.valid), len(small.test)] == [6, 2, 4]
        for split in (small.train, small.valid, small.test):
            red = split.images[:, 0].float().mean((1, 2))
            assert torch.equal(red > 120, split.labels == 1)
            assert split.labels.bincount().tolist() == [len(split) // 2] * 2
            assert split.images.shape[1:] == (3, 64, 64)
    assert torch.equal(sets[0].test.images, sets[1].test.images)
    together = [torch.cat([s.images for s in (d.train, d.valid, d.test)]) for d in sets]
    assert len({x.numpy().tobytes() for x in together[0]}) == 12


def test_eurosat_is_downloaded_whole_or_not_at_all(root, monkeypatch, capfd):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in eurosat_files(monkeypatch).items():
            archive.writestr(f"2750/{name}", content)
    whole = buffer.getvalue()
    from torchvision.datasets import eurosat

    download = eurosat.download_and_extract_archive
    monkeypatch.setattr(
        eurosat,
        "download_and_extract_archive",
        lambda url, **options: download(url, **{**options, "md5": md5(whole)}),
    )
    serve(monkeypatch, {"EuroSAT.zip": whole[:-7]})
    with pytest.raises(FileNotFoundError):
        load("eurosat", valid=2)
    assert list(root.iterdir()) == []
    serve(monkeypatch, {"EuroSAT.zip": whole})
    assert len(load("eurosat", valid=2).train) == 6
    assert [p.name for p in (root / "eurosat").iterdir()] == ["2750"]


def test_incomplete_eurosat_and_broken_pictures_are_named(root, monkeypatch):
    files = eurosat_files(monkeypatch)
    folder = put(root / "eurosat/2750", files)
    name = "River/River_3.jpg"
    for content in (b"", files[name][:200], b"no picture"):
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError) as error:
            load("eurosat", valid=2)
        assert str(folder / name) in sentence(error)
    (folder / name).unlink()
    with pytest.raises(ValueError) as error:
        load("eurosat", valid=2)
    assert f"{folder} must hold 12 images, got 11" in sentence(error)


def test_eurosat_keeps_5_400_of_27_000_images_for_the_test():
    assert (sources.EUROSAT_TEST, sources.EUROSAT_IMAGES) == (5_400, 27_000)


# --- batches and sizes


def some_split(n=30):
    images = torch.randint(0, 256, (n, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    return data.Split(images.byte(), torch.arange(n) % 3, (0.5,), (0.25,))


def batches_of(split, rank=0, world=1, size=8, seed=0):
    return Batches(split, size, seed=seed, shift=2, flip=True, rank=rank, world=world)


@pytest.mark.parametrize("world", [2, 4])
def test_processes_together_see_the_very_batches_and_augmentation_that_one_alone_would(world):
    split = some_split()
    whole, shares = batches_of(split), [batches_of(split, rank, world) for rank in range(world)]
    for _ in range(7):  # past a new shuffle
        x, labels = whole.draw()
        parts = [share.draw() for share in shares]
        for rank, (part, part_labels) in enumerate(parts):
            assert len(part) == 8 // world
            assert torch.equal(x[rank::world], part) and torch.equal(
                labels[rank::world], part_labels
            )
    assert not torch.equal(parts[0][0], parts[1][0])


@pytest.mark.parametrize("drawn", [0, 2, 5])
def test_batches_go_on_where_their_state_was_taken(drawn):
    one, other = batches_of(some_split()), batches_of(some_split(), seed=9)
    for _ in range(drawn):
        one.draw()
    state = one.state_dict()
    expected = [one.draw() for _ in range(6)]
    before = other.draw()[0]
    other.load_state_dict(state)
    found = [other.draw() for _ in range(6)]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(expected, found, strict=True))
    assert not torch.equal(before, found[0][0])
    again = batches_of(some_split())  # drawing on has not changed the state
    again.load_state_dict(state)
    assert torch.equal(again.draw()[0], expected[0][0])


def test_resized_data_sets_hand_out_scaled_batches_and_keep_their_images():
    part = some_split()
    small = data.Dataset("tiny", part, part, None, tuple("abc"), part.mean, part.std)
    large = small.resized(12)
    x, labels = large.train.batch(slice(0, 4))
    assert x.shape == (4, 1, 12, 12) and large.test is None and large.train.images is part.images
    plain, _ = part.batch(slice(0, 4))
    assert torch.equal(labels, part.labels[:4]) and plain.shape == (4, 1, 6, 6)
    assert x.mean().item() == pytest.approx(plain.mean().item(), abs=0.05)
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        small.resized(0)
