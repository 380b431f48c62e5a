"""Addresses and headers of an opening; what a refused one means stands in the opening tests."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from analysis.errors import RouteClosed, TransportError
from analysis.records import Ending
from analysis.transport.handshake import dial
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .proxy_server import proxying
from .scripted import Service, Session, serving

FAR_AWAY = "api.test.invalid"
"""A host that only the proxy of the test knows."""

DEAD = "http://127.0.0.1:9"
"""An address at which no proxy is."""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the variables of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def silent(session: Session) -> None:
    """Say nothing."""
    await session.socket.wait_closed()


async def opened(place: Place) -> None:
    """Open a socket and close it."""
    socket = await dial(place, path="realtime", model="m", headers={"X-One": "1"}, timeout_s=20.0)
    await socket.close()


@virtual
async def test_the_key_and_the_given_headers_are_sent() -> None:
    """Nothing is compressed, and no protocol is spoken yet."""
    async with serving(service := Service(silent)):
        await opened(Place(base_url=service.base_url, api_key="k"))
    (asked,) = service.requests
    assert ("Bearer k", "1") == (asked.headers["Authorization"], asked.headers["X-One"])
    assert "Sec-WebSocket-Extensions" not in asked.headers


@virtual
async def test_where_headers_are_stripped_the_key_travels_as_a_subprotocol() -> None:
    """Then it stands in no header of its own, and neither does the account."""
    async with serving(service := Service(silent)):
        place = Place(
            base_url=service.base_url, api_key="k", project="p", is_key_in_subprotocol=True
        )
        await opened(place)
    (asked,) = service.requests
    offered = "realtime, openai-insecure-api-key.k, openai-project.p"
    assert offered == asked.headers["Sec-WebSocket-Protocol"]
    assert "Authorization" not in asked.headers and "OpenAI-Project" not in asked.headers


@virtual
async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host name is resolved by the proxy; the key is for the endpoint only."""
    async with (
        serving(service := Service(silent)),
        proxying(urlsplit(service.base_url).port or 0) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        await opened(Place(base_url=f"http://{FAR_AWAY}/v1", api_key="k"))
    assert [f"CONNECT {FAR_AWAY}:80 HTTP/1.1"] == proxy.asked
    assert FAR_AWAY == service.requests[0].headers["Host"]


@virtual
async def test_this_machine_is_reached_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy elsewhere could not reach it."""
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    async with serving(service := Service(silent)):
        await opened(Place(base_url=service.base_url, api_key="k"))
    assert 1 == service.connections


@pytest.mark.parametrize(
    ("status", "expected"), [(407, RouteClosed), (403, RouteClosed), (502, TransportError)]
)
@virtual
async def test_a_proxy_that_refuses_lets_nothing_pass(
    monkeypatch: pytest.MonkeyPatch, status: int, expected: type
) -> None:
    """A login or a rule is a matter of settings; anything else may pass later."""
    async with proxying(9, status=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(expected, match=f"{FAR_AWAY}.*proxy variables") as caught:
            await opened(Place(base_url=f"https://{FAR_AWAY}/v1", api_key="k"))
    assert (expected, 1) == (caught.type, len(proxy.asked))
    assert Ending.UNSENT is getattr(caught.value, "ending", Ending.UNSENT)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:9", "nonsense"])
@virtual
async def test_a_proxy_that_cannot_be_used_closes_the_route(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """One that needs another package, or none at all: the message names the variables."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(RouteClosed, match="proxy variables"):
        await opened(Place(base_url=f"https://{FAR_AWAY}/v1", api_key="k"))


@virtual
async def test_an_authority_of_ones_own_is_named_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate is refused for good until SSL_CERT_FILE names who signed it."""
    trustme = pytest.importorskip("trustme")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(known))

    async def handle(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        place = Place(base_url=f"https://127.0.0.1:{port}/v1", api_key="k")
        with pytest.raises(RouteClosed, match=r"not trusted.*SSL_CERT_FILE"):
            await opened(place)
        monkeypatch.setenv("SSL_CERT_FILE", str(known))
        await opened(place)
