import hashlib
import random
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import functional as tv

from authoring.notebook import code, read
from conftest import moved, randomise, solutions_pass
from inception_edu import torchvision_weights
from inception_edu.data import Batches, find_photos, load, split
from inception_edu.figures import on_page, render
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_09 import (
    checks as checks,
    heat_explorer,
    heat_maps,
    memory_test,
    other_process,
    runs as lesson,
    strange_photos,
    transfer_race,
    wrong_inputs,
)
from inception_edu.photo_explorer import PhotoExplorer
from inception_edu.predict import new_head
from inception_edu.torchvision_weights import to_torchvision

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """What is right is kept in a file of the test's own."""
    monkeypatch.chdir(tmp_path)


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(answer)
    return exercise.state, capsys.readouterr().out


# --- exercise 1


def cut(order, valid):
    n = round(valid * len(order))
    return order[n:], order[:n]


def by_hash(names, valid, seed):
    def draw(name):
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    return cut(sorted(names, key=draw), valid)


def by_shuffle(names, valid, seed):
    order = sorted(names)
    random.Random(seed).shuffle(order)
    return cut(order, valid)


def by_sample(names, valid, seed):
    chosen = {*random.Random(f"seed {seed}").sample(sorted(names), round(valid * len(names)))}
    return tuple(name for name in names if name not in chosen), tuple(sorted(chosen))


def by_numpy(names, valid, seed):
    order = np.random.default_rng(seed).permutation(np.sort(np.array(names)))
    return np.split(order, [len(order) - round(valid * len(order))])


def by_global_dice(names, valid, seed):
    names.sort()
    random.seed(hash(seed))  # whole numbers have one hash everywhere
    random.shuffle(names)
    return cut(names, valid)


@pytest.mark.parametrize("right", [by_hash, by_shuffle, by_sample, by_numpy, by_global_dice])
def test_a_split_by_names_and_seed_is_right(right, capsys):
    assert verdict(checks.exercise_1, right, capsys)[0] == "right"


def unsorted(names, valid, seed):
    order = list(names)
    random.Random(seed).shuffle(order)
    return cut(order, valid)


def seedless(names, valid, seed):
    order = sorted(names)
    random.shuffle(order)
    return cut(order, valid)


def salted(name, seed):
    return hash(f"{seed} {name}")


def helped(names, valid, seed):
    return cut(sorted(names, key=lambda name: salted(name, seed)), valid)


def turned(names, valid, seed):
    order = sorted(names)
    return cut(order[seed % len(order) :] + order[: seed % len(order)], valid)


def rounded_down(names, valid, seed):
    order = by_shuffle(names, 1, seed)[1]
    return order[int(valid * len(order)) :], order[: int(valid * len(order))]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (unsorted, "in another order give another split"),
        (seedless, "two calls with the same names and seed 0 give different splits"),
        (lambda n, v, s: cut(sorted(n, key=lambda x: hash(f"{s}{x}")), v), "another process"),
        (lambda n, v, s: cut(sorted(n, key=lambda x: hash((s, x))), v), "another process"),
        (lambda n, v, s: cut(sorted(n, key=lambda x: f"{s}{x}".__hash__()), v), "another process"),
        (helped, "another process splits the same names differently"),
        (lambda n, v, s: by_shuffle(n, v, 0), "seeds 0 to 19 give 1 different splits of 41 names"),
        (lambda n, v, s: by_shuffle(n, v, s % 5), "give 5 different splits"),
        (lambda n, v, s: cut(sorted(n), v), "give 1 different splits"),
        (turned, "in a row by name with every seed"),
        (lambda n, v, s: by_shuffle(n, 8.2 / len(n), s), "0.37 of 29 names are 8 with you, expe"),
        (lambda n, v, s: by_shuffle(n, 0.2, s), "0.37 of 29 names are 6 with you, expected 11"),
        (rounded_down, "0.37 of 29 names are 10 with you, expected 11"),
        (lambda n, v, s: (n, by_hash(n, v, s)[1]), "8 are there more than once"),
        (lambda n, v, s: ([], by_hash(n, v, s)[1]), "33 are in none of the two lists"),
        (lambda n, v, s: by_hash(n, 1 - v, s), "with you it comes first"),
        (lambda n, v, s: by_hash(n, v / 2, s), "0.2 of 41 names are 4 with you, expected 8"),
        (lambda n, v, s: by_hash(n, v, s)[1], "expected two lists of names"),
        (lambda n, v, s: 7, "it returns '7', expected two lists"),
        (lambda n, v, s: (n, 7), "expected two lists"),
        (lambda n, v: by_hash(n, v, 0), "it raised TypeError"),
    ],
)
def test_wrong_splits_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_1, wrong, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def test_the_order_of_a_set_of_names_is_another_processs(capsys):
    def from_a_set(names, valid, seed):
        order = list({*names})
        order.sort(key=len)
        random.Random(seed).shuffle(order)
        return cut(order, valid)

    line = verdict(checks.exercise_1, from_a_set, capsys)[1]
    assert "another order" in line or "Another process" in line


