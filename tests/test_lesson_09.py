import hashlib
import random
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import functional as tv

from conftest import moved, randomise, solutions_pass
from inception_edu.data import Split, find_photos, load
from inception_edu.figures import on_page, render
from inception_edu.lessons.lesson_09 import (
    board,
    channels,
    checks as checks,
    heat_explorer,
    heat_maps,
    ink,
    memory_test,
    mistakes,
    other_process,
    own_folder,
    runs as lesson,
    strange_photos,
    wrong_inputs,
)
from inception_edu.predict import new_head

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """What is right is kept in a file of the test's own."""
    monkeypatch.chdir(tmp_path)


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(answer)
    return exercise.state, capsys.readouterr().out


# --- exercise 1


def drawn(shows, tested):
    """The files of both sides, in order."""
    return [f for f in shows if shows[f] not in tested], [f for f in shows if shows[f] in tested]


def by_hash(shows, test, seed):
    def draw(name):
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    order = sorted(set(shows.values()), key=draw)
    return drawn(shows, order[: round(test * len(order))])


def by_shuffle(shows, test, seed):
    order = sorted({*shows.values()})
    random.Random(seed).shuffle(order)
    return drawn(shows, order[: round(test * len(order))])


def by_sample(shows, test, seed):
    order = sorted(dict.fromkeys(shows.values()))
    chosen = {*random.Random(f"seed {seed}").sample(order, round(test * len(order)))}
    train, tested = drawn(shows, chosen)
    return tuple(reversed(train)), {*tested}


def by_numpy(shows, test, seed):
    objects = np.unique(list(shows.values()))
    order = np.random.default_rng(seed).permutation(objects)[: round(test * len(objects))]
    files = np.array(sorted(shows))
    inside = np.isin([shows[file] for file in files], order)
    return [files[~inside], files[inside]]


def one_by_one(shows, test, seed):
    dice, objects, chosen = random.Random(seed), sorted({*shows.values()}), []
    while len(chosen) < round(test * len(objects)):
        if (name := dice.choice(objects)) not in chosen:
            chosen.append(name)
    sides = (
        filter(lambda file, side=side: (shows[file] in chosen) == side, shows) for side in (0, 1)
    )
    return [*sides]


class ByTorch:
    def __call__(self, shows, test, seed):
        objects, draw = sorted(set(shows.values())), torch.Generator().manual_seed(seed)
        order = torch.randperm(len(objects), generator=draw)[: round(test * len(objects))]
        tested = {objects[i] for i in order}
        return {f for f in shows if shows[f] not in tested}, {
            f for f in shows if shows[f] in tested
        }


RIGHT_SPLITS = [by_hash, by_shuffle, by_sample, by_numpy, one_by_one, ByTorch()]


@pytest.mark.parametrize("right", RIGHT_SPLITS)
def test_a_split_by_objects_and_seed_is_right(right, capsys):
    assert verdict(checks.exercise_1, right, capsys)[0] == "right"


def by_file(shows, test, seed):
    order = sorted(shows)
    random.Random(seed).shuffle(order)
    n = round(test * len(order))
    return order[n:], order[:n]


def unsorted(shows, test, seed):
    order = list(dict.fromkeys(shows.values()))
    random.Random(seed).shuffle(order)
    return drawn(shows, order[: round(test * len(order))])


def seedless(shows, test, seed):
    order = sorted(set(shows.values()))
    return drawn(shows, random.sample(order, round(test * len(order))))


def salted(shows, test, seed):
    order = sorted(set(shows.values()), key=lambda name: hash(f"{seed} {name}"))
    return drawn(shows, order[: round(test * len(order))])


def in_order_of_files(shows, test, seed):
    order = list(dict.fromkeys(shows[file] for file in sorted(shows)))
    random.Random(seed).shuffle(order)
    return drawn(shows, order[: round(test * len(order))])


def rounded_down(shows, test, seed):
    order = sorted(set(shows.values()))
    random.Random(seed).shuffle(order)
    return drawn(shows, order[: int(test * len(order))])


def by_coin(shows, test, seed):
    dice = random.Random(seed)
    return drawn(shows, {name for name in sorted(set(shows.values())) if dice.random() < test})


