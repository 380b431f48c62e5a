"""HTTPS and WebSockets as the questions of the live check use them: raw bodies and raw frames.

io. The product would refuse to send much of what is asked here, so nothing but addresses, headers,
proxies and certificates is shared with it. Every request that can be paid is charged before it
goes out, every usage when it comes in, and all of it stands in the transcript.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from analysis.check.spending import Spending, usage_of
from analysis.check.transcript import Transcript
from analysis.endpoint import Endpoint
from analysis.errors import DeadlinePassed, TransportError
from analysis.settings import SETTINGS
from analysis.transport.carrier import Carrier
from analysis.transport.handshake import dial
from analysis.wire import failures
from analysis.wire.places import Place

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the live check waits, in seconds.

    Attributes:
        reply_s: For an event or an HTTP reply.
        late_s: For a statement of limits after the answer; 43 ms in a capture of 2026-09.
        ping_s: For pings of the server on an idle socket.
        age_s: For the end of a socket that has reached its largest age.
    """

    reply_s: float = SETTINGS.timeout_s
    late_s: float = 2.0
    ping_s: float = 65.0
    age_s: float = 3_720.0


PATIENCE = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A reply over HTTPS.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: The JSON object; empty if the body is something else.
        content: The bytes of the body.
        seconds: From the request to the end of the reply.
    """

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    content: bytes
    seconds: float

    @property
    def error(self) -> dict[str, object]:
        """Status and the fields of the error object, the message fit for a page."""
        return {"status": self.status, **error_facts(self.body.get("error"))}


class Wires:
    """What a question gets: an endpoint, its models, and ways to send.

    Args:
        endpoint: Address and key.
        models: Route -> model.
        spending: Charged with all that is sent.
        transcript: Gets all frames.
        clock: Monotonic seconds, to measure latencies.
        nonce: A text that no earlier check has sent; it keeps prompt caches cold.
        patience: How long to wait.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        models: Mapping[str, str],
        spending: Spending,
        transcript: Transcript,
        clock: Callable[[], float],
        nonce: str,
        patience: Patience = PATIENCE,
    ) -> None:
        self.endpoint = endpoint
        self.models = models
        self.spending = spending
        self.transcript = transcript
        self.clock = clock
        self.nonce = nonce
        self.patience = patience
        wait_s = patience.reply_s
        self._carrier = Carrier(endpoint.place, timeout_s=wait_s, connect_timeout_s=wait_s)

    async def close(self) -> None:
        """Close all connections over HTTPS."""
        await self._carrier.close()

    async def post(
        self, path: str, body: Mapping[str, object], *, is_paid: bool = True
    ) -> HttpReply:
        """Send a JSON body and return the reply, whatever its status.

        Args:
            path: Below the base URL.
            body: Holds `model`, as whose usage the reply is charged.
            is_paid: The request can be paid for; False if the service must refuse it.

        Raises:
            BudgetSpent: If it may not be sent any more.
            AnalysisError: If there is no reply, or one about key, quota or address.
        """
        model = str(body.get("model", ""))
        if is_paid:
            self.spending.start()
        door, text = f"POST {path}", json.dumps(body, ensure_ascii=False)
        self.transcript.write(door, "sent", text)
        started_at = self.clock()
        response = await self._carrier.post(path, model=model, body=text.encode(), headers={})
        seconds = self.clock() - started_at
        status, content = response.status_code, bytes(response.content)
        headers = {name.lower(): value for name, value in response.headers.items()}
        shown = {"status": status, "headers": headers, "body": content.decode("utf-8", "replace")}
        self.transcript.write(door, "received", json.dumps(shown, ensure_ascii=False))
        if status in (401, 403, 407) or failures.is_unknown_address(status, content):
            raise failures.from_status(status, headers=headers, body=content)
        reply = HttpReply(
            status=status,
            headers=headers,
            body=_object(content),
            content=content,
            seconds=seconds,
        )
        usage = usage_of(reply.body.get("usage"))
        if usage is not None:
            self.spending.add(model, usage)
        return reply

    async def answer(self, path: str, body: Mapping[str, object]) -> HttpReply:
        """Send a JSON body that has to be answered; arguments and errors as in `post`.

        Raises:
            AnalysisError: If it is refused, too.
        """
        reply = await self.post(path, body)
        if reply.status != 200:
            raise failures.from_status(reply.status, headers=reply.headers, body=reply.content)
        return reply

    @asynccontextmanager
    async def socket(
        self, path: str, model: str, *, is_model_named: bool = True, place: Place | None = None
    ) -> AsyncIterator[Talk]:
        """Open a WebSocket and close it at the end.

        Args:
            path: Below the base URL, without a slash in front.
            model: As whose usage the replies are charged.
            is_model_named: The address names the model.
            place: Instead of that of the endpoint.

        Raises:
            AnalysisError: If it does not open.
        """
        socket = await dial(
            place or self.endpoint.place,
            path=path,
            model=model if is_model_named else None,
            headers={},
            timeout_s=min(self.patience.reply_s, SETTINGS.connect_timeout_s),
            create_connection=PingedConnection,
        )
        assert isinstance(socket, PingedConnection)  # the class that was asked for
        self.transcript.write(path, "opened", model)
        talk = Talk(self, socket, path, model)
        try:
            yield talk
        finally:
            await socket.close()
            self.transcript.write(path, "closed", f"{socket.close_code} {socket.close_reason}")


