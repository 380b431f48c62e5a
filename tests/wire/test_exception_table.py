"""What the exceptions of the libraries become; that they exist is shown with the other rows."""

from __future__ import annotations

import socket
import ssl

import aiohttp
import httpx2
import pytest
import websockets

from analysis.errors import DeadlinePassed, RouteClosed, TransportError
from analysis.records import Ending
from analysis.wire import failures


def connector(kind: type[aiohttp.ClientConnectorError]) -> aiohttp.ClientConnectorError:
    """Return an exception of a connection that did not come to be."""
    key = aiohttp.client_reqrep.ConnectionKey("host.example", 443, True, True, None, None, None)
    return kind(key, OSError(111, "refused"))


CALLS = [
    (connector(aiohttp.ClientConnectorError), TransportError, Ending.UNSENT),
    (connector(aiohttp.ClientConnectorDNSError), TransportError, Ending.UNSENT),
    (connector(aiohttp.ClientConnectorSSLError), TransportError, Ending.UNSENT),
    (connector(aiohttp.ClientProxyConnectionError), TransportError, Ending.UNSENT),
    (aiohttp.ConnectionTimeoutError(), TransportError, Ending.UNSENT),
    (aiohttp.SocketTimeoutError(), DeadlinePassed, Ending.UNKNOWN),
    (aiohttp.ServerDisconnectedError(), TransportError, Ending.UNKNOWN),
    (aiohttp.ClientPayloadError("cut"), TransportError, Ending.UNKNOWN),
    (aiohttp.ClientOSError(104, "reset"), TransportError, Ending.UNKNOWN),
    (aiohttp.InvalidURL("odd"), RouteClosed, None),
    (ssl.SSLCertVerificationError(1, "expired"), RouteClosed, None),
    (httpx2.PoolTimeout("full"), TransportError, Ending.UNSENT),
    (httpx2.RemoteProtocolError("odd"), TransportError, Ending.UNKNOWN),
    (ConnectionResetError(), TransportError, Ending.UNKNOWN),
]


@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize(("error", "expected", "ending"), CALLS)
def test_exceptions_of_a_request_over_https(
    error: Exception, expected: type, ending: Ending | None, is_wrapped: bool
) -> None:
    """Only a connection that never stood is surely unpaid; wrappers do not change that."""
    shown = error
    if is_wrapped:
        shown = httpx2.ConnectTimeout("wrapped")
        shown.__cause__ = error
    found = failures.from_exception(shown, host="host.example", is_opening=False)
    assert (expected, ending) == (type(found), getattr(found, "ending", None))
    assert "host.example" in str(found)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (websockets.InvalidUpgrade("Upgrade", "h2c"), RouteClosed),
        (websockets.InvalidHeader("Sec-WebSocket-Accept", "odd"), RouteClosed),
        (websockets.NegotiationError("odd subprotocol"), RouteClosed),
        (websockets.InvalidURI("odd", "no scheme"), RouteClosed),
        (ImportError("python-socks"), RouteClosed),
        (ssl.SSLCertVerificationError(1, "expired"), RouteClosed),
        (ssl.SSLError(1, "wrong version number"), TransportError),
        (socket.gaierror(-2, "unknown"), TransportError),
        (TimeoutError(), TransportError),
        (ConnectionRefusedError(), TransportError),
        (websockets.InvalidMessage("no HTTP"), TransportError),
    ],
)
def test_exceptions_of_a_websocket_that_opens(error: Exception, expected: type) -> None:
    """Nothing was sent, whatever went wrong."""
    found = failures.from_exception(error, host="host.example", is_opening=True)
    assert expected is type(found)
    assert Ending.UNSENT is getattr(found, "ending", Ending.UNSENT)
