"""Bodies, replies and headers of the Responses API."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    ModelRefused,
    RateLimited,
    TransportError,
)
from analysis.records import Ending, RateLimit, Request, TextReply, Usage
from analysis.wire import responses
from analysis.wire.forms import Form, simpler

from .examples import SCHEMA, request


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a message item with these parts."""
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": list(parts)}


def text(words: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


def body(**changes: Any) -> bytes:
    """Return the body of a completed response (protocol sheet 6.3), with changes."""
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-6-luna-2026-09-22",
        "output": [message(text("{}"))],
        "error": None,
        "incomplete_details": None,
        "metadata": {"rid": "r1"},
        "usage": {
            "input_tokens": 1100,
            "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 32},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 1108,
        },
    }
    return json.dumps(response | changes).encode()


def read(content: bytes) -> TextReply:
    """Read a body as the reply to request r1."""
    return responses.read(content, request_id="r1", service_request_id="req_1").reply


def test_the_body_asks_for_a_strict_schema_without_reasoning() -> None:
    """The whole body for the default model."""
    expected = {
        "model": "gpt-6-luna",
        "instructions": "Label each chunk.",
        "input": [{"role": "user", "content": request().ask.content}],
        "text": {
            "format": {"type": "json_schema", "name": "labels", "strict": True, "schema": SCHEMA}
        },
        "max_output_tokens": 80,
        "store": False,
        "metadata": {"rid": "r1"},
        "reasoning": {"effort": "none"},
        "temperature": 0.0,
        "prompt_cache_options": {"mode": "explicit"},
    }
    assert expected == responses.body(request())


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form(format="json_object"), {"format": {"type": "json_object"}}),
        (Form(format="text"), None),
    ],
)
def test_a_simpler_form_changes_the_format_only(form: Form, expected: Any) -> None:
    """The instructions demand JSON in any case."""
    strict, found = responses.body(request()), responses.body(request(), form=form)
    assert expected == found.pop("text", None)
    del strict["text"]
    assert strict == found


@pytest.mark.parametrize(
    ("model", "reasoning", "temperature"),
    [
        ("gpt-6-luna", {"effort": "none"}, 0.3),
        ("gpt-6.1-terra", {"effort": "none"}, 0.3),
        ("openai/gpt-6-luna", {"effort": "none"}, 0.3),
        ("gpt-5.6-luna", {"effort": "none"}, 0.3),
        ("gpt-6-astra", None, None),
        ("gpt-4o-mini", None, 0.3),
        ("some-local-model", None, 0.3),
    ],
)
def test_each_family_gets_only_what_it_takes(
    model: str, reasoning: dict[str, str] | None, temperature: float | None
) -> None:
    """A field that a model does not know makes the service refuse every request."""
    found = responses.body(request(model=model), temperature=0.3)
    assert (reasoning, temperature) == (found.get("reasoning"), found.get("temperature"))


def test_the_cap_is_never_below_what_the_api_takes() -> None:
    """A cap under 16 would be refused."""
    assert 16 == responses.body(request(cap=3))["max_output_tokens"]


def test_the_sdk_types_accept_our_body() -> None:
    """OpenAI's own parameter type knows every field that we send."""
    sent = responses.body(request())
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
    taken = adapter.validate_python(sent)
    assert sent.keys() == taken.keys()
    assert sent["text"] == taken["text"]


def long_request(model: str = "gpt-6-luna", *, spare_bytes: int = 0) -> Request:
    """Return a request whose instructions and schema reach the least size of a cache entry."""
    short = request(model=model)
    size = responses.CACHE_PREFIX_TOKENS * responses.BYTES_PER_TOKEN - spare_bytes
    schema_bytes = len(json.dumps(SCHEMA, separators=(",", ":")))
    instructions = "x" * (size - schema_bytes)
    return replace(short, ask=replace(short.ask, instructions=instructions))


