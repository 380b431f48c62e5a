"""Behaviour of the addresses below /v1/batches."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types import Batch

from analysis.simulator.profile import PROFILE
from analysis.simulator.service import Service
from tests.simulator.batch_examples import call, lines, row, rows_of, start, state, told, upload
from tests.simulator.examples import chat, error_of, labels_of, pack, service

EPOCH_S = 1_790_000_000.0


def account(*, rules: dict[str, Any] | None = None, **options: Any) -> Service:
    """Return a service on which a batch second is a second."""
    batch = replace(PROFILE.batch, **{"speed": 1.0, "rows_per_s": 1.0, **(rules or {})})
    options.setdefault("epoch_s", EPOCH_S)
    return service(profile=replace(PROFILE, batch=batch), **options)


def many(count: int) -> bytes:
    """Return an input file of so many rows, the texts being t0, t1 and so on."""
    return lines(*(row(f"c{index}", f"t{index}") for index in range(count)))


def test_batch_completes() -> None:
    """It walks through its states, each at its time, and the SDK's type takes every one."""
    on = account()
    batch = start(on, many(10), now=0.0, metadata={"a": "b"})
    seen = [state(on, batch, now) for now in (0.0, 59.9, 60.0, 64.0, 69.9, 70.0, 129.9, 130.0)]
    for each in seen:
        Batch.model_validate(each, strict=True)
    assert [
        ("validating", 0, 0),
        ("validating", 0, 0),
        ("in_progress", 10, 0),
        ("in_progress", 10, 4),
        ("in_progress", 10, 9),
        ("finalizing", 10, 10),
        ("finalizing", 10, 10),
        ("completed", 10, 10),
    ] == [
        (each["status"], each["request_counts"]["total"], each["request_counts"]["completed"])
        for each in seen
    ]
    last = seen[-1]
    assert (60, 70, 130, 86_400) == tuple(
        last[name] - int(EPOCH_S)
        for name in ("in_progress_at", "finalizing_at", "completed_at", "expires_at")
    )
    assert ({"a": "b"}, "gpt-6-luna", None, None) == tuple(
        last[name] for name in ("metadata", "model", "errors", "error_file_id")
    )
    assert None is seen[-2]["output_file_id"]


def test_a_day_passes_in_seconds() -> None:
    """With the default speed a small batch is done within a tenth of a second."""
    on = service()
    batch = start(on, many(3), now=0.0)
    assert "completed" == state(on, batch, 0.1)["status"]


def test_output_is_shuffled_and_right() -> None:
    """Every row is answered once, under its own id and with its own labels, in another order."""
    on = account(epoch_s=0.0)
    batch = start(on, many(50))
    ended = state(on, batch, 1_000.0)
    found = rows_of(on, ended["output_file_id"], 1_000.0)
    names = [each["custom_id"] for each in found]
    assert sorted(f"c{index}" for index in range(50)) == sorted(names)
    assert names != [f"c{index}" for index in range(50)]
    for each in found:
        assert (None, 200) == (each["error"], each["response"]["status_code"])
        text = each["response"]["body"]["output"][0]["content"][0]["text"]
        expected = labels_of(f"t{each['custom_id'][1:]}")
        assert expected == json.loads(text)
    assert 50 == len({each["id"] for each in found})


def test_output_can_keep_its_order() -> None:
    """Shuffling is a switch."""
    on = account(rules={"is_output_shuffled": False})
    ended = state(on, start(on, many(20)), 1_000.0)
    names = [each["custom_id"] for each in rows_of(on, ended["output_file_id"], 1_000.0)]
    assert [f"c{index}" for index in range(20)] == names


def test_chat_rows_and_usage() -> None:
    """Chat is served, too; usage is the sum of the answers, in the shape of Responses."""
    on = account()
    bodies = [chat(messages=[{"role": "user", "content": pack(f"{n}")}]) for n in range(3)]
    url = "/v1/chat/completions"
    content = lines(*(row(f"{n}", url=url, body=one) for n, one in enumerate(bodies)))
    ended = state(on, start(on, content, endpoint=url), 1_000.0)
    usages = [
        each["response"]["body"]["usage"] for each in rows_of(on, ended["output_file_id"], 1_000.0)
    ]
    assert sum(each["prompt_tokens"] for each in usages) == ended["usage"]["input_tokens"]
    assert sum(each["completion_tokens"] for each in usages) == ended["usage"]["output_tokens"]
    assert sum(each["total_tokens"] for each in usages) == ended["usage"]["total_tokens"]


