"""Doors, key, dialect and models of an endpoint."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from aiohttp import web

from analysis.check import availability, list_models, models
from analysis.check.doors import DOORS, Listing
from analysis.endpoint import Endpoint
from analysis.errors import RouteClosed
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.profile import SHUTDOWN_DATES
from tests.check.endpoints import NOBODY, named, service_at

TODAY = date(2026, 11, 21)
BOTH = ("realtime", "rest")


def test_a_service_without_list_of_models_is_still_there() -> None:
    """A server that has no /models is reached; only the WebSocket shows that the key is taken."""
    with service_at(endpoints=("realtime", "responses")) as endpoint:
        found = named(asyncio.run(availability(endpoint, routes=BOTH)))
    assert "has no list of models" in found["https"].message
    assert ["WebSocket"] == found["key"].facts["accepted_over"]


def test_without_realtime_the_websocket_is_not_tried() -> None:
    """The routes decide which doors are tried."""
    with service_at(endpoints=("responses", "models")) as endpoint:
        found = named(asyncio.run(availability(endpoint, routes=("rest",))))
    assert ["https", "key"] == list(found)


def test_a_missing_realtime_route_shuts_one_door_only() -> None:
    """HTTPS and key are fine, the WebSocket is not, and the cure names the option."""
    with service_at(endpoints=("responses", "models")) as endpoint:
        found = named(asyncio.run(availability(endpoint, routes=BOTH)))
    assert {"https": True, "websocket": False, "key": True} == {
        name: finding.ok for name, finding in found.items()
    }
    assert "--route" in found["websocket"].cure


def test_the_doors_of_the_new_routes_cost_nothing() -> None:
    """One opens, the other one refuses an empty request; nothing is paid."""
    payments: list[object] = []
    with service_at(payment=payments.append) as endpoint:
        asked = ("responses-ws", "decisions")
        found = named(asyncio.run(availability(endpoint, routes=asked)))
    assert ["https", "websocket responses", "https decisions", "key"] == list(found)
    assert all(finding.ok for finding in found.values())
    assert "HTTP 400" in found["https decisions"].message
    assert [] == payments


@pytest.mark.parametrize("route", ["responses-ws", "decisions"])
def test_a_refused_key_shuts_the_doors_of_the_new_routes(route: str) -> None:
    """The cure names the variable."""
    with service_at(api_key="another") as endpoint:
        found = named(asyncio.run(availability(endpoint, routes=(route,))))
    assert "OPENAI_API_KEY" in found[DOORS[route]].cure


def test_a_refused_key_is_told_once_and_not_shown() -> None:
    """Both doors fail with the service's words, and the finding of the key names the variable."""
    with service_at(api_key="another") as endpoint:
        found = named(asyncio.run(availability(endpoint, routes=BOTH)))
    assert [False] * 3 == [found[name].ok for name in ("https", "websocket", "key")]
    assert "OPENAI_API_KEY" in found["key"].cure
    assert "local" not in found["key"].message


def test_an_unknown_model_is_cured_by_another_one() -> None:
    """The Realtime model stands in the address, so the door tells about it."""
    with service_at() as endpoint:
        asked = DEFAULT_MODELS | {"realtime": "gpt-7-nova"}
        found = named(asyncio.run(availability(endpoint, routes=BOTH, asked=asked)))
    assert "invalid_model" == found["websocket"].facts["code"]
    assert "--model" in found["websocket"].cure


def test_nobody_there_is_no_word_about_the_key() -> None:
    """Both doors fail with the way as cure; nothing is claimed of the key."""
    found = named(asyncio.run(availability(NOBODY, routes=BOTH)))
    assert ["https", "websocket"] == list(found)
    assert all("proxy" in finding.cure for finding in found.values())


def test_a_service_without_key_says_so() -> None:
    """An endpoint found by its address alone is asked without a key."""
    with service_at() as endpoint:
        bare = Endpoint(base_url=endpoint.base_url, api_key="no-key", host="127.0.0.1")
        found = named(asyncio.run(availability(bare, routes=("rest",))))
    assert "none is set" in found["key"].message


