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
        if name not in suspects():
            off = f"{abs(rows()[name].off):.1%} away from the count at most"
            return f"the printed numbers of row {name} are {off}, which is within {LIMIT:.0%}"
    if missing := len(suspects()) - len(set(plain)):
        more = "one more is" if missing == 1 else f"{missing} more are"
        return f"these are right, but {more} off by more: look at both columns of each row"
    return None


def sums() -> dict[str, float]:
    """What the params column may be taken for, in millions of weights."""
    printed = {name: row.printed_weights for name, row in rows().items()}
    column, counted = sum(printed.values()), sum(row.weights for row in rows().values())
    known = {
        "million comes out where K is 1000, but the linear layer's 1000K are 1024 x 1000 weights": (
            column * 1000 / M
        ),
        "is the sum in K: give it in millions of weights": column,
        "is the sum in weights: give it in millions": column * K,
        "million is what [V3] says: add up what [G] prints": 5.0,
        "million is the sum as counted here: add up what is printed": counted * K / M,
        "million is the network's number of weights, rounded; what is printed adds up to a little "
        "less: give two decimals": 7.0,
    }
    without = {
        f"million is the sum without row {name}": (column - k) * K / M
        for name, k in printed.items()
    }
    return known | without


def check_column(answer: object) -> str | None:
    """The sum of the params column in millions of weights; K is 1024."""
    column = number(answer)
    if column is None:
        return f"give the sum as one number, got {answer!r:.40}"
    if near(column, sum(row.printed_weights for row in rows().values()) * K / M, digits=3):
        return None
    for what, value in sums().items():
        if near(column, value, digits=3):
            return f"{column:,.12g} {what}"
    return f"{column:.12g} million is not what the printed K of all {len(rows())} rows add up to"
