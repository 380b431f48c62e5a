"""Make the transport of a route.

io. The analyzers call it; each transport is imported when it is first wanted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import ConfigurationError
from analysis.labels.prompt import PromptBuilder
from analysis.settings import DIALECTS, ROUTES, TEMPERATURE_RANGE, Settings
from analysis.transport import LimitsListener, Transport
from analysis.wire.session import SessionSettings

TOOL_NAME = "set_labels"
TOOL_DESCRIPTION = "Hand in the labels of all chunks of the request."


def check_routes(route: str | Sequence[str]) -> tuple[str, ...]:
    """Return the routes, given as a sequence or separated by commas, if they can be used.

    Raises:
        ConfigurationError: If there is none, one twice, or one that does not exist.
    """
    names = route.split(",") if isinstance(route, str) else route
    routes = tuple(name.strip() for name in names if name.strip())
    for name in routes:
        if name not in ROUTES:
            raise ConfigurationError(
                f"Route {name!r} does not exist. Use one or more of {', '.join(ROUTES)}."
            )
    if not routes or len(set(routes)) != len(routes):
        raise ConfigurationError(
            f"The routes {', '.join(routes) or '(none)'} must be at least one, each once, of "
            f"{', '.join(ROUTES)}."
        )
    return routes


def check_dialect(dialect: str) -> str:
    """Return the dialect of the Realtime protocol if this version speaks it.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    if dialect not in DIALECTS:
        raise ConfigurationError(
            f"Dialect {dialect!r} is not known. Use one of {', '.join(DIALECTS)}."
        )
    return dialect


def session_settings(
    builder: PromptBuilder,
    model: str,
    *,
    extra: str = "",
    temperature: float = TEMPERATURE_RANGE[0],
    dialect: str = "auto",
) -> SessionSettings:
    """Return the Realtime session in which this prompt is asked; `extra` follows its words."""
    return SessionSettings(
        model=model,
        instructions=f"{builder.instructions}\n{extra}" if extra else builder.instructions,
        temperature=temperature,
        dialect=dialect,
        tool_name=TOOL_NAME,
        tool_description=TOOL_DESCRIPTION,
        tool_parameters=builder.schema,
    )


def make_transport(
    route: str,
    *,
    model: str,
    endpoint: Endpoint,
    builder: PromptBuilder,
    timeout_s: float,
    on_limits: LimitsListener,
    rng: random.Random,
    settings: Settings,
    on_notice: Callable[[str], None] | None = None,
    dialect: str = "auto",
) -> Transport:
    """Return the transport of a route; nothing is connected yet."""
    if route == "realtime":
        from analysis.transport.websocket import RealtimeTransport

        return RealtimeTransport(
            place=endpoint.place,
            settings=session_settings(builder, model, dialect=dialect),
            on_limits=on_limits,
            connect_timeout_s=settings.connect_timeout_s,
            connect_attempts=settings.connect_attempts,
            rng=rng,
        )
    if route == "rest":
        from analysis.transport.rest import RestTransport

        return RestTransport(
            place=endpoint.place,
            on_limits=on_limits,
            on_notice=on_notice,
            # The embedded service is known to have the Responses API: nothing is to be found out.
            endpoint="responses" if endpoint.host == EMBEDDED else "auto",
            timeout_s=timeout_s,
            connect_timeout_s=settings.connect_timeout_s,
        )
    from analysis.labels.rules import label_texts
    from analysis.transport.offline import OfflineTransport

    language = builder.language
    return OfflineTransport(lambda texts, topic: label_texts(texts, topic, language))
