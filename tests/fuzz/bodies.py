"""What the client reads from HTTP: bodies of three routes, refusals, headers, close reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from analysis.errors import AnswerDefect, RequestRejected, TransportError
from analysis.records import Ask, ChoiceReply, TextReply, Usage
from analysis.wire import chat, decisions, failures, forms, responses
from analysis.wire.forms import Form
from tests.fuzz.dice import Dice
from tests.fuzz.mutation import changed, torn, written

REASONS = (AnswerDefect, TransportError, RequestRejected)
"""How a body may fail to be an answer; anything else that is raised is a fault of the client."""

LARGEST_COUNT = 2**63 - 1
"""Of tokens; the ledger keeps 64 bits."""

KEYS = ("key_thesis", "example", "noise")
SHORT_IDS = ("ab3f", "k7xz", "q1w2")
STATUSES = ("completed", "incomplete", "failed", "cancelled", "in_progress", "queued")
CODES = ("server_error", "rate_limit_exceeded", "insufficient_quota", "invalid_api_key", "x")
WORDS = (
    *("id", "model", "status", "output", "usage", "error", "code", "type", "message", "metadata"),
    *("rid", "r1", "r2", "content", "text", "output_text", "refusal", "reason", "param", "choices"),
    *("incomplete_details", "max_output_tokens", "content_filter", "finish_reason", "stop"),
    *("length", "name", "choice", "probabilities", "probability", "value", "answers", "confidence"),
    *("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "cached_tokens"),
    *(f"c_{short_id}" for short_id in SHORT_IDS),
    *("c_", "c_zzzz", *SHORT_IDS, *KEYS, *STATUSES, *CODES),
)
USAGE = {
    "input_tokens": 231,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 30},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
}
CHAT_USAGE = {
    "prompt_tokens": 231,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 30},
    "completion_tokens": 7,
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def _body(good: Any, dice: Dice) -> bytes:
    """Return a body made of a good one: whole, changed, torn, or bytes that are none."""
    kind = dice.below(8)
    if kind == 7:
        return dice.raw(60)
    if kind == 6:
        text = torn(good, dice)
    else:
        text = written(good if kind == 0 else changed(good, dice, WORDS), dice)
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _parsed(content: bytes) -> Any:
    """Return what a body holds, None if it is no JSON."""
    try:
        return json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def check_usage(usage: Usage) -> None:
    """Fail if a count of tokens cannot be kept or added."""
    for name, count in usage.to_dict().items():
        assert isinstance(count, int) and 0 <= count <= LARGEST_COUNT, f"{name} is {count}"


def _read(call: Callable[[], Any]) -> Any:
    """Return what a reader returns, None if it states a reason."""
    try:
        return call()
    except REASONS as error:
        check_usage(error.usage)
        return None


def responses_body(content: bytes, read: Callable[..., Any] = responses.read) -> None:
    """The body of `POST /responses`: nobody gets an answer that carries another id."""
    dice = Dice(content)
    part = {"type": "output_text", "text": "words", "annotations": []}
    good = {
        "id": "resp_1",
        "model": "gpt-6-luna-2026-09-22",
        "status": dice.pick(STATUSES),
        "service_tier": "default",
        "error": {"code": dice.pick(CODES), "type": "server_error", "message": "words"},
        "incomplete_details": {"reason": dice.pick(("max_output_tokens", "content_filter", "x"))},
        "output": [{"type": "reasoning"}, {"type": "message", "content": [part, part]}],
        "metadata": {"rid": dice.pick(("r1", "r1", "r1", "r2"))},
        "usage": USAGE,
    }
    body = _body(good, dice)
    answer = _read(lambda: read(body, request_id="r1"))
    if answer is None:
        return
    found = _parsed(body)
    metadata = found.get("metadata") if isinstance(found, dict) else None
    assert not metadata or metadata.get("rid", "r1") == "r1", "an answer with another id"
    assert found["status"] in ("completed", "incomplete")
    assert isinstance(answer.reply, TextReply) and isinstance(answer.reply.text, str)
    check_usage(answer.reply.usage)


def chat_body(content: bytes) -> None:
    """The body of `POST /chat/completions`: one answer to one question."""
    dice = Dice(content)
    text: Any = "words" if dice.below(3) < 2 else [{"type": "text", "text": "words"}]
    message = {"role": "assistant", "content": text, "refusal": None}
    good: dict[str, Any] = {
        "id": "chatcmpl-1",
        "model": "m-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": dice.pick(("stop", "x"))}],
        "usage": CHAT_USAGE,
        "service_tier": "default",
    }
    if dice.happens(4):
        code = dice.pick((*CODES, 400, 401, 404, 429, 503, 700))
        good["error"] = {"code": code, "type": "x", "message": "words"}
    body = _body(good, dice)
    answer = _read(lambda: chat.read(body))
    if answer is not None:
        found = _parsed(body)
        assert 1 == len(found["choices"]) and found.get("error") is None
        check_usage(answer.reply.usage)


def _decision(short_id: str, dice: Dice) -> Any:
    kind = dice.below(6)
    if kind == 5:
        return {"type": "refusal", "name": f"c_{short_id}", "refusal": "no"}
    shares = dice.pick(((0.7, 0.2, 0.1), (0.5, 0.5, 0.0), (0.4, 0.3, 0.31), (0.9, 0.2, 0.1)))
    probabilities = [
        {"value": key, "probability": share} for key, share in zip(KEYS, shares, strict=True)
    ]
    choice = KEYS[0] if kind < 4 else dice.pick(KEYS)
    return {
        "type": "choice",
        "name": f"c_{short_id}",
        "choice": choice,
        "confidence": 0.5,
        "probabilities": probabilities,
    }


def decisions_body(content: bytes, read: Callable[..., Any] = decisions.read) -> None:
    """The body of `POST /decisions`: each choice is the one under the name of its question."""
    dice = Dice(content)
    tickets = {short_id: place for place, short_id in enumerate(SHORT_IDS)}
    ask = Ask(
        instructions="",
        content="",
        schema_name="s",
        schema={},
        max_output_tokens=16,
        tickets=tickets,
        estimated_input_tokens=1,
        choices=KEYS,
    )
    answers = [_decision(short_id, dice) for short_id in SHORT_IDS]
    if dice.happens(3):
        answers.append(answers.pop(0))
    good = {"model": "gpt-6-luna", "answers": answers, "usage": USAGE}
    if dice.happens(6):
        good["error"] = {"code": dice.pick(CODES), "type": "x", "message": "words"}
    body = _body(good, dice)
    reply = _read(lambda: read(body, ask=ask))
    if reply is None:
        return
    assert isinstance(reply, ChoiceReply)
    check_usage(reply.usage)
    given = _parsed(body)["answers"]
    assert len(given) == len(SHORT_IDS)
    named = {one["name"]: one for one in given}
    assert named.keys() == {f"c_{short_id}" for short_id in SHORT_IDS}
    for short_id, choice in reply.choices.items():
        _check_choice(dict(choice.probabilities), named[f"c_{short_id}"])


def _check_choice(shares: dict[str, float], given: Any) -> None:
    if not shares:
        assert given["type"] == "refusal"
        return
    assert given["type"] == "choice" and next(iter(shares)) == given["choice"]
    assert shares == {one["value"]: one["probability"] for one in given["probabilities"]}
    assert shares.keys() == set(KEYS) and abs(math.fsum(shares.values()) - 1) < 0.021
    assert max(shares.values()) - shares[given["choice"]] < 1e-8


HEADER_NAMES = ("retry-after", "retry-after-ms", "date", "x-request-id", "location")
LIMIT_NAMES = tuple(
    f"x-ratelimit-{what}-{field}"
    for what in ("limit", "remaining", "reset")
    for field in ("requests", "tokens", "project-tokens")
)
HEADER_TEXTS = (
    *("0", "1", "17", "1.5", "-1", "", "x", "6ms", "1m30.5s", "9" * 18, "9" * 400 + "h", "1e5"),
    *("Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:09 GMT", "Sat, 99 Nov 2026", "¹"),
    *("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "Sat, 21 Nov 2026 10:00"),
)
SECRET = "sk-proj-" + "abcdefgh1234"
MESSAGES = (
    *("words", "", f"Incorrect API key provided: {SECRET}.", "try again in 644ms", "Unknown model"),
    *("try again in " + "9" * 400 + "s", "x" * 5_000, "deployment not found", f"Bearer {SECRET}"),
    *("Unsupported parameter: 'temperature'", "response_format json_schema", "Request too large"),
)
PARAMS = ("temperature", "text.format", "max_completion_tokens", "prompt_cache_options", "model")
HTTP_STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 429, 500, 501, 503, 529, 301)
CLOSE_CODES = (1000, 1001, 1002, 1006, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4999, 0)


def check_failure(failure: Any) -> None:
    """Fail if what a refusal was read as cannot be used or must not be shown."""
    assert isinstance(failure, TransportError | RequestRejected)
    assert SECRET not in str(failure) and len(str(failure)) < 2_000
    wait_s = failure.retry_after_s if isinstance(failure, TransportError) else None
    assert wait_s is None or 0 <= wait_s < math.inf, f"waits for {wait_s} s"


def check_ending(error: Any) -> None:
    """Fail if the error of a request cannot be used."""
    check_usage(error.usage)
    if not isinstance(error, AnswerDefect):
        check_failure(error)


def _headers(dice: Dice) -> dict[str, str]:
    names = (*HEADER_NAMES, *LIMIT_NAMES)
    chosen = [dice.pick(names) for _ in range(dice.below(6))]
    texts = [dice.pick(HEADER_TEXTS) for _ in chosen]
    raw = dice.raw(12).decode("latin-1")
    return dict(zip(chosen, texts, strict=True)) | {dice.pick(names): raw}


def refusals(content: bytes) -> None:
    """Refusals of every kind, in every place where a service can say no."""
    dice = Dice(content)
    error = {"code": dice.pick((*CODES, 429)), "type": dice.pick(CODES)}
    error |= {"message": dice.pick(MESSAGES), "param": dice.pick(PARAMS)}
    good = dice.pick(({"error": error}, error, {"error": dice.pick(MESSAGES)}, [error]))
    body, headers = _body(good, dice), _headers(dice)
    status = dice.pick(HTTP_STATUSES)
    check_failure(failures.from_status(status, headers=headers, body=body))
    check_failure(failures.at_handshake(status, headers=headers, body=body))
    assert isinstance(failures.is_unknown_address(status, body), bool)
    named = {name: str(error[name]) for name in ("code", "message")}
    named["kind"] = str(error["type"])
    check_failure(failures.from_code(**named))
    check_failure(failures.at_greeting(**named))
    reason = dice.pick((*CODES, "", f"x.{CODES[3]}", *MESSAGES, dice.raw(30).decode("latin-1")))
    check_failure(failures.at_close(dice.pick(CLOSE_CODES), reason))
    for limit in responses.limits(headers):
        assert limit.reset_s is None or 0 <= limit.reset_s < math.inf, f"resets in {limit.reset_s}"
        assert all(n is None or n >= 0 for n in (limit.limit, limit.remaining))
    _descend(status, body)


def _descend(status: int, body: bytes) -> None:
    """Ask in simpler and simpler forms: that has an end, and each form is a new one."""
    form: Form | None = forms.STRICTEST
    seen: set[Form] = set()
    while form is not None:
        assert form not in seen
        seen.add(form)
        form = forms.simpler(form, status=status, content=body)
