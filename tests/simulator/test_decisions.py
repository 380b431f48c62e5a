"""Behaviour of the decisions route."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types import Decision

from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.profile import PROFILE
from analysis.simulator.routes import respond
from analysis.simulator.service import Answerer, Service
from tests.simulator.examples import HEADERS, KEYS, error_of, pack, service

CHOICES = [{"value": key} for key in KEYS]


def about(chunk: str, /, **changes: Any) -> dict[str, Any]:
    """Return a choice question about a chunk; a change to `...` leaves the field out."""
    question = {
        "type": "choice",
        "name": chunk,
        "instructions": f"Main label of chunk {chunk}.",
        "choices": CHOICES,
        **changes,
    }
    return {field: value for field, value in question.items() if value is not ...}


def body(*texts: str, **changes: Any) -> dict[str, Any]:
    """Return a good request with a question per text; a change to `...` leaves the field out."""
    fields = {
        "model": "gpt-6-luna",
        "input": [
            {"role": "developer", "content": "Labels: a = first; b = second."},
            {"role": "user", "content": pack(*texts)},
        ],
        "questions": [about(f"i{index}") for index, _ in enumerate(texts)],
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def ask(on: Service, request: dict[str, Any], *, now: float = 0.0, rid: str = "") -> HttpOutcome:
    """Send a body to POST /v1/decisions."""
    content = json.dumps(request).encode()
    path = "/v1/decisions"
    headers = HEADERS | ({"x-client-request-id": rid} if rid else {})
    return respond(on, method="POST", path=path, headers=headers, body=content, now=now)


def decided(on: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an answer after the SDK's strict type has taken it."""
    outcome = ask(on, request)
    assert 200 == outcome.status, outcome.body
    answer: dict[str, Any] = json.loads(outcome.body)
    Decision.model_validate(answer, strict=True)
    return answer


def with_rules(**rules: Any) -> Service:
    """Return a service with other rules for decisions."""
    return service(profile=replace(PROFILE, decisions=replace(PROFILE.decisions, **rules)))


def labels_of(answer: dict[str, Any]) -> list[Any]:
    """Return the choice of every answer."""
    return [each["choice"] for each in answer["answers"]]


TEXTS = tuple(f"text {index}" for index in range(40))
TRUTH = [keys[0] for keys in service().answerer.label(TEXTS, None)]


def test_each_chunk_gets_its_label() -> None:
    """The model's label of the chunk in the question's name is the choice, in question order."""
    answer = decided(service(), body(*TEXTS))
    assert ["answers", "model", "usage"] == sorted(answer)
    assert [f"i{index}" for index in range(40)] == [each["name"] for each in answer["answers"]]
    assert TRUTH == labels_of(answer)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "i1_main"},
        {"name": ..., "instructions": "Main label of chunk i1."},
        {"name": "c", "instructions": "Which label has [i1]?"},
        {"name": "c", "instructions": [{"type": "input_text", "text": "Label of i1."}]},
    ],
)
def test_chunk_is_found_in_name_or_instructions(changes: dict[str, Any]) -> None:
    """A word of either that is the id of a chunk says what the question is about."""
    texts = ("one", "text 3", "three")
    labels = [
        labels_of(decided(service(), body(*texts, questions=[about("x", **changes)], model=model)))
        for model in ("gpt-6-luna", "digest-labels")
    ]
    assert [[TRUTH[3]]] * 2 == labels


def test_probabilities_are_whole() -> None:
    """They stand in the given order, add up to 1, and their top is the choice."""
    choices = [{"value": value} for value in (*KEYS, "c", True, "true")]
    request = body(*TEXTS)
    request["questions"] = [about(f"i{index}", choices=choices) for index in range(40)]
    for each in decided(service(), request)["answers"]:
        shares = {json.dumps(p["value"]): p["probability"] for p in each["probabilities"]}
        assert [json.dumps(choice["value"]) for choice in choices] == list(shares)
        assert pytest.approx(1.0, abs=1e-9) == sum(shares.values())
        top = max(shares.values())
        assert top == shares[json.dumps(each["choice"])]
        assert pytest.approx((top - 0.2) / 0.8, abs=1e-5) == each["confidence"]
        assert top >= 0.76
        assert sorted(shares.values())[-2] < 0.25


