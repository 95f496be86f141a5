"""Lesson 04: each claim about the aux heads beside what was measured here, with n and interval."""

from inception_edu.display import Table
from inception_edu.lessons.lesson_04 import early_late, gradients, race
from inception_edu.lessons.lesson_04.gradients import Case, Grid
from inception_edu.lessons.lesson_04.runs import HEADS, SETTINGS
from inception_edu.lessons.studies import Paired

Claim = tuple[str, str, str, str, str]  # claim, who says it, evidence, n, verdict


def conclusion(grid: Grid, sweep: dict, raced: dict, heads: dict) -> Table:
    """Each claim, who says it, and the evidence of this lesson's four measurements."""
    claims = [("claim", "who says it", "here: mean, 95 % interval", "n", "verdict")]
    claims += [*by_gradient(grid), by_sweep(sweep), *by_race(raced), *by_heads(heads)]
    return Table([*claims, by_reduces(grid)], left=3)


def judged(change: Paired) -> str:
    """A verdict as the lesson's conclusion has it."""
    return f"{change.verdict} at this scale" if change.verdict == "cannot tell" else change.verdict


def by_gradient(grid: Grid) -> list[Claim]:
    """The heads' claim about gradients, without norm and with it."""
    claims = []
    for norm in (False, True):
        chosen = [setting for setting in SETTINGS if setting.norm == norm]
        changes = [gradients.longer(grid[Case(setting)]) for setting in chosen]
        told = [
            f"{setting.start} {gradients.interval(change)}"
            for setting, change in zip(chosen, changes, strict=True)
        ]
        claim = f"more gradient for conv1, {'batch norm' if norm else 'no norm'}"
        said = [gradients.says(change, "better", "worse") for change in changes]
        verdict = ", ".join(
            f"{word}{' at this scale' * (word == 'cannot tell')}: {said.count(word)} of {len(said)}"
            for word in dict.fromkeys(said)
        )
        here = f"times main's: {'; '.join(told)}"
        claims.append((claim, "[G] section 5", here, str(changes[0].n), verdict))
    return claims


def by_sweep(sweep: dict) -> Claim:
    """Whether a start that trains at no rate alone trains at one with heads."""
    best = race.best_rates(sweep)
    without, with_heads = HEADS
    dead = [runner for runner, lr in best.items() if runner.heads == without and lr is None]
    saved = [runner for runner in dead if best[runner._replace(heads=with_heads)] is not None]
    starts = ", ".join(runner.start for runner in dead)
    rates = len(next(iter(race.sweep(sweep).values())))
    trains = ", ".join(runner.start for runner in saved) or "none"
    here = f"no rate of {rates} trains {starts} without heads; with heads: {trains}"
    verdict = "better" if saved else "no better"
    return ("a start that does not train is rescued", "often concluded", here, "1", verdict)


def by_race(raced: dict) -> list[Claim]:
    """What the heads change in each setting of the race."""
    claims = []
    for setting in race.settings(raced):
        change, sooner = race.gain(raced, setting), race.saved_steps(raced, setting)
        start, n = race.Runner(setting, "").start, str(change.n)
        here = f"{race.fewer(sooner)} steps" if sooner else "some runs never leave it"
        verdict = judged(sooner) if sooner else "cannot tell at this scale"
        claims.append((f"loss leaves chance sooner, {start}", "often concluded", here, n, verdict))
        here = f"{change} points"
        claims.append((f"better network, {start}", "[G] section 5", here, n, judged(change)))
    return claims


def by_heads(heads: dict) -> list[Claim]:
    """[V3]'s claims, by the saved kinds of heads."""
    whole, _, norm, dropout, _, upper = early_late.QUESTIONS
    early, late, test = early_late.MOMENTS
    rows = (
        ("no effect early in training", whole, early),
        ("higher plateau, validation images", whole, late),
        ("higher plateau, test images", whole, test),
        ("batch norm in the heads helps main", norm, test),
        ("dropout in the heads helps main", dropout, test),
        ("the lower head can go", upper, test),
    )
    claims = []
    for claim, question, moment in rows:
        change = early_late.change(heads, question, moment)
        here, n = f"{change} points", str(change.n)
        claims.append((claim, "[V3] section 4", here, n, judged(change)))
    return claims


def by_reduces(grid: Grid) -> Claim:
    """What the 1x1 reduces do to the gradient of the start in which it fades most."""
    least = min(SETTINGS, key=lambda setting: gradients.middle(grid[Case(setting)], "main"))
    have, lack = (gradients.faded(grid[Case(least, reduces)]) for reduces in (True, False))
    change = gradients.times(have, lack)
    here = f"{least}: with reduces {gradients.interval(change)} times as much arrives"
    word = gradients.says(change, "better", "worse")
    verdict = f"{word} at this scale" if word == "cannot tell" else word
    return ("1x1 eases vanishing gradients", "course notes", here, str(change.n), verdict)
