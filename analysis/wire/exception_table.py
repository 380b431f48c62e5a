"""The rows of exceptions: what the libraries that carry bytes raise, and what it becomes.

Pure. `wire/error_table.py` holds them together with the other rows. Libraries are known by name
only, so that nothing of them is loaded here.
"""

from __future__ import annotations

from analysis.errors import DeadlinePassed, RouteClosed, TransportError
from analysis.records import Ending
from analysis.wire.error_rows import ANY, CHECK_URL, Row, Where

_CHECK_CA = (
    "If the endpoint or its proxy has a certificate authority of its own, name the file of its "
    "certificates in SSL_CERT_FILE; the check cannot be turned off."
)
_CHECK_PROXY = "Check the proxy variables (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)."

EXCEPTIONS = (
    Row(
        where=Where.CONNECT,
        patterns=(
            "aiohttp.ClientConnectorCertificateError",
            "aiohttp.ServerFingerprintMismatch",
            "ssl.SSLCertVerificationError",
        ),
        becomes=RouteClosed,
        ending=Ending.UNSENT,
        meaning="The certificate of {host} is not trusted",
        cure=_CHECK_CA,
        source="M",
    ),
    Row(
        where=Where.CONNECT,
        patterns=("aiohttp.ClientSSLError",),
        becomes=TransportError,
        ending=Ending.UNSENT,
        meaning="No connection to {host} over TLS",
        cure="Check scheme and port of the base URL.",
        source="M",
    ),
    Row(
        where=Where.CONNECT,
        patterns=(
            "aiohttp.ClientHttpProxyError 403",
            "aiohttp.ClientHttpProxyError 407",
            "websockets.InvalidProxyStatus 403",
            "websockets.InvalidProxyStatus 407",
        ),
        becomes=RouteClosed,
        ending=Ending.UNSENT,
        meaning="The proxy refused the way to {host}",
        cure=_CHECK_PROXY,
        source="M",
    ),
    Row(
        where=Where.CONNECT,
        patterns=(
            "aiohttp.ClientHttpProxyError",
            "aiohttp.ClientProxyConnectionError",
            "websockets.ProxyError",
        ),
        becomes=TransportError,
        ending=Ending.UNSENT,
        meaning="No connection to {host} through the proxy",
        cure=_CHECK_PROXY,
        source="M",
    ),
    Row(
        where=Where.CONNECT,
        patterns=(
            "aiohttp.InvalidURL",
            "aiohttp.NonHttpUrlClientError",
            "httpx2.InvalidURL",
            "httpx2.UnsupportedProtocol",
            "websockets.InvalidURI",
            "websockets.InvalidProxy",
            "builtins.ImportError",
            "builtins.ValueError",
        ),
        becomes=RouteClosed,
        ending=Ending.UNSENT,
        meaning="The address of {host} or of its proxy cannot be used",
        cure=f"{CHECK_URL} {_CHECK_PROXY}",
        source="M; the last two come of a kind of proxy that is not spoken",
    ),
    Row(
        where=Where.CONNECT,
        patterns=("aiohttp.ClientConnectorDNSError", "socket.gaierror"),
        becomes=TransportError,
        ending=Ending.UNSENT,
        meaning="No connection to {host}, whose name was not found",
        source="M",
    ),
    Row(
        where=Where.CALL,
        patterns=(
            "aiohttp.ClientConnectorError",
            "aiohttp.ConnectionTimeoutError",
            "httpx2.PoolTimeout",
        ),
        becomes=TransportError,
        ending=Ending.UNSENT,
        meaning="No connection to {host}",
        source="M",
    ),
    Row(
        where=Where.CALL,
        patterns=("aiohttp.SocketTimeoutError",),
        becomes=DeadlinePassed,
        ending=Ending.UNKNOWN,
        meaning="No complete reply of {host} in time",
        code="timeout",
        source="M",
    ),
    Row(
        where=Where.CALL,
        patterns=("aiohttp.ClientPayloadError",),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The reply of {host} was cut off",
        source="M: shorter than its Content-Length, or without its last chunk",
    ),
    Row(
        where=Where.CALL,
        patterns=(ANY,),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The connection was lost before the reply of {host}",
        source="M: aiohttp.ClientError, httpx2.RequestError, OSError",
    ),
    Row(
        where=Where.OPENING,
        patterns=(
            "websockets.InvalidHeader",
            "websockets.InvalidUpgrade",
            "websockets.NegotiationError",
        ),
        becomes=RouteClosed,
        ending=Ending.UNSENT,
        meaning="No WebSocket is spoken properly by {host}",
        cure=CHECK_URL,
        source="M: such as a wrong Sec-WebSocket-Accept",
    ),
    Row(
        where=Where.OPENING,
        patterns=(ANY,),
        becomes=TransportError,
        ending=Ending.UNSENT,
        meaning="No connection to {host}",
        source="M: OSError, ssl.SSLError, TimeoutError, websockets.InvalidHandshake",
    ),
)
"""In the order of asking."""
