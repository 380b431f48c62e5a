"""The simulated model: what it is told of a request."""

from __future__ import annotations

import json
from hashlib import sha256

from analysis.simulator.answerer import Answerer, digest_answerer
from analysis.simulator.answers import read_pack
from tests.simulator.examples import KEYS, pack


def test_digest_label_is_a_function_of_the_text() -> None:
    """The first eight bytes of sha256 choose the key."""
    number = int.from_bytes(sha256("é".encode()).digest()[:8])
    assert [(KEYS[number % 2],)] == list(digest_answerer(KEYS).label(["é"], None))


def test_the_place_in_the_document_reaches_an_answerer_that_wants_it() -> None:
    """Requests that do not name it are answered as ever."""
    answerer = Answerer(
        name="m",
        label=lambda texts, topic: [("plain",) for _ in texts],
        label_placed=lambda texts, topic, position: [(f"{topic} {position}",) for _ in texts],
    )
    placed = json.dumps(json.loads(pack("one")) | {"position": "3-4 of 9"})
    for content, expected in ((pack("one"), "plain"), (placed, "t 3-4 of 9"), ("one", "plain")):
        assert [(expected,)] == answerer.answer(["one"], read_pack(content))
