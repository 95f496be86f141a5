"""An argument in range, or a sentence with its name, the value seen and what is allowed."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from textwrap import shorten
from typing import TypeVar

Entry = TypeVar("Entry")


def plain(value: object) -> object:
    """A single number of numpy's or torch's as one of Python's; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def check_whole(name: str, value: int, low: int = 1, high: int | None = None) -> int:
    """The value as an int; TypeError or ValueError unless it is a whole number in range."""
    value = plain(value)
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        error = ValueError if whole else TypeError
        raise error(f"{name} must be a whole number {allowed}, got {value!r}")
    return value


def check_count(**counts: int) -> None:
    """Raise TypeError or ValueError unless every named value is a whole number of at least 1."""
    for name, value in counts.items():
        check_whole(name, value)


def check_number(name: str, value: float, allowed: str, right: Callable[[float], bool]) -> float:
    """The value as Python's; TypeError unless it is a real number, ValueError out of range."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number {allowed}, got {value!r}")
    if not right(value):
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return value


def check_kind(name: str, value: object, fits: bool, wanted: str) -> None:
    """Raise TypeError, naming the value, unless it `fits`: is of the kind that is wanted."""
    if not fits:
        seen = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        raise TypeError(f"{name} must be {wanted}, got {shorten(seen, 60, placeholder=' ...')}")


def check_choice(name: str, value: object, allowed: Iterable[object]) -> object:
    """The value; ValueError unless it is one of `allowed`, naming them."""
    if value not in (known := list(allowed)):
        words = ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in known)
        raise ValueError(f"{name} must be one of {words}, got {value!r}")
    return value


def entry_of(name: str, value: object, table: Mapping[str, Entry]) -> Entry:
    """What stands under a name in a table, or the value itself where it could stand there, too;
    ValueError for any other, with the table's names."""
    kind = type(next(iter(table.values())))
    return value if isinstance(value, kind) else table[check_choice(name, value, table)]
