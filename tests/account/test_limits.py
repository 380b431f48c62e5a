"""What an analyzer knows of its account from earlier runs, and shares with other processes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.account.limits import AccountLimits
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.routes import RoutePlan
from analysis.control.sharing import Known
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS, Settings
from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService
from analysis.telemetry import Event
from tests.observed_service import ObservedService, chunks_of
from tests.virtual_loop import virtual

REST = RoutePlan(name="rest", model="m", account="a", in_flight=2)
LIMITS = Learned(
    requests=LearnedLimit(per_minute=30.0, window_s=1.0, guard=0.02),
    tokens=LearnedLimit(per_minute=9_000.0),
)
KNOWN = {"rest": Known(limits=LIMITS, latency_s=0.8)}


class Desk:
    """The limits of an account, and what was told of them."""

    def __init__(self, settings: Settings = SETTINGS, secret: str = "key-1") -> None:
        self.told: list[str] = []
        self.limits = AccountLimits(host="h", secret=secret, notify=self._hear, settings=settings)

    def _hear(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        self.told.append(message)


def files_of(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def saved(folder: Path) -> list[dict[str, object]]:
    """Return the entries of all files of learned limits below a folder."""
    return [
        one
        for path in folder.rglob("limits/*.json")
        for one in json.loads(path.read_text())["limits"]
    ]


@virtual
async def test_what_one_run_saves_the_next_one_begins_with() -> None:
    """Limits and latency of the same account, model and route, and of no other."""
    await Desk().limits.save([REST], KNOWN)
    other = replace(REST, name="realtime")
    assert [replace(REST, learned=LIMITS, latency_s=0.8), other] == Desk().limits.warm(
        [REST, other]
    )
    assert [REST] == Desk(secret="key-2").limits.warm([REST])


@virtual
async def test_a_limit_that_somebody_entered_beats_a_learned_one() -> None:
    """The same figure keeps what was learned beside it."""
    await Desk().limits.save([REST], KNOWN)
    (other,) = Desk(replace(SETTINGS, requests_per_minute=60)).limits.warm([REST])
    assert Learned(tokens=LIMITS.tokens) == other.learned
    (same,) = Desk(replace(SETTINGS, requests_per_minute=30)).limits.warm([REST])
    assert LIMITS == same.learned


@virtual
async def test_nothing_is_kept_where_that_is_switched_off(state_folder: Path) -> None:
    """No day of memory, nothing shared: no file, not even a folder."""
    desk = Desk(replace(SETTINGS, learned_limits_days=0.0, share_limits=False))
    await desk.limits.save([REST], KNOWN)
    assert [REST] == desk.limits.warm([REST])
    assert [] == os.listdir(state_folder)


@virtual
async def test_no_key_gets_into_the_folder(state_folder: Path) -> None:
    """Neither in a name nor in a file."""
    await Desk(secret="a-secret-key").limits.save([REST], KNOWN)
    found = files_of(state_folder)
    assert 2 <= len(found)
    assert not any(
        "a-secret-key" in str(path) or b"a-secret-key" in path.read_bytes() for path in found
    )


@virtual
async def test_a_folder_that_cannot_be_used_is_told_once(state_folder: Path) -> None:
    """And changes nothing."""
    (state_folder / "semfn").write_text("in the way")
    desk = Desk()
    assert [REST] == desk.limits.warm([REST])
    await desk.limits.save([REST], KNOWN)
    (told,) = desk.told
    assert "neither kept for the next run nor shared" in told


@virtual
async def test_a_run_leaves_what_the_service_stated(state_folder: Path) -> None:
    """And the next analyzer plans with it before its first request."""
    service = ObservedService(latency_ms=50, rpm=6, tpm=100_000)
    async with LocalService(service) as local:
        options: dict[str, Any] = {"api_key": "key-1", "base_url": local.base_url, "seed": 7}
        async with SemanticRestAnalyzer(**options) as first:
            assert 40 == first.estimate(chunks_of(40)).requests
            await first.analyze_batch(chunks_of(2))
        (entry,) = saved(state_folder)
        assert {"per_minute": 6.0, "window_s": None, "guard": 0.0} == entry["requests"]
        assert ("gpt-6-luna", "rest") == (entry["model"], entry["route"])
        async with SemanticRestAnalyzer(**options) as second:
            assert 3 == second.estimate(chunks_of(40)).requests


@virtual
async def test_a_service_that_states_nothing_leaves_nothing(state_folder: Path) -> None:
    """What somebody has entered is not learned."""
    service = ObservedService(latency_ms=50, profile=replace(PROFILE, lie="absent"))
    settings = replace(SETTINGS, requests_per_minute=600)
    async with (
        LocalService(service) as local,
        SemanticRestAnalyzer("k", base_url=local.base_url, settings=settings) as one,
    ):
        await one.analyze_batch(chunks_of(2))
        await one.close()
    assert [] == saved(state_folder)


@virtual
async def test_two_analyzers_at_once_share(state_folder: Path) -> None:
    """Each of two on one account is told so; the lease file is the only one kept."""
    events: list[Event] = []
    service = ObservedService(latency_ms=50)
    async with LocalService(service) as local:
        options: dict[str, Any] = {"base_url": local.base_url, "on_event": events.append}
        async with (
            HybridSemanticAnalyzer("k", **options) as one,
            HybridSemanticAnalyzer("k", **options) as two,
        ):
            await one.analyze_batch(chunks_of(2))
            assert 1 == one.statistics()["limits_shared"]["processes"]
            await two.analyze_batch(chunks_of(2))
            assert 2 == two.statistics()["limits_shared"]["processes"]
        assert "limits_shared" not in two.statistics()
    assert "limits_shared" in [event.name for event in events]
    assert (state_folder / "semfn" / "limits.sqlite").exists()


@virtual
async def test_the_embedded_service_has_no_account(state_folder: Path) -> None:
    """Nor has an analyzer that sends nothing: both leave no trace."""
    async with LocalService(ObservedService(latency_ms=50)) as local:
        endpoint = Endpoint.find(api_key="local", base_url=local.base_url, host=EMBEDDED)
        for options in ({"endpoint": endpoint}, {"routes": "offline"}):
            async with HybridSemanticAnalyzer(**options) as analyzer:
                await analyzer.analyze_batch(chunks_of(2))
                assert "limits_shared" not in analyzer.statistics()
    assert [] == os.listdir(state_folder)
