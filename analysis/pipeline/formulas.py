"""Cells that a spreadsheet would run as a formula, made harmless in a way that can be undone.

Pure. `sinks` asks it for CSV outputs where the user wants it. The rule: a cell that begins with
= + - @, a tab, a line end or the full-width form of such a sign, behind any number of apostrophes,
gets one more apostrophe in front. Plain numbers such as -3.5 are no formulas and stay; they begin
with no apostrophe, so taking one away where the rule matches always gives the cell back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_RISKY = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile("'+[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def guard(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if _RISKY.match(cell) is None or _NUMBER.fullmatch(cell) is not None:
        return cell
    return f"'{cell}"


def unguard(cell: str) -> str:
    """Return the cell that `guard` was given."""
    return cell[1:] if _GUARDED.match(cell) is not None else cell


def guarded(cells: Iterable[str]) -> tuple[str, ...]:
    """Return a row whose cells are all guarded."""
    return tuple(map(guard, cells))
