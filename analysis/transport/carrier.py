"""The HTTP carrier: the client of the openai package, without its retries and its typed bodies.

io. The transports over HTTPS share it. The package brings connections, proxies, certificates and
the headers that it sends itself; bodies are bytes both ways. Its errors become ours here and only
here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from analysis.errors import DeadlinePassed, TransportError
from analysis.records import Ending
from analysis.transport.patience import Patience
from analysis.wire import failures
from analysis.wire.places import Place

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

POOL_CONNECTIONS = 1_024
"""Sockets at most; above the largest `rest_in_flight`, so that a request never waits for one."""

BODY_BYTES = 16 * 1024 * 1024
"""Largest body that is read, as the largest frame of a WebSocket; an answer has some kilobytes."""

KEEP_ALIVE_S = 15.0
"""Idle seconds before a socket is closed; below the idle limit of common load balancers (60)."""

_NO_PROXIES = dict.fromkeys(("http://", "https://", "all://"))
"""Goes before the proxies of the environment; SSL_CERT_FILE stays in effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What came back for one request; names of `headers` are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


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
        self._line: _Line | None = None

    def __repr__(self) -> str:
        return f"Carrier({self.place.host}, {'open' if self._line else 'closed'})"

    def open(self) -> None:
        """Load the client; connections are made by the first requests."""
        self._opened()

    async def post(
        self, path: str, *, model: str, body: bytes, headers: Mapping[str, str]
    ) -> HttpReply:
        """Return the service's reply, whatever its status.

        Args:
            path: Below the base URL, such as `/responses`.
            model: The model or deployment that the body names.
            body: JSON.
            headers: Sent beside those of the place.

        Raises:
            DeadlinePassed: If the connection was silent for too long.
            TransportError: If there is no reply; `ending` says whether it may have been paid.
            RouteClosed: If address, proxy or certificate cannot be used.
        """
        return await self._sent("POST", self.place.path(path, model), body, headers)

    async def get(self, path: str) -> HttpReply:
        """Return the service's reply to a GET; errors as in `post`."""
        return await self._sent("GET", path, None, {})

    async def _sent(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HttpReply:
        """Send one request past the package's layer of options, which costs as much again."""
        import aiohttp
        import httpx2

        line = self._opened()
        request = httpx2.Request(
            method,
            line.address(path),
            headers={**line.headers, **headers} if headers else line.headers,
            content=body,
            extensions={"timeout": line.timeout},
        )
        try:
            response = await line.http.send(request, stream=True)
            try:
                content = await self._whole(response)
            finally:
                await response.aclose()
        except (httpx2.InvalidURL, httpx2.RequestError, aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error
        fields = {name.decode().lower(): value for name, value in response.headers.raw}
        return HttpReply(
            status_code=response.status_code,
            headers={name: value.decode("latin-1") for name, value in fields.items()},
            content=content,
        )

    async def _whole(self, response: httpx2.Response) -> bytes:
        """Return a body, unless it has no end in reach."""
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > BODY_BYTES:
                raise TransportError(
                    f"The reply of {self.place.host} is longer than {BODY_BYTES >> 20} MiB.",
                    ending=Ending.UNKNOWN,
                    code="body_too_large",
                )
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Close all connections; may be called more than once."""
        line, self._line = self._line, None
        if line is not None:
            await line.http.aclose()

    async def in_time(self, work: Awaitable[T]) -> T:
        """Return what all the work for one request returns.

        Raises:
            DeadlinePassed: If it took longer than `timeout_s`.
        """
        try:
            async with Patience(self._timeout_s):
                return await work
        except TimeoutError as error:
            raise self._deadline_passed() from error

    def _deadline_passed(self) -> DeadlinePassed:
        return DeadlinePassed(
            f"No complete reply within {self._timeout_s:g} s.",
            ending=Ending.UNKNOWN,
            code="timeout",
        )

    def _lost(self, error: Exception) -> failures.Failure:
        """Return what a lost connection means: only a failed connect is surely unpaid."""
        lost = failures.from_exception(error, host=self.place.host, is_opening=False)
        return self._deadline_passed() if isinstance(lost, DeadlinePassed) else lost

    def _opened(self) -> _Line:
        """Return the line; the import takes half a second, so it waits for the first use.

        Raises:
            RouteClosed: If the proxy of the environment cannot be used.
        """
        if self._line is None:
            try:
                self._line = self._made()
            except ValueError as error:
                raise self._lost(error) from error
        return self._line

    def _made(self) -> _Line:
        import httpx2
        import openai

        place = self.place
        timeout = httpx2.Timeout(self._timeout_s, connect=self._connect_timeout_s)
        http = openai.DefaultAioHttpClient(
            timeout=timeout,
            limits=httpx2.Limits(
                max_connections=POOL_CONNECTIONS,
                max_keepalive_connections=POOL_CONNECTIONS,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            follow_redirects=False,
            mounts=_NO_PROXIES if place.is_loopback else None,
        )
        client = openai.AsyncOpenAI(
            api_key=place.api_key, base_url=place.base_url, max_retries=0, http_client=http
        )
        named = {
            name: value for name, value in client.default_headers.items() if type(value) is str
        }
        named.pop("Authorization", None)
        return _Line(
            http=http,
            base_url=str(client.base_url).rstrip("/"),
            query=place.query,
            headers={**named, **place.account_headers, **place.key_header},
            timeout=timeout.as_dict(),
        )


class _Line:
    """The client of the package, and what goes with each of its requests.

    Attributes:
        http: Connections, proxies, certificates.
        headers: Those of the package and those of the place.
        timeout: In the form that the connections take.
    """

    def __init__(
        self,
        *,
        http: httpx2.AsyncClient,
        base_url: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        timeout: Mapping[str, float | None],
    ) -> None:
        self.http = http
        self.headers = headers
        self.timeout = timeout
        self._base_url = base_url
        self._query = query
        self._addresses: dict[str, httpx2.URL] = {}

    def address(self, path: str) -> httpx2.URL:
        """Return the address of a path; each is read once."""
        import httpx2

        if path not in self._addresses:
            url = httpx2.URL(f"{self._base_url}{path}")
            self._addresses[path] = url.copy_merge_params(self._query) if self._query else url
        return self._addresses[path]
