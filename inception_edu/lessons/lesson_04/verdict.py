"""Lesson 04: each claim about the aux heads beside what was measured here, with n."""

from inception_edu.display import Table
from inception_edu.lessons.lesson_04.gradients import Grid, middle
from inception_edu.lessons.lesson_04.race import gains, leaves, runs_of
from inception_edu.lessons.lesson_04.runs import HEADS, RATES, SETTINGS
from inception_edu.lessons.shared import mean_std


def conclusion(race: dict, grid: Grid) -> Table:
    """Each claim, who says it, and the evidence of this lesson's two measurements."""
    claims = [
        ("claim", "who says it", "here"),
        ("The heads bring more gradient to the early layers", "[G] section 5", by_gradient(grid)),
        ("So the loss leaves chance sooner", "what is often made of it", by_start(race)),
        ("The network is better for it", "[G] section 5", by_accuracy(race)),
        (
            "No effect early in training, a slightly higher plateau at its end: a regulariser",
            "[V3] section 4",
            "open; 300 steps show only the early part, and no gap between two kinds of images",
        ),
        ("Removing the lower head does no harm", "[V3] section 4", "not measured"),
    ]
    return Table(claims, left=3)


def by_gradient(grid: Grid) -> str:
    """How many times the main head's gradient aux1's is at conv1, setting by setting."""
    ratios = []
    for setting in SETTINGS:
        one, main = (middle(grid[setting], head)["conv1"] for head in ("aux1", "main"))
        ratios.append(f"{setting} {one / main:.{0 if one > 10 * main else 1}f}")
    n = len(grid[SETTINGS[0]])
    return f"it depends; aux1's at conv1, in times main's: {'; '.join(ratios)} (n = {n}, one batch)"


def by_start(race: dict) -> str:
    """In how many pairs of runs the one with heads left chance sooner."""
    said = []
    for setting in RATES:
        plain, helped = ([leaves(r) for r in runs_of(race, setting, heads)] for heads in HEADS)
        if not any(plain + helped):
            said.append(f"{setting}: none left it")
            continue
        pairs = [(a or float("inf"), b or float("inf")) for a, b in zip(plain, helped, strict=True)]
        said.append(f"{setting}: sooner in {sum(b < a for a, b in pairs)} of {len(pairs)} pairs")
    return "; ".join(said)


def by_accuracy(race: dict) -> str:
    """Mean gain of the heads and its spread, in settings that trained at all."""
    trained = [s for s in RATES if any(any(map(leaves, runs_of(race, s, h))) for h in HEADS)]
    said = [f"{s} {mean_std(gains(race, s), '+')}" for s in trained]
    n = len(gains(race, trained[0]))
    return f"points of test accuracy, early in training: {'; '.join(said)} (n = {n} pairs each)"
