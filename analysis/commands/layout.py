"""Tables for the terminal: columns that line up, whatever the script of the text.

Pure. `evaluate_wording` and `label_sets` use it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from unicodedata import combining, east_asian_width

GAP = "  "


def width(text: str) -> int:
    """Return the columns that a terminal needs for a text: Chinese characters take two."""
    return sum(
        0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text
    )


def clipped(text: str, columns: int) -> str:
    """Return a text that needs at most so many columns; what is cut is marked by an ellipsis."""
    if width(text) <= columns:
        return text
    kept = ""
    for sign in text:
        if width(kept + sign) > columns - 1:
            break
        kept += sign
    return kept + "…"


def laid_out(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), gap: str = GAP
) -> list[str]:
    """Return a line per row; the columns begin, or end, below each other.

    Args:
        rows: Of equal length.
        right: Indexes of the columns that end below each other, for numbers.
        gap: Between two columns.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for index, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            space = " " * (wide - width(cell))
            cells.append(space + cell if index in right else cell + space)
        lines.append(gap.join(cells).rstrip())
    return lines
