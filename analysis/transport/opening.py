"""Opens Realtime sessions: handshake and greeting, tried again within a budget.

io. `transport/websocket.py` calls it. How long to wait is decided in `wire/lifetime.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
)

from analysis.errors import RequestRejected, TransportError
from analysis.records import Ending
from analysis.transport.handshake import dial
from analysis.transport.link import Link
from analysis.wire import dialects
from analysis.wire.events import Event
from analysis.wire.lifetime import OPENING_ENDS, Backoff
from analysis.wire.places import Place
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.session import SessionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningLimits:
    """What an opening may take.

    Attributes:
        timeout_s: For the handshake and for the greeting, each.
        attempts: How often a lost handshake is tried in a row.
        budget_s: No attempt begins later than this after the first.
        silence_s: Of the opened link.
        frame_bytes: Of the opened link.
    """

    timeout_s: float
    attempts: int
    budget_s: float
    silence_s: float
    frame_bytes: int


class Opening:
    """Opens sessions at one place, and remembers what matters for the next opening.

    Args:
        place: Where the service is and how it is shown who asks.
        limits: What an opening may take.
        backoff: Draws the waits.
        may_take_turns: Sessions say when the server cannot do out-of-band responses.
        on_event: Told about the events of every link.
    """

    def __init__(
        self,
        place: Place,
        *,
        limits: OpeningLimits,
        backoff: Backoff,
        may_take_turns: bool,
        on_event: Callable[[Link, Event], None],
    ) -> None:
        self.takes_turns = False
        self.connections = 0
        self._place = place
        self._limits = limits
        self._backoff = backoff
        self._may_take_turns = may_take_turns
        self._on_event = on_event
        self._must_wait = False

    def note_end(self, link: Link, error: TransportError | RequestRejected) -> None:
        """Note how a session ended: the next one is opened at once only after a healthy one.

        A server that greets and closes would otherwise be called without pause.
        """
        is_planned = link.is_dropped or link.is_ending or error.code in OPENING_ENDS
        if is_planned or link.has_answered:
            self._backoff.reset()
        else:
            self._must_wait = True

    async def open(self, settings: SessionSettings) -> Link:
        """Return a link that the server greeted.

        Raises:
            TransportError: If the endpoint cannot be reached now; nothing was sent.
            RequestRejected: If it refused the key or the model, or speaks something else.
        """
        if self._must_wait:
            await asyncio.sleep(self._backoff.next_s())
        loop = asyncio.get_running_loop()
        last_start = loop.time() + self._limits.budget_s

        def is_spent(state: RetryCallState) -> bool:
            is_late = loop.time() + state.upcoming_sleep > last_start
            return is_late or state.attempt_number >= self._limits.attempts

        attempts = AsyncRetrying(
            stop=is_spent,
            retry=retry_if_exception(lambda error: isinstance(error, TransportError)),
            wait=lambda state: self._backoff.next_s(
                state.outcome.exception() if state.outcome else None
            ),
            reraise=True,
        )
        link: Link = await attempts(self._greeted, settings)
        self._must_wait = False
        return link

    async def _greeted(self, settings: SessionSettings) -> Link:
        """Open one socket and wait for its greeting."""
        place, timeout_s = self._place, self._limits.timeout_s
        forced = dialects.wanted(settings.dialect)
        socket = await dial(
            place,
            path="realtime",
            model=settings.model,
            headers=forced.headers if forced and not place.is_key_in_subprotocol else {},
            subprotocols=forced.subprotocols if forced else (),
            timeout_s=timeout_s,
            frame_bytes=self._limits.frame_bytes,
        )
        connection = RealtimeConnection(
            settings.dialect,
            takes_turns=self.takes_turns,
            may_take_turns=self._may_take_turns,
        )
        link = Link(socket, connection, silence_s=self._limits.silence_s, on_event=self._on_event)
        link.start()
        try:
            async with asyncio.timeout(timeout_s):
                await link.greeted
        except TimeoutError as error:
            await link.close()
            raise TransportError(
                f"No greeting from {place.host} within {timeout_s:g} s.",
                ending=Ending.UNSENT,
                code="timeout",
            ) from error
        except (asyncio.CancelledError, TransportError, RequestRejected):
            await link.close()
            raise
        self.connections += 1
        return link
