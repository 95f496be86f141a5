"""What a lesson shows beside its figures: tables and boxes, as HTML and as the same words in text.

Text is what strict nbval compares, a terminal shows and a screen reader reads. Colours stand in
the HTML itself, since pages of untrusted notebooks drop style sheets, and on borders alone, so that
a dark page stays dark; a sign and a word say what a colour says.
"""

import html
from collections.abc import Iterable, Sequence


class Table:
    """Rows of cells, the first of them the heading; the first `left` columns stand flush left,
    numbers to the right. `bold` holds the indices of the rows below the heading that are the
    finding; `caption` is a line below."""

    def __init__(
        self,
        rows: Iterable[Sequence[object]],
        *,
        left: int = 1,
        bold: Iterable[int] = (),
        caption: str = "",
    ) -> None:
        self.rows = [tuple(map(str, row)) for row in rows]
        self.left, self.bold, self.caption = left, set(bold), caption

    def __repr__(self) -> str:
        text = text_table(self.rows, left=self.left)
        return f"{text}\n{self.caption}" if self.caption else text

    def _repr_html_(self) -> str:
        heading, *rows = self.rows
        lines = [self._line("th", heading)]
        lines += [self._line("td", row, bold=i in self.bold) for i, row in enumerate(rows)]
        below = f"<p>{html.escape(self.caption)}</p>" if self.caption else ""
        return f"<table>{''.join(lines)}</table>{below}"

    def _line(self, tag: str, cells: Sequence[str], *, bold: bool = False) -> str:
        weight = "; font-weight: bold" if bold else ""
        line = "".join(
            f'<{tag} style="text-align: {"left" if i < self.left else "right"}{weight}">'
            f"{html.escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{line}</tr>"


def text_table(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Rows of strings as lines of text; the first `left` columns flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust] * left + [str.rjust] * len(widths)
    aligned = (map(lambda side, *cell: side(*cell), sides, row, widths) for row in rows)
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)


VERDICTS = {  # the sign and the colour of each; all three can be read on white and on black
    "right": ("✔", "#2e8b3d"),
    "not right yet": ("✘", "#d9541e"),
    "not attempted yet": ("▫", "#8a8a8a"),
}


class Box:
    """A verdict on `about`: sign and word in bold, then what is said, bordered in its colour."""

    def __init__(self, verdict: str, about: str, said: str = "") -> None:
        self.verdict, self.about, self.said = verdict, about, said

    def __repr__(self) -> str:
        sign, _ = VERDICTS[self.verdict]
        return f"{sign} {self.about}: {self.verdict}." + f" {self.said}" * bool(self.said)

    def _repr_html_(self) -> str:
        sign, colour = VERDICTS[self.verdict]
        style = f"border: 1px solid {colour}; border-left-width: 8px; padding: 4px 12px"
        said = f"<br>{html.escape(self.said)}" if self.said else ""
        return (
            f'<div style="{style}"><b>{sign} {html.escape(self.about)}: {self.verdict}</b>'
            f"{said}</div>"
        )
