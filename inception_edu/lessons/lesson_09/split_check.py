"""Lesson 09: the check of a split that names, share and seed alone decide."""

from collections.abc import Callable, Iterable, Sequence

from inception_edu.lessons.lesson_09.other_process import elsewhere

Split = Callable[[list[str], float, int], tuple[list[str], list[str]]]
SPLITS = (  # names in order, share, seed
    ([f"photo-{i:02}.jpg" for i in range(41)], 0.2, 0),
    ([f"IMG_{i * i:04}.png" for i in range(29)], 0.37, 5),
    ([f"{kind} {i:02}.jpeg" for kind in ("cat", "dog", "emu") for i in range(29)], 0.4, 123),
)
SEEDS = range(20)


def check_split(split: Split) -> str | None:
    """`split(names, valid, seed)` -> names to train on, names to validate with."""
    for draw in SPLITS:
        if why := _no_split(split, *draw) or _by_chance(split, *draw):
            return why
    if why := _by_hashes(split, *SPLITS[0]):
        return why
    for names, share, _ in SPLITS:
        found = [set(split(list(names), share, seed)[1]) for seed in SEEDS]
        kinds = len(set(map(frozenset, found)))
        if kinds < len(SEEDS) - 1:
            return (
                f"seeds 0 to {SEEDS[-1]} give {kinds} different splits of {len(names)} names, "
                "expected one for each seed"
            )
        if all(_in_a_row(names, part) for part in found):
            return "the validation names stand in a row by name with every seed: draw them"
    return None


def _no_split(split: Split, names: list[str], share: float, seed: int) -> str | None:
    """What is wrong with the two lists themselves."""
    found = split(list(names), share, seed)
    if not isinstance(found, Sequence) or len(found) != 2 or isinstance(found, str):
        return f"it returns {str(found)[:60]!r}, expected two lists of names"
    if any(isinstance(part, str) or not isinstance(part, Iterable) for part in found):
        return f"it returns a pair such as {str(found)[:60]!r}, expected two lists of names"
    train, valid = (list(map(str, part)) for part in found)
    if sorted(train + valid) != names:
        lost, twice = len(set(names) - {*train, *valid}), len(train + valid) - len({*train, *valid})
        return (
            f"of {len(names)} names {lost} are in none of the two lists, and {twice} are there "
            "more than once; every name should be in one of them, once"
        )
    n, asked = round(share * len(names)), f"{share} of {len(names)} names"
    if len(valid) != n and len(train) == n:
        return f"{asked} are {n}: the list to validate with comes second, with you it comes first"
    if len(valid) != n:
        return f"{asked} are {len(valid)} with you, expected {n}"
    return None


def _by_chance(split: Split, names: list[str], share: float, seed: int) -> str | None:
    """What else than names, share and seed decides."""
    chosen = set(split(list(names), share, seed)[1])
    if set(split(list(names), share, seed)[1]) != chosen:
        return f"two calls with the same names and seed {seed} give different splits"
    for order in (names[::-1], names[1::2] + names[::2]):
        if set(split(list(order), share, seed)[1]) != chosen:
            return (
                "the same names in another order give another split: a folder may be listed in "
                "any order"
            )
    return None


def _by_hashes(split: Split, names: list[str], share: float, seed: int) -> str | None:
    """Whether another process splits the names in another way."""
    there, here = elsewhere(split, names, share, seed), split(list(names), share, seed)[1]
    if there is None or set(there[1]) == set(map(str, here)):
        return None
    return (
        "another process splits the same names differently: Python salts the hashes of strings "
        "anew whenever it starts"
    )


def _in_a_row(names: list[str], part: set[str]) -> bool:
    """Whether a part's names are neighbours; the first follows the last."""
    inside = [name in part for name in names]
    return sum(a != b for a, b in zip(inside, inside[1:] + inside[:1], strict=True)) <= 2
