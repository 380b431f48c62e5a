"""Rows of two tables joined by id."""

from __future__ import annotations

import pytest

from analysis.errors import InputError
from analysis.evaluation.rows import GoldRow, Match, OutputRow, Pair, match, shown


def gold(*ids: str) -> list[GoldRow]:
    """Return gold rows with these ids."""
    return [GoldRow(id=name, labels=("a",)) for name in ids]


def output(*ids: str) -> list[OutputRow]:
    """Return output rows with these ids."""
    return [OutputRow(id=name, labels=("a",)) for name in ids]


def joined(first: list[GoldRow], second: list[OutputRow]) -> Match[GoldRow]:
    """Join two lists under names for messages."""
    return match(first, second, first_name="gold.csv", second_name="out.csv", ids="Name them.")


def test_rows_meet_by_id_in_the_order_of_the_output() -> None:
    """What only one table has is kept by name."""
    found = joined(gold("1", "2", "3"), output("4", "3", "1"))
    assert ["3", "1"] == [row.id for _, row in found.pairs]
    assert (("2",), ("4",)) == (found.only_first, found.only_second)


def test_ids_are_raw_strings() -> None:
    """Neither zeros in front nor spaces nor decimals are taken away."""
    found = joined(gold("1", "01", " 1", "1.0"), output("1", "1 "))
    assert (1, 3, 1) == (len(found.pairs), len(found.only_first), len(found.only_second))


def test_ids_that_only_look_the_same_are_told() -> None:
    """Both sides of the message look alike; the sentence says where they differ."""
    with pytest.raises(InputError, match=r"how accents are coded.* Name"):
        joined(gold("e\u0301", "b"), output("\u00e9", "c"))


def test_tables_without_a_common_id_are_refused() -> None:
    """The first id of each side shows why they do not meet."""
    with pytest.raises(InputError, match=r"No id of gold.csv is in out.csv.*'1' and 'c1'. Name"):
        joined(gold("1"), output("c1"))


@pytest.mark.parametrize(("first", "second"), [((), ("1",)), (("1",), ()), ((), ())])
def test_an_empty_table_is_no_mismatch(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """Without rows there is nothing to meet, and everything is counted."""
    found = joined(gold(*first), output(*second))
    assert (first, second) == (found.only_first, found.only_second)


def test_doubled_ids_are_refused_on_both_sides() -> None:
    """A label could land beside another row; the table and the ids are named."""
    with pytest.raises(InputError, match=r"gold.csv: 2 rows repeat .* first '1', '2'"):
        joined(gold("1", "1", "2", "2"), output("1"))
    with pytest.raises(InputError, match=r"out.csv: 1 rows repeat .* first '1'"):
        joined(gold("1"), output("1", "1"))


def test_empty_ids_are_refused() -> None:
    """An empty id names no row."""
    with pytest.raises(InputError, match=r"gold.csv: 2 rows have an empty id"):
        joined(gold("", "", "1"), output("1"))


def test_a_label_without_an_attempt_was_reused() -> None:
    """Zero attempts mean an earlier answer, but only where there is a label."""
    rows = [
        OutputRow(id="1", labels=("a",), attempts=0),
        OutputRow(id="2", labels=(), attempts=0),
        OutputRow(id="3", labels=("a",), attempts=1),
        OutputRow(id="4", labels=("a",)),
    ]
    assert [True, False, False, False] == [row.is_reused for row in rows]


def test_two_opinions_agree_by_their_primary_label() -> None:
    """Second labels do not count, and a missing label agrees with none."""
    assert Pair(id="1", first=("a", "b"), second=("a",)).agrees
    assert not Pair(id="1", first=("a", "b"), second=("b", "a")).agrees
    assert not Pair(id="1", first=("a",), second=()).agrees


def test_messages_show_the_start_of_a_long_text() -> None:
    """Control characters are escaped, and a text by mistake does not fill the screen."""
    assert "'a\\x1b'" == shown("a\x1b")
    assert repr("x" * 40 + "…") == shown("x" * 500)


def test_models_of_votes_are_told_apart() -> None:
    """One for a label of a run, several for one that was counted, none where none is stated."""
    found = [
        OutputRow(id="1", labels=("a",), model=model).models
        for model in ("gpt-6-luna", "gpt-6-luna; offline-rules", "")
    ]
    assert [("gpt-6-luna",), ("gpt-6-luna", "offline-rules"), ()] == found
