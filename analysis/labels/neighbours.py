"""Where each row stands in its document and which texts stand around it.

Pure. The readers of tables use it while rows stream by, and the analyzers for lists of chunks; the
prompt shows it, and the key of a row in the ledger covers the texts.

A place is made of consecutive rows of one document, whatever is asked of them: rows that have their
label, rows beyond a limit and rows of another request count, too. So the same document gives the
same places in a second run. Texts of which nothing can be seen have no place and are no context.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Generic, TypeVar

from analysis.records import Chunk, Place, is_blank
from analysis.settings import SETTINGS, Settings

AHEAD_CHARS = 4_000_000
"""A document of more characters counts as long, whatever its rows: bounds memory."""

CUT = "…"
"""Stands for what was cut off a text of the context."""

Row = TypeVar("Row")
About = Callable[[Row], tuple[Hashable | None, str]]
"""Returns the document of a row and its text; without a document it has no place."""


def placed(
    rows: Iterable[Row],
    about: About[Row],
    *,
    distance: int,
    has_totals: bool = True,
    settings: Settings = SETTINGS,
) -> Generator[tuple[Row, Place | None], None, None]:
    """Yield each row with its place, in order; reads ahead no further than it must.

    Args:
        rows: Of any kind.
        about: See `About`.
        distance: So many texts before and after a row are its context, >= 1.
        has_totals: Read up to `document_rows` rows ahead to tell how many a document has. A longer
            one has no total; nor has any with False, and then `distance` texts are read ahead.
        settings: `neighbour_chars` and `document_rows` are used.
    """
    stretch: _Stretch[Row] | None = None
    for row in rows:
        document, text = about(row)
        if stretch is not None and document != stretch.document:
            yield from stretch.end()
            stretch = None
        if document is None:
            yield row, None
            continue
        if stretch is None:
            stretch = _Stretch(document, distance, settings, has_total=has_totals)
        stretch.add(row, text)
        yield from stretch.ready()
    if stretch is not None:
        yield from stretch.end()


def placed_chunks(
    chunks: Iterable[Chunk],
    *,
    distance: int,
    has_totals: bool = True,
    settings: Settings = SETTINGS,
) -> Iterator[Chunk]:
    """Yield chunks with their places; those without a document that follow each other are one."""

    def about(chunk: Chunk) -> tuple[Hashable, str]:
        return (chunk.source, chunk.document), chunk.text

    found = placed(chunks, about, distance=distance, has_totals=has_totals, settings=settings)
    with closing(found):
        for chunk, place in found:
            yield replace(chunk, place=place)


class _Stretch(Generic[Row]):
    """Consecutive rows of one document, as far as they are read and not handed out.

    It is long once more rows or characters were held than may be; then its total stays unknown, and
    a row goes out as soon as its neighbours are there.
    """

    def __init__(
        self, document: Hashable, distance: int, settings: Settings, *, has_total: bool
    ) -> None:
        self.document = document
        self._distance = distance
        self._rows = settings.document_rows
        self._neighbour_chars = settings.neighbour_chars
        self._held: deque[tuple[Row, str]] = deque()
        self._before: deque[str] = deque(maxlen=distance)
        self._number = self._seen = self._chars = 0
        self._is_long = not has_total

    def add(self, row: Row, text: str) -> None:
        """Take the next row."""
        if is_blank(text):
            text = ""
        self._seen += bool(text)
        self._chars += len(text)
        self._held.append((row, text))
        if len(self._held) > self._rows or self._chars > AHEAD_CHARS:
            self._is_long = True

    def ready(self) -> Iterator[tuple[Row, Place | None]]:
        """Yield the rows to which nothing that comes can add; of a document with a total none."""
        while self._is_long and self._held and self._is_ready():
            yield self._next(None)

    def end(self) -> Iterator[tuple[Row, Place | None]]:
        """Yield what is left: the document ends here."""
        total = None if self._is_long else self._number + self._seen
        while self._held:
            yield self._next(total)

    def _is_ready(self) -> bool:
        """Tell whether the first row has all of its neighbours, or must go without some.

        Else a row before very many empty ones, or very long ones, would hold all of them.
        """
        is_seen = bool(self._held[0][1])
        if not is_seen or self._seen - 1 >= self._distance:
            return True
        return len(self._held) > self._rows + self._distance or self._chars > AHEAD_CHARS

    def _next(self, total: int | None) -> tuple[Row, Place | None]:
        row, text = self._held.popleft()
        if not text:
            return row, None
        self._seen -= 1
        self._chars -= len(text)
        self._number += 1
        place = Place(
            number=self._number, total=total, before=tuple(self._before), after=self._after()
        )
        self._before.append(self._end_of(text))
        return row, place

    def _after(self) -> tuple[str, ...]:
        found: list[str] = []
        for _, text in self._held:
            if text:
                found.append(self._start_of(text))
                if len(found) == self._distance:
                    break
        return tuple(found)

    def _start_of(self, text: str) -> str:
        most = self._neighbour_chars
        return text if len(text) <= most else text[:most] + CUT

    def _end_of(self, text: str) -> str:
        most = self._neighbour_chars
        return text if len(text) <= most else CUT + text[-most:]
