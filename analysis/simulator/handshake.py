"""The opening request of a Realtime connection: what it says, and whether it is let in.

Pure. `server` reads it, `realtime` checks it. Sources: sections 1.3, 1.5 and 2.6 of the protocol
notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.simulator.refusals import Refusal
from analysis.simulator.service import Service, key_of

SUBPROTOCOL = "realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What the opening request says."""

    model: str | None
    key: str | None
    is_beta: bool = False


def read_handshake(query: Mapping[str, str], headers: Mapping[str, str]) -> Handshake:
    """Read the opening request; header names in lower case or a case-insensitive mapping."""
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    tokens = (name for name in offered if name.startswith(_KEY_PROTOCOL))
    is_beta = "realtime=v1" in headers.get("openai-beta", "") or _BETA_PROTOCOL in offered
    key = key_of(headers) or next(tokens, "").removeprefix(_KEY_PROTOCOL)
    return Handshake(model=query.get("model"), key=key or None, is_beta=is_beta)


def check_handshake(service: Service, handshake: Handshake) -> None:
    """Raise `Refusal` if the connection is not let in."""
    dialect = service.dialect
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
    if handshake.model not in dialect.models and handshake.model != service.answerer.name:
        raise Refusal(
            f'Model "{handshake.model}" is not supported in realtime mode.', code="invalid_model"
        )
