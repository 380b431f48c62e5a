"""The session of the realtime analyzer, and what is refused before a byte is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import AnalysisError, ConfigurationError, RequestRejected, TransportError
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import (
    CONTEXT_WORDS,
    RealtimeSessionConfig,
    SemanticRealtimeAnalyzer,
)
from analysis.simulator.profile import Profile
from tests.observed_service import (
    ANALYZERS,
    LABELS,
    UNPACED,
    ObservedService,
    chunks_of,
    serving,
    wrong_labels,
)
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


def test_there_is_no_session_before_the_first_call() -> None:
    """Whoever looks needs no event loop."""
    analyzer = SemanticRealtimeAnalyzer(api_key="k", base_url="http://127.0.0.1:9/v1")
    assert {} == analyzer.session


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
        for config in ("trains", {"topic": "trains"}):
            with pytest.raises(ConfigurationError, match=r"config is of .* a RealtimeSess"):
                await analyzer.initialize_session(config)
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
    """What was never sent has not failed: the call raises what is wrong, and nothing was paid."""
    async with listening() as (address, _):
        pass  # the port is free again
    patient = replace(UNPACED, connect_attempts=1)
    make = ANALYZERS[kind]
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
    "effort": (lambda: RealtimeSessionConfig(reasoning_effort="none"), "minimal, low, medium"),
    "output cap": (lambda: RealtimeSessionConfig(max_output_tokens=9_000), "1 to 4096"),
    "truncation": (lambda: RealtimeSessionConfig(truncation="never"), "auto, disabled"),
    "long context": (lambda: RealtimeSessionConfig(context="x" * 100_001), "100000"),
    "context that is no text": (
        lambda: RealtimeSessionConfig(context=5),  # type: ignore[arg-type]
        "must be a str",
    ),
    "role of a message": (
        lambda: RealtimeSessionConfig(history=[{"role": "tool", "text": "x"}]),
        "system, user, assistant",
    ),
    "message without a text": (lambda: RealtimeSessionConfig(history=[{"role": "user"}]), "text"),
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
            with pytest.raises(ConfigurationError, match=r"realtime, .*rest, .*offline"):
                HybridSemanticAnalyzer(**where, routes=routes)  # type: ignore[arg-type]
    assert [] == connections


@pytest.mark.parametrize("kind", ANALYZERS)
def test_without_key_and_address_nothing_starts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither argument nor environment names a service: the message names both cures."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*OPENAI_BASE_URL"):
        ANALYZERS[kind]()


@virtual
async def test_a_context_and_a_history_stand_in_front_of_every_request() -> None:
    """Created once, referenced by every request; a change of session takes them away again."""
    async with serving("realtime") as (analyzer, service):
        said = [{"role": "user", "text": "hello"}, {"role": "assistant", "text": "welcome"}]
        config = RealtimeSessionConfig(context="a book about cycling", history=said)
        await analyzer.initialize_session(config)
        found = await analyzer.analyze_batch([("a", "one"), ("b", "two")])
        assert [None, None] == [verdict.error for verdict in found]
        assert CONTEXT_WORDS in analyzer.session["settings"]["instructions"]
        await analyzer.update_session(context=None, history=())
        assert CONTEXT_WORDS not in analyzer.session["settings"]["instructions"]
        assert (await analyzer.analyze_chunk("c", "three")).error is None
        assert 3 == service.paid_chunks()


@virtual
async def test_effort_cap_and_truncation_reach_the_session() -> None:
    """They are in effect as the server states them."""
    async with serving("realtime") as (analyzer, _):
        await analyzer.initialize_session(
            RealtimeSessionConfig(reasoning_effort="low", max_output_tokens=900, truncation=0.5)
        )
        settings = analyzer.session["settings"]
        assert ("low", 900) == (settings["reasoning"]["effort"], settings["max_output_tokens"])
        assert 0.5 == settings["truncation"]["retention_ratio"]


async def one_conversation(session: Session) -> None:
    """Label from the default conversation: each text is the label that it wants; name nobody."""
    await session.greet()
    await session.take_update()
    items: dict[str, str] = {}
    number = 0
    while True:
        event = await session.heard()
        match event["type"]:
            case "conversation.item.create":
                items[event["item"]["id"]] = event["item"]["content"][0]["text"]
                await session.say("conversation.item.added", item=event["item"])
            case "conversation.item.delete":
                del items[event["item_id"]]
                await session.say("conversation.item.deleted", item_id=event["item_id"])
            case "response.create":
                number += 1
                given = [json.loads(text)["chunks"] for text in items.values()]
                answers = [
                    {"id": chunk["id"], "labels": [chunk["text"]]}
                    for chunks in given
                    for chunk in chunks
                ]
                await session.answer(f"p{number}", json.dumps({"answers": answers}))


@virtual
async def test_a_server_without_out_of_band_responses_labels_in_turns() -> None:
    """The first requests fail, the retries take turns, and every chunk gets its own label."""
    told: list[str] = []
    service = ScriptedService(one_conversation)
    async with (
        scripted(service),
        SemanticRealtimeAnalyzer(
            api_key="k",
            base_url=service.base_url,
            on_event=lambda event: told.append(event.message),
        ) as analyzer,
    ):
        found = await analyzer.analyze_batch([(f"c{n}", LABELS[n % 2]) for n in range(12)])
        assert [LABELS[n % 2] for n in range(12)] == [one.semantic_function for one in found]
    assert 1 == sum("take turns" in message for message in told)


@virtual
async def test_turns_can_be_forbidden_by_the_settings() -> None:
    """Then such a server labels nothing, and the error says what it cannot do."""
    settings = replace(UNPACED, realtime_serial_fallback=False)
    service = ScriptedService(one_conversation)
    async with (
        scripted(service),
        SemanticRealtimeAnalyzer(
            api_key="k", base_url=service.base_url, settings=settings
        ) as analyzer,
    ):
        with pytest.raises(AnalysisError, match="out-of-band"):
            await analyzer.analyze_batch([("c", LABELS[0])])


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@virtual
async def test_the_service_without_out_of_band_responses_swaps_nothing(dialect: str) -> None:
    """Many requests at once find it out; every chunk of a larger job gets its own label."""
    profile = replace(Profile(), is_out_of_band_served=False)
    service = ObservedService(latency_ms=20, profile=profile, dialect=dialect)
    chunks = chunks_of(200)
    async with serving("realtime", service) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks)
        assert [] == wrong_labels(chunks, verdicts)
        assert {} == analyzer.statistics()["connections"]["realtime"]["violations"]


@virtual
async def test_sessions_are_replaced_under_load_and_nothing_is_paid_twice() -> None:
    """A run over many short sessions: every chunk is paid once, and no request is lost."""
    knobs = replace(UNPACED, session_age_s=2.0)
    chunks = chunks_of(600)
    async with serving("realtime", ObservedService(latency_ms=900), settings=knobs) as (
        analyzer,
        service,
    ):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=10)
        assert [] == wrong_labels(chunks, verdicts)
        assert 600 == service.paid_chunks()
        counters = analyzer.statistics()["connections"]["realtime"]
        assert (True, {}) == (counters["rotations"] >= 3, counters["violations"])


@virtual
async def test_a_service_that_ends_old_sessions_is_left_before_it_does() -> None:
    """It states when a session ends; nothing is lost and nothing is paid twice."""
    chunks = chunks_of(400)
    profile = replace(Profile(), session_max_age_s=20.0)
    service = ObservedService(latency_ms=500, profile=profile)
    async with serving("realtime", service) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=1)
        assert [] == wrong_labels(chunks, verdicts)
        assert 400 == service.paid_chunks()
        assert analyzer.statistics()["connections"]["realtime"]["rotations"] >= 1