def test_models_are_listed_with_their_days() -> None:
    """The default models have no end; those that stop within 180 days are named in order."""
    with service_at() as endpoint:
        found = named(asyncio.run(models(endpoint, today=TODAY, routes=BOTH)))
    assert all(finding.ok for finding in found.values())
    for route in BOTH:
        facts = found[f"model {route}"].facts
        assert [DEFAULT_MODELS[route], True, None] == [
            facts[name] for name in ("model", "is_listed", "shutdown")
        ]
        assert "table of 2026-11-21" in found[f"model {route}"].message
    assert SHUTDOWN_DATES == found["models that stop"].facts["stopping"]
    assert found["models that stop"].message.startswith("gpt-5-nano 2026-12-11, ")


def test_a_model_that_stops_soon_is_ok_and_has_a_cure() -> None:
    """It still works; what to do stands beside it."""
    with service_at() as endpoint:
        asked = DEFAULT_MODELS | {"rest": "gpt-4o-mini"}
        found = named(asyncio.run(models(endpoint, today=TODAY, routes=("rest",), asked=asked)))
    finding = found["model rest"]
    assert (True, "2027-01-14") == (finding.ok, finding.facts["shutdown"])
    assert "service's own date" in finding.message
    assert "before that day" in finding.cure


@pytest.mark.parametrize(
    ("name", "today", "words"),
    [
        ("gpt-7-nova", TODAY, "is not listed; listed are, among others, digest-labels"),
        ("gpt-4o-mini", date(2027, 1, 14), "stopped on 2027-01-14"),
    ],
)
def test_a_model_that_cannot_be_used_fails(name: str, today: date, words: str) -> None:
    """One that the service does not list, and one on the first day without it."""
    with service_at() as endpoint:
        asked = DEFAULT_MODELS | {"rest": name}
        found = named(asyncio.run(models(endpoint, today=today, routes=("rest",), asked=asked)))
    finding = found["model rest"]
    assert not finding.ok
    assert words in finding.message
    assert "--model" in finding.cure


def test_without_a_list_the_table_is_asked() -> None:
    """Nothing is claimed of what is served, and the day comes from the table."""
    with service_at(endpoints=("responses",)) as endpoint:
        asked = DEFAULT_MODELS | {"rest": "gpt-4o-mini"}
        found = named(asyncio.run(models(endpoint, today=TODAY, routes=("rest",), asked=asked)))
    finding = found["model rest"]
    assert ["model rest"] == list(found)
    assert [None, "2027-01-14"] == [finding.facts["is_listed"], finding.facts["shutdown"]]
    assert "table of 2026-11-21" in finding.message


def test_models_of_a_dead_endpoint_are_one_failure() -> None:
    """Without any answer there is one finding, not one per route."""
    (finding,) = asyncio.run(models(NOBODY, today=TODAY, routes=BOTH))
    assert ("models", False) == (finding.name, finding.ok)


async def _answering(response: web.Response) -> object:
    """Return what `list_models` makes of a fixed answer."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return response

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        endpoint = Endpoint.find(api_key="any", base_url=base_url)
        return await list_models(endpoint, 5.0)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("text", ["", "<html>", "{}", '{"data": 5}', '{"data": [{"id": 5}]}'])
def test_an_answer_that_is_no_list_is_no_failure(text: str) -> None:
    """A gateway's own page counts as a service without such a list."""
    assert asyncio.run(_answering(web.Response(text=text))) is None


def test_fields_that_we_do_not_know_are_left_alone() -> None:
    """Servers add fields; a missing day is no day."""
    text = '{"object": "list", "data": [{"id": "m", "meta": {}}], "next": null}'
    expected = Listing(days={"m": None}, is_simulated=False)
    assert expected == asyncio.run(_answering(web.Response(text=text)))


def test_a_redirect_is_not_followed() -> None:
    """The key stays at the address that was given."""
    moved = web.Response(status=302, headers={"Location": "https://example.org/v1/models"})
    with pytest.raises(RouteClosed, match=r"redirects to another.*https://example\.org"):
        asyncio.run(_answering(moved))
