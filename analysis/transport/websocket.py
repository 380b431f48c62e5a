"""The realtime route: one persistent WebSocket, on the websockets package.

io. dispatch and the realtime analyzer call it. What frames mean is decided in `wire/realtime.py`;
this module connects, moves frames, and wakes whoever waits for an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import websockets
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from websockets.asyncio.client import ClientConnection

from analysis.errors import (
    AccountClosed,
    ConfigurationError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener
from analysis.transport.handshake import dial
from analysis.wire import dialects
from analysis.wire.events import (
    Answered,
    Breach,
    ConnectionFault,
    Event,
    Ignored,
    LimitsSeen,
    RequestEnded,
    SessionConfigured,
    SessionGreeted,
    SessionRefused,
    Violation,
)
from analysis.wire.places import Place
from analysis.wire.realtime import RealtimeConnection, SessionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What the server said about its session.

    Attributes:
        model: As the server names it.
        settings: The ones in effect, spelled as in the dialect.
        dialect: `ga` or `beta`.
    """

    model: str
    settings: Mapping[str, Any]
    dialect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeCounters:
    """What happened beside the answers, since the transport was made.

    Attributes:
        ignored: Name of an event that nobody needed -> how often it came.
        violations: What the peer did against the protocol -> how often.
        late_replies: Replies to requests that had ended already; also under `violations`.
        connections: Sessions that the server greeted.
        reconnects: Sessions after the first.
    """

    ignored: Mapping[str, int]
    violations: Mapping[str, int]
    late_replies: int
    connections: int
    reconnects: int


class _Link:
    """One socket with its state machine, its reader task and those who wait for it."""

    def __init__(self, socket: ClientConnection, dialect: str) -> None:
        loop = asyncio.get_running_loop()
        self.socket = socket
        self.connection = RealtimeConnection(dialect)
        self.greeted: asyncio.Future[SessionFacts] = loop.create_future()
        self.configured: asyncio.Future[SessionFacts] = loop.create_future()
        self.replies: dict[str, asyncio.Future[TextReply]] = {}
        self.reader: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return not self.connection.is_closed


