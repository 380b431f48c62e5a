"""Behaviour of the addresses of the service."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types import Model

from analysis.simulator.outages import Outage
from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.profile import PROFILE
from analysis.simulator.routes import find_socket, largest_body, refuse_upgrade, respond
from analysis.simulator.service import Service
from tests.simulator.examples import HEADERS, body, chat, error_of, post, post_chat, service
from tests.simulator.lane_examples import connect as connect_lanes
from tests.simulator.lane_examples import create as create_on_lane


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
    "decisions": ("POST", "/v1/decisions"),
    "batch": ("GET", "/v1/batches"),
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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/files/file_1"),
        ("DELETE", "/v1/files/file_1/content"),
        ("GET", "/v1/files/a/b"),
        ("GET", "/v1/batches/a/cancel"),
        ("DELETE", "/v1/batches/a"),
        ("GET", "/v1/decisions"),
        ("GET", "/v1/realtime/client_secrets"),
        ("POST", "/v1/realtime/sessions"),
        ("GET", "/openai/models"),
    ],
)
def test_wrong_methods_are_not_found(method: str, path: str) -> None:
    """As an address that is not there."""
    assert (404, None, None) == error_of(call(service(), method, path))


def test_organization_and_project_come_back() -> None:
    """Every answer repeats the headers that the request named, a refusal as well."""
    named: Any = {"openai-organization": "org-1", "openai-project": "proj-1"}
    project: Any = {"openai-project": "p"}
    account = service()
    for request in (body(), body(model=...)):
        headers = post(account, request, **named).headers
        assert named == {name: headers[name] for name in named}
    assert {"openai-project"} == {
        name for name in post(account, **project).headers if "openai-" in name
    } - {"openai-processing-ms"}


VERSION = {"api-version": "2025-04-01-preview"}


@pytest.mark.parametrize(
    ("path", "query", "request_body"),
    [
        ("/openai/v1/responses", {}, body(model="own")),
        ("/openai/v1/chat/completions", {}, chat(model="own")),
        ("/openai/responses", VERSION, body(model="own")),
        ("/openai/deployments/own/chat/completions", VERSION, chat(model=...)),
    ],
)
def test_azure_is_served(path: str, query: dict[str, str], request_body: dict[str, Any]) -> None:
    """Its addresses lead to the same routes, its key has a header of its own."""

    def ask(on: Service, content: bytes, headers: dict[str, str]) -> HttpOutcome:
        return respond(
            on, method="POST", path=path, headers=headers, body=content, now=0.0, query=query
        )

    content = json.dumps(request_body).encode()
    outcome = ask(service(api_key="k"), content, {"api-key": "k"})
    assert (200, "digest-labels") == (outcome.status, json.loads(outcome.body)["model"])
    bearer = {"authorization": "Bearer k"}
    assert 200 == ask(service(api_key="k"), content, bearer).status
    assert 401 == ask(service(api_key="k"), content, {"api-key": "x"}).status
    assert 400 == ask(service(), b"{", bearer).status
    assert 400 == ask(service(), b"{}", bearer).status
    strict = service(profile=replace(PROFILE, is_any_deployment_good=False))
    assert (404, "DeploymentNotFound", None) == error_of(ask(strict, content, bearer))


def test_azure_lists_models() -> None:
    """Other addresses have both forms, too."""
    for path, query in (("/openai/models", VERSION), ("/openai/v1/models", {})):
        outcome = respond(
            service(), method="GET", path=path, headers=HEADERS, body=b"", now=0.0, query=query
        )
        assert 200 == outcome.status


def test_azure_refuses_before_the_upgrade() -> None:
    """The vendor opens the socket and refuses there; Azure answers 400 instead."""
    for path, status in (("/openai/v1/realtime", 400), ("/v1/realtime", None)):
        address = find_socket(path, {})
        assert address is not None
        outcome = refuse_upgrade(service(), now=0.0, address=address, headers=HEADERS)
        assert status == (outcome and outcome.status)
        if outcome:
            assert (400, "OpperationNotSupported", None) == error_of(outcome)
    assert find_socket("/v1/models", {}) is None


def test_models_end_at_their_date() -> None:
    """With the switch they are not found from that day (UTC) on, on every route."""
    day_s = 1_799_884_800.0
    strict = replace(PROFILE, is_shutdown_enforced=True)
    found = {}
    for name, account in {
        "off": service(epoch_s=day_s),
        "before": service(epoch_s=day_s - 1.0, profile=strict),
        "after": service(epoch_s=day_s, profile=strict),
    }.items():
        outcomes = (
            post(account, body(model="gpt-4o-mini", reasoning=...)),
            post_chat(account, chat(model="gpt-4o-mini", reasoning_effort=...)),
            call_with_key(account, "/v1/models/gpt-4o-mini"),
        )
        told = create_on_lane(connect_lanes(account), model="gpt-4o-mini", reasoning=...)
        assert ("model_not_found" in str(told[0])) is (name == "after")
        listed = json.loads(call_with_key(account, "/v1/models").body)["data"]
        is_listed = "gpt-4o-mini" in {each["id"] for each in listed}
        found[name] = ([outcome.status for outcome in outcomes], is_listed)
    good = ([200, 200, 200], True)
    assert {"off": good, "before": good, "after": ([404, 404, 404], False)} == found


def call_with_key(on: Service, path: str) -> HttpOutcome:
    """Send a GET request."""
    return respond(on, method="GET", path=path, headers=HEADERS, body=b"", now=0.0)


def test_files_may_be_large() -> None:
    """Uploads have a bound of their own, at Azure as well; other bodies the general one."""
    account = service()
    for path in ("/v1/files", "/openai/v1/files", "/openai/files?api-version=1"):
        assert largest_body(account, path, 1_000) > 200 * 1024 * 1024
    assert 1_000 == largest_body(account, "/v1/responses", 1_000)