def stretched(names, times=2, *, end=""):
    return [names * times, [hashlib.sha1(end.encode()).hexdigest(), str(hash("salt"))]]


def test_a_function_goes_to_another_process_with_what_it_uses(monkeypatch):
    names, (digest, hashed) = other_process.elsewhere(stretched, ["a"])
    assert names == ["a", "a"] and digest == hashlib.sha1(b"").hexdigest()
    assert hashed != str(hash("salt"))
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # as if this process had that salt
    assert other_process.elsewhere(stretched, ["a"])[1][1] != hashed
    assert other_process.elsewhere(random.Random(0).sample, ["a"], 1) is None
    assert other_process.elsewhere(lambda: folders, None) is None  # raises there
    assert other_process.elsewhere(lambda: [cut, hashed]) is None  # leans on a closure


def test_the_check_leaves_the_learners_globals_alone(capsys):
    before = dict(globals())
    verdict(checks.exercise_1, by_hash, capsys)
    assert before == globals()


# --- exercise 2


def right_cam(grid, linear, label):
    return torch.einsum("chw,c->hw", grid, linear.weight[label]) + linear.bias[label]


def layer_at_each_place(grid, linear, label):
    return linear(grid.permute(1, 2, 0))[..., label]


def as_a_convolution(grid, linear, label):
    weight, bias = linear.weight[label, None, :, None, None].double(), linear.bias[[label]].double()
    return nn.functional.conv2d(grid[None].double(), weight, bias)[0, 0]


@torch.no_grad()
def place_by_place(grid, linear, label):
    _, h, w = grid.shape
    rows = [[grid[:, i, j] @ linear.weight[label] for j in range(w)] for i in range(h)]
    return np.array(rows) + linear.bias[label].item()


