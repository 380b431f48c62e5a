"""Whole runs with log probabilities: each label has the confidence of its own key, or none.

The service writes digest labels with a probability that is a digest of the text, too, so a
confidence that belongs to another chunk shows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from analysis.entry import analyze_dataframe, analyze_file
from analysis.hooks import Hooks
from analysis.labels.label_set import LabelSet
from analysis.labels.rules import Rules
from analysis.pipeline.run import Plan
from analysis.records import Labeled
from analysis.simulator.profile import PROFILE
from analysis.simulator.service import Answerer
from analysis.telemetry import Event
from tests.commands.running import UNHURRIED, column, paid_service, read, semfn, table, written
from tests.observed_service import (
    UNPACED,
    ObservedService,
    chunks_of,
    digest_label,
    serving,
    wrong_labels,
)
from tests.virtual_loop import virtual

CHUNKS = chunks_of(200)
OUT = "chunks.labeled.csv"
BARE = replace(PROFILE, responses=replace(PROFILE.responses, is_terminal_bare=True))
SMALL = replace(BARE, responses=replace(BARE.responses, has_item_events=False))
SAID = "127.0.0.1 does not take logprobs: it is left out, and labels have no confidence there."


def due(text: str) -> float:
    """Return the confidence that a text is due; written anew, so that nothing is shared."""
    number = int.from_bytes(sha256(text.encode()).digest()[8:16], "big")
    return round(0.05 + 0.95 * (number / 2**64), 6)


def assert_own(chunks: Sequence[tuple[str, str]], verdicts: Sequence[Any]) -> None:
    """Every chunk has its own label with its own confidence."""
    assert [] == wrong_labels(chunks, verdicts)
    expected = [due(text) for _, text in chunks]
    assert expected == pytest.approx([verdict.confidence for verdict in verdicts])


ways = pytest.mark.parametrize(
    ("routes", "service"),
    [
        ("rest", {}),
        ("responses-ws", {}),
        ("responses-ws", {"profile": BARE}),
        ("responses-ws", {"profile": SMALL}),
        ("rest", {"endpoints": ("chat",)}),
        ("rest", {"has_json_schema": False}),
        ("responses-ws,rest", {"faults": {"shuffle": 1.0}}),
    ],
)


# Where there is none


@pytest.mark.parametrize("routes", ["rest", "responses-ws"])
@pytest.mark.parametrize("endpoints", [None, ("chat", "responses-ws")])
@virtual
async def test_a_server_that_refuses_them_labels_all_without(
    routes: str, endpoints: tuple[str, ...] | None
) -> None:
    """The field is dropped, that is said once, and nothing is paid twice."""
    events: list[Event] = []
    options: dict[str, Any] = {} if endpoints is None else {"endpoints": endpoints}
    service = ObservedService(latency_ms=50, has_logprobs=False, **options)
    async with serving("hybrid", service, routes=routes, logprobs=True, on_event=events.append) as (
        analyzer,
        _,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
        if routes == "rest":
            assert ["logprobs"] == json.loads(analyzer.facts["rest"])["without"]
    assert [] == wrong_labels(CHUNKS, verdicts)
    assert {None} == {verdict.confidence for verdict in verdicts}
    assert 1 == [event.message for event in events].count(SAID)
    assert 200 == service.paid_chunks()


@ways
@virtual
async def test_who_does_not_ask_gets_none(routes: str, service: dict[str, Any]) -> None:
    """As ever, on every route."""
    async with serving("hybrid", ObservedService(latency_ms=50, **service), routes=routes) as (
        analyzer,
        _,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
    assert [] == wrong_labels(CHUNKS, verdicts)
    assert {None} == {verdict.confidence for verdict in verdicts}


@pytest.mark.parametrize(
    ("options", "who"),
    [
        ({"routes": "realtime"}, "realtime gpt-realtime-2.1-mini"),
        ({"routes": "rest", "model": "gpt-6-astra"}, "rest gpt-6-astra"),
    ],
)
@virtual
async def test_routes_and_models_that_state_none_are_named_and_not_asked(
    options: dict[str, Any], who: str
) -> None:
    """Before the first request of the first call, and once; none is wasted on finding out."""
    events: list[Event] = []
    async with serving("hybrid", logprobs=True, on_event=events.append, **options) as (
        analyzer,
        service,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS[:40], chunks_per_request=10)
        verdicts += [verdict async for verdict in analyzer.stream(CHUNKS[40:])]
    assert [] == wrong_labels(CHUNKS[:40], verdicts[:40])
    assert {None} == {verdict.confidence for verdict in verdicts}
    said = (
        f"logprobs=True has no effect on {who}: no token probabilities are stated there, so labels "
        "have no confidence."
    )
    assert [said] == [event.message for event in events if event.name == "no_confidence"]
    assert (said, 200) == (events[0].message, service.paid_chunks())


@pytest.mark.parametrize("route", ["rest", "responses-ws", "decisions"])
def test_rules_behind_an_address_have_no_confidence(tmp_path: Path, route: str) -> None:
    """Whatever the service has to state on its wire, it is no probability of a model."""
    labels = LabelSet.load("ten_functions")
    rules = Answerer(name="offline-rules", label=Rules(label_set=labels, language="auto").label)
    with paid_service(answerer=rules) as service:
        summary = analyze_file(
            table(tmp_path, 12),
            route=route,
            logprobs=True,
            api_key="k",
            base_url=service.base_url,
        )
    assert (12, 12, True) == (summary.labeled, summary.without_confidence, summary.simulated)
    assert {""} == set(column(tmp_path / OUT, "semfn_confidence"))


def test_the_local_service_leaves_it_empty_and_the_run_says_so(tmp_path: Path) -> None:
    """Before it sends, and with a count at the end."""
    result = semfn("run", table(tmp_path, 12), "--local", "--logprobs")
    assert 0 == result.exit_code, result.output
    said = (
        "No confidence on responses-ws gpt-6-luna, rest gpt-6-luna: no token probabilities are "
        "stated there; semfn_confidence stays empty."
    )
    assert result.output.index(said) < result.output.index("Estimate:")
    assert "logprobs=True" not in result.output  # the plan has said it
    assert "12 labelled rows without a confidence" in result.output
    assert {""} == set(column(tmp_path / OUT, "semfn_confidence"))


def test_routes_without_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    """Only those; the route decisions states probabilities of its own."""
    plans: list[Plan] = []
    hooks = Hooks(on_plan=lambda plan, paths: plans.append(plan))
    chunks = table(tmp_path, 3)
    routes = "decisions,rest,realtime,offline"
    with paid_service() as service:
        where: dict[str, Any] = {"api_key": "k", "base_url": service.base_url, "hooks": hooks}
        analyze_file(chunks, route=routes, model={"rest": "gpt-6-astra"}, logprobs=True, **where)
        analyze_file(chunks, route="rest", logprobs=True, fresh=True, **where)
        analyze_file(chunks, route=routes, fresh=True, **where)
    expected = ("rest gpt-6-astra", "realtime gpt-realtime-2.1-mini", "offline offline-rules")
    assert [expected, (), ()] == [plan.without_logprobs for plan in plans]


# Where there is one


@ways
@virtual
async def test_every_label_has_its_own_confidence(routes: str, service: dict[str, Any]) -> None:
    """Over HTTPS, lanes and chat, whole answers and parts, in any order of arrival."""
    async with serving(
        "hybrid", ObservedService(latency_ms=50, **service), routes=routes, logprobs=True
    ) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
        assert_own(CHUNKS, verdicts)


@virtual
async def test_the_rest_analyzer_asks_for_them_too() -> None:
    """One chunk at a time."""
    async with serving("rest", logprobs=True) as (analyzer, _):
        verdict = await analyzer.analyze_chunk("c1", "Text")
    assert digest_label("Text") == verdict.semantic_function
    assert due("Text") == pytest.approx(verdict.confidence)


@pytest.mark.parametrize("routes", ["rest", "responses-ws"])
@virtual
async def test_spoiled_answers_lose_swap_and_invent_nothing(routes: str) -> None:
    """Cut, short, doubled and foreign items: a label that counts has its own confidence."""
    names = ("truncated", "missing_item", "extra_item", "doubled_item", "out_of_enum", "malformed")
    faults = dict.fromkeys(names, 0.03) | {"drop": 0.02, "error_500": 0.05}
    settings = replace(UNPACED, answer_attempts=8, attempts_per_route=20)
    service = ObservedService(latency_ms=50, faults=faults)
    async with serving(
        "hybrid", service, routes=routes, logprobs=True, settings=settings, timeout_s=3.0
    ) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
    labeled = [
        (chunk, verdict)
        for chunk, verdict in zip(CHUNKS, verdicts, strict=True)
        if isinstance(verdict, Labeled)
    ]
    assert len(labeled) > 180
    assert_own([chunk for chunk, _ in labeled], [verdict for _, verdict in labeled])


def test_a_rerun_pays_for_no_confidence(tmp_path: Path) -> None:
    """Rows with a label are reused as they are and counted; new rows get one."""
    chunks = table(tmp_path, 20)
    with paid_service() as service:
        where: dict[str, Any] = {
            "api_key": "k",
            "base_url": service.base_url,
            "settings": UNHURRIED,
        }
        first = analyze_file(chunks, **where)
        again = analyze_file(chunks, logprobs=True, **where)
        assert 20 == service.chunks
        assert (20, 20) == (first.without_confidence, again.without_confidence)
        assert (20, 0, "yes") == (again.reused, again.labeled_now, again.record["logprobs"])
        rows = [(f"n{number}", f"New text {number}.") for number in range(5)]
        before = [(row["id"], row["text"]) for row in read(chunks)]
        written(tmp_path, [("id", "text"), *before, *rows])
        result = semfn("run", chunks, "--topic", "t", "--logprobs", env=service.environment())
    assert 0 == result.exit_code, result.output
    found = {row["id"]: row["semfn_confidence"] for row in read(tmp_path / OUT)}
    for name, text in rows:
        assert f"{due(text):.4f}" == found[name]


def test_a_run_and_its_calibration_use_them(tmp_path: Path) -> None:
    """The table says whose confidences it holds."""
    chunks = table(tmp_path, 20)
    with paid_service() as service:
        result = semfn("run", chunks, "--logprobs", env=service.environment())
    assert 0 == result.exit_code, result.output
    assert "without a confidence" not in result.output
    out = tmp_path / OUT
    expected = [f"{due(row['text']):.4f}" for row in read(out)]
    assert expected == column(out, "semfn_confidence")
    gold = tmp_path / "gold.csv"
    gold.write_text(
        "id,label\n" + "".join(f"{row['id']},{row['semantic_function']}\n" for row in read(out)),
        encoding="utf-8",
    )
    result = semfn("evaluate", out, "--gold", gold, "--min-confidence", "0.5", "--resamples", "0")
    assert 0 == result.exit_code, result.output
    assert "Confidence of 20 rows" in result.output
    assert "Stated by: * responses-ws, digest-labels." in result.output
    least = tmp_path / "least.csv"
    ledger = tmp_path / f"{OUT}.semfn.sqlite"
    result = semfn("export", ledger, "--uncertain", "0.5", "-o", least)
    assert sum(float(one) < 0.5 for one in expected) == len(read(least))


def test_a_dry_run_is_the_same(tmp_path: Path) -> None:
    """Neither tokens nor price are others, and no key is needed."""
    chunks = table(tmp_path, 20)
    plain, asked = (semfn("run", chunks, "--dry-run", *more) for more in ((), ("--logprobs",)))
    assert (0, plain.output) == (asked.exit_code, asked.output)


def test_a_frame_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same option by the same name."""
    pandas = pytest.importorskip("pandas")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    frame = pandas.DataFrame({"text": [text for _, text in CHUNKS[:8]]})
    with paid_service() as service:
        found = analyze_dataframe(frame, "t", logprobs=True, api_key="k", base_url=service.base_url)
    expected = [due(text) for _, text in CHUNKS[:8]]
    assert expected == pytest.approx(list(found["semfn_confidence"]), abs=1e-4)
