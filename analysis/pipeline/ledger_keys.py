"""The keys of chunks, each made once between the question whether it is missing and its answer.

No io. pipeline/ledger.py uses it, from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from analysis.errors import LocalProtocolError
from analysis.records import Chunk

KEY_SIZES = range(16, 33)
"""Bytes that a key may have; fewer could make two contents look the same."""


class Keys:
    """Makes keys, which hash whole texts, and remembers those that will be wanted again."""

    def __init__(self, key_of: Callable[[Chunk], bytes], *, limit: int) -> None:
        """Remember at most `limit` chunks, so that memory stays flat; the oldest go first."""
        self._key_of = key_of
        self._limit = limit
        self._known: dict[int, tuple[Chunk, bytes]] = {}  # a chunk that is held keeps its id()
        self._gate = threading.Lock()

    def make(self, chunk: Chunk) -> bytes:
        """Return the key of a chunk.

        Raises:
            LocalProtocolError: If it has a wrong size.
        """
        key = self._key_of(chunk)
        if len(key) not in KEY_SIZES:
            raise LocalProtocolError(f"A chunk key has 16 to 32 bytes, not {len(key)}.")
        return key

    def remember(self, pairs: Iterable[tuple[Chunk, bytes]]) -> None:
        """Keep the keys of chunks that are about to be asked."""
        with self._gate:
            self._known.update((id(chunk), (chunk, key)) for chunk, key in pairs)
            while len(self._known) > self._limit:
                del self._known[next(iter(self._known))]

    def take(self, chunk: Chunk) -> bytes:
        """Return the key of a chunk that is answered, and forget it."""
        with self._gate:
            known = self._known.pop(id(chunk), None)
        return self.make(chunk) if known is None else known[1]
