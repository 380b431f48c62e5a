"""The addresses of the service: which route each belongs to, and whether that route answers.

Pure: bytes and `now` in, an `HttpOutcome` out. `server` asks for every HTTP request and for every
opening of a WebSocket. A route that is switched off is an unknown address; during an outage a route
refuses new requests, and those under way still end.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.simulator.chat import CHAT
from analysis.simulator.outcomes import HttpOutcome, complete, refuse, settle
from analysis.simulator.parameters import model_not_found
from analysis.simulator.profile import (
    MODELS_CREATED_AT,
    REALTIME_MODELS,
    SHUTDOWN_DATES,
    TEXT_MODELS,
)
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.responses import RESPONSES
from analysis.simulator.service import Service, key_of

REALTIME_PATH = "/v1/realtime"
_MODELS_PATH = "/v1/models"
_FORMS = {"responses": RESPONSES, "chat": CHAT}
_ROUTES = {
    ("POST", "/v1/responses"): "responses",
    ("POST", "/v1/chat/completions"): "chat",
    ("GET", _MODELS_PATH): "models",
    ("GET", REALTIME_PATH): "realtime",
}
"""Method and path -> route; a single model belongs to `models`, too."""


def respond(
    service: Service, *, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
) -> HttpOutcome:
    """Answer one HTTP request.

    Args:
        service: The account.
        method: `GET` or `POST`.
        path: Path of the URL, decoded.
        headers: Names in lower case, or a case-insensitive mapping.
        body: The whole body.
        now: Monotonic seconds, when the body was complete.
    """
    try:
        route = _find_route(service, method, path, now)
        if route == "realtime":
            raise Refusal("This address takes WebSocket connections only.")
        service.check_key(key_of(headers))
        if route == "models":
            return settle(service, _models(service, path), at=now)
    except Refusal as refusal:
        return refuse(service, refusal, at=now)
    return complete(service, _FORMS[route], headers=headers, body=body, now=now)


def refuse_upgrade(service: Service, *, now: float) -> HttpOutcome | None:
    """Return the answer to a WebSocket that is not opened, or None if it may be opened."""
    try:
        _find_route(service, "GET", REALTIME_PATH, now)
    except Refusal as refusal:
        return refuse(service, refusal, at=now)
    return None


def _find_route(service: Service, method: str, path: str, now: float) -> str:
    """Return the route of an address.

    Raises:
        Refusal: With status 404 if there is none, with 503 if it is out at this moment.
    """
    route = _ROUTES.get((method, path))
    if route is None and method == "GET" and path.startswith(f"{_MODELS_PATH}/"):
        route = "models"
    if route is None or route not in service.endpoints:
        raise Refusal(f"Invalid URL ({method} {path})", status=404)
    if service.is_out(route, now):
        raise Refusal(
            "The engine is currently overloaded, please try again later.",
            status=503,
            kind="server_error",
            code="server_is_overloaded",
        )
    return route


def _models(service: Service, path: str) -> Json:
    """Return the list of models, or the one that the path names."""
    served = TEXT_MODELS | REALTIME_MODELS | {service.answerer.name}
    name = path.removeprefix(_MODELS_PATH).removeprefix("/")
    if not name:
        return {"object": "list", "data": [_model(each) for each in sorted(served)]}
    if name not in served:
        raise model_not_found(name)
    return _model(name)


def _model(name: str) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": MODELS_CREATED_AT,
        "owned_by": "simulated",
        "shutdown_date": SHUTDOWN_DATES.get(name),
    }
