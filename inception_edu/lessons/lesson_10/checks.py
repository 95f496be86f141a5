"""Lesson 10, the bug museum: the checks of its exercises, six tests and the last room."""

from torch import nn

from inception_edu.exercises import Exercise
from inception_edu.lessons.lesson_10 import (
    exhibit_3 as three,
    exhibit_4 as four,
    exhibits_1_2 as one,
    exhibits_5_6 as five,
    last_room,
    suspects_1_3 as first,
    suspects_4_6 as later,
)
from inception_edu.lessons.lesson_10.guard import Case, guard

often, always = later.momentum(0.9), later.momentum(0.99)

CASES = {
    "1": Case(
        [first.given(f) for f in (first.counted, first.one_by_one, first.in_columns)],
        {
            "the answers stand in a column": first.given(one.accuracy),
            "the labels stand in a column": first.given(first.labels_in_a_column),
            "all comparisons, divided by the number of images": first.given(first.too_many),
        },
    ),
    "2": Case(
        [first.ending(head) for head in (one.Mended, first.with_layer, nn.Linear)],
        {
            "dropout before the last layer": first.ending(one.Head),
            "dropout before a hidden layer": first.ending(first.Hidden),
            "dropout of logits": first.ending(first.Noisy),
        },
    ),
    "3": Case(
        [first.built(block) for block in (three.Registered, first.ByName, first.Listed)],
        {
            "the branches in a list": first.built(three.Block),
            "the branches in a dictionary": first.built(first.InDict),
            "one branch in a list": first.built(first.OneLeft),
        },
    ),
    "4": Case(
        [later.residual(block) for block in (later.plain, later.OnACopy, later.Later)],
        {
            "a first ReLU that writes into x": later.residual(four.Residual),
            "the sum written into x": later.residual(later.SumInPlace),
            "x clamped in place": later.residual(later.Clamped),
            "x scaled in place": later.residual(later.Halved),
        },
    ),
    "5": Case(
        [later.normed(later.momentum(value)) for value in (0.1, 0.01, 0.3)],
        {
            "momentum 0.9 everywhere": later.normed(five.norm),
            "momentum 0.9 in the 5x5 branch": later.normed(often, "5x5"),
            "momentum 0.99 in the pool branch": later.normed(always, "pool"),
            "momentum 0.75 everywhere": later.normed(later.momentum(0.75)),
        },
    ),
    "6": Case(
        [later.stepping(step) for step in (later.weighted, later.summed, later.at_once)],
        {
            "the parts' means added": later.stepping(five.step),
            "the mean of the parts' means": later.stepping(later.mean_of_means),
            "the smaller last part left out": later.stepping(later.last_left_out),
            "a step after every part": later.stepping(later.step_each),
        },
    ),
}

exhibit = {number: guard(number, case) for number, case in CASES.items()}
exercise_7 = Exercise("7", last_room.check_found)
