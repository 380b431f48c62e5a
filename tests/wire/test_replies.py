"""What a finished Realtime response says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    ModelRefused,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Ending, TextReply, Usage
from analysis.wire import replies

from .examples import call


def read(**fields: Any) -> TextReply:
    """Read a response object that is completed unless the fields say otherwise."""
    text = json.dumps({"id": "resp_1", "status": "completed"} | fields)
    response = msgspec.json.decode(text, type=replies.Response)
    return replies.read(response, model="m", tool_name="set_labels")


def message(*texts: str, kind: str = "output_text") -> dict[str, Any]:
    """Return a message item with these parts."""
    return {"type": "message", "content": [{"type": kind, "text": text} for text in texts]}


def failed(code: str | None, kind: str, words: str = "words") -> dict[str, Any]:
    """Return the fields of a failed response."""
    error = {"type": kind, "code": code, "message": words}
    return {"status": "failed", "status_details": {"type": "failed", "error": error}}


def test_a_completed_call_gives_text_model_usage_and_id() -> None:
    """The arguments are the text; cached and reasoning tokens are parts of input and output."""
    usage = {
        "input_tokens": 9,
        "output_tokens": 3,
        "input_token_details": {"cached_tokens": 4},
        "output_token_details": {"text_tokens": 1, "reasoning_tokens": 2},
    }
    expected = TextReply(
        text="{}",
        model="m",
        usage=Usage(input_tokens=9, cached_tokens=4, output_tokens=3, reasoning_tokens=2),
        service_request_id="resp_1",
    )
    assert expected == read(output=[call("{}")], usage=usage)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ([message("hello"), call("{}")], "{}"),
        ([{"type": "reasoning"}, call("{}")], "{}"),
        ([call("no", name="other"), message("plain")], "plain"),
        ([message("a", "b"), message("c")], "abc"),
        ([message("old", kind="text")], "old"),
        ([call("{}"), call("{}")], "{}"),
    ],
)
def test_the_text_is_searched_by_type(output: list[Any], text: str) -> None:
    """A call of our function beats messages, wherever it stands; other calls do not count."""
    assert text == read(output=output).text


@pytest.mark.parametrize("output", [[], None, [call("")], [call("x", name="other")], [message("")]])
def test_an_output_without_text_is_a_defect(output: Any) -> None:
    """A completed response may still be empty."""
    with pytest.raises(AnswerDefect) as caught:
        read(output=output)
    assert "empty" == caught.value.defect


def test_two_calls_that_differ_are_a_defect() -> None:
    """Which of them is meant cannot be known."""
    with pytest.raises(AnswerDefect) as caught:
        read(output=[call("{}"), call("[]")])
    assert "many_calls" == caught.value.defect


@pytest.mark.parametrize("output", [[call('{"answers":[')], []])
def test_an_answer_at_its_cap_is_cut(output: list[Any]) -> None:
    """Partial arguments are kept and marked, even if there are none."""
    details = {"type": "incomplete", "reason": "max_output_tokens"}
    reply = read(status="incomplete", status_details=details, output=output)
    assert ('{"answers":[' if output else "", True) == (reply.text, reply.is_cut)


def test_a_content_filter_is_a_refusal() -> None:
    """An answer that the filter stopped is never read."""
    details = {"type": "incomplete", "reason": "content_filter"}
    with pytest.raises(ModelRefused):
        read(status="incomplete", status_details=details, output=[call("{}")])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (failed("insufficient_quota", "insufficient_quota"), AccountClosed),
        (failed("credit_balance_exhausted", "requests"), AccountClosed),
        (failed("inference_not_authorized_error", ""), AccountClosed),
        (failed("invalid_prompt", "invalid_request_error"), RequestRejected),
        (failed("rate_limit_exceeded", "tokens"), RateLimited),
        ({"status": "failed", "status_details": None}, TransportError),
        (
            {"status": "cancelled", "status_details": {"reason": "turn_detected"}},
            TransportError,
        ),
    ],
)
def test_a_response_that_failed_says_why(fields: dict[str, Any], expected: type) -> None:
    """Every terminal status without an answer has its exception."""
    with pytest.raises(expected) as caught:
        read(**fields)
    assert expected is caught.type


@pytest.mark.parametrize(
    ("hint", "seconds"), [("6.946s", 6.946), ("644ms", 0.644), ("1m2.5s", 62.5)]
)
def test_a_rate_limit_says_how_long_to_wait(hint: str, seconds: float) -> None:
    """On a socket the wait stands in the words only."""
    words = f"Rate limit reached. Please try again in {hint}. Visit the console."
    with pytest.raises(RateLimited) as caught:
        read(**failed("rate_limit_exceeded", "tokens", words))
    assert seconds == pytest.approx(caught.value.retry_after_s)


def test_a_server_error_was_not_paid_and_a_cancelled_one_may_have_been() -> None:
    """The endings decide whether a retry can cost twice."""
    endings = []
    for fields in (failed("server_error", "server_error"), {"status": "cancelled"}):
        with pytest.raises(TransportError) as caught:
            read(**fields)
        endings.append(caught.value.ending)
    assert [Ending.REFUSED, Ending.UNKNOWN] == endings


def test_an_unusable_reply_says_what_it_was_billed() -> None:
    """An empty answer and a filtered one have their usage on the error."""
    usage = {"input_tokens": 9, "output_tokens": 2}
    filtered = {"status": "incomplete", "status_details": {"reason": "content_filter"}}
    for fields in ({"status": "completed", "output": []}, filtered):
        with pytest.raises(AnalysisError) as caught:
            read(**fields, usage=usage)
        assert Usage(input_tokens=9, output_tokens=2) == caught.value.usage


@pytest.mark.parametrize("status", ["in_progress", "odd", None])
def test_an_unknown_status_is_a_defect(status: str | None) -> None:
    """What is not known to be an answer is none."""
    with pytest.raises(AnswerDefect) as caught:
        read(status=status, output=[call("{}")])
    assert "unknown_status" == caught.value.defect


@pytest.mark.parametrize("fields", [{"output": 5}, {"output": [1]}, {"status_details": []}])
def test_fields_of_a_wrong_type_are_a_defect(fields: dict[str, Any]) -> None:
    """Junk inside of a response object ends its request instead of leaving it to wait."""
    with pytest.raises(AnswerDefect) as caught:
        read(**fields)
    assert "malformed_reply" == caught.value.defect


@pytest.mark.parametrize("usage", [None, 5, {"input_tokens": "many"}, {}])
def test_a_usage_that_cannot_be_read_costs_no_answer(usage: Any) -> None:
    """An answer is worth more than its bill."""
    assert Usage() == read(output=[call("{}")], usage=usage).usage
