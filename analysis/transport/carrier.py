"""The HTTP carrier: the client of the openai package, without its retries and its typed bodies.

io. The transports over HTTPS share it. It brings connections, proxies and certificates; bodies are
bytes both ways. Its errors become ours here and only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.errors import DeadlinePassed, TransportError
from analysis.records import Ending
from analysis.wire import failures
from analysis.wire.places import Place

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai._types import RequestOptions

POOL_CONNECTIONS = 1_024
"""Sockets at most; above the largest `rest_in_flight`, so that a request never waits for one."""

KEEP_ALIVE_S = 15.0
"""Idle seconds before a socket is closed; below the idle limit of common load balancers (60)."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Reached without the proxies of the environment."""


class Carrier:
    """Connections to one place.

    Args:
        place: Where the service is and how it is shown who asks.
        timeout_s: For one request, from the call to the end of the body.
        connect_timeout_s: For a new connection.
    """

    def __init__(self, place: Place, *, timeout_s: float, connect_timeout_s: float) -> None:
        self.place = place
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._client: openai.AsyncOpenAI | None = None

    def __repr__(self) -> str:
        return f"Carrier({self.place.host}, {'open' if self._client else 'closed'})"

    def open(self) -> None:
        """Load the client; connections are made by the first requests."""
        self._opened()

    async def post(
        self, path: str, *, model: str, body: bytes, headers: Mapping[str, str]
    ) -> httpx2.Response:
        """Return the service's reply, whatever its status.

        Args:
            path: Below the base URL, such as `/responses`.
            model: The model or deployment that the body names.
            body: JSON.
            headers: Sent beside those of the place.

        Raises:
            DeadlinePassed: If the connection was silent for too long.
            TransportError: If there is no reply; `ending` says whether it may have been paid.
        """
        import aiohttp
        import httpx2
        import openai

        client = self._opened()
        options: RequestOptions = {"headers": headers}
        if self.place.query:
            options["params"] = self.place.query
        try:
            return await client.post(
                self.place.path(path, model),
                cast_to=httpx2.Response,
                content=body,
                options=options,
            )
        except openai.APIStatusError as error:
            return error.response
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def deadline_passed(self) -> DeadlinePassed:
        """Return the error of a request that took too long."""
        return DeadlinePassed(
            f"No complete reply within {self._timeout_s:g} s.",
            ending=Ending.UNKNOWN,
            code="timeout",
        )

    def _lost(self, error: Exception) -> TransportError:
        """Return what a lost connection means: only a failed connect is surely unpaid.

        The client reports a disconnect as a time-out, hence the look at the first cause.
        """
        import aiohttp

        first = _first_cause(error, aiohttp.ClientError)
        is_unsent = isinstance(first, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        if isinstance(first, aiohttp.SocketTimeoutError):
            return self.deadline_passed()
        what = "No connection to" if is_unsent else "The connection was lost before the reply of"
        return TransportError(
            f"{what} {self.place.host}: {failures.spoken(str(first) or type(first).__name__)}",
            ending=Ending.UNSENT if is_unsent else Ending.UNKNOWN,
            code=type(first).__name__,
        )

    def _opened(self) -> openai.AsyncOpenAI:
        """Return the client; the import takes half a second, so it waits for the first use."""
        if self._client is None:
            import httpx2
            import openai

            place = self.place
            timeout = httpx2.Timeout(self._timeout_s, connect=self._connect_timeout_s)
            self._client = openai.AsyncOpenAI(
                api_key=place.api_key,
                base_url=place.base_url,
                organization=place.organization,
                project=place.project,
                max_retries=0,
                timeout=timeout,
                default_headers=_headers(place),
                http_client=openai.DefaultAioHttpClient(
                    timeout=timeout,
                    limits=httpx2.Limits(
                        max_connections=POOL_CONNECTIONS,
                        max_keepalive_connections=POOL_CONNECTIONS,
                        keepalive_expiry=KEEP_ALIVE_S,
                    ),
                    follow_redirects=False,
                    trust_env=place.host not in LOOPBACK_HOSTS,
                ),
            )
        return self._client


def _headers(place: Place) -> dict[str, Any]:
    """Return the headers of every request; the client would send the key as bearer token."""
    import openai

    headers: dict[str, Any] = dict(place.key_header)
    if "Authorization" not in headers:
        headers["Authorization"] = openai.Omit()
    return headers


def _first_cause(error: BaseException, kind: type[BaseException]) -> BaseException:
    """Return the first exception of this kind in the chain of causes, else the given one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__
    return error if cause is None else cause
