"""Guesses and self-checked exercises: they answer in one printed line and never raise."""

import dis
from collections.abc import Callable
from numbers import Real

_DO_NOTHING = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "POP_TOP", "CACHE"}


def unattempted(answer: object) -> bool:
    """Whether `answer` still is, holds or returns the `...` that it was handed out as."""
    if answer is ...:
        return True
    if isinstance(answer, (list, tuple, set)):
        return any(unattempted(part) for part in answer)
    if isinstance(answer, dict):
        return any(unattempted(part) for part in answer.values())
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))  # a body of `...` (and a docstring) does nothing
    constants = [s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(s.opname in _DO_NOTHING for s in steps) and set(constants) <= {None, ...}


def plain(answer: object) -> object:
    """`answer`, with numpy's and PyTorch's scalars in it (0-d arrays, too) as Python's numbers."""
    if type(answer) in (list, tuple):
        return type(answer)(map(plain, answer))
    if type(answer) is dict:
        return {key: plain(value) for key, value in answer.items()}
    return answer.item() if getattr(answer, "shape", None) == () else answer


class Guess:
    """A number that the learner commits to before seeing it: `Guess(120_422_400).check(guess)`.

    A guess within the factor `within` of the answer counts as right. Prints the verdict and the
    answer in one line.
    """

    def __init__(self, answer: float, unit: str = "", *, within: float = 1.25) -> None:
        self.answer, self.unit, self.within = answer, unit, within

    def verdict(self, guess: object) -> str:
        """ "not attempted", "right", "too high by 3.2x" and the like, for any object."""
        if guess is ...:
            return "not attempted"
        guess = plain(guess)
        if not isinstance(guess, Real) or isinstance(guess, bool) or guess != guess:
            return f"not a number ({str(guess)[:40]!r})"
        if guess == self.answer:
            return "right, exactly"
        if guess <= 0 or self.answer <= 0:
            return "too high" if guess > self.answer else "too low"
        try:
            high, low = guess / self.answer, self.answer / guess
        except (OverflowError, ZeroDivisionError):
            return "too high" if guess > self.answer else "too low"
        if max(high, low) <= self.within:
            return "right"
        return f"too high by {high:.1f}x" if high > 1 else f"too low by {low:.1f}x"

    def check(self, guess: object) -> None:
        """Print the verdict on `guess`, and the answer."""
        mark = {"not attempted": "▫", "right": "✔", "right, exactly": "✔"}
        verdict = self.verdict(guess)
        shown = f"{self.answer:,}" if isinstance(self.answer, int) else f"{self.answer:.4g}"
        print(
            mark.get(verdict, "✘"), f"Your guess: {verdict}. Answer: {shown} {self.unit}".rstrip()
        )


class Exercise:
    """A task with three verdicts: not attempted yet, right, not right yet (and why).

    `check(answer)` is given to the constructor; it returns None when the answer is right, else a
    sentence that says what was seen and what was expected. An exception in it is such a sentence.
    """

    def __init__(self, name: str, check: Callable[..., str | None]) -> None:
        self.name, self._check = name, check
        self.state = "not attempted yet"

    def check(self, *answer: object) -> None:
        """Judge `answer`, keep the verdict in `.state` and print it in one line."""
        why = ""
        if any(unattempted(part) for part in answer):
            self.state = "not attempted yet"
        else:
            try:
                why = self._check(*map(plain, answer)) or ""
            except Exception as error:  # a learner's function may raise anything at all
                why = f"it raised {type(error).__name__}: {error}"
            self.state = "not right yet" if why else "right"
        mark = {"right": "✔", "not right yet": "✘", "not attempted yet": "▫"}[self.state]
        reason = " ".join(why.split())[:400]
        print(f"{mark} Exercise {self.name}: {self.state}" + (f" ({reason})" if reason else ""))
