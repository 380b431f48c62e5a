"""How near is the estimate of a run to its bill?

Each text is estimated and then labelled through the local service, which bills four bytes of UTF-8
for a token, in every script. So every figure is simulated, and those of Russian and Chinese say
little about the tokenizer of a model. What the comparison does show: that what is sent is what was
counted, in requests, instructions, schema, context, title and answers, and in what a cache reads.
Where only the chunks are sent, each row also has the input beside their texts, which is the same in
all languages: instructions, schema, ids and topic.

    python benchmarks/bills.py               the shipped samples, a minute
    python benchmarks/bills.py --data DIR    also DIR/scale/{en,fr,ru,zh}_1k.csv, some ten minutes

No text of these tables is written anywhere. `VARIANTS` names what a run sends beside the chunks.

Writes performance_results/bills_<UTC time>.json with command, version and machine;
`python -m tests.docs.bills_table` makes the tables of docs/explanation/money.md from it.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from analysis.analyzer import Estimate  # noqa: E402
from analysis.bench.report import machine  # noqa: E402
from analysis.entry import analyze_file, estimate_file  # noqa: E402
from analysis.labels.prompt import CHOICE_VERSION, PROMPT_VERSION  # noqa: E402
from analysis.labels.tokens import estimate as tokens_in  # noqa: E402
from analysis.pipeline.report import RunSummary  # noqa: E402
from analysis.prices import price_table  # noqa: E402
from analysis.settings import SETTINGS  # noqa: E402
from analysis.simulator.cache import BYTES_PER_TOKEN  # noqa: E402
from benchmarks.quality import rows_of  # noqa: E402

LANGUAGES = ("en", "fr", "ru", "zh")
SIZES = (1, 10)
ROUTES = ("rest", "responses-ws", "realtime", "decisions")
COLUMNS = ("id", "document", "text", "topic", "title")

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "chunks": {"context": 0},
    "context": {"context": 1},
    "title": {"context": 0, "title_column": "title"},
    "examples": {"context": 0, "examples": True},
    "sci_abstract": {"context": 0, "label_set": "sci_abstract"},
}
"""Name in the result -> options of a run; all others have the ten labels and nothing else."""

NO_COPIES = replace(SETTINGS, hedge_share=0.0, hedge_extra=0)
"""A slow machine would pay for copies of requests, which no estimate counts."""

QUOTES = 2
"""Bytes of a JSON string that are not of its text."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One table of one language: `rows` have the keys in `COLUMNS`."""

    name: str
    language: str
    rows: Sequence[Mapping[str, str]]


def texts(data: Path | None) -> Iterator[Text]:
    """Yield the shipped samples by language, and the tables of a folder if there is one.

    The topic of a row stands for the title, too.
    """
    samples = rows_of(ROOT / "analysis" / "samples" / "four_languages.csv")
    for language in LANGUAGES:
        yield _text("samples", language, (row for row in samples if row["lang"] == language))
    if data is not None:
        for language in LANGUAGES:
            yield _text("scale", language, rows_of(data / "scale" / f"{language}_1k.csv"))


def _text(name: str, language: str, rows: Iterable[Mapping[str, str]]) -> Text:
    kept = [{**{key: row[key] for key in COLUMNS[:-1]}, "title": row["topic"]} for row in rows]
    return Text(name=name, language=language, rows=kept)


def measured(
    text: Text, variants: Sequence[str], sizes: Sequence[int], routes: Sequence[str]
) -> Iterator[Figures]:
    """Yield estimate and bill of a text for each variant, size of request and route."""
    with tempfile.TemporaryDirectory(prefix="semfn-bills-") as folder:
        source = Path(folder) / "chunks.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(text.rows)
        for number, (variant, size, route) in enumerate(product(variants, sizes, routes)):
            options = {
                **VARIANTS[variant],
                "route": route,
                "max_chunks_per_request": size,
                "local": True,
                "yes": True,
                "settings": NO_COPIES,
            }
            (estimate,) = estimate_file(source, **options).routes
            summary = analyze_file(source, Path(folder) / f"{number}.csv", **options)
            yield {
                "texts": text.name,
                "language": text.language,
                "rows": len(text.rows),
                "variant": variant,
                "chunks_per_request": size,
                "route": route,
                **compared(estimate, summary),
                **(beside(text, estimate, summary) if variant == "chunks" else {}),
            }


