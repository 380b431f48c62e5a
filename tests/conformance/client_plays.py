"""Everything that our client can say, on every route, and what the service says to it.

The analyzers label chunks with the prompt of everyday use, with and without faults; the transports
are driven by hand where an analyzer has no word for it; bodies that only servers of other makers
bring about are made by `wire/` directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from analysis.errors import AnalysisError
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.records import Request
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS
from analysis.simulator.profile import PROFILE, ROUTES
from analysis.transport import Transport
from analysis.transport.rest import RestTransport
from analysis.transport.websocket import RealtimeTransport
from analysis.wire import chat, decisions, responses
from analysis.wire.forms import CAPS, FORMATS, OPTIONAL, STRICTEST, Form
from analysis.wire.places import Place
from analysis.wire.session import ContextItem, SessionSettings
from tests.conformance.plays import Play, Talk
from tests.conformance.suites import Message, sent
from tests.observed_service import chunks_of
from tests.transport import examples
from tests.wire.examples import request

KNOBS = replace(
    SETTINGS,
    requests_per_minute=10_000_000,
    tokens_per_minute=10_000_000_000,
    timeout_s=5.0,
    silence_s=3.0,
    outage_limit_s=30.0,
)
FAULTS: tuple[Mapping[str, float], ...] = (
    {},
    dict.fromkeys(("shuffle", "duplicate", "reorder", "unknown_event", "foreign_event"), 0.2),
    dict.fromkeys(
        ("refusal", "malformed", "truncated", "out_of_enum", "missing_item", "extra_item"), 0.15
    ),
    dict.fromkeys(("drop", "hang", "half_open", "stall", "torn", "delay"), 0.1),
    dict.fromkeys(("error_500", "overloaded", "slow_down", "rejected_create"), 0.15),
    {"lying_headers": 1.0, "doubled_item": 0.2},
    {"quota": 0.1},
)
"""Faults of one play; they disturb but do not keep each other from being seen."""

CHUNKS = 45
PER_REQUEST = 3
NO_RESPONSES = tuple(sorted(set(ROUTES) - {"responses"}))
NOTES = ContextItem(role="user", text="An outline.")
HISTORY = tuple(ContextItem(role=role, text=role) for role in ("system", "user", "assistant"))
SCHEMA: Any = PromptBuilder(LabelSet.load("ten_functions"), rng=random.Random(7)).schema
LONG = "Label each chunk. " * 400
"""Instructions that are long enough for the prompt cache."""


def plays() -> Iterator[Play]:
    """Return the plays of our client."""
    for dialect in ("ga", "beta"):
        yield from _routed("realtime", f"realtime {dialect}", dialect=dialect)
        yield from _sessions(dialect)
    yield from _routed("responses-ws", "responses-ws")
    yield from _routed("rest", "responses")
    yield from _routed("rest", "chat", endpoints=NO_RESPONSES)
    yield from _routed("decisions", "decisions")
    yield from _forms()
    yield from _aged()
    yield from _placed()


def _routed(route: str, name: str, **options: Any) -> Iterator[Play]:
    """Label chunks over a route: as it is, with faults, and with small limits."""
    for faults in FAULTS:
        given = {**options, "faults": faults}
        yield Play(name=f"{name} {'+'.join(faults)}", talk=_labelling(route), options=given)
    yield Play(name=f"{name} limited", talk=_labelling(route), options={**options, "rpm": 10})
    yield Play(
        name=f"{name} with a bad key",
        talk=_labelling(route),
        options={**options, "api_key": "another"},
    )


def _labelling(route: str, **options: Any) -> Talk:
    async def talk(base_url: str) -> None:
        arguments = {"settings": KNOBS, "topic": "trains", **options}
        async with HybridSemanticAnalyzer(
            "key-1", base_url=base_url, routes=route, seed=7, **arguments
        ) as analyzer:
            # Some plays have no good end; what was said until then is what counts.
            with contextlib.suppress(AnalysisError):
                await analyzer.analyze_batch(chunks_of(CHUNKS), chunks_per_request=PER_REQUEST)

    return talk


# Realtime sessions


def _sessions(dialect: str) -> Iterator[Play]:
    base = replace(examples.SETTINGS, dialect=dialect, tool_parameters=SCHEMA)
    variants: dict[str, SessionSettings] = {
        "context": replace(base, context=(*HISTORY, NOTES), max_output_tokens=400),
        "formats": replace(
            base,
            input_audio_format="g711_ulaw",
            output_audio_format="g711_alaw",
            turn_detection="semantic_vad",
            temperature=1.2,
        ),
        "no turns": replace(base, turn_detection=None, reasoning_effort=None),
        "truncation": replace(base, truncation=0.8, reasoning_effort="high"),
        "older model": replace(base, model="gpt-realtime-mini", truncation="disabled"),
    }
    for name, settings in variants.items():
        yield Play(
            name=f"realtime {dialect} {name}",
            talk=_session(settings),
            options={"dialect": dialect},
        )
    serial = replace(PROFILE, is_out_of_band_served=False)
    yield Play(
        name=f"realtime {dialect} in turns",
        talk=_labelling("realtime"),
        options={"dialect": dialect, "profile": serial},
    )
    yield Play(
        name=f"realtime {dialect} given up",
        talk=_giving_up(base),
        options={"dialect": dialect, "latency_ms": 10_000.0},
    )


def _transport(base_url: str, settings: SessionSettings) -> RealtimeTransport:
    place = Place(base_url=base_url, api_key="key-1", safety_identifier="u1", organization="o")
    return RealtimeTransport(place=place, settings=settings, rng=random.Random(7))


def _session(settings: SessionSettings) -> Talk:
    async def talk(base_url: str) -> None:
        """Use every verb of a session, then change its settings and ask again."""
        transport = _transport(base_url, settings)
        await transport.open()
        await transport.ask(examples.request("r1", "one", "two"))
        first = await transport.create_item(NOTES)
        placed = [
            await transport.create_item(item, previous_item_id=where)
            for item, where in zip(HISTORY, ("root", first, None), strict=True)
        ]
        for item_id in (first, *placed):
            await transport.retrieve_item(item_id)
            await transport.delete_item(item_id)
        for operation in (transport.retrieve_item, transport.delete_item):
            with contextlib.suppress(AnalysisError):
                await operation("item_nobody_knows")
        await transport.update(replace(settings, instructions="Label.", context=(NOTES,)))
        await transport.ask(examples.request("r2"))
        await transport.close()

    return talk


def _giving_up(settings: SessionSettings) -> Talk:
    async def talk(base_url: str) -> None:
        """Cancel one request whose response is known, and one about which nothing was heard."""
        transport = _transport(base_url, settings)
        await transport.open()
        asked = [asyncio.create_task(transport.ask(examples.request(rid))) for rid in ("r1", "r2")]
        await asyncio.sleep(1.0)
        asked.append(asyncio.create_task(transport.ask(examples.request("r3"))))
        await asyncio.sleep(0)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
        await asyncio.sleep(20.0)
        await transport.close()

    return talk


def _aged() -> Iterator[Play]:
    """Connections that end by their age, and sessions that are refused."""
    for dialect in ("ga", "beta"):
        old = replace(PROFILE, session_max_age_s=1.0)
        yield Play(
            name=f"realtime {dialect} expired",
            talk=_labelling("realtime"),
            options={"dialect": dialect, "profile": old, "latency_ms": 400.0},
        )
    old = replace(PROFILE, responses=replace(PROFILE.responses, connection_max_age_s=0.5))
    yield Play(
        name="responses-ws expired",
        talk=_labelling("responses-ws"),
        options={"profile": old, "latency_ms": 400.0},
    )
    yield Play(name="responses-ws tier", talk=_labelling("responses-ws", service_tier="flex"))
    yield Play(name="responses tier", talk=_labelling("rest", service_tier="flex"))
    yield Play(name="realtime beta forced", talk=_labelling("realtime", dialect="beta"))
    yield Play(name="realtime bad model", talk=_labelling("realtime", model="nobody"))
    yield Play(
        name="responses-ws cold",
        talk=_labelling("responses-ws", settings=replace(KNOBS, responses_ws_warm_up=True)),
    )
    bare = replace(PROFILE, omits_optional_fields=True, is_requests_limit_reported=True)
    for route in ("realtime", "responses-ws"):
        yield Play(name=f"{route} bare", talk=_labelling(route), options={"profile": bare})


def _placed() -> Iterator[Play]:
    """Places other than a plain address: Azure in both forms, and a key in a subprotocol."""
    dated: dict[str, Any] = {"auth": "api-key", "api_version": "2025-04-01-preview"}
    places: dict[str, dict[str, Any]] = {
        "azure dated": {"below": "/openai", **dated},
        "azure v1": {"below": "/openai/v1", "auth": "api-key"},
        "browser": {"below": "/v1", "is_key_in_subprotocol": True, "project": "p"},
    }
    for name, options in places.items():
        yield Play(name=f"realtime at {name}", talk=_elsewhere("realtime", **options))
        for endpoint in ("responses", "chat"):
            yield Play(name=f"{endpoint} at {name}", talk=_elsewhere(endpoint, **options))


def _elsewhere(kind: str, *, below: str, **options: Any) -> Talk:
    async def talk(base_url: str) -> None:
        root = base_url.removesuffix("/v1") + below
        place = Place(base_url=root, api_key="key-1", safety_identifier="u1", **options)
        asked = examples.request("r1", "one", "two", schema=SCHEMA)
        transport: Transport
        if kind == "realtime":
            settings = replace(examples.SETTINGS, tool_parameters=SCHEMA)
            transport = RealtimeTransport(place=place, settings=settings, rng=random.Random(7))
        else:
            transport = RestTransport(place=place, endpoint=kind)
        await transport.open()
        await transport.ask(asked)
        await transport.close()

    return talk


def _forms() -> Iterator[Play]:
    """Servers that take no schema for an answer, and token probabilities given and refused."""
    for route, name, endpoints in (
        ("rest", "responses", ROUTES),
        ("rest", "chat", NO_RESPONSES),
        ("responses-ws", "responses-ws", ROUTES),
    ):
        for has_logprobs in (True, False):
            yield Play(
                name=f"{name} with{'' if has_logprobs else ' refused'} logprobs",
                talk=_labelling(route, logprobs=True),
                options={"endpoints": endpoints, "has_logprobs": has_logprobs},
            )
    for name, endpoints in (("responses", ROUTES), ("chat", NO_RESPONSES)):
        options = {"has_json_schema": False, "endpoints": endpoints}
        yield Play(name=f"{name} without schema", talk=_labelling("rest"), options=options)


# Bodies


def bodies() -> Iterator[Message]:
    """Return every form of a body that `wire/` can make, beyond those that the plays bring about.

    Models of each family, tiers, safety identifiers, long and short instructions, each optional
    field left out in turn.
    """
    extras: tuple[dict[str, Any], ...] = (
        {},
        {"service_tier": "flex", "safety_identifier": "u1", "temperature": 0.7},
    )
    for model, form, extra in itertools.product(
        ("gpt-6-luna", "gpt-6-astra", "gpt-5.6-luna", "gpt-4.1-mini", "vendor/own"),
        _all_forms(),
        extras,
    ):
        for asked in (request(model=model), _long(request(model=model))):
            body = responses.body(asked, form=form, **extra)
            yield sent("responses", json.dumps(body))
            lane = {"type": "response.create", "stream_id": "w00", "generate": False, **body}
            yield sent("responses-ws", json.dumps(lane), "response.create")
            yield sent("chat", json.dumps(chat.body(asked, form=form, **extra)))
    for asked in (_with_choices(request()), _long(_with_choices(request()))):
        for is_cached, identifier in itertools.product((False, True), (None, "u1")):
            body = decisions.body(asked, is_cached=is_cached, safety_identifier=identifier)
            yield sent("decisions", json.dumps(body))


def _all_forms() -> Iterator[Form]:
    for form, cap in itertools.product(FORMATS, CAPS):
        yield replace(STRICTEST, format=form, cap=cap)
    yield replace(STRICTEST, has_cache_options=False)
    yield from (replace(STRICTEST, without=frozenset({name})) for name in sorted(OPTIONAL))
    yield replace(STRICTEST, has_cache_options=False, without=OPTIONAL)


def _long(asked: Request) -> Request:
    return replace(asked, ask=replace(asked.ask, instructions=LONG))


def _with_choices(asked: Request) -> Request:
    return replace(asked, ask=replace(asked.ask, choices=("key_thesis", "example")))
