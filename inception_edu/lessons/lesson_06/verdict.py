"""Lesson 06: what its saved studies say, as figures and tables."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_06.grid_reduction import COLOUR, WAYS
from inception_edu.lessons.lesson_06.runs import FORMS, HALF, LEFT, REDUCES, RUNS
from inception_edu.lessons.shared import Entry, accuracies, mean_std
from inception_edu.lessons.studies import made_by, paired

Values = dict[str, list[float]]  # a number in percent of every run, by entry
KINDS = ("branch5x5", "after", "before", "after", "before")  # of FORMS: ReLU and linear
BETWEEN = [
    (f"{pair}, ReLU between", f"{pair}, linear between") for pair in ("3x3 + 3x3", "1x5 + 5x1")
]
AGAINST_5X5 = [(form, "5x5") for form in FORMS if "ReLU" in form]
REDUCED = [(name, "no reduce") for name in REDUCES if name != "no reduce"]
REDUCED += [("16 channels", "32 channels"), ("8 channels", "32 channels")]  # as many layers
POOL = [("side by side", other) for other in ("stride-2 convolution", HALF, *WAYS[:2])]


def five_networks() -> Table:
    """What stands in each of the three layers of the five networks, and what it costs."""
    rows = [("form", "in each of the three layers", "parameters", "MACs an image")]
    for form, (kernels, relu) in FORMS.items():
        steps = [k if isinstance(k, tuple) else (k, k) for k in kernels]
        last = len(steps) - 1
        layer = [
            f"{h}x{w}, norm" + (", ReLU" if relu or i == last else "")
            for i, (h, w) in enumerate(steps)
        ]
        table = layer_table(RUNS[form].build(), (1, 28, 28))
        rows.append((form, "; ".join(layer), f"{table.params:,}", f"{table.macs:,}"))
    return Table(rows, left=2)


def reached(study: dict, entries: Mapping[str, Entry]) -> Table:
    """What each entry of a study costs, and the accuracy that its runs reached."""
    rows = [("network", "parameters", "MACs an image", "test accuracy, %", "n")]
    for name, entry in entries.items():
        table, values = layer_table(entry.build(), (1, 28, 28)), accuracies(study, name)
        counts = f"{table.params:,}", f"{table.macs:,}"
        rows.append((name, *counts, mean_std(values), len(values)))
    return Table(rows)


def early(study: dict, name: str) -> list[float]:
    """Validation accuracy in percent at the first validation of every run of an entry."""
    return [100 * run["rows"][0]["valid_accuracy"] for run in study["runs"][name]]


def against(
    study: dict,
    pairs: Sequence[tuple[str, str]],
) -> Table:
    """How much more accurate the first of each pair of entries is, seed by seed."""
    rows, bold = [("network", "against", "points, 95 % interval", "verdict")], []
    for first, second in pairs:
        change = paired(accuracies(study, first), accuracies(study, second))
        bold += [len(rows) - 1] if change.verdict != "cannot tell" else []
        rows.append((first, second, str(change), change.verdict))
    about = f"n = {change.n} seeds, paired; {made_by(study)}"
    return Table(rows, left=2, bold=bold, caption=about)


def ends(study: dict) -> Table:
    """How much more accurate the wide last blocks are, early on and at the end, seed by seed."""
    first, second = study["runs"]
    step = study["runs"][first][0]["rows"][0]["step"]
    rows = [("wide against deep", "points, 95 % interval", "verdict")]
    measured = {f"on validation images, after {step} steps": early, "on test images": accuracies}
    for when, value in measured.items():
        change = paired(value(study, first), value(study, second))
        rows.append((when, str(change), change.verdict))
    return Table(rows, caption=f"n = {change.n} seeds, paired; {made_by(study)}")


def gain(study: dict, first: str, second: str) -> float:
    """Points by which an entry is more accurate than another, on average."""
    return round(paired(accuracies(study, first), accuracies(study, second)).mean, 1)


class Dots(NamedTuple):
    """Every run of some entries, with a colour for each and the finding as a title."""

    values: Values
    colours: Sequence[str]
    title: str


def show_dots(dots: Dots) -> Picture:
    """A row for each entry: a dot for each seed, a bar and a number for the mean."""
    return Picture(_draw_dots, dots, words, size=(11, 1.4 + 0.62 * len(dots.values)))


def words(dots: Dots) -> str:
    """Mean and standard deviation of each entry."""
    return "\n".join(f"{name}: {mean_std(values)} %" for name, values in dots.values.items())


def _draw_dots(fig: Figure, dots: Dots) -> None:
    ax = fig.add_subplot()
    for y, (values, colour) in enumerate(zip(dots.values.values(), dots.colours, strict=True)):
        mean = statistics.mean(values)
        ax.plot(values, [y] * len(values), "o", ms=10, color=COLOURS[colour], alpha=0.7)
        ax.plot([mean, mean], [y - 0.25, y + 0.25], color=COLOURS["ink"], lw=3)
        ax.text(mean, y - 0.3, f"{mean:.1f}", ha="center", va="bottom", weight="bold")
    ax.set_yticks(range(len(dots.values)), dots.values)
    label = "test accuracy, %; a dot is a run, a bar their mean"
    ax.set(ylim=(len(dots.values) - 0.5, -0.9), xlabel=label)
    ax.margins(x=0.08)
    ax.set_title(dots.title)


def highest(values: Values) -> str:
    """The entry whose mean is highest."""
    return max(values, key=lambda name: statistics.mean(values[name]))


def show_forms(study: dict) -> Picture:
    """Every run of the five ways to see 5x5."""
    gains = " and ".join(f"{gain(study, *pair):+.1f}" for pair in BETWEEN)
    values = {form: accuracies(study, form) for form in FORMS}
    return show_dots(Dots(values, KINDS, f"A ReLU between the two: {gains} points"))


def show_ways(study: dict) -> Picture:
    """Every run of the ways to halve the grid."""
    values = {way: accuracies(study, way) for way in (*WAYS, HALF)}
    colours = [*COLOUR.values(), "branch1x1"]
    return show_dots(Dots(values, colours, f"{highest(values).capitalize()}: highest mean"))


def show_ends(study: dict) -> Picture:
    """Every run of the wide and the deep last blocks."""
    values = {name: accuracies(study, name) for name in study["runs"]}
    gap = paired(*values.values())
    return show_dots(Dots(values, ("after", "before"), f"Wide against deep: {gap} points"))


def show_reduce(study: dict) -> Picture:
    """Accuracy against the channels that a reduce leaves to the 5x5."""
    values = {name: accuracies(study, name) for name in REDUCES}
    return Picture(_draw_reduce, values, words_reduce, size=(9, 4))


def words_reduce(values: Values) -> str:
    """Mean and standard deviation by channels."""
    return words(Dots(values, (), ""))


def without_loss(values: Values) -> int | None:
    """The fewest channels at which, and above which, no loss against no reduce is shown."""
    fewest = None
    for channels in LEFT:
        change = paired(values[f"{channels} channels"], values["no reduce"])
        if change.verdict == "worse":
            break
        fewest = channels
    return fewest


def _draw_reduce(fig: Figure, values: Values) -> None:
    ax, whole = fig.add_subplot(), statistics.mean(values["no reduce"])
    for channels in LEFT:
        dots = values[f"{channels} channels"]
        ax.plot([channels] * len(dots), dots, "o", ms=9, color=COLOURS["branch1x1"], alpha=0.6)
    means = [statistics.mean(values[f"{channels} channels"]) for channels in LEFT]
    ax.plot(LEFT, means, lw=3, color=COLOURS["branch1x1"], label="with a reduce, mean")
    dashed = dict(color=COLOURS["branch5x5"], lw=3, ls="--")
    ax.axhline(whole, **dashed, label="5x5 without a reduce, mean")
    ax.set_xscale("log", base=2)
    ax.set_xticks(LEFT, map(str, LEFT))
    ax.set(xlabel="channels that the 1x1 leaves to the 5x5, of 32", ylabel="test accuracy, %")
    fewest = without_loss(values)
    shown = f"No loss is shown down to {fewest} of 32 channels"
    ax.set_title(shown if fewest else "Every reduce loses accuracy")
    ax.legend(frameon=False)