@pytest.mark.parametrize(
    "right", [right_cam, layer_at_each_place, as_a_convolution, place_by_place]
)
def test_the_map_whose_mean_is_the_logit_is_right(right, capsys):
    assert verdict(checks.exercise_2, right, capsys)[0] == "right"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda g, f, k: right_cam(g, f, k) - f.bias[k], "the bias is missing"),
        (lambda g, f, k: g.sum(0), "without the weights"),
        (lambda g, f, k: g.mean(0), "without the weights"),
        (lambda g, f, k: g.mean(0) + f.bias[k], "without the weights"),
        (lambda g, f, k: right_cam(g, f, 0), "for class 2 of 4"),
        (lambda g, f, k: right_cam(g, f, 0), "the map of class 0"),
        (lambda g, f, k: right_cam(g, f, -1), "the map of class 3, not of `label`"),
        (lambda g, f, k: right_cam(g, f, 2), "the map of class 2, not of `label`"),
        (lambda g, f, k: right_cam(g, f, 0) - f.bias[0], "the map of class 0"),
        (lambda g, f, k: right_cam(g, f, 0) - f.bias[0] + f.bias[k], "the map of class 0"),
        (
            lambda g, f, k: (g * f.weight[k][:, None, None]).mean(0) + f.bias[k],
            "do not average them",
        ),
        (lambda g, f, k: right_cam(g, f, k) / g[0].numel(), "the number of places"),
        (
            lambda g, f, k: (right_cam(g, f, k) - f.bias[k]) / g[0].numel() + f.bias[k],
            "the number of places",
        ),
        (lambda g, f, k: right_cam(g, f, k).relu(), "weigh each channel"),
        (lambda g, f, k: right_cam(g, f, k).T, "expected a map of (3, 7)"),
        (lambda g, f, k: right_cam(g, f, k).mean().expand(g.shape[1:]), "but place (0, 0)"),
        (lambda g, f, k: right_cam(g, f, k) * torch.nan, "weigh each channel"),
        (lambda g, f, k: right_cam(g, f, k).mean(), "gives (), expected a map of (3, 7)"),
        (lambda g, f, k: g, "a grid of (5, 3, 7) gives (5, 3, 7)"),
        (lambda g, f, k: 3, "gives 3, expected a map of"),
        (lambda g, f, k: g @ f.weight, "it raised RuntimeError"),
    ],
)
def test_wrong_maps_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_2, wrong, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def test_the_lesson_goes_on_with_a_right_map_or_with_ours(capsys):
    for answer, goes_on in ((right_cam, right_cam), (lambda g, f, k: g[0], checks.cam)):
        assert checks.exercise_2.check(answer) is goes_on
    assert "goes on with the package's cam" in capsys.readouterr().out


# --- exercise 3


def right_prepare(bgr, mean, std):
    x = torch.from_numpy(bgr[:, :, ::-1].copy()).permute(2, 0, 1)[None] / 255
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def in_numpy(bgr, mean, std):
    x = (np.flip(bgr, 2) / 255 - np.array(mean)) / np.array(std)
    return torch.tensor(x.transpose(2, 0, 1).copy())[None]  # float64


def by_torchvision(bgr, mean, std):
    rgb = Image.fromarray(bgr[..., [2, 1, 0]].copy())
    return tv.normalize(tv.to_tensor(rgb), list(mean), list(std)).unsqueeze(0)


def by_channel(bgr, mean, std):
    blue, green, red = (torch.from_numpy(bgr[..., c].astype("float32")) for c in range(3))
    scaled = [(x / 255 - m) / s for x, m, s in zip((red, green, blue), mean, std, strict=True)]
    return torch.stack(scaled).unsqueeze(0)


@pytest.mark.parametrize("right", [right_prepare, in_numpy, by_torchvision, by_channel])
def test_a_bgr_photo_becomes_what_the_network_was_trained_on(right, capsys):
    assert verdict(checks.exercise_3, right, capsys)[0] == "right"


def columns_first(values):
    return torch.tensor(values).view(3, 1, 1)


