"""The realtime route: one persistent WebSocket, on the websockets package.

io. dispatch and the realtime analyzer call it. It opens sessions, replaces them before they grow
too old, and gives requests to the one that is open; `transport/link.py` moves the frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.errors import (
    AccountClosed,
    ConfigurationError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener, SignListener
from analysis.transport.handshake import FRAME_BYTES
from analysis.transport.hearing import Hearing
from analysis.transport.link import SILENT, Link, SessionFacts
from analysis.transport.opening import Opening, OpeningLimits
from analysis.wire import dialects
from analysis.wire.events import (
    Breach,
    ConnectionFault,
    Event,
    ItemConfirmed,
    OutOfBandIgnored,
    SessionEnding,
)
from analysis.wire.lifetime import Backoff, rotate_after_s
from analysis.wire.places import Place
from analysis.wire.session import ContextItem, SessionSettings

__all__ = ["RealtimeCounters", "RealtimeTransport", "SessionFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeCounters:
    """What happened beside the answers, since the transport was made.

    Attributes:
        ignored: Name of an event that nobody needed -> how often it came.
        violations: What the peer did against the protocol -> how often.
        late_replies: Replies to requests that had ended already; also under `violations`.
        connections: Sessions that the server greeted.
        reconnects: Sessions after the first.
        rotations: Sessions that were replaced before they grew too old.
        silences: Sockets that were given up because nothing came, not even a pong.
    """

    ignored: Mapping[str, int]
    violations: Mapping[str, int]
    late_replies: int
    connections: int
    reconnects: int
    rotations: int
    silences: int


class RealtimeTransport:
    """Answers requests as out-of-band responses of one Realtime session.

    A server that cannot do those is asked one request at a time through its conversation.

    Args:
        place: Where the service is and how it is shown who asks.
        settings: The session and its dialect; `configure` and `update` change it.
        rng: Draws the waits, and when a session is replaced.
        on_limits: Told about each statement of rate limits.
        on_sign: Told when the answer to a request begins.
        on_notice: Told once about what was found out about the server.
        connect_timeout_s: For the handshake, for the greeting, and for the settings, each.
        connect_attempts: How often a lost handshake is tried in a row.
        connect_budget_s: No attempt begins later than this after the first.
        backoff_base_s: Shortest wait between them; each is drawn up to three times the last ...
        backoff_cap_s: ... and never longer than this.
        session_age_s: A session is replaced at 50/60 to 55/60 of this, or of its own shorter age.
        silence_s: A socket is given up when so long nothing came while somebody waits.
        frame_bytes: Largest frame that is taken; `wire.session.frame_bytes` has the formula.
        cancels_abandoned: The server is told to stop when a caller gives up.
        may_take_turns: A server that cannot do out-of-band responses is asked in turns; else the
            route closes.
    """

    route = "realtime"

    def __init__(
        self,
        *,
        place: Place,
        settings: SessionSettings,
        rng: random.Random,
        on_limits: LimitsListener | None = None,
        on_sign: SignListener | None = None,
        on_notice: Callable[[str], None] | None = None,
        connect_timeout_s: float = SETTINGS.connect_timeout_s,
        connect_attempts: int = SETTINGS.connect_attempts,
        connect_budget_s: float = SETTINGS.connect_budget_s,
        backoff_base_s: float = SETTINGS.backoff_base_s,
        backoff_cap_s: float = SETTINGS.backoff_cap_s,
        session_age_s: float = SETTINGS.session_age_s,
        silence_s: float = SETTINGS.silence_s,
        frame_bytes: int = FRAME_BYTES,
        cancels_abandoned: bool = True,
        may_take_turns: bool = True,
    ) -> None:
        self._place = place
        self._settings = settings
        self._rng = rng
        self._hearing = Hearing(self.route, on_limits=on_limits, on_sign=on_sign)
        self._on_notice = on_notice
        self._connect_timeout_s = connect_timeout_s
        self._opening = Opening(
            place,
            limits=OpeningLimits(
                timeout_s=connect_timeout_s,
                attempts=connect_attempts,
                budget_s=connect_budget_s,
                silence_s=silence_s,
                frame_bytes=frame_bytes,
            ),
            backoff=Backoff(base_s=backoff_base_s, cap_s=backoff_cap_s, rng=rng),
            may_take_turns=may_take_turns,
            on_event=self._hear,
        )
        self._session_age_s = session_age_s
        self._cancels_abandoned = cancels_abandoned
        self._lock = asyncio.Lock()
        self._link: Link | None = None
        self._draining: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rotation: asyncio.TimerHandle | None = None
        self._failed_openings = 0
        self._last_failure: TransportError | RequestRejected | None = None
        self._facts: SessionFacts | None = None
        self._rotations = self._silences = self._operations = 0

    @property
    def facts(self) -> SessionFacts | None:
        """The latest session as the server described it; None before the first greeting."""
        return self._facts

    @property
    def counters(self) -> RealtimeCounters:
        """A snapshot of what happened beside the answers."""
        return RealtimeCounters(
            ignored=dict(self._hearing.ignored),
            violations=dict(self._hearing.violations),
            late_replies=self._hearing.violations[Breach.LATE_REPLY],
            connections=self._opening.connections,
            reconnects=max(0, self._opening.connections - 1),
            rotations=self._rotations,
            silences=self._silences,
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
        return await link.ask(request, cancels=self._cancels_abandoned)

    async def create_item(self, item: ContextItem, *, previous_item_id: str | None = None) -> str:
        """Put an item into the session's conversation; opens the session if needed.

        Args:
            item: What it says.
            previous_item_id: The item in front of it, `root` for the first place, None for the
                last one.

        Returns:
            The id of the item, good until the session ends.

        Raises:
            TransportError: If the socket was lost or no confirmation came in time.
            RequestRejected: If the server refused the item.
        """
        link = await self._ready()
        event_id = self._operation()
        frame = link.connection.create_item(event_id, item, previous_item_id=previous_item_id)
        return (await self._operated(link, event_id, frame)).item_id

    async def delete_item(self, item_id: str) -> None:
        """Take an item out of the session's conversation. Raises as `create_item`."""
        link = await self._ready()
        event_id = self._operation()
        await self._operated(link, event_id, link.connection.delete_item(event_id, item_id))

    async def retrieve_item(self, item_id: str) -> Mapping[str, Any]:
        """Return an item of the session's conversation. Raises as `create_item`."""
        link = await self._ready()
        event_id = self._operation()
        frame = link.connection.retrieve_item(event_id, item_id)
        return (await self._operated(link, event_id, frame)).item

    async def close(self) -> None:
        """End the connection; requests that wait end as unknown. May be called again."""
        for task in self._tasks:
            task.cancel()
        async with self._lock:
            if self._rotation is not None:
                self._rotation.cancel()
            links, self._link = {*self._draining, self._link}, None
            await asyncio.gather(*(link.close() for link in links if link is not None))
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ready(self) -> Link:
        """Return a link whose session is configured; callers at the same time share one.

        Those who waited while another caller's opening failed share its failure, too: with
        attempts of their own, one after the other, a dead endpoint would hold them for minutes.
        """
        link = self._link
        if link is not None and link.is_ready:
            return link
        failed_before = self._failed_openings
        async with self._lock:
            if self._last_failure is not None and self._failed_openings != failed_before:
                raise self._last_failure.with_traceback(None)
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

    async def _opened(self) -> Link:
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

    async def _connected(self, settings: SessionSettings) -> Link:
        """Return a link that the server greeted. The caller holds the lock."""
        old = self._link
        if old is not None and old.takes_requests:
            return old
        self._link = link = await self._opening.open(settings)
        self._facts = link.greeted.result()
        self._rotate_later(link)
        if old is not None and old.is_alive:
            self._draining.add(old)  # at once: the task may be cancelled before it begins
            self._start(self._drained(old))
        return link

    async def _configured(self, link: Link, settings: SessionSettings) -> SessionFacts:
        """Send the settings and wait until they are in effect. The caller holds the lock."""
        frame = link.connection.configure(settings)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                facts = await link.configure(frame)
        except TimeoutError as error:
            await link.close()
            raise TransportError(
                f"{self._host} did not confirm the session within {self._connect_timeout_s:g} s.",
                ending=Ending.UNSENT,
                code="timeout",
            ) from error
        except asyncio.CancelledError:
            # Whether the server takes the update is unknown now, so this session is of no use.
            await link.close()
            raise
        self._settings, self._facts = settings, facts
        return facts

    def _operation(self) -> str:
        self._operations += 1
        return f"operation-{self._operations}"

    async def _operated(self, link: Link, event_id: str, frame: str) -> ItemConfirmed:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await link.operate(event_id, frame)
        except TimeoutError as error:
            raise TransportError(
                f"{self._host} did not confirm an item within {self._connect_timeout_s:g} s.",
                code="timeout",
            ) from error

    # Replacing sessions

    def _rotate_later(self, link: Link) -> None:
        """Set the timer by which a fresh session will be replaced."""
        stated = link.greeted.result().settings.get("expires_at")
        wait_s = rotate_after_s(
            age_s=self._session_age_s,
            expires_at=stated if isinstance(stated, int | float) else None,
            wall_now=time.time(),
            rng=self._rng,
        )
        loop = asyncio.get_running_loop()
        if self._rotation is not None:
            self._rotation.cancel()
        self._rotation = loop.call_later(wait_s, lambda: self._start(self._rotated(link)))

    async def _rotated(self, old: Link) -> None:
        """Open and configure a new session, give it all new requests, and let the old one drain.

        If there is no new session to be had, the old one goes on to its end.
        """
        async with self._lock:
            if self._link is not old or not old.is_alive:
                return
            with contextlib.suppress(TransportError, RequestRejected):
                new = await self._opening.open(self._settings)
                try:
                    await self._configured(new, self._settings)
                except RequestRejected:
                    await new.close()
                    raise
                self._link = new
                self._rotations += 1
                self._rotate_later(new)
        if self._link is not old:
            await self._drained(old)

    async def _drained(self, link: Link) -> None:
        """Close a session when its last request has ended."""
        self._draining.add(link)
        await link.until_idle()
        await link.close()
        self._draining.discard(link)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; `close` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Events

    def _hear(self, link: Link, event: Event) -> None:
        """Count, tell and remember what an event says beside the answers."""
        match event:
            case SessionEnding():
                self._start(self._rotated(link))
            case OutOfBandIgnored():
                self._take_turns()
            case ConnectionFault():
                self._silences += event.error.code == SILENT
                self._opening.note_end(link, event.error)
            case _:
                self._hearing.hear(event)

    def _take_turns(self) -> None:
        self._opening.takes_turns = True
        if self._on_notice is not None:
            self._on_notice(
                f"{self._host} answers in its one conversation only, not out of band. Requests of "
                f"the route {self.route} take turns there from now on, and what each leaves in "
                "the conversation is deleted before the next."
            )

    @property
    def _host(self) -> str:
        return self._place.host
