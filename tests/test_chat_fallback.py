"""A server without /responses: everything goes over /chat/completions, and that is said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.entry import analyze_file
from analysis.errors import RouteClosed
from analysis.hooks import Hooks
from analysis.telemetry import Event
from tests.commands.running import UNHURRIED, column, paid_service, semfn, table
from tests.observed_service import (
    ObservedService,
    chunks_of,
    digest_label,
    serving,
    wrong_labels,
)
from tests.virtual_loop import virtual

CHAT_ONLY = ("chat", "models")
NEITHER = ("realtime", "models")
OUT = "chunks.labeled.csv"
SAID = "127.0.0.1 has no /responses: /chat/completions is used."
CLOSED = (
    "127.0.0.1 has neither /responses nor /chat/completions below the base URL (HTTP 404). "
    "Check the base URL."
)


@pytest.mark.parametrize("per_request", [1, 10])
@virtual
async def test_the_analyzer_labels_everything_over_chat(per_request: int) -> None:
    """300 chunks, 32 at once, late answers: none lost or swapped, none paid twice, one notice."""
    events: list[Event] = []
    service = ObservedService(latency_ms=50, endpoints=CHAT_ONLY, faults={"shuffle": 1.0})
    async with serving("rest", service, on_event=events.append) as (analyzer, _):
        for start in (0, 150):
            given = chunks_of(150, start)
            verdicts = await analyzer.analyze_batch(given, chunks_per_request=per_request)
            assert [] == wrong_labels(given, verdicts)
            assert {("rest", 1)} == {(verdict.route, verdict.attempts) for verdict in verdicts}
    assert [("notice", SAID)] == [(event.name, event.message) for event in events]
    assert {"chat"} == {payment["route"] for payment in service.payments}
    assert 300 == service.paid_chunks()


@virtual
async def test_a_chat_server_without_schemas_is_told_once_each() -> None:
    """What else the server cannot do is one more notice; the labels are checked as before."""
    events: list[Event] = []
    service = ObservedService(latency_ms=50, endpoints=CHAT_ONLY, has_json_schema=False)
    async with serving("rest", service, on_event=events.append) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks_of(100))
    assert [] == wrong_labels(chunks_of(100), verdicts)
    said = [event.message for event in events]
    assert SAID == said[0]
    assert len(said) == len(set(said)) == 2
    assert "does not take the answer format json_schema" in said[1]


@virtual
async def test_hybrid_with_chat_alone_falls_back_twice() -> None:
    """Neither Realtime nor /responses is there: the rows come over chat all the same."""
    events: list[Event] = []
    service = ObservedService(latency_ms=50, endpoints=CHAT_ONLY)
    async with serving("hybrid", service, on_event=events.append) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks_of(40))
    assert [] == wrong_labels(chunks_of(40), verdicts)
    assert {"rest"} == {verdict.route for verdict in verdicts}
    assert {"chat"} == {payment["route"] for payment in service.payments}
    assert ["route_closed", "notice"] == [event.name for event in events]


@virtual
async def test_with_neither_endpoint_the_call_raises_one_sentence() -> None:
    """The route is closed, nothing is paid, and later calls raise the same."""
    service = ObservedService(endpoints=NEITHER)
    async with serving("rest", service) as (analyzer, _):
        for _ in range(2):
            with pytest.raises(RouteClosed) as caught:
                await analyzer.analyze_batch(chunks_of(40))
            assert CLOSED == str(caught.value)
    assert [] == service.payments


def test_a_file_is_labelled_over_chat(tmp_path: Path) -> None:
    """`analyze_file` ends with 0; the notice is one event; each row has its own label."""
    events: list[Event] = []
    with paid_service(endpoints=CHAT_ONLY) as service:
        summary = analyze_file(
            table(tmp_path, 250),
            route="rest",
            base_url=service.base_url,
            api_key="k",
            hooks=Hooks(on_event=events.append),
            settings=UNHURRIED,
        )
    assert (0, 250, 0) == (summary.exit_code, summary.labeled, summary.other_model_rows)
    assert [("notice", SAID)] == [(event.name, event.message) for event in events]
    assert {"chat"} == {record["route"] for record in service.records}
    assert 250 == service.chunks
    due = [digest_label(text) for text in column(tmp_path / OUT, "text")]
    assert due == column(tmp_path / OUT, "semantic_function")


def test_a_file_run_with_neither_endpoint_ends_with_3(tmp_path: Path) -> None:
    """The summary's reason is the sentence alone; nothing was paid."""
    with paid_service(endpoints=NEITHER) as service:
        summary = analyze_file(
            table(tmp_path), route="rest", base_url=service.base_url, api_key="k"
        )
    assert (3, CLOSED) == (summary.exit_code, summary.stopped)
    assert {"stopped": 30} == summary.errors
    assert [] == service.records


def test_the_command_with_neither_endpoint_says_it_once(tmp_path: Path) -> None:
    """Exit 3; the sentence that names the cure stands on stderr, without a traceback."""
    with paid_service(endpoints=NEITHER) as service:
        result = semfn("run", table(tmp_path), "--quiet", env=service.environment())
    assert 3 == result.exit_code, result.output
    assert CLOSED in result.stderr
    assert 1 == result.stderr.count("neither")
    assert "Traceback" not in result.output
    assert not (tmp_path / OUT).exists()
