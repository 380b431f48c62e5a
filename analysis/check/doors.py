"""The doors of an endpoint: HTTPS, WebSockets, key, dialect, and the models behind them.

io. Part of `analysis.check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import msgspec

from analysis.check.findings import ANOTHER_MODEL, Finding, failed, found
from analysis.endpoint import EMBEDDED, NO_KEY, Endpoint
from analysis.errors import AccountClosed, AnalysisError, RouteClosed
from analysis.models import model_table
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer
from analysis.settings import DEFAULT_MODELS, SETTINGS
from analysis.transport.carrier import Carrier
from analysis.transport.handshake import dial
from analysis.wire import failures

EMPTY_REFUSALS = (400, 422)
"""Statuses of a request that lacks its fields: the address is there."""

SOON_DAYS = 180
"""A model that stops within so many days is named with its date."""

MODELS_SHOWN = 8
"""Names of models in one message; the facts hold all."""

DOORS: Mapping[str, str] = {
    "realtime": "websocket",
    "responses-ws": "websocket responses",
    "rest": "https",
    "decisions": "https decisions",
}
"""Route -> the finding without which nothing more is asked of it."""

SIMULATED_OWNER = "simulated"
"""Who owns the models of the simulated service, as its list says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The answer to GET /models.

    Attributes:
        days: Model -> its last day in the service's own words, or None.
        is_simulated: The simulated service answered, in this process or in another one.
    """

    days: Mapping[str, str | None]
    is_simulated: bool


async def availability(
    endpoint: Endpoint,
    *,
    routes: Sequence[str],
    asked: Mapping[str, str] = DEFAULT_MODELS,
    timeout_s: float = SETTINGS.connect_timeout_s,
) -> tuple[Finding, ...]:
    """Find out whether an endpoint answers over HTTPS and over WebSocket, and takes the key.

    None of it costs anything.

    Args:
        endpoint: Address and key.
        routes: `realtime` and `responses-ws` have each a WebSocket that is tried, `decisions` has
            an address below HTTPS.
        asked: Route -> model.
        timeout_s: For each door but the Realtime one, whose time is a setting.

    Returns:
        `https`; the others of `DOORS` as far as they were tried; `key` if a door showed whether it
        is accepted; `dialect` if the server greeted.
    """
    findings: list[Finding] = []
    doors: list[str] = []
    errors: list[AnalysisError] = []
    try:
        listing = await list_models(endpoint, timeout_s)
    except AnalysisError as error:
        errors.append(error)
        findings.append(failed(endpoint, "https", error))
    else:
        endpoint = marked(endpoint, listing)
        answer = "and has no list of models"
        if listing is not None:
            doors.append("HTTPS")
            answer = f"and lists {len(listing.days)} models"
        findings.append(
            found(endpoint, "https", f"{endpoint.base_url} answers GET /models {answer}")
        )
    greeting: Mapping[str, Any] = {}
    if "realtime" in routes:
        try:
            greeting = await _greeting(endpoint, asked["realtime"])
        except AnalysisError as error:
            errors.append(error)
            findings.append(failed(endpoint, "websocket", error))
        else:
            doors.append("WebSocket")
            text = f"greeted with session.created by {greeting['model']}"
            findings.append(found(endpoint, "websocket", text, facts={"model": greeting["model"]}))
    for route, knock in (("responses-ws", _open_lanes), ("decisions", _send_nothing)):
        if route in routes:
            try:
                text = await knock(endpoint, timeout_s)
            except AnalysisError as error:
                errors.append(error)
                findings.append(failed(endpoint, DOORS[route], error))
            else:
                findings.append(found(endpoint, DOORS[route], text))
    findings += _key(endpoint, doors, errors)
    if greeting:
        dialect = greeting["dialect"]
        text = f"the server speaks {dialect}"
        findings.append(found(endpoint, "dialect", text, facts={"dialect": dialect}))
    return tuple(findings)


def _key(endpoint: Endpoint, doors: list[str], errors: list[AnalysisError]) -> list[Finding]:
    """Return what the doors showed of the key: one finding, or none if none of them showed it."""
    for error in errors:
        if isinstance(error, AccountClosed):
            return [failed(endpoint, "key", error)]
    if not doors:
        return []
    text = f"accepted over {' and '.join(doors)}"
    if endpoint.api_key == NO_KEY:
        text = "none is set, and the service asks for none"
    return [found(endpoint, "key", text, facts={"accepted_over": doors})]


async def _greeting(endpoint: Endpoint, model: str) -> Mapping[str, Any]:
    """Connect as the Realtime analyzer does; return what the server said of its session."""
    async with SemanticRealtimeAnalyzer(endpoint=endpoint, model=model) as analyzer:
        await analyzer.connect()
        return analyzer.session


async def _open_lanes(endpoint: Endpoint, timeout_s: float) -> str:
    """Open the WebSocket of the Responses API, which says nothing before it is asked.

    Raises:
        AnalysisError: If it does not open.
    """
    socket = await dial(
        endpoint.place, path="responses", model=None, headers={}, timeout_s=timeout_s
    )
    await socket.close()
    return "opens at /responses"


async def _send_nothing(endpoint: Endpoint, timeout_s: float) -> str:
    """Send an empty object to /decisions: who refuses it for what it lacks has the address.

    Raises:
        AnalysisError: If there is no such address, or another reason why nothing works there.
    """
    carrier = Carrier(endpoint.place, timeout_s=timeout_s, connect_timeout_s=timeout_s)
    try:
        response = await carrier.post("/decisions", model="", body=b"{}", headers={})
    finally:
        await carrier.close()
    status = response.status_code
    if failures.is_unknown_address(status, response.content):
        raise RouteClosed(
            f"{endpoint.place.host} has no /decisions below the base URL (HTTP {status}).",
            code=str(status),
        )
    if status not in EMPTY_REFUSALS:
        raise failures.from_status(status, headers=response.headers, body=response.content)
    return f"/decisions is there: an empty request is refused with HTTP {status}"


async def models(
    endpoint: Endpoint,
    *,
    today: date,
    routes: Sequence[str],
    asked: Mapping[str, str] = DEFAULT_MODELS,
    timeout_s: float = SETTINGS.connect_timeout_s,
) -> tuple[Finding, ...]:
    """Hold the models of the routes against what the service lists and when they stop.

    A day that the service states beats that of the table.

    Returns:
        One finding per route, `model ROUTE`; then `models that stop` if the service lists any.
    """
    try:
        listing = await list_models(endpoint, timeout_s)
    except AnalysisError as error:
        return (failed(endpoint, "models", error),)
    endpoint = marked(endpoint, listing)
    listed = None if listing is None else listing.days
    findings = [_model(endpoint, route, asked[route], listed, today) for route in routes]
    stopping = {
        name: day.isoformat()
        for name in listed or ()
        if (day := _last_day(name, listed)) and (day - today).days <= SOON_DAYS
    }
    if stopping:
        named = sorted(stopping.items(), key=lambda entry: entry[::-1])
        text = ", ".join(f"{name} {day}" for name, day in named[:MODELS_SHOWN])
        if len(named) > MODELS_SHOWN:
            text += f" and {len(named) - MODELS_SHOWN} more"
        findings.append(found(endpoint, "models that stop", text, facts={"stopping": stopping}))
    return tuple(findings)


def _model(
    endpoint: Endpoint, route: str, name: str, listed: Mapping[str, str | None] | None, today: date
) -> Finding:
    """Return what is known of the model of one route."""
    day = _last_day(name, listed)
    source = f"table of {model_table().date}"
    if listed is not None and listed.get(name):
        source = "the service's own date"
    facts = {
        "model": name,
        "is_listed": None if listed is None else name in listed,
        "shutdown": day.isoformat() if day else None,
        "table_date": model_table().date,
    }
    where = "is listed" if listed is not None else "is asked for (the service lists no models)"
    text, ok, cure = f"{name} {where}; no end is announced ({source})", True, ""
    if day is not None:
        text = f"{name} {where} and stops on {day} ({source})"
        if (day - today).days <= SOON_DAYS:
            cure = f"{ANOTHER_MODEL[:-1]} before that day."
    if listed is not None and name not in listed:
        some = ", ".join(sorted(listed)[:MODELS_SHOWN]) or "none"
        text, ok = f"{name} is not listed; listed are, among others, {some}", False
        cure = ANOTHER_MODEL
    elif day is not None and day <= today:
        text, ok, cure = f"{name} stopped on {day} ({source})", False, ANOTHER_MODEL
    return found(endpoint, f"model {route}", text, ok=ok, cure=cure, facts=facts)


def _last_day(name: str, listed: Mapping[str, str | None] | None) -> date | None:
    """Return the first day without a model, by the service, else by the table."""
    stated = listed.get(name) if listed else None
    if stated:
        try:
            return date.fromisoformat(stated)
        except ValueError:
            pass  # no date; then the table is asked
    known = model_table().find(name)
    return known.shutdown if known else None


def marked(endpoint: Endpoint, listing: Listing | None) -> Endpoint:
    """Return the endpoint as that of the local service if the simulated service answered."""
    is_simulated = listing is not None and listing.is_simulated
    return replace(endpoint, host=EMBEDDED) if is_simulated else endpoint


class _ListedModel(msgspec.Struct):
    id: str
    owned_by: object = None
    shutdown_date: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_ListedModel]


async def list_models(endpoint: Endpoint, timeout_s: float) -> Listing | None:
    """Ask GET /models; return None if the service answers and has no such list.

    Raises:
        AnalysisError: If there is no answer, or one that refuses.
    """
    carrier = Carrier(endpoint.place, timeout_s=timeout_s, connect_timeout_s=timeout_s)
    try:
        response = await carrier.get("/models")
    finally:
        await carrier.close()
    if failures.is_unknown_address(response.status_code, response.content):
        return None
    if response.status_code >= 300:
        raise failures.from_status(
            response.status_code, headers=response.headers, body=response.content
        )
    try:
        data = msgspec.json.decode(response.content, type=_ModelList).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Listing(
        days={model.id: model.shutdown_date for model in data},
        is_simulated=any(model.owned_by == SIMULATED_OWNER for model in data),
    )
