"""Names that tell formats, and values as text."""

from __future__ import annotations

import datetime
import decimal
import fractions
import re
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError
from analysis.pipeline.formats import (
    Format,
    as_text,
    check_output_name,
    format_of,
    is_packed,
    json_value,
    known_format,
    known_suffixes,
)


@pytest.mark.parametrize(
    ("name", "known", "packed"),
    [
        ("a.csv", Format.CSV, False),
        ("a.TSV.gz", Format.TSV, True),
        ("a.b.jsonl", Format.JSONL, False),
        ("a.ndjson.GZ", Format.JSONL, True),
        ("a.parquet", Format.PARQUET, False),
        ("a.txt", None, False),
        ("a.gz", None, True),
        ("csv", None, False),
        (".csv", None, False),
    ],
)
def test_name_tells_the_format(name: str, known: Format | None, packed: bool) -> None:
    """In any case of letters, packed or not; other names are read as CSV."""
    path = Path("folder.jsonl") / name
    assert (known, packed) == (known_format(path), is_packed(path))
    assert (known or Format.CSV) is format_of(path)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("a.xlsx", "a.csv"),
        ("a.b.XLS", "a.b.csv"),
        ("a.ods", "a.csv"),
        ("a.zip", "a.csv"),
        ("a.xlsx.gz", "a.csv"),
        ("a.feather", "a.parquet"),
        ("a.json", "a.jsonl"),
    ],
)
def test_a_name_that_promises_another_format_is_refused(name: str, instead: str) -> None:
    """What opens it would be given text; the name to take is said."""
    with pytest.raises(ConfigurationError, match=re.escape(f"Name it {Path('out') / instead}.")):
        check_output_name(Path("out") / name)


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a", "a.tsv.gz", "a.parquet", "xlsx", "a.v2"])
def test_a_name_that_promises_nothing_is_taken(name: str) -> None:
    """Text under a name that is no known format is CSV."""
    check_output_name(name)


def test_suffixes_for_messages() -> None:
    """All of them are named."""
    assert ".csv, .tsv, .jsonl, .ndjson, .parquet" == known_suffixes()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("null", "null"),
        (None, ""),
        (7, "7"),
        (2**70, str(2**70)),
        (0.1, "0.1"),
        (float("nan"), ""),
        (True, "true"),
        ([1, "a b"], '[1,"a b"]'),
        ({"k": None}, '{"k":null}'),
        (b"\xff", "/w=="),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00Z"),
        ("l\nm", "l\nm"),
    ],
)
def test_value_as_text(value: object, expected: str) -> None:
    """Strings as they are, nothing for what is missing, compact JSON for the rest."""
    assert expected == as_text(value)


def test_value_that_json_does_not_know_is_a_string() -> None:
    """Its own words, or the ISO form where it has one."""
    assert b'["1/3"]' == json_value([fractions.Fraction(1, 3)])
