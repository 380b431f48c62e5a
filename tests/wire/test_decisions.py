"""A request asks one typed question per chunk, and only answers to those questions count."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from analysis.errors import (
    AnalysisError,
    AnswerDefect,
    LocalProtocolError,
    RateLimited,
    RouteClosed,
    TransportError,
)
from analysis.records import Ask, Choice, ChoiceReply, Request, Usage
from analysis.wire import decisions

from .examples import request as text_request

KEYS = ("key_thesis", "example", "noise")
Answer = dict[str, Any]
Mutation = Callable[[Answer], object]


def request(*short_ids: str) -> Request:
    """Return a request in the choice form for chunks with these short ids."""
    made = text_request()
    tickets = {short_id: place for place, short_id in enumerate(short_ids or ("ab3f", "k7xz"))}
    return replace(made, ask=replace(made.ask, schema={}, choices=KEYS, tickets=tickets))


ASK = request().ask


def answer(short_id: str, *shares: float, choice: str | None = None) -> Answer:
    """Return the answer about a chunk with these probabilities of the keys, in their order."""
    shares = shares or (0.7, 0.2, 0.1)
    return {
        "type": "choice",
        "name": f"c_{short_id}",
        "choice": choice or KEYS[shares.index(max(shares))],
        "confidence": 0.55,
        "probabilities": [
            {"value": key, "probability": share} for key, share in zip(KEYS, shares, strict=True)
        ],
    }


def reply_body(*answers: object) -> dict[str, Any]:
    """Return the body of a reply."""
    return {
        "model": "gpt-6-luna",
        "answers": list(answers),
        "usage": {
            "input_tokens": 231,
            "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 30},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 231,
        },
    }


def read(body: object, ask: Ask = ASK) -> ChoiceReply:
    """Return what a body says about the questions asked."""
    return decisions.read(json.dumps(body).encode(), ask=ask, service_request_id="req_1")


def test_the_body_is_one_shared_input_and_a_short_question_per_chunk() -> None:
    """The definitions stand once, in the developer message; choices are bare keys."""
    asked = request()
    choices = [{"value": "key_thesis"}, {"value": "example"}, {"value": "noise"}]
    expected = {
        "model": "gpt-6-luna",
        "input": [
            {"role": "developer", "content": asked.ask.instructions},
            {"role": "user", "content": asked.ask.content},
        ],
        "questions": [
            {
                "type": "choice",
                "name": "c_ab3f",
                "instructions": "Main label of chunk ab3f.",
                "choices": choices,
            },
            {
                "type": "choice",
                "name": "c_k7xz",
                "instructions": "Main label of chunk k7xz.",
                "choices": choices,
            },
        ],
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    }
    assert expected == decisions.body(asked)


def test_a_long_prefix_gets_a_breakpoint_behind_it() -> None:
    """And the body names the end user where there is a name."""
    sent = decisions.body(request(), is_cached=True, safety_identifier="5f" * 32)
    part = {
        "type": "input_text",
        "text": "Label each chunk.",
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    assert [part] == sent["input"][0]["content"]
    assert "5f" * 32 == sent["safety_identifier"]


@pytest.mark.parametrize("is_cached", [False, True])
def test_the_sdk_types_accept_our_body(is_cached: bool) -> None:
    """OpenAI's own parameter type knows every field that we send, at every depth."""
    from openai.types.decision_create_params import DecisionCreateParams

    sent = decisions.body(request(), is_cached=is_cached, safety_identifier="u1")
    adapter: TypeAdapter[Any] = TypeAdapter(DecisionCreateParams)
    taken = adapter.validate_python(sent)
    assert sent.keys() == taken.keys()
    questions = [dict(one) | {"choices": list(one["choices"])} for one in taken["questions"]]
    assert sent["questions"] == questions
    developer, user = taken["input"]
    assert sent["input"][1] == user
    content = developer["content"]
    assert sent["input"][0]["content"] == (content if isinstance(content, str) else list(content))


def test_an_ask_without_choices_is_our_own_bug() -> None:
    """A question needs something to choose from."""
    with pytest.raises(LocalProtocolError):
        decisions.body(text_request())


def test_a_reply_gives_the_probabilities_of_each_chunk() -> None:
    """With model, usage and the id of the header; OpenAI's own type takes the same body."""
    from openai.types import Decision

    body = reply_body(answer("ab3f"), answer("k7xz", 0.1, 0.3, 0.6))
    Decision.model_validate(body, strict=True)
    expected = ChoiceReply(
        choices={
            "ab3f": Choice(probabilities={"key_thesis": 0.7, "example": 0.2, "noise": 0.1}),
            "k7xz": Choice(probabilities={"noise": 0.6, "key_thesis": 0.1, "example": 0.3}),
        },
        model="gpt-6-luna",
        usage=Usage(input_tokens=231, cached_tokens=100, written_tokens=30),
        service_request_id="req_1",
    )
    assert expected == read(body)


