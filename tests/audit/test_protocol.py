"""The protocol is fixed before anything is asked, and its digest tells any other one apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.audit.protocol import Protocol, chosen, sample_chunks
from analysis.errors import InputError
from analysis.labels.label_set import LabelSet
from analysis.records import Chunk

STANDARD = "2db30f925e7c8afc46474a6136e969c075c67bf1a0fc16018435062bf28d3ce5"
"""The registered protocol over the shipped samples; docs/explanation/quality.md names it, too."""


def test_one_text_is_no_sample() -> None:
    """Twice the same text is one text, and what cannot be sent is none."""
    texts = ["One.", "One.", " ", "word " * 40_000]
    with pytest.raises(InputError, match="at least two different texts"):
        chosen([Chunk(id=str(n), text=text) for n, text in enumerate(texts)], Protocol())


def test_no_text_is_asked_twice_and_no_more_than_wanted() -> None:
    """The first ones in the order of the input."""
    texts = ["One.", "Two.", "One.", "", "Three.", "Four."]
    found = chosen(
        [Chunk(id=str(n), text=text) for n, text in enumerate(texts)], replace(Protocol(), chunks=3)
    )
    assert ["0", "1", "4"] == [chunk.id for chunk in found]


def test_the_shipped_texts_are_enough() -> None:
    """Two hundred different texts, each with an id of its own."""
    found = chosen(sample_chunks(), Protocol())
    assert (200, 200) == (len(found), len({chunk.id for chunk in found}))


def test_the_registered_digest_has_not_moved() -> None:
    """Whoever changes the protocol or a sample registers it anew, with the reason."""
    protocol = Protocol()
    assert STANDARD == protocol.of(chosen(sample_chunks(), protocol)).digest


def test_any_other_choice_has_another_digest() -> None:
    """Sets, sizes, routes, models, texts: nothing can be chosen afterwards."""
    protocol, texts = Protocol(), chosen(sample_chunks(), Protocol())
    digests = {
        protocol.of(texts).digest,
        protocol.of(texts[:-1]).digest,
        protocol.of((*texts[:-1], replace(texts[-1], topic="Another"))).digest,
        protocol.of((*texts[:-1], replace(texts[-1], title="Another"))).digest,
        replace(protocol, chunks=100).of(texts).digest,
        replace(protocol, pack_sizes=(1, 10)).of(texts).digest,
        replace(protocol, routes=("rest",)).of(texts).digest,
        replace(protocol, models=(("rest", "x"),)).of(texts).digest,
        replace(protocol, service_tier="flex").of(texts).digest,
    }
    assert 9 == len(digests)


def test_its_label_sets_are_there() -> None:
    """And the pack size that is asked twice is one of the sizes."""
    protocol = Protocol()
    assert set(protocol.label_sets) <= set(LabelSet.available())
    assert protocol.repeated in protocol.pack_sizes
    assert protocol.route_label_set in protocol.label_sets
