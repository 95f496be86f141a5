"""Photos chosen and uploaded, through one network or several."""

import io
from dataclasses import replace
from datetime import datetime, timezone

import ipywidgets
import pytest
from PIL import Image

from inception_edu.photo_explorer import PhotoExplorer, read_files
from inception_edu.predict import PHOTOS, shipped, shipped_photo

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def classifier():
    return shipped()


@pytest.fixture(scope="module")
def photos():
    return {name: shipped_photo(name) for name in PHOTOS}


def content(image, form="JPEG"):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def files_of(version, **contents):
    """What FileUpload holds after an upload, in ipywidgets 7 and 8."""
    if version == 7:
        return {
            name: dict(metadata=dict(name=name, size=len(data)), content=data)
            for name, data in contents.items()
        }
    return tuple(
        dict(
            name=name,
            type="image/jpeg",
            size=len(data),
            content=memoryview(data),
            last_modified=datetime(2026, 1, 1, tzinfo=timezone.utc),
        )
        for name, data in contents.items()
    )


@pytest.mark.parametrize("version", [7, 8])
def test_several_files_are_read_and_the_unreadable_named(version, photos):
    good = content(photos["cat"])
    value = files_of(version, **{"a.jpg": good, "b.jpg": good[:900], "c.jpg": b"", "d.txt": b"x"})
    found, failed = read_files(value)
    assert list(found) == ["a.jpg"] and found["a.jpg"].mode == "RGB"
    assert [line.split()[0] for line in failed] == ["b.jpg", "c.jpg", "d.txt"]
    assert "is empty" in failed[1] and "b.jpg could not be decoded" in failed[0]


def test_a_large_upload_is_kept_small():
    big = content(Image.new("RGB", (3000, 2000), "red"))
    found, _ = read_files(files_of(8, **{"big.jpg": big}))
    assert found["big.jpg"].size == (640, 427)


@pytest.fixture()
def explorer(classifier, photos):
    return PhotoExplorer({"mine": classifier}, photos)


def give(explorer, **contents):
    """What happens when the browser hands over files."""
    version = int(ipywidgets.__version__.split(".")[0])
    explorer.upload.set_trait("value", files_of(version, **contents))


def test_without_an_upload_the_shipped_photos_are_there(explorer):
    assert explorer.controls["photo"].options == ("astronaut", "cat", "coffee", "rocket")
    before = explorer.picture.value
    explorer.controls["photo"].value = "coffee"
    assert explorer.picture.value != before and explorer.words.startswith("coffee: ")
    kinds = {type(widget) for widget in explorer.view.children}
    assert ipywidgets.FileUpload in kinds and ipywidgets.Output not in kinds


def test_uploaded_photos_are_shown_and_those_before_stay(explorer, photos):
    red, blue = (content(Image.new("RGB", (80, 60), colour)) for colour in ("red", "blue"))
    give(explorer, **{"red.jpg": red, "no <b>.jpg": b"nothing"})
    assert explorer.controls["photo"].value == "red.jpg" and explorer.words.startswith("red.jpg:")
    assert "1 photos read" in explorer.said.value
    assert "left out: no &lt;b&gt;.jpg is in no format" in explorer.said.value
    give(explorer, **{"blue.jpg": blue})
    assert list(explorer.photos) == [*photos, "red.jpg", "blue.jpg"]
    assert explorer.controls["photo"].options == tuple(explorer.photos)
    assert explorer.controls["photo"].value == "blue.jpg" and explorer.message.value == ""


def test_a_file_of_the_same_name_and_other_pixels_is_shown(explorer):
    red, blue = (content(Image.new("RGB", (80, 60), colour)) for colour in ("red", "blue"))
    give(explorer, **{"one.jpg": red})
    before = explorer.picture.value
    give(explorer, **{"one.jpg": blue})
    assert explorer.picture.value != before and explorer.message.value == ""


def test_an_upload_of_nothing_readable_changes_no_photo(explorer):
    before = explorer.picture.value
    give(explorer, **{"a.jpg": b"", "b.jpg": b"x"})
    assert explorer.picture.value == before and explorer.controls["photo"].value == "astronaut"
    assert "0 photos read" in explorer.said.value and "a.jpg is empty" in explorer.said.value


def test_one_network_needs_no_control_and_of_several_one_is_chosen(classifier, photos):
    alone = PhotoExplorer({"mine": classifier}, photos)
    both = PhotoExplorer({"small": classifier, "large": replace(classifier, size=64)}, photos)
    assert list(alone.controls) == ["photo"] and list(both.controls) == ["network", "photo"]
    assert both.controls["network"].value == "large" and both.words != alone.words
    both.controls["network"].value = "small"
    assert both.words == alone.words
