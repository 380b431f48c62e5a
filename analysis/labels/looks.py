"""What a look at a text shows: its tokens, and whether it gives orders to the model.

Pure. A run reads its rows to estimate, to leave out what is done, and to send. Both questions go
through every letter, so the answers are kept from the first reading to the last one. The estimate
and dispatch share one `Looks` through the `PromptBuilder`.

Answers are kept for a slice of rows under a hash of all its texts and topics: rows that changed
meanwhile, or come in other slices, are looked at anew. Neither texts nor ids are kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

from analysis.labels.orders import gives_orders
from analysis.labels.tokens import estimate
from analysis.records import Chunk
from analysis.settings import SETTINGS, Settings

Look = tuple[int, bool]
"""Estimated tokens of a text, and whether it, or the topic of its row, gives orders."""


@dataclass(slots=True)
class _Slice:
    """What a slice of rows shows: the tokens of each, and a 1 for each that gives orders.

    `orders` is None as long as nobody asked.
    """

    tokens: array[int]
    orders: bytes | None = None

    def looks(self, *, has_orders: bool) -> Iterable[Look]:
        flags = map(bool, self.orders or b"") if has_orders else repeat(False, len(self.tokens))
        return zip(self.tokens, flags, strict=True)


class Looks:
    """Looks at chunks, and keeps what it saw for the next reading of the same slice."""

    def __init__(self, spellings: frozenset[str], *, settings: Settings = SETTINGS) -> None:
        """Look with the spellings of the labels in use; see `orders.gives_orders`.

        `kept_looks` bounds the memory. Texts above `chunk_tokens` cannot be sent, so they are not
        searched for orders.
        """
        self._spellings = spellings
        self._settings = settings
        self._kept: dict[int, _Slice] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"Looks({self._count} chunks kept)"

    def keep(self, chunks: Sequence[Chunk], *, has_orders: bool) -> Iterable[Look]:
        """Return what the chunks of a slice show, and keep it; the oldest slices are forgotten.

        Args:
            chunks: A slice.
            has_orders: Search them for orders; else none is said to give any.
        """
        key = _key(chunks)
        found = self._forget(key)
        if found is None:
            found = _Slice(array("I", [estimate(chunk.text) for chunk in chunks]))
        if has_orders and found.orders is None:
            found.orders = bytes(map(self._gives_orders, chunks, found.tokens))
        self._kept[key] = found
        self._count += len(chunks)
        while self._count > self._settings.kept_looks:
            self._forget(next(iter(self._kept)))
        return found.looks(has_orders=has_orders)

    def take(self, chunks: Sequence[Chunk], *, has_orders: bool) -> Iterable[Look]:
        """Return what the chunks of a slice show, and forget it.

        What was not kept is looked at one by one as the caller goes on, since a long slice would
        hold up whatever else runs on its thread.
        """
        found = self._forget(_key(chunks)) if self._kept else None
        if found is not None and (found.orders is not None or not has_orders):
            return found.looks(has_orders=has_orders)
        counts = (estimate(chunk.text) for chunk in chunks) if found is None else found.tokens
        return (
            (tokens, has_orders and self._gives_orders(chunk, tokens))
            for chunk, tokens in zip(chunks, counts, strict=True)
        )

    def _gives_orders(self, chunk: Chunk, tokens: int) -> bool:
        return tokens <= self._settings.chunk_tokens and gives_orders(chunk, self._spellings)

    def _forget(self, key: int) -> _Slice | None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._count -= len(found.tokens)
        return found


def _key(chunks: Sequence[Chunk]) -> int:
    return hash(tuple([(chunk.text, chunk.topic) for chunk in chunks]))
