"""Photos of every kind are read, or named with a sentence that says why not."""

import contextlib
import io
import os
import pickle
import sys
import types
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import BmpImagePlugin, Image
from torchvision.transforms import v2

from conftest import refused
from inception_edu.data import photos
from inception_edu.data.photos import PhotoError, middle, problems, read_photo
from inception_edu.files import shown

RED, WHITE = (255, 0, 0), (255, 255, 255)
SOFT = 8  # JPEG's error on flat colours


def scene(w=60, h=40):
    """A gradient in every channel, so that each corner is told from the others."""
    y, x = np.mgrid[0:h, 0:w]
    return Image.fromarray(
        np.stack([255 * x / w, 255 * y / h, 255 - 127 * x / w], 2).astype(np.uint8)
    )


def saved(image, path, **how):
    image.save(path, **how)
    return path


def content(image, form="PNG", **how):
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def apart(a, b):
    return np.abs(np.asarray(a, int) - np.asarray(b, int)).max()


def png_of(w, h, kind, row):
    """A PNG with `h` equal rows, made without ever holding its pixels."""

    def chunk(name, data):
        crc = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + crc

    pack = zlib.compressobj(1)
    header = w.to_bytes(4, "big") + h.to_bytes(4, "big") + bytes([8, kind, 0, 0, 0])
    rows = b"".join(pack.compress(b"\0" + row) for _ in range(h)) + pack.flush()
    data = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


# --- kinds of files


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "PPM", "JPEG", "GIF", "MPO"])
def test_formats_are_read_as_rgb(form, tmp_path):
    how = dict(WEBP=dict(lossless=True), JPEG=dict(quality=95, subsampling=0)).get(form, {})
    photo = read_photo(saved(scene(), tmp_path / "photo", format=form, **how))
    assert photo.mode == "RGB" and photo.size == (60, 40)
    assert apart(photo, scene()) <= dict(JPEG=12, MPO=40, GIF=60).get(form, 0)


def test_a_photo_comes_from_bytes_as_from_a_file(tmp_path):
    path = saved(scene(), tmp_path / "a.png")
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes())):
        assert apart(read_photo(source), scene()) == 0


def test_grey_palette_and_bilevel_photos_become_rgb():
    for mode in ("L", "P", "1", "LA"):
        photo = read_photo(content(scene().convert(mode)))
        assert photo.mode == "RGB" and apart(photo, scene().convert(mode).convert("RGB")) == 0
    grey = np.asarray(read_photo(content(scene().convert("L"))))
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()


