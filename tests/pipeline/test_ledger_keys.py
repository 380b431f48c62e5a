"""Keys are made once between question and answer, and memory for them is bounded."""

from __future__ import annotations

import pytest

from analysis.errors import LocalProtocolError
from analysis.pipeline.ledger_keys import Keys
from analysis.records import Chunk
from tests.pipeline.ledger_samples import chunk, key_of


class Counted:
    """Makes keys and notes for which ids."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, one: Chunk) -> bytes:
        self.asked.append(one.id)
        return key_of(one)


@pytest.mark.parametrize("size", [0, 15, 33])
def test_a_key_of_the_wrong_size_is_a_bug(size: int) -> None:
    """It is refused wherever it is made."""
    keys = Keys(lambda _: bytes(size), limit=1)
    for make in (keys.make, keys.take):
        with pytest.raises(LocalProtocolError, match=f"16 to 32 bytes, not {size}"):
            make(chunk("1"))


def test_a_remembered_key_is_taken_once() -> None:
    """The second answer of a chunk makes it again."""
    counted = Counted()
    keys, one = Keys(counted, limit=2), chunk("1")
    keys.remember([(one, keys.make(one))])
    assert [key_of(one)] * 2 == [keys.take(one), keys.take(one)]
    assert ["1", "1"] == counted.asked


def test_an_equal_chunk_is_another_chunk() -> None:
    """Only the very object is known, so that no text has to be compared."""
    counted = Counted()
    keys, one = Keys(counted, limit=2), chunk("1")
    keys.remember([(one, bytes(16))])
    assert key_of(one) == keys.take(chunk("1"))
    assert bytes(16) == keys.take(one)


def test_chunks_that_are_never_answered_are_forgotten_first_in_first_out() -> None:
    """Memory stays flat."""
    counted = Counted()
    chunks = [chunk(str(number)) for number in range(6)]
    keys = Keys(counted, limit=4)
    for each in chunks:
        keys.remember([(each, key_of(each))])
    assert [key_of(each) for each in chunks] == [keys.take(each) for each in chunks]
    assert ["0", "1"] == counted.asked
