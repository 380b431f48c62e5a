"""Tables of `quality.py` about requests and answers rather than about the rules of the labeller.

io: the injection and calibration tables ask the local service; everything else is counted here.

- `injection`: neighbours that a text with an order moves, in packs of eight, by a model that
  obeys every one of them (simulated).
- `calibration`: stated confidence against gold on the route `decisions`; the service makes labels
  and probabilities up, so it shows that the figures are worked out, and nothing else (simulated).
- `answers`: twelve ways to spoil an answer, a thousand of each; no label may be accepted that is
  not the chunk's own.
- `prompt_tokens`: what a chunk costs beside its text, twenty in a request, by the vocabulary
  o200k_base.
- `sent_alone`: the share of ordinary texts that the fence against orders sends alone.
"""

from __future__ import annotations

import asyncio
import csv
import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.evaluation.audit import wilson
from analysis.evaluation.calibration import calibrate
from analysis.labels.label_set import LabelSet
from analysis.labels.orders import looks_like_orders
from analysis.labels.prompt import PromptBuilder
from analysis.records import Verdict
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.testing import local_service
from benchmarks.injection import PACK, injection_table

ROOT = Path(__file__).resolve().parent.parent
TOKENS = ROOT / "tests" / "docs" / "prompt_tokens.toml"
MOST_OVERHEAD = 60
"""Tokens beyond the text that a chunk may cost at twenty in a request."""

MOST_ALONE = 0.01
"""Share of ordinary texts that may be sent alone."""

Figures = dict[str, Any]


def injection() -> list[Figures]:
    """Neighbours that one poisoned chunk moves, for each list of orders."""
    note = {"labeller": "obedient service", "simulated": True, "pack": PACK}
    return [{"name": row.pop("kind"), **row, **note} for row in injection_table()]


def calibration() -> list[Figures]:
    """Confidence of the route `decisions` against the gold labels of the shipped samples."""
    path = ROOT / "analysis" / "samples" / "four_languages.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    verdicts = asyncio.run(_decided([(row["id"], row["text"]) for row in rows]))
    judged = [
        (verdict.confidence, verdict.semantic_function == row["gold"])
        for row, verdict in zip(rows, verdicts, strict=True)
        if verdict.confidence is not None
    ]
    found = calibrate(judged)
    if found is None:
        raise RuntimeError("The service stated no probability on the route decisions.")
    return [
        {
            "name": "samples over decisions",
            "labeller": "digests of the texts, with probabilities made up by the local service",
            "simulated": True,
            "rows": found.rows,
            "ece": round(found.ece, 4),
            "brier": round(found.brier, 4),
            "bins": [
                {"low": one.low, "high": one.high, "rows": one.rows, "accuracy": one.accuracy}
                for one in found.bins
                if one.rows
            ],
        }
    ]


async def _decided(chunks: Sequence[tuple[str, str]]) -> list[Verdict]:
    with local_service(digest_labels=True) as service:
        async with HybridSemanticAnalyzer(
            routes=("decisions",), api_key=service.api_key, base_url=service.base_url
        ) as analyzer:
            return await analyzer.analyze_batch(chunks, chunks_per_request=10)


def answers(cases: int = 1_000) -> list[Figures]:
    """Wrongly accepted labels of each way to spoil an answer, and of all."""
    from tests.labels.test_answer_mutations import MUTATIONS, faults_of

    found: list[Figures] = []
    for mutate in MUTATIONS:
        wrong, not_void = faults_of(mutate, cases)
        counts = {"cases": cases, "wrongly_accepted": len(wrong), "not_void": len(not_void)}
        found.append({"name": mutate.__name__, **counts})
    keys = ("cases", "wrongly_accepted", "not_void")
    total = {key: sum(row[key] for row in found) for key in keys}
    note = "a swap inside of a well-formed answer is no matter of form; an audit finds it"
    return [*found, {"name": "all", **total, "note": note}]


def prompt_tokens() -> list[Figures]:
    """Tokens of the prompts of each shipped set, as they were counted."""
    counted = tomllib.loads(TOKENS.read_text(encoding="utf-8"))
    found = []
    for name, row in counted.items():
        label_set = LabelSet.load(name)
        rng = random.Random(1)
        digest = PromptBuilder(label_set, rng=rng, has_choices=True, has_context=True).digest
        figures = {key: value for key, value in row.items() if key != "prompt"}
        found.append(
            {
                "name": name,
                **figures,
                "is_within_bound": max(row["overhead"], row["in_context"]) <= MOST_OVERHEAD,
                "is_of_this_prompt": row["prompt"] == digest,
            }
        )
    return found


def sent_alone(tables: Mapping[str, Sequence[str]]) -> list[Figures]:
    """Texts that look like orders, in each table and in all; ordinary texts hold hardly any.

    Args:
        tables: Name of a table -> its texts.
    """
    spellings = LabelSet.load("ten_functions").spellings
    counts = {
        name: (len(texts), sum(looks_like_orders(text, spellings) for text in texts))
        for name, texts in tables.items()
    }
    if not counts:
        return []
    rows, alone = (sum(column) for column in zip(*counts.values(), strict=True))
    return [
        *(_alone_row(name, *found) for name, found in counts.items()),
        _alone_row("all", rows, alone),
    ]


def _alone_row(name: str, rows: int, alone: int) -> Figures:
    sure = wilson(alone, rows)
    return {
        "name": name,
        "rows": rows,
        "alone": alone,
        "share": round(sure.share, 5),
        "interval_95": [round(sure.low, 5), round(sure.high, 5)],
        "is_within_bound": sure.share < MOST_ALONE,
    }
