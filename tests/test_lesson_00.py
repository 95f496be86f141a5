import struct

import numpy as np
import pytest
import torch

from conftest import solutions_pass
from inception_edu.data import Dataset, Split
from inception_edu.figures import on_page
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_00 import checks as checks, pictures

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


JUDGED = {  # the verdict, and what is said
    "warm_up": [
        (4, "right", ""),
        ("4", "right", ""),
        (torch.tensor(4.0), "right", ""),
        (5, "not right yet", "You say 5; put two and two together."),
        (22, "not right yet", "You say 22;"),
        (None, "not right yet", "You say None;"),
        (True, "not right yet", "You say True;"),
        ([4], "not right yet", "You say [4];"),
        (..., "not attempted yet", ""),
    ],
    "exercise_1": [
        (55_000, "right", ""),
        ("55,000", "right", ""),
        (np.int64(55_000), "right", ""),
        (torch.tensor(55e3), "right", ""),
        (60_000, "not right yet", "5,000 of them are set aside for validation."),
        ("70000", "not right yet", "the test part is never trained on."),
        (10_000, "not right yet", "10,000 is the test part"),
        (5_000, "not right yet", "5,000 is the validation part"),
        (51_200, "not right yet", "51,200 is what 400 steps of 128 pictures take"),
        (54_000, "not right yet", "You say 54000; len(fashion.train) knows."),
        ("many", "not right yet", "Give one number, got 'many'."),
        ([55_000], "not right yet", "Give one number, got '[55000]'."),
        (0, "not right yet", "You say 0;"),
        (..., "not attempted yet", ""),
    ],
}


@pytest.mark.parametrize(
    ("name", "answer", "state", "said"),
    [(name, *one) for name, each in JUDGED.items() for one in each],
)
def test_exercises_judge_right_wrong_and_unattempted_answers(name, answer, state, said):
    found, told = getattr(checks, name).judge(answer)
    assert found == state and said in told and bool(said) == bool(told)


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
    table = pictures.confused_pairs(labels, predicted, ("coat", "shirt", "bag"), n=3)
    assert table.rows == [
        ("true class", "taken for", "pictures"),
        ("coat", "shirt", "3"),
        ("bag", "shirt", "2"),
        ("shirt", "coat", "1"),
    ]


def picture_of(picture, *inches):
    assert struct.unpack(">II", picture.png[16:24]) == tuple(2 * n for n in on_page(inches))
    return repr(picture)


def test_garments_are_shown_in_a_row_for_each_class(garments):
    told = picture_of(pictures.show_garments(garments, per_class=3), 9, 8)
    assert told.startswith("3 images each of a, ") and told.endswith("1 images]")


def test_closest_pairs_are_told_with_their_distance(garments):
    averages = pictures.average_images(garments)
    told = picture_of(pictures.show_averages(garments, averages), 9, 4)
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
    ran = []
    monkeypatch.setattr(pictures, "milliseconds", lambda layer, x: ran.append((layer, x)) or 4.0)
    _, *rows = pictures.machine().rows
    names = ["device", "CPU cores", "float32, GMAC/s", "bfloat16, GMAC/s", "training will use"]
    assert [name for name, _ in rows] == names
    assert rows[0][1] == "cpu" and int(rows[1][1]) >= 1 and rows[4][1] in ("float32", "bfloat16")
    (layer, x), (_, half) = ran
    assert (x.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    with torch.no_grad():
        macs = layer(x).numel() * layer.weight[0].numel()
    assert rows[2][1] == rows[3][1] == f"{macs / 4e6:.0f}"


def test_promise_names_the_best_network_of_the_first_lessons_in_its_title():
    told = picture_of(pictures.promise(), 8, 4)
    best = max(shared.reached("02"), key=lambda r: r.accuracy)
    assert f'"{100 * best.accuracy:.1f} % in {best.seconds:.0f} seconds' in told
    assert "3 labels" in told


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("00")
