"""Behaviour of the addresses of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Model

from analysis.simulator.outages import Outage
from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.routes import refuse_upgrade, respond
from analysis.simulator.service import Service
from tests.simulator.examples import HEADERS, error_of, post, post_chat, service


def get(path: str) -> Any:
    """Send a GET request; return status and decoded body."""
    outcome = respond(service(), method="GET", path=path, headers=HEADERS, body=b"", now=0.0)
    return outcome.status, json.loads(outcome.body)


def test_models_are_listed() -> None:
    """The list and the single model have the SDK's shape; the answerer is one of them."""
    models = [Model.model_validate(model, strict=True) for model in get("/v1/models")[1]["data"]]
    assert {"gpt-6-luna", "gpt-realtime-2.1-mini", "digest-labels"} <= {m.id for m in models}
    assert (200, "2027-01-14") == (
        get("/v1/models/gpt-4o-mini")[0],
        get("/v1/models/gpt-4o-mini")[1]["shutdown_date"],
    )


def call(on: Service, method: str, path: str, *, now: float = 0.0) -> HttpOutcome:
    """Send a request without body and without key."""
    return respond(on, method=method, path=path, headers={}, body=b"", now=now)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/responses"), ("POST", "/v1/models"), ("GET", "/v1/chat")],
)
def test_unknown_addresses_are_not_found(method: str, path: str) -> None:
    """The body is that of the vendor, whatever the key."""
    outcome = call(service(), method, path)
    error = {
        "message": f"Invalid URL ({method} {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert (404, {"error": error}) == (outcome.status, json.loads(outcome.body))


def test_retired_model_is_not_found() -> None:
    """A model that is shut down has its own code."""
    status, content = get("/v1/models/gpt-4")
    assert (404, "model_not_found") == (status, content["error"]["code"])


ADDRESSES = {
    "responses": ("POST", "/v1/responses"),
    "chat": ("POST", "/v1/chat/completions"),
    "models": ("GET", "/v1/models/gpt-6-luna"),
    "realtime": ("GET", "/v1/realtime"),
}


@pytest.mark.parametrize("route", list(ADDRESSES))
def test_route_that_is_switched_off_is_unknown(route: str) -> None:
    """Its address is a 404 as any unknown one, and the other routes stay."""
    account = service(endpoints=set(ADDRESSES) - {route})
    found = {name: call(account, *address) for name, address in ADDRESSES.items()}
    assert {route} == {name for name, outcome in found.items() if outcome.status == 404}
    method, path = ADDRESSES[route]
    assert f"Invalid URL ({method} {path})" == json.loads(found[route].body)["error"]["message"]
    refused = refuse_upgrade(account, now=0.0)
    assert (404 if route == "realtime" else None) == (refused and refused.status)


@pytest.mark.parametrize("route", list(ADDRESSES))
def test_route_is_out_for_its_time(route: str) -> None:
    """503 from the start to the end, neither before nor after, and on this route alone."""
    account = service(outages=[Outage(route=route, start_s=2.0, duration_s=3.0)])
    account.started_at = 10.0
    out = {
        now: {name for name, a in ADDRESSES.items() if call(account, *a, now=now).status == 503}
        for now in (11.9, 12.0, 14.9, 15.0)
    }
    assert {11.9: set(), 12.0: {route}, 14.9: {route}, 15.0: set()} == out
    outcome = call(account, *ADDRESSES[route], now=12.0)
    assert (503, "server_is_overloaded", None) == error_of(outcome)


def test_upgrade_is_refused_during_an_outage() -> None:
    """503 while it lasts, then the socket may be opened."""
    account = service(outages=[Outage(route="realtime", start_s=2.0, duration_s=3.0)])
    refused = [refuse_upgrade(account, now=now) for now in (1.0, 2.0, 5.0)]
    assert [None, 503, None] == [outcome and outcome.status for outcome in refused]


def test_accepted_request_ends_in_spite_of_an_outage() -> None:
    """An outage refuses what comes while it lasts."""
    account = service(latency_ms=2_000, outages=[Outage(route="chat", start_s=1, duration_s=9)])
    outcome = post_chat(account, now=0.5)
    assert (200, True) == (outcome.status, outcome.at > 1.0)
    assert (503, 200) == (post_chat(account, now=1.5).status, post(account, now=1.5).status)


def test_plain_get_of_the_realtime_address_is_refused() -> None:
    """Who does not ask for a WebSocket is told so."""
    outcome = call(service(), "GET", "/v1/realtime")
    assert (400, True) == (outcome.status, b"WebSocket" in outcome.body)
