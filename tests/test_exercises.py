import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from inception_edu.exercises import Exercise, Guess, plain, unattempted


def stub(x): ...


def documented(x: int) -> int:
    """(n, c, h, w) -> (n, c)"""
    ...


def with_defaults(x=1, *args, key=2, **rest):
    """Says something."""
    ...


def returns_ellipsis(x):
    return ...


def passes(x):
    pass


def answered(x):
    """Says something."""
    return 4


def uses_its_argument(x):
    return x


def half_done(x):
    x += 1
    ...


def raises(x):
    raise NotImplementedError


class Filled:
    def method(self):
        return 1

    def blank(self): ...

    def __call__(self):
        return 2


UNATTEMPTED = {
    "ellipsis": ...,
    "body": stub,
    "docstring": documented,
    "defaults": with_defaults,
    "returns ellipsis": returns_ellipsis,
    "pass": passes,
    "lambda": lambda x: ...,
    "list": [1, ...],
    "tuple": (..., 2),
    "dict": {"params": 1, "macs": ...},
    "nested": {"a": [1, (2, [...])]},
    "set": {1, ...},
    "list of stubs": [answered, stub],
    "method": Filled().blank,
}
ATTEMPTED = {
    "zero": 0,
    "none": None,
    "empty": [],
    "text": "...",
    "body": answered,
    "argument": uses_its_argument,
    "half done": half_done,
    "raises": raises,
    "constant lambda": lambda: 4,
    "constant tuple": lambda: (1, 2),
    "text lambda": lambda x: "done",
    "list": [1, [2, {"a": 3}]],
    "builtin": len,
    "class": Filled,
    "type": int,
    "method": Filled().method,
    "callable": Filled(),
    "module": nn.Linear(2, 2),
    "tensor": torch.zeros(3),
    "array": np.zeros((2, 2)),
    "builtin method": [].append,
    "partial": torch.relu,
}


@pytest.mark.parametrize("name", UNATTEMPTED)
def test_what_was_handed_out_counts_as_not_attempted(name, capsys):
    assert unattempted(UNATTEMPTED[name])
    exercise = Exercise("7", lambda answer: 1 / 0)  # is not asked
    exercise.check(UNATTEMPTED[name])
    assert exercise.state == "not attempted yet"
    assert capsys.readouterr().out == "▫ Exercise 7: not attempted yet\n"


@pytest.mark.parametrize("name", ATTEMPTED)
def test_anything_else_counts_as_attempted_and_is_judged(name, capsys):
    assert not unattempted(ATTEMPTED[name])
    seen = []
    Exercise("7", seen.append).check(ATTEMPTED[name])
    assert len(seen) == 1 and (seen[0] is ATTEMPTED[name] or seen == [ATTEMPTED[name]])
    assert capsys.readouterr().out == "✔ Exercise 7: right\n"


def twelve(answer):
    if answer == 12:
        return None
    return f"you say {answer!r},\nexpected 12: three times four"


@pytest.mark.parametrize(
    ("answer", "state", "line"),
    [
        (12, "right", "✔ Exercise 1: right"),
        (
            11,
            "not right yet",
            "✘ Exercise 1: not right yet (you say 11, expected 12: three times four)",
        ),
        ("12", "not right yet", "✘ Exercise 1: not right yet (you say '12', expected 12:"),
        (..., "not attempted yet", "▫ Exercise 1: not attempted yet"),
    ],
)
def test_exercise_says_one_of_three_verdicts_in_one_line(answer, state, line, capsys):
    exercise = Exercise("1", twelve)
    assert exercise.state == "not attempted yet"
    exercise.check(answer)
    out = capsys.readouterr().out
    assert exercise.state == state and out.startswith(line) and out.count("\n") == 1


def test_verdict_changes_with_the_next_answer(capsys):
    exercise, states = Exercise("1", twelve), []
    for answer in (..., 11, 12, 11, ...):
        exercise.check(answer)
        states.append(exercise.state)
    assert [state[:5] for state in states] == ["not a", "not r", "right", "not r", "not a"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("a\nb"), "it raised ValueError: a b"),
        (NotImplementedError(), "it raised NotImplementedError:"),
        (KeyError("x"), "it raised KeyError: 'x'"),
        (AssertionError("no"), "it raised AssertionError: no"),
        (RecursionError("deep"), "it raised RecursionError: deep"),
    ],
)
def test_exception_of_an_answer_is_reported_in_the_line(error, told, capsys):
    def answer():
        raise error

    exercise = Exercise("2", lambda function: function() and None)
    exercise.check(answer)
    out = capsys.readouterr().out
    assert exercise.state == "not right yet"
    assert out.startswith(f"✘ Exercise 2: not right yet ({told}") and out.count("\n") == 1


