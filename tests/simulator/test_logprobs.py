"""Log probabilities of the service: who gets them, and what a client may add up."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from analysis.simulator.answerer import Answerer, digest_answerer
from analysis.simulator.service import Service
from tests.simulator.examples import (
    KEYS,
    body,
    chat,
    error_of,
    labels_of,
    pack,
    post,
    post_chat,
    service,
)

ASKED: dict[str, Any] = {"include": ["message.output_text.logprobs"]}
TEXTS = ("one", "two", "три", "four\n")
Stated = list[tuple[bytes, float]]


def probability_of(text: str) -> float:
    """Return what digest labels are written with; written anew, so that nothing is shared."""
    number = int.from_bytes(sha256(text.encode()).digest()[8:16], "big")
    return round(0.05 + 0.95 * (number / 2**64), 6)


def response_tokens(on: Service, **changes: Any) -> tuple[str, Stated]:
    """Return text and tokens of a response, past the SDK's strict type."""
    found = Response.model_validate(json.loads(post(on, body(**ASKED | changes)).body), strict=True)
    part = found.output[-1].content[0]  # type: ignore[union-attr,index]
    logprobs = part.logprobs or []  # type: ignore[union-attr]
    return found.output_text, [(bytes(one.bytes), one.logprob) for one in logprobs]


def chat_tokens(on: Service, **changes: Any) -> tuple[str, Stated]:
    """Return text and tokens of a completion, past the SDK's strict type."""
    content = json.loads(post_chat(on, chat(logprobs=True, **changes)).body)
    (choice,) = ChatCompletion.model_validate(content, strict=True).choices
    assert choice.logprobs is not None
    stated = choice.logprobs.content or []
    return choice.message.content or "", [(bytes(one.bytes or []), one.logprob) for one in stated]


def spelled(tokens: Stated, first: int, last: int) -> float:
    """Return the probability of the bytes from `first` to before `last`, token by token."""
    at, product = 0, 1.0
    for piece, logprob in tokens:
        if at < last and at + len(piece) > first:
            product *= math.exp(logprob)
        at += len(piece)
    return product


# Refusals


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"include": "x"}, "invalid_type", "include"),
        ({"include": ["message.output_text.probs"]}, "invalid_value", "include[0]"),
        ({"include": [*ASKED["include"], 5]}, "invalid_value", "include[1]"),
        ({"top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"top_logprobs": -1}, "integer_below_min_value", "top_logprobs"),
        ({"top_logprobs": "5"}, "invalid_type", "top_logprobs"),
        ({**ASKED, "reasoning": {"effort": "low"}}, "unsupported_parameter", "include"),
        ({**ASKED, "reasoning": ...}, "unsupported_parameter", "include"),
        ({**ASKED, "model": "gpt-6-astra", "reasoning": ...}, "unsupported_parameter", "include"),
    ],
)
def test_responses_refuse_what_cannot_be_asked(
    changes: dict[str, Any], code: str, param: str
) -> None:
    """Unknown values, and log probabilities of a model that reasons."""
    assert (400, code, param) == error_of(post(service(), body(**changes)))


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"logprobs": 1}, "invalid_type", "logprobs"),
        ({"top_logprobs": 2}, None, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 2}, None, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"logprobs": True, "reasoning_effort": "low"}, "unsupported_parameter", "logprobs"),
        ({"logprobs": True, "reasoning_effort": ...}, "unsupported_parameter", "logprobs"),
    ],
)
def test_chat_refuses_what_cannot_be_asked(
    changes: dict[str, Any], code: str | None, param: str
) -> None:
    """The likeliest tokens come only with log probabilities, and these without reasoning."""
    assert (400, code, param) == error_of(post_chat(service(), chat(**changes)))


def test_a_server_without_them_names_the_field() -> None:
    """And answers where it is left out."""
    account = service(has_logprobs=False)
    assert (400, "unsupported_parameter", "include") == error_of(post(account, body(**ASKED)))
    assert (400, "unsupported_parameter", "logprobs") == error_of(
        post_chat(account, chat(logprobs=True))
    )
    assert (200, 200) == (post(account, body()).status, post_chat(account, chat()).status)


def test_who_does_not_ask_gets_none() -> None:
    """The number of likeliest tokens alone asks for nothing."""
    none: list[dict[str, Any]] = [{}, {"include": []}, {"include": None}, {"top_logprobs": 5}]
    for changes in none:
        content = json.loads(post(service(), body(**changes)).body)
        assert [] == content["output"][0]["content"][0]["logprobs"]
    quiet: list[dict[str, Any]] = [{}, {"logprobs": False}, {"logprobs": None}]
    for changes in quiet:
        content = json.loads(post_chat(service(), chat(**changes)).body)
        assert None is content["choices"][0]["logprobs"]


# What is stated


