"""The addresses of the service: which route each belongs to, and whether that route answers.

Pure: bytes and `now` in, an `HttpOutcome` out. `server` asks for every HTTP request and for every
opening of a WebSocket. A route that is switched off is an unknown address; during an outage a route
refuses new requests, and those under way still end. `addresses` has the forms of Azure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import msgspec

from analysis.simulator import batches, files
from analysis.simulator.addresses import (
    LANES_PATH,
    REALTIME_PATH,
    Address,
    find_address,
    served_model,
)
from analysis.simulator.chat import CHAT
from analysis.simulator.decisions import DECISIONS
from analysis.simulator.ephemeral import create_secret
from analysis.simulator.files import Call
from analysis.simulator.handshake import check_azure, read_handshake
from analysis.simulator.outcomes import HttpOutcome, complete, refuse, settle
from analysis.simulator.parameters import is_shut_down, model_not_found
from analysis.simulator.profile import (
    DECISION_MODELS,
    MODELS_CREATED_AT,
    REALTIME_MODELS,
    SHUTDOWN_DATES,
    TEXT_MODELS,
)
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.responses import RESPONSES
from analysis.simulator.service import Service, encode, key_of

NO_QUERY: Mapping[str, str] = {}
_FORMS = {"responses": RESPONSES, "chat": CHAT, "decisions": DECISIONS}
_ROUTES = {
    ("POST", "/v1/responses"): "responses",
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/decisions"): "decisions",
    ("GET", REALTIME_PATH): "realtime",
}
"""Method and path -> route of the requests that are not in `_CALLS`."""


def _models(service: Service, call: Call) -> HttpOutcome:
    """Tell about all models, or about the one that the path names."""
    known = TEXT_MODELS | REALTIME_MODELS | DECISION_MODELS | {service.answerer.name}
    served = {name for name in known if not is_shut_down(service, name, call.now)}
    if not call.name:
        listed = {"object": "list", "data": [_model(each) for each in sorted(served)]}
        return settle(service, listed, at=call.now)
    if call.name not in served:
        raise model_not_found(call.name)
    return settle(service, _model(call.name), at=call.now)


def _model(name: str) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": MODELS_CREATED_AT,
        "owned_by": "simulated",
        "shutdown_date": SHUTDOWN_DATES.get(name),
    }


_Answer: TypeAlias = Callable[[Service, Call], HttpOutcome]
_CALLS: tuple[tuple[str, str, str, _Answer], ...] = (
    ("GET", r"/v1/models", "models", _models),
    ("GET", r"/v1/models/(?P<name>.+)", "models", _models),
    ("POST", r"/v1/realtime/client_secrets", "realtime", create_secret),
    ("POST", r"/v1/files", "batch", files.upload),
    ("GET", r"/v1/files", "batch", files.list_files),
    ("GET", r"/v1/files/(?P<name>[^/]+)", "batch", files.look_up),
    ("DELETE", r"/v1/files/(?P<name>[^/]+)", "batch", files.delete),
    ("GET", r"/v1/files/(?P<name>[^/]+)/content", "batch", files.read_content),
    ("POST", r"/v1/batches", "batch", batches.create),
    ("GET", r"/v1/batches", "batch", batches.list_batches),
    ("GET", r"/v1/batches/(?P<name>[^/]+)", "batch", batches.look_up),
    ("POST", r"/v1/batches/(?P<name>[^/]+)/cancel", "batch", batches.cancel),
)
"""Method, path, route and what answers, for requests that are no completion."""
_PATTERNS = [(method, re.compile(path), route, answer) for method, path, route, answer in _CALLS]
_LARGE = re.compile(r"(/openai)?(/v1)?/files")
_FORM_BYTES = 64 * 1024
"""What a form may have beside its file."""


def largest_body(service: Service, path: str, default: int) -> int:
    """Return how many bytes the body of a request to this path may have."""
    is_large = _LARGE.fullmatch(path.partition("?")[0])
    return max(default, service.profile.batch.file_bytes + _FORM_BYTES) if is_large else default


def respond(
    service: Service,
    *,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    query: Mapping[str, str] = NO_QUERY,
) -> HttpOutcome:
    """Answer one HTTP request.

    Args:
        service: The account.
        method: `GET`, `POST` or `DELETE`.
        path: Path of the URL, decoded.
        headers: Names in lower case, or a case-insensitive mapping.
        body: The whole body.
        now: Monotonic seconds, when the body was complete.
        query: Parameters of the URL, decoded.
    """
    address = find_address(path, query)
    try:
        route, answer, name = _find_route(service, method, address.path, path, now)
        if route == "realtime" and answer is None:
            raise Refusal("This address takes WebSocket connections only.")
        key = service.check_key(key_of(headers))
        if answer is not None:
            call = Call(name=name, key=key, query=query, headers=headers, body=body, now=now)
            outcome = answer(service, call)
        else:
            if address.is_azure:
                body = _for_deployment(service, address, body)
            outcome = complete(service, _FORMS[route], headers=headers, body=body, now=now)
    except Refusal as refusal:
        outcome = refuse(service, refusal, at=now)
    return _with_echo(outcome, headers)


def _with_echo(outcome: HttpOutcome, headers: Mapping[str, str]) -> HttpOutcome:
    """Return the outcome with the organization and project that the request named."""
    names = ("openai-organization", "openai-project")
    echo = {name: headers[name] for name in names if headers.get(name)}
    return replace(outcome, headers={**outcome.headers, **echo}) if echo else outcome


def _for_deployment(service: Service, address: Address, body: bytes) -> bytes:
    """Return the body with the model behind its deployment; a broken one stays as it is.

    Raises:
        Refusal: If there is no such deployment.
    """
    try:
        request = msgspec.json.decode(body, type=Json)
    except msgspec.DecodeError:
        return body
    name = address.deployment or request.get("model")
    if not isinstance(name, str) or not name:
        return body
    return encode({**request, "model": served_model(service, name)})


def find_socket(path: str, query: Mapping[str, str]) -> Address | None:
    """Return the address of a WebSocket, or None if nothing opens one there."""
    address = find_address(path, query)
    return address if address.path in (REALTIME_PATH, LANES_PATH) else None


def refuse_upgrade(
    service: Service,
    *,
    now: float,
    address: Address | None = None,
    query: Mapping[str, str] = NO_QUERY,
    headers: Mapping[str, str] = NO_QUERY,
) -> HttpOutcome | None:
    """Return the answer to a Realtime WebSocket that is not opened, or None if it may be opened.

    The vendor opens it and refuses key and model there; Azure refuses them here.
    """
    try:
        _find_route(service, "GET", REALTIME_PATH, REALTIME_PATH, now)
        if address is not None and address.is_azure:
            check_azure(service, read_handshake(query, headers, address), now=now)
    except Refusal as refusal:
        return refuse(service, refusal, at=now)
    return None


def refuse_lanes(service: Service, *, headers: Mapping[str, str], now: float) -> HttpOutcome | None:
    """Return the answer to a WebSocket of the Responses API that is not opened, or None.

    The key is checked before the connection is opened, section 1.5.
    """
    try:
        _check_route(service, "responses-ws", "GET", LANES_PATH, now)
        service.check_key(read_handshake({}, headers).key)
    except Refusal as refusal:
        return refuse(service, refusal, at=now)
    return None


def _find_route(
    service: Service, method: str, path: str, asked: str, now: float
) -> tuple[str, _Answer | None, str]:
    """Return the route of a path, what answers if it is no completion, and the id in the path.

    Raises:
        Refusal: With status 404 if there is none, with 503 if it is out at this moment.
    """
    route, answer, name = _ROUTES.get((method, path)), None, ""
    if route is None:
        for known, pattern, owner, answers in _PATTERNS:
            if known == method and (match := pattern.fullmatch(path)):
                route, answer = owner, answers
                name = match.groupdict().get("name") or ""
    return _check_route(service, route, method, asked, now), answer, name


def _check_route(service: Service, route: str | None, method: str, path: str, now: float) -> str:
    """Return the route if it is there and not out.

    Raises:
        Refusal: As `_find_route`.
    """
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
