"""The chunks of a client's job."""

from __future__ import annotations

from benchmarks.score.client import chunks_of


def test_chunks_are_equally_long_and_all_different() -> None:
    """Parts of a job do not overlap."""
    chunks = [*chunks_of(0, 30, 340), *chunks_of(30, 30, 340)]
    assert {340} == {len(chunk.text) for chunk in chunks}
    assert 60 == len({chunk.text for chunk in chunks}) == len({chunk.id for chunk in chunks})
