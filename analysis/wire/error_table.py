"""The one table of foreign errors: where it shows, what it is called, and what it becomes.

Pure. `wire/failures.py` decides by these rows, and `docs/reference/errors.md` is made from them.
The first row of a place that fits counts, so more special rows stand before more general ones.

Marks of the sources: D documented by the vendor, S seen in the SDK or the specification, C captured
on the wire by third parties, U reported by users, M measured on loopback, G a guess.
"""

from __future__ import annotations

from collections.abc import Collection

from analysis.errors import (
    AccountClosed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending
from analysis.wire.error_rows import ANY, Row, Where
from analysis.wire.exception_table import EXCEPTIONS

_CHECK_KEY = "Check OPENAI_API_KEY."

_NAMES = (
    Row(
        where=Where.NAME,
        patterns=(
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
        ),
        becomes=AccountClosed,
        meaning="Quota or credit of the account is used up",
        cure="Check its billing page.",
        source="D: OpenAI guide on error codes, 2026-11; the last two U",
    ),
    Row(
        where=Where.NAME,
        patterns=(
            "invalid_api_key",
            "inference_not_authorized_error",
            "authentication_error",
            "account_deactivated",
        ),
        becomes=AccountClosed,
        meaning="The endpoint refused the key",
        cure=_CHECK_KEY,
        source="C: Realtime handshakes, 2026-09; U",
    ),
    Row(
        where=Where.NAME,
        patterns=("unsupported_country_region_territory",),
        becomes=AccountClosed,
        meaning="The endpoint does not serve this region",
        cure="Use an endpoint that does.",
        source="U",
    ),
    Row(
        where=Where.NAME,
        patterns=("model_not_found", "DeploymentNotFound"),
        becomes=RouteClosed,
        meaning="The endpoint does not know this model; name another one",
        code="model_not_found",
        source="U; the second one D of Azure",
    ),
    Row(
        where=Where.NAME,
        patterns=("invalid_model", "OpperationNotSupported", "OperationNotSupported"),
        becomes=RouteClosed,
        meaning="The endpoint does not offer this model here; name another one",
        source="C: Realtime handshakes, 2026-09; the others U of Azure, spelled as served",
    ),
    Row(
        where=Where.NAME,
        patterns=("missing_model",),
        becomes=RouteClosed,
        meaning="The endpoint got no model; name one",
        source="C: Realtime handshakes, 2026-09",
    ),
    Row(
        where=Where.NAME,
        patterns=("beta_api_shape_disabled",),
        becomes=RouteClosed,
        meaning="The endpoint takes the GA form of the Realtime protocol only",
        cure="Do not force the dialect 'beta': use 'auto' or 'ga'.",
        source="C: Realtime handshakes, 2026-09",
    ),
    Row(
        where=Where.NAME,
        patterns=("conversation_already_has_active_response",),
        becomes=RouteClosed,
        meaning="The endpoint cannot answer outside of its one conversation; use another route",
        source="U",
    ),
    Row(
        where=Where.NAME,
        patterns=("invalid_stream_id",),
        becomes=RouteClosed,
        meaning="The endpoint does not take the names of lanes on its WebSocket; use another route",
        source="D",
    ),
    Row(
        where=Where.NAME,
        patterns=("previous_response_not_found",),
        becomes=RequestRejected,
        meaning="The service does not know the response that the request goes on from",
        source="D",
    ),
    Row(
        where=Where.NAME,
        patterns=("websocket_stream_limit_reached",),
        becomes=TransportError,
        meaning="The WebSocket has used up its names of lanes; a new one is opened",
        source="D",
    ),
    Row(
        where=Where.NAME,
        patterns=("websocket_connection_limit_reached", "session_expired"),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The WebSocket has reached its largest age; a new one is opened",
        source="D; the second one U",
    ),
    Row(
        where=Where.NAME,
        patterns=("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"),
        becomes=ModelRefused,
        ending=Ending.DONE,
        meaning="The content filter refused the text",
        source="D of Azure; U",
    ),
    Row(
        where=Where.NAME,
        patterns=("slow_down",),
        becomes=RateLimited,
        meaning="The service asked to slow down, since the traffic rose too fast",
        source="D: since 2026-09-02",
    ),
    Row(
        where=Where.NAME,
        patterns=("rate_limit_exceeded", "rate_limit_error", "resource_unavailable"),
        becomes=RateLimited,
        meaning="The service asked to slow down",
        source="U; the last one G",
    ),
    Row(
        where=Where.PARAM,
        patterns=("service_tier",),
        becomes=RouteClosed,
        meaning="The endpoint does not take this service tier",
        cure="Leave the service tier out, or name another one.",
        source="D",
    ),
    Row(
        where=Where.LIMIT_WORDS,
        patterns=("Request too large",),
        becomes=RequestRejected,
        meaning="The request exceeds a whole minute's limit",
        code="request_too_large",
        source="U",
    ),
    Row(
        where=Where.LIMIT_WORDS,
        patterns=("Resource unavailable",),
        becomes=RateLimited,
        meaning="The service tier flex has no capacity; nothing was charged",
        cure="If it lasts, use the service tier 'default'.",
        code="resource_unavailable",
        source="D: guide on flex processing",
    ),
)

_STATUSES = (
    Row(
        where=Where.STATUS,
        patterns=("401",),
        becomes=AccountClosed,
        meaning="The endpoint refused the key",
        cure=_CHECK_KEY,
        source="D",
    ),
    Row(
        where=Where.STATUS,
        patterns=("402",),
        becomes=AccountClosed,
        meaning="Quota or credit of the account is used up",
        cure="Check its billing page.",
        source="D of compatible services",
    ),
    Row(
        where=Where.STATUS,
        patterns=("403", "451"),
        becomes=AccountClosed,
        meaning="The endpoint forbids this for the key's region or permissions",
        source="D",
    ),
    Row(
        where=Where.STATUS,
        patterns=("404", "405", "410", "501"),
        becomes=RouteClosed,
        meaning="The endpoint has no such address",
        cure="Check the base URL, or leave this route out.",
        source="RFC 9110",
    ),
    Row(
        where=Where.STATUS,
        patterns=("407",),
        becomes=RouteClosed,
        meaning="The proxy asks for a login",
        cure="Check the proxy variables (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).",
        source="RFC 9110",
    ),
    Row(
        where=Where.STATUS,
        patterns=("429",),
        becomes=RateLimited,
        meaning="The service asked to slow down",
        source="D",
    ),
    Row(
        where=Where.STATUS,
        patterns=(
            "409",
            "425",
            "500",
            "502",
            "503",
            "521",
            "522",
            "523",
            "525",
            "526",
            "529",
            "530",
        ),
        becomes=TransportError,
        meaning="The service could not answer",
        source="D; above 503 D of Cloudflare and Anthropic",
    ),
    Row(
        where=Where.STATUS,
        patterns=("408", "5xx"),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The service could not answer",
        source="S; a time-out on the service's side leaves open what was generated",
    ),
    Row(
        where=Where.STATUS,
        patterns=("3xx",),
        becomes=RouteClosed,
        meaning="The endpoint redirects to another address",
        cure="Redirects are not followed, since the key would go there; set that address as base "
        "URL if it is right.",
        source="RFC 9110",
    ),
    Row(
        where=Where.STATUS,
        patterns=("4xx",),
        becomes=RequestRejected,
        meaning="The service refused the request",
        source="D",
    ),
    Row(
        where=Where.BARE_NAME,
        patterns=(
            "server_error",
            "server_is_overloaded",
            "internal_error",
            "internal_server_error",
            "overloaded_error",
        ),
        becomes=TransportError,
        meaning="The service failed",
        source="D, U",
    ),
    Row(
        where=Where.BARE_NAME,
        patterns=(
            "unknown_parameter",
            "invalid_value",
            "invalid_type",
            "invalid_event",
            "invalid_json",
            "invalid_prompt",
            "missing_required_parameter",
            "unsupported_parameter",
            "unsupported_value",
            "decimal_below_min_value",
            "decimal_above_max_value",
            "integer_below_min_value",
            "integer_above_max_value",
            "array_below_min_length",
            "array_above_max_length",
            "string_above_max_length",
            "context_length_exceeded",
            "invalid_request_error",
        ),
        becomes=RequestRejected,
        meaning="The service refused the request",
        source="D, U: error bodies of 2024 to 2026",
    ),
    Row(
        where=Where.BARE_NAME,
        patterns=(ANY,),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The service ended the request",
        source="G: what nobody knows is tried again",
    ),
    Row(
        where=Where.CLOSE,
        patterns=("3000", "4000"),
        becomes=RouteClosed,
        meaning="The endpoint closed the session for good",
        cure="Check address and model; if the dialect 'beta' is forced, use 'auto' or 'ga'.",
        source="C; a reason that speaks of the key closes the account",
    ),
    Row(
        where=Where.CLOSE,
        patterns=("1011 and words on what is not supported",),
        becomes=RouteClosed,
        meaning="A gateway cannot pass this route on; use another one",
        cure="Check the gateway's own settings.",
        source="G: a gateway that answers 101 first",
    ),
    Row(
        where=Where.CLOSE,
        patterns=(ANY,),
        becomes=TransportError,
        ending=Ending.UNKNOWN,
        meaning="The connection ended before the answer",
        source="C, U: 1001 at the largest age, 1005, 1006, 1009, 1011, 1012, 1013",
    ),
)

TABLE = (*_NAMES, *_STATUSES, *EXCEPTIONS)
"""All rows."""


def row_for(where: Where, names: Collection[str]) -> Row | None:
    """Return the first row of a place that has one of these names, else None."""
    return next((row for row in TABLE if row.where is where and set(row.patterns) & {*names}), None)
