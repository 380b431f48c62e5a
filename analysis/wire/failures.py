"""What a foreign error means: statuses, codes and close codes -> our exceptions.

Pure. `wire/realtime.py`, `wire/responses.py` and the transports call it. Tables first, then one
function for each place where a service can say no: an HTTP status, an error object without a
status, an opening handshake, a closed socket. A decision looks at code and type before the status.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import msgspec

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Usage

Failure: TypeAlias = TransportError | RequestRejected

BILLING_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
"""Quota or money is gone. Source: OpenAI error-codes guide, 2026-11."""

KEY_CODES = frozenset({"invalid_api_key", "inference_not_authorized_error"})
"""The key is refused. Source: captured Realtime handshakes of 2026-09; user reports."""

ROUTE_CODES = {
    "model_not_found": "The endpoint does not know this model; name another one.",
    "invalid_model": "The endpoint does not offer this model here; name another one.",
    "missing_model": "The endpoint got no model; name one.",
    "beta_api_shape_disabled": (
        "The endpoint takes the GA form of the Realtime protocol only. Do not force the dialect "
        "'beta': use 'auto' or 'ga'."
    ),
    "conversation_already_has_active_response": (
        "The endpoint cannot answer outside of its one conversation; use another route."
    ),
}
"""The route cannot work at this endpoint, with what to do about it."""

PERMANENT_CODES = frozenset(
    {
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
        "string_above_max_length",
        "context_length_exceeded",
        "invalid_request_error",
    }
)
"""The same request never succeeds. Source: error bodies of 2024-2026."""

THROTTLE_CODES = frozenset({"rate_limit_exceeded", "slow_down", "rate_limit_error"})
SERVER_CODES = frozenset({"server_error", "server_is_overloaded", "internal_error"})

REFUSED_STATUSES = frozenset({409, 500, 502, 503})
"""Statuses of the 4xx and 5xx range after which a retry is sound and nothing was generated."""

MESSAGE_LIMIT = 400
"""Characters kept of a service's words; a longer one may quote the text that was sent."""

MODEL_CODES = frozenset({"model_not_found", "DeploymentNotFound"})
"""Codes of a 404 that is about the model; the second one is Azure's."""

_MODEL_WORDS = re.compile(r"(?<![/\w.-])(?:model|deployment)\b", re.IGNORECASE)
"""The word in a sentence, not as a part of an address."""

_UNIT_SECONDS = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_STEP = r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)"
_DURATION = re.compile(rf"(?:{_STEP})+")
_STEPS = re.compile(_STEP)
_TRY_AGAIN = re.compile(r"try again in ([0-9a-zµ.]+)", re.IGNORECASE)
_SECRETS = re.compile(
    r"\bsk-[\w*-]{4,}|(?<=Bearer )\S+|(?<=API key provided: )\S+?(?=[.,]?(?:\s|$))"
)


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Envelope(_Error):
    """An error body; compatible servers also send its fields bare, or a mere sentence."""

    error: _Error | str | None = None


def check_body(content: bytes, request_id: str | None) -> None:
    """Refuse a 2xx answer with nothing in it; its request may have been paid.

    Raises:
        TransportError: If the body is empty.
    """
    if not content.strip():
        raise TransportError(
            "The service answered with an empty body.", code="empty_body", request_id=request_id
        )


@contextlib.contextmanager
def billed(usage: Usage) -> Iterator[None]:
    """Note on every error raised inside that the service billed these tokens all the same."""
    try:
        yield
    except AnalysisError as error:
        error.usage = usage
        raise


