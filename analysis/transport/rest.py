"""The rest route: POST /responses or /chat/completions, with the openai package as carrier.

io. dispatch and the REST analyzer call it. The carrier brings keys, addresses and connections; its
retries are off, and bodies are built and read by `wire/responses.py` and `wire/chat.py`. Its errors
become ours here and only here.

What a server can do is found out by asking. The first request goes to /responses. If the server
has no such address, nothing was generated, and the same request is asked again as a chat
completion, as are all others from then on. A field that the server refuses is replaced by its
next form (`wire/forms.py`). Requests that come while the first one is under way wait for it, so
that they need not find out the same; the wait is short and bounded, and a failure ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from analysis.errors import ConfigurationError, DeadlinePassed, RouteClosed, TransportError
from analysis.records import Ending, Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener
from analysis.wire import chat, failures, forms, responses

if TYPE_CHECKING:
    import httpx2
    import openai

POOL_CONNECTIONS = 1_024
"""Sockets at most; above the largest `rest_in_flight`, so that a request never waits for one."""

KEEP_ALIVE_S = 15.0
"""Idle seconds before a socket is closed; below the idle limit of common load balancers (60)."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Reached without the proxies of the environment."""

RESPONSES, CHAT = "responses", "chat"
PATHS = {RESPONSES: "/responses", CHAT: "/chat/completions"}
"""Kind of endpoint -> path below the base URL, in the order of trying."""

KNOWN_HOSTS = "api.openai.com"
"""This host and its regional siblings have /responses: their first requests need not wait."""