MEAN, STD = (0.49, 0.42, 0.31), (0.25, 0.22, 0.19)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda b, m, s: right_prepare(b[:, :, ::-1], m, s), "blue still comes first"),
        (lambda b, m, s: right_prepare(b[:, ::-1, ::-1], m, s), "the photo is mirrored"),
        (lambda b, m, s: right_prepare(b[:, :, ::-1], m, s).flip(1), "turn the channels round"),
        (
            lambda b, m, s: (
                (torch.from_numpy(b[:, :, ::-1].copy()).permute(2, 0, 1)[None] - columns_first(m))
                / columns_first(s)
            ),
            "divide by 255 first",
        ),
        (lambda b, m, s: right_prepare(b, (0, 0, 0), s), "the mean is not taken away"),
        (lambda b, m, s: right_prepare(b, m, (1, 1, 1)), "not divided by the std"),
        (lambda b, m, s: right_prepare(b, (0, 0, 0), (1, 1, 1)), "neither mean nor std"),
        (lambda b, m, s: right_prepare(b, MEAN, s), "with another mean it returns the same"),
        (lambda b, m, s: right_prepare(b, m, STD), "with another std it returns the same"),
        (lambda b, m, s: right_prepare(b, m[:1] * 3, s), "print each step's numbers"),
        (lambda b, m, s: right_prepare(b, m, s) + 1, "print each step's numbers"),
        (lambda b, m, s: right_prepare(b, m, s)[0], "expected a tensor of (1, 3, 6, 9)"),
        (lambda b, m, s: right_prepare(b, m, s).mT, "becomes (1, 3, 9, 6)"),
        (lambda b, m, s: b, "expected a tensor of (1, 3, 6, 9)"),
        (lambda b, m, s: torch.zeros(1, 3, *b.shape[:2]), "with another mean it returns the same"),
        (lambda b, m, s: torch.from_numpy(b[:, :, ::-1]), "it raised ValueError"),
    ],
)
def test_wrong_preparations_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_3, wrong, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def test_a_preparation_that_changes_the_photo_is_told(capsys):
    def in_place(bgr, mean, std):
        found = right_prepare(bgr, mean, std)
        bgr[:] = 0
        return found

    assert "has changed" in verdict(checks.exercise_3, in_place, capsys)[1]


def test_stubs_are_not_attempted_yet(capsys):
    def stub(a, b, c):
        """names, share, seed -> names to train on, names to validate with"""
        ...

    for exercise in (checks.exercise_1, checks.exercise_2, checks.exercise_3):
        state, line = verdict(exercise, stub, capsys)
        assert state == "not attempted yet" and line.startswith("▫")


# --- the folders


