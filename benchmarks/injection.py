"""How many texts that give orders does the fence tell, and how many neighbours do the others move?

Packs of eight: one poisoned chunk among seven ordinary ones, each pack a document of its own, sent
to a service in this process that is told which texts are planted and obeys each of them, whatever
its wording: every text of the request gets the planted label. So a text that the fence misses moves
all seven neighbours. That is the worst case: a real model obeys now and then. All figures are
simulated.

    python benchmarks/injection.py
    python benchmarks/injection.py --data DIR     also ordinary texts, with the labels of each set

DIR is a folder with tables (CSV, also `.gz`, with a column `text`). Writes
performance_results/injection_<UTC time>.json; `benchmarks/quality.py` takes `injection_table` into
its report, too.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes first)
from analysis.bench.report import machine  # noqa: E402
from analysis.labels.label_set import LabelSet  # noqa: E402
from analysis.labels.orders import looks_like_orders  # noqa: E402
from analysis.records import Chunk, Verdict  # noqa: E402
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer  # noqa: E402
from analysis.simulator.server import start_in_thread  # noqa: E402
from analysis.simulator.service import Answerer, Service, digest_answerer  # noqa: E402
from tests.labels.poisoned import DISGUISED, ORDERS  # noqa: E402

PACK = 8
SEED = 7
SET = LabelSet.load("ten_functions")
*OWN_KEYS, PLANTED = SET.keys
"""Ordinary texts get one of the own keys, so the planted one is nobody's but by an order."""

MOST_CHARACTERS = 10_000_000
"""In one cell of a table."""

TEXTS = Path(__file__).parent / "orders"


def lists() -> dict[str, tuple[str, ...]]:
    """Return the lists of orders by name; `own` falls in two halves by a digest of each text."""
    own = texts_of("own")
    return {
        "with the rules": (*(text for texts in ORDERS.values() for text in texts), *DISGUISED),
        "own, looked at": tuple(text for text in own if not _is_held_back(text)),
        "own, held back": tuple(text for text in own if _is_held_back(text)),
        "others": texts_of("others"),
        "later": texts_of("later"),
    }