def test_long_instructions_are_cached_up_to_their_end() -> None:
    """A breakpoint behind them, in a developer message; the chunks stay outside."""
    asked = long_request()
    part = {
        "type": "input_text",
        "text": asked.ask.instructions,
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    sent = responses.body(asked)
    assert [
        {"role": "developer", "content": [part]},
        {"role": "user", "content": asked.ask.content},
    ] == sent["input"]
    assert ({"mode": "explicit"}, False) == (sent["prompt_cache_options"], "instructions" in sent)
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
    assert sent.keys() == adapter.validate_python(sent).keys()


@pytest.mark.parametrize(
    ("asked", "form", "mode"),
    [
        (long_request(spare_bytes=1), Form(), {"mode": "explicit"}),
        (long_request("openai/gpt-5.6-luna", spare_bytes=1), Form(), {"mode": "explicit"}),
        (long_request(), Form(has_cache_options=False), None),
        (long_request("gpt-4o-mini"), Form(), None),
    ],
)
def test_other_requests_keep_their_instructions(
    asked: Request, form: Form, mode: dict[str, str] | None
) -> None:
    """Too short, refused by the server, or a model that does not bill writes to the cache."""
    sent = responses.body(asked, form=form)
    assert (asked.ask.instructions, mode) == (
        sent["instructions"],
        sent.get("prompt_cache_options"),
    )
    assert [{"role": "user", "content": asked.ask.content}] == sent["input"]


def test_a_server_that_refuses_the_cache_mode_is_asked_without() -> None:
    """Whether it names the field or only speaks of it."""
    named = {"error": {"param": "prompt_cache_options", "message": "Unknown parameter"}}
    spoken = {"detail": "extra field prompt_cache_options"}
    assert [Form(has_cache_options=False)] * 2 == [
        simpler(Form(), status=400, content=json.dumps(one).encode()) for one in (named, spoken)
    ]


def test_the_service_tier_is_sent_if_there_is_one_and_read_back() -> None:
    """The service may serve another one than was asked for."""
    assert "service_tier" not in responses.body(request())
    assert "flex" == responses.body(request(), service_tier="flex")["service_tier"]
    answer = responses.read_object(body(service_tier="default"), request_id="r1")
    assert "default" == answer.service_tier


def test_an_object_without_output_is_read_from_its_pieces() -> None:
    """They count only if the object has no output of its own."""
    pieces = [json.dumps(message(text("{1}"))).encode()]
    bare, whole = body(output=None), body()
    assert ["{1}", "{}"] == [
        responses.read_object(one, request_id="r1", pieces=pieces).reply.text
        for one in (bare, whole)
    ]


def test_an_object_may_not_contradict_the_frame_around_it() -> None:
    """An object without a status has that of its frame."""
    silent = body(status=None)
    assert "{}" == responses.read_object(silent, request_id="r1", status="completed").reply.text
    with pytest.raises(AnswerDefect, match="completed within failed"):
        responses.read_object(body(), request_id="r1", status="failed")


def test_a_completed_response_gives_text_model_usage_and_id() -> None:
    """The text is that of all parts of all messages; the header's id beats the response's."""
    expected = TextReply(
        text="abc",
        model="gpt-6-luna-2026-09-22",
        usage=Usage(
            input_tokens=1100,
            cached_tokens=1024,
            written_tokens=32,
            output_tokens=8,
            reasoning_tokens=3,
        ),
        service_request_id="req_1",
    )
    output = [{"type": "reasoning"}, message(text("a"), text("b")), message(text("c"))]
    assert expected == read(body(output=output))


def test_without_a_header_the_responses_id_stands_in() -> None:
    """Support can find the request by either."""
    assert "resp_1" == responses.read(body(), request_id="r1").reply.service_request_id


@pytest.mark.parametrize("metadata", [None, {}, {"other": "x"}])
def test_a_server_that_echoes_nothing_is_believed(metadata: Any) -> None:
    """Over HTTP the connection itself pairs request and reply."""
    assert "{}" == read(body(metadata=metadata)).text


@pytest.mark.parametrize("rid", ["r2", "", None, 1])
def test_another_requests_reply_is_refused(rid: Any) -> None:
    """A gateway that mixes up replies must not pass."""
    with pytest.raises(AnswerDefect) as caught:
        read(body(metadata={"rid": rid}))
    assert "foreign_id" == caught.value.defect


def test_an_answer_at_its_cap_is_cut() -> None:
    """What came before the cap is kept and marked."""
    details = {"reason": "max_output_tokens"}
    reply = read(body(status="incomplete", incomplete_details=details))
    assert ("{}", True) == (reply.text, reply.is_cut)
    assert "" == read(body(status="incomplete", incomplete_details=details, output=[])).text


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        {"output": [message({"type": "refusal", "refusal": "I cannot."})]},
    ],
)
def test_a_refusal_is_no_answer(changes: dict[str, Any]) -> None:
    """The model's and the filter's no are the same kind."""
    with pytest.raises(ModelRefused) as caught:
        read(body(**changes))
    assert caught.value.usage.input_tokens > 0  # it was billed all the same


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("server_error", TransportError),
        ("rate_limit_exceeded", RateLimited),
        ("insufficient_quota", AccountClosed),
    ],
)
def test_a_failed_response_says_why(code: str, expected: type) -> None:
    """The code in the body decides as it does everywhere."""
    error = {"code": code, "message": "Please try again in 20ms."}
    with pytest.raises(expected) as caught:
        read(body(status="failed", error=error, output=[]))
    assert expected is caught.type


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (body(status="cancelled"), TransportError),
        (body(status="failed"), TransportError),
        (b"", TransportError),
        (b" \n", TransportError),
    ],
)
def test_no_answer_that_may_have_been_paid(content: bytes, expected: type) -> None:
    """A cancelled or empty reply leaves open what was generated."""
    with pytest.raises(TransportError) as caught:
        read(content)
    assert Ending.UNKNOWN is caught.value.ending


