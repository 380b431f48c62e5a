"""Tokens of an answer are read as they are stated; what is wrong with them costs nothing."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from analysis.errors import AnswerDefect
from analysis.records import Tokens
from analysis.wire import chat, responses, token_logprobs
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import items_of

from .examples import request

ASKED = Form(has_logprobs=True)
CREATE: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
COMPLETE: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsNonStreaming)


def stated(text: str, logprob: Any = -0.5, **changes: Any) -> dict[str, Any]:
    """Return a token as the services state it, with changes; `...` leaves a field out."""
    token = {"token": text, "bytes": list(text.encode()), "logprob": logprob, "top_logprobs": []}
    return {name: value for name, value in (token | changes).items() if value is not ...}


def part(*tokens: Any, kind: str = "output_text") -> dict[str, Any]:
    """Return a part of a message."""
    return {"type": kind, "text": "x", "annotations": [], "logprobs": list(tokens)}


def response(*parts: Any, **changes: Any) -> bytes:
    """Return a response object whose only message has these parts."""
    found = {
        "id": "resp_1",
        "status": "completed",
        "model": "m",
        "output": [{"type": "reasoning"}, {"type": "message", "content": list(parts)}],
    }
    return json.dumps(found | changes).encode()


def completion(logprobs: Any) -> bytes:
    """Return a chat completion with this statement."""
    choice = {"message": {"content": "x"}, "finish_reason": "stop", "logprobs": logprobs}
    return json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()


def read_response(content: bytes, form: Form = ASKED) -> Tokens:
    """Return the tokens of a reply."""
    return responses.read(content, request_id="r1", form=form).reply.tokens


def read_completion(content: bytes, form: Form = ASKED) -> Tokens:
    """Return the tokens of a reply."""
    return chat.read(content, form=form).reply.tokens


BROKEN: list[Any] = [
    None,
    "tokens",
    {},
    [None],
    ["a"],
    [7],
    [stated("a", "high")],
    [stated("a", token=5)],
    [stated("a", bytes="a")],
    [stated("a", bytes=[256])],
    [stated("a", bytes=[-1])],
    [stated("a", bytes=[1.5])],
    [stated("a"), 7],
]


@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_read_costs_no_answer(broken: Any) -> None:
    """The text is there, and there are no tokens."""
    content = response({"type": "output_text", "text": "x", "logprobs": broken})
    reply = responses.read(content, request_id="r1", form=ASKED).reply
    assert ("x", ()) == (reply.text, reply.tokens)
    for wrong in ({"content": broken}, broken):
        found = chat.read(completion(wrong), form=ASKED).reply
        assert ("x", ()) == (found.text, found.tokens)


@given(junk=st.binary(max_size=40))
def test_no_bytes_make_it_fail(junk: bytes) -> None:
    """Whatever comes, it is tokens or none."""
    assert () == token_logprobs.of_response(junk) == token_logprobs.of_completion(junk)
    assert () == token_logprobs.of_response(b"{}", (junk,))


def test_answers_without_tokens_have_none() -> None:
    """Servers that do not know the field leave it out, or empty."""
    bare = {"type": "output_text", "text": "x"}
    assert () == read_response(response(bare)) == read_response(response(part()))
    empty: list[Any] = [None, {}, {"content": None}, {"content": []}, {"refusal": [stated("a")]}]
    for logprobs in empty:
        assert () == read_completion(completion(logprobs))


def test_tokens_are_not_read_where_they_were_not_asked_for() -> None:
    """Some servers state them always."""
    assert () == read_response(response(part(stated("a"))), STRICTEST)
    assert () == read_completion(completion({"content": [stated("a")]}), STRICTEST)


def test_tokens_come_in_order_with_their_bytes() -> None:
    """A letter may be parted; where no bytes are stated, the text of the token is taken."""
    half, other = stated("\ufffd", -0.1, bytes=[0xC3]), stated("\ufffd", -0.2, bytes=[0xA9])
    tokens = [stated("a"), half, other, stated("é", 0, bytes=None), stated("b", bytes=...)]
    expected = ((b"a", -0.5), (b"\xc3", -0.1), (b"\xa9", -0.2), ("é".encode(), 0.0), (b"b", -0.5))
    assert expected == read_response(response(part(*tokens)))
    assert expected == read_completion(completion({"content": tokens}))


@pytest.mark.parametrize("token", [stated("a", None), stated("a", ...)])
def test_a_token_without_a_log_probability_keeps_its_place(token: dict[str, Any]) -> None:
    """The others can still be told by theirs."""
    found = read_response(response(part(stated("x"), token)))
    assert [b"x", b"a"] == [piece for piece, _ in found]
    assert math.isnan(found[1][1])


def test_all_parts_of_the_text_count_and_others_do_not() -> None:
    """As for the text itself."""
    parts = (part(stated("a")), part(stated("no"), kind="note"), part(stated("b")))
    assert ((b"a", -0.5), (b"b", -0.5)) == read_response(response(*parts))


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_object_without_its_output_has_the_tokens_of_its_parts(is_whole: bool) -> None:
    """From the event of the item, or from that of the text, which states no bytes."""
    token = stated("é")
    frame: dict[str, Any] = {"type": "response.output_text.done", "text": "é"}
    frame["logprobs"] = [{"token": "é", "logprob": -0.5}]
    if is_whole:
        item = {"type": "message", "content": [{**part(token), "text": "é"}]}
        frame = {"type": "response.output_item.done", "item": item}
    reply = responses.read_object(
        response(output=[]), request_id="r1", form=ASKED, pieces=items_of([json.dumps(frame)])
    ).reply
    assert ("é", (("é".encode(), -0.5),)) == (reply.text, reply.tokens)


def test_an_answer_that_cannot_be_used_stays_a_defect() -> None:
    """Tokens of an empty text make no answer."""
    content = response({"type": "output_text", "text": "", "logprobs": [stated("a")]})
    with pytest.raises(AnswerDefect):
        read_response(content)


# How they are asked for


@pytest.mark.parametrize(
    ("model", "is_asked"),
    [
        ("gpt-6-luna", True),
        ("openai/gpt-6.1-terra", True),
        ("gpt-5.6-luna", True),
        ("some-local-model", True),
        ("gpt-6-astra", False),
        ("gpt-6-astra-2026-10-01", False),
    ],
)
def test_models_without_effort_none_are_not_asked(model: str, is_asked: bool) -> None:
    """They would refuse the request; the SDK's types take both bodies."""
    whole = responses.body(request(model=model), form=ASKED)
    small = chat.body(request(model=model), form=ASKED)
    expected = ["message.output_text.logprobs"] if is_asked else None
    assert expected == CREATE.validate_python(whole).get("include")
    assert (True if is_asked else None) is COMPLETE.validate_python(small).get("logprobs")
    assert is_asked == responses.states_logprobs(model)


def test_nothing_else_of_a_body_changes() -> None:
    """The prompt and its price are the same."""
    whole, small = (make.body(request(), form=ASKED) for make in (responses, chat))
    assert responses.body(request()) == {k: v for k, v in whole.items() if k != "include"}
    assert chat.body(request()) == {k: v for k, v in small.items() if k != "logprobs"}
