"""The two pictures of README: photos through the network that the package brings, and the proofs
of a finished student's file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torchvision import models

from authoring.execution import ROOT
from authoring.kept import finish
from authoring.pictures import palette
from inception_edu.exercises import Exercise
from inception_edu.exercises.student_file import FILE, load
from inception_edu.figures import COLOURS, Picture
from inception_edu.figures.photos import predictions
from inception_edu.lessons import shared
from inception_edu.predict import shipped, shipped_photo

PROVED = {  # what the check of an exercise compares, by the first name that the exercise keeps
    "train": "the weights of an independent loop",
    "conv_cost": "PyTorch's own counter, on layers of all kinds",
    "Inception": "outputs and gradients of another implementation",
    "AuxHead": "outputs and gradients of another implementation",
    "loss_with_aux": "values and gradients by the definition",
    "schedule": "the rate of every step of runs of 1 to 200 steps",
    "save": "runs cut in mid-epoch go on to the bit",
    "two_3x3": "outputs and gradients of another implementation",
    "Reduction": "outputs and gradients of another implementation",
    "mixed_targets": "PyTorch's values and gradients",
    "calibration_error": "an independent count of bins",
    "grid17": "outputs and gradients of another implementation",
    "grid8": "outputs and gradients of another implementation",
    "reduce35to17": "outputs and gradients of another implementation",
    "cam": "what erasing places one by one shows",
}


class Proof(NamedTuple):
    """A row of the picture: what an exercise left in the file, and what its check compared."""

    lesson: str
    names: str
    compared: str
    holds: bool


@torch.no_grad()
def whole_networks(file: ModuleType) -> dict[str, str]:
    """What is compared for the two whole networks, with numbers that are computed here."""
    theirs = models.googlenet(weights=None, init_weights=False, aux_logits=False)
    theirs, own = shared.randomise(theirs).eval(), file.GoogLeNet(norm=True, k5=3, pool4=2).eval()
    values = theirs.state_dict().values()
    own.load_state_dict(dict(zip(own.state_dict(), values, strict=True)))
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    apart = (own(x) - theirs(x)).abs().max() / theirs(x).abs().max()
    with torch.device("meta"):
        whole = (file.GoogLeNet(), file.InceptionV3())
    v1, v3 = (sum(p.numel() for p in network.parameters()) for network in whole)
    return {
        "GoogLeNet": f"{v1:,} parameters; torchvision's logits, apart by {apart:.1%}",
        "InceptionV3": f"{v3:,} parameters, compared layer by layer",
    }


def proofs(said: dict[Exercise, str], text: str) -> tuple[list[Proof], int]:
    """The rows for what was said of each exercise and for the file's text, and its lines."""
    compared = PROVED | whole_networks(load(text))
    rows = [
        Proof(e.lesson, ", ".join(e.keep), compared[e.keep[0]], verdict == f"Kept in {FILE}.")
        for e, verdict in said.items()
    ]
    return rows, len(text.splitlines())


def draw(fig: Figure, data: tuple[Sequence[Proof], int]) -> None:
    """A line for each exercise: names, what they were compared with, and the verdict."""
    rows, lines = data
    ax = fig.add_subplot()
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -1.6))
    ax.set_axis_off()
    n = sum(row.holds for row in rows)
    ax.set_title(f"{FILE}: {lines} lines, {n} of {len(rows)} proofs hold")
    heading = Proof("lesson", "what you write", "what its check compares it with", True)
    for y, row in enumerate([heading, *rows], -1):
        if y % 2 == 0:
            ax.axhspan(y - 0.5, y + 0.5, color="#f2f2f2", lw=0)
        code = dict(family="DejaVu Sans Mono", size=11.5) if y >= 0 else dict(size=11.5)
        at = dict(va="center", weight="bold" if y < 0 else "normal")
        ax.text(0.01, y, row.lesson, size=11.5, **at)
        ax.text(0.09, y, row.names, **at, **code)
        ax.text(0.49, y, row.compared, size=11.5, **at)
        sign, colour = ("✔", COLOURS["branch5x5"]) if row.holds else ("✘", COLOURS["before"])
        ax.text(0.985, y, sign * (y >= 0), va="center", ha="right", color=colour, size=13)


def words(data: tuple[Sequence[Proof], int]) -> str:
    """The same as text."""
    rows, lines = data
    told = [f"{'✔' if row.holds else '✘'} {row.names}: {row.compared}" for row in rows]
    return "\n".join([f"{FILE}, {lines} lines", *told])


def built(said: dict[Exercise, str], text: str) -> Picture:
    """The proofs of a finished file."""
    return Picture(draw, proofs(said, text), words, size=(11, 0.9 + 0.29 * len(said)))


def photos() -> Picture:
    """Two photos, and what the network that the package brings says of them."""
    classifier = replace(shipped(), size=64, resize=64)  # as in lesson 00: a finer map
    return predictions(classifier, {name: shipped_photo(name) for name in ("cat", "rocket")})


def save_pictures(folder: Path = ROOT) -> str:
    """Draw both anew beside README, the file's checks run then and there; says what they show."""
    with TemporaryDirectory() as place:
        said = finish(Path(place))
        text = (Path(place) / FILE).read_text(encoding="utf-8")
    drawn = {"picture.png": photos(), "built.png": built(said, text)}
    for name, picture in drawn.items():
        (folder / name).write_bytes(palette(picture.png))
    return "\n".join(f"saved {name}: {picture.words}" for name, picture in drawn.items())
