"""The rest route: POST /responses or /chat/completions.

io. dispatch and the REST analyzer call it. Connections are the business of `transport/carrier.py`;
bodies are built and read by `wire/responses.py` and `wire/chat.py`.

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

import msgspec

from analysis.errors import AnswerDefect, ConfigurationError, RouteClosed, TransportError
from analysis.records import Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener
from analysis.transport.carrier import Carrier, HttpReply
from analysis.wire import chat, failures, forms, responses
from analysis.wire.places import Place

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
        without: Fields that are left out, since the server or the model does not take them.
        service_tiers: Tiers that served answers, as stated; they may differ from the one asked for.
    """

    endpoint: str
    format: str
    without: tuple[str, ...] = ()
    service_tiers: tuple[str, ...] = ()


class RestTransport:
    """Answers requests one by one over HTTPS.

    Attributes:
        is_endpoint_known: Whether requests may all go out at once: the endpoint was named, is that
            of a known host, or has answered.

    Args:
        place: Where the service is and how it is shown who asks.
        on_limits: Told about each statement of rate limits.
        timeout_s: For one request, from the call to the end of the body.
        connect_timeout_s: For a new connection.
        temperature: Sent to models that take one.
        endpoint: `responses` or `chat` where it is known; `auto` finds out.
        probe_s: Longest wait for the first request of an unknown server.
        on_notice: Told, once each, what the server cannot do and what is done instead.
        service_tier: Asked for with each request; None leaves it to the account's own setting.
        logprobs: The log probability of each token is asked for, of models that state it.

    Raises:
        ConfigurationError: If there is no such kind of endpoint.
    """

    route = "rest"

    def __init__(
        self,
        *,
        place: Place,
        on_limits: LimitsListener | None = None,
        timeout_s: float = SETTINGS.timeout_s,
        connect_timeout_s: float = SETTINGS.connect_timeout_s,
        temperature: float = 0.0,
        endpoint: str = "auto",
        probe_s: float = PROBE_S,
        on_notice: Callable[[str], None] | None = None,
        service_tier: str | None = None,
        logprobs: bool = False,
    ) -> None:
        if endpoint not in ("auto", *PATHS):
            raise ConfigurationError(
                f"Endpoint {endpoint!r} is not known. Use one of auto, {', '.join(PATHS)}."
            )
        self._carrier = Carrier(place, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)
        self._on_limits = on_limits
        self._temperature = temperature
        self._host = place.host
        self._safety_identifier = place.safety_identifier
        self._service_tier = service_tier
        self._tiers: set[str] = set()
        is_known = f".{self._host}".endswith(f".{KNOWN_HOSTS}")
        self.is_endpoint_known = is_known or endpoint != "auto"
        self._endpoint = RESPONSES if endpoint == "auto" else endpoint
        self._form = forms.Form(has_logprobs=logprobs)
        self._logprobs = logprobs
        self._probe_s = probe_s
        self._on_notice = on_notice
        self._notices: set[str] = set()
        self._first: asyncio.Event | None = None

    @property
    def facts(self) -> RestFacts:
        """Where requests go and how, as far as it is known; the first answers may change it."""
        is_dropped = self._logprobs and not self._form.has_logprobs
        return RestFacts(
            endpoint=self._endpoint,
            format=self._form.format,
            without=tuple(sorted(self._form.without | ({"logprobs"} if is_dropped else set()))),
            service_tiers=tuple(sorted(self._tiers)),
        )

    async def open(self) -> None:
        """Load the carrier; connections are made by the first requests."""
        self._carrier.open()

    async def ask(self, request: Request) -> TextReply:
        """Send one request and return its reply.

        Raises:
            DeadlinePassed: If no complete reply came within `timeout_s`.
            TransportError: If no reply came; `ending` says whether it may have been paid.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the reply holds no answer text.
        """
        return await self._carrier.in_time(self._in_turn(request))

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        await self._carrier.close()

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

        Endpoint and form only ever get simpler, so this ends.
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
                return self._read(endpoint, form, request, response)
            self._simplify(form, simpler)

    async def _send(self, endpoint: str, request: Request, form: forms.Form) -> HttpReply:
        if endpoint == CHAT:
            make, headers = chat.body, chat.headers(request)
        else:
            make, headers = responses.body, {}
        body = make(
            request,
            form=form,
            temperature=self._temperature,
            service_tier=self._service_tier,
            safety_identifier=self._safety_identifier,
        )
        return await self._carrier.post(
            PATHS[endpoint], model=request.model, body=msgspec.json.encode(body), headers=headers
        )

    def _read(
        self, endpoint: str, form: forms.Form, request: Request, response: HttpReply
    ) -> TextReply:
        content = self._content(request.request_id, response)
        self.is_endpoint_known = True
        service_id = response.headers.get("x-request-id")
        try:
            if endpoint == CHAT:
                answer = chat.read(content, service_request_id=service_id, form=form)
            else:
                rid = request.request_id
                answer = responses.read(
                    content, request_id=rid, service_request_id=service_id, form=form
                )
        except AnswerDefect as defect:
            if defect.defect == "malformed_reply" and _may_be_cut(response.headers):
                raise TransportError(
                    f"The reply of {self._host} is no JSON and has no length: it may be cut off.",
                    code="cut_body",
                    request_id=service_id,
                ) from defect
            raise
        self._note_tier(answer.service_tier)
        return answer.reply

    def _note_tier(self, tier: str | None) -> None:
        """Keep which tier served an answer, and say so once if another one was asked for."""
        if tier is None or tier in self._tiers:
            return
        self._tiers.add(tier)
        if notice := forms.tier_notice(self._host, asked=self._service_tier, served=tier):
            self._tell(notice)

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
        for notice in forms.notices(self._host, form, simpler):
            self._tell(notice)

    def _tell(self, message: str) -> None:
        if self._on_notice is not None and message not in self._notices:
            self._notices.add(message)
            self._on_notice(message)

    def _content(self, request_id: str, response: HttpReply) -> bytes:
        """Return the body of an answer; raise what a refusal means. Both may state limits."""
        limits = responses.limits(response.headers)
        if limits and self._on_limits is not None:
            self._on_limits(self.route, limits, request_id)
        if response.status_code >= 300:
            raise failures.from_status(
                response.status_code, headers=response.headers, body=response.content
            )
        return response.content


def _may_be_cut(headers: Mapping[str, str]) -> bool:
    """Tell whether the end of a body shows only by the end of its connection."""
    is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    return not is_chunked and "content-length" not in headers
