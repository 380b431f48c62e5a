"""What foreign errors mean, row by row."""

from __future__ import annotations

import json

import pytest

from analysis.errors import (
    AccountClosed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending
from analysis.wire import failures
from analysis.wire.error_table import TABLE

(BILLING,) = (row for row in TABLE if "insufficient_quota" in row.patterns)
TPM = (
    "Rate limit reached for gpt-6-luna in organization org-x on tokens per min (TPM): Limit 40000, "
    "Used 39000, Requested 9000. Please try again in {}. Visit the console to learn more."
)
TOO_LARGE = (
    "Request too large for gpt-6-luna in organization org-x on tokens per min (TPM): Limit 30000, "
    "Requested 31538."
)


def error_body(kind: str = "", code: str | None = None, message: str = "words") -> bytes:
    """Return an error body as the service sends it."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}).encode()


def read(status: int, body: bytes, **headers: str) -> failures.Failure:
    """Read a status with headers given by Python names."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.from_status(status, headers=names, body=body)


@pytest.mark.parametrize(
    "code",
    [
        "unknown_parameter",
        "invalid_value",
        "missing_required_parameter",
        "decimal_below_min_value",
        "string_above_max_length",
        "context_length_exceeded",
        "unsupported_parameter",
        "a_code_of_next_year",
    ],
)
def test_a_400_is_final_for_the_request(code: str) -> None:
    """A refused request keeps the service's code and is no fault of route or account."""
    found = read(400, error_body("invalid_request_error", code))
    assert (RequestRejected, code) == (type(found), getattr(found, "code", None))


@pytest.mark.parametrize("status", [413, 422, 400])
def test_a_4xx_without_a_readable_body_is_final_for_the_request(status: int) -> None:
    """A page of HTML in place of an error object does not disturb the mapping."""
    assert type(read(status, b"<html>no</html>")) is RequestRejected


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, error_body("invalid_request_error", "invalid_api_key"), AccountClosed),
        (401, b"", AccountClosed),
        (403, error_body("invalid_request_error", "unsupported_country"), AccountClosed),
        (404, error_body("invalid_request_error", "model_not_found"), RouteClosed),
        (404, b"not found", RouteClosed),
        (400, error_body("invalid_request_error", "invalid_model"), RouteClosed),
        (400, error_body("", "OpperationNotSupported"), RouteClosed),
        (402, error_body("", None, "Insufficient Balance"), AccountClosed),
        (407, b"", RouteClosed),
        (410, b"", RouteClosed),
        (451, b"", AccountClosed),
        (501, b"", RouteClosed),
        (307, b"", RouteClosed),
    ],
)
def test_key_permission_model_and_address(status: int, body: bytes, kind: type) -> None:
    """A refused key closes the account, an unknown model or address closes the route."""
    assert type(read(status, body)) is kind


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        (404, b"", True),
        (404, b"404 page not found", True),
        (404, b'{"detail":"Not Found"}', True),
        (404, error_body("invalid_request_error", None, "Invalid URL (POST /v1/responses)"), True),
        (404, b'{"message":"Cannot POST /models/v1/responses"}', True),
        (405, b"", True),
        (501, b"", True),
        (404, error_body("invalid_request_error", "model_not_found"), False),
        (404, error_body("", "DeploymentNotFound"), False),
        (404, error_body("api_error", None, 'model "x" not found, try pulling it first'), False),
        (404, b'{"object":"error","message":"The model `x` does not exist.","code":404}', False),
        (404, b'{"error":"model x not found"}', False),
        (400, b"", False),
        (200, b"", False),
        (500, b"", False),
    ],
)
def test_an_unknown_address_is_told_from_an_unknown_model(
    status: int, body: bytes, is_unknown: bool
) -> None:
    """Only the former means that the server does not have what the address stands for."""
    assert is_unknown == failures.is_unknown_address(status, body)
    if status == 404:
        found = read(status, body)
        assert isinstance(found, RouteClosed)
        assert is_unknown == ("base URL" in str(found))


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"bad field"}',
        b'{"message":"bad field","type":"t"}',
        error_body("t", None, "bad field"),
    ],
)
def test_the_words_of_bare_error_bodies_are_kept(body: bytes) -> None:
    """Compatible servers leave out the envelope, or all but the sentence."""
    assert "bad field" in str(read(400, body))


