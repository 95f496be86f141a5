"""The stamps: cut-outs put on backgrounds by a seed, and split by object."""

import csv
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from authoring import measure as tool
from inception_edu.data import load, stamps

ROOT = Path(__file__).parents[1]
STAMPS = ROOT / "inception_edu/assets/stamps"


@pytest.fixture(scope="module")
def first():
    return load("stamps")


def test_there_are_133_objects_of_four_classes():
    counts = Counter(photo.place.parts[0] for photo in stamps.objects())
    assert counts == dict(bird=35, flower=24, fruit=26, mammal=48)


def test_every_stamp_has_its_origin_and_travels_with_its_licence():
    with (STAMPS / "ORIGINS.tsv").open(encoding="utf-8") as file:
        origins = [row[0] for row in csv.reader(file, delimiter="\t")][1:]
    assert sorted(origins) == sorted(photo.place.as_posix() for photo in stamps.objects())
    assert "GPL-2" in (STAMPS / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Version 2, June 1991" in (STAMPS / "GPL-2.txt").read_text(encoding="utf-8")
    assert '"assets/stamps/*", "assets/stamps/*/*"' in (ROOT / "pyproject.toml").read_text()
    licence = (ROOT / "README.md").read_text(encoding="utf-8").split("## Licence")[1]
    assert "GPL-2" in licence and "inception_edu/assets/stamps/LICENSE.txt" in licence


def test_the_parts_have_the_shapes_that_are_documented(first):
    shapes = {part: getattr(first, part).images.shape for part in ("train", "valid", "test")}
    assert shapes == dict(train=(536, 3, 48, 48), valid=(108, 3, 48, 48), test=(156, 3, 48, 48))
    assert first.train.images.dtype == torch.uint8 and first.train.labels.dtype == torch.int64
    assert first.classes == ("bird", "flower", "fruit", "mammal") and first.name == "stamps"
    assert load("stamps", size=20).test.images.shape == (156, 3, 20, 20)


@pytest.mark.parametrize("seed", [0, 3])
def test_an_object_is_in_one_part_and_every_part_has_all_classes(seed):
    drawn = stamps.parts(seed)
    paths = [photo.path for own in drawn.values() for photo in own]
    assert len(paths) == len(set(paths)) == 133
    for photos in drawn.values():
        assert {photo.label for photo in photos} == {0, 1, 2, 3}
    assert {photo.path for photo in drawn["test"]} != {p.path for p in stamps.parts(9)["test"]}


def test_image_i_shows_object_i_modulo_the_number_of_objects(first):
    photos = stamps.parts(0)["test"]
    assert first.test.labels.tolist() == 4 * [photo.label for photo in photos]


def test_the_seed_decides_all_and_another_one_decides_otherwise(first):
    again, other = load("stamps"), load("stamps", seed=1)
    for part in ("train", "valid", "test"):
        assert torch.equal(getattr(first, part).images, getattr(again, part).images)
    assert not torch.equal(first.train.images, other.train.images)
    assert first.mean == again.mean != other.mean


def test_views_of_an_object_differ(first):
    own = first.train.images[::67].float()  # all views of the first object
    apart = (own[:, None] - own[None]).abs().mean((2, 3, 4)) + 99 * torch.eye(8)
    assert len(own) == 8 and apart.min() > 5


def test_the_same_seed_shows_the_same_scene_in_more_pixels(first):
    large = load("stamps", size=96).valid.images.float()
    small = torch.nn.functional.interpolate(large, (48, 48), mode="area")
    far = (small - first.valid.images).abs().mean((1, 2, 3))
    other = (small - load("stamps", seed=1).valid.images).abs().mean((1, 2, 3))
    assert far.max() < 15 < other.median()


def test_an_object_lies_whole_in_the_image_at_half_to_all_of_its_side():
    stamp, sides = Image.new("RGBA", (80, 40), (1, 2, 3, 255)), []
    for i in range(60):
        pixels = np.asarray(stamps.place(stamp, 100, random.Random(i)))
        own = (pixels == (1, 2, 3)).all(2)
        rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
        sides.append(len(columns))
        assert own[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95
        assert abs(len(columns) - 2 * len(rows)) <= 2
    assert 50 <= min(sides) < 60 and 90 < max(sides) <= 100


def test_about_half_of_the_backgrounds_are_one_colour():
    nothing = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    plain = 0
    for i in range(200):
        pixels = np.asarray(stamps.place(nothing, 24, random.Random(i))).reshape(-1, 3)
        plain += len(np.unique(pixels, axis=0)) == 1
    assert 70 < plain < 130


@pytest.mark.parametrize("given", [dict(valid=5), dict(limit=50)])
def test_what_would_split_by_image_is_refused(given):
    with pytest.raises(ValueError, match="split by object; leave out valid and limit"):
        load("stamps", **given)


@pytest.mark.parametrize("given", [dict(seed=-1), dict(size=4), dict(seed=1.5)])
def test_a_seed_or_size_out_of_range_is_named(given):
    with pytest.raises((ValueError, TypeError), match=f"{next(iter(given))} must be"):
        load("stamps", **given)


def test_a_folder_of_that_name_does_not_hide_them(tmp_path, monkeypatch):
    (tmp_path / "stamps" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert load("stamps").classes[0] == "bird"


def test_each_seed_of_a_study_of_the_stamps_has_a_split_of_its_own():
    asked = []

    def loaded(name, **given):
        asked.append((name, given))
        return len(asked)

    same = (
        tool.prepared(loaded, "fashion_mnist", str),
        tool.prepared(loaded, "fashion_mnist", str),
    )
    mine = [tool.prepared(loaded, "stamps", str, seed=seed) for seed in (0, 1)]
    assert same == ("1", "1") and mine == ["2", "3"]
    assert asked[1:] == [("stamps", dict(seed=0)), ("stamps", dict(seed=1))]