def in_a_row(shows, test, seed):
    order = sorted(set(shows.values()))
    order = order[seed % len(order) :] + order[: seed % len(order)]
    return drawn(shows, order[: round(test * len(order))])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (by_file, "on both sides: draw objects"),
        (unsorted, "in another order give another split"),
        (seedless, "two calls with the same files and seed 0 give different splits"),
        (salted, "another process splits the same files differently"),
        (in_a_row, "in a row by name with every seed"),
        (lambda x, t, s: by_shuffle(x, t, 0), "seeds 0 to 19 give 1 different splits"),
        (lambda x, t, s: by_shuffle(x, 0.2, s), "0.37 of 29 objects are 6 with you, expected 11"),
        (lambda x, t, s: by_shuffle(x, t, s)[::-1], "with you it comes first"),
        (lambda x, t, s: ([*x], by_hash(x, t, s)[1]), "are there more than once"),
        (lambda x, t, s: ([], by_hash(x, t, s)[1]), "are in none of the two lists"),
        (lambda x, t, s: (sorted(set(x.values())), []), "expected the files that show them"),
        (lambda x, t, s: by_hash(x, t, s)[1], "expected two lists of files"),
        (lambda x, t, s: 7, "it returns '7', expected two lists"),
        (lambda x, t: by_hash(x, t, 0), "it raised TypeError"),
        (in_order_of_files, "the same objects in files of other names give another split"),
        (lambda x, t, s: ([], []), "both lists are empty, expected all 81 files"),
        (lambda x, t, s: ([*x.items()], []), "'dog 00')\", which is none of the files"),
        (lambda x, t, s: by_shuffle(x, t, s // 2), "seeds 0 to 19 give 10 different splits"),
        (rounded_down, "0.37 of 29 objects are 10 with you, expected 11"),
        (by_coin, "with you, expected 8"),
        (lambda x, t, s: {"train": [], "test": []}, "expected two lists of files"),
    ],
)
def test_wrong_splits_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_1, wrong, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def stretched(names, times=2, *, end=""):
    return [names * times, [hashlib.sha1(end.encode()).hexdigest(), str(hash("salt"))]]


def test_a_function_goes_to_another_process_with_what_it_uses(monkeypatch):
    names, (digest, hashed) = other_process.elsewhere(stretched, ["a"])
    assert names == ["a", "a"] and digest == hashlib.sha1(b"").hexdigest()
    assert hashed != str(hash("salt"))
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # as if this process had that salt
    assert other_process.elsewhere(stretched, ["a"])[1][1] != hashed
    assert other_process.elsewhere(random.Random(0).sample, ["a"], 1) is None
    assert other_process.elsewhere(lambda: missing, None) is None  # raises there  # noqa: F821
    assert other_process.elsewhere(lambda: [drawn, hashed]) is None  # leans on a closure


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
    "right",
    [
        right_cam,
        layer_at_each_place,
        as_a_convolution,
        place_by_place,
        lambda g, f, k: right_cam(g, f, k).tolist(),
        lambda g, f, k: torch.tensordot(f.weight[k], g, 1) + f.bias[k],
        lambda g, f, k: sum(w * x for w, x in zip(f.weight[k], g, strict=True)) + f.bias[k],
    ],
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
        (lambda g, f, k: g.mul_(f.weight[k][:, None, None]).sum(0) + f.bias[k], "has changed"),
        (lambda g, f, k: right_cam(g, f, k) + f.bias[k], "the bias is added twice"),
        (
            lambda g, f, k: (g * f.weight[k][:, None, None] + f.bias[k]).sum(0),
            "the bias is added once for each channel",
        ),
        (
            lambda g, f, k: torch.einsum("chw,kc->hw", g, f.weight) + f.bias[k],
            "the maps of all classes are added",
        ),
        (lambda g, f, k: right_cam(g, f, k).flip(0), "but place (0, 0)"),
        (lambda g, f, k: [["a"]], "gives [['a']], expected a map of"),
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


