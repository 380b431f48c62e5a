"""Bodies and replies of chat completions."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    ModelRefused,
    RateLimited,
    TransportError,
)
from analysis.records import Ending, TextReply, Usage
from analysis.wire import chat
from analysis.wire.forms import Form

from .examples import SCHEMA, request

OBJECT = Form(format="json_object")
TEXT = Form(format="text")
OLD_CAP = Form(cap="max_tokens")


def body(finish: str | None = "stop", **changes: Any) -> bytes:
    """Return the body of a completion, with changes to its message or to itself."""
    message = {"role": "assistant", "content": "{}", "refusal": None}
    message |= {name: changes.pop(name) for name in ("content", "refusal") if name in changes}
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": 1100,
            "completion_tokens": 8,
            "total_tokens": 1108,
            "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 76},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }
    return json.dumps(completion | changes).encode()


def read(content: bytes, **options: Any) -> TextReply:
    """Return the reply in a body."""
    return chat.read(content, **options).reply


def test_the_body_asks_for_a_strict_schema_and_nothing_that_is_not_needed() -> None:
    """The whole body for the default model: no store and no metadata."""
    schema = {"name": "labels", "strict": True, "schema": SCHEMA}
    expected = {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "system", "content": "Label each chunk."},
            {"role": "user", "content": request().ask.content},
        ],
        "response_format": {"type": "json_schema", "json_schema": schema},
        "max_completion_tokens": 80,
        "reasoning_effort": "none",
        "temperature": 0.0,
    }
    assert expected == chat.body(request())


@pytest.mark.parametrize(
    ("model", "effort", "temperature"),
    [
        ("gpt-6-luna", "none", 0.3),
        ("openai/gpt-6.1-terra", "none", 0.3),
        ("gpt-6-astra", None, None),
        ("gpt-4o-mini", None, 0.3),
        ("qwen3-8b", None, 0.3),
    ],
)
def test_each_family_gets_only_what_it_takes(
    model: str, effort: str | None, temperature: float | None
) -> None:
    """A model that is not known gets no effort."""
    found = chat.body(request(model=model), temperature=0.3)
    assert (effort, temperature) == (found.get("reasoning_effort"), found.get("temperature"))


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        (OBJECT, {"response_format": {"type": "json_object"}}),
        (TEXT, {"response_format": None}),
        (OLD_CAP, {"max_completion_tokens": None, "max_tokens": 80}),
    ],
)
def test_a_simpler_form_changes_that_field_only(form: Form, changes: dict[str, Any]) -> None:
    """None stands for a field that is not sent."""
    expected = {
        name: value for name, value in (chat.body(request()) | changes).items() if value is not None
    }
    assert expected == chat.body(request(), form=form)


@pytest.mark.parametrize("form", [Form(), OBJECT, TEXT, OLD_CAP])
def test_the_sdk_types_accept_our_body(form: Form) -> None:
    """OpenAI's own parameter type knows every field that we send."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    sent = chat.body(request(), form=form)
    adapter: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsNonStreaming)
    taken = adapter.validate_python(sent)
    assert sent.keys() == taken.keys()
    assert sent.get("response_format") == taken.get("response_format")
    assert sent["messages"] == list(taken["messages"])


def test_the_service_tier_is_sent_and_read() -> None:
    """None is sent unless one is asked for."""
    assert "flex" == chat.body(request(), service_tier="flex")["service_tier"]
    assert "service_tier" not in chat.body(request())
    assert "default" == chat.read(body(service_tier="default")).service_tier


def test_a_form_leaves_fields_out() -> None:
    """What the server does not take is in no body."""
    form = Form(without=frozenset({"temperature", "safety_identifier"}))
    whole = chat.body(request(), safety_identifier="u")
    expected = whole.keys() - {"temperature", "safety_identifier"}
    assert "u" == whole["safety_identifier"]
    assert expected == chat.body(request(), form=form, safety_identifier="u").keys()


def test_our_id_travels_in_a_header() -> None:
    """A stored completion could carry it in the body, but nothing is stored."""
    assert {"X-Client-Request-Id": "r7"} == chat.headers(request("r7"))


