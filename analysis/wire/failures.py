"""What a foreign error means: statuses, codes and close codes -> our exceptions.

Pure. `wire/realtime.py`, `wire/responses.py` and the transports call it. The decisions are the rows
of `wire/error_table.py`; here stands one function for each place where a service can say no: an
HTTP status, an error object without one, an opening handshake, a closed socket, an exception of a
library. Code and type beat the status.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import msgspec

from analysis.errors import (
    AT_ONCE,
    AccountClosed,
    AnalysisError,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Usage
from analysis.wire.error_rows import ANY, Row, Where
from analysis.wire.error_table import TABLE, row_for

Failure: TypeAlias = TransportError | RequestRejected

MESSAGE_LIMIT = 400
"""Characters kept of a service's words; a longer one may quote the text that was sent."""

_MODEL_WORDS = re.compile(r"(?<![/\w.-])(?:model|deployment)\b", re.IGNORECASE)
"""The word in a sentence, not as a part of an address."""

_UNSUPPORTED = re.compile(
    r"not (?:be )?support|unsupported|plain.?text|insecure|scheme|https?://|wss?://", re.IGNORECASE
)
"""Of a gateway that opens its own side before it looks at the other one."""

_UNIT_SECONDS = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_STEP = r"(\d{1,9}(?:\.\d+)?)(ms|us|µs|ns|h|m|s)"
_DURATION = re.compile(rf"(?:{_STEP})+")
_STEPS = re.compile(_STEP)
_TRY_AGAIN = re.compile(r"try again in ([0-9a-zµ.]+)", re.IGNORECASE)
_CROWD = re.compile(r"\b(at once|in progress|concurren\w+|simultaneous\w*|in parallel)\b", re.I)
"""A service that takes no further request before another one has ended. Source: G (no text is
documented); servers of others say "too many concurrent requests"."""

_DIMENSION = re.compile(r"\b(requests|tokens)\w* per (min|day)")
_COUNTS = {
    name: re.compile(rf"\b{name.capitalize()}:? (\d{{1,15}})\b")
    for name in ("limit", "used", "requested")
}
"""Words of a rate limit: `tokens per min (TPM): Limit 30000, Used 29500, Requested 1200`."""

_SECRETS = re.compile(
    r"\bsk-[\w*-]{4,}|(?<=Bearer )\S+|(?<=API key provided: )\S+?(?=[.,]?(?:\s|$))"
    r"|\beyJ[\w.-]{16,}|\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{24,}\b"
)
"""Keys as they look: those of OpenAI, whatever stands where a key is named, tokens of Entra ID, and
long words of letters and digits, as Azure's keys are. Ids of requests have an underscore."""

_CONTENT = re.compile(r"'[^']{41,}'|\"[^\"]{41,}\"|`[^`]{41,}`")
"""Long words in quotes: a chunk's text, or what a model made of it; names of fields are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Fields of an error object; an empty string stands for what is missing."""

    code: str = ""
    kind: str = ""
    message: str = ""
    param: str = ""


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


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
    """Return a service's words in a form fit for logs: no keys, no long quotes, one line, cut."""
    plain = _CONTENT.sub("[quoted]", _SECRETS.sub("[key]", " ".join(message.split())))
    return plain if len(plain) <= MESSAGE_LIMIT else plain[:MESSAGE_LIMIT] + " [cut]"


def unsent(failure: Failure) -> Failure:
    """Return a failure as it is for somebody who has sent no request."""
    if isinstance(failure, TransportError) and failure.ending is Ending.UNKNOWN:
        failure.ending = Ending.UNSENT
    return failure


def from_code(*, code: str, kind: str, message: str, request_id: str | None = None) -> Failure:
    """Return the exception for an error object that came without an HTTP status.

    Args:
        code: `error.code`, or an empty string.
        kind: `error.type`, or an empty string.
        message: `error.message`.
        request_id: The service's own id of the request.
    """
    stated = Stated(code=code, kind=kind, message=message)
    return from_error(stated, headers={}, request_id=request_id)