@pytest.mark.parametrize(
    ("content", "defect"),
    [
        (b"<html>", "malformed_reply"),
        (b"[]", "malformed_reply"),
        (body(output=5), "malformed_reply"),
        (body()[:-20], "malformed_reply"),
        (body(output=[]), "empty"),
        (body(output=None), "empty"),
        (body(output=[message(text(" "))]), "empty"),
        (body(status="in_progress"), "unknown_status"),
        (body(status=None), "unknown_status"),
        (body(status="incomplete"), "unknown_status"),
    ],
)
def test_an_unusable_reply_names_its_defect(content: bytes, defect: str) -> None:
    """Nothing is guessed from half a reply."""
    with pytest.raises(AnswerDefect) as caught:
        read(content)
    assert defect == caught.value.defect


def test_a_reply_without_usage_counts_as_none() -> None:
    """Some servers report no tokens."""
    assert Usage() == read(body(usage=None)).usage


def test_a_count_that_no_request_can_have_counts_as_none() -> None:
    """No number of a server is too large for the ledger."""
    assert (
        Usage(output_tokens=8)
        == read(body(usage={"input_tokens": 10**400, "output_tokens": 8})).usage
    )


@given(content=st.binary(max_size=80))
def test_any_body_is_a_reply_or_one_of_our_errors(content: bytes) -> None:
    """No foreign exception leaves the module."""
    with contextlib.suppress(AnalysisError):
        assert isinstance(read(content), TextReply)


HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}
REQUESTS = RateLimit(name="requests", limit=60, remaining=59, reset_s=1.0)
TOKENS = RateLimit(name="tokens", limit=150_000, remaining=149_984, reset_s=360.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (HEADERS, (REQUESTS, TOKENS)),
        ({}, ()),
        (
            {"x-ratelimit-limit-tokens": "9", "x-ratelimit-reset-tokens": "17ms"},
            (RateLimit(name="tokens", limit=9, reset_s=0.017),),
        ),
        (
            HEADERS | {"x-ratelimit-limit-project-tokens": "60000"},
            (REQUESTS, RateLimit(name="tokens", limit=60_000)),
        ),
        (HEADERS | {"x-ratelimit-limit-project-tokens": "999999"}, (REQUESTS, TOKENS)),
        (
            {"x-ratelimit-limit-project-tokens": "60000"},
            (RateLimit(name="tokens", limit=60_000),),
        ),
        (
            {"x-ratelimit-limit-requests": "many", "x-ratelimit-reset-requests": "soon"},
            (RateLimit(name="requests"),),
        ),
        ({"x-ratelimit-remaining-requests": "9" * 5000}, (RateLimit(name="requests"),)),
    ],
)
def test_limits_are_read_from_headers(
    headers: dict[str, str], expected: tuple[RateLimit, ...]
) -> None:
    """What is missing or unreadable is None; the tighter token limit counts."""
    assert expected == responses.limits(headers)
