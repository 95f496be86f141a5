"""What an answer is: nothing yet, a number in any of its forms, several, or a function of such."""

import dis
import re
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType

DO_NOTHING = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "POP_TOP", "CACHE"}
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")  # commas between groups of three digits


def unattempted(answer: object) -> bool:
    """Whether an answer is nothing but the `...` that it was handed out as: alone, in every place
    of a collection, as the body of a function, or of every method of a class."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, type):
        answer = [own for own in vars(answer).values() if isinstance(own, FunctionType)]
    if isinstance(answer, (list, tuple, set)):
        return bool(answer) and all(map(unattempted, answer))
    code = getattr(answer, "__code__", None)
    if code is None:
        return answer is ...
    steps = list(dis.get_instructions(code))  # a body of `...` (and a docstring) does nothing
    constants = [s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(s.opname in DO_NOTHING for s in steps) and set(constants) <= {None, ...}


def number(value: object) -> float | None:
    """The value of a number of Python, numpy or torch, or of a text like "1,024" or "13 %"; None
    for anything else, nan among it."""
    if isinstance(value, str):
        value = THOUSANDS.sub("", value).replace("_", "").rstrip("% ")
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    try:
        found = float(value.item() if hasattr(value, "item") else value)  # an array of one number
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    return None if found != found else found


def numbers(answer: object, n: int) -> list[float] | None:
    """The n numbers that a list, tuple, array or tensor holds; None for anything else."""
    if isinstance(answer, (str, Mapping)) or not hasattr(answer, "__len__"):
        return None
    try:
        found = [number(value) for value in answer]
    except TypeError:  # an array without axes
        return None
    return found if len(found) == n and None not in found else None


def whole(value: object) -> int | None:
    """The whole number that a value is, 51.0 among them; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None


def near(found: float, right: float, *, digits: int = 4) -> bool:
    """Whether a number is the right one as far as it was written: a rounding of the right one to
    at least `digits` significant digits will do."""
    return abs(found - right) <= 0.5000001 * 10.0 ** (1 - digits) * 10.0 ** _order(right)


def _order(value: float) -> int:
    """The power of ten of a number's first digit."""
    return int(f"{value:e}".partition("e")[2])


def other_number(
    answer: Callable[..., object],
    right: Callable[..., float],
    draws: Sequence[tuple],
    where: str,
    mistakes: Mapping[str, Callable[..., float]],
    advice: str,
    *,
    wanted: str = "one number",
    close: Callable[[float, float], bool] = near,
) -> str | None:
    """How a function of numbers differs from the right one in any of some draws of its arguments,
    which `where` is a format for; None if it does not. A mistake, by what is to be said of it, is
    named only if every draw has it; else there is `advice`."""
    answers = {draw: answer(*draw) for draw in draws}
    found = {draw: number(value) for draw, value in answers.items()}
    wrong = (d for d, n in found.items() if n is None or not close(n, right(*d)))
    if (draw := next(wrong, None)) is None:
        return None
    told = f"for {where.format(*draw)} it returns"
    if found[draw] is None:
        return f"{told} {repr(answers[draw])[:60]}, expected {wanted}"
    told = f"{told} {found[draw]:.6g}, expected {right(*draw):.6g}"
    for why, mistake in mistakes.items():
        if all(n is not None and close(n, mistake(*d)) for d, n in found.items()):
            return f"{told}; {why}"
    return f"{told}; {advice}"