def test_second_label_is_the_runner_up() -> None:
    """A chunk with two labels has the second next, with at least a quarter, and none certain."""
    answerer = Answerer(name="two", label=lambda texts, topic: [("b", "a")] * len(texts))
    for values in (KEYS, (*KEYS, "c", "d")):
        request = body(*TEXTS)
        choices = [{"value": value} for value in values]
        request["questions"] = [about(f"i{index}", choices=choices) for index in range(40)]
        for each in decided(Service(answerer), request)["answers"]:
            ranked = sorted(each["probabilities"], key=lambda p: -p["probability"])
            assert ["b", "a"] == [p["value"] for p in ranked[:2]]
            assert 0.25 <= ranked[1]["probability"] < ranked[0]["probability"]


def test_repeats_are_identical_and_inputs_matter() -> None:
    """The same request gets the same answers, also from another service; another input others."""
    request = body(questions=[about("x")], input="Cycling.")
    first, second = (decided(service(seed=seed), request)["answers"] for seed in (1, 2))
    assert first == second
    assert first != decided(service(), {**request, "input": "Baking."})["answers"]


def test_the_name_of_a_chunk_moves_no_probability() -> None:
    """Ids are chance of the client; neighbours and their order are no part of it, either."""

    def probabilities(*ids: str, texts: tuple[str, ...]) -> dict[str, Any]:
        request = body(*texts, questions=[about(each) for each in ids])
        answers = decided(service(), request)["answers"]
        return {
            texts[int(each["name"][1:])]: (each["confidence"], each["probabilities"])
            for each in answers
        }

    forward = probabilities("i0", "i1", "i2", texts=("a", "b", "c"))
    assert forward == probabilities("i0", "i1", "i2", texts=("c", "a", "b"))
    assert 3 == len({confidence for confidence, _ in forward.values()})


def test_share_of_certain_answers() -> None:
    """About the configured share of the answers has a probability of exactly 1."""
    certain = {
        share: sum(
            max(p["probability"] for p in each["probabilities"]) == 1.0
            for each in decided(with_rules(certain_share=share), body(*TEXTS))["answers"]
        )
        for share in (0.0, 0.5, 1.0)
    }
    assert (0, 40) == (certain[0.0], certain[1.0])
    assert 10 < certain[0.5] < 30


def test_predicates_and_scores() -> None:
    """A predicate has a probability alone; a score is the sum of index times probability."""
    levels = [{"label": "weak"}, {"label": "clear", "description": "d"}, {"label": "strong"}]
    questions = [
        {"type": "predicate", "instructions": [{"type": "input_text", "text": "It is so."}]},
        {"type": "score", "name": "s", "instructions": "How strong?", "levels": levels},
    ]
    predicate, score = decided(service(), body(questions=questions, input="i"))["answers"]
    assert ["name", "probability", "type"] == sorted(predicate)
    assert predicate["name"] is None
    expected = sum(p["value"] * p["probability"] for p in score["probabilities"])
    assert pytest.approx(expected, abs=1e-6) == score["score"]
    assert [(0, "weak"), (1, "clear"), (2, "strong")] == [
        (p["value"], p["label"]) for p in score["probabilities"]
    ]


