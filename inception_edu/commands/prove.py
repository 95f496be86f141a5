"""Prove your my_inception.py: every definition passes its lesson's check once more, run now."""

import argparse
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.display import Box, text_table
from inception_edu.exercises import Exercise
from inception_edu.exercises.sources import Refused, bindings, lines
from inception_edu.exercises.student_file import FILE, load, read
from inception_edu.figures import COLOURS, Picture
from inception_edu.files import write

EXAMPLE = "--figure proofs.png"
GREY = "#6b6b6b"  # of text, which needs more contrast than a line
LESSONS = range(10)
PROOFS = {  # what the check of a definition compares it with
    "train": "losses and weights of an independent loop",
    "conv_cost": "weights and multiply-adds of layers that were measured",
    "Inception": "outputs and gradients of an independent block, same weights",
    "GoogLeNet": "Table 1's 19 shapes; 6,998,552 parameters; an independent network",
    "AuxHead": "outputs and gradients of an independent head, same weights",
    "loss_with_aux": "values and gradients of main + 0.3 aux1 + 0.3 aux2",
    "schedule": "the rate of every step, up and down again",
    "save, resume": "a run that was cut continues to the last bit",
    "two_3x3, factorised": "outputs and gradients of independent layers",
    "Reduction": "half the grid, and gradients through both parts",
    "mixed_targets, two_terms, kl_and_entropy": "values and gradients, for each image",
    "calibration_error": "bins counted by an independent route",
    "grid17, grid35": "outputs and gradients of independent blocks",
    "grid8": "outputs and gradients of an independent block",
    "reduce35to17, reduce17to8": "outputs and gradients of independent blocks",
    "InceptionV3": "every layer of an independent Inception v3, same weights",
    "cam": "each place's part of a logit, found by erasing the place",
}


class Proof(NamedTuple):
    """A definition of the file: its lesson, its name, its lines of code (0: it is not there),
    what its check compares it with, and what that says now."""

    lesson: str
    name: str
    lines: int
    compared: str
    verdict: str

    @property
    def passed(self) -> bool:
        """Whether it passed just now."""
        return self.verdict == "right"


def kept() -> list[Exercise]:
    """The exercises whose right answers go into the file, in the order of lessons."""
    rooms = (import_module(f"inception_edu.lessons.lesson_{n:02d}.checks") for n in LESSONS)
    found = (each for checks in rooms for each in vars(checks).values())
    return [each for each in found if isinstance(each, Exercise) and each.keep]


def proofs() -> list[Proof]:
    """What the student's file holds, each definition proved now; Refused where it cannot be run."""
    text = read()
    module, there = load(text), bindings(text)
    rows = []
    for exercise in kept():
        missing = [name for name in exercise.keep if not hasattr(module, name)]
        if len(missing) == len(exercise.keep):
            length, verdict = 0, f"not in your file: Exercise {exercise.name}"
        elif missing:
            length, verdict = 0, f"incomplete: {', '.join(missing)} is missing"
        else:
            places = (lines(there[name]) for name in exercise.keep if name in there)
            length = sum(end - first for first, end in places)
            state, why = exercise.judge(*(getattr(module, name) for name in exercise.keep))
            said = shorten(f"{state}: {why}", 80, placeholder=" …")
            verdict = state if state == "right" else said
        name = ", ".join(exercise.keep)
        rows.append(Proof(exercise.lesson, name, length, PROOFS.get(name, "its check"), verdict))
    return rows


def contents() -> Picture | Box:
    """The table of contents of the file, each line with its proof, made now."""
    try:
        return show(proofs())
    except (Refused, OSError) as reason:
        return Box("not right yet", str(FILE), f"{reason}.")


def show(rows: list[Proof]) -> Picture:
    """The definitions and what was proved of each."""
    return Picture(_draw, rows, _words, size=(11, 1.2 + 0.36 * len(rows)))


def _words(rows: list[Proof]) -> str:
    table = [("lesson", "definition", "compared with", "lines", "now")]
    table += [(r.lesson, r.name, r.compared, f"{r.lines or ''}", r.verdict) for r in rows]
    return f"{title(rows)}\n{text_table(table, left=3)}"


def title(rows: list[Proof]) -> str:
    """How many proofs passed."""
    passed = sum(row.passed for row in rows)
    length = sum(row.lines for row in rows)
    return f"{FILE}: {length} lines of definitions, {passed} of {len(rows)} proofs passed"


def _draw(fig: Figure, rows: list[Proof]) -> None:
    ax = fig.add_subplot()
    for y, row in enumerate(rows):
        ink = COLOURS["ink"] if row.passed else GREY
        sign = "✔" if row.passed else "✘" if row.lines else "▫"
        colour = COLOURS["branch5x5"] if row.passed else COLOURS["before"] if row.lines else ink
        ax.text(0, y, row.lesson, va="center", color=ink, fontsize=12)
        ax.text(4, y, row.name, va="center", color=ink, fontsize=11, family="monospace")
        ax.text(52.5, y, row.lines or "", va="center", ha="right", color=ink, fontsize=12)
        ax.text(54, y, sign, va="center", color=colour, fontsize=14)
        ax.text(57, y, row.compared, va="center", color=ink, fontsize=12)
    ax.set(xlim=(0, 112), ylim=(len(rows) - 0.3, -0.7))
    ax.set_title(title(rows))
    ax.axis("off")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--figure", type=Path, help="a picture of the proofs, written as PNG")


def run(args: argparse.Namespace) -> int:
    """Prints the proofs; 1 where a definition of the file does not pass."""
    try:
        rows = proofs()
    except Refused as error:
        raise ValueError(str(error)) from error
    if args.figure:
        write(args.figure, show(rows).png)
    print(_words(rows))
    return int(any(row.lines and not row.passed for row in rows))
