"""Packs and parcels that the tests of this folder share."""

from __future__ import annotations

from analysis.control.calls import Call
from analysis.control.parcels import Flight, Parcel
from analysis.records import Chunk, Item, Pack

TOKENS = 10
"""Estimated tokens of every chunk."""


def pack_of(*names: str) -> Pack:
    """Return a pack of chunks with these ids; the ticket of a chunk is the number of its letter."""
    items = tuple(
        Item(ticket=ord(name) - ord("a"), chunk=Chunk(id=name, text=name), tokens=TOKENS)
        for name in names
    )
    return Pack(items=items)


def parcel_of(names: str, *, order: tuple[int, ...] = (0,), since: float = 0.0) -> Parcel:
    """Return a fresh parcel of chunks with these ids."""
    return Parcel(pack=pack_of(*names), order=order, since=since)


def ids_of(pack: Pack) -> str:
    """Return the ids of the chunks of a pack as one word."""
    return "".join(item.chunk.id for item in pack.items)


def flight_of(parcel: Parcel, *, pack: Pack | None = None, route_index: int = 0) -> Flight:
    """Return a request on its way with a parcel, or with a larger pack as it was sent."""
    call = Call(sent_at=0.0, tokens=0, requests_drawn=1.0, tokens_drawn=0.0)
    return Flight(
        request_id="q",
        parcel=parcel,
        pack=pack or parcel.pack,
        route_index=route_index,
        cost_tokens=0,
        is_probe=False,
        call=call,
        sent_at=0.0,
    )
