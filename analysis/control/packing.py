"""Cut chunks into the windows that become packs.

Pure. dispatch feeds it while it reads its input; a run's estimate feeds it the same way.

Windows are cut from the data and not from the clock: consecutive chunks of one input, document,
topic and title, up to k of them, fewer where their tokens demand it. The same input therefore gives
the same requests, also when a run is resumed. `parts` says which chunks of a window share a
request.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from analysis.control.planner import level
from analysis.records import Chunk, FailureKind, is_blank
from analysis.settings import SETTINGS, Settings

LOOK_AHEAD = 10
"""So many windows of a stretch are held back to cut them equally.

A stretch of that length or less gets windows that differ by one chunk at most; a longer one gets
full windows and, at its end, so many that are a tenth smaller at most.
"""

Window = tuple["Piece", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A chunk with its estimated tokens and the topic that holds for it.

    `is_wanted` is False for a chunk whose verdict is known: it shapes its window and is not sent.
    `is_alone` is True for a text that its neighbours are to be kept from, or that came with such a
    topic: it shapes its window, too, and goes in a request of its own.
    """

    chunk: Chunk
    tokens: int
    topic: str | None
    is_wanted: bool = True
    is_alone: bool = False


def obstacle(text: str, tokens: int, settings: Settings = SETTINGS) -> FailureKind | None:
    """Return why a text cannot be sent at all, or None if it can."""
    if is_blank(text):
        return FailureKind.EMPTY
    if tokens > settings.chunk_tokens:
        return FailureKind.TOO_LONG
    return None


def kept_apart(window: Window, settings: Settings = SETTINGS) -> Window:
    """Return the wanted pieces of a window that go alone, by their text or by their length.

    Long is what has `lone_times` the mean of its neighbours, wanted or not, and more than
    `lone_share` of `pack_tokens`: the neighbours would wait for it, and it would drown them.
    """
    others = len(window) - 1
    if not others:
        return ()
    least = settings.lone_share * settings.pack_tokens
    found = [one for one in window if one.is_wanted and (one.is_alone or one.tokens > least)]
    if not found:  # as in most windows
        return ()
    tokens = sum(one.tokens for one in window)

    def is_long(piece: Piece) -> bool:
        mean = (tokens - piece.tokens) / others
        return piece.tokens > max(least, settings.lone_times * mean)

    return tuple(one for one in found if one.is_alone or is_long(one))


def parts(window: Window, settings: Settings = SETTINGS) -> tuple[Window, ...]:
    """Return what of a window is to be sent, request by request, without what is not wanted.

    What goes together comes first, in input order; then each piece that goes alone.
    """
    apart = kept_apart(window, settings)
    lone = {id(piece) for piece in apart}
    together = tuple(one for one in window if one.is_wanted and id(one) not in lone)
    return (*([together] if together else []), *((piece,) for piece in apart))


def _is_of_one(first: Piece, second: Piece) -> bool:
    one, other = first.chunk, second.chunk
    if other.is_after_gap:
        return False
    return (one.source, one.document, one.title, first.topic) == (
        *(other.source, other.document, other.title),
        second.topic,
    )


class Cutter:
    """Collects pieces in input order and hands out windows.

    A window holds up to k consecutive pieces of one input, document, topic and title: of one
    stretch. With `is_whole` a stretch is held back until its end, or until there are `LOOK_AHEAD`
    windows of it, and cut into windows of equal size, so that no runt is left. A source of unknown
    length is cut without looking ahead, so that its first rows give the same requests as all of
    them would.
    """

    def __init__(
        self,
        *,
        chunks_per_request: int,
        settings: Settings = SETTINGS,
        is_whole: bool = False,
    ) -> None:
        if chunks_per_request < 1:
            raise ValueError(f"A window needs at least one chunk, not {chunks_per_request}.")
        self._size = self._most = chunks_per_request
        self._tokens_limit = settings.pack_tokens
        self._is_whole = is_whole
        self._stretches: deque[deque[Piece]] = deque()

    def __repr__(self) -> str:
        held = sum(map(len, self._stretches))
        return f"Cutter({self._size} a window, {held} held in {len(self._stretches)} stretches)"

    def add(self, piece: Piece) -> Window | None:
        """Take the next piece; return a window if one is complete, the oldest of them."""
        stretches = self._stretches
        if not stretches or not _is_of_one(stretches[-1][-1], piece):
            stretches.append(deque())
        stretches[-1].append(piece)
        return self._cut() if self._is_complete() else None

    def finish(self) -> Window | None:
        """Return the next window of what is held, None if nothing is; call it until then.

        Without `is_whole` and `limit` there is one at most.
        """
        return self._cut() if self._stretches else None

    def limit(self, chunks_per_request: int) -> None:
        """Make no larger windows from now on; they never grow again."""
        self._most = max(1, min(self._most, chunks_per_request))
        self._size = min(self._size, self._most)

    def resize(self, chunks_per_request: int) -> None:
        """Make windows of this size from now on, or of the largest that `limit` leaves."""
        self._size = max(1, min(self._most, chunks_per_request))

    def _is_complete(self) -> bool:
        """Tell whether nothing that comes can change the next window."""
        first = self._stretches[0]
        if len(self._stretches) > 1 or self._size == 1:
            return True
        if self._is_whole:
            return len(first) >= self._size * LOOK_AHEAD
        return len(first) >= self._size or (
            len(first) > 1 and sum(piece.tokens for piece in first) > self._tokens_limit
        )

    def _cut(self) -> Window:
        """Take the next window off the first stretch."""
        stretch = self._stretches[0]
        most = level(len(stretch), self._size) if self._is_whole else self._size
        window = [stretch.popleft()]
        tokens = window[0].tokens
        while stretch and len(window) < most and tokens + stretch[0].tokens <= self._tokens_limit:
            window.append(stretch.popleft())
            tokens += window[-1].tokens
        if not stretch:
            self._stretches.popleft()
        return tuple(window)