def test_six_strange_files_are_one_photo_and_three_are_none(tmp_path):
    found = find_photos(strange_photos.write_strange(tmp_path, lesson.photo("cat")))
    assert list(found.classes) == ["cat"] and len(found.paths) == 6
    assert [path.name for path, _ in found.rejected] == ["cut_off.jpg", "empty.jpg", "letter.jpg"]
    picture = strange_photos.show(found.paths)
    rows = [line.split() for line in picture.words.splitlines()]
    assert "sideways.jpg RGB 48x72 RGB 72x48".split() in rows
    assert "sixteen_bits.png I;16 72x48 RGB 72x48".split() in rows
    assert "transparent.png RGBA 72x48 RGB 72x48".split() in rows


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Few crops: drawn at random from the whole photos, and from another region to validate."""
    place = tmp_path_factory.mktemp("crops")
    split(lesson.write_crops(place / "all", 40), place / "random", valid=0.25)
    lesson.write_crops(place / "apart" / "train", 30, part=lesson.LEFT)
    lesson.write_crops(place / "apart" / "valid", 10, part=lesson.RIGHT, seed=1)
    return place


@pytest.fixture(scope="module")
def apart(folders):
    return lesson.plain(load(folders / "apart", size=32))


def test_crops_are_the_same_ones_every_time(folders, tmp_path):
    again = lesson.write_crops(tmp_path / "again", 40)
    for path in sorted(again.rglob("*.png")):
        assert path.read_bytes() == (folders / "all" / path.relative_to(again)).read_bytes()


@pytest.mark.parametrize(("part", "low", "high"), [(lesson.LEFT, 0, 180), (lesson.RIGHT, 180, 300)])
def test_a_crop_comes_from_its_part_of_the_photo(part, low, high):
    ramp = np.broadcast_to(np.arange(300)[None, :], (200, 300))
    whole = Image.fromarray(ramp.astype(np.int32))
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        square = lesson.crop(whole, part, generator)
        assert square.width == square.height >= lesson.SMALLEST
        values = np.asarray(square)
        assert low <= values.min() and values.max() < high
        assert values.max() - values.min() == square.width - 1  # nothing from outside the photo


def test_plain_photos_are_evaluated_the_same_and_only_shifted_and_mirrored(folders, apart):
    cut = load(folders / "apart", size=32)
    for part in ("train", "valid"):
        there, here = getattr(cut, part).batch(slice(None)), getattr(apart, part).batch(slice(None))
        assert torch.equal(there[0], here[0]) and torch.equal(there[1], here[1])
    one = replace(apart.train, images=apart.train.images[:1], labels=apart.train.labels[:1])
    drawn = Batches(one, 1, seed=0, shift=2, flip=True, rank=0, world=1).draw()[0][0, :, 8:24, 8:24]
    x = one.batch(slice(None))[0][0]
    places = [(x[:, i : i + 16, j : j + 16]) for i in range(6, 11) for j in range(6, 11)]
    assert any(torch.equal(drawn, p) or torch.equal(drawn, p.flip(2)) for p in places)
    assert apart.classes == ("astronaut", "cat", "coffee", "rocket") and apart.test is None


def test_a_memoriser_knows_overlapping_crops_better_than_apart_ones(folders, apart):
    whole = lesson.plain(load(folders / "random", size=32))
    assert memory_test.memoriser(whole) > memory_test.memoriser(apart) > 0.25
    copy = replace(apart, valid=apart.train)
    assert memory_test.memoriser(copy) == 1
    picture = memory_test.show({"drawn at random": whole, "another region": apart})
    assert "drawn at random" in picture.words and "120           40" in picture.words


# --- transfer


def test_the_shipped_checkpoint_says_cat_of_the_cat():
    start = lesson.shipped()
    assert len(start.classes) == 10 and start.size == 32 and not start.model.training
    larger = replace(start, size=64, resize=64)
    assert start.classes[int(larger.probabilities(lesson.photo("cat")).argmax())] == "cat"


def test_fine_tuning_begins_with_the_weights_and_scratch_does_not(apart):
    start, short = lesson.shipped(), dict(steps=1, lr=1e-9, validate_every=1, batch_size=8)
    same, history = lesson.fine_tune(start, apart, **short)
    other, _ = lesson.fine_tune(start, apart, scratch=True, **short)
    learned = start.model.stem.conv1.conv.weight
    assert torch.allclose(same.model.stem.conv1.conv.weight, learned, atol=1e-6)
    assert not torch.allclose(other.model.stem.conv1.conv.weight, learned, atol=1e-2)
    assert same.classes == apart.classes and same.mean == start.mean and history.step == 1
    assert same.model.head.linear.out_features == 4 and not same.model.training
    assert "CIFAR" not in str(same.classes) and start.model.head.linear.out_features == 10


def test_the_race_runs_both_ways_with_each_seed_and_tells_them(apart, monkeypatch, capsys):
    short = replace(lesson.RECIPE, steps=2, validate_every=1, batch_size=8)
    monkeypatch.setattr(lesson, "RECIPE", short)
    race = transfer_race.race(lesson.shipped(), apart, seeds=(0, 1))
    assert {way: [list(run) for run in runs] for way, runs in race.items()} == {
        way: [[1, 2], [1, 2]] for way in ("fine-tuned", "from scratch")
    }
    assert capsys.readouterr().out.count("after 2 steps") == 4


def test_the_race_is_told_with_mean_spread_and_n():
    race = {
        "fine-tuned": [{10: 60.0, 20: 90.0}, {10: 70.0, 20: 92.0}],
        "from scratch": [{10: 25.0, 20: 40.0}, {10: 25.0, 20: 50.0}],
    }
    assert transfer_race.leads(race, 20) == [50, 42]
    _, *rows = repr(transfer_race.table(race)).splitlines()
    assert [row.split() for row in rows] == [["0", "50", "90", "40"], ["1", "42", "92", "50"]]
    words = transfer_race.show(race).words
    assert "fine-tuned          65.0 ± 7.1  91.0 ± 1.4  2" in words
    ax = render(transfer_race._draw, race, (9, 4)).axes[0]
    assert ax.get_title("left") == "Ahead by +46 ± 6 points at step 20, by +46 ± 6 at step 20"


def cell(start):
    """The source of the notebook's code cell that begins so."""
    notebook = read(Path(__file__).parents[1] / "notebooks" / "09_your_own_photos.ipynb")
    return next(c.source for c in code(notebook) if c.source.startswith(start))