def test_usage_counts_all_text_once() -> None:
    """Four bytes of input, instructions and options are a token; output is free."""
    questions = [about("n", choices=[{"value": "ab", "description": "cd"}, {"value": True}])] * 3
    questions = [{**each, "name": f"n{index}"} for index, each in enumerate(questions)]
    request = body(questions=questions, input="x" * 400)
    own = 3 * (len("Main label of chunk n.") + len("abcd") + len("True"))
    once = decided(service(), request)["usage"]
    assert (-(-(400 + own) // 4), 0) == (once["input_tokens"], once["output_tokens"])
    each = decided(with_rules(is_billed_per_question=True), request)["usage"]
    assert -(-(1200 + own) // 4) == each["input_tokens"] == each["total_tokens"]


def test_images_count() -> None:
    """An image has the tokens of the rules, and more than the largest number is refused."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    request = body(questions=[about("n")], input=[{"role": "user", "content": [image]}])
    plain = body(questions=[about("n")], input=[{"role": "user", "content": ""}])
    counted = [decided(service(), one)["usage"]["input_tokens"] for one in (request, plain)]
    assert 300 == counted[0] - counted[1]
    request["input"][0]["content"] = [image] * 129
    assert (400, "array_above_max_length", "input") == error_of(ask(service(), request))


def test_cache_serves_the_shared_input() -> None:
    """A long input is written in implicit mode, read next time, and left alone in explicit mode."""
    text = "x" * 8_000
    request = body(questions=[about("n")], input=text)
    account = service()
    details = [
        json.loads(ask(account, request, now=now).body)["usage"]["input_tokens_details"]
        for now in (0.0, 60.0)
    ]
    assert [0, 2_000] == [each["cached_tokens"] for each in details]
    assert [2_000, 0] == [each["cache_write_tokens"] for each in details]
    explicit = {**request, "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
    assert {"cached_tokens": 0, "cache_write_tokens": 0} == decided(service(), explicit)["usage"][
        "input_tokens_details"
    ]


def test_payment_and_limit_headers() -> None:
    """A decision is paid like any request, under the client's own id, and tells the limits."""
    records: list[dict[str, Any]] = []
    account = service(payment=records.append, rpm=60)
    outcome = ask(account, body("one", "two"), rid="17")
    assert outcome.receipt is not None
    account.pay(outcome.receipt, is_delivered=True, now=0.0)
    paid = {name: records[0][name] for name in ("route", "request", "chunks", "output_tokens")}
    assert {"route": "decisions", "request": "17", "chunks": 2, "output_tokens": 0} == paid
    assert "59" == outcome.headers["x-ratelimit-remaining-requests"]
    assert outcome.headers["x-request-id"].startswith("req_")


def changed(**changes: Any) -> dict[str, Any]:
    """Return a request with one question, the question changed."""
    return body(questions=[about("n", **changes)], input="text")


PART = {"type": "input_text", "text": "t"}


@pytest.mark.parametrize(
    ("request_body", "code", "param"),
    [
        (body("t", model=...), "missing_required_parameter", "model"),
        (body("t", model="gpt-4"), "model_not_found", "model"),
        (body("t", model="gpt-6-sol"), "model_not_found", "model"),
        (body("t", input=...), "missing_required_parameter", "input"),
        (body("t", input=[]), "missing_required_parameter", "input"),
        (body("t", questions=...), "missing_required_parameter", "questions"),
        (body("t", questions=[]), "array_below_min_length", "questions"),
        (body("t", questions={}), "invalid_type", "questions"),
        (body("t", questions=[about("n")] * 401), "array_above_max_length", "questions"),
        (body("t", questions=[about("n")] * 2), "invalid_value", "questions"),
        (body("t", stream=True), "unknown_parameter", "stream"),
        (body("t", temperature=0), "unknown_parameter", "temperature"),
        (body("t", safety_identifier="x" * 65), "string_above_max_length", "safety_identifier"),
        (body("t", prompt_cache_key="x" * 65), "string_above_max_length", "prompt_cache_key"),
        (
            body("t", prompt_cache_options={"mode": "none"}),
            "invalid_value",
            "prompt_cache_options.mode",
        ),
        (
            body("t", prompt_cache_options={"ttl": "12h"}),
            "invalid_value",
            "prompt_cache_options.ttl",
        ),
        (changed(type="rank"), "invalid_value", "questions[0].type"),
        (changed(instructions=...), "missing_required_parameter", "questions[0].instructions"),
        (changed(name="x" * 61), "string_above_max_length", "questions[0].name"),
        (changed(name="a-b"), "invalid_value", "questions[0].name"),
        (changed(type="predicate"), "unknown_parameter", "questions[0].choices"),
        (changed(choices=...), "missing_required_parameter", "questions[0].choices"),
        (changed(choices=CHOICES[:1]), "array_below_min_length", "questions[0].choices"),
        (
            changed(choices=[{"value": str(n)} for n in range(256)]),
            "array_above_max_length",
            "questions[0].choices",
        ),
        (changed(choices=[*CHOICES, *CHOICES]), "invalid_value", "questions[0].choices"),
        (
            changed(choices=[{"value": 1}, *CHOICES]),
            "invalid_type",
            "questions[0].choices[0].value",
        ),
        (
            changed(choices=[{}, *CHOICES]),
            "missing_required_parameter",
            "questions[0].choices[0].value",
        ),
        (
            changed(choices=[{"value": "c", "description": 1}, *CHOICES]),
            "invalid_type",
            "questions[0].choices[0].description",
        ),
        (
            changed(type="score", choices=..., levels=[{"label": str(n)} for n in range(11)]),
            "array_above_max_length",
            "questions[0].levels",
        ),
        (
            changed(instructions=[{**PART, "prompt_cache_breakpoint": {"mode": "explicit"}}]),
            "unknown_parameter",
            "questions[0].instructions[0].prompt_cache_breakpoint",
        ),
    ],
)
def test_bad_requests_are_refused(request_body: dict[str, Any], code: str, param: str) -> None:
    """Each names its code and its place; nothing is paid."""
    assert (400, code, param) == error_of(ask(service(), request_body))


def test_caps_can_be_lowered() -> None:
    """The service of the launch took 200 questions."""
    questions = [about(f"n{index}") for index in range(201)]
    request = body("t", questions=questions)
    assert 201 == len(decided(service(), request)["answers"])
    assert 400 == ask(with_rules(questions=200), request).status
    assert 200 == ask(with_rules(is_name_unique=False), changed_twice()).status


def changed_twice() -> dict[str, Any]:
    """Return a request with two questions of one name."""
    return body("t", questions=[about("n")] * 2)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"is_order_wrong": True}, ["i2", "i1", "i0"]),
        ({"has_missing_answer": True}, ["i0", "i1"]),
        ({"has_extra_answer": True}, ["i0", "i1", "i2", "zzzzzzzz"]),
    ],
)
def test_switches_of_the_list(rules: dict[str, Any], expected: list[str]) -> None:
    """Order and number of the answers can be wrong."""
    content = json.loads(ask(with_rules(**rules), body("x", "y", "z")).body)
    assert expected == [each["name"] for each in content["answers"]]


