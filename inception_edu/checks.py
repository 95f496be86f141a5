"""An argument in range, or a sentence with its name, the value seen and what is allowed."""

from collections.abc import Iterable
from numbers import Integral


def check_whole(name: str, value: int, low: int = 1, high: int | None = None) -> None:
    """Raise TypeError or ValueError unless `value` is a whole number from `low` to `high`."""
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        error = ValueError if whole else TypeError
        raise error(f"{name} must be a whole number {allowed}, got {value!r}")


def check_count(**counts: int) -> None:
    """Raise TypeError or ValueError unless every named value is a whole number of at least 1."""
    for name, value in counts.items():
        check_whole(name, value)


def check_choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise ValueError unless `value` is one of `allowed`, naming them."""
    if value not in (known := list(allowed)):
        words = ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in known)
        raise ValueError(f"{name} must be one of {words}, got {value!r}")