def test_cmyk_becomes_rgb_and_not_its_negative():
    photo = read_photo(content(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG"))
    assert photo.mode == "RGB" and apart(photo, Image.new("RGB", (16, 16), RED)) <= SOFT


def test_transparency_lies_over_white():
    clear = Image.new("RGBA", (4, 2), (*RED, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 2, 2))
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    seen = np.asarray(read_photo(content(clear)))
    assert (seen[:, :2] == WHITE).all() and (seen[:, 2:] == RED).all()
    assert abs(int(np.asarray(read_photo(content(half)))[0, 0, 0]) - 127) <= 1


def test_transparency_of_a_palette_and_of_a_single_colour_lies_over_white():
    image = Image.new("P", (4, 2), 1)
    image.putpalette([0, 0, 0, *RED, 0, 0, 255])
    image.paste(2, (0, 0, 2, 2))
    for form in ("PNG", "GIF"):
        seen = np.asarray(read_photo(content(image, form, transparency=2)))
        assert (seen[:, :2] == WHITE).all() and (seen[:, 2:] == RED).all()
    keyed = Image.new("RGB", (4, 2), RED)
    keyed.paste((0, 0, 255), (0, 0, 2, 2))
    seen = np.asarray(read_photo(content(keyed, transparency=(0, 0, 255))))
    assert (seen[:, :2] == WHITE).all() and (seen[:, 2:] == RED).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight_and_not_cut_off(form):
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    seen = np.asarray(read_photo(content(Image.fromarray(values), form)))
    assert seen[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_floats_count_from_black_0_to_white_1():
    values = np.array([[-1, 0, 0.4, 1, 7, np.nan]], np.float32)
    seen = np.asarray(read_photo(content(Image.fromarray(values), "TIFF")))
    assert seen[0, :, 0].tolist() == [0, 0, 102, 255, 255, 0]


def test_rgb_of_sixteen_bits_keeps_its_high_bytes():
    row = np.array([[0, 0x8000, 0xFFFF]], ">u2").tobytes()
    data = bytearray(png_of(1, 1, 2, row))
    data[24] = 16  # bits
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert np.asarray(read_photo(bytes(data)))[0, 0].tolist() == [0, 0x80, 0xFF]


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), (0, 0, 255))]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        how = dict(lossless=True) if form == "WEBP" else {}
        data = content(frames[0], form, save_all=True, append_images=frames[1:], **how)
        assert Image.open(io.BytesIO(data)).n_frames == 2
        assert apart(read_photo(data), frames[0]) <= 1


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_a_photo_upright(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    back = {6: 90, 8: 270, 3: 180}.get(turn)
    upright = scene(64, 32)
    lying = upright.rotate(back, expand=True) if back else upright
    if turn in (2, 4, 5, 7):
        how = dict(zip((2, 4, 5, 7), (0, 1, 5, 6), strict=True))[turn]
        lying = upright.transpose(Image.Transpose(how))
    for form in ("PNG", "JPEG"):
        how = dict(quality=95, subsampling=0) if form == "JPEG" else {}
        photo = read_photo(content(lying, form, exif=exif, **how))
        assert photo.size == (64, 32) and apart(photo, upright) <= 12


def test_damaged_exif_loses_only_the_orientation():
    data = content(scene(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9)
    assert read_photo(data).size == (60, 40)


# --- large ones


def test_jpegs_come_smaller_where_that_is_enough_but_never_too_small():
    data = content(scene(800, 400), "JPEG")
    sizes = {least: read_photo(data, at_least=least).size for least in (40, 50, 51, 150, 400, 900)}
    assert sizes == {
        40: (100, 50),
        50: (100, 50),
        51: (200, 100),
        150: (400, 200),
        400: (800, 400),
        900: (800, 400),
    }
    assert read_photo(data).size == (800, 400)


def test_a_decompression_bomb_is_refused():
    bomb = png_of(20_000, 9_500, 0, bytes(20_000))
    assert len(bomb) < 1_000_000
    refused(PhotoError, lambda: read_photo(bomb), "refused", "more pixels")


# --- what is no photo


def broken(folder):
    """Name -> (a file that cannot be read, what is said of it)."""
    jpeg, png = content(scene(200, 200), "JPEG"), content(scene(200, 200))
    files = {
        "empty.jpg": (b"", "is empty"),
        "text.jpg": (b"this is no photo", "no format that is read here"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "damaged or cut off"),
        "cut.png": (png[: len(png) // 2], "damaged or cut off"),
        "head.png": (png[:20], ""),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(99), "save it as JPEG"),
        "picture.svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no format"),
        "run.eps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no format"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: said for name, (_, said) in files.items()}


def test_every_broken_file_is_named_with_the_reason(tmp_path):
    for name, said in broken(tmp_path).items():
        refused(PhotoError, lambda name=name: read_photo(tmp_path / name), name, said)
    refused(PhotoError, lambda: read_photo(tmp_path / "gone.jpg"), "gone.jpg", "is not there")
    refused(PhotoError, lambda: read_photo(tmp_path), "is a folder")
    refused(PhotoError, lambda: read_photo(b""), "the photo", "is empty")


def test_damage_anywhere_is_a_photo_error_or_a_photo():
    draw = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        data = content(scene(), form)
        for _ in range(60):
            bad = bytearray(data[: draw.integers(1, len(data))] if draw.random() < 0.3 else data)
            for at in draw.integers(0, len(bad), 4):
                bad[at] = draw.integers(0, 256)
            try:
                assert read_photo(bytes(bad), at_least=16).mode == "RGB"
            except PhotoError as error:
                assert str(error).startswith("the photo ") and "\n" not in str(error)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def deny(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(photos, "_rgb", deny)
    refused(
        PhotoError, lambda: read_photo(content(scene())), "could not be read (Permission denied)"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(PhotoError, lambda: read_photo(tmp_path / "pipe.jpg"), "is not there")


def test_what_libtiff_says_of_damaged_files_stays_off_stderr(capfd):
    data = bytearray(content(scene(), "TIFF", compression="tiff_lzw"))
    data[40:400:7] = b"\xff" * len(data[40:400:7])
    with contextlib.suppress(OSError):
        Image.open(io.BytesIO(data)).load()
    assert capfd.readouterr().err != ""  # from C, to file descriptor 2
    with contextlib.suppress(PhotoError):
        read_photo(data)
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_stderr_comes_back_after_several_threads(capfd, tmp_path):
    data = bytearray(content(scene(), "TIFF", compression="tiff_lzw"))
    data[40:400:7] = b"\xff" * len(data[40:400:7])
    for i in range(40):
        (tmp_path / f"{i}.tif").write_bytes(data)
    assert len(problems(list(tmp_path.iterdir()), whole=True)) == 40
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_heic_is_read_where_pillow_heif_is_installed(monkeypatch):
    data = b"\0\0\0\x18ftypheic" + content(scene(), "BMP")
    refused(PhotoError, lambda: read_photo(data), "is HEIC", "pillow-heif", "JPEG")

    class Opener(BmpImagePlugin.BmpImageFile):
        format = "HEIF"

        def _open(self):
            self.fp = io.BytesIO(self.fp.read()[12:])
            super()._open()

    def register():
        Image.register_open("HEIF", Opener, lambda start: start[4:12] == b"ftypheic")

    with monkeypatch.context() as patch:
        patch.setitem(
            sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register)
        )
        patch.setattr(Image, "OPEN", dict(Image.OPEN))
        patch.setattr(Image, "ID", list(Image.ID))
        photos._formats.cache_clear()
        assert apart(read_photo(data), scene()) == 0
    photos._formats.cache_clear()


def test_the_content_decides_and_what_is_none_by_content_is_no_photo(tmp_path):
    for name in ("a.mpo", "b.j2k", "c.jpg_large", "d"):
        form = "JPEG2000" if name == "b.j2k" else "JPEG"
        path = saved(scene(), tmp_path / name, format=form)
        assert problems([path]) == problems([path], whole=True) == {}
    strays = {"notes.txt": b"BC a letter", "Thumbs.db": b"\xd0\xcf\x11\xe0", "e": b""}
    others = {"f.JPG": b"", "g.heic": b"BC", "phone": b"\0\0\0\x18ftypheic" + bytes(99)}
    for name, data in (strays | others).items():
        (tmp_path / name).write_bytes(data)
        (error,) = problems([tmp_path / name]).values()
        assert error.stray == (name in strays)
    assert "is HEIC" in error.why


def test_pillows_warnings_do_not_leak():
    image = Image.new("P", (4, 4))
    image.putpalette([0, 0, 0] * 256)
    data = content(image, transparency=bytes(range(256)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_photo(data)
        with pytest.raises(PhotoError):
            read_photo(b"\0" * 99)
    assert not caught


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(PhotoError("a.jpg", "is empty")))
    assert str(error) == "a.jpg is empty" and error.why == "is empty"


def test_names_that_cannot_be_printed_are_shown_in_one_line():
    assert shown("a\nb\udcffc.jpg") == "a�b�c.jpg" and shown(Path("ü/é.png")) == str(
        Path("ü/é.png")
    )


# --- the middle


@pytest.mark.parametrize("size", [(60, 40), (33, 97), (64, 64), (20, 21), (150, 40)])
def test_the_middle_is_what_torchvisions_resize_and_centre_crop_give(size):
    for side, resize in ((24, 27), (32, 32), (64, 73)):
        theirs = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(side)])(scene(*size))
        ours = middle(scene(*size), side, resize)
        assert ours.size == (side, side) and apart(ours, theirs) == 0
    assert apart(middle(scene(*size), 24, 27), middle(scene(*size), 24, 40)) > 0


def test_the_middle_may_be_higher_than_wide():
    assert middle(scene(), (30, 20), 30).size == (20, 30)


def test_a_strip_of_one_pixel_by_30_000_needs_no_gigabytes(monkeypatch):
    asked = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, *a: asked.append(size) or resize(self, size, *a)
    )
    assert middle(Image.new("RGB", (1, 30_000), RED), 24, 27).getcolors() == [(576, RED)]
    assert asked == [[27, 108]]
