"""A number that the learner commits to before seeing it."""

from collections.abc import Mapping
from types import MappingProxyType

from IPython.display import display

from inception_edu.display import Box
from inception_edu.exercises.answers import number

NO_TRAPS: Mapping[float, str] = MappingProxyType({})


class Guess:
    """A number to be guessed: `Guess(120_422_400, "multiplications").check(guess)`.

    A guess within the factor `within` of the answer counts as right; with `off`, one that is off
    by at most so much, as for what can be counted. `traps` says of a well-known wrong answer what
    it is the answer to.
    """

    def __init__(
        self,
        answer: float,
        unit: str = "",
        *,
        within: float = 1.25,
        off: float | None = None,
        traps: Mapping[float, str] = NO_TRAPS,
    ) -> None:
        self.answer, self.unit, self.within, self.off, self.traps = answer, unit, within, off, traps

    def verdict(self, guess: object) -> tuple[str, str]:
        """The verdict, and in words how far off the guess is."""
        value, answer = number(guess), float(self.answer)
        if guess is ...:
            return "not attempted yet", ""
        if value is None:
            return "not right yet", f"a guess is one number, got {str(guess)[:40]!r}"
        if value == answer:
            return "right", "exactly"
        if value in self.traps:
            return "not right yet", self.traps[value]
        far = "too high" if value > answer else "too low"
        if self.off is not None:
            close = abs(value - answer) <= self.off
            return ("right", "") if close else ("not right yet", far)
        if value <= 0 or answer <= 0:
            return "not right yet", far
        factor = max(value, answer) / min(value, answer)
        return (
            ("right", "") if factor <= self.within else ("not right yet", f"{far} by {factor:.3g}x")
        )

    def check(self, guess: object) -> None:
        """Show the verdict on a guess and, unless it is neither a number nor `...`, the answer."""
        verdict, said = self.verdict(guess)
        shown = f"{self.answer:,}" if isinstance(self.answer, int) else f"{self.answer:.4g}"
        if guess is ... or number(guess) is not None:
            told = f"the answer is {shown} {self.unit}".rstrip()
            said = f"{said}; {told}" if said else told
        display(Box(verdict, "Your guess", f"{said[0].upper()}{said[1:]}."))