class PingedConnection(ClientConnection):
    """A WebSocket that tells of the server's pings, which the library answers by itself."""

    on_ping: Callable[[], None] | None = None

    def process_event(self, event: Any) -> None:
        """Look at a frame before it goes its way."""
        if isinstance(event, Frame) and event.opcode is Opcode.PING and self.on_ping is not None:
            self.on_ping()
        super().process_event(event)


class Talk:
    """An open WebSocket: events out, events in."""

    def __init__(self, wires: Wires, socket: PingedConnection, door: str, model: str) -> None:
        self._wires = wires
        self._socket = socket
        self._door = door
        self._model = model
        self.pings: list[float] = []
        socket.on_ping = self._pinged

    @property
    def close_code(self) -> int | None:
        """Code of the close frame, or None while it is open."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """Reason in the close frame."""
        return self._socket.close_reason or ""

    def _pinged(self) -> None:
        self.pings.append(self._wires.clock())
        self._wires.transcript.write(self._door, "ping", "")

    async def send(self, event: Mapping[str, object], *, is_paid: bool = False) -> None:
        """Send an event.

        Args:
            event: Becomes one JSON frame.
            is_paid: It asks for a response that can be paid for.

        Raises:
            BudgetSpent: If it may not be sent any more.
            TransportError: If the socket is closed.
        """
        if is_paid:
            self._wires.spending.start()
        text = json.dumps(event, ensure_ascii=False)
        self._wires.transcript.write(self._door, "sent", text)
        try:
            await self._socket.send(text)
        except websockets.ConnectionClosed as closed:
            raise _ended(closed) from closed

    async def next(self, *, wait_s: float | None = None) -> Event:
        """Return the next event; what is no JSON object with a type passes by.

        Raises:
            DeadlinePassed: If none comes.
            TransportError: If the socket is closed.
        """
        wait_s = self._wires.patience.reply_s if wait_s is None else wait_s
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    text = await self._socket.recv(decode=True)
                    self._wires.transcript.write(self._door, "received", text)
                    event = _object(text)
                    if isinstance(event.get("type"), str):
                        self._charge(event)
                        return event
        except TimeoutError as error:
            raise DeadlinePassed(f"No event within {wait_s:g} s.", code="timeout") from error
        except websockets.ConnectionClosed as closed:
            raise _ended(closed) from closed

    async def until(self, *kinds: str, wait_s: float | None = None) -> Event:
        """Return the next event of these types; others pass by.

        Raises: As `next`.
        """
        while (event := await self.next(wait_s=wait_s)).get("type") not in kinds:
            continue
        return event

    def _charge(self, event: Event) -> None:
        """Charge the usage that the last event of a response reports."""
        usage = usage_of(part(event, "response").get("usage"))
        if usage is not None:
            self._wires.spending.add(self._model, usage)


def part(value: object, *names: str) -> Mapping[str, Any]:
    """Return the object below an object, by the names on the way; empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def parts(value: object) -> list[Mapping[str, Any]]:
    """Return the objects in a list; empty if it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def error_facts(error: object) -> dict[str, object]:
    """Return type, code, param and words of an error object; empty if there is none."""
    if not isinstance(error, dict):
        return {}
    facts = {name: error.get(name) for name in ("type", "code", "param")}
    return facts | {"message": failures.spoken(str(error.get("message") or ""))}


def _object(content: bytes | str) -> dict[str, Any]:
    """Return the JSON object in a text, or an empty one."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _ended(closed: websockets.ConnectionClosed) -> TransportError:
    last = closed.rcvd or closed.sent
    words = f"code {last.code} {last.reason}".rstrip() if last else "no close frame"
    return TransportError(
        f"The server closed the connection ({failures.spoken(words)}).",
        code=str(last.code) if last else "1006",
    )