def test_rows_are_paid_when_they_are_due() -> None:
    """Each is paid once, with the route `batch` and its custom id, whenever somebody looks."""
    records: list[dict[str, Any]] = []
    on = account(payment=records.append, rpm=1)
    batch = start(on, many(5), now=0.0)
    state(on, batch, 62.5)
    assert 2 == len(records)
    state(on, batch, 1_000.0)
    state(on, batch, 1_001.0)
    assert [EPOCH_S + due for due in (61, 62, 63, 64, 65)] == [each["at"] for each in records]
    assert {"batch"} == {each["route"] for each in records}
    assert [f"c{index}" for index in range(5)] == sorted(each["request"] for each in records)


def test_bad_rows_fail_alone() -> None:
    """A refused row stands in the error file with the error of the service."""
    on = account()
    bad = row("bad", body={"model": "gpt-6-luna", "input": "x", "temperature": 9})
    streamed = row("streamed", body={"model": "gpt-6-luna", "input": "x", "stream": True})
    ended = state(on, start(on, lines(row("good"), bad, streamed)), 1_000.0)
    assert {"total": 3, "completed": 1, "failed": 2} == ended["request_counts"]
    failed = {each["custom_id"]: each for each in rows_of(on, ended["error_file_id"], 1_000.0)}
    assert {"bad": 400, "streamed": 400} == {
        name: each["response"]["status_code"] for name, each in failed.items()
    }
    assert "unsupported_parameter" == failed["bad"]["response"]["body"]["error"]["code"]
    assert None is failed["bad"]["error"]


def test_server_errors_fail_rows() -> None:
    """A row that meets a server error is a 500 in the error file."""
    on = account(faults={"error_500": 1.0})
    ended = state(on, start(on, many(2)), 1_000.0)
    assert (None, "completed") == (ended["output_file_id"], ended["status"])
    found = rows_of(on, ended["error_file_id"], 1_000.0)
    assert [500, 500] == [each["response"]["status_code"] for each in found]


def test_batch_expires_with_what_it_has() -> None:
    """At the end of the window finished rows are delivered, the others told as expired."""
    on = account(rules={"rows_per_s": 0.001})
    batch = start(on, many(100))
    assert "in_progress" == state(on, batch, 86_399.0)["status"]
    ended = state(on, batch, 86_400.0)
    assert ("expired", 86_400, None) == (
        ended["status"],
        ended["expired_at"] - ended["created_at"],
        ended["finalizing_at"],
    )
    assert {"total": 100, "completed": 86, "failed": 14} == ended["request_counts"]
    done = rows_of(on, ended["output_file_id"], 86_400.0)
    left = rows_of(on, ended["error_file_id"], 86_400.0)
    assert {("batch_expired", None)} == {(each["error"]["code"], each["response"]) for each in left}
    assert 100 == len({each["custom_id"] for each in (*done, *left)})


def test_row_that_hangs_makes_its_batch_expire() -> None:
    """It is paid, never answered, and told as expired."""
    records: list[dict[str, Any]] = []
    on = account(faults={"hang": 1.0}, payment=records.append)
    batch = start(on, many(2))
    assert "in_progress" == state(on, batch, 10_000.0)["status"]
    ended = state(on, batch, 90_000.0)
    assert ("expired", None) == (ended["status"], ended["output_file_id"])
    assert [False, False] == [each["delivered"] for each in records]
    assert 2 == len(rows_of(on, ended["error_file_id"], 90_000.0))


def test_batch_is_cancelled() -> None:
    """From then on no row is answered; what was answered is delivered."""
    on = account()
    batch = start(on, many(10))
    wished = told(call(on, "POST", f"/batches/{batch['id']}/cancel", now=63.5))
    assert ("cancelling", 63) == (
        wished["status"],
        wished["cancelling_at"] - wished["created_at"],
    )
    assert "cancelling" == state(on, batch, 123.0)["status"]
    ended = state(on, batch, 123.5)
    assert ("cancelled", 3, 7) == (
        ended["status"],
        ended["request_counts"]["completed"],
        ended["request_counts"]["failed"],
    )
    codes = {each["error"]["code"] for each in rows_of(on, ended["error_file_id"], 124.0)}
    assert {"batch_cancelled"} == codes
    again = call(on, "POST", f"/batches/{batch['id']}/cancel", now=124.0)
    assert (400, None, "batch_id") == error_of(again)


