"""Guesses, exercises and what they are judged by; the student's file is in test_student_file.py."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.exercises import Exercise, Guess, number, unattempted
from inception_edu.exercises.answers import near, numbers, whole
from inception_edu.exercises.judging import calls, other_function, other_network


def stub(x): ...


def documented(x: int) -> int:
    """(n, c, h, w) -> (n, c)"""
    ...


def passes(x):
    pass


def answered(x):
    """Says something."""
    return 4


def half_done(x):
    x += 1
    ...


class Blank:
    """A class as it is handed out."""

    def __init__(self): ...

    def forward(self, x): ...


class Begun(Blank):
    def forward(self, x):
        return x


UNATTEMPTED = {
    "ellipsis": ...,
    "body": stub,
    "docstring": documented,
    "pass": passes,
    "lambda": lambda x: ...,
    "list": [..., ...],
    "tuple": (..., stub),
    "dict": {"params": ..., "macs": ...},
    "nested": {"a": [..., (..., [...])]},
    "class": Blank,
    "method": Blank().forward,
}
ATTEMPTED = {
    "zero": 0,
    "none": None,
    "empty": [],
    "text": "...",
    "body": answered,
    "half done": half_done,
    "constant lambda": lambda: 4,
    "part of a list": [1, ...],
    "part of a dict": {"params": 1, "macs": ...},
    "builtin": len,
    "class": Begun,
    "type": int,
    "object": Blank(),
    "module": nn.Linear(2, 2),
    "tensor": torch.zeros(3),
    "array": np.zeros((2, 2)),
}


@pytest.mark.parametrize("name", UNATTEMPTED)
def test_what_was_handed_out_counts_as_not_attempted(name, capsys):
    assert unattempted(UNATTEMPTED[name])
    exercise = Exercise("7", lambda answer: 1 / 0)  # is not asked
    exercise.check(UNATTEMPTED[name])
    assert exercise.state == "not attempted yet"
    assert capsys.readouterr().out == "▫ Exercise 7: not attempted yet.\n"


@pytest.mark.parametrize("name", ATTEMPTED)
def test_anything_else_counts_as_attempted_and_is_judged(name, capsys):
    assert not unattempted(ATTEMPTED[name])
    seen = []
    Exercise("7", seen.append).check(ATTEMPTED[name])
    assert len(seen) == 1 and seen[0] is ATTEMPTED[name]
    assert capsys.readouterr().out == "✔ Exercise 7: right.\n"


def twelve(answer):
    if number(answer) == 12:
        return None
    return f"you say {answer!r},\nexpected 12: three times four"


@pytest.mark.parametrize(
    ("answer", "state", "line"),
    [
        (12, "right", "✔ Exercise 1: right."),
        ("12", "right", "✔ Exercise 1: right."),
        (11, "not right yet", "✘ Exercise 1: not right yet. You say 11, expected 12: three times "),
        (..., "not attempted yet", "▫ Exercise 1: not attempted yet."),
    ],
)
def test_exercise_says_one_of_three_verdicts_in_one_line(answer, state, line, capsys):
    exercise = Exercise("1", twelve)
    assert exercise.state == "not attempted yet"
    assert exercise.check(answer) is None
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
        (ValueError("a\nb"), "It raised ValueError: a b"),
        (NotImplementedError(), "It raised NotImplementedError:"),
        (KeyError("x"), "It raised KeyError: 'x'"),
        (RecursionError("deep"), "It raised RecursionError: deep"),
    ],
)
def test_exception_of_an_answer_is_reported_in_the_line(error, told, capsys):
    def answer():
        raise error

    exercise = Exercise("2", lambda function: function() and None)
    exercise.check(answer)
    out = capsys.readouterr().out
    assert exercise.state == "not right yet"
    assert out.startswith(f"✘ Exercise 2: not right yet. {told}") and out.count("\n") == 1


def test_long_reason_is_cut(capsys):
    Exercise("3", lambda answer: "word " * 1000).check(1)
    assert len(capsys.readouterr().out) < 450


def test_a_check_leaves_random_numbers_as_they_were_and_draws_the_same_every_time(capsys):
    drawn = []
    exercise = Exercise("3", lambda answer: drawn.append(torch.rand(3).tolist()))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    exercise.check(1)
    assert torch.equal(torch.rand(2), expected)
    exercise.check(1)
    assert drawn[0] == drawn[1]


def test_gradients_flow_in_a_check_whatever_the_notebook_has_set(capsys):
    exercise = Exercise("3", lambda f: None if f(torch.ones(1, requires_grad=True)) else "no")
    with torch.no_grad():
        exercise.check(lambda x: (2 * x).requires_grad)
    assert exercise.state == "right"


PARTS = Exercise("4", {"low": twelve, "high": lambda x: None if x > 12 else "it is not above 12"})


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        ((12, 13), "right", ""),
        (([12, 13],), "right", ""),
        (({"high": 13, "low": 12.0},), "right", ""),
        ((..., ...), "not attempted yet", ""),
        (({},), "not attempted yet", ""),
        ((12, ...), "not right yet", "Right: low. Not attempted yet: high."),
        ((..., 13), "not right yet", "Right: high. Not attempted yet: low."),
        ((11, ...), "not right yet", "low: You say 11, expected 12: three times four."),
        ((12, 5), "not right yet", "Right: low. high: It is not above 12."),
        ((12, "a"), "not right yet", "high: It raised TypeError"),
        (({"wide": 3},), "not right yet", "It has 'wide'; its parts are low, high."),
        ((12, 13, 14), "not right yet", "It has 3 parts, expected 2."),
        ((torch.tensor([12, 13]),), "right", ""),
        ((torch.tensor(12),), "not right yet", "Right: low. Not attempted yet: high."),
    ],
)
def test_parts_are_judged_one_by_one(answer, verdict, said):
    found, told = PARTS.judge(*answer)
    assert found == verdict and said in told and bool(said) == bool(told)


def test_check_returns_what_the_lesson_goes_on_with(capsys):
    exercise = Exercise("5", twelve, ours=99)
    assert [exercise.check(answer) for answer in (12, 11, ...)] == [12, 99, 99]
    right, wrong, none = capsys.readouterr().out.splitlines()
    assert "goes on" not in right
    assert wrong.endswith("The lesson goes on with the package's version.")
    assert none == (
        "▫ Exercise 5: not attempted yet. The lesson goes on with the package's version."
    )


def test_the_packages_own_is_no_answer_when_a_check_cell_is_run_again(capsys):
    exercise = Exercise("5", lambda f: None if f("four") == 4 else "no", ours=len)
    answer = exercise.check(exercise.check(...))
    assert answer is len and exercise.state == "not attempted yet"
    assert exercise.check(lambda x: len(x)) is not len and exercise.state == "right"
    both = Exercise("6", dict.fromkeys("fg", lambda f: None), ours=(len, max))
    assert both.check(*both.check(...)) == (len, max) and both.state == "not attempted yet"
    assert both.check(len, min) == (len, min)


@pytest.mark.parametrize(
    ("guess", "verdict", "said"),
    [
        (..., "not attempted yet", "The answer is 100 MACs."),
        (100, "right", "Exactly; the answer is 100 MACs."),
        ("100", "right", "Exactly"),
        (Decimal(100), "right", "Exactly"),
        (torch.tensor(100), "right", "Exactly"),
        (124, "right", "The answer is 100 MACs."),
        (81, "right", "The answer"),
        (np.float32(101), "right", "The answer"),
        (np.array(99), "right", "The answer"),
        (Fraction(101), "right", "The answer"),
        (torch.tensor(126.0), "not right yet", "Too high by 1.26x; the answer is 100 MACs."),
        (320, "not right yet", "Too high by 3.2x"),
        (79, "not right yet", "Too low by 1.27x"),
        (0, "not right yet", "Too low; the answer"),
        (-5, "not right yet", "Too low; the answer"),
        (-math.inf, "not right yet", "Too low; the answer"),
        (math.inf, "not right yet", "Too high by infx"),
        (10**400, "not right yet", "A guess is one number, got"),
        (math.nan, "not right yet", "A guess is one number, got 'nan'."),
        (True, "not right yet", "A guess is one number, got 'True'."),
        (np.bool_(True), "not right yet", "A guess is one number, got 'True'."),
        (torch.tensor(True), "not right yet", "A guess is one number"),
        ("many", "not right yet", "A guess is one number, got 'many'."),
        (None, "not right yet", "A guess is one number"),
        ([100], "not right yet", "A guess is one number"),
        (100j, "not right yet", "A guess is one number"),
        ("x" * 1000, "not right yet", f"A guess is one number, got '{'x' * 40}'."),
        (torch.zeros(2), "not right yet", "A guess is one number"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_guess_is_judged_and_the_answer_told_to_a_number_alone(guess, verdict, said, capsys):
    Guess(100, "MACs").check(guess)
    sign = {"right": "✔", "not right yet": "✘", "not attempted yet": "▫"}[verdict]
    out = capsys.readouterr().out
    assert out.startswith(f"{sign} Your guess: {verdict}. {said}") and out.count("\n") == 1
    assert ("100 MACs" in out) == ("one number" not in out)


@pytest.mark.parametrize(
    ("answer", "guess", "verdict"),
    [
        (0, 0, ("right", "exactly")),
        (0, 1, ("not right yet", "too high")),
        (0, -1, ("not right yet", "too low")),
        (-4, -3, ("not right yet", "too high")),
        (-4, -5, ("not right yet", "too low")),
        (9.68, 9.7, ("right", "")),
    ],
)
def test_guess_of_an_answer_that_is_not_above_0(answer, guess, verdict):
    assert Guess(answer).verdict(guess) == verdict


def test_what_can_be_counted_must_be_met_within_a_step_and_traps_are_named():
    depth = Guess(22, "layers", off=1, traps={27: "27 is the depth with the pools"})
    assert [depth.verdict(n)[0] for n in (21, 22, 23)] == ["right"] * 3
    assert depth.verdict(24) == ("not right yet", "too high")
    assert depth.verdict(20) == ("not right yet", "too low")
    assert depth.verdict("27") == ("not right yet", "27 is the depth with the pools")
    assert Guess(100, within=2).verdict(180) == ("right", "")


@pytest.mark.parametrize(
    ("answer", "unit", "shown"),
    [
        (120_422_400, "MACs", "120,422,400 MACs."),
        (9.677419, "times", "9.677 times."),
        (55_000, "", "55,000."),
    ],
)
def test_answer_is_shown_with_its_unit(answer, unit, shown, capsys):
    Guess(answer, unit).check(...)
    out = capsys.readouterr().out
    assert out == f"▫ Your guess: not attempted yet. The answer is {shown}\n"


def test_numbers_are_taken_in_every_form():
    for value in (51, 51.0, "51", np.int64(51), np.array(51.0), torch.tensor(51), Fraction(51)):
        assert number(value) == whole(value) == 51
    assert number(np.array([51])) == number(torch.tensor([[51.0]])) == 51
    assert number("1,024") == 1024 and number("13 %") == 13 and number("1,234,567.5") == 1234567.5
    assert number("9,7") is number("0,1,2,1") is number("1,0245") is None  # not 97, 121 and 10245
    for value in (True, "a", None, [1], math.nan, 1j, torch.zeros(2), {}):
        assert number(value) is None and whole(value) is None
    assert whole(1.5) is None
    pairs = (1, 2), [1, 2.0], np.array([1, 2]), torch.tensor([1, 2]), ("1", torch.tensor(2))
    assert all(numbers(pair, 2) == [1, 2] for pair in pairs)
    for answer in ("12", {1: 1, 2: 2}, 12, (1, 2, 3), (1, "a"), np.array(1), torch.tensor(1)):
        assert numbers(answer, 2) is None


def test_a_number_rounded_to_four_digits_is_the_right_one():
    assert near(0.4490, 0.44898) and near(8.571e-5, 8.5714e-5) and near(1583, 1582.7)
    assert near(-0.4490, -0.44898) and near(0, 0)
    assert not near(0.448, 0.44898) and not near(0.4490, 0.4495) and not near(1584, 1582.7)


def half_square(x):
    return (x**2).sum() / 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: (x * x).sum() / 2, None),
        (lambda x: x.norm() ** 2 * 0.5, None),
        (lambda x: x.double().pow(2).sum().div(2), None),
        (lambda x: (x**2).sum(), "expected"),
        (lambda x: (x**2) / 2, "it returns shape (3, 2), expected ()"),
        (lambda x: 4.0, "it returns '4.0', expected a tensor of shape ()"),
        (lambda x: half_square(x).detach(), "no gradient flows back"),
        (lambda x: (x.detach() * x).sum() / 2, "its gradients are others"),
        (lambda x: half_square(x) * torch.nan, "nan, expected"),
    ],
)
def test_functions_are_judged_by_numbers_and_gradients(answer, said):
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = other_function(answer, half_square, x)
    assert found is None if said is None else said in found


def test_functions_without_gradients_are_judged_by_their_numbers():
    assert other_function(lambda x: x.flip(0), lambda x: x[[2, 1, 0]], torch.rand(3)) is None
    found = other_function(lambda x: x, lambda x: x.flip(0), torch.tensor([1.0, 2, 3]))
    assert found == "it returns 1.0000 at (0,), expected 3.0000"


def test_whoever_calls_a_function_of_ours_is_seen_in_whatever_way():
    assert calls(lambda: half_square(torch.ones(2)), half_square)
    assert calls(lambda: list(map(half_square, [torch.ones(2)])) and 1 / 0, half_square)
    assert not calls(lambda: (torch.ones(2) ** 2).sum() / 2, half_square)


class Two(nn.Module):
    """Two branches of equal shapes beside a pool: what is to be built."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, 1, 1)
        return torch.cat([self.first(x).relu(), self.second(pooled), pooled], 1)


