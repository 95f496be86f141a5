"""Lesson 10, the bug museum: the checks of its exercises, twelve tests and the last room."""

from functools import partial

from torch import nn

from inception_edu.exercises import Exercise
from inception_edu.layers import classifier
from inception_edu.lessons.lesson_10 import (
    exhibits_count as count,
    exhibits_silent as silent,
    exhibits_stop as stop,
    last_room,
    suspects_loud as loud,
    suspects_quiet as quiet,
)
from inception_edu.lessons.lesson_10.guard import Case, guard
from inception_edu.lessons.lesson_10.museum import norm_as_it_was

plain = partial(nn.BatchNorm2d, eps=1e-5)
bare_5x5 = partial(count.without_relu, last="branch5x5")
once, not_here = (lambda mean, std: (mean, std)), (lambda mean, std: (0.0, 1.0))

CASES = {
    "1": Case(
        [loud.headed(classifier)],
        {
            "a pool of 7x7": loud.headed(stop.fixed_head),
            "a pool of 7x7 with stride 7": loud.headed(loud.stride_of_7),
        },
    ),
    "2": Case(
        [loud.reading(lambda photo: stop.read(photo.convert("RGB")))],
        {
            "the photo as it is": loud.reading(stop.read),
            "numbers of a palette taken for grey": loud.reading(loud.first_three),
        },
    ),
    "3": Case(
        [loud.scoring(softmax=False)], {"softmax over the batch": loud.scoring(softmax=True)}
    ),
    "4": Case(
        [loud.resuming("model", "optimiser", "schedule")],
        {
            "weights alone": loud.resuming("model"),
            "the optimiser's state forgotten": loud.resuming("model", "schedule"),
            "the schedule forgotten": loud.resuming("model", "optimiser"),
        },
    ),
    "5": Case(
        [loud.built()],
        {
            "a 3x3 reduce too narrow": loud.built(n3x3_reduce=4),
            "a 5x5 reduce too narrow": loud.built(n5x5_reduce=1),
        },
    ),
    "6": Case(
        [loud.on_stem(count.small_stem), loud.on_stem(loud.wide_stem)],
        {
            "ImageNet's stem": loud.on_stem(count.imagenet_stem),
            "a stem with three pools": loud.on_stem(loud.three_pools),
        },
    ),
    "7": Case(
        [loud.answering()],
        {
            "no ReLU at all": loud.answering(count.without_relu),
            "no ReLU at the end of the 5x5 branch": loud.answering(bare_5x5),
        },
    ),
    "8": Case(
        [quiet.returning("aux1", "aux2")], {"heads swapped": quiet.returning("aux2", "aux1")}
    ),
    "9": Case(
        [quiet.splitting(silent.sorted_split), quiet.splitting(quiet.by_hash)],
        {
            "names as they are listed": quiet.splitting(silent.split),
            "a seed, but no sort": quiet.splitting(quiet.shuffled),
        },
    ),
    "10": Case(
        [quiet.normalising(once, not_here), quiet.normalising(not_here, once)],
        {
            "normalised twice": quiet.normalising(once, once),
            "not at all": quiet.normalising(not_here, not_here),
        },
    ),
    "11": Case(
        [quiet.loading(quiet.safe), quiet.loading(quiet.polite)],
        {
            "weights_only=False": quiet.loading(silent.load),
            "weights_only=False where True refuses": quiet.loading(quiet.obliging),
        },
    ),
    "12": Case(
        [loud.block(), loud.block(partial(silent.with_norm, norm=plain))],
        {
            "eps = channels everywhere": loud.block(partial(silent.with_norm, norm=norm_as_it_was)),
            "eps = channels in the 5x5 branch": loud.block(
                partial(silent.with_norm, norm=norm_as_it_was, where="5x5")
            ),
        },
    ),
}

exhibit = {number: guard(number, case) for number, case in CASES.items()}
exercise_13 = Exercise("13", last_room.check_found)
