"""Make the transport of a route.

io. The analyzers call it; each transport is imported when it is first wanted.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import ConfigurationError
from analysis.kinds import NUMBER, TEXT, TEXTS, check_kind
from analysis.labels.prompt import PromptBuilder
from analysis.settings import DIALECTS, ROUTES, SERVICE_TIERS, TEMPERATURE_RANGE, Settings
from analysis.transport import LimitsListener, SignListener, Transport
from analysis.wire.decisions import CACHE_PREFIX_TOKENS
from analysis.wire.responses import states_logprobs
from analysis.wire.session import OUTPUT_CAP_RANGE, SessionSettings, frame_bytes

TIER_ROUTES = frozenset({"responses-ws", "rest"})
"""Routes that take a service tier."""

CONFIDENT_ROUTES = frozenset({"decisions"})
"""Routes whose service states the probability of the label that it gives."""

LOGPROB_ROUTES = frozenset({"responses-ws", "rest"})
"""Routes on which a model can be asked for the log probabilities of the tokens that it writes."""

TOOL_NAME = "set_labels"
TOOL_DESCRIPTION = "Hand in the labels of all chunks of the request."


def check_routes(route: str | Sequence[str]) -> tuple[str, ...]:
    """Return the routes, given as a sequence or separated by commas, if they can be used.

    Raises:
        ConfigurationError: If there is none, one twice, or one that does not exist.
    """
    check_kind("The route", route, TEXT | TEXTS)
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


def confident_routes(
    routes: Sequence[str], *, host: str | None, has_logprobs: bool = False
) -> tuple[str, ...]:
    """Return those of the routes that can state a confidence; the only place that decides it.

    Args:
        routes: Of a run, in order.
        host: As the endpoint names it, if that is known. Labels of rules (`embedded`) have none.
        has_logprobs: Token probabilities are asked for.
    """
    if host == EMBEDDED:
        return ()
    stating = CONFIDENT_ROUTES | LOGPROB_ROUTES if has_logprobs else CONFIDENT_ROUTES
    return tuple(route for route in routes if route in stating)


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


def check_service_tier(tier: str | None, routes: Sequence[str]) -> str | None:
    """Return the service tier if there is such a one and a route that takes it.

    Raises:
        ConfigurationError: Names the allowed values, or the routes.
    """
    if tier is None:
        return None
    if tier not in SERVICE_TIERS:
        raise ConfigurationError(
            f"Service tier {tier!r} is not known. Use one of {', '.join(SERVICE_TIERS)}."
        )
    if TIER_ROUTES.isdisjoint(routes):
        raise ConfigurationError(
            f"None of the routes {', '.join(routes)} takes a service tier. Leave it out, or use "
            "the route rest."
        )
    return tier


def check_timeout(timeout_s: float | None, tier: str | None, settings: Settings) -> float:
    """Return the seconds for one request; by default a knob, another one for the tier `flex`.

    Raises:
        ConfigurationError: If it is no length of time.
    """
    if timeout_s is None:
        return settings.flex_timeout_s if tier == "flex" else settings.timeout_s
    check_kind("timeout_s", timeout_s, NUMBER)
    if not 0 < timeout_s < math.inf:
        raise ConfigurationError(f"timeout_s is {timeout_s}; it must be above 0 seconds.")
    return timeout_s


def without_logprobs(models: Mapping[str, str], endpoint: Endpoint) -> tuple[str, ...]:
    """Return the routes on which asking for token probabilities has no effect, with their models.

    The route `decisions` is not among them: it states probabilities of its own, asked or not.

    Args:
        models: Route -> model.
        endpoint: The local service in this process labels by rules, which have none.
    """
    is_embedded = endpoint.host == EMBEDDED
    return tuple(
        f"{route} {model}"
        for route, model in models.items()
        if route in ("realtime", "offline")
        or is_embedded
        or (route in LOGPROB_ROUTES and not states_logprobs(model))
    )


def confidence_notices(models: Mapping[str, str], endpoint: Endpoint) -> list[str]:
    """Return what is to be said where token probabilities are asked for in vain, if anywhere."""
    silent = ", ".join(without_logprobs(models, endpoint))
    words = (
        f"logprobs=True has no effect on {silent}: no token probabilities are stated there, so "
        "labels have no confidence."
    )
    return [words] * bool(silent)


def session_settings(
    builder: PromptBuilder,
    model: str,
    *,
    extra: str = "",
    temperature: float = TEMPERATURE_RANGE[0],
    dialect: str = "auto",
    **options: Any,
) -> SessionSettings:
    """Return the Realtime session in which this prompt is asked; `extra` follows its words.

    `options` are further fields of `SessionSettings`.
    """
    return SessionSettings(
        model=model,
        instructions=f"{builder.instructions}\n{extra}" if extra else builder.instructions,
        temperature=temperature,
        dialect=dialect,
        tool_name=TOOL_NAME,
        tool_description=TOOL_DESCRIPTION,
        tool_parameters=builder.schema,
        **options,
    )


def _largest_frame(settings: Settings) -> int:
    """Return the bytes to be taken in one frame, from the largest pack and the longest answer."""
    return frame_bytes(
        input_tokens=max(settings.pack_tokens, settings.chunk_tokens),
        output_tokens=OUTPUT_CAP_RANGE[1],
    )


def _session_knobs(settings: Settings) -> dict[str, Any]:
    """Return the arguments of the realtime route that are knobs."""
    return {
        "connect_timeout_s": settings.connect_timeout_s,
        "connect_attempts": settings.connect_attempts,
        "connect_budget_s": settings.connect_budget_s,
        "backoff_base_s": settings.backoff_base_s,
        "backoff_cap_s": settings.backoff_cap_s,
        "session_age_s": settings.session_age_s,
        "silence_s": settings.silence_s,
        "frame_bytes": _largest_frame(settings),
        "cancels_abandoned": settings.realtime_cancel,
        "may_take_turns": settings.realtime_serial_fallback,
    }


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
    on_sign: SignListener | None = None,
    on_notice: Callable[[str], None] | None = None,
    dialect: str = "auto",
    service_tier: str | None = None,
    logprobs: bool = False,
) -> Transport:
    """Return the transport of a route; nothing is connected yet."""
    if route == "realtime":
        from analysis.transport.websocket import RealtimeTransport

        return RealtimeTransport(
            place=endpoint.place,
            settings=session_settings(builder, model, dialect=dialect),
            on_limits=on_limits,
            on_sign=on_sign,
            on_notice=on_notice,
            rng=rng,
            **_session_knobs(settings),
        )
    if route == "responses-ws":
        from analysis.transport.pool import LanesTransport

        return LanesTransport(
            place=endpoint.place,
            rng=rng,
            on_limits=on_limits,
            on_sign=on_sign,
            on_notice=on_notice,
            frame_bytes=_largest_frame(settings),
            service_tier=service_tier,
            logprobs=logprobs,
            settings=settings,
        )
    if route == "rest":
        from analysis.transport.rest import RestTransport

        return RestTransport(
            place=endpoint.place,
            on_limits=on_limits,
            on_notice=on_notice,
            endpoint=_rest_endpoint(endpoint),
            timeout_s=timeout_s,
            connect_timeout_s=settings.connect_timeout_s,
            service_tier=service_tier,
            logprobs=logprobs,
        )
    if route == "decisions":
        from analysis.transport.decisions import DecisionsTransport

        return DecisionsTransport(
            place=endpoint.place,
            on_limits=on_limits,
            timeout_s=timeout_s,
            connect_timeout_s=settings.connect_timeout_s,
            is_cached=builder.choice_prefix_tokens >= CACHE_PREFIX_TOKENS,
        )
    return _offline(builder)


def _rest_endpoint(endpoint: Endpoint) -> str:
    """The embedded service is known to have the Responses API: nothing is to be found out."""
    return "responses" if endpoint.host == EMBEDDED else "auto"


def _offline(builder: PromptBuilder) -> Transport:
    from analysis.labels.rules import Rules
    from analysis.transport.offline import OfflineTransport

    rules = Rules(label_set=builder.label_set, language=builder.language)
    return OfflineTransport(rules.label, label_placed=rules.label_placed)


def counters_of(transports: Mapping[str, Transport]) -> dict[str, dict[str, Any]]:
    """Return route -> counters of its connections, where a transport keeps any."""
    return {
        route: asdict(counters)
        for route, transport in transports.items()
        if (counters := getattr(transport, "counters", None)) is not None
    }


def facts_of(transports: Mapping[str, Transport]) -> dict[str, str]:
    """Return route -> JSON of what its transport knows of its service, without the prompt."""
    return {
        route: json.dumps(_effective(facts), sort_keys=True)
        for route, transport in transports.items()
        if (facts := getattr(transport, "facts", None)) is not None
    }


def _effective(facts: Any) -> dict[str, Any]:
    found = {one.name: getattr(facts, one.name) for one in fields(facts)}
    if isinstance(found.get("settings"), Mapping):
        asked = ("instructions", "tools")
        found["settings"] = {k: v for k, v in found["settings"].items() if k not in asked}
    return found
