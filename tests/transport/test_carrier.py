"""The HTTP client: proxies, certificates, and what a lost connection means."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analysis.errors import RouteClosed, TransportError
from analysis.records import Ending
from analysis.transport.carrier import Carrier
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .proxy_server import proxying

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


@contextlib.asynccontextmanager
async def serving(
    context: ssl.SSLContext | None = None, *, heard: list[str] | None = None
) -> AsyncIterator[int]:
    """Run a server that answers whatever comes with 204; yields its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(65_536)
        if heard is not None:
            heard.append(asked.decode())
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def status_of(base_url: str) -> int:
    """Ask once; return the status of the reply."""
    carrier = Carrier(
        Place(base_url=base_url, api_key="sk-secret"), timeout_s=20.0, connect_timeout_s=20.0
    )
    try:
        return (await carrier.get("/models")).status_code
    finally:
        await carrier.close()


@pytest.mark.parametrize(
    ("auth", "sent", "unsent"),
    [
        ("bearer", "Authorization: Bearer sk-secret", "api-key:"),
        ("api-key", "api-key: sk-secret", "Authorization:"),
    ],
)
@virtual
async def test_the_key_stands_in_one_header(auth: str, sent: str, unsent: str) -> None:
    """Whatever the method; organisation and project go along, the version stands in the query."""
    heard: list[str] = []
    async with serving(heard=heard) as port:
        place = Place(
            base_url=f"http://127.0.0.1:{port}/openai",
            api_key="sk-secret",
            auth=auth,
            organization="org",
            project="proj",
            api_version="2025-04-01-preview",
        )
        carrier = Carrier(place, timeout_s=20.0, connect_timeout_s=20.0)
        await carrier.get("/models")
        await carrier.post("/chat/completions", model="d", body=b"{}", headers={"X-One": "1"})
        await carrier.close()
    lines = [asked.partition(" ")[2].partition(" ")[0] for asked in heard]
    assert [
        "/openai/models?api-version=2025-04-01-preview",
        "/openai/deployments/d/chat/completions?api-version=2025-04-01-preview",
    ] == lines
    for asked in heard:
        for header in (sent, "OpenAI-Organization: org", "OpenAI-Project: proj"):
            assert 1 == asked.lower().count(header.lower())
        assert unsent.lower() not in asked.lower()


@virtual
async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host name is resolved by the proxy."""
    async with serving() as port, proxying(port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert 204 == await status_of(f"http://{FAR_AWAY}/v1")
    assert [f"GET http://{FAR_AWAY}/v1/models HTTP/1.1"] == proxy.asked


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
@virtual
async def test_this_machine_is_reached_without_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy elsewhere could not reach it."""
    monkeypatch.setenv(name, DEAD)
    async with serving() as port:
        assert 204 == await status_of(f"http://127.0.0.1:{port}/v1")


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
            await status_of(f"https://{FAR_AWAY}/v1")
    assert (expected, [f"CONNECT {FAR_AWAY}:443 HTTP/1.1"]) == (caught.type, proxy.asked)
    assert Ending.UNSENT is getattr(caught.value, "ending", Ending.UNSENT)


@virtual
async def test_a_proxy_that_is_away_means_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The way ended before the endpoint."""
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    with pytest.raises(TransportError, match="through the proxy") as caught:
        await status_of(f"https://{FAR_AWAY}/v1")
    assert Ending.UNSENT is caught.value.ending


@virtual
async def test_a_proxy_that_cannot_be_used_closes_the_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No wait makes it one that is spoken."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://127.0.0.1:9")
    with pytest.raises(RouteClosed, match="proxy variables"):
        await status_of(f"https://{FAR_AWAY}/v1")


@virtual
async def test_a_server_without_tls_is_never_asked() -> None:
    """Where https is said, nothing goes out in the clear."""
    async with serving() as port:
        with pytest.raises(TransportError, match="over TLS") as caught:
            await status_of(f"https://127.0.0.1:{port}/v1")
    assert Ending.UNSENT is caught.value.ending


@virtual
async def test_an_authority_of_ones_own_is_named_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate is refused for good until SSL_CERT_FILE names who signed it."""
    trustme = pytest.importorskip("trustme")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(FAR_AWAY, "127.0.0.1").configure_cert(context)
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(known))
    async with serving(context) as port, proxying(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(RouteClosed, match=r"not trusted.*SSL_CERT_FILE"):
            await status_of(f"https://{FAR_AWAY}/v1")
        monkeypatch.setenv("SSL_CERT_FILE", str(known))
        assert 204 == await status_of(f"https://{FAR_AWAY}/v1")
        assert 204 == await status_of(f"https://127.0.0.1:{port}/v1")
        with pytest.raises(RouteClosed, match="not trusted"):
            await status_of("https://other.test.invalid/v1")
