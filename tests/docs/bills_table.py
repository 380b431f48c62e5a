"""The tables of docs/explanation/money.md on estimates and bills: `python -m` prints them.

Made from the newest `performance_results/bills_*.json`, which `benchmarks/bills.py` writes; a test
holds the page against it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.simulator.cache import BYTES_PER_TOKEN
from tests.docs.prompt_tokens import TARGET

RESULTS = Path(__file__).resolve().parents[2] / "performance_results"
NAMES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese"}
SENT = {
    "chunks": "chunks alone",
    "context": "one neighbour on each side",
    "title": "a title",
    "examples": "`--examples`",
    "sci_abstract": "the set `sci_abstract`",
}
GROUPS = {
    "`rest`, `responses-ws`": ("rest", "responses-ws"),
    "`realtime`": ("realtime",),
    "`decisions`": ("decisions",),
}

PUBLISHED = {"en": (4.2, 4.2), "fr": (4.0, 4.0), "ru": (5.5, 6.0), "zh": (3.3, 4.0)}
"""Bytes of UTF-8 in a token of prose, least and most, as `analysis/labels/tokens.py` has them."""

Rows = Sequence[Mapping[str, Any]]


def newest() -> Path:
    """Return the result that the page is made from."""
    return max(RESULTS.glob("bills_*.json"))


def rows_of(path: Path) -> Rows:
    """Return the rows of a result."""
    rows: Rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def by_language(rows: Rows) -> str:
    """Return the table of tokens where only chunks are sent, for the longest texts."""
    kept = _longest(rows)
    lines = [
        "| texts | k | estimated | billed | off by | beside the texts "
        "| `decisions`: estimated | billed | off by | beside the texts |",
        "| --- " * 10 + "|",
    ]
    for language, size in sorted({key[:2] for key in kept}):
        cells = [NAMES[language], str(size)]
        for route in ("rest", "decisions"):
            row = kept[language, size, route]
            cells += [f"{_tokens(row[side]):,}" for side in ("estimated", "billed")]
            cells += [shown(row["off_by"]["tokens"]), shown(row["beside_texts"]["off_by"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_counts(rows: Rows) -> str:
    """Return the table of estimates against counted prompts and published averages of texts."""
    kept = _longest(rows)
    sizes = sorted({size for _, size, _ in kept})
    head = " | ".join(f"k = {size}: off by" for size in sizes)
    lines = [f"| texts | bytes a token | {head} |", "| --- " * (2 + len(sizes)) + "|"]
    for language in sorted({key[0] for key in kept}):
        least, most = PUBLISHED[language]
        cells = [NAMES[language], f"{least:g}" if least == most else f"{least:g} to {most:g}"]
        for size in sizes:
            row = kept[language, size, "rest"]
            low, high = (
                shown(_tokens(row["estimated"]) / _counted(row, bytes_per_token) - 1)
                for bytes_per_token in (least, most)
            )
            cells.append(low if low == high else f"{low.removesuffix(' %')} to {high}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _counted(row: Mapping[str, Any], bytes_per_token: float) -> float:
    """Return the tokens of a job: prompts as counted with o200k_base, texts by an average."""
    counts = tomllib.loads(TARGET.read_text(encoding="utf-8"))["ten_functions"]
    text_bytes = BYTES_PER_TOKEN * (
        row["billed"]["input_tokens"] - row["beside_texts"]["billed_tokens"]
    )
    once = row["billed"]["requests"] * (counts["instructions"] + counts["schema"])
    each = row["rows"] * (counts["envelope"] + counts["answer"])
    return float(once + each + text_bytes / bytes_per_token)


def _longest(rows: Rows) -> dict[tuple[str, int, str], Mapping[str, Any]]:
    """Return the rows of the longest texts where only chunks are sent, by language, k and route."""
    most = max(row["rows"] for row in rows)
    return {
        (row["language"], row["chunks_per_request"], row["route"]): row
        for row in rows
        if row["variant"] == "chunks" and row["rows"] == most
    }


def by_variant(rows: Rows) -> str:
    """Return the table of ranges over all texts and sizes, by what is sent and by route."""
    lines = [
        "| sent | route | tokens, without Russian | tokens, Russian | cost, without Russian "
        "| cost, Russian | lower cost |",
        "| --- " * 7 + "|",
    ]
    for variant, name in SENT.items():
        for group, routes in GROUPS.items():
            found = [row for row in rows if row["variant"] == variant and row["route"] in routes]
            russian = [row for row in found if row["language"] == "ru"]
            others = [row for row in found if row["language"] != "ru"]
            cells = [
                *(_range(part, "tokens") for part in (others, russian)),
                *(_range(part, "cost") for part in (others, russian)),
                _range((row for row in found if row["estimated"]["cached_tokens"]), "least_cost"),
            ]
            lines.append(f"| {name} | {group} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown(off: float) -> str:
    """Return a distance in percent."""
    return f"{off:+.1%}".replace("%", " %")


def _tokens(side: Mapping[str, int]) -> int:
    return side["input_tokens"] + side["output_tokens"]


def _range(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    found = [row["off_by"][name] for row in rows]
    return f"{100 * min(found):+.1f} to {shown(max(found))}" if found else ""


if __name__ == "__main__":
    found = rows_of(newest())
    print(newest().name, by_language(found), by_counts(found), by_variant(found), sep="\n\n")
