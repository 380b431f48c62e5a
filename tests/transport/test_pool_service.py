"""The route responses-ws against the simulated service: faults of every kind, short-lived sockets.

Labels are digests of the texts, so `wrong_labels` finds every exchange.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.profile import PROFILE, Profile
from tests.observed_service import UNPACED, ObservedService, chunks_of, serving, wrong_labels
from tests.virtual_loop import virtual

CHUNKS = chunks_of(1_000)
PATIENT = replace(UNPACED, attempts_per_route=30, answer_attempts=10)

FRAME_FAULTS = {
    "shuffle": 1.0,
    "duplicate": 0.1,
    "reorder": 0.05,
    "unknown_event": 0.1,
    "foreign_event": 0.05,
}
WAY_FAULTS = {"drop": 0.01, "torn": 0.005, "hang": 0.01, "stall": 0.01, "error_500": 0.05}


@pytest.mark.parametrize("per_request", [1, 10])
@virtual
async def test_a_thousand_chunks_in_order(per_request: int) -> None:
    """Each is paid once, over no more sockets than 64 requests in flight need."""
    service = ObservedService(latency_ms=50)
    async with serving("hybrid", service, routes=("responses-ws",)) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert 1_000 == service.paid_chunks()
        counters = analyzer.statistics()["connections"]["responses-ws"]
        assert (4, {}, {}) == (
            counters["connections"],
            counters["violations"],
            counters["ignored"],
        )


@pytest.mark.parametrize("per_request", [1, 10])
@virtual
async def test_a_thousand_chunks_with_every_fault_at_once(per_request: int) -> None:
    """One right label for every chunk, and nothing waits for ever."""
    service = ObservedService(latency_ms=50, faults=FRAME_FAULTS | WAY_FAULTS)
    options = {"routes": ("responses-ws",), "timeout_s": 3.0, "settings": PATIENT}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert 0 == analyzer.statistics()["in_flight"]
        assert 1_000 <= service.paid_chunks()


def with_rules(**rules: Any) -> Profile:
    """Return the profile of a service whose Responses API behaves otherwise."""
    return replace(PROFILE, responses=replace(PROFILE.responses, **rules))


@pytest.mark.parametrize("close_code", [1000, 1001, None])
@virtual
async def test_sockets_that_live_for_seconds_lose_no_chunk(close_code: int | None) -> None:
    """The first ones are ended by the service, the later ones go before; nothing fails."""
    profile = with_rules(connection_max_age_s=2.0, expired_close_code=close_code)
    service = ObservedService(latency_ms=50, profile=profile)
    chunks = chunks_of(3_000)
    options = {"routes": ("responses-ws",), "settings": PATIENT, "max_concurrent": 24}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=1)
        assert [] == wrong_labels(chunks, verdicts)
        counters = analyzer.statistics()["connections"]["responses-ws"]
        assert counters["rotations"] >= 4
        # Only the sockets that were open at the first end may have cost anything twice.
        assert service.paid_chunks() - 3_000 <= 24


@virtual
async def test_a_service_with_few_names_is_used_with_those() -> None:
    """Four lanes on a socket instead of 16; no chunk fails for it."""
    service = ObservedService(latency_ms=50, profile=with_rules(lane_names=4))
    chunks = CHUNKS[:200]
    async with serving("hybrid", service, routes=("responses-ws",)) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=1)
        assert [] == wrong_labels(chunks, verdicts)
        assert 200 == service.paid_chunks()


@virtual
async def test_half_open_sockets_are_noticed_before_the_time_out() -> None:
    """Their requests are asked again elsewhere; with a time-out of an hour nothing else helps."""
    service = ObservedService(latency_ms=50, faults={"half_open": 0.005})
    options = {"routes": ("responses-ws",), "timeout_s": 3_600.0, "settings": PATIENT}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=1)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert analyzer.statistics()["connections"]["responses-ws"]["silences"] >= 1
        assert asyncio.get_running_loop().time() < 3_600.0


@pytest.mark.parametrize(
    "rules",
    [
        {"is_terminal_bare": True},
        {"has_item_events": False},
        {"is_refusal_response": True, "is_error_headed": True, "is_error_numbered": True},
        {"has_obfuscation": False, "ping_interval_s": 0.1},
        {"running": 4},
    ],
    ids=lambda rules: next(iter(rules)),
)
@virtual
async def test_whatever_is_not_known_of_the_real_service_costs_no_chunk(
    rules: dict[str, Any],
) -> None:
    """Both ways of each open question of the protocol, with a limit that refuses requests."""
    service = ObservedService(latency_ms=50, profile=with_rules(**rules), rpm=600)
    chunks = CHUNKS[:300]
    async with serving("hybrid", service, routes=("responses-ws",)) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=1)
        assert [] == wrong_labels(chunks, verdicts)
        assert 300 == service.paid_chunks()


@virtual
async def test_the_warm_up_is_taken_by_the_service() -> None:
    """It is one more request, and the chunks get their labels."""
    service = ObservedService(latency_ms=50)
    settings = replace(UNPACED, responses_ws_warm_up=True)
    options = {"routes": ("responses-ws",), "settings": settings}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS[:100], chunks_per_request=1)
        assert [] == wrong_labels(CHUNKS[:100], verdicts)
        counters = analyzer.statistics()["connections"]["responses-ws"]
        assert ({}, {}) == (counters["violations"], counters["ignored"])