def from_status(status: int, *, headers: Mapping[str, str], body: bytes) -> Failure:
    """Return the exception for an HTTP reply whose status is not 2xx.

    Args:
        status: The HTTP status.
        headers: Header names in lower case, or a mapping that does not mind the case.
        body: The raw body, JSON with `error` or anything else.
    """
    error = _error_of(body)
    stated = Stated(
        code=str(error.code or ""),
        kind=error.type or "",
        message=error.message or "",
        param=error.param or "",
    )
    return from_error(
        stated, status=status, headers=headers, request_id=headers.get("x-request-id")
    )


def from_error(
    stated: Stated,
    *,
    status: int | None = None,
    headers: Mapping[str, str],
    request_id: str | None = None,
) -> Failure:
    """Return the exception for an error object, with a status or without.

    Args:
        stated: Its fields.
        status: The HTTP status, also one that stands in a frame; None if there is none.
        headers: As in `from_status`; empty if there are none.
        request_id: The service's own id of the request.
    """
    row = _row_of(stated, status)
    name = spoken(stated.code or stated.kind)
    if status is None:
        words = f"{name or 'error'}: {spoken(stated.message)}"
    else:
        words = f"HTTP {status} {name}".rstrip()
        words += f": {spoken(stated.message)}" if stated.message else ""
        words += f": {spoken(headers.get('location', ''))}" if status < 400 else ""
    code = name if stated.code or row.becomes is not RateLimited else "rate_limit_exceeded"
    return _made(
        row,
        f"{row.meaning} ({words}). {row.cure}",
        code=code or ("" if status is None else str(status)),
        wait_s=retry_after_s(headers, stated.message),
        request_id=request_id,
        stated=stated,
    )


def _row_of(stated: Stated, status: int | None) -> Row:
    """Return the row of an error object: by name, then by status; a rate limit also by words."""
    names = {name for name in (stated.code, stated.kind) if name}
    row = row_for(Where.NAME, names) or row_for(Where.PARAM, {stated.param})
    if row is None and status == 404 and _is_about_model(stated.code, stated.message):
        row = row_for(Where.NAME, {"model_not_found"})
    if row is None and status is not None:
        row = row_for(Where.STATUS, {str(status)}) or row_for(Where.STATUS, {f"{status // 100}xx"})
    row = row or row_for(Where.BARE_NAME, names) or row_for(Where.BARE_NAME, {ANY})
    assert row is not None  # the table has a row for ANY in this place
    if row.becomes is RateLimited:
        words = stated.message.lower()
        for closer in TABLE:
            if closer.where is Where.LIMIT_WORDS and closer.patterns[0].lower() in words:
                return closer
    return row


def _made(
    row: Row,
    message: str,
    *,
    code: str,
    wait_s: float | None = None,
    request_id: str | None = None,
    stated: Stated | None = None,
) -> Failure:
    """Return the exception of a row."""
    code = row.code or code
    message = message.rstrip()
    if issubclass(row.becomes, RequestRejected):
        return row.becomes(message, code=code, request_id=request_id)
    if issubclass(row.becomes, RateLimited):
        limited = row.becomes(message, code=code, retry_after_s=wait_s, request_id=request_id)
        if stated is not None:
            _note_counts(limited, stated.message)
        return limited
    return row.becomes(
        message, ending=row.ending, code=code, retry_after_s=wait_s, request_id=request_id
    )


def _note_counts(limited: RateLimited, message: str) -> None:
    """Note which limit was met, and the counts that the service names with it."""
    if named := _DIMENSION.search(message):
        limited.dimension = f"{named[1]} per {named[2]}"
    elif _CROWD.search(message):
        limited.dimension = AT_ONCE
    found = {name: pattern.search(message) for name, pattern in _COUNTS.items()}
    counts = {name: int(match[1]) for name, match in found.items() if match is not None}
    limited.limit, limited.used = counts.get("limit"), counts.get("used")
    limited.requested = counts.get("requested")


def is_unknown_address(status: int, body: bytes) -> bool:
    """Return whether a server says that nothing is at an address; nothing was generated then.

    A 404 about the model or the deployment says that the address is right.
    """
    error = _error_of(body)
    return status in (405, 501) or (
        status == 404 and not _is_about_model(str(error.code or ""), error.message or "")
    )


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
        name = spoken(code or kind)
        return _key_refused(f"{name}: {spoken(message)}", name)
    failure = from_code(code=code, kind=kind, message=message)
    if type(failure) is TransportError:
        failure.ending = Ending.UNSENT
    if type(failure) is RequestRejected:
        return RouteClosed(f"The endpoint refused the session: {failure}", code=failure.code)
    return failure