def compared(estimate: Estimate, summary: RunSummary) -> Figures:
    """Return estimate, bill and their distance.

    The local service costs nothing, so its bill is priced as that of the model that was asked for.
    `off_by` is the estimate by the bill, less one; below zero the bill was higher.
    """
    usage, requests = summary.usage, sum(summary.requests.values())
    cost = price_table().cost_usd(estimate.model, usage, requests=requests)
    tokens = usage.input_tokens + usage.output_tokens
    return {
        "model": estimate.model,
        "estimated": {
            "requests": estimate.requests,
            "input_tokens": estimate.input_tokens,
            "output_tokens": estimate.output_tokens,
            "cached_tokens": estimate.cached_tokens,
            "cost_usd": _dollars(estimate.cost_usd),
            "least_cost_usd": _dollars(estimate.least_cost_usd),
        },
        "billed": {
            "requests": requests,
            **{key: value for key, value in asdict(usage).items() if key != "reasoning_tokens"},
            "cost_usd": _dollars(cost),
        },
        "off_by": {
            "input": _off(estimate.input_tokens, usage.input_tokens),
            "output": _off(estimate.output_tokens, usage.output_tokens),
            "tokens": _off(estimate.input_tokens + estimate.output_tokens, tokens),
            "cost": _off(estimate.cost_usd, cost),
            "least_cost": _off(estimate.least_cost_usd, cost),
        },
        "failed": summary.failed,
    }


def beside(text: Text, estimate: Estimate, summary: RunSummary) -> Figures:
    """Return the input beside the texts of the chunks, estimated and billed, and its distance."""
    chunks = [row["text"] for row in text.rows]
    written = sum(len(json.dumps(one, ensure_ascii=False).encode()) - QUOTES for one in chunks)
    estimated = estimate.input_tokens - sum(map(tokens_in, chunks))
    billed = summary.usage.input_tokens - round(written / BYTES_PER_TOKEN)
    return {
        "beside_texts": {
            "estimated_tokens": estimated,
            "billed_tokens": billed,
            "off_by": _off(estimated, billed),
        }
    }


def _dollars(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 8)


def _off(estimated: float | None, billed: float | None) -> float | None:
    if estimated is None or not billed:
        return None
    return round(estimated / billed - 1, 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print one line for each pair and write the result; 1 if a chunk failed."""
    options = _options(arguments)
    rows = []
    for text in texts(options.data):
        for row in measured(text, tuple(VARIANTS), SIZES, ROUTES):
            rows.append(row)
            print(_line(row), flush=True)
    now = datetime.now(UTC)
    command = " ".join(["python benchmarks/bills.py", *_named(options)])
    options.results.mkdir(parents=True, exist_ok=True)
    target = options.results / f"bills_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(document(rows, command=command, now=now), encoding="utf-8")
    print(f"Wrote {target.name}")
    return 1 if any(row["failed"] for row in rows) else 0


def document(rows: Sequence[Figures], *, command: str, now: datetime) -> str:
    """Return the whole result as JSON, one row in a line."""
    found = {
        "question": (__doc__ or "").splitlines()[0],
        "simulated": True,
        "note": "Billed by the local service: 4 bytes of UTF-8 for a token in every script.",
        "prompt_version": PROMPT_VERSION,
        "choice_version": CHOICE_VERSION,
        "price_date": price_table().date,
        "command": command,
        "version": __version__,
        "machine": machine(),
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "rows": [],
    }
    lines = ",\n  ".join(map(json.dumps, rows))
    return json.dumps(found, indent=1).removesuffix("[]\n}") + f"[\n  {lines}\n ]\n}}\n"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with scale/en_1k.csv and so on")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    options = parser.parse_args(arguments)
    if options.data is not None:
        for language in LANGUAGES:
            path = options.data / "scale" / f"{language}_1k.csv"
            if not path.is_file():
                parser.error(
                    f"{path} is not there. Pass the folder that holds scale/*_1k.csv with the "
                    "columns id, document, text and topic, or leave --data out for the samples."
                )
    return options


def _named(options: argparse.Namespace) -> list[str]:
    """Return the options without the paths of this machine."""
    return [] if options.data is None else ["--data DIR"]


def _line(row: Figures) -> str:
    off = row["off_by"]
    shown = ", ".join(
        f"{name} {off[name]:+.1%}" for name in ("tokens", "cost", "least_cost") if off[name]
    )
    where = (row["texts"], row["language"], row["variant"], row["route"])
    return f"{' '.join(where)} k={row['chunks_per_request']}: {shown or 'equal'}"


if __name__ == "__main__":
    sys.exit(main())
