"""The session of the realtime analyzer, and what is refused before a byte is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import ConfigurationError, RequestRejected, TransportError
from analysis.records import FailureKind
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import RealtimeSessionConfig, SemanticRealtimeAnalyzer
from tests.observed_service import ANALYZERS, UNPACED, serving
from tests.transport.scripted import Service as ScriptedService
from tests.transport.scripted import Session
from tests.transport.scripted import serving as scripted
from tests.virtual_loop import virtual


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[object]]]:
    """Listen on a free port; yields the address and a list that grows with every connection."""
    connections: list[object] = []

    def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", connections


@virtual
async def test_the_topic_of_the_session_stands_between_call_and_constructor() -> None:
    """Call beats session beats constructor; a config without a topic gives way to the latter."""
    async with serving("realtime", topic="mine") as (analyzer, service):
        await analyzer.initialize_session(RealtimeSessionConfig(topic="session"))
        await analyzer.analyze_chunk("a", "one")
        await analyzer.analyze_chunk("a", "one", topic="call")
        await analyzer.update_session(topic="changed")
        await analyzer.analyze_batch([("a", "one")])
        await analyzer.initialize_session(RealtimeSessionConfig())
        await analyzer.analyze_chunk("a", "one")
        assert ["session", "call", "changed", "mine"] == service.topics


@virtual
async def test_the_session_names_what_is_in_effect() -> None:
    """Empty before the connection; afterwards model, dialect and the settings of the server."""
    async with serving("realtime") as (analyzer, _):
        assert {} == analyzer.session
        await analyzer.connect()
        await analyzer.initialize_session()
        found = analyzer.session
        assert ("ga", ["text"]) == (found["dialect"], found["settings"]["output_modalities"])
        kept = json.loads(analyzer.facts["realtime"])
        assert ("ga", ["text"]) == (kept["dialect"], kept["settings"]["output_modalities"])
        assert "instructions" not in kept["settings"]
        detection = found["settings"]["audio"]["input"]["turn_detection"]
        assert ("server_vad", False) == (detection["type"], detection["create_response"])


@virtual
async def test_a_temperature_is_told_once() -> None:
    """The GA dialect has none: that is a notice when a config came, and not at every update."""
    told: list[str] = []
    async with serving("realtime", on_event=lambda event: told.append(event.message)) as (
        analyzer,
        _,
    ):
        await analyzer.initialize_session()
        assert [] == told
        await analyzer.initialize_session(RealtimeSessionConfig(temperature=0.8))
        await analyzer.update_session(temperature=0.9)
    (message,) = told
    assert "0.8 was checked and not sent" in message


@virtual
async def test_a_refused_update_raises_and_changes_nothing() -> None:
    """The server's refusal of a later update reaches the caller; the topic stays as it was."""

    async def handle(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.refuse(await session.heard(), "invalid_value")

    async with (
        scripted(ScriptedService(handle)) as service,
        SemanticRealtimeAnalyzer(api_key="k", base_url=service.base_url) as analyzer,
    ):
        await analyzer.initialize_session(RealtimeSessionConfig(topic="first"))
        with pytest.raises(RequestRejected, match="invalid_value"):
            await analyzer.update_session(topic="second")
        assert "first" == analyzer.topic


@virtual
async def test_an_unknown_field_of_the_session_is_refused() -> None:
    """The message names the fields that there are."""
    async with serving("realtime") as (analyzer, service):
        with pytest.raises(ConfigurationError, match=r"no field voice\. Fields: topic, temper"):
            await analyzer.update_session(voice="alloy")
        with pytest.raises(ConfigurationError, match=r"0\.6 to 1\.2"):
            await analyzer.update_session(temperature=0.5)
        assert [] == service.spans


@virtual
async def test_a_refused_connection_raises_from_connect() -> None:
    """Nobody listens: the error says so and that nothing was sent."""
    async with listening() as (address, _):
        pass  # the port is free again
    async with SemanticRealtimeAnalyzer(api_key="k", base_url=address) as analyzer:
        with pytest.raises(TransportError, match="No connection to"):
            await analyzer.connect()


@pytest.mark.parametrize("kind", ANALYZERS)
@virtual
async def test_nobody_at_the_address(kind: str) -> None:
    """A single chunk fails as unavailable after its attempts; a batch raises what is wrong."""
    async with listening() as (address, _):
        pass  # the port is free again
    patient = replace(UNPACED, connect_attempts=1)
    hasty = replace(patient, attempts_per_route=1)
    make = ANALYZERS[kind]
    async with make(api_key="k", base_url=address, settings=hasty) as analyzer:
        verdict = await analyzer.analyze_chunk("a", "one")
        assert verdict.error is not None
        assert FailureKind.UNAVAILABLE is verdict.error.kind
    async with make(api_key="k", base_url=address, settings=patient) as analyzer:
        with pytest.raises(TransportError, match=r"No route answered.*No connection to"):
            await analyzer.analyze_chunk("a", "one")


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "temperature 0.5": (lambda: RealtimeSessionConfig(temperature=0.5), r"0\.6 to 1\.2"),
    "temperature 1.3": (lambda: RealtimeSessionConfig(temperature=1.3), r"0\.6 to 1\.2"),
    "temperature nan": (lambda: RealtimeSessionConfig(temperature=float("nan")), r"0\.6 to 1\.2"),
    "temperature text": (
        lambda: RealtimeSessionConfig(temperature="0.7"),  # type: ignore[arg-type]
        r"0\.6 to 1\.2",
    ),
    "audio": (lambda: RealtimeSessionConfig(modalities=["text", "audio"]), r'\["text"\]'),
    "modalities as text": (lambda: RealtimeSessionConfig(modalities="text"), r'\["text"\]'),
    "no turn detection": (lambda: RealtimeSessionConfig(turn_detection="none"), "server_vad"),
    "answers by itself": (
        lambda: RealtimeSessionConfig(
            turn_detection={"type": "server_vad", "create_response": True}
        ),
        r'"create_response": False',
    ),
    "audio format": (lambda: RealtimeSessionConfig(input_audio_format="mp3"), "pcm16"),
    "dialect of the session": (lambda: RealtimeSessionConfig(dialect="delta"), "auto, ga"),
}
"""What is refused -> who refuses it, and the allowed values in the message."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_session_that_the_service_would_refuse(name: str) -> None:
    """Each value is refused where it is named, with the values that are allowed."""
    make, allowed = REFUSED[name]
    with pytest.raises(ConfigurationError, match=allowed):
        make()


@pytest.mark.parametrize("kind", ANALYZERS)
@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"label_set": "ten_function"}, "ten_functions"),
        ({"language": "de"}, "auto, en, ru, fr, zh"),
        ({"timeout_s": 0}, "above 0"),
        ({"timeout_s": float("nan")}, "above 0"),
        ({"max_concurrent": 0}, "at least 1"),
        ({"max_concurrent": 1.5}, "at least 1"),
        ({"topic": 5}, "must be a str"),
        ({"api_key": "two words"}, "no key has"),
        ({"base_url": "http://example.org/v1"}, "https://"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "https://"),
    ],
)
@virtual
async def test_arguments_are_checked_before_a_byte_is_sent(
    kind: str, options: dict[str, Any], allowed: str
) -> None:
    """The constructor refuses what cannot work, names what does, and connects to nobody."""
    async with listening() as (address, connections):
        with pytest.raises(ConfigurationError, match=allowed):
            ANALYZERS[kind](**({"api_key": "k", "base_url": address} | options))
    assert [] == connections


@virtual
async def test_dialects_and_routes_are_checked_before_a_byte_is_sent() -> None:
    """Names that do not exist are refused with those that do."""
    async with listening() as (address, connections):
        where = {"api_key": "k", "base_url": address}
        with pytest.raises(ConfigurationError, match="auto, ga"):
            SemanticRealtimeAnalyzer(**where, dialect="delta")  # type: ignore[arg-type]
        for routes in ("realtime,telegraph", ["telegraph"], "", "rest,rest"):
            with pytest.raises(ConfigurationError, match="realtime, rest, offline"):
                HybridSemanticAnalyzer(**where, routes=routes)  # type: ignore[arg-type]
    assert [] == connections


@pytest.mark.parametrize("kind", ANALYZERS)
def test_without_key_and_address_nothing_starts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither argument nor environment names a service: the message names both cures."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*OPENAI_BASE_URL"):
        ANALYZERS[kind]()