def at_close(close_code: int, reason: str) -> Failure:
    """Return the exception for the requests that wait when a socket closes.

    OpenAI's close reasons are `<error.type>[.<error.code>]`. A name that is no matter of trying
    again beats the close code.
    """
    words = f"close code {close_code}" + (f", {spoken(reason)}" if reason else "")
    named = row_for(Where.NAME, set(reason.split(".")))
    if named is not None and issubclass(named.becomes, RequestRejected):
        return _made(
            named, f"{named.meaning} ({words}). {named.cure}", code=reason.rpartition(".")[2]
        )
    row = row_for(Where.CLOSE, {_close_name(close_code, reason)}) or row_for(Where.CLOSE, {ANY})
    assert row is not None  # the table has a row for ANY in this place
    if row.becomes is RouteClosed and _speaks_of_key(reason):
        return _key_refused(words, str(close_code))
    return _made(row, f"{row.meaning} ({words}). {row.cure}", code=str(close_code))


def from_exception(error: BaseException, *, host: str, is_opening: bool) -> Failure:
    """Return our exception for one of a library that carries bytes.

    Such libraries wrap each other's exceptions; what aiohttp says is the finest of them.

    Args:
        error: Of aiohttp, httpx2, openai, websockets, socket or ssl.
        host: Named in the message.
        is_opening: While a WebSocket opens, when nothing was sent; else during an HTTPS request.
    """
    first = next((one for one in _chain(error) if _package(type(one)) == "aiohttp"), None)
    seen = [error] if is_opening else [first] if first is not None else list(_chain(error))
    names = {name for one in seen for name in _exception_names(one)}
    where = Where.OPENING if is_opening else Where.CALL
    row = row_for(Where.CONNECT, names) or row_for(where, names) or row_for(where, {ANY})
    assert row is not None  # the table has a row for ANY in both places
    shown = first or error
    words = spoken(str(shown) or type(shown).__name__).rstrip(".")
    message = f"{row.meaning.format(host=host)}: {words}. {row.cure}"
    return _made(row, message, code=type(shown).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _exception_names(error: BaseException) -> Iterator[str]:
    """Yield package and class of an exception and of its bases, a proxy's status behind it."""
    response = getattr(error, "response", error)
    status = getattr(response, "status_code", getattr(response, "status", None))
    for one in type(error).__mro__:
        name = f"{_package(one)}.{one.__name__}"
        yield name
        if status is not None:
            yield f"{name} {status}"


def _package(one: type) -> str:
    return one.__module__.partition(".")[0]


def _close_name(close_code: int, reason: str) -> str:
    if close_code == 1011 and _UNSUPPORTED.search(reason):
        return "1011 and words on what is not supported"
    return str(close_code)


def _key_refused(words: str, code: str) -> AccountClosed:
    row = row_for(Where.NAME, {"invalid_api_key"})
    assert row is not None  # a row of the table
    return AccountClosed(f"{row.meaning} ({words}). {row.cure}", code=code)


def _speaks_of_key(text: str) -> bool:
    return "invalid_api_key" in text or "authentication" in text.lower()


def _is_about_model(code: str, message: str) -> bool:
    return row_for(Where.NAME, {code}) is row_for(Where.NAME, {"model_not_found"}) or bool(
        _MODEL_WORDS.search(message)
    )


def _error_of(body: bytes) -> _Error:
    try:
        found = msgspec.json.decode(body, type=_Envelope)
        if isinstance(found.error, str):
            return _Error(message=found.error)
        return found if found.error is None else found.error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Error()


def _number(text: str | None) -> float | None:
    stripped = (text or "").strip()  # which takes more for a space than `float` does
    return float(stripped) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", stripped) else None


def _until(stated: str, now: str | None) -> float | None:
    if now is None:
        return None
    try:
        return max(
            0.0, (parsedate_to_datetime(stated) - parsedate_to_datetime(now)).total_seconds()
        )
    except (TypeError, ValueError):
        return None