@pytest.mark.parametrize(
    "right",
    [
        "kiwi",
        " Kiwi",
        "fruit/kiwi.webp",
        "Kiwi.png",
        "kiwi in bird",
        "'kiwi'",
        "the kiwi.",
        ["kiwi"],
        ("kiwi",),
    ],
)
def test_the_object_in_the_wrong_folder_is_right(right, capsys):
    assert verdict(checks.exercise_3, right, capsys)[0] == "right"
    assert checks.exercise_3.check(right) == right


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("grapes", "the folder of 'grapes' is correct; look for an image whose answer"),
        ("tiger", "the folder of 'tiger' is correct"),
        ("zebra", "'zebra' names no object of the test split"),
        ("bird", "'bird' names no object of the test split"),
        ("kiwis", "'kiwis' names no object"),
        ("kiwi or lemon", "names several objects; take one name"),
        ("", "'' names no object"),
        (3, "one name in quotes is expected"),
        (["kiwi", "lemon"], "one name in quotes is expected"),
    ],
)
def test_other_objects_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_3, wrong, capsys)
    assert state == "not right yet" and said in line.lower()
    assert "goes on with the package's" in line


# --- exercise 4


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
    assert verdict(checks.exercise_4, right, capsys)[0] == "right"


def columns_first(values):
    return torch.tensor(values).view(3, 1, 1)


def torn(bgr, mean, std):
    x = torch.from_numpy(bgr[:, :, ::-1].copy()).reshape(1, 3, *bgr.shape[:2]) / 255
    return (x - columns_first(mean)) / columns_first(std)


