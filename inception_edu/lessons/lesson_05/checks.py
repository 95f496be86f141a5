"""Lesson 05, training for real: the checks of its exercises."""

import math
import random
import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from inception_edu.exercises import Exercise, number
from inception_edu.exercises.answers import other_number
from inception_edu.exercises.judging import calls
from inception_edu.lessons.lesson_05 import plain, saving
from inception_edu.lessons.lesson_05.runs import LETTERS
from inception_edu.lessons.studies import saved
from inception_edu.training import Recipe

# Exercise 1: the schedule


def rate(done: float, peak: float, up: float = 0.25) -> float:
    """The rate where a fraction `done` of the run is over, of which `up` is the warm-up."""
    return peak * done / up if done < up else peak * (1 - done) / (1 - up)


def _cosine(step: int, steps: int, peak: float) -> float:
    done = (step - 0.5) / steps
    return rate(done, peak) if done < 0.25 else peak * math.cos((done - 0.25) * math.pi / 1.5) ** 2


def _held(step: int, steps: int, peak: float) -> float:
    return peak * min((step - 0.5) / steps / 0.25, 1)


OFF_BY = {  # what is said of a rate that is read elsewhere in its step
    "that is the rate at the end of the step; read it at the middle, (step - 0.5) / steps": 0,
    "that is the rate at the beginning of the step; read it at the middle, (step - 0.5) / steps": 1,
    "that is the rate of the step before: the first step is step 1, not step 0": 1.5,
    "that is the rate of the step after: the first step is step 1, not step 0": -0.5,
}
MISTAKES = {
    why: lambda step, steps, peak, by=by: rate((step - by) / steps, peak)
    for why, by in OFF_BY.items()
} | {
    "the warm-up is missing: in the first quarter the rate rises": lambda s, n, peak: (
        peak * min(1, (1 - (s - 0.5) / n) / 0.75)
    ),
    "the fall is missing: after the first quarter the rate goes down to 0": _held,
    "without a warm-up, it falls over the whole run": lambda s, n, peak: peak * (1 - (s - 0.5) / n),
    "the fall is too steep: it has three quarters of the run": lambda s, n, peak: (
        peak * min((s - 0.5) / n / 0.25, max(0, 1.25 - (s - 0.5) / n / 0.75 * 1.25))
    ),
    "the warm-up takes half of the run; a quarter is asked for": lambda s, n, peak: rate(
        (s - 0.5) / n, peak, 0.5
    ),
    "it falls along a cosine; a straight line is asked for": _cosine,
    "peak is ignored: that is the fraction of it": lambda s, n, peak: rate((s - 0.5) / n, 1),
    "of the two lines take the lower one, min, not max": lambda s, n, peak: (
        peak * max((s - 0.5) / n / 0.25, (1 - (s - 0.5) / n) / 0.75)
    ),
    "it is the peak at every step": lambda step, steps, peak: peak,
}


def check_schedule(answer: Callable[[int, int, float], object]) -> str | None:
    """`schedule(step, steps, peak)` is the rate of a step, 1 to steps, up and down linearly."""
    if calls(lambda: answer(3, 10, 0.1), plain.schedule, Recipe.lr_at):
        return "it calls the package's schedule: write it yourself"
    draws = [(s, n, p) for n, p in ((10, 0.2), (37, 1.0), (200, 0.05)) for s in range(1, n + 1)]
    return other_number(
        answer,
        lambda step, steps, peak: rate((step - 0.5) / steps, peak),
        [*draws, (1, 1, 0.3), (2, 2, 0.3)],
        "step {} of {} with peak {:g}",
        MISTAKES,
        "with done = (step - 0.5) / steps, one straight line leads from 0 at done = 0 to peak at "
        "done = 0.25, and another one from there to 0 at done = 1",
    )


# Exercise 3: four diagnoses

EVIDENCE = {  # of each fault, from its saved run: first, last and highest mean loss; accuracies
    "labels shuffled": "its training loss moves from {first:.2f} to {last:.2f} only, with the "
    "healthy rate, and validation accuracy ends at {valid:.0%}: there is no rule to learn",
    "few images": "training accuracy ends at {train:.0%}, validation at {valid:.0%}: it learned "
    "its images by heart, and not all of that holds for new ones",
    "rate too high": "its training loss climbs to {worst:.1f}, above ln 10 = 2.3, before the "
    "schedule lowers the rate, and validation accuracy ends at {valid:.0%}",
    "rate too low": "its training loss falls without a leap, but so slowly that it gets from "
    "{first:.2f} to {last:.2f} only; validation accuracy rises with it, to {valid:.0%}",
}


def evidence(fault: str, run: dict) -> str:
    """What a saved run shows of its fault."""
    losses, last = run["losses"]["main"], run["rows"][-1]
    seen = dict(first=losses[0], last=losses[-1], worst=max(losses))
    return EVIDENCE[fault].format(**seen, train=last["main_accuracy"], valid=last["valid_accuracy"])


def check_fault(letter: str, answer: object) -> str | None:
    """The fault of a run, in any order of its words and with either kind of hyphen."""
    words = re.sub(r"[_-]", " ", str(answer).lower())
    words = re.sub(r"\blearning rate\b|\blr\b", "rate", words).split()
    faults = {frozenset(fault.split()): fault for fault in EVIDENCE}
    fault = faults.get(frozenset(words))
    if fault is None:
        return f"it must be one of {', '.join(map(repr, EVIDENCE))}, got {answer!r}"
    if fault == LETTERS[letter]:
        return None
    run = saved("training")["runs"][LETTERS[letter]][0]
    return f"it is not {fault!r}: {evidence(LETTERS[letter], run)}"


# Exercise 4: what may be published

BIASED = {  # what a report may be instead, of (valid, test)
    "the best test score, chosen by the test images: this is selection bias": lambda v, t: t.max(),
    "the best validation score; report the test score of the same candidate": lambda v, t: v.max(),
    "the mean over all candidates' test scores; one is published": lambda valid, test: test.mean(),
    "the test score of the candidate that is worst on validation": lambda v, t: t[v.argmin()],
    "the place of the candidate, not its score": lambda valid, test: valid.argmax(),
    "the best of the sums, for which the test images were used to choose": lambda v, t: t[
        (v + t).argmax()
    ],
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
        if (value := number(answer)) is None:
            return f"return one accuracy, got {answer!r:.60}"
        seen.append((value, max(pairs)[1] / 200, valid, test))
    wrong = [(value, right) for value, right, *_ in seen if abs(value - right) > 1e-6]
    if not wrong:
        return None
    reported = "you report {:.3f}, expected {:.3f}".format(*wrong[0])
    for why, other in BIASED.items():
        if all(abs(value - float(other(v, t))) < 1e-6 for value, _, v, t in seen):
            return f"{reported}: yours is {why}"
    return f"{reported}, the test score of the candidate with the best validation score"


exercise_1 = Exercise("1", check_schedule, lesson="05", keep="schedule", ours=plain.schedule)
exercise_2 = Exercise(
    "2",
    saving.check_saving,
    lesson="05",
    keep=("save", "resume"),
    ours=(plain.save, plain.resume),
)
exercise_3 = Exercise("3", {letter: partial(check_fault, letter) for letter in LETTERS})
exercise_4 = Exercise("4", check_report)
