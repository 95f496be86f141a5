"""Lesson 03: the check of the rows of Table 1 that cannot be right, and of a column's sum."""

import re
from functools import cache

import torch

from inception_edu.exercises import number
from inception_edu.exercises.answers import near
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_03.table_detective import Beside, K, M, costs

LIMIT = 0.03  # rounding explains less: conv1, 4c and 5a stand out


@cache
def rows() -> dict[str, Beside]:
    """Every row of Table 1 with weights, counted and as printed."""
    with torch.device("meta"):
        return {row.name: row for row in costs(GoogLeNet(aux=False))}


def suspects() -> set[str]:
    """The rows whose print differs by more than LIMIT."""
    return {name for name, row in rows().items() if abs(row.off) > LIMIT}


def check_suspects(answer: object) -> str | None:
    """The rows that cannot be right, by name: "4c", "4C", "inception (4c)" or the row itself."""
    names = [] if isinstance(answer, str) or not hasattr(answer, "__iter__") else list(answer)
    names = [getattr(name, "name", name) for name in names]
    if not names or not all(isinstance(name, str) for name in names):
        return f'give a list of row names such as ["4a", "4b"], got {answer!r}'
    plain = [re.sub(r"inception|[ _()]", "", name.lower()) for name in names]
    for given, name in zip(names, plain, strict=True):
        if name not in rows():
            return f"{str(given)!r} is no row with weights: those are {', '.join(rows())}"
        if name == "4a":
            return (
                "4a is 0.8 % off in params and cut instead of rounded in ops: an odd rounding, or "
                "204 of its 208 filters; that is too little to say that it cannot be right"
            )
        if name not in suspects():
            off = f"{rows()[name].off:+.1%} off, within {LIMIT:.0%}"
            return f"row {name} is {off}: rounding of some kind"
    if missing := len(suspects()) - len(set(plain)):
        return f"these are right, but {missing} more cannot be: look at both columns of each row"
    return None


def sums() -> dict[str, float]:
    """What the params column may be taken for, in millions of weights."""
    printed = {name: row.printed_weights for name, row in rows().items()}
    column, counted = sum(printed.values()), sum(row.weights for row in rows().values())
    known = {
        "K taken as 1000; linear's 1000K are 1024 x 1000 weights": column * 1000 / M,
        "the sum in K; give millions": column,
        "the sum in weights; give millions": column * K,
        "what [V3] says; add up what [G] prints": 5.0,
        "the column as counted here; add up what is printed": counted * K / M,
        "what the network has; what is printed adds up to less, two digits behind the point": 7.0,
    }
    return known | {f"the sum without {name}": (column - k) * K / M for name, k in printed.items()}


def check_column(answer: object) -> str | None:
    """The sum of the params column in millions of weights; K is 1024."""
    column = number(answer)
    if column is None:
        return f"give the sum as one number, got {answer!r:.40}"
    if near(column, sum(row.printed_weights for row in rows().values()) * K / M, digits=3):
        return None
    for what, value in sums().items():
        if near(column, value, digits=3):
            return f"{column:.12g} million is {what}"
    return f"{column:.12g} million is not what the printed K of all {len(rows())} rows add up to"
