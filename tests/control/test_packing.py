"""Windows are cut from the data: by document, topic, count and tokens."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.packing import (
    LOOK_AHEAD,
    Cutter,
    Piece,
    kept_apart,
    obstacle,
    parts,
)
from analysis.records import Chunk, FailureKind
from analysis.settings import SETTINGS


def piece(
    name: str,
    *,
    tokens: int = 10,
    document: str | None = None,
    topic: str | None = None,
    title: str | None = None,
    source: str | None = None,
) -> Piece:
    """Return a piece with so many tokens."""
    chunk = Chunk(id=name, text="x", title=title, document=document, source=source)
    return Piece(chunk=chunk, tokens=tokens, topic=topic)


def windows(
    pieces: list[Piece], *, size: int, pack_tokens: int = 8_000, is_whole: bool = False
) -> list[list[str]]:
    """Return the ids of the chunks of each window that a cutter makes of these pieces."""
    settings = replace(SETTINGS, pack_tokens=pack_tokens)
    cutter = Cutter(chunks_per_request=size, settings=settings, is_whole=is_whole)
    found = [window for one in pieces if (window := cutter.add(one)) is not None]
    while (last := cutter.finish()) is not None:
        found.append(last)
    return [[one.chunk.id for one in window] for window in found]


def test_windows_hold_k_chunks_and_the_rest_comes_last() -> None:
    """Five chunks at two a window make three windows."""
    assert [["a", "b"], ["c", "d"], ["e"]] == windows([piece(name) for name in "abcde"], size=2)


def test_a_full_window_comes_out_at_once() -> None:
    """The window is handed out with the chunk that fills it, not with the one after it."""
    cutter = Cutter(chunks_per_request=1)
    assert [piece("a")] == list(cutter.add(piece("a")) or ())
    assert cutter.finish() is None


def test_no_window_crosses_inputs_documents_or_topics() -> None:
    """A change of input, document or topic begins a window, a change back as well."""
    pieces = [piece(str(place), document=name) for place, name in enumerate("aabba")]
    assert [["0", "1"], ["2", "3"], ["4"]] == windows(pieces, size=10)
    pieces = [piece(str(place), topic=name) for place, name in enumerate("xyy")]
    assert [["0"], ["1", "2"]] == windows(pieces, size=10)
    pieces = [piece(str(place), document="same", source=name) for place, name in enumerate("mnn")]
    assert [["0"], ["1", "2"]] == windows(pieces, size=10)


def test_no_window_crosses_titles() -> None:
    """A title that changes within a document begins a window, as does one that ends."""
    titles = ["One", "One", "Two", None, "One"]
    pieces = [piece(str(at), document="d", title=title) for at, title in enumerate(titles)]
    assert [["0", "1"], ["2"], ["3"], ["4"]] == windows(pieces, size=10)


def test_tokens_end_a_window_early_and_a_long_chunk_travels_alone() -> None:
    """The token limit may be met, not passed; a chunk above it makes a window of its own."""
    pieces = [piece("a", tokens=60), piece("b", tokens=40), piece("c", tokens=500), piece("d")]
    assert [["a", "b"], ["c"], ["d"]] == windows(pieces, size=10, pack_tokens=100)


def test_a_chunk_that_is_not_wanted_shapes_its_window() -> None:
    """A resumed run cuts the same windows as the first one."""
    pieces = [piece(name) for name in "abcd"]
    kept = [replace(one, is_wanted=one.chunk.id != "b") for one in pieces]
    assert windows(pieces, size=3) == windows(kept, size=3)


def ids(*sent: tuple[Piece, ...]) -> list[str]:
    """Return the ids of the chunks of each pack, as one word."""
    return ["".join(one.chunk.id for one in pieces) for pieces in sent]


def test_a_whole_job_is_cut_into_equal_windows() -> None:
    """21 and 4 chunks at ten a window: 7, 7, 7 and 4, although the first ten came first."""
    pieces = [piece(str(place), document="a") for place in range(21)]
    pieces += [piece(str(place), document="b") for place in range(4)]
    found = windows(pieces, size=10, is_whole=True)
    assert [7, 7, 7, 4] == [len(window) for window in found]
    assert [10, 10, 1, 4] == [len(window) for window in windows(pieces, size=10)]


def test_a_whole_job_one_by_one_is_held_back_by_nothing() -> None:
    """At one chunk a window there is nothing to level."""
    cutter = Cutter(chunks_per_request=1, is_whole=True)
    assert ["a"] == ids(cutter.add(piece("a")) or ())


def test_windows_become_smaller_and_never_larger() -> None:
    """What is held is cut by the new size, too."""
    cutter = Cutter(chunks_per_request=5)
    assert [None] * 4 == [cutter.add(piece(name)) for name in "abcd"]
    cutter.limit(3)
    cutter.limit(9)
    assert "Cutter(3 a window, 4 held in 1 stretches)" == repr(cutter)
    found = [cutter.add(piece("e")), cutter.finish(), cutter.finish()]
    assert ["abc", "de"] == ids(*(window for window in found if window))


@given(st.lists(st.integers(1, 60), max_size=6), st.integers(1, 5))
def test_a_whole_job_loses_nothing_and_leaves_no_runt(lengths: list[int], size: int) -> None:
    """Stretches within the look-ahead differ by one; longer ones have full windows first."""
    pieces = [
        piece(f"{document}-{place}", document=str(document))
        for document, length in enumerate(lengths)
        for place in range(length)
    ]
    found = windows(pieces, size=size, is_whole=True)
    assert [one.chunk.id for one in pieces] == [name for window in found for name in window]
    for document, length in enumerate(lengths):
        sizes = [len(window) for window in found if window[0].startswith(f"{document}-")]
        last = sizes[-LOOK_AHEAD:]
        assert -(-length // size) == len(sizes)
        assert {size} >= set(sizes[:-LOOK_AHEAD])
        assert max(last) - min(last) <= 1


def test_what_goes_alone_leaves_its_neighbours_together() -> None:
    """A text that looks like orders has a request of its own, and the others keep theirs."""
    window = (piece("a"), replace(piece("b"), is_alone=True), piece("c"))
    assert ["ac", "b"] == ids(*parts(window))
    assert ["b"] == ids(kept_apart(window))


def test_a_long_text_goes_alone() -> None:
    """More than four times the mean of its neighbours, and more than a quarter of a pack."""
    window = (piece("a", tokens=600), piece("b", tokens=2_401), piece("c", tokens=600))
    assert ["ac", "b"] == ids(*parts(window))
    assert ["abc"] == ids(*parts((*window[:1], piece("b", tokens=2_400), *window[2:])))
    assert ["ab"] == ids(*parts((piece("a", tokens=10), piece("b", tokens=2_000))))
    assert ["b"] == ids(*parts((piece("b", tokens=9_000),)))
    assert ["a", "b"] == ids(*parts((piece("a", tokens=10), piece("b", tokens=2_001))))


def test_what_is_not_wanted_shapes_the_window_and_is_not_sent() -> None:
    """A resumed run keeps the same texts apart, and sends neither the rest of them nor nothing."""
    held = replace(piece("a", tokens=500), is_wanted=False)
    long = piece("b", tokens=2_001)
    assert ["b"] == ids(*parts((held, long)))
    assert ["b"] == ids(kept_apart((held, long)))
    assert [] == ids(*parts((held, replace(long, is_wanted=False))))
    assert () == kept_apart((replace(long, is_alone=True),))


def test_a_window_of_nothing_is_a_mistake() -> None:
    """Zero chunks per request are refused."""
    with pytest.raises(ValueError, match="at least one chunk"):
        Cutter(chunks_per_request=0)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from("ab"), st.sampled_from("xy"))),
    st.integers(1, 5),
)
def test_windows_are_the_input_cut_as_rarely_as_allowed(
    given_pieces: list[tuple[int, str, str]], size: int
) -> None:
    """Windows in a row give the input, keep every limit, and none could have taken one more."""
    pieces = [
        piece(str(place), tokens=tokens, document=document, topic=topic)
        for place, (tokens, document, topic) in enumerate(given_pieces)
    ]
    by_id = {one.chunk.id: one for one in pieces}
    found = [
        [by_id[name] for name in names] for names in windows(pieces, size=size, pack_tokens=100)
    ]
    assert pieces == [one for window in found for one in window]
    for window in found:
        assert 1 == len({(one.chunk.document, one.topic) for one in window})
        assert len(window) <= size
        assert len(window) == 1 or sum(one.tokens for one in window) <= 100
    for window, after in pairwise(found):
        is_other = (window[0].chunk.document, window[0].topic) != (
            after[0].chunk.document,
            after[0].topic,
        )
        is_heavy = sum(one.tokens for one in [*window, after[0]]) > 100
        assert is_other or is_heavy or len(window) == size


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("", 0, FailureKind.EMPTY),
        (" \t\u200b\ufeff\n", 3, FailureKind.EMPTY),
        ("word", SETTINGS.chunk_tokens, None),
        ("word", SETTINGS.chunk_tokens + 1, FailureKind.TOO_LONG),
    ],
)
def test_empty_and_too_long_texts_are_not_sent(
    text: str, tokens: int, expected: FailureKind | None
) -> None:
    """Texts of which nothing can be seen and texts above the limit have an obstacle."""
    assert expected == obstacle(text, tokens)
