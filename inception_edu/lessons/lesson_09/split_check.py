"""Lesson 09: the check of a split by object that objects, fraction and seed alone decide."""

from collections.abc import Callable, Iterable, Sequence

from inception_edu.lessons.lesson_09.other_process import elsewhere

Shows = dict[str, str]  # file -> the object that it shows
Split = Callable[[Shows, float, int], tuple[list[str], list[str]]]


def photos(objects: Iterable[str], most: int) -> Shows:
    """One photo of the first object, two of the next one, ... up to `most`, then one again."""
    counts = {name: 1 + i % most for i, name in enumerate(objects)}
    pairs = [(f"IMG_{i * 37 % 1009:04}.jpg", name) for i, name in enumerate(_each(counts))]
    return dict(sorted(pairs))


def _each(counts: dict[str, int]) -> list[str]:
    return [name for name, n in counts.items() for _ in range(n)]


SPLITS = (  # what the files show, fraction of the objects, seed
    (photos([f"dog {i:02}" for i in range(41)], 3), 0.2, 0),
    (photos([f"cup {i * i:04}" for i in range(29)], 4), 0.37, 5),
    (photos([f"{kind} {i:02}" for kind in ("cat", "emu") for i in range(40)], 2), 0.4, 123),
)
SEEDS = range(20)


def check_split(split: Split) -> str | None:
    """`split(shows, test, seed)` -> files to train on, files to test with."""
    for draw in SPLITS:
        if why := _no_split(split, *draw) or _by_chance(split, *draw):
            return why
    if why := _by_hashes(split, *SPLITS[0]):
        return why
    for shows, fraction, _ in SPLITS:
        drawn = [set(split(dict(shows), fraction, seed)[1]) for seed in SEEDS]
        kinds = len(set(map(frozenset, drawn)))
        if kinds < len(SEEDS) - 1:
            return (
                f"seeds 0 to {SEEDS[-1]} give {kinds} different splits of {len(shows)} files, "
                "expected one for each seed"
            )
        names = sorted(set(shows.values()))
        if all(_in_a_row(names, {shows[file] for file in part}) for part in drawn):
            return "the objects to test with stand in a row by name with every seed: draw them"
    return None


def _no_split(split: Split, shows: Shows, fraction: float, seed: int) -> str | None:
    """What is wrong with the two lists themselves."""
    made = split(dict(shows), fraction, seed)
    if not isinstance(made, Sequence) or len(made) != 2 or isinstance(made, str):
        return f"it returns {str(made)[:60]!r}, expected two lists of files"
    if any(isinstance(part, str) or not isinstance(part, Iterable) for part in made):
        return f"it returns a pair such as {str(made)[:60]!r}, expected two lists of files"
    train, test = (list(map(str, part)) for part in made)
    if not train + test:
        return f"both lists are empty, expected all {len(shows)} files in one or the other"
    if set(train + test) <= set(shows.values()):
        return "it returns objects, expected the files that show them"
    if strange := [name for name in train + test if name not in shows]:
        return f"it returns {strange[0]!r}, which is none of the files"
    if sorted(train + test) != sorted(shows):
        lost = len(set(shows) - {*train, *test})
        twice = len(train + test) - len({*train, *test})
        return (
            f"of {len(shows)} files {lost} are in none of the two lists, and {twice} are there "
            "more than once; every file should be in one of them, once"
        )
    seen, tested = ({shows[file] for file in part} for part in (train, test))
    if both := seen & tested:
        return (
            f"{min(both)!r} and {len(both) - 1} more of {len(seen | tested)} objects are on both "
            "sides: draw objects, then let every file follow its object"
        )
    n, asked = round(fraction * len(seen | tested)), f"{fraction} of {len(seen | tested)} objects"
    if len(tested) != n and len(seen) == n:
        return f"{asked} are {n}: the list to test with comes second, with you it comes first"
    if len(tested) != n:
        return f"{asked} are {len(tested)} with you, expected {n}"
    return None


def _by_chance(split: Split, shows: Shows, fraction: float, seed: int) -> str | None:
    """What else than files, fraction and seed decides."""
    chosen = set(split(dict(shows), fraction, seed)[1])
    if set(split(dict(shows), fraction, seed)[1]) != chosen:
        return f"two calls with the same files and seed {seed} give different splits"
    files = list(shows)
    renamed = {file: f"{i * 7919 % 1009:04}.png" for i, file in enumerate(files)}
    others = split({renamed[file]: shows[file] for file in files}, fraction, seed)[1]
    if set(others) != {renamed[file] for file in chosen}:
        return "the same objects in files of other names give another split: let objects decide"
    for order in (files[::-1], files[1::2] + files[::2]):
        if set(split({file: shows[file] for file in order}, fraction, seed)[1]) != chosen:
            return (
                "the same files in another order give another split: a folder may be listed in "
                "any order"
            )
    return None


def _by_hashes(split: Split, shows: Shows, fraction: float, seed: int) -> str | None:
    """Whether another process splits the files in another way."""
    there = elsewhere(split, shows, fraction, seed)
    here = split(dict(shows), fraction, seed)[1]
    if there is None or set(there[1]) == set(map(str, here)):
        return None
    return (
        "another process splits the same files differently: Python salts the hashes of strings "
        "anew whenever it starts"
    )


def _in_a_row(names: list[str], part: set[str]) -> bool:
    """Whether a part's names are neighbours; the first follows the last."""
    inside = [name in part for name in names]
    return sum(a != b for a, b in zip(inside, inside[1:] + inside[:1], strict=True)) <= 2
