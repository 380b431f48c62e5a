"""REST, Realtime and hybrid on the same ten chunks, in interleaved rounds.

    python tests/probes/test_performance_comparison.py [--live]

A small comparison to see that all three work; `semfn bench` measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder: the repository comes onto the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import pytest

from analysis.check import Finding
from analysis.check.findings import ANOTHER_MODEL, WAY_CURE, found
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.records import Labeled
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from tests.probes.probe_endpoint import (
    ANSWERER,
    Case,
    assert_all_ok,
    by_name,
    main,
    run_live,
    run_local,
)

ROUNDS = 3
ROUTES = {"rest": "rest", "realtime": "realtime", "hybrid": "realtime,rest"}
"""Analyzer -> its routes; the first two are what the analyzers of these names use."""

CHUNKS = [(str(number), f"Sentence {number} about the night train.") for number in range(10)]


async def probe(endpoint: Endpoint) -> list[Finding]:
    """Let all three analyzers label the chunks, each once per round, all kept open."""
    latencies_s: dict[str, list[float]] = {name: [] for name in ROUTES}
    totals_s: dict[str, list[float]] = {name: [] for name in ROUTES}
    labels: dict[str, list[str | None]] = {name: [] for name in ROUTES}
    async with AsyncExitStack() as opened:
        analyzers = {
            name: await opened.enter_async_context(
                HybridSemanticAnalyzer(endpoint=endpoint, routes=routes, topic="Night trains")
            )
            for name, routes in ROUTES.items()
        }
        await asyncio.gather(*(one.analyze_chunk("0", "Warm-up.") for one in analyzers.values()))
        for _ in range(ROUNDS):
            for name, analyzer in analyzers.items():
                began = time.perf_counter()
                verdicts = await analyzer.analyze_batch(CHUNKS)
                totals_s[name].append(time.perf_counter() - began)
                labels[name] += [verdict.semantic_function for verdict in verdicts]
                latencies_s[name] += [
                    verdict.latency_s for verdict in verdicts if isinstance(verdict, Labeled)
                ]
    return [
        *(
            _figures(endpoint, name, latencies_s[name], totals_s[name], labels[name])
            for name in ROUTES
        ),
        _agreement(endpoint, labels),
    ]


def _figures(
    endpoint: Endpoint,
    name: str,
    latencies_s: list[float],
    totals_s: list[float],
    labels: list[str | None],
) -> Finding:
    """Return the figures of one analyzer; it fails if a chunk has no label."""
    lacking = labels.count(None)
    text = f"{lacking} of {len(labels)} chunks have no label"
    if latencies_s:
        text += (
            f"; p50 {median(latencies_s) * 1_000:.1f} ms per request, "
            f"{median(totals_s) * 1_000:.1f} ms per {len(CHUNKS)} chunks, median of {ROUNDS} rounds"
        )
    return found(
        endpoint,
        name,
        text,
        ok=not lacking,
        cure=WAY_CURE if lacking else "",
        facts={"labels": labels},
    )


def _agreement(endpoint: Endpoint, labels: dict[str, list[str | None]]) -> Finding:
    """Return whether all give the same labels; two real models may differ, one service may not."""
    rows = list(zip(*labels.values(), strict=True))
    equal = sum(len(set(row)) == 1 for row in rows)
    ok = equal == len(rows) or endpoint.host != EMBEDDED
    text = f"{equal} of {len(rows)} labels are the same from all {len(labels)} analyzers"
    return found(endpoint, "labels", text, ok=ok, cure="" if ok else ANOTHER_MODEL)


COMPARISON = Case(
    title="REST, Realtime and hybrid on ten chunks", probe=probe, service={"latency_ms": 20.0}
)


def test_all_three_give_the_same_labels() -> None:
    """Each chunk has the label of its digest from each analyzer in each round."""
    findings = run_local(COMPARISON)
    assert_all_ok(findings)
    digests = [keys[0] for keys in ANSWERER.label([text for _, text in CHUNKS], None)]
    found_labels = by_name(findings)
    for name in ROUTES:
        assert digests * ROUNDS == found_labels[name].facts["labels"]
        assert "simulated" in found_labels[name].message


@pytest.mark.live
def test_all_three_label_at_the_real_endpoint() -> None:
    """Every chunk has a label; how fast is shown by the script, not asserted."""
    assert_all_ok(run_live(COMPARISON))


if __name__ == "__main__":
    sys.exit(main("Compare REST, Realtime and hybrid on ten chunks.", [COMPARISON]))
