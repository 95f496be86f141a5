"""Lesson 09: files as people have them, what Pillow makes of them, and what `read_photo` makes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from inception_edu.cost import text_table
from inception_edu.data import find_photos, read_photo
from inception_edu.data.folders import Found
from inception_edu.display import Table
from inception_edu.figures import Picture

SIDES = 72, 48  # pixels of the photos in the folder
UPRIGHT, SIDEWAYS = 0x0112, 6  # EXIF's tag for orientation; turn a quarter to the right


def write_strange(folder: Path, photo: Image.Image) -> Path:
    """A folder with one class: the same photo in six ways, and three files that are no photo."""
    place = folder / "cat"
    place.mkdir(parents=True)
    small = photo.resize(SIDES)
    small.save(place / "plain.jpg", quality=92)
    small.convert("L").save(place / "grey.png")
    see_through = small.copy()
    y, x = np.mgrid[-1 : 1 : SIDES[1] * 1j, -1 : 1 : SIDES[0] * 1j]
    see_through.putalpha(Image.fromarray(np.where(x**2 + y**2 < 1, 255, 0).astype(np.uint8)))
    see_through.save(place / "transparent.png")
    exif = Image.Exif()
    exif[UPRIGHT] = SIDEWAYS
    small.transpose(Image.Transpose.ROTATE_90).save(place / "sideways.jpg", exif=exif, quality=92)
    small.convert("CMYK").save(place / "printed.jpg", quality=92)
    deep = np.asarray(small.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(place / "sixteen_bits.png")
    whole = (place / "plain.jpg").read_bytes()
    (place / "cut_off.jpg").write_bytes(whole[: len(whole) // 2])
    (place / "empty.jpg").write_bytes(b"")
    (place / "letter.jpg").write_text("Dear photo album,")
    return folder


Opened = dict[str, tuple[Image.Image, Image.Image]]  # file -> as Pillow opens it, as we read it


def words(opened: Opened) -> str:
    """Size and mode of each file, before and after."""
    rows = [("file", "Pillow opens", "pixels", "read_photo", "pixels")]
    for name, pair in opened.items():
        rows.append((name, *(x for i in pair for x in (i.mode, f"{i.width}x{i.height}"))))
    return text_table(rows)


def show(paths: list[Path]) -> Picture:
    """Each photo's pixels as they come, taken for 8-bit RGB, and as `read_photo` hands them out."""
    opened = {path.name: (Image.open(path), read_photo(path)) for path in paths}
    return Picture(_draw, opened, words, size=(9.5, 3.3))


def _draw(fig: Figure, opened: Opened) -> None:
    rows = fig.subplots(2, len(opened))
    for column, (name, (before, after)) in zip(rows.T, opened.items(), strict=True):
        pixels = np.asarray(before)
        naive = pixels[..., :3] if pixels.ndim == 3 else pixels.clip(0, 255)
        column[0].imshow(naive, vmin=0, vmax=255)
        column[0].set_title(Path(name).stem.replace("_", " "), fontsize=13)
        column[0].set_xlabel(f"{before.mode}\n{'x'.join(map(str, pixels.shape))}")
        column[1].imshow(np.asarray(after))
        for ax in column:
            ax.set(xticks=[], yticks=[])
    fig.suptitle(f"{len(opened)} files, one photo: only read_photo finds it", weight="bold")
    rows[0, 0].set_ylabel("the file's pixels")
    rows[1, 0].set_ylabel("read_photo")


def in_a_new_folder(photo: Image.Image) -> tuple[TemporaryDirectory, Found]:
    """The strange files in a folder that goes with the lesson, and what lies in it."""
    box = TemporaryDirectory()
    return box, find_photos(write_strange(Path(box.name, "strange"), photo))


def ready(paths: list[Path]) -> int:
    """How many files are upright and red, green and blue as Pillow opens them."""
    found = 0
    for path in paths:
        with Image.open(path) as image:
            found += image.mode == "RGB" and image.size == SIDES
    return found


def rejected(found: Found) -> Table:
    """The files that are left out, and why."""
    rows = [(path.name, why.split(" (")[0]) for path, why in found.rejected]
    return Table([("file", "why it is left out"), *rows], left=2)
