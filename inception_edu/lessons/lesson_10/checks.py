"""Lesson 10, the bug museum: the checks of its exercises, twelve tests and the last room."""

from collections.abc import Callable
from functools import partial

from torch import nn

from inception_edu.exercises import Exercise
from inception_edu.layers import classifier
from inception_edu.lessons.lesson_10 import (
    exhibits_count as count,
    exhibits_silent as silent,
    exhibits_stop as stop,
    last_room,
    suspects_count as built,
    suspects_loud as loud,
    suspects_quiet as quiet,
)
from inception_edu.lessons.lesson_10.guard import Case, Make, guard
from inception_edu.lessons.lesson_10.museum import norm_as_it_was

tiny, hundred = partial(nn.BatchNorm2d, eps=1e-5), partial(nn.BatchNorm2d, eps=100)
other = partial(nn.BatchNorm2d, eps=1e-4, momentum=None)
every_part = loud.resuming("model", "optimiser", "schedule")


def without(branch: str) -> Make:
    """A block without the last ReLU of a branch."""
    return built.answering(partial(count.without_relu, last=branch))


def norms(norm: Callable[[int], nn.Module], where: str = "") -> Make:
    """A block with these norms."""
    return built.block(partial(silent.with_norm, norm=norm, where=where))


CASES = {
    "1": Case(
        [loud.headed(classifier), loud.headed(loud.mean_first), loud.headed(loud.score_first)],
        {
            "a pool of 7x7": loud.headed(stop.fixed_head),
            "a pool of 7x7 with stride 7": loud.headed(loud.stride_of_7),
            "pools of 7x7, and their mean": loud.headed(loud.mean_of_pools),
            "a pool of 7x7, small grids filled up with zeros": loud.headed(loud.padded_to_7),
        },
    ),
    "2": Case(
        [
            loud.reading(lambda photo: stop.read(photo.convert("RGB"))),
            loud.reading(loud.in_numpy),
            loud.reading(loud.band_by_band),
        ],
        {
            "the photo as it is": loud.reading(stop.read),
            "numbers of a palette taken for grey": loud.reading(loud.first_three),
            "grey taken for red": loud.reading(loud.red_only),
            "transparency taken for blue": loud.reading(loud.last_three),
        },
    ),
    "3": Case(
        [
            loud.scoring(),
            loud.scoring(gain=10, shift=20),
            loud.scoring(nn.LogSoftmax(dim=1)),
        ],
        {
            "softmax over the batch": loud.scoring(nn.Softmax(dim=0)),
            "softmax over the batch, of large scores": loud.scoring(nn.Softmax(dim=0), gain=10),
            "softmax over the batch, of other scores": loud.scoring(nn.Softmax(dim=0), shift=4),
        },
    ),
    "4": Case(
        [every_part, loud.with_adam, loud.starting_over],
        {
            "weights alone": loud.resuming("model"),
            "the optimiser's state forgotten": loud.resuming("model", "schedule"),
            "the schedule forgotten": loud.resuming("model", "optimiser"),
            "the place in the data forgotten": loud.data_again,
        },
    ),
    "5": Case(
        [built.built(), built.built(width=1 / 2), built.built(built.turned_round)],
        {
            "a 3x3 reduce too narrow": built.built(n3x3_reduce=4),
            "a 5x5 reduce too narrow": built.built(n5x5_reduce=1),
            "a 3x3 reduce too narrow, a 5x5 reduce too wide": built.built(
                n3x3_reduce=4, n5x5_reduce=-4
            ),
        },
    ),
    "6": Case(
        [built.on_stem(stem) for stem in (count.small_stem, built.wide_stem, built.strided_stem)],
        {
            "ImageNet's stem": built.on_stem(count.imagenet_stem),
            "a stem with three pools": built.on_stem(built.three_pools),
        },
    ),
    "7": Case(
        [
            built.answering(),
            built.answering(norm=False),
            built.answering(partial(silent.with_norm, norm=tiny)),
        ],
        {
            "no ReLU at all": built.answering(count.without_relu),
            "no ReLU at the end of the 1x1 branch": without("branch1x1"),
            "no ReLU at the end of the 5x5 branch": without("branch5x5"),
            "no ReLU at the end of the pool branch": without("branch_pool"),
        },
    ),
    "8": Case(
        [quiet.returning("aux1", "aux2", kind=kind) for kind in (tuple, list, quiet.scores)],
        {
            "heads swapped": quiet.returning("aux2", "aux1"),
            "the first head twice": quiet.returning("aux1", "aux1"),
            "the second head twice": quiet.returning("aux2", "aux2"),
        },
    ),
    "9": Case(
        [quiet.splitting(split) for split in (silent.sorted_split, quiet.by_hash, quiet.by_tens)],
        {
            "names as they are listed": quiet.splitting(silent.split),
            "a seed, but no sort": quiet.splitting(quiet.shuffled),
            "every tenth name, but no sort": quiet.splitting(quiet.tenth),
        },
    ),
    "10": Case(
        [
            quiet.normalising(quiet.both, quiet.neither),
            quiet.normalising(quiet.neither, quiet.both),
            quiet.normalising(quiet.shift, quiet.spread),
        ],
        {
            "normalised twice": quiet.normalising(quiet.both, quiet.both),
            "not at all": quiet.normalising(quiet.neither, quiet.neither),
            "the mean alone": quiet.normalising(quiet.shift, quiet.neither),
            "the standard deviation alone": quiet.normalising(quiet.neither, quiet.spread),
        },
    ),
    "11": Case(
        [quiet.loading(load) for load in (quiet.safe, quiet.polite, quiet.copying)],
        {
            "weights_only=False": quiet.loading(silent.load),
            "weights_only=False where True refuses": quiet.loading(quiet.obliging),
            "weights_only=False, and an error afterwards": quiet.loading(quiet.looking_later),
        },
    ),
    "12": Case(
        [built.block(), norms(tiny), norms(other)],
        {
            "eps = channels everywhere": norms(norm_as_it_was),
            "eps = channels in the 5x5 branch": norms(norm_as_it_was, "5x5"),
            "eps = channels in the pool branch": norms(norm_as_it_was, "pool"),
            "eps = 100 in the 3x3 branch": norms(hundred, "3x3"),
        },
    ),
}

exhibit = {number: guard(number, case) for number, case in CASES.items()}
exercise_13 = Exercise("13", last_room.check_found)