class Otherwise(nn.Module):
    """The same, of other names, in another order, joined in another order."""

    def __init__(self, pool=None, activation=torch.relu, detach=False) -> None:
        super().__init__()
        self.b, self.a = nn.Conv2d(3, 4, 3, padding="same"), nn.Conv2d(3, 4, 3, padding="same")
        self.pool, self.activation = pool or nn.AvgPool2d(3, 1, 1), activation
        self.detach = detach

    def forward(self, x):
        pooled = self.pool(x)
        first = self.activation(self.a(x))
        second = self.b(pooled)
        return torch.cat([pooled, second, first.detach() if self.detach else first], 1)


class Bare(nn.Module):
    """The same, with its weights as parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.v = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.c, self.d = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, 1, 1)
        one = F.conv2d(x, self.v, self.d, padding=1).relu()
        return torch.cat([one, F.conv2d(pooled, self.w, self.c, padding=1), pooled], 1)


class Deaf(Two):
    """The same, but what comes before it does not learn from its first branch."""

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, 1, 1)
        return torch.cat([self.first(x.detach()).relu(), self.second(pooled), pooled], 1)


class Hasty(Two):
    """The same, with work in place: on its input, too."""

    def forward(self, x):
        x += 0
        pooled = F.avg_pool2d(x, 3, 1, 1)
        return torch.cat([self.first(x).relu_(), self.second(pooled), pooled], 1)


class Wider(Two):
    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Conv2d(3, 4, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Two(), None),
        (Otherwise(), None),
        (Bare(), None),
        (Hasty(), None),
        (Deaf(), "its outputs are correct, but its input gets other gradients"),
        (Otherwise(nn.MaxPool2d(3, 1, 1)), "its weights have the correct shapes, but"),
        (Otherwise(activation=torch.sigmoid), "its weights have the correct shapes, but"),
        (Otherwise(nn.AvgPool2d(3, 1)), "it joins grids of different heights or widths"),
        (Otherwise(detach=True), "its outputs are correct, but weights of shape (4, 3, 3, 3)"),
        (Wider(), "weights of shape (4,) are not expected"),
        (nn.Conv2d(3, 4, 3), "it has 112 parameters, expected 224"),
        (nn.Identity(), "it has 0 parameters, expected 224"),
        (torch.relu, "return an nn.Module, got"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_networks_are_judged_by_behaviour_whatever_they_are_made_of(answer, said):
    torch.manual_seed(0)
    found = other_network(answer, Two, (2, 3, 6, 5), channels=(4, 4, 3))
    assert found is None if said is None else said in found


def test_the_order_of_what_is_joined_counts_where_it_is_asked_for():
    torch.manual_seed(0)
    assert other_network(Two(), Two, (2, 3, 6, 5)) is None
    assert "puts out something else" in other_network(Otherwise(), Two, (2, 3, 6, 5))
