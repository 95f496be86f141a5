"""Lesson 05, training for real: the checks of its exercises."""

import random
from collections.abc import Callable

import torch

from inception_edu.exercises import Exercise
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


def check_diagnosis(answer: dict[str, str]) -> str | None:
    """The fault of each run, by letter."""
    if not isinstance(answer, dict) or set(answer) != set(LETTERS):
        return f"give a dict with the keys {', '.join(LETTERS)}, got {answer!r}"
    for letter, said in answer.items():
        if said not in EVIDENCE:
            return f"{letter} must be one of {', '.join(map(repr, EVIDENCE))}, got {said!r}"
    for letter, fault in LETTERS.items():
        if answer[letter] != fault:
            run = shared.saved("training")["runs"][fault][0]
            last, worst = run["rows"][-1], max(run["losses"]["main"])
            found = dict(train=last["main_accuracy"], valid=last["valid_accuracy"], worst=worst)
            return f"{letter} is not {answer[letter]!r}: {EVIDENCE[fault].format(**found)}"
    return None


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


def check_parts(parts: set[str]) -> str | None:
    """The parts that a checkpoint must hold: a run is resumed with them, and with no other."""
    if not isinstance(parts, (set, list, tuple)):
        return f"give a set of names, got {parts!r}"
    known = [*REASONS, *NEEDLESS]
    if unknown := [part for part in parts if part not in known]:
        return f"{unknown[0]!r} is not on the list: {', '.join(known)}"
    whole, resumed = crash.resumed_from(set(parts) & set(crash.PARTS))
    for i, (expected, seen) in enumerate(zip(whole, resumed, strict=False), start=1):
        if seen != expected:
            lost = [reason for part, reason in REASONS.items() if part not in parts]
            return (
                f"resumed with these, step {i} after the interruption has loss {seen:.4f}, the "
                f"uninterrupted run {expected:.4f}; missing: {lost[0]}"
                + f", and {len(lost) - 1} more"
                * (len(lost) > 1)
            )
    if needless := [part for part in NEEDLESS if part in parts]:
        return f"it goes on exactly, but leave out {needless[0]}: {NEEDLESS[needless[0]]}"
    return None


def check_report(report: Callable[[torch.Tensor, torch.Tensor], float]) -> str | None:
    """`report(valid, test)` is the test accuracy of the candidate that is best on validation."""
    for _ in range(20):
        k = random.randint(5, 12)
        valid = (torch.randperm(200)[:k] / 200).tolist()
        test = (torch.randperm(200)[:k] / 200).tolist()
        _, expected = max(zip(valid, test, strict=True))
        seen = float(report(torch.tensor(valid), torch.tensor(test)))
        if abs(seen - expected) < 1e-6:
            continue
        why = f"you report {seen:.3f}, expected {expected:.3f}"
        if abs(seen - max(test)) < 1e-6:
            return f"{why}: yours is the best test score, so the test set has chosen and flatters"
        if abs(seen - max(valid)) < 1e-6:
            return f"{why}: yours is the score that has chosen; the test set was not asked"
        return f"{why}, the test score of the candidate with the best validation score"
    return None


exercise_1 = Exercise("1", check_diagnosis)
exercise_2 = Exercise("2", check_parts)
exercise_3 = Exercise("3", check_report)
