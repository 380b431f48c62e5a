"""A sample of a run's rows that sends the same requests as the whole run would.

io: reads the tables once. A row's label depends on the rows in its request, so whole requests are
drawn, not rows. A block here is what `control.packing` cuts as a window: consecutive rows of one
document, topic and title, up to the chunks per request, fewer where their tokens demand it. Rows
that cannot be sent belong to the block before them. What one seed draws for a small sample is part
of what it draws for a larger one, so a sample that grows pays for the new rows only.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.errors import ConfigurationError
from analysis.labels.tokens import estimate
from analysis.pipeline.tables import Span, Table
from analysis.records import Chunk, is_blank
from analysis.settings import SETTINGS, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which rows are to be drawn.

    Attributes:
        size: Rows in all, over all tables.
        seed: Another seed draws other blocks.
        block: Chunks per request of the run.
    """

    size: int
    seed: int
    block: int

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("block", self.block)):
            if value < 1:
                raise ConfigurationError(f"A sample with {name} {value} is empty. Pass 1 or more.")


@dataclass(frozen=True, slots=True, order=True)
class _Block:
    """Consecutive rows; ordered by chance, the last of the order first, as a heap needs it."""

    minus_chance: float
    table: int
    first: int
    last: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.last - self.first + 1


def draw(
    tables: Sequence[Table], sample: Sample, settings: Settings = SETTINGS
) -> tuple[Table, ...]:
    """Return the tables with the drawn rows only, in the order of the input.

    The rows keep their numbers. All rows are drawn where there are no more than asked for; else
    exactly so many, the last block being cut. Memory grows with the blocks that are drawn only.

    Args:
        tables: The tables of a run, without limit.
        sample: What to draw.
        settings: Knobs of packing, the same as those of the run.

    Raises:
        InputError: If a row cannot be read.
    """
    chance = random.Random(sample.seed)
    held: list[_Block] = []
    drawn = total = 0
    for index, table in enumerate(tables):
        for first, last in _blocks(table, sample.block, settings):
            block = _Block(-chance.random(), index, first, last)
            heapq.heappush(held, block)
            drawn += block.rows
            total += block.rows
            while drawn - held[0].rows >= sample.size:
                drawn -= heapq.heappop(held).rows
    if drawn > sample.size:
        cut = held[0]
        heapq.heapreplace(held, replace(cut, last=cut.last - (drawn - sample.size)))
        drawn = sample.size
    note = f"sample: {drawn} of {total} rows in whole requests, seed {sample.seed}"
    return tuple(
        replace(
            table,
            spans=tuple(sorted((one.first, one.last) for one in held if one.table == index)),
            notes=(*table.notes, note),
        )
        for index, table in enumerate(tables)
    )


def _blocks(table: Table, size: int, settings: Settings) -> Iterator[Span]:
    """Yield the first and last row of each block; together they are all rows."""
    windows = _Windows(size, settings)
    first = last = 0
    is_started = False
    for rows in table.slices():
        for row in rows:
            if windows.begins(row.chunk):
                if is_started:
                    yield first, last
                    first = row.number
                is_started = True
            first = first or row.number
            last = row.number
    if last:
        yield first, last


class _Windows:
    """Tells where windows begin, by the rule of `control.packing.Cutter` with a given size."""

    def __init__(self, size: int, settings: Settings) -> None:
        self._size = size
        self._settings = settings
        self._stretch: tuple[str | None, ...] | None = None
        self._count = 0
        self._tokens = 0

    def begins(self, chunk: Chunk) -> bool:
        """Take the next chunk; tell whether a window begins with it."""
        tokens = 0 if is_blank(chunk.text) else estimate(chunk.text)
        if not 0 < tokens <= self._settings.chunk_tokens:
            return False
        stretch = (chunk.document, chunk.topic, chunk.title)
        if (
            stretch == self._stretch
            and self._count < self._size
            and self._tokens + tokens <= self._settings.pack_tokens
        ):
            self._count += 1
            self._tokens += tokens
            return False
        self._stretch, self._count, self._tokens = stretch, 1, tokens
        return True