class RealtimeTransport:
    """Answers requests as out-of-band responses of one Realtime session.

    Args:
        place: Where the service is and how it is shown who asks.
        settings: The session and its dialect; `configure` and `update` change it.
        on_limits: Told about each statement of rate limits.
        connect_timeout_s: For the handshake, for the greeting, and for the settings, each.
        connect_attempts: How often a lost handshake is tried in a row.
        backoff_base_s: A wait between them is drawn from 0 to base * 2^n ...
        backoff_cap_s: ... and never longer than this.
        rng: Draws the waits.
    """

    route = "realtime"

    def __init__(
        self,
        *,
        place: Place,
        settings: SessionSettings,
        rng: random.Random,
        on_limits: LimitsListener | None = None,
        connect_timeout_s: float = SETTINGS.connect_timeout_s,
        connect_attempts: int = SETTINGS.connect_attempts,
        backoff_base_s: float = SETTINGS.backoff_base_s,
        backoff_cap_s: float = SETTINGS.backoff_cap_s,
    ) -> None:
        self._place = place
        self._settings = settings
        self._rng = rng
        self._on_limits = on_limits
        self._connect_timeout_s = connect_timeout_s
        self._connect_attempts = connect_attempts
        self._backoff_base_s = backoff_base_s
        self._backoff_cap_s = backoff_cap_s
        self._lock = asyncio.Lock()
        self._link: _Link | None = None
        self._failed_openings = 0
        self._last_failure: TransportError | RequestRejected | None = None
        self._facts: SessionFacts | None = None
        self._ignored: Counter[str] = Counter()
        self._violations: Counter[str] = Counter()
        self._connections = 0

    @property
    def facts(self) -> SessionFacts | None:
        """The latest session as the server described it; None before the first greeting."""
        return self._facts

    @property
    def counters(self) -> RealtimeCounters:
        """A snapshot of what happened beside the answers."""
        return RealtimeCounters(
            ignored=dict(self._ignored),
            violations=dict(self._violations),
            late_replies=self._violations[Breach.LATE_REPLY],
            connections=self._connections,
            reconnects=max(0, self._connections - 1),
        )

    async def connect(self) -> None:
        """Open the socket and wait for the server's greeting, if that is not done yet.

        Raises:
            TransportError: If the endpoint cannot be reached now; nothing was sent.
            AccountClosed: If the endpoint refused the key.
            RouteClosed: If it refused the model or does not speak the protocol.
        """
        async with self._lock:
            await self._connected(self._settings)

    async def configure(self, settings: SessionSettings) -> None:
        """Send the settings and wait for the server's own confirmation; connects if needed.

        After a refusal the server keeps its settings of before, and so does this transport.

        Raises:
            ConfigurationError: If the settings want another model or dialect than the session has.
            TransportError: If the socket was lost or no confirmation came in time.
            RequestRejected: If the server refused the settings; with the server's words.
        """
        async with self._lock:
            self._check_change(settings)
            await self._configured(await self._connected(settings), settings)

    async def update(self, settings: SessionSettings) -> SessionFacts:
        """Change the settings of the session while requests are in flight.

        Those requests end under the settings with which they were asked; later ones wait for the
        server's confirmation. After a refusal the session goes on with the settings of before, and
        a reconnect sends those, too. Opens the session first if it is not open.

        Returns:
            The session as it is in effect now.

        Raises:
            ConfigurationError: If the settings want another model or dialect than the session has.
            TransportError: If the socket was lost or no confirmation came in time.
            RequestRejected: If the server refused the settings; with the server's words.
        """
        async with self._lock:
            self._check_change(settings)
            link = await self._opened()
            self._check_change(settings)
            try:
                return await self._configured(link, settings)
            except RequestRejected:
                # A server that took other settings than ours has lost those of before.
                if link.is_alive and not link.connection.is_ready:
                    await self._configured(link, self._settings)
                raise

    async def open(self) -> None:
        """Connect and configure, if that is not done yet.

        Raises:
            TransportError: If the endpoint cannot be reached now; nothing was sent.
            AccountClosed: If the endpoint refused the key.
            RouteClosed: If it refused the model or the settings, or speaks something else.
        """
        await self._ready()

    async def ask(self, request: Request) -> TextReply:
        """Send one request and return its reply; opens the session again if it was lost."""
        link = await self._ready()
        rid = request.request_id
        frame = link.connection.ask(request)
        reply: asyncio.Future[TextReply] = asyncio.get_running_loop().create_future()
        link.replies[rid] = reply
        try:
            # A socket that dies under the write ends the reply by way of the reader.
            with contextlib.suppress(websockets.ConnectionClosed):
                await link.socket.send(frame)
            return await reply
        finally:
            del link.replies[rid]
            link.connection.forget(rid)

    async def close(self) -> None:
        """End the connection; requests that wait end as unknown. May be called again."""
        async with self._lock:
            link, self._link = self._link, None
            if link is not None:
                await self._drop(link)

    async def _ready(self) -> _Link:
        """Return a link whose session is configured; callers at the same time share one.

        Those who waited while another caller's opening failed share its failure, too: with
        attempts of their own, one after the other, a dead endpoint would hold them for minutes.
        """
        link = self._link
        if link is not None and link.connection.is_ready:
            return link
        failed_before = self._failed_openings
        async with self._lock:
            if self._last_failure is not None and self._failed_openings != failed_before:
                raise self._last_failure
            try:
                return await self._opened()
            except (TransportError, RequestRejected) as error:
                self._failed_openings += 1
                self._last_failure = error
                raise

    def _check_change(self, settings: SessionSettings) -> None:
        """Refuse settings that only another session could have."""
        if settings.model != self._settings.model:
            raise ConfigurationError(
                f"A session of {self._settings.model} cannot change to {settings.model}. Open "
                "another one for another model."
            )
        link = self._link
        if link is None or not link.is_alive or settings.dialect == dialects.AUTO:
            return
        if settings.dialect != link.connection.dialect:
            raise ConfigurationError(
                f"The session is open in the dialect {link.connection.dialect!r} and cannot change "
                f"to {settings.dialect!r}. Close it first, or use dialect {dialects.AUTO!r}."
            )

    async def _opened(self) -> _Link:
        """Connect and configure as far as that is needed. The caller holds the lock."""
        link = await self._connected(self._settings)
        if not link.connection.is_ready:
            try:
                await self._configured(link, self._settings)
            except RequestRejected as error:
                if isinstance(error, AccountClosed | RouteClosed):
                    raise
                raise RouteClosed(str(error), code=error.code) from error
        return link

    async def _connected(self, settings: SessionSettings) -> _Link:
        """Return a link that the server greeted. The caller holds the lock."""
        if self._link is not None and self._link.is_alive:
            return self._link
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._connect_attempts),
            retry=retry_if_exception(lambda error: isinstance(error, TransportError)),
            wait=self._wait_s,
            reraise=True,
        )
        link: _Link = await attempts(self._greeted, settings)
        self._link = link
        return link

    def _wait_s(self, state: RetryCallState) -> float:
        """Return the wait before the next attempt: the service's own wish, else full jitter."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransportError) and error.retry_after_s is not None:
            return min(error.retry_after_s, self._backoff_cap_s)
        reach: float = self._backoff_base_s * 2.0 ** (state.attempt_number - 1)
        return self._rng.uniform(0.0, min(self._backoff_cap_s, reach))

    async def _greeted(self, settings: SessionSettings) -> _Link:
        """Open one socket and wait for its greeting."""
        forced = dialects.wanted(settings.dialect)
        socket = await dial(
            self._place,
            path="realtime",
            model=settings.model,
            headers=forced.headers if forced else {},
            timeout_s=self._connect_timeout_s,
        )
        link = _Link(socket, settings.dialect)
        link.reader = asyncio.create_task(self._read(link))
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                self._facts = await link.greeted
        except TimeoutError as error:
            await self._drop(link)
            raise TransportError(
                f"No greeting from {self._host} within {self._connect_timeout_s:g} s.",
                ending=Ending.UNSENT,
                code="timeout",
            ) from error
        except (asyncio.CancelledError, TransportError, RequestRejected):
            await self._drop(link)
            raise
        self._connections += 1
        return link

    async def _configured(self, link: _Link, settings: SessionSettings) -> SessionFacts:
        """Send the settings and wait until they are in effect. The caller holds the lock."""
        link.configured = asyncio.get_running_loop().create_future()
        frame = link.connection.configure(settings)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                with contextlib.suppress(websockets.ConnectionClosed):
                    await link.socket.send(frame)
                facts = await link.configured
        except TimeoutError as error:
            await self._drop(link)
            raise TransportError(
                f"{self._host} did not confirm the session within {self._connect_timeout_s:g} s.",
                ending=Ending.UNSENT,
                code="timeout",
            ) from error
        except asyncio.CancelledError:
            # Whether the server takes the update is unknown now, so this session is of no use.
            await self._drop(link)
            raise
        self._settings, self._facts = settings, facts
        return facts

    async def _drop(self, link: _Link) -> None:
        """Close a socket and wait until its reader has ended everything."""
        await link.socket.close()
        if link.reader is not None:
            await asyncio.wait([link.reader])

    async def _read(self, link: _Link) -> None:
        """Feed frames to the state machine until the socket closes, then end all that waits."""
        code, reason = 1006, "the reader ended"
        try:
            while link.is_alive:
                frame = await link.socket.recv(decode=False)
                for event in link.connection.receive(frame):
                    self._act(link, event)
        except websockets.ConnectionClosed as closed:
            last = closed.rcvd or closed.sent
            code, reason = (last.code, last.reason) if last else (1006, "")
        finally:
            for event in link.connection.closed(code, reason):
                self._act(link, event)
        await link.socket.close()

    def _act(self, link: _Link, event: Event) -> None:
        """Do what an event says; nothing is decided here."""
        match event:
            case Answered():
                _resolve(link.replies.get(event.request_id), event.reply)
            case RequestEnded():
                _fail(link.replies.get(event.request_id), event.error)
            case LimitsSeen():
                if self._on_limits is not None:
                    self._on_limits(self.route, event.limits)
            case SessionGreeted():
                _resolve(link.greeted, _facts(event))
            case SessionConfigured():
                _resolve(link.configured, _facts(event))
            case SessionRefused():
                text = f"The server refused the session settings ({event.code}): {event.message}"
                _fail(link.configured, RequestRejected(text, code=event.code))
            case ConnectionFault():
                _fail(link.greeted, event.error)
                _fail(link.configured, event.error)
            case Violation():
                self._violations[event.reason] += 1
            case Ignored():
                self._ignored[event.type] += 1

    @property
    def _host(self) -> str:
        return self._place.host


def _facts(event: SessionGreeted | SessionConfigured) -> SessionFacts:
    return SessionFacts(model=event.model, settings=event.settings, dialect=event.dialect)


def _resolve(waiter: asyncio.Future[Any] | None, value: Any) -> None:
    """Wake a waiter, unless it was cancelled in this very turn of the loop."""
    if waiter is not None and not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Any] | None, error: BaseException) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
        waiter.exception()  # Marks it as seen: nobody may be waiting at this moment.