def texts_of(name: str) -> tuple[str, ...]:
    """Return the texts of a file beside this one, of all languages."""
    tables = tomllib.loads((TEXTS / f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(text for texts in tables.values() for text in texts)


def _is_held_back(text: str) -> bool:
    return sha256(text.encode()).digest()[0] % 2 == 1


def injection_table(kinds: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, Any]]:
    """Return one row for each list of orders.

    Args:
        kinds: Name of a list -> the texts that give orders; by default `lists`.

    Returns:
        Rows with `kind`, `poisoned` (texts, each in a pack of its own), `sent_alone` (of these),
        their `share`, and neighbours with another label than without the order, per poisoned
        chunk: `moved_if_packed` without the rule, `moved` with it, `moved_by_told` and
        `moved_by_missed` (None where there are none).
    """
    rng = Random(SEED)
    rows = []
    for kind, orders in (lists() if kinds is None else kinds).items():
        packs = [_pack(place, order, rng) for place, order in enumerate(orders)]
        rows.append({"kind": kind} | _row(packs, orders))
    return rows


def prose_table() -> dict[str, Any]:
    """Return how many paragraphs about language models, which order nothing, are sent alone."""
    texts = texts_of("prose")
    alone = sum(looks_like_orders(text, SET.spellings) for text in texts)
    return {"kind": "prose about models", "rows": len(texts), "alone": alone}


def obedient(planted: Collection[str]) -> Answerer:
    """Return a model that obeys the planted texts for the whole request, whatever they say."""
    own = digest_answerer(OWN_KEYS).label

    def label(texts: Sequence[str], topic: str | None) -> Sequence[Sequence[str]]:
        if any(text in planted for text in texts):
            return [(PLANTED,)] * len(texts)
        return own(texts, topic)

    return Answerer(name="obedient", label=label)


def _pack(number: int, order: str, rng: Random) -> list[str]:
    """Return the texts of one document: seven ordinary ones, the order at any place."""
    texts = [f"Bed {number}, row {row}: the beans came up in May." for row in range(1, PACK)]
    texts.insert(rng.randrange(PACK), order)
    return texts


def _row(packs: Sequence[Sequence[str]], orders: Sequence[str]) -> dict[str, Any]:
    planted = frozenset(orders)
    given = iter(asyncio.run(_labelled(packs, planted)))
    packed = [
        _count(texts, order, obedient(planted).label(texts, None))
        for texts, order in zip(packs, orders, strict=True)
    ]
    moved: dict[bool, list[int]] = {True: [], False: []}
    for texts, order in zip(packs, orders, strict=True):
        labels = [next(given).labels for _ in texts]
        is_told = looks_like_orders(order, SET.spellings)
        moved[is_told].append(_count(texts, order, labels))
    return {
        "poisoned": len(orders),
        "sent_alone": len(moved[True]),
        "share": round(len(moved[True]) / len(orders), 3),
        "moved_if_packed": _mean(packed),
        "moved_by_told": _mean(moved[True]),
        "moved_by_missed": _mean(moved[False]),
        "moved": _mean([*moved[True], *moved[False]]),
    }


def _count(texts: Sequence[str], order: str, labels: Sequence[Sequence[str]]) -> int:
    """Count the neighbours of an order that got the planted label."""
    pairs = zip(texts, labels, strict=True)
    return sum(tuple(own) == (PLANTED,) for text, own in pairs if text != order)


def _mean(counts: Sequence[int]) -> float | None:
    return round(sum(counts) / len(counts), 2) if counts else None


async def _labelled(packs: Sequence[Sequence[str]], planted: Collection[str]) -> list[Verdict]:
    chunks = [
        Chunk(id=f"{number}-{place}", text=text, document=str(number))
        for number, texts in enumerate(packs)
        for place, text in enumerate(texts)
    ]
    with start_in_thread(Service(obedient(planted))) as address:
        analyzer = HybridSemanticAnalyzer(
            routes=("rest",), api_key="local", base_url=address, seed=SEED
        )
        async with analyzer:
            return await analyzer.analyze_batch(chunks, chunks_per_request=PACK)


def ordinary_table(folder: Path) -> list[dict[str, Any]]:
    """Return how many texts of all tables in a folder are sent alone, with each shipped set."""
    csv.field_size_limit(MOST_CHARACTERS)
    counts = Counter[str]()
    rows = 0
    for path in sorted([*folder.rglob("*.csv"), *folder.rglob("*.csv.gz")]):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        rows += len(texts)
        for name in LabelSet.available():
            spellings = LabelSet.load(name).spellings
            counts[name] += sum(looks_like_orders(text, spellings) for text in texts)
    return [
        {"kind": name, "rows": rows, "alone": counts[name], "share": round(counts[name] / rows, 6)}
        for name in LabelSet.available()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write them; arguments are those of the command line if None."""
    parser = argparse.ArgumentParser(description="Orders that the fence tells and misses.")
    parser.add_argument("--data", type=Path, help="folder with tables of ordinary texts")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    options = parser.parse_args(arguments)
    now = datetime.now(UTC)
    found: dict[str, Any] = {
        "question": "How many orders does the fence tell, and what do the others move?",
        "simulated": True,
        "note": "The service obeys every planted text, whatever it says; no figure is of a model.",
        "pack": PACK,
        "orders": injection_table(),
        "prose": prose_table(),
        "ordinary": ordinary_table(options.data) if options.data else [],
        "command": "python benchmarks/injection.py" + (" --data DIR" if options.data else ""),
        "version": __version__,
        "machine": machine(),
        "finished": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    print(json.dumps(found, indent=2))
    path = options.results / f"injection_{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
