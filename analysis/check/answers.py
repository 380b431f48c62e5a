"""One chunk over a route: its label, and what the service says of its limits.

io. Part of `analysis.check`. Each probe sends one chunk, once; none is sent to hear of limits where
a route states none by its nature.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from random import Random

from analysis.check.findings import Finding, failed, found, unlabeled
from analysis.connections import make_transport
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError, DeadlinePassed
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.labels.tokens import estimate
from analysis.records import Chunk, Failed, Item, Pack, RateLimit, Request
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import (
    CHOICE_ROUTES,
    DEFAULT_LABEL_SET,
    DEFAULT_MODELS,
    SETTINGS,
    UNSTATED_LIMITS,
)
from analysis.transport import Transport

PROBE_TOPIC = "Night trains"
PROBE_TEXT = "For example, the line to the coast has been full since May."
"""The one chunk that is sent; with the instructions it costs about 900 tokens."""

PROBE_SETTINGS = replace(SETTINGS, attempts_per_route=1, answer_attempts=1)
"""A probe tells of the first answer, so it asks once."""

LIMITS_WAIT_S = 1.0
"""How long a statement of limits may come after the answer; 43 ms in a capture of 2026-09."""


async def round_trip(
    endpoint: Endpoint,
    route: str,
    *,
    asked: Mapping[str, str] = DEFAULT_MODELS,
    timeout_s: float = SETTINGS.timeout_s,
) -> Finding:
    """Label one chunk over one route, as any call of an analyzer does.

    Returns:
        `round trip ROUTE` with latency, label, model as the service reported it, and usage.
    """
    name = f"round trip {route}"
    async with HybridSemanticAnalyzer(
        endpoint=endpoint,
        routes=route,
        model={route: asked[route]},
        timeout_s=timeout_s,
        settings=PROBE_SETTINGS,
    ) as analyzer:
        try:
            verdict = await analyzer.analyze_chunk("probe", PROBE_TEXT, PROBE_TOPIC)
        except AnalysisError as error:
            return failed(endpoint, name, error)
    if isinstance(verdict, Failed):
        return unlabeled(endpoint, name, verdict)
    usage = verdict.usage
    text = (
        f"{verdict.semantic_function} from {verdict.model} in {verdict.latency_s * 1_000:.0f} ms, "
        f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
    )
    facts = {
        "label": verdict.semantic_function,
        "model": verdict.model,
        "latency_ms": round(verdict.latency_s * 1_000, 3),
        "usage": usage.to_dict(),
    }
    return found(endpoint, name, text, facts=facts)


async def limits(
    endpoint: Endpoint,
    route: str,
    *,
    asked: Mapping[str, str] = DEFAULT_MODELS,
    timeout_s: float = SETTINGS.timeout_s,
    wait_s: float = LIMITS_WAIT_S,
) -> Finding:
    """Send one chunk over the transport of a route and hear what is said of rate limits.

    Args:
        endpoint: Address and key.
        route: Its transport is used.
        asked: Route -> model.
        timeout_s: For the request.
        wait_s: For a statement that comes after the answer.

    Returns:
        `limits ROUTE`. A service that states none is no failure: then the settings are assumed.
    """
    name = f"limits {route}"
    if route in UNSTATED_LIMITS:
        return _limits_finding(endpoint, name, {})
    heard: dict[str, RateLimit] = {}
    stated = asyncio.Event()

    def hear(_route: str, said: tuple[RateLimit, ...], _request_id: str | None) -> None:
        heard.update({limit.name: limit for limit in said})
        stated.set()

    rng = Random(0)
    builder = PromptBuilder(
        LabelSet.load(DEFAULT_LABEL_SET), rng=rng, has_choices=route in CHOICE_ROUTES
    )
    transport = make_transport(
        route,
        model=asked[route],
        endpoint=endpoint,
        builder=builder,
        timeout_s=timeout_s,
        on_limits=hear,
        rng=rng,
        settings=PROBE_SETTINGS,
    )
    try:
        await _ask(transport, _request(route, asked[route], builder), timeout_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stated.wait(), wait_s)
    except AnalysisError as error:
        return failed(endpoint, name, error)
    finally:
        await transport.close()
    return _limits_finding(endpoint, name, heard)


async def _ask(transport: Transport, request: Request, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await transport.ask(request)
    except TimeoutError as error:
        raise DeadlinePassed(f"No answer within {timeout_s:g} s.", code="timeout") from error


def _request(route: str, model: str, builder: PromptBuilder) -> Request:
    chunk = Chunk(id="probe", text=PROBE_TEXT)
    item = Item(ticket=0, chunk=chunk, tokens=estimate(PROBE_TEXT))
    pack = Pack(items=(item,), topic=PROBE_TOPIC)
    ask = builder.ask(pack, as_choices=route in CHOICE_ROUTES)
    return Request(request_id="probe", route=route, model=model, pack=pack, ask=ask, attempt=1)


def _limits_finding(endpoint: Endpoint, name: str, heard: Mapping[str, RateLimit]) -> Finding:
    if not heard:
        text = (
            f"the service states none; {SETTINGS.requests_per_minute:,} requests and "
            f"{SETTINGS.tokens_per_minute:,} tokens per minute are assumed"
        )
        return found(endpoint, name, text, facts={"limits": []})
    said = sorted(heard.values(), key=lambda limit: limit.name)
    text = ", ".join(f"{_count(one.limit)} {one.name} per minute" for one in said)
    return found(endpoint, name, text, facts={"limits": [asdict(one) for one in said]})


def _count(limit: int | None) -> str:
    return "an unstated number of" if limit is None else f"{limit:,}"
