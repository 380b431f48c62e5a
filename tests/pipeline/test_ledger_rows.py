"""Values of a ledger become columns and come back."""

from __future__ import annotations

import pytest

from analysis.pipeline.ledger_rows import differences, shown, storable


@pytest.mark.parametrize(
    ("text", "stored", "printed"),
    [
        ("row 1", "row 1", "row 1"),
        ("a\0b", "a\0b", "a\0b"),
        ("\ud800", b"\xed\xa0\x80", "\\ud800"),
        ("\\ud800", "\\ud800", "\\ud800"),
    ],
)
def test_ids_are_stored_apart_and_shown_for_people(
    text: str, stored: str | bytes, printed: str
) -> None:
    """What is no valid Unicode is stored as bytes and shown as an escape."""
    assert (stored, printed) == (storable(text), shown(stored))


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("same", "same", ()),
        ("0123456789", "0123456780", ("prompt 0123456789 -> 0123456780",)),
        ("0123456789", "f123456789", ("prompt 01234567 -> f1234567",)),
        ("v1", "v2", ("prompt v1 -> v2",)),
        ("v1", "\ud800", ("prompt v1 -> \\ud800",)),
    ],
)
def test_a_difference_is_named_so_that_the_two_can_be_told_apart(
    before: str, now: str, said: tuple[str, ...]
) -> None:
    """Digests are cut only where eight signs differ."""
    assert said == differences({"prompt": before}, {"prompt": now})


def test_another_topic_of_the_run_is_named() -> None:
    """Its words are in no ledger; a run of an older program did not state it."""
    assert ("topic",) == differences({"topic_digest": "a1"}, {"topic_digest": "b2"})
    assert () == differences({"topic_digest": "a1"}, {"topic_digest": "a1"})
    assert ("topic",) == differences({"topic_digest": ""}, {"topic_digest": "b2"})
    assert () == differences({}, {"topic_digest": "b2"})


def test_a_fact_that_one_of_the_runs_does_not_state_is_no_difference() -> None:
    """An older program stated fewer facts."""
    assert () == differences({}, {"prompt": "v1"})
    assert () == differences({"prompt": "v1"}, {"topic": "t"})
