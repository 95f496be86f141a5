"""How a cell whose numbers vary is compared: its words exactly, its numbers within a distance."""

import re
from collections.abc import Iterator
from copy import deepcopy

from nbformat import NotebookNode

from authoring.pictures import drawn_by

WITHIN = re.compile(r"within:(\d+(?:\.\d+)?)")
NUMBER = re.compile(  # 3x3, 4a and v3 are words; 85.3 %, 2.3x and -1e-3 are numbers
    r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\d.,]*(?:[a-wyz_]|x\w))(?!\d)", re.I
)
TEXTS = ("text/plain", "text/html", "text/markdown")


def within(cell: NotebookNode) -> float | None:
    """X of a cell tagged "within:X": each of its numbers may differ by X in its printed unit."""
    found = map(WITHIN.fullmatch, cell.metadata.get("tags", []))
    return next((float(match[1]) for match in found if match), None)


def agrees_within(
    saved: list[NotebookNode], now: list[NotebookNode], units: float
) -> list[NotebookNode]:
    """The outputs `now`, with the saved text wherever the words are the same, and every number is
    at most `units` from the saved one. Pictures of such numbers are not compared."""
    result = joined(now)
    for old, new in zip(joined(saved), result, strict=False):
        for holder, key, text in _texts(old):
            own = holder_of(new, holder)
            if key in own and close("".join(text), "".join(own[key]), units):
                own[key] = text
    return result


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Copies of outputs, what was printed in several pieces joined."""
    result = []
    for out in deepcopy(outputs):
        if "text" in out and result and result[-1].get("name") == out.name:
            result[-1].text += out.text
        else:
            result.append(out)
    return result


def keep_close(old: NotebookNode, new: NotebookNode) -> None:
    """Give a cell that is compared within a distance its old outputs, where they agree and the
    same code drew their pictures."""
    units = within(old)
    if units is not None and drawn_by(old.outputs) == drawn_by(new.outputs):
        found = agrees_within(old.outputs, new.outputs, units)
        if [list(_texts(out)) for out in found] == [list(_texts(out)) for out in old.outputs]:
            new.outputs = old.outputs


def _texts(out: NotebookNode) -> Iterator[tuple[str, str, str]]:
    if "text" in out:
        yield "", "text", out["text"]
    yield from (("data", kind, out["data"][kind]) for kind in TEXTS if kind in out.get("data", {}))


def holder_of(out: NotebookNode, holder: str) -> dict:
    """Where an output holds its texts: in itself, or in its data."""
    return out.get(holder, {}) if holder else out


def close(saved: str, now: str, units: float) -> bool:
    """Whether two texts have the same words, and numbers at most so far apart."""
    if _words(saved) != _words(now):
        return False
    pairs = zip(NUMBER.findall(saved), NUMBER.findall(now), strict=True)
    return all(abs(_value(a) - _value(b)) <= units * (1 + 1e-9) for a, b in pairs)


def _words(text: str) -> list[str]:
    """A text without its numbers, whose widths change how a table is padded."""
    return NUMBER.sub(" # ", text).replace("─", "").split()


def _value(number: str) -> float:
    return float(number.replace(",", ""))
