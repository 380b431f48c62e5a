"""Which rows of a run are asked: those that lack a label, and of equal texts one.

io through the ledger. The run counts with it what is to be done, hands it to the analyzer as the
`Journal`, and lets it settle the rows that were not asked themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from analysis.pipeline.duplicates import FirstTexts
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.reuse import Reuse
from analysis.records import Chunk, Failed, Request, Settlement

Slices = Callable[[], Iterable[Sequence[Chunk]]]
"""Reads all chunks of the run anew, in input order."""


@dataclass(slots=True)
class Share:
    """How many rows of a run need no request of their own, and why.

    Attributes:
        held: They have a label in the ledger.
        taken_over: Their label was found in another ledger (`--reuse`).
        same_text: Another row with their text is asked, or has a verdict.
        passed_over: They were never asked, and only failed rows are wanted.
        changed: Of all rows, those that were asked before in another form only.
    """

    held: int = 0
    taken_over: int = 0
    same_text: int = 0
    passed_over: int = 0
    changed: int = 0


class Selection:
    """The rows that are asked, as a `Journal`; records go to the ledger as they are."""

    def __init__(self, ledger: Ledger, firsts: FirstTexts, *, retry_failed: bool) -> None:
        """Select from the rows that `firsts` was fed."""
        self._ledger = ledger
        self._firsts = firsts
        self._retry_failed = retry_failed

    # Before anything is sent

    def look_back(self, slices: Slices, reuse: Reuse | None) -> Share:
        """Find out which rows have a verdict, and take over what another ledger holds.

        Must come before everything else, once.
        """
        share = Share()
        has_past = self._ledger.run > 1
        if not has_past and reuse is None:
            return share
        for chunks in slices():
            if has_past:
                share.changed += self._ledger.changed(chunks)
            if reuse is not None:
                share.taken_over += self._take_over(chunks, reuse)
            self._firsts.prefer(chunks, self._ledger.held(chunks))
        return share

    def _take_over(self, chunks: Sequence[Chunk], reuse: Reuse) -> int:
        """Give rows without a label what another ledger holds for their text; return how many."""
        states = zip(chunks, self._ledger.held(chunks), strict=True)
        lacking = [chunk for chunk, state in states if not state]
        found = zip(lacking, reuse.find(lacking), strict=True)
        pairs = [(chunk, label) for chunk, label in found if label is not None]
        return self._ledger.adopt(pairs) if pairs else 0

    def wanted(self, chunks: Sequence[Chunk], share: Share) -> list[bool]:
        """Return for each chunk whether it is to be asked; count the others in `share`."""
        states = self._ledger.held(chunks)
        firsts = self._firsts.first_of(chunks)
        found = []
        for state, first in zip(states, firsts, strict=True):
            is_held = state is True
            is_passed_over = self._retry_failed and state is None
            share.held += is_held
            share.passed_over += is_passed_over
            is_copy = first is not None and not is_held and not is_passed_over
            share.same_text += is_copy
            found.append(not (is_held or is_passed_over or is_copy))
        return found

    # Journal

    async def missing(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Return for each chunk whether it is to be asked now."""
        lacking = await self._ledger.missing(chunks)
        firsts = await asyncio.to_thread(self._firsts.first_of, chunks)
        return [
            is_missing and first is None for is_missing, first in zip(lacking, firsts, strict=True)
        ]

    async def intend(self, request: Request) -> None:
        """As `Ledger.intend`."""
        await self._ledger.intend(request)

    async def settle(self, settlement: Settlement) -> None:
        """As `Ledger.settle`."""
        await self._ledger.settle(settlement)

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """As `Ledger.fail`."""
        await self._ledger.fail(chunk, verdict)

    # Afterwards

    def settle_copies(self, slices: Slices) -> int:
        """Give each row that was not asked the verdict of the row with its text; return how many.

        Raises:
            LedgerError: If the ledger cannot be written.
        """
        settled = 0
        if not self._firsts.copies:
            return settled
        for chunks in slices():
            states = self._ledger.held(chunks)
            firsts = self._firsts.first_of(chunks)
            pairs = [
                (chunk, first)
                for chunk, state, first in zip(chunks, states, firsts, strict=True)
                if first is not None and not state
            ]
            if pairs:
                settled += self._ledger.adopt(pairs)
        return settled
