"""A plan, a summary and a verdict as the tests of what people read use them."""

from __future__ import annotations

from pathlib import Path

from analysis.analyzer import Estimate
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import RunSummary
from analysis.pipeline.run import Plan
from analysis.records import Labeled, Usage

ESTIMATE = Estimate(
    chunks=1_000,
    unsendable=0,
    requests=100,
    input_tokens=160_620,
    output_tokens=20_000,
    cost_usd=0.026,
    duration_s=150.0,
    price_date="2026-11-21",
)
PLAN = Plan(
    rows=1_000,
    reused=0,
    unsendable=0,
    to_do=1_000,
    estimate=ESTIMATE,
    unknown_requests=0,
    unknown_chunks=0,
    simulated=False,
)
PATHS = RunPaths(
    outputs=(Path("a.labeled.csv"),),
    homes=(Path("a.labeled.csv"),),
    ledger=Path("a.sqlite"),
    results=Path("r.json"),
)
SUMMARY = RunSummary(
    run_id="r",
    exit_code=0,
    rows=1_000,
    labeled=1_000,
    reused=0,
    labeled_now=1_000,
    same_text=0,
    taken_over=0,
    without_confidence=0,
    errors={},
    examples={},
    routes=[
        {
            "route": "rest",
            "model": "gpt-6-luna",
            "asked_model": "gpt-6-luna",
            "rows": 1_000,
            "requests": 100,
            "refused": 0,
            "lost": 0,
            "given_up": 0,
            "input_tokens": 146_000,
            "cached_tokens": 0,
            "written_tokens": 0,
            "output_tokens": 11_000,
            "cost_usd": 0.0201,
        }
    ],
    other_model_rows=0,
    by_label={"example": 990, "noise": 10},
    usage=Usage(input_tokens=146_000, output_tokens=11_000),
    cost_usd=0.0201,
    price_date="2026-11-21",
    requests={"done": 100},
    refusals={},
    losses={},
    all_runs={
        "runs": 1,
        "requests": {"done": 100},
        "usage": {"input_tokens": 146_000, "output_tokens": 11_000},
        "cost_usd": 0.0201,
        "simulated": False,
    },
    unknown_requests=0,
    unknown_chunks=0,
    unknown_cost_usd=0.0,
    late_answers=0,
    started_at="",
    ended_at="",
    duration_s=11.0,
    label_s=10.0,
    simulated=False,
    stopped="",
    paths={"input": "a.csv", "output": "a.labeled.csv", "ledger": "a.sqlite", "results": "r.json"},
    inputs=["a.csv"],
    outputs=["a.labeled.csv"],
    record={"fresh": "no"},
    notes=[],
    estimate={},
)
LABELED = Labeled(
    chunk_id="1",
    labels=("example",),
    route="rest",
    model="m",
    attempts=1,
    pack=1,
    latency_s=0.1,
    usage=Usage(),
)
