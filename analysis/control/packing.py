"""Cut chunks into the windows that become packs.

Pure. dispatch feeds it while it reads its input; a run's estimate feeds it the same way.

Windows are cut from the data and not from the clock: consecutive chunks of one document and one
topic, up to k of them, fewer where their tokens demand it. The same input therefore gives the same
requests, also when a run is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.records import Chunk, FailureKind, is_blank
from analysis.settings import SETTINGS, Settings

SMALL_JOB = 50
"""Up to so many chunks a job is sent one chunk per request, for the shortest latency.

Source: design section 2 (up to 50 chunks the first route of a small job).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A chunk with its estimated tokens and the topic that holds for it.

    `is_wanted` is False for a chunk whose verdict is known: it shapes its window and is not sent.
    """

    chunk: Chunk
    tokens: int
    topic: str | None
    is_wanted: bool = True


def obstacle(text: str, tokens: int, settings: Settings = SETTINGS) -> FailureKind | None:
    """Return why a text cannot be sent at all, or None if it can."""
    if is_blank(text):
        return FailureKind.EMPTY
    if tokens > settings.chunk_tokens:
        return FailureKind.TOO_LONG
    return None


def chunks_per_request(job_size: int, settings: Settings = SETTINGS) -> int:
    """Return how many chunks go into one request of a job of so many chunks.

    Small jobs send every chunk alone, since nothing is scarce; larger ones share the instructions.
    """
    return 1 if job_size <= SMALL_JOB else settings.chunks_per_request


class Cutter:
    """Collects pieces in input order and hands out a window whenever one is full."""

    def __init__(self, *, chunks_per_request: int, settings: Settings = SETTINGS) -> None:
        if chunks_per_request < 1:
            raise ValueError(f"A window needs at least one chunk, not {chunks_per_request}.")
        self._size = chunks_per_request
        self._tokens_limit = settings.pack_tokens
        self._window: list[Piece] = []
        self._tokens = 0

    def add(self, piece: Piece) -> tuple[Piece, ...] | None:
        """Take the next piece; return the window that it completes or begins after, if any."""
        done: tuple[Piece, ...] | None = None
        if self._window and not self._fits(piece):
            done = self.finish()
        self._window.append(piece)
        self._tokens += piece.tokens
        if len(self._window) == self._size and done is None:
            return self.finish()
        return done

    def finish(self) -> tuple[Piece, ...] | None:
        """Return the window begun so far, or None if there is none."""
        if not self._window:
            return None
        window = tuple(self._window)
        self._window, self._tokens = [], 0
        return window

    def _fits(self, piece: Piece) -> bool:
        last = self._window[-1]
        return (
            len(self._window) < self._size
            and piece.chunk.document == last.chunk.document
            and piece.topic == last.topic
            and self._tokens + piece.tokens <= self._tokens_limit
        )
