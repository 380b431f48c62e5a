"""The rest route: POST /responses, with the openai package as carrier.

io. dispatch and the REST analyzer call it. The carrier brings keys, addresses and connections; its
retries are off, and bodies are built and read by `wire/responses.py`. Its errors become ours here
and only here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from analysis.errors import DeadlinePassed, TransportError
from analysis.records import Ending, Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport import LimitsListener
from analysis.wire import failures, responses

if TYPE_CHECKING:
    import httpx2
    import openai

POOL_CONNECTIONS = 1_024
"""Sockets at most; above the largest `rest_in_flight`, so that a request never waits for one."""

KEEP_ALIVE_S = 15.0
"""Idle seconds before a socket is closed; below the idle limit of common load balancers (60)."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Reached without the proxies of the environment."""


class RestTransport:
    """Answers requests one by one over HTTPS.

    Args:
        base_url: Address of the API, such as `https://api.openai.com/v1`.
        api_key: Sent as bearer token.
        on_limits: Told about each statement of rate limits.
        timeout_s: For one request, from the call to the end of the body.
        connect_timeout_s: For a new connection.
        temperature: Sent to models that take one.
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
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._on_limits = on_limits
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._temperature = temperature
        self._client: openai.AsyncOpenAI | None = None

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
        body = msgspec.json.encode(responses.body(request, temperature=self._temperature))
        response = await self._post(body)
        if self._on_limits is not None:
            limits = responses.limits(response.headers)
            if limits:
                self._on_limits(self.route, limits)
        if response.status_code >= 300:
            raise failures.from_status(
                response.status_code, headers=response.headers, body=response.content
            )
        return responses.read(
            response.content,
            request_id=request.request_id,
            service_request_id=response.headers.get("x-request-id"),
        )

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _post(self, body: bytes) -> httpx2.Response:
        """Return the service's reply, whatever its status.

        Raises:
            TransportError: If there is none; `DeadlinePassed` if there was none in time.
        """
        import aiohttp
        import httpx2
        import openai

        client = self._carrier()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await client.post("/responses", cast_to=httpx2.Response, content=body)
        except openai.APIStatusError as error:
            return error.response
        except TimeoutError as error:
            raise self._deadline_passed() from error
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
        host = urlsplit(self._base_url).hostname or self._base_url
        what = "No connection to" if is_unsent else "The connection was lost before the reply of"
        return TransportError(
            f"{what} {host}: {failures.spoken(str(first) or type(first).__name__)}",
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

            is_loopback = urlsplit(self._base_url).hostname in LOOPBACK_HOSTS
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
