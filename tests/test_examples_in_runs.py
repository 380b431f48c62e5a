"""Examples through whole runs: what is asked, what is cached, what it costs (simulated)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from analysis.entry import analyze_file, estimate_file
from analysis.labels.label_set import LabelSet
from analysis.prices import price_table
from analysis.records import Usage
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS, Settings
from analysis.telemetry import Event
from tests.commands.running import assert_refused, paid_service, semfn, table

CROWD = 12
CHUNKS = [(f"c{place}", f"A text with the number {place}.") for place in range(260)]
WAITS = replace(SETTINGS, requests_per_minute=60_000)
NEVER_WAITS = replace(WAITS, warm_share=0.0)


async def labelled(base_url: str, settings: Settings) -> tuple[Usage, list[str]]:
    """Label the chunks one by one, twelve at once; return what was billed, and the events."""
    told: list[Event] = []
    analyzer = HybridSemanticAnalyzer(
        api_key="k",
        base_url=base_url,
        routes="responses-ws",
        max_concurrent=CROWD,
        on_event=told.append,
        examples=True,
        settings=settings,
    )
    async with analyzer:
        verdicts = await analyzer.analyze_batch(CHUNKS, topic="t", chunks_per_request=1)
    assert [] == [verdict.error for verdict in verdicts if verdict.error is not None]
    billed = sum((verdict.usage for verdict in verdicts), Usage())
    return billed, [event.name for event in told]


def test_one_request_writes_what_the_others_read() -> None:
    """Without the wait each of the first twelve pays for writing; with it, one does."""
    billed, told = [], []
    for settings in (NEVER_WAITS, WAITS):
        with paid_service(latency_ms=100.0) as paid:
            usage, events = asyncio.run(labelled(paid.base_url, settings))
        billed.append(usage)
        told.append("cache_awaited" in events)
    crowd, one = billed
    assert [False, True] == told
    prefix = one.written_tokens
    assert prefix > 1_024
    assert (len(CHUNKS) - 1) * prefix == one.cached_tokens
    assert crowd.written_tokens >= 3 * prefix
    assert crowd.written_tokens % prefix == 0
    assert crowd.written_tokens + crowd.cached_tokens == one.written_tokens + one.cached_tokens
    prices, count = price_table(), len(CHUNKS)
    costs = [prices.cost_usd("gpt-6-luna", one, requests=count) or 0.0 for one in billed]
    more = crowd.written_tokens - prefix
    assert abs(costs[0] - costs[1] - more * (0.125 - 0.01) / 1e6) < 1e-9


def test_a_file_run_waits_once_and_its_summary_says_what_was_cached(tmp_path: Path) -> None:
    """The whole of the input is counted before, so a long run is known to be long."""
    source = table(tmp_path, rows=400)
    options = ("--examples", "--max-chunks-per-request", 1, "--max-concurrent", 8, "--yes")
    with paid_service(latency_ms=20.0) as paid:
        found = semfn("run", source, "--route", "responses-ws", *options, env=paid.environment())
    assert 0 == found.exit_code, found.output
    results = json.loads((tmp_path / "chunks.labeled.csv.run-results.json").read_text())
    written, read = results["usage"]["written_tokens"], results["usage"]["cached_tokens"]
    assert written > 1_024
    assert 399 * written == read
    assert f"(of them {read:,} cached, {written:,} written to the cache) and" in found.stderr
    assert "the model is told examples of the labels; what they do" in found.stderr


def test_rows_that_are_paid_for_are_asked_again_only_with_examples(tmp_path: Path) -> None:
    """Each of the two ways to ask finds its own rows in the ledger."""
    source, asked = table(tmp_path, rows=20), []
    with paid_service() as paid:
        for options in ((), ("--examples",), (), ("--examples",)):
            found = semfn("run", source, "--route", "rest", *options, env=paid.environment())
            assert 0 == found.exit_code, found.output
            asked.append(paid.chunks)
    assert [20, 40, 40, 40] == asked


def test_the_record_says_that_examples_were_told(tmp_path: Path) -> None:
    """And that nobody measured what they do; without them it says nothing."""
    source = table(tmp_path)
    plain = analyze_file(source, tmp_path / "a.csv", route="offline").record
    shown = analyze_file(source, tmp_path / "b.csv", route="offline", examples=True).record
    assert (None, "yes (unmeasured)") == (plain.get("examples"), shown.get("examples"))
    assert plain["label_set_digest"] != shown["label_set_digest"]
    assert plain["prompt"] != shown["prompt"]


def test_a_set_without_examples_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """With the labels that lack them and the cure."""
    text = LabelSet.text_of("doc_zones").replace('name = "doc_zones"', 'name = "own"')
    head, _, rest = text.partition("examples = [")
    own = tmp_path / "own.toml"
    own.write_text(head + rest.partition("]\n")[2], encoding="utf-8")
    source = table(tmp_path)
    with paid_service() as paid:
        result = semfn("run", source, "--label-set", own, "--examples", env=paid.environment())
        assert_refused(
            result,
            tmp_path,
            "has no examples for heading. Add them to the file",
            files=["chunks.csv", "own.toml"],
        )
        assert 0 == paid.chunks


def test_an_estimate_is_the_most_and_says_what_a_cache_would_save(tmp_path: Path) -> None:
    """At most every request writes the instructions, at best one does."""
    source = table(tmp_path, rows=100)
    plain, shown = (
        estimate_file(source, route="rest", examples=examples).routes[0]
        for examples in (False, True)
    )
    assert (0, True) == (plain.cached_tokens, shown.cached_tokens > 9 * 1_024)
    assert plain.cost_usd == plain.least_cost_usd
    assert shown.least_cost_usd is not None
    assert plain.cost_usd is not None
    assert shown.cost_usd is not None
    assert shown.least_cost_usd < plain.cost_usd < shown.cost_usd
    assert shown.cost_usd > (shown.input_tokens * 0.10 + shown.output_tokens * 0.50) / 1e6
    said = semfn("estimate", source, "--route", "rest", "--examples").output
    assert "tokens from its cache)" in said


def test_an_audit_asks_with_examples_again(tmp_path: Path) -> None:
    """As the run did; else labels would differ for that reason, too."""
    source, output = table(tmp_path, rows=20), tmp_path / "out.csv"
    run = semfn("run", source, "-o", output, "--topic", "t", "--examples", "--local")
    assert 0 == run.exit_code, run.output
    audit = semfn("evaluate", output, "--audit", 5, "--topic", "t", "--local", "--json")
    assert 0 == audit.exit_code, audit.output
    assert json.loads(audit.stdout)
