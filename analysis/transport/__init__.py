"""The Transport protocol: how dispatch hands a request to a route and gets the reply.

io. One implementation per route beside this file; dispatch calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from analysis.records import RateLimit, Reply, Request

LimitsListener: TypeAlias = Callable[[str, tuple[RateLimit, ...], str | None], None]
"""Called with (route, limits, request id) whenever a service says something about its rate limits;
the id is None where it is not known which request the statement belongs to."""

SignListener: TypeAlias = Callable[[str], None]
"""Called with a request id when the service has begun to answer it. Only WebSockets show that; an
id may be unknown to the listener, such as that of a warm-up."""


class Transport(Protocol):
    """A route's way to the service. Several `ask` calls may run at once."""

    route: str
    """Name of the route, such as `realtime`."""

    async def open(self) -> None:
        """Connect and configure, if that is not done yet.

        Raises:
            TransportError: If the endpoint cannot be reached now.
            RequestRejected: If the endpoint refused the key, the model or the session settings.
        """
        ...

    async def ask(self, request: Request) -> Reply:
        """Send one request and return its reply; opens the route again if it was lost.

        Cancelling the call forgets the request; a reply that still comes is counted and dropped.

        Raises:
            TransportError: If no reply came; `ending` says whether it may have been paid.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the reply holds no answer.
        """
        ...

    async def close(self) -> None:
        """End the connection; may be called more than once."""
        ...
