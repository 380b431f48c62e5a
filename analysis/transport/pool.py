"""The route responses-ws: as many WebSockets of the Responses API as its requests need.

io. dispatch calls it. `transport/lanes.py` speaks on one socket; this module opens sockets, gives
each request to the one with the most free lanes, and lets sockets go.

A socket takes 16 requests, so n of them in flight need n/16 sockets, or n where the server has no
lanes. Callers that find no room share the openings under way, and their failure. A socket is
rotated before the service ends it: its successor is opened first, then it gets no more work, and
it closes when its last request has ended. A service that ends sockets sooner than expected is
believed: the others are rotated before that age. A socket that is lost fails its own requests only,
at most 16, and is replaced at once if it had ever answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from analysis.errors import AnalysisError, RouteClosed, TransportError
from analysis.records import Ending, Request, TextReply, Usage
from analysis.settings import SETTINGS, Settings
from analysis.transport import LimitsListener, SignListener
from analysis.transport.connects import ConnectBudget
from analysis.transport.handshake import FRAME_BYTES, dial
from analysis.transport.hearing import Hearing
from analysis.transport.lanes import LanesCounters, LanesFacts, LaneSocket
from analysis.wire import forms
from analysis.wire.events import Breach
from analysis.wire.forms import Form
from analysis.wire.lane_frames import AskAgain
from analysis.wire.lanes import LANES, LanesConnection
from analysis.wire.places import Place

ROTATION_SHARES = (50 / 60, 55 / 60)
"""Shares of the largest age of a socket between which it is rotated; drawn for each one, so that
they do not go together."""

SPARE_AFTER_S = 30.0
"""Seconds of use after which one socket more than needed is kept, so that the loss of one leaves
room for all. Source: pacing notes, section 6."""

MOST_FORMS = 9
"""A request is asked again while the server refuses a field of it; there are fewer fields."""


class LanesTransport:
    """Answers requests in the lanes of its sockets.

    Args:
        place: Where the service is and how it is shown who asks.
        rng: Draws waits and rotation ages.
        on_limits: Told about each statement of rate limits.
        on_sign: Told when the answer to a request begins.
        on_notice: Told, once each, what the server cannot do and what is done instead.
        frame_bytes: Largest frame that is taken.
        temperature: Sent to models that take one.
        service_tier: Such as `flex`, or None.
        logprobs: The log probability of each token is asked for, of models that state it.
        settings: Knobs.
    """

    route = "responses-ws"

    def __init__(
        self,
        *,
        place: Place,
        rng: random.Random,
        on_limits: LimitsListener | None = None,
        on_sign: SignListener | None = None,
        on_notice: Callable[[str], None] | None = None,
        frame_bytes: int = FRAME_BYTES,
        temperature: float = 0.0,
        service_tier: str | None = None,
        logprobs: bool = False,
        settings: Settings = SETTINGS,
    ) -> None:
        self._place = place
        self._rng = rng
        self._hearing = Hearing(self.route, on_limits=on_limits, on_sign=on_sign)
        self._on_notice = on_notice
        self._frame_bytes = frame_bytes
        self._temperature = temperature
        self._service_tier = service_tier
        self._settings = settings
        self._age_s = settings.session_age_s
        self._budget: ConnectBudget | None = None
        self._sockets: list[LaneSocket] = []
        self._draining: set[LaneSocket] = set()
        self._openings: list[asyncio.Task[None]] = []
        self._closings: set[asyncio.Task[None]] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timers: dict[LaneSocket, asyncio.TimerHandle] = {}
        self._spare: asyncio.TimerHandle | None = None
        self._warm_up: asyncio.Task[None] | None = None
        self._warm_usage = Usage()
        self._is_closed = False
        self._has_lanes = True
        self._form = Form(has_logprobs=logprobs)
        self._model = ""
        self._tiers: set[str] = set()
        self._lost = 0
        self._connections = self._rotations = self._reconnects = self._silences = 0

    @property
    def facts(self) -> LanesFacts | None:
        """What is known of the server; None before the first socket."""
        if not self._connections:
            return None
        return LanesFacts(
            model=self._model,
            has_lanes=self._has_lanes,
            format=self._form.format,
            service_tiers=tuple(sorted(self._tiers)),
            sockets=len(self._sockets) + len(self._draining),
        )

    @property
    def counters(self) -> LanesCounters:
        """A snapshot of what happened beside the answers."""
        return LanesCounters(
            connections=self._connections,
            rotations=self._rotations,
            reconnects=self._reconnects,
            silences=self._silences,
            late_replies=self._hearing.violations[Breach.LATE_REPLY],
            ignored=dict(self._hearing.ignored),
            violations=dict(self._hearing.violations),
        )

    async def open(self) -> None:
        """Open a socket, unless one has room for a request.

        Raises:
            TransportError: If the endpoint cannot be reached now; nothing was sent.
            AccountClosed: If the endpoint refused the key.
            RouteClosed: If it has no such WebSocket.
        """
        await self._roomy()

    async def ask(self, request: Request) -> TextReply:
        """Send one request and return its reply; opens sockets as needed.

        Raises:
            TransportError: If no reply came; `ending` says whether it may have been paid.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the reply cannot be used.
        """
        await self._warmed(request)
        for _ in range(MOST_FORMS):
            socket = await self._roomy()
            form = self._form
            reply = await socket.ask(request, form=form)
            if isinstance(reply, TextReply):
                self._model = reply.model or self._model
                self._note_tier(socket.connection.service_tier)
                return self._with_warm_up(reply) if self._warm_up is not None else reply
            self._learn(form, reply)
        raise RouteClosed(
            f"{self._place.host} refuses every form of a request. Use another route.",
            code="no_form",
        )

    async def close(self) -> None:
        """End all connections for good; requests that wait end as unknown. May be called again."""
        self._is_closed = True
        if self._spare is not None:
            self._spare.cancel()
        for opening in self._openings:
            opening.cancel()
        if self._warm_up is not None:
            self._warm_up.cancel()
        self._fail_waiters(_closed())
        sockets = [*self._sockets, *self._draining]
        self._sockets.clear()
        self._draining.clear()
        for socket in sockets:
            self._disarm(socket)
        await asyncio.gather(*(socket.close() for socket in sockets))
        if pending := {*self._openings, *self._closings}:
            await asyncio.wait(pending)

    # Room

    async def _roomy(self) -> LaneSocket:
        """Return a socket with a free lane; the caller takes it before it pauses."""
        while True:
            roomy = max(self._sockets, key=_room, default=None)
            if roomy is not None and roomy.room:
                return roomy
            if self._is_closed:
                raise _closed()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                self._grow()
                await waiter
            except asyncio.CancelledError:
                self._wake()  # the room that woke this caller is another one's now
                raise
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def _wake(self) -> None:
        """Let as many callers go on as there is room for."""
        room = sum(map(_room, self._sockets)) if self._waiters else 0
        while room and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                room -= 1

    def _grow(self) -> None:
        """Open as many sockets as the waiting callers need."""
        missing = -(-len(self._waiters) // self._per_socket) - len(self._openings)
        for _ in range(missing):
            self._open_another()

    @property
    def _per_socket(self) -> int:
        return LANES if self._has_lanes else 1

    def _open_another(self) -> asyncio.Task[None] | None:
        """Begin to open a socket, unless there are enough."""
        count = len(self._sockets) + len(self._openings)
        if count >= self._settings.responses_ws_sockets:
            return None
        opening = asyncio.create_task(self._open())
        self._openings.append(opening)
        opening.add_done_callback(self._opened)
        return opening

    def _opened(self, opening: asyncio.Task[None]) -> None:
        """Hand room, or the failure, to those who wait."""
        is_eldest = self._openings[0] is opening
        self._openings.remove(opening)
        error = None if opening.cancelled() else opening.exception()
        if error is None:
            self._wake()
        else:  # those that began later are not waited for: with new callers there are always some
            self._share(error, has_others=not is_eldest)

    def _share(self, error: BaseException, *, has_others: bool) -> None:
        """Hand a failure to those who wait, unless another socket may still serve them."""
        is_way = isinstance(error, TransportError)
        if not is_way or not (self._sockets or has_others):
            self._fail_waiters(error)

    def _fail_waiters(self, error: BaseException, *, most: int | None = None) -> None:
        """Hand a failure to those who have waited longest, or to all."""
        for _ in range(len(self._waiters) if most is None else min(most, len(self._waiters))):
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error.with_traceback(None))

    # Opening

    async def _open(self) -> None:
        """Open one socket, in as many attempts and as much time as the settings allow."""
        loop = asyncio.get_running_loop()
        last_start = loop.time() + self._settings.connect_budget_s

        def is_spent(state: RetryCallState) -> bool:
            is_late = loop.time() + state.upcoming_sleep > last_start
            return is_late or state.attempt_number >= self._settings.connect_attempts

        attempts = AsyncRetrying(
            stop=is_spent,
            retry=retry_if_exception(lambda error: isinstance(error, TransportError)),
            wait=self._wait_s,
            reraise=True,
        )
        await attempts(self._dial)

    def _wait_s(self, state: RetryCallState) -> float:
        """Return the wait before the next attempt: the service's own wish, else decorrelated."""
        base_s, cap_s = self._settings.backoff_base_s, self._settings.backoff_cap_s
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransportError) and error.retry_after_s is not None:
            return min(error.retry_after_s, cap_s)
        return min(cap_s, self._rng.uniform(base_s, max(base_s, 3 * state.upcoming_sleep)))

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        if self._budget is None:
            self._budget = ConnectBudget(
                per_s=self._settings.connects_per_s,
                burst=self._settings.connect_burst,
                now=loop.time(),
            )
        await asyncio.sleep(self._budget.take(loop.time()))
        connection = LanesConnection(
            has_lanes=self._has_lanes,
            temperature=self._temperature,
            service_tier=self._service_tier,
            safety_identifier=self._place.safety_identifier,
        )
        opened = await dial(
            self._place,
            path="responses",
            model=None,
            headers={},
            timeout_s=self._settings.connect_timeout_s,
            frame_bytes=self._frame_bytes,
        )
        socket = LaneSocket(
            opened,
            connection,
            on_event=self._hearing.hear,
            on_change=self._changed,
            silence_s=self._settings.silence_s,
        )
        self._sockets.append(socket)
        self._connections += 1
        if self._lost:
            self._lost -= 1
            self._reconnects += 1
        self._arm(socket)
        if self._connections == 1:
            self._spare = loop.call_later(SPARE_AFTER_S, self._add_spare)

    def _add_spare(self) -> None:
        """Open a socket beyond the need of a long run; whoever is idle by then needs none yet."""
        if any(not socket.is_idle for socket in self._sockets):
            self._open_another()
        else:
            self._spare = asyncio.get_running_loop().call_later(SPARE_AFTER_S, self._add_spare)

    # Letting go

    def _arm(self, socket: LaneSocket) -> None:
        """Set, or set anew, the time at which a socket is rotated."""
        self._disarm(socket)
        age_s = self._age_s * self._rng.uniform(*ROTATION_SHARES)
        loop = asyncio.get_running_loop()
        self._timers[socket] = loop.call_at(socket.opened_at + age_s, self._rotate, socket)

    def _disarm(self, socket: LaneSocket) -> None:
        timer = self._timers.pop(socket, None)
        if timer is not None:
            timer.cancel()

    def _rotate(self, socket: LaneSocket) -> None:
        """Replace a socket before the service ends it; one that is not in use just goes."""
        if socket not in self._sockets:
            return
        successor = None if socket.is_idle else self._open_another()
        if successor is None:
            self._retire(socket)
        else:
            successor.add_done_callback(lambda _: self._retire(socket))

    def _retire(self, socket: LaneSocket) -> None:
        """Give a socket no more work; it closes when its last request has ended."""
        if socket not in self._sockets:
            return
        self._rotations += 1
        self._part_from(socket)
        self._draining.add(socket)
        self._changed(socket)

    def _changed(self, socket: LaneSocket) -> None:
        """Look after a socket whose state may have changed, and those who wait for room."""
        if socket in self._sockets:
            if socket.is_over:
                self._lose(socket)
            elif socket.connection.is_worn:
                self._believe(socket)
                self._retire(socket)
        elif socket in self._draining and (socket.is_over or socket.is_idle):
            self._draining.discard(socket)
            closing = asyncio.create_task(socket.close())
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)
        self._wake()
        if self._waiters:
            self._grow()

    def _lose(self, socket: LaneSocket) -> None:
        """Count a socket that ended by itself, and replace it if it was good for anything."""
        self._part_from(socket)
        self._silences += socket.is_silent
        self._lost += 1
        if socket.has_answered:
            if not socket.is_idle:
                self._open_another()
        elif socket.fault is not None and not any(one.has_answered for one in self._sockets):
            # As many hear of it as would have used it: where every socket ends like this, there is
            # always an opening under way, and nobody would ever hear anything.
            is_way = isinstance(socket.fault, TransportError)
            self._fail_waiters(socket.fault, most=self._per_socket if is_way else None)

    def _part_from(self, socket: LaneSocket) -> None:
        self._sockets.remove(socket)
        self._disarm(socket)
        if socket.has_answered and self._budget is not None:
            self._budget.give_back()

    def _believe(self, socket: LaneSocket) -> None:
        """Learn from a worn socket: the service has no lanes, or ends sockets at some age."""
        if not socket.connection.has_lanes:
            self._give_up_lanes()
        if not socket.connection.is_expiring:
            return
        age_s = asyncio.get_running_loop().time() - socket.opened_at
        if age_s < self._age_s:
            self._age_s = age_s
            for other in self._sockets:
                self._arm(other)

    # Learning

    def _learn(self, form: Form, again: AskAgain) -> None:
        """Go on in a simpler form, unless another request has found that out already."""
        if not again.has_lanes:
            self._give_up_lanes()
        if form != self._form:
            return
        for notice in forms.notices(self._place.host, form, again.form):
            self._tell(notice)
        self._form = again.form

    def _give_up_lanes(self) -> None:
        if self._has_lanes:
            self._has_lanes = False
            host = self._place.host
            self._tell(f"{host} takes no lanes on its WebSocket: one request at a time per socket.")

    def _note_tier(self, tier: str | None) -> None:
        """Keep which tier served an answer, and say so once if another one was asked for."""
        if tier is None or tier in self._tiers:
            return
        self._tiers.add(tier)
        if notice := forms.tier_notice(self._place.host, asked=self._service_tier, served=tier):
            self._tell(notice)

    def _tell(self, message: str) -> None:
        if self._on_notice is not None:
            self._on_notice(message)

    async def _warmed(self, request: Request) -> None:
        """Warm the service up before the first request.

        All callers wait for it: a crowd on a cold service would all be cold.
        """
        if self._settings.responses_ws_warm_up:
            if self._warm_up is None:
                self._warm_up = asyncio.create_task(self._warm(request))
            await asyncio.wait([self._warm_up])

    async def _warm(self, request: Request) -> None:
        """Ask for nothing to be generated; what goes wrong here shows in the request itself."""
        silent = replace(request, request_id=f"{request.request_id}.warm")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                try:
                    socket = await self._roomy()
                    form = self._form
                    reply = await socket.ask(silent, form=form, is_warm_up=True)
                except AnalysisError as error:
                    self._warm_usage = error.usage
                    return
            if isinstance(reply, AskAgain):
                self._learn(form, reply)
            else:
                self._warm_usage = reply.usage

    def _with_warm_up(self, reply: TextReply) -> TextReply:
        """Return a reply with the cost of the warm-up on it, if no other one carries that."""
        usage, self._warm_usage = reply.usage + self._warm_usage, Usage()
        return replace(reply, usage=usage)


def _room(socket: LaneSocket) -> int:
    return socket.room


def _closed() -> TransportError:
    return TransportError("The route was closed.", ending=Ending.UNSENT, code="closed")
