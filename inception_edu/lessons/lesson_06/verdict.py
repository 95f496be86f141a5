"""Lesson 06: five ways to see 5x5, trained small with three seeds each, and the paper's claim."""

import statistics

from matplotlib.figure import Figure

from inception_edu.cost import layer_table, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_06.runs import FORMS, plain_network
from inception_edu.lessons.shared import accuracies, mean_std

PAIRS = "3x3 + 3x3", "1x5 + 5x1"
PAPER = {"ReLU": 77.2, "linear": 76.2}  # [V3] Figure 2, top-1 accuracy on ImageNet, in percent


def gains(study: dict, pair: str) -> list[float]:
    """Points that the ReLU between gains for one of PAIRS, seed by seed."""
    bent, linear = (accuracies(study, f"{pair}, {how} between") for how in ("ReLU", "linear"))
    return [a - b for a, b in zip(bent, linear, strict=True)]


def words(study: dict) -> str:
    """A row for each form, then what the ReLU between gains."""
    rows = [("form", "parameters", "MACs", "test accuracy, %", "n")]
    for form in FORMS:
        table, found = layer_table(plain_network(form), (1, 28, 28)), accuracies(study, form)
        cells = f"{table.params:,}", f"{table.macs:,}", mean_std(found), f"{len(found)}"
        rows.append((form, *cells))
    lines = [text_table(rows)]
    for pair in PAIRS:
        found = gains(study, pair)
        seeds = ", ".join(f"{gain:+.2f}" for gain in found)
        lines.append(f"{pair}: ReLU against linear {mean_std(found, '+')} points (seeds {seeds})")
    paper = PAPER["ReLU"] - PAPER["linear"]
    lines.append(f"[V3] Figure 2: {PAPER['ReLU']} against {PAPER['linear']}, {paper:+.1f} points")
    return "\n".join(lines)


def show(study: dict) -> Picture:
    """Every seed's test accuracy against form, and the means."""
    return Picture(_draw, study, words, size=(9, 4))


def _draw(fig: Figure, study: dict) -> None:
    ax = fig.add_subplot()
    colours = [COLOURS["branch5x5"], *(COLOURS["after"], COLOURS["before"]) * 2]
    for y, (form, colour) in enumerate(zip(FORMS, colours, strict=True)):
        found = accuracies(study, form)
        ax.plot(found, [y] * len(found), "o", ms=11, color=colour, alpha=0.75)
        mean = statistics.mean(found)
        ax.plot([mean, mean], [y - 0.3, y + 0.3], color=COLOURS["ink"], lw=3)
        ax.text(mean, y - 0.34, f"{mean:.1f}", ha="center", va="bottom", weight="bold")
    ax.set_yticks(range(len(FORMS)), FORMS)
    ax.set(ylim=(len(FORMS) - 0.5, -0.9), xlabel="test accuracy, %; a dot a seed, a bar the mean")
    found = " and ".join(mean_std(gains(study, pair), "+") for pair in PAIRS)
    ax.set_title(f"ReLU between: {found} points")
