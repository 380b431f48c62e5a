"""The ways in which the chunks of a sample are asked: their order, and how many in one request.

Pure. `commands.evaluate_audit` and `proof` make arms, `asking` asks them.

Windows of an arm follow from its chunks by the rule of every run (`control.packing`): consecutive
chunks of one document, topic and title. An order of its own is made inside of windows only, so that
each request of the arm holds the same chunks as before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from analysis.control.packing import Cutter, Piece, obstacle
from analysis.labels.tokens import estimate
from analysis.records import Chunk
from analysis.settings import SETTINGS, Settings

AGAIN, ALONE, SHUFFLED, RELISTED = "again", "alone", "shuffled", "relisted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of asking.

    Attributes:
        name: Unique within an audit or a proof.
        chunks: In the order in which they are packed; ids are unique.
        chunks_per_request: Largest pack.
    """

    name: str
    chunks: tuple[Chunk, ...]
    chunks_per_request: int


def audit_arms(
    chunks: Sequence[Chunk], *, chunks_per_request: int, seed: int, settings: Settings = SETTINGS
) -> tuple[Arm, ...]:
    """Return the arms of an audit: the same packs again, each chunk alone, packs in another order.

    Where the run sent chunks alone, the first one is all there is.

    Args:
        chunks: Of the sample, in input order.
        chunks_per_request: Of the run.
        seed: Of the other order.
        settings: Knobs of packing.
    """
    again = Arm(name=AGAIN, chunks=tuple(chunks), chunks_per_request=chunks_per_request)
    if chunks_per_request == 1:
        return (again,)
    alone = replace(again, name=ALONE, chunks_per_request=1)
    order = shuffled(chunks, chunks_per_request, random.Random(seed), settings)
    return again, alone, replace(again, name=SHUFFLED, chunks=order)


def shuffled(
    chunks: Sequence[Chunk], chunks_per_request: int, rng: random.Random, settings: Settings
) -> tuple[Chunk, ...]:
    """Return the chunks in another order within each window; windows stay what they are."""
    found: list[Chunk] = []
    for window in windows(chunks, chunks_per_request, settings):
        order = rng.sample(window, len(window))
        if order == list(window):
            order = order[1:] + order[:1]
        for slot, chunk in enumerate(order):
            # What stands around a request is told by its ends, so the slots keep their places.
            found.append(replace(chunk, place=window[slot].place, is_after_gap=slot == 0))
    return tuple(found)


def windows(
    chunks: Sequence[Chunk], chunks_per_request: int, settings: Settings = SETTINGS
) -> Iterator[tuple[Chunk, ...]]:
    """Yield the windows that a run cuts; chunks that cannot be sent are left out."""
    cutter = Cutter(chunks_per_request=chunks_per_request, settings=settings)
    for chunk in chunks:
        tokens = estimate(chunk.text)
        if obstacle(chunk.text, tokens, settings) is not None:
            continue
        window = cutter.add(Piece(chunk=chunk, tokens=tokens, topic=chunk.topic))
        if window is not None:
            yield tuple(piece.chunk for piece in window)
    while (window := cutter.finish()) is not None:
        yield tuple(piece.chunk for piece in window)


def are_same(one: Arm, two: Arm, settings: Settings = SETTINGS) -> bool:
    """Tell whether two arms ask the same requests, as of few texts or short documents."""
    cut = (windows(arm.chunks, arm.chunks_per_request, settings) for arm in (one, two))
    return all(first == second for first, second in zip_longest(*cut))


def shared_requests(*arms: Arm, settings: Settings = SETTINGS) -> dict[str, str]:
    """Return chunk id -> first chunk of those with which it shares a request in some arm.

    Sharing passes on: where a chunk stands with one in this arm and with another in that one, all
    three belong together. Chunks that cannot be sent are missing.
    """
    above: dict[str, str] = {}

    def first(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for arm in arms:
        for window in windows(arm.chunks, arm.chunks_per_request, settings):
            for chunk in window:
                above.setdefault(chunk.id, chunk.id)
                above[first(chunk.id)] = first(window[0].id)
    return {name: first(name) for name in above}
