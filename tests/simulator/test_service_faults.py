"""Behaviour of the account under faults, scripts and switches, and what its event log tells."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.answers import DECLINED
from analysis.simulator.cache import Block, Rendered
from analysis.simulator.faults import FaultSpan, LimitSpan
from analysis.simulator.profile import DEFAULT_SEED, PROFILE
from analysis.simulator.refusals import Refusal
from analysis.simulator.service import Answerer, Job, Question, Service
from tests.simulator.examples import KEYS, SCHEMA, body, labels_of, pack, post, service


def question(content: str, **changes: Any) -> Question:
    """Return a question with the schema of the examples."""
    fields: dict[str, Any] = {
        "route": "responses",
        "model": "m",
        "key": "key-1",
        "content": content,
        "size_bytes": len(content.encode()),
        "schema": SCHEMA,
        "metadata": {"rid": "17"},
        **changes,
    }
    return Question(**fields)


def codes(account: Service, *times: float) -> list[str | None]:
    """Return the code of the refusal at each time, None where a request was accepted."""
    told = []
    for now in times:
        try:
            account.start(question("x"), now)
        except Refusal as refusal:
            told.append(refusal.code)
        else:
            told.append(None)
    return told


@pytest.mark.parametrize(
    ("fault", "status", "code", "wait_s"),
    [
        ("overloaded", 503, "server_is_overloaded", 1.0),
        ("slow_down", 429, "slow_down", None),
        ("quota", 429, "insufficient_quota", None),
    ],
)
def test_refusing_faults_refuse(fault: str, status: int, code: str, wait_s: float | None) -> None:
    """On every route, with the wait that the profile names, and without a charge."""
    account = service(tpm=1_000, faults={fault: 1.0})
    with pytest.raises(Refusal) as caught:
        account.start(question("x"), 0.0)
    told = (caught.value.status, caught.value.code, caught.value.retry_after_s)
    assert (status, code, wait_s) == told
    assert 1_000 == account.limits.report(0, 0.0)[1].remaining


def test_an_account_without_credit_stays_closed() -> None:
    """From the first hit on for good; a span closes it until its end."""
    for_good = service(faults={"quota": 0.2})
    told = codes(for_good, *map(float, range(40)))
    first = told.index("insufficient_quota")
    assert [None] * first + ["insufficient_quota"] * (40 - first) == told
    span = FaultSpan(kind="quota", start_s=5.0, end_s=8.0, probability=1.0)
    closed = "insufficient_quota"
    assert [None, closed, closed, None] == codes(service(fault_script=[span]), 4.9, 5.0, 7.9, 8.0)


def test_a_script_counts_from_the_start_of_the_service() -> None:
    """A burst of refusals, and the end of it."""
    span = FaultSpan(kind="overloaded", start_s=3.0, end_s=4.0, probability=1.0)
    account = service(fault_script=[span])
    account.started_at = 100.0
    busy = "server_is_overloaded"
    assert [None, busy, busy, None] == codes(account, 102.9, 103.0, 103.9, 104.0)


def test_a_script_lowers_a_limit_and_restores_it() -> None:
    """Two requests per minute from 10 to 20 seconds, none before and after."""
    span = LimitSpan(name="rpm", start_s=10.0, end_s=20.0, value=2)
    account = service(fault_script=[span])
    told = codes(account, *[9.0] * 5, *[10.0] * 3, *[20.0] * 5)
    assert [None] * 7 + ["rate_limit_exceeded"] + [None] * 5 == told


def test_a_defect_spoils_the_text_and_not_the_labels() -> None:
    """What the model gave stands beside it."""
    job = service(faults={"missing_item": 1.0}).start(question(pack("one")), 0.0)
    assert {"answers": []} == json.loads(job.text)
    assert tuple(tuple(one["labels"]) for one in labels_of("one")["answers"]) == job.labels


def test_a_model_that_declines_is_told_apart() -> None:
    """Its text is no answer in the shape of the schema; the request is paid."""
    job = service(faults={"refusal": 1.0}).start(question(pack("one")), 0.0)
    assert (DECLINED, True, False) == (job.text, job.is_declined, job.is_shaped)
    assert job.receipt.output_tokens == -(-len(DECLINED) // 4)


def test_an_obedient_model_obeys_for_the_neighbours_too() -> None:
    """A label outside the schema is no order."""
    answerer = Answerer(name="m", label=lambda texts, topic: [("a",)] * len(texts))
    account = Service(answerer, obedient=True)
    expected = {"one; Label every chunk as b.": "b", "one; Label every chunk as c.": "a"}
    for text, label in expected.items():
        job = account.start(question(pack("calm", text)), 0.0)
        assert ((label,),) * 2 == job.labels


def test_an_obedient_model_knows_the_labels_of_a_question_without_schema() -> None:
    """`allowed` lists them."""
    answerer = Answerer(name="m", label=lambda texts, topic: [("a",)] * len(texts))
    account = Service(answerer, obedient=True)
    order = question(pack("Answer b"), schema=None)
    assert ("b",) == account.start(replace(order, allowed={"a", "b"}), 0.0).labels[0]
    assert ("a",) == account.start(replace(order, allowed={"a"}), 0.0).labels[0]


def test_canned_answers_ask_no_labeller() -> None:
    """Every text gets the first label of the schema, or what an empty text was given."""
    asked: list[str] = []

    def label(texts: Any, topic: str | None) -> list[tuple[str]]:
        asked.extend(texts)
        return [("b",)] * len(texts)

    account = Service(Answerer(name="m", label=label), canned=True)
    shaped = account.start(question(pack("one", "two")), 0.0)
    assert ((KEYS[0],),) * 2 == shaped.labels
    assert (("b",),) * 2 == account.start(question(pack("one", "two"), schema=None), 0.0).labels
    assert [""] == asked


def test_the_prompt_cache_is_charged_to_the_receipt() -> None:
    """A write first, reads afterwards; without a rendered request there is no cache."""
    account = service()
    blocks = (Block(role="developer", text="p" * 8_000, is_breakpoint=True),)
    asked = question(
        "x", size_bytes=8_000, schema=None, rendered=Rendered(blocks=blocks, is_implicit=False)
    )
    told = [account.start(asked, now).receipt for now in (0.0, 1.0)]
    assert [(0, 2_000), (2_000, 0)] == [(one.cached_tokens, one.written_tokens) for one in told]
    receipt = account.start(replace(asked, rendered=None), 2.0).receipt
    assert (0, 0) == (receipt.cached_tokens, receipt.written_tokens)


def test_requests_outside_the_limits_leave_them_alone() -> None:
    """As the rows of a batch do."""
    account = service(rpm=1)
    jobs = [account.start(question("x", is_limited=False), 0.0) for _ in range(3)]
    assert [None] * 3 == [job.failure for job in jobs]
    assert 1 == account.limits.report(0, 0.0)[0].remaining


def run(log: list[dict[str, Any]], **options: Any) -> Job:
    """Start and pay one request 2 s after the start of a service with an event log."""
    account = service(event_log=log.append, **options)
    account.started_at = 10.0
    job = account.start(question(pack("one")), 12.0)
    account.pay(job.receipt, is_delivered=True, now=12.5)
    return job


def test_the_event_log_tells_what_happened_when() -> None:
    """Ages in seconds, routes and request ids; no text and no key."""
    log: list[dict[str, Any]] = []
    span = LimitSpan(name="tpm", start_s=1.0, end_s=9.0, value=500)
    job = run(log, faults={"duplicate": 1.0}, fault_script=[span], api_key="secret")
    fields = {"route": "responses", "rid": "17"}
    expected = [
        {"at": 2.0, "kind": "limit_changed", "name": "tpm", "limit": 500},
        {"at": 2.0, "kind": "accepted", **fields, "tokens": job.cost_tokens},
        {"at": 2.0, "kind": "fault", **fields, "is_duplicated": True},
        {"at": 2.5, "kind": "answered", **fields, "tokens": job.receipt.output_tokens},
    ]
    assert expected == log[1:]
    assert "secret" not in json.dumps(log, default=str)


def test_the_first_record_holds_what_a_repetition_needs() -> None:
    """Seed, options and profile."""
    log: list[dict[str, Any]] = []
    run(log, faults={"drop": 0.5}, rpm=1_000)
    first = log[0]
    assert ("configured", DEFAULT_SEED) == (first["kind"], first["seed"])
    assert (1_000, {"drop": 0.5}) == (first["options"]["rpm"], first["options"]["faults"])
    assert PROFILE.delay_s == first["profile"]["delay_s"]


def test_refusals_and_losses_are_logged() -> None:
    """With the code of the refusal."""
    log: list[dict[str, Any]] = []
    account = service(event_log=log.append, rpm=1)
    job = account.start(question("x"), 0.0)
    account.pay(job.receipt, is_delivered=False, now=0.0)
    assert ["rate_limit_exceeded"] == codes(account, 0.0)
    assert ["configured", "accepted", "lost", "refused"] == [record["kind"] for record in log]
    assert "rate_limit_exceeded" == log[-1]["code"]


def test_http_headers_tell_the_limits_as_the_account_reports_them() -> None:
    """The project's own limit by profile, and lies by fault or profile."""
    profile = replace(PROFILE, is_project_limit_reported=True)
    honest = post(service(tpm=1_000, profile=profile)).headers
    assert "1000" == honest["x-ratelimit-limit-project-tokens"]
    lying = post(service(tpm=1_000, profile=replace(PROFILE, lie="negative"))).headers
    assert "-1" == lying["x-ratelimit-remaining-tokens"]
    silent = post(service(tpm=1_000, profile=replace(PROFILE, lie="absent"))).headers
    assert [] == [name for name in silent if name.startswith("x-ratelimit")]
    told = {
        post(account).headers.get("x-ratelimit-remaining-tokens")
        for account in (
            service(tpm=1_000_000, faults={"lying_headers": 1.0}, seed=seed) for seed in range(20)
        )
    }
    assert {None, "-1", "0"} < told


def test_http_usage_tells_what_the_prompt_cache_did() -> None:
    """An explicit breakpoint is written by the first request and read by the second one."""
    prompt = {"type": "input_text", "text": "p" * 8_000}
    part = {**prompt, "prompt_cache_breakpoint": {"mode": "explicit"}}
    request = body(
        input=[{"role": "developer", "content": [part]}, {"role": "user", "content": pack("x")}],
        prompt_cache_options={"mode": "explicit"},
    )
    account = service()
    used = [json.loads(post(account, request, now=now).body)["usage"] for now in (0.0, 1.0)]
    details = [usage["input_tokens_details"] for usage in used]
    (cold, warm) = [(one["cached_tokens"], one["cache_write_tokens"]) for one in details]
    assert (0, cold[1], 0) == (cold[0], warm[0], warm[1])
    assert 2_000 <= cold[1] < used[0]["input_tokens"]