def duration_s(text: str) -> float | None:
    """Return the seconds of a Go-style duration such as `17ms` or `1m30.5s`, else None."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(size) * _UNIT_SECONDS[unit] for size, unit in _STEPS.findall(text))


def retry_after_s(headers: Mapping[str, str], message: str) -> float | None:
    """Return how long the service asks to wait, or None if it does not say.

    `retry-after-ms` beats `retry-after` (seconds, or a date, which is compared with the
    service's own `date`), and both beat "try again in 644ms" in the message.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get("retry-after")
    seconds = _number(stated)
    if seconds is None and stated is not None:
        seconds = _until(stated, headers.get("date"))
    if seconds is not None:
        return seconds
    hint = _TRY_AGAIN.search(message)
    return duration_s(hint[1].rstrip(".")) if hint else None


def spoken(message: str) -> str:
    """Return a service's words in a form fit for logs: without keys, on one line, cut."""
    plain = _SECRETS.sub("[key]", " ".join(message.split()))
    return plain if len(plain) <= MESSAGE_LIMIT else plain[:MESSAGE_LIMIT] + " [cut]"


def from_code(*, code: str, kind: str, message: str, request_id: str | None = None) -> Failure:
    """Return the exception for an error object that came without an HTTP status.

    Args:
        code: `error.code`, or an empty string.
        kind: `error.type`, or an empty string.
        message: `error.message`.
        request_id: The service's own id of the request.
    """
    names = {code, kind}
    words = f"{code or kind or 'error'}: {spoken(message)}"
    known = _by_name(names, code=code, message=message, words=words, request_id=request_id)
    if known is not None:
        return known
    if names & SERVER_CODES:
        return TransportError(
            f"The service failed ({words})",
            ending=Ending.REFUSED,
            code=code or kind,
            retry_after_s=retry_after_s({}, message),
            request_id=request_id,
        )
    if names & PERMANENT_CODES:
        return RequestRejected(
            f"The service refused the request ({words})", code=code or kind, request_id=request_id
        )
    return TransportError(
        f"The service ended the request ({words})",
        ending=Ending.UNKNOWN,
        code=code or kind,
        request_id=request_id,
    )


def from_status(status: int, *, headers: Mapping[str, str], body: bytes) -> Failure:
    """Return the exception for an HTTP reply whose status is not 2xx.

    Args:
        status: The HTTP status.
        headers: Header names in lower case, or a mapping that does not mind the case.
        body: The raw body, JSON with `error` or anything else.
    """
    error = _error_of(body)
    code, kind = str(error.code or ""), error.type or ""
    message = error.message or ""
    request_id = headers.get("x-request-id")
    words = f"HTTP {status} {code or kind}".rstrip() + (f": {spoken(message)}" if message else "")
    wait_s = retry_after_s(headers, message)
    if status == 429 and not {code, kind} & BILLING_CODES:
        return _throttled(code, message, words, wait_s, request_id)
    known = _by_name(
        {code, kind}, code=code, message=message, words=words, wait_s=wait_s, request_id=request_id
    )
    if known is not None:
        return known
    match status:
        case 401:
            return AccountClosed(
                f"The endpoint refused the key ({words}). Check OPENAI_API_KEY.",
                code=code or "401",
                request_id=request_id,
            )
        case 403:
            return AccountClosed(
                f"The endpoint forbids this for the key's region or permissions ({words}).",
                code=code or "403",
                request_id=request_id,
            )
        case 404 if _is_about_model(error):
            return RouteClosed(
                f"{ROUTE_CODES['model_not_found']} ({words})",
                code="model_not_found",
                request_id=request_id,
            )
        case 404:
            return RouteClosed(
                f"The endpoint has no such address ({words}). Check the base URL.",
                code=code or "404",
                request_id=request_id,
            )
        case _ if status < 400:
            target = spoken(headers.get("location", "another address"))
            return RouteClosed(
                f"The endpoint redirects to {target} ({words}). Redirects are not followed, since "
                "the key would go there; set that address as base URL if it is right.",
                code=str(status),
                request_id=request_id,
            )
        case _ if status in (408, 409) or status >= 500:
            return TransportError(
                f"The service could not answer ({words}).",
                ending=Ending.REFUSED if status in REFUSED_STATUSES else Ending.UNKNOWN,
                code=code or str(status),
                retry_after_s=wait_s,
                request_id=request_id,
            )
        case _:
            return RequestRejected(
                f"The service refused the request ({words})",
                code=code or kind or str(status),
                request_id=request_id,
            )


def is_unknown_address(status: int, body: bytes) -> bool:
    """Return whether a server says that nothing is at an address; nothing was generated then.

    A 404 about the model or the deployment says that the address is right.
    """
    return status in (405, 501) or (status == 404 and not _is_about_model(_error_of(body)))


def at_handshake(status: int, *, headers: Mapping[str, str], body: bytes) -> Failure:
    """Return the exception for an opening handshake that ended with a status other than 101."""
    failure = from_status(status, headers=headers, body=body)
    if isinstance(failure, TransportError):
        failure.ending = Ending.UNSENT if type(failure) is TransportError else failure.ending
        return failure
    if isinstance(failure, AccountClosed | RouteClosed):
        return failure
    return RouteClosed(
        f"The endpoint refused the connection: {failure}",
        code=failure.code,
        request_id=failure.request_id,
    )


def at_greeting(*, code: str, kind: str, message: str) -> Failure:
    """Return the exception for an `error` event that came in place of `session.created`."""
    if _speaks_of_key(f"{code} {message}"):
        return _key_refused(f"{code or kind}: {spoken(message)}", code or kind, None)
    failure = from_code(code=code, kind=kind, message=message)
    if type(failure) is TransportError:
        failure.ending = Ending.UNSENT
    if type(failure) is RequestRejected:
        return RouteClosed(f"The endpoint refused the session: {failure}", code=failure.code)
    return failure


def at_close(close_code: int, reason: str) -> Failure:
    """Return the exception for the requests that wait when a socket closes.

    OpenAI's close reasons are `<error.type>[.<error.code>]`.
    """
    words = f"close code {close_code}" + (f", {spoken(reason)}" if reason else "")
    names = set(reason.split("."))
    known = _by_name(names, code=reason.rpartition(".")[2], message=reason, words=words)
    if known is not None and not isinstance(known, TransportError):
        return known
    if close_code in (3000, 4000):
        if _speaks_of_key(reason):
            return _key_refused(words, str(close_code), None)
        return RouteClosed(
            f"The endpoint closed the session for good ({words}). Check address and model; if the "
            "dialect 'beta' is forced, use 'auto' or 'ga'.",
            code=reason,
        )
    return TransportError(
        f"The connection ended before the answer ({words}).",
        ending=Ending.UNKNOWN,
        code=str(close_code),
    )


def _by_name(
    names: set[str],
    *,
    code: str,
    message: str,
    words: str,
    wait_s: float | None = None,
    request_id: str | None = None,
) -> Failure | None:
    """Return the exception for a code or type whose meaning does not depend on the place."""
    if names & BILLING_CODES:
        return AccountClosed(
            f"Quota or credit of the account is used up ({words}). Check its billing page.",
            code=code or next(iter(names & BILLING_CODES)),
            request_id=request_id,
        )
    if names & KEY_CODES:
        return _key_refused(words, code, request_id)
    for name in names & ROUTE_CODES.keys():
        return RouteClosed(f"{ROUTE_CODES[name]} ({words})", code=name, request_id=request_id)
    if names & THROTTLE_CODES:
        wait = retry_after_s({}, message) if wait_s is None else wait_s
        return _throttled(code, message, words, wait, request_id)
    return None


def _throttled(
    code: str, message: str, words: str, wait_s: float | None, request_id: str | None
) -> Failure:
    if message.lower().startswith("request too large"):
        return RequestRejected(
            f"The request exceeds a whole minute's limit ({words})",
            code="request_too_large",
            request_id=request_id,
        )
    return RateLimited(
        f"The service asked to slow down ({words})",
        code=code or "rate_limit_exceeded",
        retry_after_s=wait_s,
        request_id=request_id,
    )


def _key_refused(words: str, code: str, request_id: str | None) -> AccountClosed:
    return AccountClosed(
        f"The endpoint refused the key ({words}). Check OPENAI_API_KEY.",
        code=code,
        request_id=request_id,
    )


def _speaks_of_key(text: str) -> bool:
    return "invalid_api_key" in text or "authentication" in text.lower()


def _is_about_model(error: _Error) -> bool:
    return error.code in MODEL_CODES or bool(_MODEL_WORDS.search(error.message or ""))


def _error_of(body: bytes) -> _Error:
    try:
        found = msgspec.json.decode(body, type=_Envelope)
        if isinstance(found.error, str):
            return _Error(message=found.error)
        return found if found.error is None else found.error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Error()


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()):
        return None
    return float(text)


def _until(stated: str, now: str | None) -> float | None:
    if now is None:
        return None
    try:
        return max(
            0.0, (parsedate_to_datetime(stated) - parsedate_to_datetime(now)).total_seconds()
        )
    except (TypeError, ValueError):
        return None
