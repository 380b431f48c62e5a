"""Behaviour of the account: keys, answers, chance and payment."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.outages import Outage
from analysis.simulator.profile import PROFILE
from analysis.simulator.refusals import Refusal
from analysis.simulator.service import Answerer, Question, Service, digest_answerer, key_of
from tests.simulator.examples import KEYS, SCHEMA, labels_of, pack, service


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


def test_pack_is_answered_in_the_shape_of_the_schema() -> None:
    """Ids and labels stand in the properties that the schema names, in input order."""
    job = service().start(question(pack("one", "two")), 0.0)
    assert labels_of("one", "two") == json.loads(job.text)


def test_topic_reaches_the_answerer() -> None:
    """The topic of the pack is handed on."""
    answerer = Answerer(name="m", label=lambda texts, topic: [(str(topic),) for _ in texts])
    job = Service(answerer).start(question(pack("one"), schema=None), 0.0)
    assert {"answers": [{"id": "i0", "labels": ["t"]}]} == json.loads(job.text)


def test_other_content_is_one_text() -> None:
    """What is no pack gets its first label as plain text."""
    job = service().start(question("one"), 0.0)
    assert (digest_answerer(KEYS).label(["one"], None)[0][0], False) == (job.text, job.is_shaped)


@pytest.mark.parametrize(
    ("label", "schema", "part"),
    [
        (lambda texts, topic: [("z",)], SCHEMA, "gave the label 'z'"),
        (lambda texts, topic: [], SCHEMA, "gave 0 answers for 1 texts"),
        (lambda texts, topic: [("a",)], {"type": "object"}, "can only fill"),
    ],
)
def test_model_never_leaves_the_schema(label: Any, schema: Any, part: str) -> None:
    """An answer that the schema does not allow becomes a server error that says so."""
    job = Service(Answerer(name="m", label=label)).start(question(pack("x"), schema=schema), 0.0)
    assert job.failure is not None
    assert (500, True) == (job.failure.status, part in job.failure.message)


def test_usage_counts_bytes() -> None:
    """Four bytes of instructions, input and schema, or of the answer, are a token."""
    receipt = service().start(question("abcde", schema=None, size_bytes=9), 0.0).receipt
    assert (3, 1) == (receipt.input_tokens, receipt.output_tokens)


def test_input_above_the_context_is_refused() -> None:
    """The bound is inclusive, and what exceeds it costs nothing."""
    account = service(tpm=10, profile=type(PROFILE)(context_tokens=2, output_estimate_tokens=1))
    with pytest.raises(Refusal, match="3 tokens, at most 2"):
        account.start(question("x", schema=None, size_bytes=9), 0.0)
    assert 2 == account.start(question("x", schema=None, size_bytes=8), 0.0).receipt.input_tokens


def test_cap_cuts_the_answer() -> None:
    """An answer above the cap is cut to it and billed so."""
    job = service().start(question(pack("one"), max_output_tokens=2), 0.0)
    assert (True, '{"answer', 2) == (job.is_cut, job.text, job.receipt.output_tokens)


def test_reserved_tokens_come_back_at_the_end() -> None:
    """The reservation holds until the answer leaves, then only what was used is charged."""
    account = service(tpm=1_000, latency_ms=100, profile=_exact())
    job = account.start(question("abcd", schema=None, max_output_tokens=900), 0.0)
    before, after = (account.limits.report(0, at)[1].remaining for at in (0.0, job.at))
    assert (99, 999) == (before, after)


def _exact() -> Any:
    return type(PROFILE)(latency_sigma=0.0)


def test_latency_is_seeded() -> None:
    """The same seed gives the same latencies, sigma 0 gives the median itself."""
    first, second = (service(latency_ms=100, seed=5) for _ in range(2))
    draws = [first.start(question("x"), 0.0).at for _ in range(20)]
    assert draws == [second.start(question("x"), 0.0).at for _ in range(20)]
    assert len(set(draws)) == 20
    assert 0.1 == service(latency_ms=100, profile=_exact()).start(question("x"), 0.0).at


def test_delay_adds_to_the_latency() -> None:
    """The fault `delay` adds ten latencies and half a second."""
    slow = service(latency_ms=100, profile=_exact(), faults={"delay": 1.0})
    assert pytest.approx(1.6) == slow.start(question("x"), 0.0).at


def test_shuffle_adds_a_part_of_its_window() -> None:
    """The fault `shuffle` spreads answers over at most 50 ms."""
    account = service(faults={"shuffle": 1.0})
    waits = [account.start(question("x"), 0.0).at for _ in range(50)]
    assert 0.0 <= min(waits) < max(waits) <= 0.05
    assert waits != sorted(waits)


def test_generation_time_counts_the_tokens_of_the_answer() -> None:
    """It comes on top of the latency, whatever the faults added to that."""
    slow = service(latency_ms=100, ms_per_token=5, profile=_exact(), faults={"delay": 1.0})
    job = slow.start(question(pack("x")), 2.0)
    assert pytest.approx((0.05, 1.65, 3.65)) == (job.generation_s, job.latency_s, job.at)
    assert 10 == job.receipt.output_tokens


def test_outages_are_told_by_the_time_since_the_start() -> None:
    """Before: its start; during: now; after: never."""
    account = service(outages=[Outage(route="chat", start_s=2.0, duration_s=3.0)])
    account.started_at = 10.0
    moments = (10.0, 12.0, 14.5, 15.0)
    assert [12.0, 12.0, 14.5, math.inf] == [account.next_outage_at("chat", m) for m in moments]
    assert [False, True, True, False] == [account.is_out("chat", now) for now in moments]


def test_failed_request_charges_no_tokens() -> None:
    """After a server error the reserved tokens are all back."""
    account = service(tpm=1_000, faults={"error_500": 1.0})
    account.start(question("x"), 0.0)
    assert 1_000 == account.limits.report(0, 0.0)[1].remaining


def test_payment_record_holds_what_a_checker_needs() -> None:
    """Digests, ids, tokens, request id and the digest of the key; no text and no key."""
    records: list[dict[str, Any]] = []
    account = service(payment=records.append, epoch_s=1_000.0)
    job = account.start(question(pack("one")), 0.0)
    account.pay(job.receipt, is_delivered=False, now=2.0)
    expected = {
        "at": 1_002.0,
        "route": "responses",
        "request": "17",
        "key_digest": sha256(b"key-1").hexdigest()[:8],
        "chunks": 1,
        "digests": [sha256(b"one").hexdigest()],
        "item_ids": ["i0"],
        "input_tokens": job.receipt.input_tokens,
        "output_tokens": job.receipt.output_tokens,
        "delivered": False,
    }
    assert [expected] == records


def test_keys_come_in_two_headers() -> None:
    """Bearer and `api-key` are read, other schemes are not."""
    given: tuple[dict[str, str], ...] = (
        {"authorization": "Bearer k"},
        {"api-key": "k"},
        {"authorization": "Basic k"},
        {},
    )
    assert ["k", "k", None, None] == [key_of(headers) for headers in given]


def test_any_key_is_good_without_a_key_of_its_own() -> None:
    """A key is needed all the same."""
    assert "k" == service().check_key("k")
    with pytest.raises(Refusal, match="Missing bearer"):
        service().check_key(None)
    with pytest.raises(Refusal, match=r"Incorrect API key provided: bad\*\*\*"):
        service(api_key="k").check_key("bad-key")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"rpm": 0}, "at least 1"),
        ({"tpm": -1}, "at least 1"),
        ({"latency_ms": -1}, "at least 0"),
        ({"ms_per_token": -1}, "at least 0"),
        ({"dialect": "alpha"}, "'alpha' is unknown. Known: ga, beta"),
        ({"rpd": 0}, "at least 1"),
        ({"endpoints": {"voice"}}, "'voice' is unknown. Known: realtime, responses, "),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], part: str) -> None:
    """Numbers out of range and unknown names are configuration errors."""
    with pytest.raises(ConfigurationError, match=part):
        service(**options)
