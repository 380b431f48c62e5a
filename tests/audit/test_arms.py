"""Arms ask the same chunks: in the same packs, alone, and in another order within each pack."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analysis.audit.arms import (
    AGAIN,
    ALONE,
    SHUFFLED,
    Arm,
    are_same,
    audit_arms,
    shared_requests,
    shuffled,
    windows,
)
from analysis.records import Chunk, Place
from analysis.settings import SETTINGS


def chunks(count: int, *, per_document: int = 7) -> list[Chunk]:
    """Return chunks in documents of so many."""
    return [
        Chunk(id=str(n), text=f"Text {n}.", document=str(n // per_document)) for n in range(count)
    ]


def test_arms_are_the_same_if_each_request_is() -> None:
    """Documents of seven chunks are cut by a size of five, and by none above six."""
    arms = {
        size: Arm(name=f"k={size}", chunks=tuple(chunks(15)), chunks_per_request=size)
        for size in (5, 7, 20)
    }
    assert are_same(arms[7], arms[20])
    assert not are_same(arms[5], arms[7])
    part = Arm(name="part", chunks=tuple(chunks(14)), chunks_per_request=20)
    assert not are_same(arms[20], part)


def test_a_run_of_single_chunks_has_no_packing_to_audit() -> None:
    """What is left is the noise of asking twice."""
    arms = audit_arms(chunks(3), chunks_per_request=1, seed=1)
    assert [AGAIN] == [arm.name for arm in arms]


def test_the_arms_of_packs_are_three() -> None:
    """The same packs, single chunks, and another order."""
    given_chunks = chunks(9)
    again, alone, other = audit_arms(given_chunks, chunks_per_request=4, seed=1)
    assert [(AGAIN, 4), (ALONE, 1), (SHUFFLED, 4)] == [
        (arm.name, arm.chunks_per_request) for arm in (again, alone, other)
    ]
    assert tuple(given_chunks) == again.chunks == alone.chunks
    assert again.chunks != other.chunks


@given(
    count=st.integers(1, 60), size=st.integers(2, 20), long=st.integers(1, 30), seed=st.integers()
)
def test_another_order_keeps_each_request_and_moves_its_chunks(
    count: int, size: int, long: int, seed: int
) -> None:
    """The windows hold the same chunks as before, and no window of several is as it was."""
    given_chunks = chunks(count, per_document=long)
    order = shuffled(given_chunks, size, Random(seed), SETTINGS)
    before = [[chunk.id for chunk in window] for window in windows(given_chunks, size)]
    after = [[chunk.id for chunk in window] for window in windows(order, size)]
    assert [sorted(one) for one in before] == [sorted(one) for one in after]
    assert all(one != two for one, two in zip(before, after, strict=True) if len(one) > 1)


def test_what_stands_around_a_request_stays() -> None:
    """The first and the last chunk of a request have the neighbours that its ends had before."""
    placed = [
        Chunk(id=str(n), text=f"Text {n}.", place=Place(number=n, before=(f"b{n}",)))
        for n in range(1, 5)
    ]
    order = shuffled(placed, 4, Random(3), SETTINGS)
    assert [chunk.id for chunk in placed] != [chunk.id for chunk in order]
    assert [chunk.place for chunk in placed] == [chunk.place for chunk in order]


def test_chunks_that_cannot_be_sent_are_in_no_window() -> None:
    """A blank text and one beyond the largest size."""
    given_chunks = [
        Chunk(id="1", text="One."),
        Chunk(id="2", text=" "),
        Chunk(id="3", text="word " * 40_000),
        Chunk(id="4", text="Four."),
    ]
    assert [["1", "4"]] == [[chunk.id for chunk in window] for window in windows(given_chunks, 9)]


def test_chunks_of_an_audit_share_the_requests_of_the_run() -> None:
    """Alone they are asked one by one, but the labels of the run came in packs."""
    arms = audit_arms(chunks(9), chunks_per_request=4, seed=1)
    found = shared_requests(*arms)
    assert [{"0", "1", "2", "3"}, {"4", "5", "6"}, {"7", "8"}] == [
        {name for name, head in found.items() if head == one}
        for one in dict.fromkeys(found.values())
    ]


def test_requests_that_overlap_are_joined() -> None:
    """Packs of two and of three: what stands together in either belongs together."""
    given_chunks = tuple(chunks(7, per_document=7))
    arms = [Arm(name=str(size), chunks=given_chunks, chunks_per_request=size) for size in (2, 3)]
    assert 7 == len(shared_requests(arms[0])) and 4 == len(set(shared_requests(arms[0]).values()))
    assert [6, 1] == list(Counter(shared_requests(*arms).values()).values())


def test_chunks_asked_one_by_one_share_nothing() -> None:
    """And one that cannot be sent is missing."""
    arm = Arm(name="1", chunks=(*chunks(3), Chunk(id="blank", text=" ")), chunks_per_request=1)
    assert {"0": "0", "1": "1", "2": "2"} == shared_requests(arm)
