"""What a play is: a service, a wiretap in front of it, and somebody who talks.

io. `client_plays` and `service_plays` make plays, `table` runs them all. Everything happens on one
event loop with virtual time (`tests/virtual_loop.py`), so that a play says the same every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from analysis.labels.label_set import LabelSet
from analysis.simulator.server import LocalService
from analysis.simulator.service import Service, digest_answerer
from tests.conformance.suites import Message, messages
from tests.conformance.wiretap import Wiretap, read
from tests.virtual_loop import VirtualLoop

Talk: TypeAlias = Callable[[str], Awaitable[None]]
"""Talks to the service at a base URL until all is said."""

LABELS = tuple(LabelSet.load("ten_functions").keys)
LATENCY_MS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One service and one talk.

    Attributes:
        name: For messages of failures.
        talk: Who speaks and what is said.
        options: Of the `Service`.
        keys: Labels that the service gives.
        is_ours: Our client talks, so that what goes to the service is judged, too. Others say
            wrong things on purpose.
    """

    name: str
    talk: Talk
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = LABELS
    is_ours: bool = True


async def perform(play: Play) -> list[Message]:
    """Run a play and return what was said and is to be judged."""
    options = {"latency_ms": LATENCY_MS, **play.options}
    service = Service(digest_answerer(play.keys), **options)
    async with LocalService(service) as local, Wiretap(local.base_url) as tap:
        await play.talk(tap.base_url)
    said = (
        message
        for line in tap.lines
        for exchange in read(line)
        for message in messages(exchange, options.get("dialect", "ga"))
    )
    return [one for one in said if play.is_ours or one.direction == "to client"]


def perform_all(plays: Iterator[Play]) -> Iterator[tuple[Play, list[Message]]]:
    """Run plays one after the other, each on a loop whose clock starts at 0."""
    for play in plays:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            yield play, runner.run(perform(play))