def b_first(bgr):
    return torch.from_numpy(bgr).permute(2, 0, 1)[None]


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
        (
            lambda b, m, s: right_prepare(b, (0, 0, 0), s) - columns_first(m),
            "subtract the mean before you divide",
        ),
        (lambda b, m, s: torn(b, m, s), "reshape tears the pixels apart"),
        (lambda b, m, s: right_prepare(b / 255, m, s), "it is divided by 255 twice"),
        (
            lambda b, m, s: (b_first(b) - columns_first(m)) / columns_first(s),
            "blue still comes first, and divide by 255",
        ),
        (lambda b, m, s: right_prepare(b, m, s).half(), "torch.float16, expected a float tensor"),
        (lambda b, m, s: right_prepare(b, m, s).half(), "up to 0.0"),
        (lambda b, m, s: right_prepare(b, m, s).numpy(), "becomes ndarray of (1, 3, 6, 9)"),
        (lambda b, m, s: right_prepare(b, m, s)[0], "expected a tensor of (1, 3, 6, 9)"),
        (lambda b, m, s: right_prepare(b, m, s).mT, "becomes Tensor of (1, 3, 9, 6)"),
        (lambda b, m, s: b, "expected a tensor of (1, 3, 6, 9)"),
        (lambda b, m, s: torch.zeros(1, 3, *b.shape[:2]), "with another mean it returns the same"),
        (lambda b, m, s: torch.from_numpy(b[:, :, ::-1]), "it raised ValueError"),
    ],
)
def test_wrong_preparations_are_told_apart(wrong, said, capsys):
    state, line = verdict(checks.exercise_4, wrong, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def test_a_preparation_that_changes_the_photo_is_told(capsys):
    def in_place(bgr, mean, std):
        found = right_prepare(bgr, mean, std)
        bgr[:] = 0
        return found

    assert "has changed" in verdict(checks.exercise_4, in_place, capsys)[1]


def test_stubs_are_not_attempted_yet(capsys):
    def stub(a, b, c):
        """names, share, seed -> names to train on, names to validate with"""
        ...

    for exercise in (checks.exercise_1, checks.exercise_2, checks.exercise_4):
        state, line = verdict(exercise, stub, capsys)
        assert state == "not attempted yet" and line.startswith("▫")
    assert verdict(checks.exercise_3, ..., capsys)[0] == "not attempted yet"


# --- the folders


def test_six_strange_files_are_one_photo_and_three_are_none(tmp_path):
    found = find_photos(strange_photos.write_strange(tmp_path, lesson.shipped_photo("cat")))
    assert list(found.classes) == ["cat"] and len(found.paths) == 6
    assert strange_photos.ready(found.paths) == 1
    assert [path.name for path, _ in found.rejected] == ["cut_off.jpg", "empty.jpg", "letter.jpg"]
    picture = strange_photos.show(found.paths)
    rows = [line.split() for line in picture.words.splitlines()]
    assert "sideways.jpg RGB 48x72 RGB 72x48".split() in rows
    assert "sixteen_bits.png I;16 72x48 RGB 72x48".split() in rows
    assert "transparent.png RGBA 72x48 RGB 72x48".split() in rows


# --- the board


@pytest.fixture(scope="module")
def dataset():
    return load("stamps")


@pytest.fixture(scope="module")
def classifier(dataset):
    """The shipped network with a head that has learned nothing."""
    start = lesson.start()
    model = new_head(start.model, 4).eval()
    randomise(model.head)
    return replace(start, model=model, classes=dataset.classes, size=48, resize=48)


def test_split_by_image_deals_out_the_same_images(dataset):
    dealt = memory_test.by_image(dataset, 0)
    for part in ("train", "valid", "test"):
        assert len(getattr(dealt, part)) == len(getattr(dataset, part))
    total = sum(part.images.long().sum() for part in (dataset.train, dataset.valid, dataset.test))
    assert sum(p.images.long().sum() for p in (dealt.train, dealt.valid, dealt.test)) == total
    assert not torch.equal(dealt.test.labels, dataset.test.labels)


def test_a_memoriser_knows_what_it_was_given_and_not_much_else(dataset):
    assert memory_test.memoriser(replace(dataset, test=dataset.train)) == 1
    assert memory_test.memoriser(dataset) < 0.5
    assert board.most_frequent(dataset) == pytest.approx(56 / 156)
    told = repr(
        memory_test.table({memory_test.BY_IMAGE: [40, 42], memory_test.BY_OBJECT: [30, 33]})
    )
    assert "+9.5" in told and "41.0 ± 1.4" in told


def test_the_study_has_five_splits_and_fine_tuning_beats_the_memoriser_by_its_interval():
    ways = board.baselines() | board.trained()
    assert list(ways) == list(board.LOOKS) and {len(v) for v in ways.values()} == {5}
    rows = {tuple(row[:2]): row[3] for row in board.compare(ways).rows}
    assert rows["fine-tuned", "pixel memoriser"] == "better"
    assert board.lead(ways) == pytest.approx(43.5, abs=1)
    assert "n = 5 splits" in board.show(ways).words


def test_ways_begin_where_they_say(dataset):
    learned = lesson.start().model.stem.conv1.conv.weight
    for way in (lesson.FEATURES, lesson.TUNED):
        assert torch.equal(lesson.start_of(way).stem.conv1.conv.weight, learned)
    assert not torch.equal(lesson.start_of(lesson.SCRATCH).stem.conv1.conv.weight, learned)
    fixed = [w.requires_grad for w in lesson.start_of(lesson.FEATURES).parameters()]
    assert sum(fixed) == 2
    short = replace(lesson.RECIPE, epochs=None, steps=1, lr=1e-9, batch_size=8)
    tuned, history = lesson.fine_tune(lesson.start(), dataset, short)
    assert torch.allclose(tuned.model.stem.conv1.conv.weight, learned, atol=1e-6)
    assert tuned.classes == dataset.classes and tuned.size == 48 and history.step == 1
    assert lesson.start().model.head.linear.out_features == 10 and not tuned.model.training


# --- mistakes


def test_the_object_in_the_wrong_folder_is_four_labels_and_mending_puts_them_back(
    dataset, classifier
):
    wrong = mistakes.mislabelled(dataset.test, dataset.classes)
    moved = (wrong.labels != dataset.test.labels).nonzero()[:, 0].tolist()
    names = mistakes.shown_in_test()
    assert [names[i] for i in moved] == ["kiwi"] * 4
    judged = mistakes.judge(classifier, wrong, names)
    for name in ("kiwi", " Kiwi.png"):
        assert torch.equal(mistakes.mend(judged, name, "fruit").part.labels, dataset.test.labels)
    counts = mistakes.confusion(judged)
    assert counts.sum() == 156 and counts.sum(1).tolist() == wrong.labels.bincount().tolist()
    assert counts.diagonal().sum() / 156 == pytest.approx(judged.accuracy)
    assert f"{int(counts.diagonal().sum())} of 156" in mistakes.show_confusion(judged).words


def test_the_worst_mistakes_are_the_least_probable_labels_on_one_scale(dataset, classifier):
    judged = mistakes.judge(classifier, dataset.test, mistakes.shown_in_test())
    worst = mistakes.worst(judged, right_cam)
    given = judged.chances.gather(1, dataset.test.labels[:, None])[:, 0]
    wrong = given[judged.chances.argmax(1) != dataset.test.labels].sort().values[:9]
    assert len(worst) == 9 and all(one.label != one.answer for one in worst)
    assert len({one.name for one in worst}) == 9  # one image of an object
    places = [names_of(judged, one) for one in worst]
    assert [given[i] for i in places] == sorted(given[i] for i in places)
    for i in places:
        own = [k for k in range(156) if judged.names[k] == judged.names[i]]
        bad = [given[k] for k in own if judged.chances[k].argmax() != dataset.test.labels[k]]
        assert given[i] == min(bad)
    assert judged.chances[names_of(judged, worst[0])].max() == pytest.approx(worst[0].chance)
    assert min(given[i] for i in range(156) if judged.names[i] == worst[0].name) <= wrong[0]
    fig = render(mistakes._draw_worst, worst, (10, 7))
    scales = {ax.images[1].get_clim() for ax in fig.axes if len(ax.images) == 2}
    assert len(scales) == 1
    none = mistakes.judge(classifier, replace(dataset.test, labels=judged.chances.argmax(1)))
    assert mistakes.worst(none, right_cam) == [] and "The 0 worst" not in str(none.accuracy)
    mistakes.show_worst(none, right_cam)
    for n in (1, 2):
        few = render(mistakes._draw_worst, worst[:n], (8, 3))
        assert sum(len(ax.images) == 2 for ax in few.axes) == n == len(few.axes) // 2


def names_of(judged, one):
    """The place of the image of a mistake."""
    same = [bool((image == one.image).all()) for image in judged.part.images]
    return same.index(True)


# --- a folder of one's own


def test_a_folder_goes_all_the_way_again_and_again(tmp_path, capsys):
    folder, networks = own_folder.write_example(tmp_path / "mine", n=6), {}
    for _ in range(2):
        own_folder.yours(folder, networks, right_cam, seen=8)
    told = capsys.readouterr().out
    assert list(networks) == ["yours: mine"]
    assert networks["yours: mine"].classes == ("bird", "fruit")
    assert "trained from the shipped weights (inception_edu/assets/cifar10_small.pt)" in told
    assert "training on 8 photos, once each" in told and "left out" not in told
    assert "epochs: 1, batches of 8, lr 0.05, seed 0, n = 1; one photo of the test is 25" in told
    assert "Nothing" not in told


def test_too_few_photos_of_a_class_are_named(tmp_path, capsys):
    folder = own_folder.write_example(tmp_path / "mine", n=5)
    for path in sorted((folder / "bird").iterdir())[1:]:
        path.unlink()
    networks = {}
    own_folder.yours(folder, networks, right_cam)
    own_folder.yours(tmp_path / "nowhere", networks, right_cam)
    told = capsys.readouterr().out
    assert "class bird has 1 photo of different objects" in told and "there is no folder" in told
    assert networks == {}


def test_what_is_left_out_is_named_and_copies_are_not_asked_about(tmp_path, capsys):
    folder = own_folder.write_example(tmp_path / "mine", n=5)
    for path in sorted(folder.glob("*/*")):
        (path.parent / f"copy of {path.name}").write_bytes(path.read_bytes())
    (folder / "bird" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (folder / "fruit" / "cut.jpg").write_bytes(b"\xff\xd8")
    networks = {}
    own_folder.yours(folder, networks, right_cam, seen=4)
    told = capsys.readouterr().out
    assert "phone.heic is HEIC" in told and "cut.jpg is in no format" in told
    assert "left out: 10 copies of other photos" in told and "training on 8 photos" in told
    assert list(networks) == ["yours: mine"]


def test_a_folder_that_is_split_already_stays_as_it_is(tmp_path, capsys):
    place, whole = tmp_path / "parts", own_folder.write_example(tmp_path / "mine", n=6)
    paths = {name: sorted((whole / name).iterdir()) for name in ("bird", "fruit")}
    for part, own in dict(train=slice(0, 4), val=slice(4, 5), test=slice(5, 6)).items():
        for name in ("bird", "fruit"):
            (place / part / name).mkdir(parents=True)
            for path in paths[name][own]:
                path.rename(place / part / name / path.name)
    parts = own_folder.split_by_object(find_photos(place))
    folders = {part: {p.path.parts[-3] for p in own} for part, own in parts.items()}
    assert folders == {"train": {"train"}, "valid": {"val", "test"}}
    for path in sorted((place / "train/bird").iterdir())[2:]:
        path.rename(place / "val/bird" / path.name)
    own_folder.yours(place, networks := {}, right_cam, seen=4)
    told = capsys.readouterr().out
    assert "class bird has 2 photos in the part train, needed are 3 at least" in told
    assert networks == {}


@pytest.mark.parametrize(
    ("folder", "seen", "said"),
    [
        (None, 8, "Nothing was trained: "),
        ("~/none of this name", 8, "there is no folder"),
        (".", 0, "seen must be a whole number of at least 1, got 0"),
        (".", "many", "seen must be a whole number of at least 1, got 'many'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_one_sentence(folder, seen, said, capsys):
    own_folder.yours(folder, {}, right_cam, seen=seen)
    told = capsys.readouterr().out
    assert said in told and told.count("\n") == 1 and "~" not in told


def test_a_test_without_mistakes_shows_no_empty_figure(tmp_path, monkeypatch, capsys):
    folder = own_folder.write_example(tmp_path / "mine", n=4)
    judge = own_folder.judge

    def all_right(*given):
        judged = judge(*given)
        return judged._replace(chances=torch.eye(2)[judged.part.labels])

    monkeypatch.setattr(own_folder, "judge", all_right)
    own_folder.yours(folder, {}, right_cam, seen=4)
    told = capsys.readouterr().out
    assert "no mistake in the test" in told and told.count("[picture") == 1


def test_a_folder_inside_a_class_is_one_object(tmp_path):
    folder = own_folder.write_example(tmp_path / "mine", n=8)
    paths = sorted((folder / "bird").iterdir())
    (folder / "bird" / "same").mkdir()
    for path in paths[:4]:
        path.rename(folder / "bird" / "same" / path.name)
    parts = own_folder.split_by_object(find_photos(folder))
    sides = {part for part, own in parts.items() for p in own if p.place.parts[1] == "same"}
    assert len(sides) == 1 and sum(map(len, parts.values())) == 16


def test_without_a_network_imagenet_says_so(tmp_path, monkeypatch, capsys):
    def offline(*given):
        raise OSError("no network")

    monkeypatch.setattr(own_folder, "pretrained", offline)
    folder = own_folder.write_example(tmp_path / "mine", n=4)
    own_folder.yours(folder, {}, right_cam, imagenet=True)
    assert "Nothing was trained: no network" in capsys.readouterr().out


# --- channels


def test_a_channels_photos_are_its_strongest_and_the_frame_is_its_receptive_field(
    dataset, classifier
):
    part = replace(dataset.valid, mean=classifier.mean, std=classifier.std)
    blocks = channels.measure(classifier, part)
    assert list(blocks) == ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    block, model = blocks["3a"], classifier.model
    assert (block.side, block.jump) == (15, 2)
    with torch.no_grad():
        out = model.body.get_submodule("3a")(model.stem(part.batch(slice(5, 6))[0]))[0, 7]
    row, column = block.places[5, 7].tolist()
    assert out[row, column] == pytest.approx(block.peaks[5, 7].item(), rel=1e-4) == out.max()
    photos = channels.Photos(dataset.valid.images, dataset.valid.labels, dataset.classes, 48)
    excited = channels.look(blocks, photos, "3a", 7)
    assert block.peaks[excited.chosen[0], 7] == block.peaks[:, 7].max()
    explorer = channels.explorer(blocks, photos)
    moved(explorer, name="5b")
    assert "block 5b, channel 3 of 342" in explorer.words
    moved(explorer, channel=341)  # every channel of every block can be chosen
    assert "block 5b, channel 341 of 342" in explorer.words
    moved(explorer, name="3a")
    assert explorer.values == dict(name="3a", channel=85) and explorer.message.value == ""
    assert "block 3a, channel 85 of 86" in explorer.words
    moved(explorer, name="5b")
    rows = channels.table(blocks, photos).rows[1:]
    assert [row[:2] for row in rows] == [
        (name, str(b.peaks.shape[1])) for name, b in blocks.items()
    ]
    looks = [channels.look(blocks, photos, "5b", k) for k in range(blocks["5b"].peaks.shape[1])]
    pure = sum(len({*photos.labels[one.chosen].tolist()}) == 1 for one in looks) / len(looks)
    assert rows[-1][2] == f"{100 * pure:.0f}"
    assert rows[-1][3] == f"{looks[0].boxes[0][2]:.0f}"


# --- ink


def test_a_drawing_is_inverted_back_to_a_garment():
    garment = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    made = {way: np.asarray(change(garment)).astype(int) for way, change in ink.WAYS.items()}
    _, dark, inverted, stretched = made.values()
    assert dark[0, 0] == 235 and dark[-1, -1] == 60
    assert inverted[0, 0] == 20 and inverted[-1, -1] == 195
    assert abs(stretched - np.asarray(garment)).max() <= 2


def test_each_way_is_measured_on_the_same_garments():
    labels = torch.arange(20) % 2
    images = (labels.view(-1, 1, 1, 1) * 200).expand(-1, 1, 28, 28).to(torch.uint8).clone()
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 255
    part = Split(images, labels, (0.3,), (0.3,))
    network = lambda x: torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)  # noqa: E731
    tried = ink.measure(network, part)
    assert [round(one.accuracy) for one in tried.values()][::3] == [100, 100]
    assert tried["dark on paper, as it is"].accuracy <= 50
    assert len(ink.show(tried).words.splitlines()) == 5


# --- heat maps


@pytest.fixture(scope="module")
def photos(dataset):
    return heat_maps.examples(dataset.test, dataset.classes)


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
    assert told[0].split()[-2:] == ["fruit", "mean"] and told[3].startswith("32")
    mean = sum(heat_maps.agreement(measured, 32)) / 4
    assert told[3].endswith(f"{mean:.2f}")
    assert f"{heat_maps.hits(measured.cams)} of 4 activation maps" in told[4]
    explorer = heat_explorer.explorer(measured)
    assert explorer.values == dict(name="mammal", square=16)
    assert "the mammal is top left" in explorer.words
    for name, value in dict(name="fruit", square=8).items():
        moved(explorer, **{name: value})
        assert struct.unpack(">II", explorer.picture.value[16:24])[0] == 2 * on_page((11, 4))[0]
    assert "the fruit is bottom right" in explorer.words


# --- wrong inputs


def test_a_preparation_is_what_its_name_says(classifier):
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    made = {name: f(x, classifier) for name, f in wrong_inputs.PREPARATIONS.items()}
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (classifier.mean, classifier.std))
    right = (x / 255 - mean) / std
    assert torch.allclose(made["as in training"], right, atol=1e-5)
    assert torch.allclose(made["blue first (BGR)"], (x.flip(1) / 255 - mean) / std, atol=1e-5)
    assert torch.allclose(made["normalised twice"], (right - mean) / std, atol=1e-4)
    assert made["0 to 255"].max() > 200 and 0 <= made["no mean, no std"].max() <= 1


def test_damage_is_accuracy_and_confidence_of_each_preparation(classifier, dataset):
    found = wrong_inputs.damage(classifier, dataset.valid)
    assert list(found) == list(wrong_inputs.PREPARATIONS)
    logits = classifier.model(
        dataset.normalised(classifier.mean, classifier.std).valid.batch(slice(None))[0]
    ).logits
    right = 100 * (logits.argmax(1) == dataset.valid.labels).double().mean().item()
    assert found["as in training"][0] == pytest.approx(right)
    assert "blue first (BGR)" in wrong_inputs.show_damage(found).words


def test_strangers_are_of_none_of_the_classes_and_their_confidence_is_told(classifier, dataset):
    garments = torch.randint(0, 256, (30, 1, 28, 28), dtype=torch.uint8)
    kinds = wrong_inputs.strangers(dataset, garments, n=20)
    assert {name: tuple(x.shape) for name, x in kinds.items() if name != "test images"} == {
        name: (20, 3, 48, 48) for name in ("garments", "one colour", "noise")
    }
    assert torch.equal(kinds["garments"][:, 0], kinds["garments"][:, 2])
    found = wrong_inputs.how_sure(classifier, kinds)
    picture = wrong_inputs.show_sure(found)
    assert len(picture.words.splitlines()) == 6 and "test images  156" in picture.words
    assert all(0.25 <= top.min() and top.max() <= 1 for top in found.values())


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("09")