def test_wrong_arguments_and_wrong_types_are_reported_too(capsys):
    exercise = Exercise("2", lambda function: None if function(1, 2) == 3 else "no")
    exercise.check(lambda a: a)
    exercise.check("not callable")
    first, second = capsys.readouterr().out.splitlines()
    assert "it raised TypeError" in first and "positional" in first
    assert "'str' object is not callable" in second
    exercise.check(lambda a, b: a + b)
    assert exercise.state == "right"


@pytest.mark.parametrize("scalar", [np.int64, np.array, torch.tensor])
def test_scalars_of_numpy_and_pytorch_are_judged_as_numbers(scalar):
    seen = []
    answers = scalar(3), [scalar(3), "a"], (scalar(3),), {"macs": scalar(3)}
    Exercise("5", lambda *given: seen.extend(given)).check(*answers)
    assert seen == [3, [3, "a"], (3,), {"macs": 3}]
    numbers = seen[0], seen[1][0], seen[2][0], seen[3]["macs"]
    assert {type(number) for number in numbers} == {int}


def test_what_is_no_scalar_stays_the_object_that_it_is():
    for answer in (torch.zeros(1), np.zeros((2, 2)), nn.Linear(2, 2), stub, "3", range(3)):
        assert plain(answer) is answer


def test_long_reason_is_cut(capsys):
    Exercise("3", lambda answer: "word " * 1000).check(1)
    assert len(capsys.readouterr().out) < 450


def test_exercise_of_several_answers_wants_all_of_them(capsys):
    exercise = Exercise("4", lambda a, b: None if a < b else "a must be below b")
    states = []
    for answer in ((1, 2), (2, 1), (1, ...)):
        exercise.check(*answer)
        states.append(exercise.state)
    assert states == ["right", "not right yet", "not attempted yet"]


@pytest.mark.parametrize(
    ("guess", "verdict"),
    [
        (..., "not attempted"),
        (100, "right, exactly"),
        (100.0, "right, exactly"),
        (124, "right"),
        (81, "right"),
        (np.float32(101), "right"),
        (np.int64(99), "right"),
        (np.array(99), "right"),
        (torch.tensor(100), "right, exactly"),
        (torch.tensor(126.0), "too high by 1.3x"),
        (torch.tensor(True), "not a number ('True')"),
        (np.bool_(True), "not a number ('True')"),
        (Fraction(101), "right"),
        (126, "too high by 1.3x"),
        (320, "too high by 3.2x"),
        (79, "too low by 1.3x"),
        (10, "too low by 10.0x"),
        (0, "too low"),
        (-5, "too low"),
        (-math.inf, "too low"),
        (math.inf, "too high by infx"),
        (math.nan, "not a number ('nan')"),
        (True, "not a number ('True')"),
        ("100", "not a number ('100')"),
        (None, "not a number ('None')"),
        ([100], "not a number ('[100]')"),
        (100j, "not a number ('100j')"),
        (Decimal(100), "not a number ('100')"),
        ("x" * 1000, f"not a number ('{'x' * 40}')"),
        (torch.zeros(2), "not a number ('tensor([0., 0.])')"),
    ],
)
def test_guess_is_judged(guess, verdict, capsys):
    assert Guess(100, "MACs").verdict(guess) == verdict
    Guess(100, "MACs").check(guess)
    mark = "▫" if guess is ... else "✔" if verdict.startswith("right") else "✘"
    out = capsys.readouterr().out
    assert out == f"{mark} Your guess: {verdict}. Answer: 100 MACs\n"


@pytest.mark.parametrize("guess", [10**400, 5e-324, -(10**400)], ids=["huge", "tiny", "minus"])
def test_guess_beyond_every_scale_does_not_raise(guess, capsys):
    Guess(120_422_400).check(guess)
    assert "too high" in capsys.readouterr().out or guess < 1


@pytest.mark.parametrize(
    ("answer", "guess", "verdict"),
    [
        (0, 0, "right, exactly"),
        (0, 1, "too high"),
        (0, -1, "too low"),
        (-4, -3, "too high"),
        (-4, -5, "too low"),
        (9.68, 9.7, "right"),
    ],
)
def test_guess_of_an_answer_that_is_not_above_0(answer, guess, verdict):
    assert Guess(answer).verdict(guess) == verdict


def test_tolerance_of_a_guess_can_be_set():
    assert Guess(100, within=2).verdict(180) == "right"
    assert Guess(100, within=1.01).verdict(102) == "too high by 1.0x"


@pytest.mark.parametrize(
    ("answer", "unit", "shown"),
    [
        (120_422_400, "MACs", "120,422,400 MACs"),
        (9.677419, "times", "9.677 times"),
        (55_000, "", "55,000"),
    ],
)
def test_answer_is_shown_with_its_unit(answer, unit, shown, capsys):
    Guess(answer, unit).check(...)
    assert capsys.readouterr().out == f"▫ Your guess: not attempted. Answer: {shown}\n"