PROBE_S = 1.0
"""Longest wait for the first request. An unknown address is told within a round trip; whoever has
waited longer than a second would wait for an answer to be generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFacts:
    """What is known of the server.

    Attributes:
        endpoint: `responses` or `chat`: where requests go.
        format: `json_schema`, `json_object` or `text`: how the form of answers is asked for.
    """

    endpoint: str
    format: str


class RestTransport:
    """Answers requests one by one over HTTPS.

    Attributes:
        is_endpoint_known: Whether requests may all go out at once: the endpoint was named, is that
            of a known host, or has answered.

    Args:
        base_url: Address of the API, such as `https://api.openai.com/v1`.
        api_key: Sent as bearer token.
        on_limits: Told about each statement of rate limits.
        timeout_s: For one request, from the call to the end of the body.
        connect_timeout_s: For a new connection.
        temperature: Sent to models that take one.
        endpoint: `responses` or `chat` where it is known; `auto` finds out.
        probe_s: Longest wait for the first request of an unknown server.
        on_notice: Told, once each, what the server cannot do and what is done instead.

    Raises:
        ConfigurationError: If there is no such kind of endpoint.
    """

    route = "rest"

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        on_limits: LimitsListener | None = None,
        timeout_s: float = SETTINGS.timeout_s,
        connect_timeout_s: float = SETTINGS.connect_timeout_s,
        temperature: float = 0.0,
        endpoint: str = "auto",
        probe_s: float = PROBE_S,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        if endpoint not in ("auto", *PATHS):
            raise ConfigurationError(
                f"Endpoint {endpoint!r} is not known. Use one of auto, {', '.join(PATHS)}."
            )
        self._base_url = base_url
        self._api_key = api_key
        self._on_limits = on_limits
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._temperature = temperature
        self._client: openai.AsyncOpenAI | None = None
        self._host = urlsplit(base_url).hostname or base_url
        is_known = f".{self._host}".endswith(f".{KNOWN_HOSTS}")
        self.is_endpoint_known = is_known or endpoint != "auto"
        self._endpoint = RESPONSES if endpoint == "auto" else endpoint
        self._form = forms.STRICTEST
        self._probe_s = probe_s
        self._on_notice = on_notice
        self._notices: set[str] = set()
        self._first: asyncio.Event | None = None

    @property
    def facts(self) -> RestFacts:
        """Where requests go and how, as far as it is known; the first answers may change it."""
        return RestFacts(endpoint=self._endpoint, format=self._form.format)

    async def open(self) -> None:
        """Load the carrier; connections are made by the first requests."""
        self._carrier()

    async def ask(self, request: Request) -> TextReply:
        """Send one request and return its reply.

        Raises:
            DeadlinePassed: If no complete reply came within `timeout_s`.
            TransportError: If no reply came; `ending` says whether it may have been paid.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the reply holds no answer text.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._in_turn(request)
        except TimeoutError as error:
            raise self._deadline_passed() from error

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _in_turn(self, request: Request) -> TextReply:
        """Ask, but let the first request of an unknown server find out what it can do."""
        if self.is_endpoint_known:
            return await self._ask(request)
        if self._first is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._first.wait(), self._probe_s)
            return await self._ask(request)
        self._first = asyncio.Event()
        try:
            return await self._ask(request)
        finally:
            self._first.set()

    async def _ask(self, request: Request) -> TextReply:
        """Ask until the answer is not that the server lacks the endpoint or a field.

        Endpoint and form only ever get simpler, so this ends after five requests at most.
        """
        while True:
            endpoint, form = self._endpoint, self._form
            response = await self._send(endpoint, request, form)
            status, content = response.status_code, response.content
            # Another request may have switched, and even been answered, while this one was on its
            # way; so it follows, although the endpoint is known by now.
            can_switch = not self.is_endpoint_known or endpoint != self._endpoint
            if can_switch and failures.is_unknown_address(status, content):
                if endpoint == CHAT:
                    raise self._has_neither(status)
                self._endpoint = CHAT
                continue
            if endpoint == CHAT and not self.is_endpoint_known:
                self._tell(f"{self._host} has no {PATHS[RESPONSES]}: {PATHS[CHAT]} is used.")
            simpler = forms.simpler(form, status=status, content=content)
            if simpler is None:
                return self._read(endpoint, request, response)
            self._simplify(form, simpler)

    async def _send(self, endpoint: str, request: Request, form: forms.Form) -> httpx2.Response:
        if endpoint == CHAT:
            body = chat.body(request, form=form, temperature=self._temperature)
            return await self._post(PATHS[CHAT], body, chat.headers(request))
        body = responses.body(request, form=form, temperature=self._temperature)
        return await self._post(PATHS[RESPONSES], body, {})

    def _read(self, endpoint: str, request: Request, response: httpx2.Response) -> TextReply:
        content = self._content(response)
        self.is_endpoint_known = True
        service_id = response.headers.get("x-request-id")
        if endpoint == CHAT:
            return chat.read(content, service_request_id=service_id)
        return responses.read(content, request_id=request.request_id, service_request_id=service_id)

    def _has_neither(self, status: int) -> RouteClosed:
        return RouteClosed(
            f"{self._host} has neither {' nor '.join(PATHS.values())} below the base URL "
            f"(HTTP {status}). Check the base URL.",
            code=str(status),
        )

    def _simplify(self, form: forms.Form, simpler: forms.Form) -> None:
        """Go on in a simpler form, unless another request has found that out already."""
        if self._form != form:
            return
        self._form = simpler
        if simpler.cap != form.cap:
            self._tell(f"{self._host} does not take {form.cap}: {simpler.cap} is sent.")
        if simpler.format != form.format:
            self._tell(
                f"{self._host} does not take the answer format {form.format}: {simpler.format} is "
                "asked for; answers are checked as before."
            )

    def _tell(self, message: str) -> None:
        if self._on_notice is not None and message not in self._notices:
            self._notices.add(message)
            self._on_notice(message)

    def _content(self, response: httpx2.Response) -> bytes:
        """Return the body of an answer; raise what a refusal means. Both may state limits."""
        limits = responses.limits(response.headers)
        if limits and self._on_limits is not None:
            self._on_limits(self.route, limits)
        if response.status_code >= 300:
            raise failures.from_status(
                response.status_code, headers=response.headers, body=response.content
            )
        return response.content

    async def _post(
        self, path: str, body: dict[str, Any], headers: Mapping[str, str]
    ) -> httpx2.Response:
        """Return the service's reply, whatever its status.

        Raises:
            TransportError: If there is none.
        """
        import aiohttp
        import httpx2
        import openai

        client = self._carrier()
        try:
            return await client.post(
                path,
                cast_to=httpx2.Response,
                content=msgspec.json.encode(body),
                options={"headers": headers},
            )
        except openai.APIStatusError as error:
            return error.response
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> TransportError:
        """Return what a lost connection means: only a failed connect is surely unpaid.

        The carrier reports a disconnect as a time-out, hence the look at the first cause.
        """
        import aiohttp

        first = _first_cause(error, aiohttp.ClientError)
        is_unsent = isinstance(first, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        if isinstance(first, aiohttp.SocketTimeoutError):
            return self._deadline_passed()
        what = "No connection to" if is_unsent else "The connection was lost before the reply of"
        return TransportError(
            f"{what} {self._host}: {failures.spoken(str(first) or type(first).__name__)}",
            ending=Ending.UNSENT if is_unsent else Ending.UNKNOWN,
            code=type(first).__name__,
        )

    def _deadline_passed(self) -> DeadlinePassed:
        return DeadlinePassed(
            f"No complete reply within {self._timeout_s:g} s.",
            ending=Ending.UNKNOWN,
            code="timeout",
        )

    def _carrier(self) -> openai.AsyncOpenAI:
        """Return the client; the import takes half a second, so it waits for the first use."""
        if self._client is None:
            import httpx2
            import openai

            is_loopback = self._host in LOOPBACK_HOSTS
            timeout = httpx2.Timeout(self._timeout_s, connect=self._connect_timeout_s)
            self._client = openai.AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,
                timeout=timeout,
                http_client=openai.DefaultAioHttpClient(
                    timeout=timeout,
                    limits=httpx2.Limits(
                        max_connections=POOL_CONNECTIONS,
                        max_keepalive_connections=POOL_CONNECTIONS,
                        keepalive_expiry=KEEP_ALIVE_S,
                    ),
                    follow_redirects=False,
                    trust_env=not is_loopback,
                ),
            )
        return self._client


def _first_cause(error: BaseException, kind: type[BaseException]) -> BaseException:
    """Return the first exception of this kind in the chain of causes, else the given one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__
    return error if cause is None else cause
