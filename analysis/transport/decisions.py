"""The decisions route: POST /decisions.

io. dispatch calls it. Connections are the business of `transport/carrier.py`; bodies are built and
read by `wire/decisions.py`.
"""

from __future__ import annotations

import msgspec

from analysis.errors import ConfigurationError, RouteClosed
from analysis.records import ChoiceReply, Request
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener
from analysis.transport.carrier import Carrier
from analysis.wire import chat, decisions, failures, responses
from analysis.wire.places import Place

PATH = "/decisions"


class DecisionsTransport:
    """Answers requests one by one over HTTPS, each with a typed choice per chunk.

    Args:
        place: Where the service is and how it is shown who asks.
        on_limits: Told about each statement of rate limits.
        timeout_s: For one request, from the call to the end of the body.
        connect_timeout_s: For a new connection.
        is_cached: The instructions are long enough for the service to cache them.

    Raises:
        ConfigurationError: If the safety identifier of the place is too long for this route.
    """

    route = "decisions"

    def __init__(
        self,
        *,
        place: Place,
        on_limits: LimitsListener | None = None,
        timeout_s: float = SETTINGS.timeout_s,
        connect_timeout_s: float = SETTINGS.connect_timeout_s,
        is_cached: bool = False,
    ) -> None:
        size, most = len(place.safety_identifier or ""), decisions.SAFETY_IDENTIFIER_SIZE
        if size > most:
            raise ConfigurationError(
                f"The safety identifier has {size} characters; the decisions route takes at most "
                f"{most}. Pass the SHA-256 of the user's id in hex."
            )
        self._carrier = Carrier(place, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)
        self._place = place
        self._on_limits = on_limits
        self._is_cached = is_cached

    async def open(self) -> None:
        """Load the carrier; connections are made by the first requests."""
        self._carrier.open()

    async def ask(self, request: Request) -> ChoiceReply:
        """Send one request and return its reply.

        Raises:
            DeadlinePassed: If no complete reply came within `timeout_s`.
            TransportError: If no reply came; `ending` says whether it may have been paid.
            RouteClosed: If the server has no such address.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the answers are not those to the questions asked.
        """
        return await self._carrier.in_time(self._ask(request))

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        await self._carrier.close()

    async def _ask(self, request: Request) -> ChoiceReply:
        body = decisions.body(
            request,
            is_cached=self._is_cached,
            safety_identifier=self._place.safety_identifier,
        )
        response = await self._carrier.post(
            PATH,
            model=request.model,
            body=msgspec.json.encode(body),
            headers=chat.headers(request),
        )
        limits = responses.limits(response.headers)
        if limits and self._on_limits is not None:
            self._on_limits(self.route, limits, request.request_id)
        status, content = response.status_code, response.content
        if failures.is_unknown_address(status, content):
            raise RouteClosed(
                f"{self._place.host} has no {PATH} below the base URL (HTTP {status}). "
                "Use another route there, such as rest.",
                code=str(status),
            )
        if status >= 300:
            raise failures.from_status(status, headers=response.headers, body=content)
        return decisions.read(
            content, ask=request.ask, service_request_id=response.headers.get("x-request-id")
        )