def test_batch_is_cancelled_during_validation() -> None:
    """It never starts."""
    on = account()
    batch = start(on, many(2))
    call(on, "POST", f"/batches/{batch['id']}/cancel", now=10.0)
    ended = state(on, batch, 1_000.0)
    assert ("cancelled", None, None) == (
        ended["status"],
        ended["in_progress_at"],
        ended["output_file_id"],
    )


def test_bad_input_fails_the_batch() -> None:
    """It is validated first; then errors name the lines, and nothing is paid."""
    records: list[dict[str, Any]] = []
    on = account(payment=records.append)
    batch = start(on, lines(row("a")) + b"{\n")
    assert ("validating", None) == (batch["status"], batch["errors"])
    ended = state(on, batch, 60.0)
    Batch.model_validate(ended, strict=True)
    assert ("failed", 60) == (ended["status"], ended["failed_at"] - ended["created_at"])
    assert [("invalid_json_line", 2)] == [
        (each["code"], each["line"]) for each in ended["errors"]["data"]
    ]
    assert [] == records


def test_queue_has_a_bound() -> None:
    """Tokens of batches under way count per model; they are free again when the batch ends."""
    on = account(rules={"queued_tokens": 200})
    first, second = start(on, many(1)), start(on, many(1))
    assert ["completed", "failed"] == [state(on, each, 200.0)["status"] for each in (first, second)]
    problem = state(on, second, 200.0)["errors"]["data"][0]
    assert ("token_limit_exceeded", None) == (problem["code"], problem["line"])
    assert "completed" == state(on, start(on, many(1), now=300.0), 1_000.0)["status"]


def test_batches_are_listed() -> None:
    """Newest first, in pages."""
    on = account()
    names = [start(on, many(1))["id"] for _ in range(3)]
    answer = told(call(on, "GET", "/batches", query={"limit": "2"}))
    assert (names[:0:-1], True) == ([each["id"] for each in answer["data"]], answer["has_more"])
    rest = told(call(on, "GET", "/batches", query={"after": answer["last_id"]}))
    assert [names[0]] == [each["id"] for each in rest["data"]]


def test_output_files_live_as_asked() -> None:
    """`output_expires_after` counts from the making of the file."""
    on = account(epoch_s=0.0)
    life = {"anchor": "created_at", "seconds": 3_600}
    ended = state(on, start(on, many(1), output_expires_after=life), 1_000.0)
    path = f"/files/{ended['output_file_id']}"
    made = told(call(on, "GET", path, now=1_000.0))
    assert ("batch_output", 121, 3_721) == tuple(
        made[name] for name in ("purpose", "created_at", "expires_at")
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"endpoint": "/v1/decisions"}, (400, "invalid_value", "endpoint")),
        ({"endpoint": "/v1/embeddings"}, (400, "unsupported_value", "endpoint")),
        ({"endpoint": None}, (400, "missing_required_parameter", "endpoint")),
        ({"completion_window": "1h"}, (400, "invalid_value", "completion_window")),
        ({"input_file_id": "file-none"}, (400, None, "id")),
        ({"model": "gpt-6-luna"}, (400, "unknown_parameter", "model")),
        ({"metadata": {"a": 1}}, (400, "invalid_type", "metadata.a")),
        (
            {"output_expires_after": {"anchor": "now", "seconds": 3_600}},
            (400, "invalid_value", "output_expires_after.anchor"),
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 1}},
            (400, "integer_below_min_value", "output_expires_after.seconds"),
        ),
    ],
)
def test_bad_creations_are_refused(
    changes: dict[str, Any], expected: tuple[int, str | None, str]
) -> None:
    """Each names its status, code and place."""
    on = account()
    fields = {
        "input_file_id": upload(on, many(1))["id"],
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        **changes,
    }
    outcome = call(on, "POST", "/batches", json.dumps(fields).encode())
    assert expected == error_of(outcome)


def test_other_refusals() -> None:
    """A file of another purpose, a body that is no JSON, and an unknown batch."""
    on = account()
    name = upload(on, many(1), {"purpose": "user_data"})["id"]
    fields = {"input_file_id": name, "endpoint": "/v1/responses", "completion_window": "24h"}
    outcome = call(on, "POST", "/batches", json.dumps(fields).encode())
    assert (400, None, "input_file_id") == error_of(outcome)
    assert (400, None, None) == error_of(call(on, "POST", "/batches", b"{"))
    for method, path in (("GET", ""), ("POST", "/cancel")):
        assert (404, None, "batch_id") == error_of(call(on, method, f"/batches/none{path}"))
