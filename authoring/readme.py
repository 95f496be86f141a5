"""The two pictures of README: photos through the network that the package brings, and the proofs
of a finished student's file."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from authoring.execution import ROOT
from authoring.kept import finish, inside
from authoring.pictures import palette
from inception_edu.commands import prove
from inception_edu.figures import Picture
from inception_edu.figures.photos import predictions
from inception_edu.predict import shipped, shipped_photo


def built(folder: Path) -> Picture:
    """The proofs of the student's file in a folder, run now."""
    with inside(folder):
        return prove.show(prove.proofs())


def photos() -> Picture:
    """Two photos, and what the network that the package brings says of them."""
    classifier = replace(shipped(), size=64, resize=64)  # as in lesson 00: a finer map
    return predictions(classifier, {name: shipped_photo(name) for name in ("cat", "rocket")})


def save_pictures(folder: Path = ROOT) -> str:
    """Draw both anew beside README; says what they show."""
    with TemporaryDirectory() as place:
        finish(Path(place))
        drawn = {"picture.png": photos(), "built.png": built(Path(place))}
    for name, picture in drawn.items():
        (folder / name).write_bytes(palette(picture.png, dither=name == "picture.png"))
    return "\n".join(f"saved {name}: {picture.words}" for name, picture in drawn.items())
