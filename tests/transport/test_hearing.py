"""What is counted and what is passed on beside the answers."""

from __future__ import annotations

from analysis.errors import TransportError
from analysis.records import RateLimit
from analysis.transport.hearing import Hearing
from analysis.wire.events import (
    Begun,
    Breach,
    ConnectionFault,
    Event,
    Ignored,
    LimitsSeen,
    Violation,
)

LIMITS = (RateLimit(name="tokens", limit=9),)

EVENTS: tuple[Event, ...] = (
    Begun(request_id="r1"),
    LimitsSeen(limits=LIMITS),
    Ignored(type="brand.new"),
    Ignored(type="brand.new"),
    Violation(reason=Breach.LATE_REPLY, detail="rid r1"),
    ConnectionFault(error=TransportError("gone")),
)


def test_listeners_hear_what_is_theirs() -> None:
    """A sign goes out with the id of its request, limits under the name of the route."""
    heard: list[object] = []
    hearing = Hearing("realtime", on_limits=lambda *said: heard.append(said), on_sign=heard.append)
    for event in EVENTS:
        hearing.hear(event)
    assert ["r1", ("realtime", LIMITS, None)] == heard


def test_without_listeners_it_counts() -> None:
    """What nobody needed, and what is against the protocol."""
    hearing = Hearing("realtime")
    for event in EVENTS:
        hearing.hear(event)
    assert {"brand.new": 2} == hearing.ignored
    assert {Breach.LATE_REPLY: 1} == hearing.violations