@pytest.mark.parametrize("reason", ["", "invalid_request_error.never_heard_of"])
def test_a_final_close_names_the_dialect_as_a_cause(reason: str) -> None:
    """A server that gives no reason may have disliked a forced dialect."""
    assert "if the dialect 'beta' is forced, use 'auto' or 'ga'" in str(
        failures.at_close(4000, reason)
    )


def test_a_redirect_names_its_target() -> None:
    """The person reads where the endpoint wanted to send the key."""
    assert "https://b.example/v1" in str(read(301, b"", location="https://b.example/v1"))


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (408, Ending.UNKNOWN),
        (409, Ending.REFUSED),
        (500, Ending.REFUSED),
        (502, Ending.REFUSED),
        (503, Ending.REFUSED),
        (504, Ending.UNKNOWN),
        (522, Ending.REFUSED),
        (524, Ending.UNKNOWN),
        (529, Ending.REFUSED),
    ],
)
def test_server_errors_say_whether_they_may_have_been_paid(status: int, ending: Ending) -> None:
    """Only a time-out on the service's side leaves it open whether an answer was generated."""
    found = read(status, error_body("server_error", None))
    assert isinstance(found, TransportError)
    assert (TransportError, ending) == (type(found), found.ending)


@pytest.mark.parametrize("kind", ["tokens", "requests", "rate_limit_error"])
def test_a_rate_limit_says_how_long_to_wait(kind: str) -> None:
    """Without a header the words of the message count."""
    found = read(429, error_body(kind, "rate_limit_exceeded", TPM.format("644ms")))
    assert isinstance(found, RateLimited)
    assert (0.644, Ending.REFUSED) == (found.retry_after_s, found.ending)


def test_a_429_without_words_is_a_rate_limit() -> None:
    """An unreadable 429 slows down and ends nothing."""
    found = read(429, b"")
    assert isinstance(found, RateLimited)
    assert ("rate_limit_exceeded", None) == (found.code, found.retry_after_s)


@pytest.mark.parametrize(
    "body",
    [
        error_body("", None, "Resource unavailable."),
        error_body("", "x", "Flex: resource unavailable"),
    ],
)
def test_a_tier_without_capacity_is_told_from_a_limit(body: bytes) -> None:
    """Nothing was charged, and the message names the cure if it lasts."""
    found = read(429, body)
    assert isinstance(found, RateLimited)
    assert "resource_unavailable" == found.code
    assert "service tier 'default'" in str(found)


def test_a_refused_service_tier_closes_the_route() -> None:
    """Every other request would be refused, too, so no chunk is to blame."""
    error = {
        "message": "Invalid value",
        "type": "t",
        "param": "service_tier",
        "code": "invalid_value",
    }
    found = read(400, json.dumps({"error": error}).encode())
    assert (RouteClosed, "invalid_value") == (type(found), getattr(found, "code", None))


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_filter_that_says_400_is_a_refusal_of_the_text(code: str) -> None:
    """Azure's filter answers so where others end the answer."""
    assert type(read(400, error_body("", code))) is ModelRefused


def test_a_request_too_large_is_final() -> None:
    """No wait lets a request pass that exceeds a whole minute."""
    found = read(429, error_body("tokens", "rate_limit_exceeded", TOO_LARGE))
    assert isinstance(found, RequestRejected)
    assert "request_too_large" == found.code


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 29500, "
            "Requested 1200. Please try again in 1.4s.",
            ("tokens per min", 30_000, 29_500, 1_200),
        ),
        (
            "Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1.",
            ("requests per day", 200, 200, 1),
        ),
        ("on tokens_usage_based per min: Limit: 5", ("tokens per min", 5, None, None)),
        ("Too many requests per second, Limit 9x", ("", None, None, None)),
        ("", ("", None, None, None)),
    ],
)
def test_a_rate_limit_says_which_limit_and_how_much_of_it_was_used(
    words: str, expected: tuple[str, int | None, int | None, int | None]
) -> None:
    """What the message leaves out is not guessed."""
    found = read(429, error_body("tokens", "rate_limit_exceeded", words))
    assert isinstance(found, RateLimited)
    assert expected == (found.dimension, found.limit, found.used, found.requested)


@pytest.mark.parametrize("status", [429, 503])
def test_slow_down_is_a_rate_limit_whatever_the_status(status: int) -> None:
    """The code beats the status, and is kept, since it asks for a longer pause."""
    found = read(status, error_body("requests", "slow_down"), retry_after="7")
    assert isinstance(found, RateLimited)
    assert ("slow_down", 7.0) == (found.code, found.retry_after_s)


