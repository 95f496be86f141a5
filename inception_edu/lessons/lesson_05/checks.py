"""Lesson 05, training for real: the checks of its exercises."""

import random
import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from inception_edu.exercises import Exercise, number
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_05 import crash
from inception_edu.lessons.lesson_05.runs import LETTERS

EVIDENCE = {  # of each fault, from the last row of its saved run and its worst loss
    "labels shuffled": "training accuracy ends at {train:.0%}, validation at {valid:.0%}: what it "
    "learned by heart holds for no other image, not even a little",
    "overfitting": "training accuracy ends at {train:.0%}, validation at {valid:.0%}, far above "
    "chance: it learned something that holds for other images, then the rest by heart",
    "lr too high": "while the rate is high its training loss climbs to {worst:.1f}, above ln 10 = "
    "2.3, and after all steps its training accuracy is only {train:.0%}",
}


def check_fault(letter: str, answer: object) -> str | None:
    """The fault of a run, in any order of its words and with either kind of hyphen."""
    words = re.sub(r"[_-]", " ", str(answer).lower().replace("learning rate", "lr")).split()
    said = next((fault for fault in EVIDENCE if sorted(fault.split()) == sorted(words)), None)
    if said is None:
        return f"it must be one of {', '.join(map(repr, EVIDENCE))}, got {answer!r}"
    if said == LETTERS[letter]:
        return None
    run = shared.saved("training")["runs"][LETTERS[letter]][0]
    last, worst = run["rows"][-1], max(run["losses"]["main"])
    seen = dict(train=last["main_accuracy"], valid=last["valid_accuracy"], worst=worst)
    return f"it is not {said!r}: {EVIDENCE[LETTERS[letter]].format(**seen)}"


REASONS = {  # what goes wrong without each part
    "weights": "the network starts from random weights",
    "optimiser": "the optimiser's running averages start from 0, as if without a past",
    "history": "without the count of steps the schedule begins again at step 1",
    "batches": "the images come in another order than in the run that went through",
    "random": "dropout draws other random numbers",
}
NEEDLESS = {
    "gradients": "every step computes them anew",
    "images": "they lie in the data set, and a copy in every checkpoint only makes it large",
}


def check_parts(answer: object) -> str | None:
    """The parts that a checkpoint must hold: a run is resumed with them, and with no other."""
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        return f"give a set of names, got {answer!r}"
    parts = {str(part).strip().lower().replace("optimizer", "optimiser") for part in answer}
    known = [*REASONS, *NEEDLESS]
    if unknown := sorted(parts - set(known)):
        return f"{unknown[0]!r} is not on the list: {', '.join(known)}"
    whole, resumed = crash.resumed_from(parts & set(crash.PARTS))
    for i, (expected, seen) in enumerate(zip(whole, resumed, strict=False), start=1):
        if seen != expected:
            lost = [reason for part, reason in REASONS.items() if part not in parts]
            more = f", and {len(lost) - 1} more" * (len(lost) > 1)
            return (
                f"resumed with these, step {i} after the interruption has loss {seen:.4f}, the "
                f"uninterrupted run {expected:.4f}; missing: {lost[0]}{more}"
            )
    if needless := [part for part in NEEDLESS if part in parts]:
        return f"it goes on exactly, but leave out {needless[0]}: {NEEDLESS[needless[0]]}"
    return None


FLATTERING = {  # what a report may be instead, of (valid, test)
    "the best test score, so the test set has chosen and flatters": lambda valid, test: test.max(),
    "the validation score that has chosen; the test set was not asked": lambda v, t: v.max(),
    "the mean over all candidates' test scores; one is published": lambda valid, test: test.mean(),
    "the test score of the candidate that is worst on validation": lambda v, t: t[v.argmin()],
    "the place of the candidate, not its score": lambda valid, test: valid.argmax(),
    "the best of the sums, so the test set helped to choose": lambda v, t: t[(v + t).argmax()],
    "the first candidate's test score, whatever validation says": lambda valid, test: test[0],
    "the last candidate's test score, whatever validation says": lambda valid, test: test[-1],
}


def check_report(report: Callable[[Tensor, Tensor], object]) -> str | None:
    """`report(valid, test)` is the test accuracy of the candidate that is best on validation."""
    draw, seen = random.Random(0), []
    for i in range(12):
        k, dtype = draw.randint(5, 12), (torch.float32, torch.float64)[i % 2]
        pairs = list(zip(draw.sample(range(200), k), draw.sample(range(200), k), strict=True))
        valid, test = torch.tensor(pairs, dtype=dtype).T.div(200).contiguous()
        answer = report(valid.clone(), test.clone())
        if (found := number(answer)) is None:
            return f"return one accuracy, got {answer!r:.60}"
        seen.append((found, max(pairs)[1] / 200, valid, test))
    wrong = [(found, right) for found, right, *_ in seen if abs(found - right) > 1e-6]
    if not wrong:
        return None
    said = "you report {:.3f}, expected {:.3f}".format(*wrong[0])
    for why, other in FLATTERING.items():
        if all(abs(found - float(other(v, t))) < 1e-6 for found, _, v, t in seen):
            return f"{said}: yours is {why}"
    return f"{said}, the test score of the candidate with the best validation score"


exercise_1 = Exercise("1", {letter: partial(check_fault, letter) for letter in LETTERS})
exercise_2 = Exercise("2", check_parts)
exercise_3 = Exercise("3", check_report)