def test_a_completion_gives_text_model_usage_and_id() -> None:
    """The header's id beats the completion's."""
    expected = TextReply(
        text="{}",
        model="m-2026",
        usage=Usage(
            input_tokens=1100,
            cached_tokens=1024,
            written_tokens=76,
            output_tokens=8,
            reasoning_tokens=5,
        ),
        service_request_id="req_1",
    )
    assert expected == read(body(), service_request_id="req_1")
    assert "chatcmpl-1" == read(body()).service_request_id


@pytest.mark.parametrize("finish", ["stop", "", None])
@pytest.mark.parametrize(
    ("content", "text"), [("{}", "{}"), ([{"type": "text", "text": "a"}, {"type": "x"}], "a")]
)
def test_a_whole_answer(finish: str | None, content: Any, text: str) -> None:
    """Some servers state no reason, some send the text in parts."""
    reply = read(body(finish, content=content))
    assert (text, False) == (reply.text, reply.is_cut)


@pytest.mark.parametrize("content", ["{", "", None])
def test_an_answer_at_its_cap_is_cut(content: str | None) -> None:
    """What came before the cap is kept and marked."""
    reply = read(body("length", content=content))
    assert (content or "", True) == (reply.text, reply.is_cut)


@pytest.mark.parametrize(
    "content",
    [
        body("content_filter", content=None),
        body(refusal="I cannot.", content=None),
        body("length", refusal="I cannot."),
    ],
)
def test_a_refusal_is_no_answer(content: bytes) -> None:
    """The model's and the filter's no are the same kind."""
    with pytest.raises(ModelRefused) as caught:
        read(content)
    assert caught.value.usage.input_tokens > 0  # it was billed all the same


@pytest.mark.parametrize(
    ("content", "defect"),
    [
        (b"<html>", "malformed_reply"),
        (b"[]", "malformed_reply"),
        (body(choices=5), "malformed_reply"),
        (body(content=5), "malformed_reply"),
        (body()[:-20], "malformed_reply"),
        (body(choices=[]), "empty"),
        (body(choices=None), "empty"),
        (body(choices=[{"finish_reason": "stop"}]), "empty"),
        (body(content=" "), "empty"),
        (body(content=None), "empty"),
        (body("tool_calls"), "unknown_status"),
        (body(choices=[{"finish_reason": "stop"}] * 2), "many_answers"),
    ],
)
def test_an_unusable_reply_names_its_defect(content: bytes, defect: str) -> None:
    """Nothing is guessed from half a reply."""
    with pytest.raises(AnswerDefect) as caught:
        read(content)
    assert defect == caught.value.defect


@pytest.mark.parametrize(
    ("error", "expected", "ending"),
    [
        ({"code": 429, "message": "slow"}, RateLimited, Ending.REFUSED),
        ({"code": 502, "message": "upstream"}, TransportError, Ending.REFUSED),
        ({"code": "insufficient_quota", "message": "no"}, AccountClosed, None),
        ({"message": "odd"}, TransportError, Ending.UNKNOWN),
        ({"code": 7, "message": "odd"}, TransportError, Ending.UNKNOWN),
    ],
)
def test_an_error_in_a_2xx_body_is_an_error(
    error: dict[str, Any], expected: type, ending: Ending | None
) -> None:
    """Gateways answer 200 and say in the body what went wrong behind them."""
    with pytest.raises(expected) as caught:
        read(json.dumps({"error": error, "choices": []}).encode(), service_request_id="req_1")
    assert (expected, ending) == (caught.type, getattr(caught.value, "ending", None))
    assert "req_1" == getattr(caught.value, "request_id", None)


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_body_may_have_been_paid(content: bytes) -> None:
    """Nobody knows what was generated."""
    with pytest.raises(TransportError) as caught:
        read(content)
    assert Ending.UNKNOWN is caught.value.ending


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_a_reply_without_usage_counts_as_none(usage: Any) -> None:
    """Some servers report no tokens."""
    assert Usage() == read(body(usage=usage)).usage


@given(content=st.binary(max_size=80))
def test_any_body_is_a_reply_or_one_of_our_errors(content: bytes) -> None:
    """No foreign exception leaves the module."""
    with contextlib.suppress(AnalysisError):
        assert isinstance(read(content), TextReply)
