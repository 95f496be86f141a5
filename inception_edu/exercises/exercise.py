"""A task with three verdicts, judged by what an answer does."""

import traceback
from collections.abc import Callable, Mapping, Sequence

import torch
from IPython import get_ipython
from IPython.display import display

from inception_edu.display import Box
from inception_edu.exercises import student_file
from inception_edu.exercises.answers import unattempted

RIGHT, WRONG, OPEN = "right", "not right yet", "not attempted yet"
Check = Callable[..., str | None]


class Exercise:
    """A task with three verdicts: not attempted yet, right, not right yet (and why).

    `check(*answer)` returns None where the answer is right, else a sentence with what was seen and
    what was expected. A task of several parts has a dictionary of checks, one for the part of each
    name: its answers come in that order or in a dictionary, and each is judged by itself.

    `keep` names what goes into the student's file once all of it is right, `lesson` the section
    there. `ours` is what the lesson goes on with until then: one thing, or one for each answer.
    """

    def __init__(
        self,
        name: str,
        check: Check | Mapping[str, Check],
        *,
        lesson: str = "",
        keep: str | Sequence[str] = (),
        ours: object = None,
    ) -> None:
        self.name, self.lesson, self.ours, self._check = name, lesson, ours, check
        self.keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self.state = OPEN

    def check(self, *answer: object) -> object:
        """Judge an answer, keep it where it is right, and show the verdict, which `.state` holds.

        Returns what the lesson goes on with: the answer where it is right, else `ours`; None
        where the lesson goes on without.
        """
        self.state, said = self.judge(*answer)
        if self.keep and self.state == RIGHT:
            said = student_file.keep(self.lesson, self.keep, answer, self._why_not)
        elif self.ours is not None and self.state != RIGHT:
            names = " and ".join(self.keep) or "version"
            said = " ".join(filter(None, [said, f"The lesson goes on with the package's {names}."]))
        display(Box(self.state, f"Exercise {self.name}", said))
        if self.ours is None:
            return None
        return self.ours if self.state != RIGHT else answer[0] if len(answer) == 1 else answer

    def judge(self, *answer: object) -> tuple[str, str]:
        """The verdict on an answer, and why it is not right yet."""
        if self._is_ours(answer):
            return OPEN, ""
        if isinstance(self._check, Mapping):
            return self._judge_parts(answer[0] if len(answer) == 1 else answer)
        if not answer or any(map(unattempted, answer)):
            return OPEN, ""
        why = _ask(self._check, *answer)
        return (WRONG, why) if why else (RIGHT, "")

    def _is_ours(self, answer: tuple) -> bool:
        """Whether a cell `name = check(name)` was run again on the package's own."""
        ours = self.ours if isinstance(self.ours, tuple) else (self.ours,)
        pairs = zip(answer, ours, strict=False)
        return len(answer) == len(ours) and all(callable(a) and a is b for a, b in pairs)

    def _why_not(self, *answer: object) -> str:
        return self.judge(*answer)[1]

    def _judge_parts(self, answer: object) -> tuple[str, str]:
        if not isinstance(answer, Mapping):
            one = isinstance(answer, str) or not hasattr(answer, "__len__")
            one = one or getattr(answer, "ndim", 1) == 0  # a number of numpy or torch
            answer = [answer] if one else list(answer)
            if len(answer) > len(self._check):
                return WRONG, f"It has {len(answer)} parts, expected {len(self._check)}."
            answer = dict(zip(self._check, answer, strict=False))
        strange = [name for name in answer if name not in self._check]
        if strange:
            return WRONG, f"It has {strange[0]!r}; its parts are {', '.join(self._check)}."
        done = {name: part for name, part in answer.items() if not unattempted(part)}
        if not done:
            return OPEN, ""
        why = {name: _ask(self._check[name], part) for name, part in done.items()}
        right = [name for name in why if not why[name]]
        if len(right) == len(self._check):
            return RIGHT, ""
        left = [name for name in self._check if name not in done]
        said = [f"Right: {', '.join(right)}."] * bool(right)
        said += [f"{name}: {reason}" for name, reason in why.items() if reason]
        return WRONG, " ".join(said + [f"Not attempted yet: {', '.join(left)}."] * bool(left))


def _ask(check: Check, *answer: object) -> str:
    """What a check says of an answer, as one sentence: a learner's code may raise anything at all.
    Random numbers are the same in every check, and go on afterwards as if there had been none."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        try:
            why = check(*answer) or ""
        except Exception as error:
            cell = [f.lineno for f in traceback.extract_tb(error.__traceback__) if _in_cell(f)]
            where = f" in line {cell[-1]} of its cell" if cell else ""
            why = f"it raised {type(error).__name__}{where}: {error}"
    why = " ".join(why.split())[:400]
    return why and why[0].upper() + why[1:].rstrip(".") + "."


def _in_cell(frame: traceback.FrameSummary) -> bool:
    return "ipykernel" in frame.filename or frame.filename.startswith("<ipython-input")


def _explain(shell: object, kind: type, error: NameError, trace: object, tb_offset=None) -> None:
    """Say where a name comes from that a check asks for, and that its cell has not made."""
    line = traceback.extract_tb(trace)[-1].line or ""
    if ".check(" in line:
        said = f"There is no {error.name}: run the cell above that defines it, without an error."
        display(Box(OPEN, "Exercise", said))
    else:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


if (shell := get_ipython()) is not None:
    shell.set_custom_exc((NameError,), _explain)