@pytest.mark.parametrize("ask", [response_tokens, chat_tokens])
def test_tokens_are_the_text_and_its_first_labels_have_their_probability(ask: Any) -> None:
    """Four bytes each; the key of each chunk has what the digest of its text says."""
    messages = {"input": pack(*TEXTS)}
    if ask is chat_tokens:
        messages = {"messages": [{"role": "user", "content": pack(*TEXTS)}]}  # type: ignore[dict-item]
    text, tokens = ask(service(), **messages)
    assert labels_of(*TEXTS) == json.loads(text)
    assert text.encode() == b"".join(piece for piece, _ in tokens)
    assert {4} == {len(piece) for piece, _ in tokens[:-1]}
    for place, chunk in enumerate(TEXTS):
        at = text.index('["', text.index(f'"i{place}"')) + 2
        for last in (at + 1, at + 2):  # with and without the quote behind the key
            assert probability_of(chunk) == pytest.approx(spelled(tokens, at, last))


def test_other_tokens_have_a_probability_that_would_show() -> None:
    """A client that adds up all of them is far from right."""
    _, tokens = response_tokens(service())
    assert {-0.5} == {logprob for piece, logprob in tokens if b"swer" in piece}


def test_labels_before_ids_have_their_probability_too() -> None:
    """In the order of the schema."""
    form = body()["text"]["format"]
    entry = form["schema"]["properties"]["answers"]["items"]
    swapped = {**entry, "properties": dict(reversed(entry["properties"].items()))}
    schema = {**form["schema"], "properties": {"answers": {"type": "array", "items": swapped}}}
    text, tokens = response_tokens(service(), text={"format": {**form, "schema": schema}})
    assert text.index('"labels"') < text.index('"id"')
    at = text.index('["') + 2
    assert probability_of("one") == pytest.approx(spelled(tokens, at, at + 1))


def test_a_cut_answer_has_the_tokens_of_what_is_there() -> None:
    """Those of an item that is not complete say nothing of its label."""
    text, tokens = response_tokens(service(), input=pack(*"abcdef"), max_output_tokens=16)
    assert text.encode() == b"".join(piece for piece, _ in tokens)
    assert 64 == len(text)


def test_a_text_without_a_pack_is_a_label_alone() -> None:
    """All of its tokens share the probability."""
    text, tokens = response_tokens(service(), input="one", text=...)
    assert text in KEYS
    assert probability_of("one") == pytest.approx(spelled(tokens, 0, len(text)))


def test_an_answerer_without_probabilities_is_certain() -> None:
    """The wire has no word for none; clients know the rules by the name of the model."""
    account = Service(Answerer(name="rules", label=digest_answerer(KEYS).label))
    _, tokens = response_tokens(account)
    assert {0.0} == {logprob for _, logprob in tokens}


@pytest.mark.parametrize("top", [0, 1, 5])
def test_the_likeliest_tokens_are_told_as_far_as_they_are_known(top: int) -> None:
    """There may be fewer than asked for: here it is the written one."""
    content = json.loads(post(service(), body(**ASKED, top_logprobs=top)).body)
    assert top == content["top_logprobs"]
    for token in content["output"][0]["content"][0]["logprobs"]:
        (likeliest,) = token.pop("top_logprobs") or [token]
        assert token == likeliest or top == 0


def test_a_declined_answer_has_them_in_its_refusal_or_not_at_all() -> None:
    """Chat has a place for them, a refusal part has none."""
    account = service(faults={"refusal": 1.0})
    (choice,) = json.loads(post_chat(account, chat(logprobs=True)).body)["choices"]
    told = "".join(token["token"] for token in choice["logprobs"]["refusal"])
    assert (choice["message"]["refusal"], None) == (told, choice["logprobs"]["content"])
    (message,) = json.loads(post(account, body(**ASKED)).body)["output"]
    assert {"type", "refusal"} == set(message["content"][0])


# Streams


def test_streamed_events_have_the_tokens_that_begin_in_them() -> None:
    """Without bytes; the part at the end has all of them, with bytes."""
    outcome = post(service(), body(stream=True, **ASKED))
    blocks = b"".join(data for _, data in outcome.chunks).decode().split("\n\n")[:-1]
    frames = [json.loads(block.split("data: ", 1)[1]) for block in blocks]
    deltas = [frame for frame in frames if frame["type"].endswith("output_text.delta")]
    (done,) = [frame for frame in frames if frame["type"].endswith("output_text.done")]
    whole = frames[-1]["response"]["output"][0]["content"][0]
    assert len(deltas) > 1
    assert done["logprobs"] == [token for frame in deltas for token in frame["logprobs"]]
    assert done["logprobs"] == [
        {name: value for name, value in token.items() if name != "bytes"}
        for token in whole["logprobs"]
    ]
    assert done["text"] == "".join(token["token"] for token in done["logprobs"])


def test_streamed_chunks_have_the_tokens_that_begin_in_them() -> None:
    """All of them together are those of a completion in one piece."""
    outcome = post_chat(service(), chat(stream=True, logprobs=True))
    blocks = b"".join(data for _, data in outcome.chunks).decode().split("\n\n")[:-2]
    choices = [json.loads(block.removeprefix("data: "))["choices"][0] for block in blocks]
    told = [one for choice in choices for one in (choice["logprobs"] or {}).get("content") or ()]
    _, tokens = chat_tokens(service())
    assert tokens == [(bytes(token["bytes"]), token["logprob"]) for token in told]
