"""Lesson 10: whether a student's test guards against a bug, told by running it on both codes."""

import random
import traceback
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inception_edu.exercises import Exercise

Make = Callable[[int], tuple]  # seed -> fresh arguments for the test, other sizes for each seed
ROUNDS = 3


class Case(NamedTuple):
    """What a test is run on: makers of right code, and of code with a bug, by what is wrong."""

    right: list[Make]
    wrong: dict[str, Make]


class NoVerdict(Exception):
    """A test's answer that is neither yes nor no."""


def complaint(test: Callable, arguments: tuple) -> str | None:
    """What the test has against its arguments; None where it passes.

    As in pytest, whatever it raises is a failure; False is one too. NoVerdict for other answers.
    """
    try:
        answer = test(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.fail and sys.exit raise no Exception
        return told(error)
    if isinstance(answer, (Tensor, np.ndarray)) and answer.shape == ():
        answer = answer.item()
    if answer is not None and not isinstance(answer, (bool, np.bool_)):
        raise NoVerdict(repr(answer)[:60])
    return "it returns False" if answer is not None and not answer else None


def told(error: BaseException) -> str:
    """An error in words; an assert without a message is told by its line."""
    if isinstance(error, AssertionError) and not str(error):
        line = traceback.extract_tb(error.__traceback__)[-1].line or "assert"
        return f"it asks for `{line.partition('assert ')[2] or line}`"
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return f"it says {kind}{' '.join(str(error).split())[:150]}"


def verdict(test: Callable, case: Case) -> str | None:
    """None for a test that passes on all right code and fails on all code with a bug."""
    if not callable(test):
        return f"give the test itself, a function, got {str(test)[:60]!r}"
    runs = [(None, make, seed) for make in case.right for seed in range(ROUNDS)]
    runs += [(bug, make, seed) for bug, make in case.wrong.items() for seed in range(ROUNDS)]
    random.Random(0).shuffle(runs)  # so that the order tells a test nothing
    heard: dict[str | None, list[str | None]] = {}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for bug, make, seed in runs:
            arguments = make(seed)
            torch.manual_seed(seed)
            try:
                heard.setdefault(bug, []).append(complaint(test, arguments))
            except NoVerdict as answer:
                return f"a test asserts, or returns True or False; yours returns {answer}"
    return _weigh(heard[None], {bug: heard[bug] for bug in case.wrong})


def _weigh(right: list[str | None], wrong: dict[str, list[str | None]]) -> str | None:
    """The verdict from the complaints about right code, and about each bug."""
    against = [found for found in right if found]
    about_bugs = [found for each in wrong.values() for found in each]
    if not against and not any(about_bugs):
        return "it never fails: your test passes on the right code, but on the buggy code too"
    if len(against) == len(right) and all(about_bugs):
        return f"it fails on the right code as on the buggy code, so it tells nothing: {against[0]}"
    if against:
        some = "" if len(against) == len(right) else f" in {len(against)} of {len(right)} forms"
        return f"it fails on the right code{some}: {against[0]}"
    for bug, found in wrong.items():
        if not all(found):
            return f"your test passes on the buggy code ({bug}), so it would not have caught it"
    return None


def guard(name: str, case: Case) -> Exercise:
    """The exercise whose answer is a test that passes on the right code and fails on the bugs."""
    return Exercise(name, partial(verdict, case=case))


def sealed(call: Callable) -> Callable:
    """The same function under a name and a source that tell a test nothing."""

    def candidate(*arguments: object) -> object:
        return call(*arguments)

    return candidate
