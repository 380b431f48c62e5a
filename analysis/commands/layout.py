"""Tables for the terminal: columns that line up, whatever the script of the text.

Pure. `evaluate_wording` and `label_sets` use it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from unicodedata import category, east_asian_width

GAP = "  "

_UNSEEN = frozenset({"Mn", "Me", "Cf"})
"""Kinds of characters without a column: marks on a letter, joiners and signs of direction."""


def width(text: str) -> int:
    """Return the columns that a terminal needs for a text: Chinese characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if category(sign) in _UNSEEN else 2 if east_asian_width(sign) in "WF" else 1
        for sign in text
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


def clipped_front(text: str, columns: int) -> str:
    """Return the end of a text in at most so many columns; a mark never loses its letter."""
    if width(text) <= columns:
        return text
    start = len(text)
    while width(text[start - 1 :]) < columns:
        start -= 1
    while start < len(text) and category(text[start]) in _UNSEEN:
        start += 1
    return "…" + text[start:]


def wrapped(text: str, columns: int) -> list[str]:
    """Return lines of at most so many columns, cut at spaces; a longer word has its own line."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}") <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


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
