"""The probes come in order, and nothing is asked behind a shut door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest

from analysis.check import TRIALS, Finding, examine
from analysis.check.course import PROBE_ROUTES
from analysis.check.doors import DOORS as DOORS_OF
from analysis.check.findings import ROUTE_CURE
from analysis.endpoint import Endpoint
from tests.check.endpoints import NOBODY, named, service_at

TODAY = date(2026, 11, 21)
DOORS = ["https", "websocket", "key", "dialect"]
SETTINGS = ["session settings", *(f"setting {trial.name}" for trial in TRIALS["ga"])]
REALTIME = ["round trip realtime", "limits realtime"]
REST = ["round trip rest", "limits rest"]


def examined(
    endpoint: Endpoint, routes: Sequence[str] = ("realtime", "rest"), *, is_named: bool = True
) -> list[Finding]:
    """Return all findings at once."""

    async def collect() -> list[Finding]:
        found = examine(endpoint, today=TODAY, routes=routes, is_named=is_named)
        return [finding async for finding in found]

    return asyncio.run(collect())


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_all_is_well_at_the_local_service(dialect: str) -> None:
    """Every probe is ok in both dialects, and everything that it says is marked."""
    with service_at(dialect=dialect) as endpoint:
        findings = examined(endpoint)
    assert [] == [finding for finding in findings if not finding.ok]
    assert all(finding.message.endswith("(simulated)") for finding in findings)


def test_the_order_is_doors_settings_answers_models() -> None:
    """What rests on another finding comes after it."""
    with service_at() as endpoint:
        names = [finding.name for finding in examined(endpoint)]
    models = ["model realtime", "model rest", "models that stop"]
    assert DOORS + SETTINGS + REALTIME + REST + models == names


def test_the_simulated_service_of_another_process_is_recognized() -> None:
    """Its list of models gives it away, and every finding of it is marked as well."""
    with service_at(is_marked=False) as endpoint:
        findings = examined(endpoint)
    assert all(finding.message.endswith("(simulated)") for finding in findings)


def test_another_service_is_not_called_simulated() -> None:
    """Without that list nothing shows where the answers come from, but their model does."""
    with service_at(is_marked=False, endpoints=("realtime", "responses")) as endpoint:
        found = named(examined(endpoint))
    assert not [one for one in found.values() if "simulated" in one.message]
    assert "digest-labels" == found["round trip rest"].facts["model"]


def test_behind_a_shut_websocket_only_rest_is_asked() -> None:
    """The other route goes on."""
    with service_at(endpoints=("responses", "models")) as endpoint:
        found = named(examined(endpoint))
    assert not found["websocket"].ok
    assert not set(SETTINGS + REALTIME) & set(found)
    assert all(found[name].ok for name in REST)


def test_the_new_routes_have_doors_and_round_trips() -> None:
    """The limits of a route that states none by its nature are not asked for."""
    payments: list[object] = []
    with service_at(payment=payments.append) as endpoint:
        names = [finding.name for finding in examined(endpoint, ["responses-ws", "decisions"])]
    doors = ["https", "websocket responses", "https decisions", "key"]
    trips = ["round trip responses-ws", "limits responses-ws"]
    trips += ["round trip decisions", "limits decisions"]
    models = ["model responses-ws", "model decisions", "models that stop"]
    assert doors + trips + models == names
    assert 3 == len(payments)


@pytest.mark.parametrize("missing", ["responses-ws", "decisions"])
def test_behind_a_shut_door_of_a_new_route_nothing_is_asked(missing: str) -> None:
    """The other one goes on."""
    there = {"responses-ws", "decisions", "models"} - {missing}
    with service_at(endpoints=there) as endpoint:
        found = named(examined(endpoint, ["responses-ws", "decisions"]))
    assert not found[DOORS_OF[missing]].ok
    assert ROUTE_CURE == found[DOORS_OF[missing]].cure
    trips = {name for name in found if name.startswith("round trip")}
    assert {f"round trip {route}" for route in there - {"models"}} == trips


def test_behind_no_door_nothing_is_asked() -> None:
    """A dead endpoint has the findings of its two doors."""
    assert ["https", "websocket"] == [finding.name for finding in examined(NOBODY)]


def test_limits_are_not_asked_after_a_failed_round_trip() -> None:
    """Its finding says why."""
    with service_at(faults={"error_500": 1.0}) as endpoint:
        found = named(examined(endpoint, ["rest"]))
    assert not found["round trip rest"].ok
    assert "limits rest" not in found


def test_the_offline_route_asks_no_endpoint() -> None:
    """One round trip in this process, and nothing else."""
    assert ["round trip offline"] == [one.name for one in examined(Endpoint.none(), ["offline"])]


def test_a_route_that_nobody_named_may_be_absent() -> None:
    """A compatible server has fewer routes; what was named by the caller has to be there."""
    with service_at(endpoints=("chat", "responses", "models")) as endpoint:
        plain = examined(endpoint, PROBE_ROUTES, is_named=False)
        named = examined(endpoint, PROBE_ROUTES)
    doors = ("websocket", "websocket responses", "https decisions")
    assert [True] * 3 == [one.ok for one in plain if one.name in doors]
    assert [False] * 3 == [one.ok for one in named if one.name in doors]
    assert all("not served here" in one.message for one in plain if one.name in doors)
    assert ["model rest"] == [one.name for one in plain if one.name.startswith("model ")]
    assert all(one.ok for one in plain)