def test_switched_on_the_online_cell_classifies_and_fine_tunes(folders, apart, monkeypatch):
    asked, few = [], dict(steps=1, batch_size=2, validate_every=1)
    published = to_torchvision(randomise(GoogLeNet("torchvision")).state_dict())

    def download(url, name):
        asked.append(name)
        return published

    def quick(start, dataset, **changes):
        return lesson.fine_tune(start, dataset, **changes | few)

    monkeypatch.setattr(torchvision_weights, "_download", download)
    names = dict(work=folders, load=load, networks={}, lesson=SimpleNamespace(**vars(lesson)))
    names["lesson"].fine_tune = quick
    source = cell("online = False")
    exec(source, names)
    assert not asked and not names["networks"]
    exec(source.replace("online = False", "online = True"), names)
    imagenet, tuned = names["networks"].values()
    assert asked == ["googlenet"] and len(imagenet.classes) == 1000
    assert tuned.classes == apart.classes
    assert PhotoExplorer(names["networks"], {"cat": lesson.photo("cat")}).message.value == ""


def test_the_own_folder_cell_goes_all_the_way(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lesson, "RECIPE", replace(lesson.RECIPE, validate_every=1))
    names = dict(work=tmp_path, load=load, split=split, networks={}, lesson=lesson)
    names |= dict(start=lesson.shipped(), replace=replace)
    source = cell('folder = ""')
    exec(source, names)
    assert not names["networks"] and capsys.readouterr().out == ""
    mine = f"folder = {str(folders / 'all')!r}"
    exec(source.replace('folder = ""', mine).replace("steps=200", "steps=1"), names)
    assert names["networks"]["mine"].classes == tuple(lesson.PHOTOS)
    told = capsys.readouterr().out
    assert "together     128     32" in told and "step 1 of 1" in told


# --- heat maps


@pytest.fixture(scope="module")
def classifier(apart):
    """The shipped network with a head that has learned nothing."""
    start = lesson.shipped()
    model = new_head(start.model, 4).eval()
    randomise(model.head)
    return replace(start, model=model, classes=apart.classes)


@pytest.fixture(scope="module")
def photos():
    return {name: lesson.photo(name) for name in lesson.PHOTOS}


def test_hiding_a_place_is_a_difference_of_two_outputs(classifier):
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = heat_maps.occlusion_map(classifier, x, 8)
    assert found.shape == (4, 4, 4)
    hidden = x.clone()
    hidden[:, :, 8:16, 24:32] = 0
    with torch.no_grad():
        fall = (classifier.model(x).logits - classifier.model(hidden).logits)[0]
    assert torch.allclose(found[:, 1, 3], fall, atol=1e-4) and fall.abs().max() > 1e-3
    whole = heat_maps.occlusion_map(classifier, x, 64)
    assert torch.allclose(whole, whole[:, :1, :1].expand(4, 4, 4), atol=1e-4)


def test_hiding_what_is_grey_already_changes_nothing(classifier):
    assert heat_maps.occlusion_map(classifier, torch.zeros(1, 3, 32, 32), 16).abs().max() < 1e-5


def test_the_rank_correlation_is_spearmans():
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert heat_maps.rank_correlation(a, a.exp()) == pytest.approx(1)
    assert heat_maps.rank_correlation(a, -(a**3)) == pytest.approx(-1)
    b = torch.tensor([[2.0, 1.0], [4.0, 3.0]])  # 1 - 6 * 4 / (4 * 15)
    assert heat_maps.rank_correlation(a, b) == pytest.approx(0.6)