def test_switches_of_the_shape() -> None:
    """An unknown type, unknown fields and a sum below 1 can be had."""
    request = body("x", "y")
    kinds = json.loads(ask(with_rules(has_unknown_type=True), request).body)["answers"]
    assert ["ranking", "choice"] == [each["type"] for each in kinds]
    extra = json.loads(ask(with_rules(has_extra_fields=True), request).body)
    assert {"id", "created"} == set(extra) - {"model", "answers", "usage"}
    assert all("explanation" in each for each in extra["answers"])
    low = decided(with_rules(probability_sum=0.99), request)["answers"][0]["probabilities"]
    assert pytest.approx(0.99, abs=1e-5) == sum(p["probability"] for p in low)


def test_refusals_are_pinned_to_texts() -> None:
    """All questions can be refused, or those about some texts, always the same ones."""
    refusal = {"type": "refusal", "name": "i0"}
    assert [refusal] == decided(with_rules(is_all_refused=True), body("x"))["answers"]
    account = with_rules(refused_share=0.3)

    def refused(*texts: str) -> set[str]:
        answers = decided(account, body(*texts))["answers"]
        return {
            text for text, each in zip(texts, answers, strict=True) if each["type"] == "refusal"
        }

    some = refused(*TEXTS)
    assert 3 < len(some) < 25
    assert some == refused(*reversed(TEXTS))
    assert some == {text for text in TEXTS if refused(text)}


def test_neighbours_can_leak() -> None:
    """With the switch a chunk gets the label of the one behind it."""
    answer = decided(with_rules(leak_share=1.0), body(*TEXTS))
    assert [*TRUTH[1:], TRUTH[0]] == labels_of(answer)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refusal", ["refusal"] * 4),
        ("truncated", ["choice"] * 2),
        ("missing_item", ["choice"] * 3),
        ("extra_item", ["choice"] * 4 + ["predicate"]),
        ("doubled_item", ["choice"] * 5),
    ],
)
def test_faults_of_the_answer(fault: str, expected: list[str]) -> None:
    """The faults of answers act on the list."""
    content = json.loads(ask(service(faults={fault: 1.0}), body("a", "b", "c", "d")).body)
    assert expected == [each["type"] for each in content["answers"]]


def test_faults_of_the_values() -> None:
    """A choice that was not offered, and answers that are no list."""
    (answer,) = decided(service(faults={"out_of_enum": 1.0}), body("a"))["answers"]
    assert "no_such_label" == answer["choice"]
    assert answer["choice"] in [each["value"] for each in answer["probabilities"]]
    content = json.loads(ask(service(faults={"malformed": 1.0}), body("a")).body)
    assert isinstance(content["answers"], str)
    levels = [{"label": "x"}, {"label": "y"}]
    score = changed(type="score", choices=..., levels=levels)
    assert 200 == ask(service(faults={"out_of_enum": 1.0}), score).status