@pytest.mark.parametrize("code", BILLING.patterns)
@pytest.mark.parametrize("place", ["code", "type"])
def test_billing_closes_the_account(code: str, place: str) -> None:
    """Quota and credit are recognized by code and by type, and never retried."""
    body = error_body("requests", code) if place == "code" else error_body(code, None)
    assert type(read(429, body)) is AccountClosed


def test_an_overloaded_server_is_tried_again_after_its_wait() -> None:
    """A 503 keeps the wait that the service asked for."""
    found = read(503, error_body("server_error", "server_is_overloaded"), retry_after="3")
    assert isinstance(found, TransportError)
    assert ("server_is_overloaded", 3.0) == (found.code, found.retry_after_s)


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, TPM.format("6.946s"), 0.25),
        ({"retry-after": "9"}, TPM.format("6.946s"), 9.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({}, TPM.format("6.946s"), 6.946),
        ({}, TPM.format("1m2.5s"), 62.5),
        ({}, "Try again in a while.", None),
        ({"retry-after": "soon"}, TPM.format("644ms"), 0.644),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT",
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
            },
            "",
            30.0,
        ),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, "", None),
        ({"retry-after": "Sat, 21 Nov 2026", "date": "today"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
    ],
)
def test_the_wait_is_taken_from_the_finest_source(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    """Milliseconds beat seconds, headers beat words; a date is read by the service's clock."""
    assert seconds == pytest.approx(failures.retry_after_s(headers, message))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17ms", 0.017),
        ("1s", 1.0),
        ("1m30.5s", 90.5),
        ("6m0s", 360.0),
        ("2h45m", 9900.0),
        ("250µs", 0.00025),
        ("644.0000000000001ms", 0.6440000000000001),
        ("9" * 400 + "s", None),
        ("", None),
        ("5", None),
        ("soon", None),
        ("1s later", None),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float | None) -> None:
    """Anything else than such a duration is None."""
    assert seconds == pytest.approx(failures.duration_s(text))


@pytest.mark.parametrize(
    ("code", "kind", "expected", "ending"),
    [
        ("rate_limit_exceeded", "tokens", RateLimited, Ending.REFUSED),
        ("insufficient_quota", "insufficient_quota", AccountClosed, None),
        ("", "insufficient_quota", AccountClosed, None),
        ("credit_balance_exhausted", "", AccountClosed, None),
        ("inference_not_authorized_error", "", AccountClosed, None),
        ("server_error", "server_error", TransportError, Ending.REFUSED),
        ("", "server_error", TransportError, Ending.REFUSED),
        ("invalid_prompt", "", RequestRejected, None),
        ("", "invalid_request_error", RequestRejected, None),
        ("conversation_already_has_active_response", "invalid_request_error", RouteClosed, None),
        ("never_heard_of", "", TransportError, Ending.UNKNOWN),
        ("", "", TransportError, Ending.UNKNOWN),
    ],
)
def test_error_objects_without_a_status(
    code: str, kind: str, expected: type, ending: Ending | None
) -> None:
    """Code and type decide; what nobody knows is tried again and may have been paid."""
    found = failures.from_code(code=code, kind=kind, message="words")
    assert (expected, ending) == (type(found), getattr(found, "ending", None))