@pytest.mark.parametrize("quarter", range(4))
def test_the_quarter_with_the_highest_mean_is_found(quarter):
    heat = torch.zeros(12, 12)
    heat[6 * (quarter // 2) :, 6 * (quarter % 2) :][:6, :6] = 0.5
    heat[0, 0] = 3  # a single peak is not a quarter
    assert heat_maps.quarter_of_peak(heat) == quarter


def test_hits_are_maps_that_are_highest_in_their_own_quarter():
    maps = torch.zeros(4, 4, 4)
    for i, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (0, 0)]):
        maps[i, top : top + 2, left : left + 2] = 1
    assert heat_maps.hits(maps) == 3


def test_the_collage_has_a_photo_in_each_quarter():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    whole = heat_maps.collage([Image.new("RGB", (90, 60), colour) for colour in colours])
    assert whole.size == (96, 96)
    assert [whole.getpixel(at) for at in ((9, 9), (90, 9), (9, 90), (90, 90))] == colours


def test_the_explorer_moves_and_tells_both_maps(classifier, photos):
    measured = heat_maps.measure(classifier, photos)
    assert measured.cams.shape == (4, 12, 12) == measured.hidden[8].shape
    assert len(heat_maps.agreement(measured, 32)) == 4
    told = repr(heat_maps.table(measured)).splitlines()
    assert told[0].split()[-2:] == ["rocket", "mean"] and told[3].startswith("32")
    mean = sum(heat_maps.agreement(measured, 32)) / 4
    assert told[3].endswith(f"{mean:.2f}")
    assert f"{heat_maps.hits(measured.cams)} of 4 activation maps" in told[4]
    explorer = heat_explorer.explorer(measured)
    assert explorer.values == dict(name="astronaut", square=16)
    assert "the astronaut is top left" in explorer.words
    for name, value in dict(name="rocket", square=8).items():
        moved(explorer, **{name: value})
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((9, 4))[0]
    assert "the rocket is bottom right" in explorer.words


# --- wrong inputs


def test_a_preparation_is_what_its_name_says(classifier):
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    made = {name: f(x, classifier) for name, f in wrong_inputs.PREPARATIONS.items()}
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (classifier.mean, classifier.std))
    right = (x / 255 - mean) / std
    assert torch.allclose(made["as in training"], right, atol=1e-5)
    assert torch.allclose(made["blue first (BGR)"], (x.flip(1) / 255 - mean) / std, atol=1e-5)
    assert torch.allclose(made["normalised twice"], (right - mean) / std, atol=1e-4)
    assert made["0 to 255"].max() > 200 and 0 <= made["no mean, no spread"].max() <= 1


def test_damage_is_accuracy_and_confidence_of_each_preparation(classifier, apart):
    found = wrong_inputs.damage(classifier, apart.valid)
    assert list(found) == list(wrong_inputs.PREPARATIONS)
    logits = classifier.model(
        apart.normalised(classifier.mean, classifier.std).valid.batch(slice(None))[0]
    ).logits
    right = 100 * (logits.argmax(1) == apart.valid.labels).double().mean().item()
    assert found["as in training"][0] == pytest.approx(right)
    assert "blue first (BGR)" in wrong_inputs.show_damage(found).words


def test_strangers_are_of_none_of_the_classes_and_their_confidence_is_told(classifier, apart):
    garments = torch.randint(0, 256, (30, 1, 28, 28), dtype=torch.uint8)
    kinds = wrong_inputs.strangers(apart, garments, n=20)
    assert {name: tuple(x.shape) for name, x in kinds.items() if name != "validation photos"} == {
        name: (20, 3, 32, 32) for name in ("garments", "one colour", "noise")
    }
    assert torch.equal(kinds["garments"][:, 0, 2:-2, 2:-2], garments[:20, 0])
    assert torch.equal(kinds["garments"][:, 0], kinds["garments"][:, 2])
    found = wrong_inputs.how_sure(classifier, kinds)
    picture = wrong_inputs.show_sure(found)
    assert len(picture.words.splitlines()) == 6 and "validation photos  40" in picture.words
    assert all(0.25 <= top.min() and top.max() <= 1 for top, _ in found.values())


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("09")
