"""Values are checked when they are made and say no more than they know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.records import (
    Chunk,
    ErrorDetail,
    Failed,
    FailureKind,
    Item,
    Labeled,
    Pack,
    Usage,
    is_blank,
)

COUNTS = st.integers(0, 10**9)


@pytest.mark.parametrize(
    "text", ["", " ", "\t\r\n\v\f", "\u00a0\u2003\u3000", "\u200b\u200d\ufeff\u00ad\u2060"]
)
def test_a_text_of_which_nothing_can_be_seen_is_blank(text: str) -> None:
    """Spaces of any script and characters without width."""
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", " . ", "\u200b字\u200b", "\u0301", "0"])
def test_a_text_with_anything_to_see_is_not_blank(text: str) -> None:
    """One sign is enough."""
    assert not is_blank(text)


@pytest.mark.parametrize(("chunk_id", "text"), [(1, "a"), ("a", None), (None, b"a")])
def test_a_chunk_takes_strings_only(chunk_id: Any, text: Any) -> None:
    """The error names the types that came."""
    with pytest.raises(TypeError, match=f"{type(chunk_id).__name__} and {type(text).__name__}"):
        Chunk(id=chunk_id, text=text)


def test_a_pack_holds_at_least_one_chunk_and_adds_up_their_tokens() -> None:
    """An empty pack would be a request about nothing."""
    item = Item(ticket=1, chunk=Chunk(id="a", text="a"), tokens=7)
    assert 14 == Pack(items=(item, item)).tokens
    with pytest.raises(ValueError, match="at least one chunk"):
        Pack(items=())


@given(COUNTS, COUNTS, COUNTS, st.integers(1, 50))
def test_shares_of_a_usage_are_equal_and_add_up_to_it(
    asked: int, cached: int, answered: int, count: int
) -> None:
    """No token is lost, none is counted twice, and no share is cached beyond its input."""
    usage = Usage(input_tokens=asked, cached_tokens=min(cached, asked), output_tokens=answered)
    shares = usage.shares(count)
    assert (count, usage) == (len(shares), sum(shares, Usage()))
    for name in ("input_tokens", "cached_tokens", "output_tokens"):
        sizes = [getattr(share, name) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        assert sorted(sizes, reverse=True) == sizes
    assert all(share.cached_tokens <= share.input_tokens for share in shares)


def test_a_label_needs_a_label() -> None:
    """A chunk without any is failed, not labelled with nothing."""
    with pytest.raises(ValueError, match="at least one label"):
        Labeled(
            chunk_id="a",
            labels=(),
            route="rest",
            model="m",
            attempts=1,
            pack=1,
            latency_s=0.1,
            usage=Usage(),
        )


def test_verdicts_of_both_kinds_have_the_same_keys() -> None:
    """A table of them needs no case distinction; the first label is the primary one."""
    labeled = Labeled(
        chunk_id="a",
        labels=("example", "contrast"),
        route="rest",
        model="m",
        attempts=2,
        pack=3,
        latency_s=0.5,
        usage=Usage(input_tokens=10, cached_tokens=4, output_tokens=2),
    )
    failed = Failed(chunk_id="a", error=ErrorDetail(kind=FailureKind.DEFECT, message="no item"))
    assert labeled.to_dict().keys() == failed.to_dict().keys()
    assert {
        "chunk_id": "a",
        "semantic_function": "example",
        "labels": ["example", "contrast"],
        "confidence": None,
        "route": "rest",
        "model": "m",
        "attempts": 2,
        "pack": 3,
        "latency_s": 0.5,
        "usage": {
            "input_tokens": 10,
            "cached_tokens": 4,
            "written_tokens": 0,
            "output_tokens": 2,
            "reasoning_tokens": 0,
        },
        "error": None,
    } == labeled.to_dict()
    assert {"kind": "defect", "message": "no item"} == failed.to_dict()["error"]
    assert (None, None, (), None) == (
        labeled.error,
        failed.semantic_function,
        failed.labels,
        failed.confidence,
    )
