"""The key of a row in the ledger: a hash of everything that decides its label.

Pure. The run and `joined` make keys with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as as_json

from analysis.records import Chunk

KEY_BYTES = 16


def key_maker(run_key: Mapping[str, str]) -> Callable[[Chunk], bytes]:
    """Return what makes the keys of the ledger, for `Analyzer.run_key` of a run."""
    shape = json.dumps(dict(sorted(run_key.items())), sort_keys=True)
    prefix = hashlib.sha256(shape.encode())

    def key_of(chunk: Chunk) -> bytes:
        # The JSON list of text and topic, put together by hand in half the time.
        topic = "null" if chunk.topic is None else as_json(chunk.topic)
        # A chunk of a document has its neighbours; a loose one may never stand for it.
        place = "" if chunk.document is None else ', "in a document"'
        if around := chunk.place:
            # Not its number: a row that comes in far away changes no other.
            place += f", [{_marks(around.before)}], [{_marks(around.after)}]"
        if chunk.title is not None:  # rows without one keep the key that they always had
            place += f', {{"title": {as_json(chunk.title)}}}'
        hasher = prefix.copy()
        hasher.update(f"[{as_json(chunk.text)}, {topic}{place}]".encode())
        return hasher.digest()[:KEY_BYTES]

    return key_of


@lru_cache(maxsize=256)
def _mark(text: str) -> str:
    """Return the digest of a text; the rows around it want it again."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _marks(texts: Sequence[str]) -> str:
    return _mark(texts[0]) if len(texts) == 1 else " ".join(map(_mark, texts))
