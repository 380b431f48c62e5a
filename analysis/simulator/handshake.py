"""The opening request of a Realtime connection: what it says, and whether it is let in.

Pure. `server` reads it, `routes` and `realtime` check it; `secrets` makes the ephemeral keys that
it may carry. Sources: sections 1.3 to 1.5 and 2.6 of the protocol notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.simulator.addresses import Address, served_model
from analysis.simulator.dialects import DIALECTS, Dialect
from analysis.simulator.parameters import is_shut_down
from analysis.simulator.refusals import Refusal
from analysis.simulator.service import Service, key_of

SUBPROTOCOL = "realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What the opening request says.

    Attributes:
        model: The model or, at Azure, the deployment.
        key: The key, from a header or a subprotocol.
        is_beta: It announces the beta dialect.
        dialect: Dialect of its address, or None for that of the service.
        is_azure: Its address is one of Azure.
    """

    model: str | None
    key: str | None
    is_beta: bool = False
    dialect: str | None = None
    is_azure: bool = False


def read_handshake(
    query: Mapping[str, str], headers: Mapping[str, str], address: Address | None = None
) -> Handshake:
    """Read the opening request; header names in lower case or a case-insensitive mapping."""
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    tokens = (name for name in offered if name.startswith(_KEY_PROTOCOL))
    is_beta = "realtime=v1" in headers.get("openai-beta", "") or _BETA_PROTOCOL in offered
    key = key_of(headers) or next(tokens, "").removeprefix(_KEY_PROTOCOL)
    model = query.get("model")
    return Handshake(
        model=(address.deployment if address else None) or model,
        key=key or None,
        is_beta=is_beta,
        dialect=address.dialect if address else None,
        is_azure=address.is_azure if address else False,
    )


def dialect_of(service: Service, handshake: Handshake) -> Dialect:
    """Return the dialect of a connection: that of its address, else that of the service."""
    return DIALECTS[handshake.dialect] if handshake.dialect else service.dialect


def check_handshake(service: Service, handshake: Handshake, *, now: float) -> None:
    """Raise `Refusal` if the connection is not let in."""
    dialect = dialect_of(service, handshake)
    if not service.storage.has_secret(handshake.key or "", now):
        service.check_key(handshake.key)
    if handshake.is_beta and not dialect.is_beta_shape_served:
        raise Refusal(
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
            code="beta_api_shape_disabled",
        )
    if not handshake.model:
        raise Refusal(
            "You must provide a model parameter, for example "
            "/v1/realtime?model=gpt-realtime-2.1-mini.",
            code="missing_model",
        )
    model = served_model(service, handshake.model) if handshake.is_azure else handshake.model
    is_known = model in dialect.models or model == service.answerer.name
    if not is_known or is_shut_down(service, model, now):
        raise Refusal(
            f'Model "{handshake.model}" is not supported in realtime mode.', code="invalid_model"
        )


def check_azure(service: Service, handshake: Handshake, *, now: float) -> None:
    """Raise `Refusal` with the HTTP answer of Azure, which checks before it opens a connection.

    A bad model or operation is a 400 (section 1.4); that a bad key is a 401 is a guess.
    """
    try:
        check_handshake(service, handshake, now=now)
    except Refusal as refusal:
        if refusal.status == 401:
            raise
        raise Refusal(
            f"The realtime operation does not work with the specified model, {handshake.model}. "
            "Please choose different model and try again.",
            code="OpperationNotSupported",
        ) from refusal