def test_names_bind_an_answer_to_its_chunk_wherever_it_stands() -> None:
    """The names are made for this request alone; places are not looked at."""
    one, other = answer("ab3f"), answer("k7xz", 0.1, 0.3, 0.6)
    assert read(reply_body(one, other)) == read(reply_body(other, one))


def test_the_value_chosen_stands_first_also_in_a_tie() -> None:
    """So whoever ranks the probabilities keeps the service's choice."""
    found = read(reply_body(answer("ab3f", 0.45, 0.45, 0.1, choice="example"), answer("k7xz")))
    assert ["example", "key_thesis", "noise"] == list(found.choices["ab3f"].probabilities)


def test_a_refused_question_leaves_the_others_answered() -> None:
    """The chunk is declined, which is not the same as unanswered."""
    found = read(reply_body({"type": "refusal", "name": "c_ab3f"}, answer("k7xz")))
    assert Choice() == found.choices["ab3f"]
    assert 0.7 == found.choices["k7xz"].probabilities["key_thesis"]


@pytest.mark.parametrize(
    ("answers", "defect"),
    [
        ([], "wrong_count"),
        ([answer("ab3f")], "wrong_count"),
        ([answer("ab3f"), answer("k7xz"), answer("k7xz")], "wrong_count"),
        ([answer("ab3f"), answer("ab3f")], "doubled_id"),
        ([answer("ab3f"), answer("zzzz")], "foreign_id"),
        ([answer("ab3f"), answer("k7xz") | {"name": None}], "foreign_id"),
        ([answer("ab3f"), answer("k7xz") | {"name": "k7xz"}], "foreign_id"),
        ([answer("ab3f"), answer("k7xz") | {"name": "c_c_k7xz"}], "foreign_id"),
        ([answer("ab3f"), answer("k7xz") | {"name": ["c_k7xz"]}], "foreign_id"),
        ([answer("ab3f"), {"type": "refusal"}], "foreign_id"),
        ([answer("ab3f"), "c_k7xz"], "foreign_id"),
        ([answer("ab3f"), None], "foreign_id"),
    ],
)
def test_answers_to_other_questions_void_the_whole_reply(answers: list[Any], defect: str) -> None:
    """What was billed for it is not lost from the books."""
    with pytest.raises(AnswerDefect) as caught:
        read(reply_body(*answers))
    assert (defect, 231) == (caught.value.defect, caught.value.usage.input_tokens)


def test_a_reply_without_answers_is_void() -> None:
    """A field that is missing or null is no list of answers."""
    for body in ({"model": "m"}, {"model": "m", "answers": None}):
        with pytest.raises(AnswerDefect, match="0 answers to 2 questions"):
            read(body)


def entry(value: object, probability: object) -> dict[str, object]:
    """Return one entry of the probabilities."""
    return {"value": value, "probability": probability}


UNUSABLE: list[Mutation] = [
    lambda one: one.update(type="predicate", probability=0.5),
    lambda one: one.update(type="oracle"),
    lambda one: one.update(type=None),
    lambda one: one.pop("type"),
    lambda one: one.pop("choice"),
    lambda one: one.pop("probabilities"),
    lambda one: one.update(probabilities=None),
    lambda one: one.update(probabilities=[]),
    lambda one: one.update(choice="humour"),
    lambda one: one.update(choice=True),
    lambda one: one.update(choice="example"),
    lambda one: one["probabilities"].pop(),
    lambda one: one["probabilities"].pop(0),
    lambda one: one["probabilities"].append(entry("humour", 0.0)),
    lambda one: one["probabilities"].append(entry("noise", 0.1)),
    lambda one: one["probabilities"].__setitem__(2, entry("example", 0.1)),
    lambda one: one["probabilities"].__setitem__(2, entry("humour", 0.1)),
    lambda one: one["probabilities"].__setitem__(2, entry(True, 0.1)),
    lambda one: one["probabilities"].__setitem__(2, entry("noise", "0.1")),
    lambda one: one["probabilities"].__setitem__(2, entry("noise", None)),
    lambda one: one["probabilities"].__setitem__(2, entry("noise", True)),
    lambda one: one["probabilities"].__setitem__(2, entry("noise", 0.15)),
    lambda one: one["probabilities"].__setitem__(2, entry("noise", 0.05)),
    lambda one: one["probabilities"].__setitem__(0, entry("key_thesis", 1.1)),
    lambda one: one["probabilities"].__setitem__(2, "noise"),
]


