"""The table of foreign errors is consistent in itself, and names what exists."""

from __future__ import annotations

from importlib import import_module

import pytest

from analysis.errors import DeadlinePassed, ModelRefused, RateLimited, TransportError
from analysis.records import Ending
from analysis.wire.error_rows import Row, Where
from analysis.wire.error_table import TABLE, row_for

PATTERNS = [(row, pattern) for row in TABLE for pattern in row.patterns]
EXCEPTIONS = (Where.CONNECT, Where.CALL, Where.OPENING)


@pytest.mark.parametrize(("row", "pattern"), PATTERNS, ids=[pattern for _, pattern in PATTERNS])
def test_each_pattern_leads_to_its_row(row: Row, pattern: str) -> None:
    """No row hides another one."""
    assert row is row_for(row.where, {pattern})


@pytest.mark.parametrize("row", TABLE, ids=[row.patterns[0] for row in TABLE])
def test_the_ending_is_one_that_the_exception_can_have(row: Row) -> None:
    """A refusal generated nothing, a passed deadline leaves it open, a filter read the text."""
    allowed: set[Ending]
    if issubclass(row.becomes, RateLimited):
        allowed = {Ending.REFUSED}
    elif issubclass(row.becomes, DeadlinePassed):
        allowed = {Ending.UNKNOWN}
    elif issubclass(row.becomes, TransportError):
        allowed = {Ending.REFUSED, Ending.UNSENT, Ending.UNKNOWN}
    elif issubclass(row.becomes, ModelRefused):
        allowed = {Ending.DONE}
    else:
        allowed = {Ending.REFUSED, Ending.UNSENT}
    assert row.ending in allowed


@pytest.mark.parametrize(
    "pattern",
    [
        pattern.partition(" ")[0]
        for row, pattern in PATTERNS
        if row.where in EXCEPTIONS and "." in pattern
    ],
)
def test_each_exception_exists_under_its_name(pattern: str) -> None:
    """A library that renames one shows it here."""
    package, _, name = pattern.partition(".")
    found = getattr(import_module(package), name)
    assert issubclass(found, Exception)
    assert package == found.__module__.partition(".")[0]


def test_a_row_of_another_place_is_not_found() -> None:
    """A status is no code, and the other way round."""
    assert row_for(Where.NAME, {"429"}) is None
    assert row_for(Where.STATUS, {"server_error"}) is None
    assert row_for(Where.NAME, set()) is None
