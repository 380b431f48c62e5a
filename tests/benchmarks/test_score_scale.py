"""What the scheduler costs: all chunks are labelled, and the figures stand beside their goals."""

from __future__ import annotations

from benchmarks.score.scale import drive, measure, waiting_bytes


def test_every_chunk_gets_a_verdict() -> None:
    """Also more of them than may be queued at once."""
    assert 1_000 == drive(1_000)


def test_a_waiting_chunk_takes_memory() -> None:
    """It is counted without the chunk, so it is above nothing and far below a text."""
    assert 100 < waiting_bytes(500) < 5_000


def test_the_figures_stand_beside_their_goals() -> None:
    """A row per size and four goals."""
    found = measure((200, 400), waiting=100)
    assert [200, 400] == [row["chunks"] for row in found["rows"]]
    assert [20.0, 120.0, 1.10, 1_000] == [goal["at_most"] for goal in found["goals"]]
    assert all(goal["reached"] is (goal["measured"] <= goal["at_most"]) for goal in found["goals"])
