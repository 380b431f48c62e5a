"""The hybrid analyzer falls back: Realtime is dead, and REST answers in both ways of packing.

    python tests/probes/test_hybrid_semantic.py [--live]

The local service has no Realtime route; elsewhere a model that does not exist makes it dead.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder: the repository comes onto the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from collections import Counter

import pytest

from analysis.check import Finding
from analysis.check.findings import ROUTE_CURE, failed, found
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_MODELS
from tests.probes.probe_endpoint import (
    ANSWERER,
    Case,
    assert_all_ok,
    by_name,
    main,
    run_live,
    run_local,
)

CHUNKS = [
    {"id": "1", "text": "A night train sells no speed; it sells a night."},
    {"id": "2", "text": "Take the line to the coast: it has been full since May."},
    {"id": "3", "text": "My neighbour boards after dinner and sees her first patient at nine."},
]
DEAD_MODEL = "no-such-model"


async def fallback(endpoint: Endpoint) -> list[Finding]:
    """Label the chunks with Realtime dead, once with adaptive packing and once without."""
    return [await _batch(endpoint, is_adaptive=choice, expected="rest") for choice in (True, False)]


async def undisturbed(endpoint: Endpoint) -> list[Finding]:
    """Label the chunks with both routes there: the first one answers."""
    return [await _batch(endpoint, is_adaptive=True, expected="realtime")]


async def _batch(endpoint: Endpoint, *, is_adaptive: bool, expected: str) -> Finding:
    name = f"adaptive_batching={is_adaptive}"
    model = DEFAULT_MODELS | ({"realtime": DEAD_MODEL} if expected == "rest" else {})
    asked = {route: model[route] for route in ("realtime", "rest")}
    async with HybridSemanticAnalyzer(endpoint=endpoint, model=asked) as analyzer:
        try:
            verdicts = await analyzer.analyze_batch(
                chunks=CHUNKS, topic="Night trains", adaptive_batching=is_adaptive
            )
        except AnalysisError as error:
            return failed(endpoint, name, error)
    routes = Counter(verdict.route for verdict in verdicts if verdict.error is None)
    ok = routes == {expected: len(CHUNKS)}
    shown = ", ".join(f"{count} over {route}" for route, count in routes.items()) or "none"
    facts = {
        "labels": [verdict.semantic_function for verdict in verdicts],
        "packs": [verdict.pack for verdict in verdicts],
    }
    text = f"{shown} of {len(CHUNKS)} chunks labelled, expected over {expected}"
    return found(endpoint, name, text, ok=ok, cure="" if ok else ROUTE_CURE, facts=facts)


DEAD = Case(
    title="Realtime is dead, REST takes over",
    probe=fallback,
    service={"endpoints": ("responses", "models")},
)
BOTH = Case(title="Both routes are there", probe=undisturbed)


def test_rest_takes_over_with_the_same_labels() -> None:
    """Every chunk has its own label from REST; adaptive: alone, else: together in one request."""
    findings = run_local(DEAD)
    assert_all_ok(findings)
    found_batches = by_name(findings)
    digests = [keys[0] for keys in ANSWERER.label([one["text"] for one in CHUNKS], None)]
    for name, pack in (("adaptive_batching=True", 1), ("adaptive_batching=False", 3)):
        facts = found_batches[name].facts
        assert [digests, [pack] * 3] == [facts["labels"], facts["packs"]]


def test_realtime_answers_when_it_is_there() -> None:
    """The first route of the list is used as long as it works."""
    assert_all_ok(run_local(BOTH))


@pytest.mark.live
@pytest.mark.parametrize("case", [DEAD, BOTH])
def test_the_real_endpoint_falls_back(case: Case) -> None:
    """The same at the endpoint of the environment."""
    assert_all_ok(run_live(case))


if __name__ == "__main__":
    sys.exit(main("Does the hybrid analyzer fall back?", [BOTH, DEAD]))