@pytest.mark.parametrize("mutate", UNUSABLE)
def test_an_unusable_answer_leaves_its_chunk_unanswered_and_the_others_count(
    mutate: Mutation,
) -> None:
    """It is as if the question had not been answered."""
    bad = answer("ab3f")
    mutate(bad)
    assert ["k7xz"] == list(read(reply_body(bad, answer("k7xz"))).choices)


def test_a_negative_probability_is_none() -> None:
    """Although the sum and the top are right."""
    found = read(reply_body(answer("ab3f", 0.8, 0.3, -0.1), answer("k7xz")))
    assert ["k7xz"] == list(found.choices)


@pytest.mark.parametrize(("rest", "is_usable"), [(0.085, True), (0.115, True), (0.07, False)])
def test_probabilities_may_be_rounded(rest: float, is_usable: bool) -> None:
    """Their sum may be off by 0.02, not by more."""
    found = read(reply_body(answer("ab3f", 0.7, 0.2, rest), answer("k7xz")))
    assert is_usable == ("ab3f" in found.choices)


def test_certainty_is_an_answer() -> None:
    """One label at exactly 1, written as an integer."""
    found = read(reply_body(answer("ab3f", 0, 1, 0), answer("k7xz")))
    assert {"example": 1.0, "key_thesis": 0.0, "noise": 0.0} == found.choices["ab3f"].probabilities


def test_fields_that_we_do_not_know_do_no_harm() -> None:
    """In the reply, in an answer and in the usage."""
    body = reply_body(answer("ab3f") | {"why": ["x"]}, answer("k7xz"))
    body["usage"]["later"] = 1
    assert read(reply_body(answer("ab3f"), answer("k7xz"))) == read(body | {"id": "d_1"})


def test_a_reply_without_usage_or_model_is_read() -> None:
    """Compatible servers leave them out."""
    answers = [answer("ab3f"), answer("k7xz")]
    found = read({"answers": answers})
    assert (Usage(), "", 2) == (found.usage, found.model, len(found.choices))
    found = read({"answers": answers, "usage": {"input_tokens": 5}})
    assert Usage(input_tokens=5) == found.usage


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"answers": 7}', b"\xff", b"[" * 100_000])
def test_another_body_is_a_defect(content: bytes) -> None:
    """Whatever it is, no exception but ours comes out."""
    with pytest.raises(AnswerDefect) as caught:
        decisions.read(content, ask=ASK)
    assert "malformed_reply" == caught.value.defect


def test_an_empty_body_may_have_been_paid() -> None:
    """So it is asked again, and counted."""
    with pytest.raises(TransportError) as caught:
        decisions.read(b" ", ask=ASK)
    assert "empty_body" == caught.value.code


@pytest.mark.parametrize(
    ("code", "expected"),
    [("model_not_found", RouteClosed), ("rate_limit_exceeded", RateLimited)],
)
def test_an_error_in_a_good_body_is_that_error(code: str, expected: type[Exception]) -> None:
    """Gateways answer 200 and say no inside."""
    with pytest.raises(expected):
        read({"error": {"message": "no", "type": "t", "code": code}})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["c_ab3f", "c_k7xz", "choice", "refusal", *KEYS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "choice", "probabilities", "value", "probability"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMED = st.builds(
    lambda short_id, changes: answer(short_id) | changes,
    st.sampled_from(["ab3f", "k7xz"]),
    st.dictionaries(st.sampled_from(["type", "choice", "probabilities"]), JSON, max_size=2),
)


@given(st.lists(NAMED | JSON, max_size=3))
def test_whatever_is_answered_gives_whole_choices_or_our_own_error(answers: list[Any]) -> None:
    """A choice that counts has every key once, adds up, and has its top first."""
    try:
        found = read(reply_body(*answers))
    except AnalysisError as error:
        assert isinstance(error, AnswerDefect)
        return
    assert found.choices.keys() <= set(ASK.tickets)
    for choice in found.choices.values():
        shares = list(choice.probabilities.values())
        assert not shares or set(KEYS) == choice.probabilities.keys()
        assert not shares or abs(sum(shares) - 1) <= decisions.SUM_TOLERANCE
        assert not shares or max(shares) == pytest.approx(shares[0])
