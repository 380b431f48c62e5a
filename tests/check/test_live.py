"""Questions are asked in order; money, key and missing routes end what they make senseless."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analysis.check.live import (
    LONG_REASON,
    QUESTIONS,
    ROUTES,
    answers,
    document,
    highest_cost,
    shown_host,
)
from analysis.check.questions import Answer, Heard, NotAsked, Question
from analysis.check.wires import Patience, Wires
from analysis.errors import LocalProtocolError
from analysis.prices import price_table
from analysis.settings import DEFAULT_MODELS
from tests.check.asking import answers_to, wires_to
from tests.check.endpoints import NOBODY, service_at

QUICK = Patience(reply_s=10.0, ping_s=0.05, age_s=0.05)
UNASKED = {"12.2e", "12.6", "D.3", "D.7"}


def outcomes(given: list[Answer]) -> dict[str, str]:
    """Return number -> outcome."""
    return {answer.number: answer.outcome for answer in given}


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_every_question_has_an_answer_at_the_local_service(dialect: str) -> None:
    """All are asked but those that cannot be, and everything is marked simulated."""
    with service_at(dialect=dialect) as endpoint:
        given = answers_to(endpoint, QUESTIONS, is_long=True, patience=QUICK)
    unasked = UNASKED | ({"12.7"} if dialect == "beta" else set())
    expected = {
        question.number: "not asked" if question.number in unasked else "answered"
        for question in QUESTIONS
    }
    assert expected == outcomes(given)
    assert all(answer.is_simulated and answer.message for answer in given)
    assert all(answer.facts for answer in given if answer.outcome == "answered")


def test_what_is_spent_stays_below_what_was_announced() -> None:
    """By the token counts of the local service; without the long questions it is under 0.05 USD."""
    table = price_table()
    with service_at() as endpoint:
        given = answers_to(endpoint, QUESTIONS, patience=QUICK)
    spent = sum(answer.spent.usd or 0.0 for answer in given)
    highest = highest_cost(QUESTIONS, DEFAULT_MODELS, table, is_long=False)
    assert highest is not None
    assert 0 < spent < highest < 0.05
    for answer, question in zip(given, QUESTIONS, strict=True):
        bound = question.usd(DEFAULT_MODELS, table)
        assert bound is not None and (answer.spent.usd or 0.0) <= bound, question.number


def test_long_questions_cost_more_and_wait_for_a_word() -> None:
    """They are named with the option that asks them."""
    table = price_table()
    short = highest_cost(QUESTIONS, DEFAULT_MODELS, table, is_long=False)
    all_of_them = highest_cost(QUESTIONS, DEFAULT_MODELS, table, is_long=True)
    assert short is not None and all_of_them is not None and all_of_them > 0.05 > short
    with service_at() as endpoint:
        given = answers_to(endpoint, "12.2b,D.4w")
    assert [("not asked", LONG_REASON)] * 2 == [(one.outcome, one.message) for one in given]


def test_a_model_without_price_makes_the_bound_unknown() -> None:
    """Such as a deployment of Azure."""
    models = DEFAULT_MODELS | {"rest": "our-deployment"}
    assert highest_cost(QUESTIONS, models, price_table(), is_long=False) is None


def test_spent_money_ends_the_paid_questions() -> None:
    """The next ones are not asked either, and say why."""
    with service_at() as endpoint:
        given = answers_to(endpoint, "12.4b,12.7,D.9", limit_usd=0.0)
    assert {"12.4b": "answered", "12.7": "not asked", "D.9": "not asked"} == outcomes(given)
    assert all("0.0000 USD were agreed to" in answer.message for answer in given[1:])
    assert 0 == sum(answer.spent.requests for answer in given)


def test_a_refused_key_ends_the_questions() -> None:
    """One failure with the cure; the others are not asked."""
    with service_at(api_key="another") as endpoint:
        given = answers_to(endpoint, "12.1,12.2a,D.9")
    assert {"12.1": "failed", "12.2a": "not asked", "D.9": "not asked"} == outcomes(given)
    assert "OPENAI_API_KEY" in given[0].message
    assert all("the account is closed" in answer.message for answer in given[1:])


def test_a_missing_route_is_tried_once() -> None:
    """Its other questions are not asked; those of other routes are."""
    with service_at(endpoints=("realtime", "responses", "models")) as endpoint:
        given = answers_to(endpoint, "12.4b,D.6,D.9")
    assert {"12.4b": "answered", "D.6": "failed", "D.9": "not asked"} == outcomes(given)
    assert "route decisions: " in given[2].message


def test_nobody_there_is_one_failure_for_each_route() -> None:
    """Nobody waits for a dead address again and again."""
    given = answers_to(NOBODY, "12.1,12.2a,12.2c,12.4a,12.5,D.1,D.9")
    failures = [answer.number for answer in given if answer.outcome == "failed"]
    assert ["12.1", "12.2a", "D.1"] == failures


def test_routes_can_be_left_out() -> None:
    """A question that needs two is not asked without one of them."""
    with service_at() as endpoint:
        given = answers_to(endpoint, "12.3,12.4b,D.9", routes=("realtime",))
    assert {"12.3": "not asked", "12.4b": "answered", "D.9": "not asked"} == outcomes(given)
    assert "route rest: left out" == given[0].message


async def never(wires: Wires) -> Heard:
    """Wait for ever."""
    await asyncio.Event().wait()
    return Heard(message="", facts={})


async def tell_key(wires: Wires) -> Heard:
    """Tell of the key, as a service might."""
    return Heard(message=f"key {wires.endpoint.api_key}", facts={"a": [wires.endpoint.api_key]})


async def decline(wires: Wires) -> Heard:
    """Find out that the question is none."""
    raise NotAsked(f"no {wires.endpoint.api_key}")


async def break_down(wires: Wires) -> Heard:
    """Fail with the key in the words."""
    raise LocalProtocolError(f"broken {wires.endpoint.api_key}")


def test_no_answer_holds_the_key() -> None:
    """Not in facts, not in messages, whatever became of the question."""
    key = "very-secret-0123456789"
    asked = [
        Question(number=f"1.{place}", text="?", ask=ask)
        for place, ask in enumerate((tell_key, decline, break_down))
    ]
    given = answers_to(replace(NOBODY, api_key=key), asked)
    expected = {"1.0": "answered", "1.1": "not asked", "1.2": "failed"}
    assert expected == outcomes(given)
    shown = json.dumps([answer.to_dict() for answer in given])
    assert key not in shown
    assert 4 == shown.count("[masked]")


def test_a_question_that_does_not_end_is_given_up() -> None:
    """The next one is asked."""
    asked = [
        Question(number="1.1", text="?", ask=never, limit_s=0.01),
        Question(number="1.2", text="?", ask=tell_key),
    ]
    given = answers_to(NOBODY, asked)
    assert {"1.1": "failed", "1.2": "answered"} == outcomes(given)
    assert "not finished within 0.01 s" == given[0].message


def test_the_document_stands_for_itself() -> None:
    """Version, sheet, time, models, prices, sum and answers; the service is marked."""
    asked_at = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    with service_at() as endpoint:
        wires = wires_to(endpoint)

        async def collect() -> list[Answer]:
            asked = [one for one in QUESTIONS if one.number == "D.9"]
            try:
                return [answer async for answer in answers(wires, asked)]
            finally:
                await wires.close()

        given = asyncio.run(collect())
    page = json.loads(json.dumps(document(wires, given, asked_at)))
    assert [1, "2026-11-21", "2026-11-21T14:00:00+00:00", "local service", True] == [
        page[name] for name in ("version", "sheet", "asked_at", "host", "is_simulated")
    ]
    assert list(ROUTES) == list(page["models"])
    assert page["spent"] == page["answers"][0]["spent"]
    assert ["D.9"] == [answer["number"] for answer in page["answers"]]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://our-labels.openai.azure.com/openai/v1", "*.openai.azure.com"),
        ("", ""),
    ],
)
def test_the_name_of_a_resource_stays_out_of_the_document(address: str, expected: str) -> None:
    """It may be pasted somewhere."""
    assert expected == shown_host(address)
