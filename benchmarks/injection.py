"""How many neighbours does a text that gives orders move?

Packs of eight: one poisoned chunk among seven ordinary ones, each pack a document of its own, on
the local service with the obedient model, which does for the whole request what the first text with
an order says. That is the worst case: a real model obeys now and then. All figures are simulated.

    python benchmarks/injection.py

`injection_table` is the part that `benchmarks/quality.py` writes into its report.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis.labels.label_set import LabelSet  # noqa: E402 (the checkout comes first)
from analysis.labels.orders import looks_like_orders  # noqa: E402
from analysis.records import Chunk, Verdict  # noqa: E402
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer  # noqa: E402
from analysis.simulator.orders import obeyed  # noqa: E402
from analysis.simulator.service import digest_answerer  # noqa: E402
from analysis.testing import local_service  # noqa: E402
from tests.labels.poisoned import DISGUISED, ORDERS, UNLISTED  # noqa: E402

PACK = 8
SEED = 7
KEYS = LabelSet.load("ten_functions").keys
KINDS: dict[str, tuple[str, ...]] = {**ORDERS, "disguised": DISGUISED, "unlisted": UNLISTED}
LABEL = digest_answerer(KEYS).label


def injection_table(kinds: dict[str, tuple[str, ...]] = KINDS) -> list[dict[str, Any]]:
    """Return one row for each kind of orders, and one for all.

    Args:
        kinds: Name of a kind -> the texts that give orders.

    Returns:
        Rows with `kind`, `poisoned` (texts, each in a pack of its own), `sent_alone` (of these),
        `obeyed` (of these, by the obedient model), and neighbours with another label than without
        the order, per poisoned chunk: `moved_if_packed` without the rule, `moved` with it.
    """
    rng = Random(SEED)
    rows = []
    for kind, orders in kinds.items():
        packs = [_pack(place, order, rng) for place, order in enumerate(orders)]
        rows.append({"kind": kind} | _row(packs, orders))
    count = sum(row["poisoned"] for row in rows)
    total: dict[str, Any] = {"kind": "all", "poisoned": count}
    for name in ("sent_alone", "obeyed"):
        total[name] = sum(row[name] for row in rows)
    for name in ("moved_if_packed", "moved"):
        total[name] = round(sum(row[name] * row["poisoned"] for row in rows) / count, 2)
    return [*rows, total]


def _pack(number: int, order: str, rng: Random) -> list[str]:
    """Return the texts of one document: seven ordinary ones, the order at any place."""
    texts = [f"Bed {number}, row {row}: the beans came up in May." for row in range(1, PACK)]
    texts.insert(rng.randrange(PACK), order)
    return texts


def _row(packs: Sequence[Sequence[str]], orders: Sequence[str]) -> dict[str, Any]:
    verdicts = iter(asyncio.run(_labelled(packs)))
    moved = moved_if_packed = obeying = 0
    for texts, order in zip(packs, orders, strict=True):
        own = [tuple(labels) for labels in LABEL(texts, None)]
        together = obeyed(texts, own, KEYS)
        obeying += len(set(together)) == 1
        given = [verdict.labels for verdict in (next(verdicts) for _ in texts)]
        moved_if_packed += _changes(texts, order, own, together)
        moved += _changes(texts, order, own, given)
    return {
        "poisoned": len(orders),
        "sent_alone": sum(map(looks_like_orders, orders)),
        "obeyed": obeying,
        "moved_if_packed": round(moved_if_packed / len(orders), 2),
        "moved": round(moved / len(orders), 2),
    }


def _changes(
    texts: Sequence[str],
    order: str,
    own: Sequence[tuple[str, ...]],
    given: Sequence[tuple[str, ...]],
) -> int:
    """Count the neighbours of an order whose labels are not their own."""
    rows = zip(texts, own, given, strict=True)
    return sum(one != other for text, one, other in rows if text != order)


async def _labelled(packs: Sequence[Sequence[str]]) -> list[Verdict]:
    chunks = [
        Chunk(id=f"{number}-{place}", text=text, document=str(number))
        for number, texts in enumerate(packs)
        for place, text in enumerate(texts)
    ]
    with local_service(obedient=True, digest_labels=True) as service:
        analyzer = HybridSemanticAnalyzer(
            routes=("rest",), api_key=service.api_key, base_url=service.base_url, seed=SEED
        )
        async with analyzer:
            return await analyzer.analyze_batch(chunks, chunks_per_request=PACK)


if __name__ == "__main__":
    print(json.dumps({"simulated": True, "pack": PACK, "rows": injection_table()}, indent=2))