@pytest.mark.parametrize(
    ("close_code", "reason", "expected"),
    [
        (3000, "invalid_request_error.invalid_api_key", AccountClosed),
        (3000, "authentication failed", AccountClosed),
        (3000, "invalid_request_error", RouteClosed),
        (4000, "invalid_request_error.invalid_model", RouteClosed),
        (4000, "invalid_request_error.beta_api_shape_disabled", RouteClosed),
        (4000, "", RouteClosed),
        (4000, "insufficient_quota.insufficient_quota", AccountClosed),
        (1011, "ws:// upstreams are not supported", RouteClosed),
        (1011, "keepalive ping timeout", TransportError),
        (1011, "internal error", TransportError),
        (1001, "Your session hit the maximum duration of 60 minutes.", TransportError),
        (1006, "", TransportError),
        (1011, "server_error", TransportError),
        (1009, "", TransportError),
    ],
)
def test_close_codes(close_code: int, reason: str, expected: type) -> None:
    """3000 and 4000 are final, any other close leaves open what was paid."""
    found = failures.at_close(close_code, reason)
    assert expected is type(found)
    assert getattr(found, "ending", Ending.UNKNOWN) is Ending.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", AccountClosed),
        (403, b"", AccountClosed),
        (404, b"", RouteClosed),
        (400, error_body("", "OpperationNotSupported"), RouteClosed),
        (302, b"", RouteClosed),
        (429, error_body("tokens", "rate_limit_exceeded"), RateLimited),
        (503, b"", TransportError),
        (504, b"", TransportError),
    ],
)
def test_a_refused_handshake_never_counts_as_sent(status: int, body: bytes, expected: type) -> None:
    """A request that had no socket yet was not sent, whatever the status."""
    found = failures.at_handshake(status, headers={}, body=body)
    assert expected is type(found)
    assert getattr(found, "ending", None) in (None, Ending.UNSENT, Ending.REFUSED)
    assert getattr(found, "ending", None) is not Ending.UNKNOWN


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("invalid_api_key", "Incorrect API key provided: abc.", AccountClosed),
        ("", "Missing bearer or basic authentication in header", AccountClosed),
        ("invalid_model", 'Model "x" is not supported in realtime mode', RouteClosed),
        ("missing_model", "You must provide a model parameter", RouteClosed),
        ("beta_api_shape_disabled", "no longer supported", RouteClosed),
        ("never_heard_of", "no", RouteClosed),
        ("server_error", "sorry", TransportError),
    ],
)
def test_an_error_in_place_of_a_greeting(code: str, message: str, expected: type) -> None:
    """The five captured handshake errors, and what is unknown, close; a server error does not."""
    found = failures.at_greeting(code=code, kind="invalid_request_error", message=message)
    if code == "server_error":
        found = failures.at_greeting(code=code, kind="server_error", message=message)
    assert expected is type(found)
    assert getattr(found, "ending", Ending.UNSENT) is Ending.UNSENT


@pytest.mark.parametrize(
    ("status", "code", "expected", "wait_s"),
    [
        (None, "server_error", TransportError, None),
        (429, "rate_limit_exceeded", RateLimited, 2.0),
        (503, "server_is_overloaded", TransportError, 2.0),
        (400, "websocket_stream_limit_reached", TransportError, 2.0),
        (400, "websocket_connection_limit_reached", TransportError, 2.0),
        (400, "invalid_stream_id", RouteClosed, None),
        (404, "previous_response_not_found", RequestRejected, None),
        (400, "never_heard_of", RequestRejected, None),
    ],
)
def test_a_frame_may_carry_status_and_headers(
    status: int | None, code: str, expected: type, wait_s: float | None
) -> None:
    """They count as they do in a reply over HTTPS."""
    headers = {"retry-after": "2"} if status else {}
    stated = failures.Stated(code=code, message="words")
    found = failures.from_error(stated, status=status, headers=headers)
    assert (expected, wait_s) == (type(found), getattr(found, "retry_after_s", None))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Incorrect API key provided: sk-abc*****xyz. See", "[key]. See"),
        ("Incorrect API key provided: hunter2.", "provided: [key]."),
        ("sent Bearer abcdef today", "Bearer [key] today"),
        ("denied to 7f3a9c51e2d84b06abc11e0d9b35f872.", "denied to [key]."),
        ("token eyJhbGciOiJSUzI1NiIsImtpZ.abc-_1 ended", "token [key] ended"),
        (f"value '{'some abc of a text ' * 3}' at input", "value [quoted] at input"),
        ("request req_7f3a9c51e2d84b0600011e0d9b35f872", "req_7f3a9c51e2d84b0600011e0d9b35f872"),
        ("two\nlines", "two lines"),
        ("x" * 500, "[cut]"),
    ],
)
def test_words_of_the_service_are_fit_for_logs(said: str, kept: str) -> None:
    """Keys and long quotes are blotted out, and a long message, which may hold a text, is cut."""
    found = failures.spoken(said)
    assert found.endswith(kept)
    assert "abc" not in found and "hunter2" not in found


def test_a_code_is_shown_like_a_message() -> None:
    """Some servers put whole sentences into `code`; they are cut, and keys in them are hidden."""
    said = "No such key sk-proj-abcdefgh " + "x" * 5_000
    for failure in (
        failures.from_code(code=said, kind="", message=""),
        failures.from_status(404, headers={}, body=json.dumps({"error": {"code": said}}).encode()),
        failures.at_greeting(code=said + "invalid_api_key", kind="", message=""),
    ):
        assert "abcdefgh" not in f"{failure} {failure.code}"
        assert len(f"{failure} {failure.code}") < 2_000


def test_a_wait_between_odd_spaces_is_read() -> None:
    """A separator that counts as a space does not break the number."""
    assert 1.0 == failures.retry_after_s({"retry-after": "\x1c1\x1c"}, "")
