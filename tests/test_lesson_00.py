import re
import statistics
import struct

import pytest
import torch

from inception_edu.cost import conv_cost
from inception_edu.data import Dataset, Split
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_00 import pictures
from inception_edu.lessons.lesson_01 import speed

CLASSES = tuple("abcdefghij")


def split(images, labels):
    return Split(images.to(torch.uint8), torch.as_tensor(labels), (0.5,), (0.25,))


@pytest.fixture(scope="module")
def garments():
    """Forty noisy images of ten classes, each class around a grey of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 10
    noise = torch.randint(0, 120, (40, 1, 6, 6), generator=generator)
    part = split(noise + 12 * labels.view(-1, 1, 1, 1), labels)
    return Dataset("tiny", part, part, part, CLASSES, part.mean, part.std)


def said(exercise, answer, capsys):
    exercise.check(answer)
    return exercise.state, capsys.readouterr().out


@pytest.mark.parametrize(
    ("exercise", "answer", "state", "reason"),
    [
        ("warm_up", 4, "right", ""),
        ("warm_up", 5, "not right yet", "you say 5; put two and two together"),
        ("warm_up", "4", "not right yet", "you say '4'"),
        ("warm_up", None, "not right yet", "you say None"),
        ("warm_up", ..., "not attempted yet", ""),
        ("exercise_1", 55_000, "right", ""),
        ("exercise_1", 60_000, "not right yet", "5,000 of them are set aside for validation"),
        ("exercise_1", 70_000, "not right yet", "the test part is never trained on"),
        ("exercise_1", 54_000, "not right yet", "you say 54000; len(fashion.train) knows"),
        ("exercise_1", "many", "not right yet", "you say 'many'; len(fashion.train) knows"),
        ("exercise_1", [55_000], "not right yet", "you say [55000]"),
        ("exercise_1", ..., "not attempted yet", ""),
    ],
)
def test_exercises_judge_right_wrong_and_unattempted_answers(
    exercise, answer, state, reason, capsys
):
    found, line = said(getattr(pictures, exercise), answer, capsys)
    assert found == state and reason in line
    assert ("(" in line) == bool(reason)


def test_by_class_gives_every_image_once_under_its_own_name(garments):
    found = dict(pictures.by_class(garments.train, CLASSES))
    assert list(found) == list(CLASSES)
    for label, images in enumerate(found.values()):
        assert torch.equal(images, garments.train.images[label::10])


def test_average_image_is_the_mean_of_its_class_pixel_by_pixel(garments):
    averages = pictures.average_images(garments)
    assert averages.shape == (10, 1, 6, 6) and averages.dtype == torch.float64
    for label in (0, 9):
        total = torch.zeros(1, 6, 6)
        for image, of in zip(garments.train.images, garments.train.labels, strict=True):
            total += image * (of == label)
        torch.testing.assert_close(averages[label].float(), total / 4)
    assert not torch.allclose(averages[0], averages[1])


def test_nearest_average_equals_a_direct_loop(garments):
    averages = pictures.average_images(garments)
    expected = []
    for image in garments.valid.images:
        gaps = [((image.double() - average) ** 2).sum().item() for average in averages]
        expected.append(gaps.index(min(gaps)))
    assert len(set(expected)) > 5 and expected != garments.valid.labels.tolist()
    assert pictures.nearest_average(averages, garments.valid).tolist() == expected


def test_nearest_average_of_the_averages_themselves_is_their_own_class(garments):
    averages = torch.arange(0, 250, 25).view(10, 1, 1, 1).expand(10, 1, 6, 6).double()
    assert pictures.nearest_average(averages, split(averages, range(10))).tolist() == [*range(10)]


def test_confused_pairs_are_the_most_frequent_mistakes_first():
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 1, 1])
    predicted = torch.tensor([1, 1, 1, 0, 1, 1, 1, 1])
    lines = pictures.confused_pairs(labels, predicted, ("coat", "shirt", "bag"), n=3).split("\n")
    assert [line.split() for line in lines] == [
        ["coat", "taken", "for", "shirt", "3"],
        ["bag", "taken", "for", "shirt", "2"],
        ["shirt", "taken", "for", "coat", "1"],
    ]


def picture_of(picture, width, height):
    assert struct.unpack(">II", picture.png[16:24]) == (width, height)
    return repr(picture)


def test_garments_are_shown_in_a_row_for_each_class(garments):
    told = picture_of(pictures.show_garments(garments, per_class=3), 900, 800)
    assert told.startswith("3 images each of a, ") and told.endswith("1 images]")


def test_closest_pairs_are_told_with_their_distance(garments):
    averages = pictures.average_images(garments)
    told = picture_of(pictures.show_averages(garments, averages), 900, 400)
    gaps = {
        (CLASSES[i], CLASSES[j]): ((averages[i] - averages[j]) ** 2).mean().sqrt().item()
        for i in range(10)
        for j in range(i)
    }
    closest = sorted(gaps, key=gaps.get)[:4]
    first, *lines = told.splitlines()[:5]
    assert first == "closest pairs of average garments"
    assert lines == [f"{a} and {b}: {gaps[a, b]:.1f} grey levels a pixel" for a, b in closest]


def test_machine_is_told_in_five_rows(monkeypatch):
    monkeypatch.setattr(pictures, "SHAPES", {"3x3, 96 to 128": (2, 2, 3, 4, 1)})
    monkeypatch.setenv("INCEPTION_EDU_DEVICE", "cpu")
    rows = [re.split("  +", line) for line in pictures.words_machine().splitlines()]
    names = ["device", "CPU cores", "float32, GMAC/s", "bfloat16, GMAC/s", "training will use"]
    assert [name for name, _ in rows] == names
    assert rows[0][1] == "cpu" and int(rows[1][1]) >= 1 and rows[4][1] in ("float32", "bfloat16")
    assert pictures.gmacs_per_second(torch.float32) > 0


# --- what the lessons share: how fast, and the networks of the series


@pytest.mark.parametrize("name", speed.SHAPES)
def test_timed_layers_macs_and_bytes_are_those_of_the_layer(name, monkeypatch):
    ran = []
    monkeypatch.setattr(speed, "milliseconds", lambda layer, x: ran.append((layer, x)) or 8.0)
    c_in, c_out, k, grid, groups = shape = speed.SHAPES[name]
    timing = speed.time_layer(*shape)
    ((layer, x),) = ran
    with torch.no_grad():
        out = layer(x)
    assert out.shape == (8, c_out, grid, grid) and layer.groups == groups
    assert timing.macs == conv_cost(c_in, c_out, k, grid, groups=groups).macs
    assert timing.macs * 8 == out.numel() * layer.weight[0].numel()
    assert timing.bytes == 4 * (x.numel() + out.numel() + layer.weight.numel()) // 8
    assert timing.milliseconds == 1.0
    assert timing.gmacs_per_second == pytest.approx(timing.macs / 1e6)
    assert timing.macs_per_byte == timing.macs / timing.bytes


def test_half_the_precision_moves_half_the_bytes():
    small = (4, 4, 3, 8)
    full, half = (speed.time_layer(*small, n=2, dtype=t) for t in (torch.float32, torch.bfloat16))
    assert (full.macs, full.bytes) == (half.macs, 2 * half.bytes)
    assert full.milliseconds > 0 < half.milliseconds


@pytest.fixture
def timings():
    return {
        "fast": speed.Timing(macs=1000, bytes=10, milliseconds=1.0),
        "slow": speed.Timing(macs=500, bytes=50, milliseconds=2.0),
    }


def test_prediction_takes_the_first_layers_speed_for_all(timings):
    assert speed.predicted(timings) == pytest.approx({"fast": 1.0, "slow": 0.5})


def test_speed_is_told_and_drawn_with_the_largest_slowdown_as_title(timings):
    rows = [re.split("  +", line) for line in speed.words_speed(timings).splitlines()]
    assert rows[0][:4] == ["layer", "MACs", "predicted ms", "measured ms"]
    assert rows[2] == ["slow", "500", "0.500", "2.000", "0", "10.0"]
    told = picture_of(speed.show_speed(timings), 1100, 400)
    assert '"Up to 4 times slower"' in told and "2 legend entries" in told


def test_at_least_four_shapes_are_timed(monkeypatch):
    monkeypatch.setattr(speed, "time_layer", lambda *shape, threads: (shape, threads))
    assert speed.time_shapes() == {name: (shape, 1) for name, shape in speed.SHAPES.items()}
    assert len(speed.SHAPES) >= 4


SAVED = shared.saved("networks")


def test_every_network_of_the_series_and_no_other_was_measured_on_3_seeds_or_more():
    assert set(SAVED["runs"]) == set(shared.NETWORKS)
    assert set(SAVED) >= {"command", "versions", "hardware", "runs"}
    for runs in SAVED["runs"].values():
        assert len({run["seed"] for run in runs}) == len(runs) >= 3
        assert all(0.5 < run["test_accuracy"] < 1 and run["train_seconds"] > 0 for run in runs)


@pytest.mark.parametrize(("lesson", "n"), [("00", 1), ("01", 1), ("02", 3), ("07", 3), ("08", 4)])
def test_table_holds_the_networks_trained_up_to_a_lesson(lesson, n):
    found = shared.reached(lesson)
    assert [r.name for r in found] == list(shared.NETWORKS)[:n]
    for r in found:
        runs = SAVED["runs"][r.name]
        accuracies = [run["test_accuracy"] for run in runs]
        assert r.n == len(runs) >= 3
        assert r.accuracy == pytest.approx(sum(accuracies) / r.n)
        assert r.spread == pytest.approx(statistics.stdev(accuracies))
        assert r.params == sum(p.numel() for p in shared.NETWORKS[r.name].build().parameters())


def test_networks_of_the_series_have_7_850_and_96_178_parameters():
    costs = {r.name: (r.params, r.macs) for r in shared.reached("99")}
    assert costs["linear classifier"] == (7_850, 7_840)
    assert costs["GoogLeNet, 1/8 width"] == (96_178, 5_870_492)
    assert costs["Inception v3, 1/8 width"] == (338_094, 11_526_832)


def test_small_googlenet_reached_89_and_a_half_percent_within_60_seconds():
    best = shared.reached("02")[-1]
    assert best.accuracy >= 0.895 and best.seconds <= 60


def test_running_table_prints_a_row_for_each_network_and_where_it_was_measured(capsys):
    shared.running_table("02")
    heading, *rows, about = capsys.readouterr().out.splitlines()
    assert re.split("  +", heading)[:3] == ["network", "parameters", "MACs per image"]
    assert [re.split("  +", row)[0] for row in rows] == list(shared.NETWORKS)[:3]
    assert all(re.search(r"\d\d\.\d% ± \d\.\d +\d+ +\d+\.\d$", row) for row in rows)
    assert SAVED["hardware"] in about


def test_promise_names_the_best_network_of_the_first_lessons_in_its_title():
    told = picture_of(shared.promise(), 800, 400)
    best = max(shared.reached("02"), key=lambda r: r.accuracy)
    assert f'"{100 * best.accuracy:.1f} % in {best.seconds:.0f} seconds' in told
    assert "3 labels" in told
