"""How often are labels right? Tables of figures on labelled texts, each beside its baseline.

The labeller is `offline-rules`, cue words without a model: every figure says so, and none of them
says anything about a model. Labelled tables come from a folder of the user; none of their text is
written anywhere. Without one, only the tables that ship with the package are read.

    python benchmarks/quality.py                     the shipped samples, a second
    python benchmarks/quality.py --data DIR          all labelled tables in DIR, about a minute
    python benchmarks/quality.py --data DIR --dev    also the parts for a last look: `*_dev`, gentle

Rules are tuned on the training parts. A figure on another part is worth something only as long as
nobody looks at its errors, so these parts are read only with `--dev`.

Tables of figures (one function each; to add one, write it and name it in `TABLES`):

- `samples`: the ten labels on the shipped samples.
- `seed`: the ten labels on `ten_label_seed.csv`; a smoke test, since the texts were made for it.
- `contrast`: the label against the relations contrast and concession of `disc_*.csv`.
- `abstracts`: the set `sci_abstract` on `csabstruct_*.csv` and `biorc800_*.csv`, with the place of
  each sentence and without it.
- `prose`: the share of each label in texts without labels, in `scale/`. A rule that fires on much
  of ordinary prose is suspicious.
- `default`: what a set without rules gets, the default label, on `newsdiscourse_*.csv` and others.
- `injection`, `calibration`, `answers`, `prompt_tokens`, `sent_alone`: see `trust.py`.

Writes performance_results/quality_<UTC time>.json with command, version and machine.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from analysis.bench.report import machine  # noqa: E402
from analysis.evaluation.audit import wilson  # noqa: E402
from analysis.evaluation.mapping import Mapping as GoldMapping  # noqa: E402
from analysis.evaluation.mapping import folded  # noqa: E402
from analysis.labels.label_set import LabelSet  # noqa: E402
from analysis.labels.rules import label_texts  # noqa: E402
from benchmarks import trust  # noqa: E402

LABELLER = "offline-rules"
SUSPICIOUS = 0.10
"""Share of ordinary prose above which a label other than the default is named."""

Figures = dict[str, Any]
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where labelled tables lie: `data`, or None for the shipped ones alone; `dev`: all parts."""

    data: Path | None
    dev: bool

    def tables(self, *names: str) -> Iterator[tuple[str, list[Row]]]:
        """Yield name and rows of each table that is there and may be read.

        A name ends in `_*` for a table in parts.
        """
        if self.data is None:
            return
        for name in names:
            for path in sorted(self.data.glob(f"{name}.csv")):
                if self.dev or not path.stem.endswith(("_dev", "_gentle")):
                    yield path.stem, rows_of(path)


def rows_of(path: Path) -> list[Row]:
    """Return the rows of a table, packed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables and write the result; arguments are those of the command line if None."""
    options = _options(arguments)
    place = Place(data=options.data, dev=options.dev)
    found: Figures = {
        "question": "How often are labels right?",
        "labeller": LABELLER,
        "note": "offline-rules: cue words without a model; no figure here is about a model. "
        "Rows with `simulated` come from the local service.",
        "tables": {name: table(place) for name, table in TABLES.items()},
        "command": " ".join(["python", "benchmarks/quality.py", *_named(options)]),
        "version": __version__,
        "machine": machine(),
        "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    target = ROOT / "performance_results" / f"quality_{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(target.relative_to(ROOT))
    for name, rows in found["tables"].items():
        for row in rows:
            print(f"{name}: {_line(row)}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of labelled tables")
    parser.add_argument("--dev", action="store_true", help="also read the parts for a last look")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_dir():
        parser.error(f"{options.data} is no folder. Pass the folder that holds the tables.")
    return options


def _named(options: argparse.Namespace) -> list[str]:
    """Return the options without the path of this machine."""
    return [
        *(["--data", "DIR"] if options.data is not None else []),
        *(["--dev"] if options.dev else []),
    ]


def _line(row: Figures) -> str:
    plain = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{key} {value}" for key, value in plain.items())


def samples(_: Place) -> list[Figures]:
    """The ten labels on the shipped samples, one row per language and one for all."""
    return _ten(rows_of(ROOT / "analysis" / "samples" / "four_languages.csv"), "samples", "gold")


def seed(place: Place) -> list[Figures]:
    """The ten labels on the constructed seed."""
    return [
        row for name, rows in place.tables("ten_label_seed") for row in _ten(rows, name, "label")
    ]


def _ten(rows: Sequence[Row], name: str, gold: str) -> list[Figures]:
    ten = LabelSet.load("ten_functions")
    whole = _scored(rows, [row[gold] for row in rows], name, ten)
    by_language = [
        _scored(part, [row[gold] for row in part], f"{name} {language}", ten)
        for language in ("en", "fr", "ru", "zh")
        if (part := [row for row in rows if row["lang"] == language])
    ]
    note = "composed texts, one intended label each: a smoke test, no measure of found text"
    return [{**row, "note": note} for row in (whole, *by_language)]


def contrast(place: Place) -> list[Figures]:
    """The label contrast against the relations contrast and concession.

    A relation holds between two sentences and the corpora mark one of them, some the first and
    some the second; `precision_pair` also counts a label on the second one where the first is
    marked.
    """
    ten = LabelSet.load("ten_functions")
    found = []
    for name, rows in place.tables("disc_*"):
        labels, seconds = _labelled(rows, ten)
        marked = [bool({row["label"], row["label2"]} & _CONTRASTS) for row in rows]
        either = [
            one or (index > 0 and marked[index - 1] and _same_document(rows, index))
            for index, one in enumerate(marked)
        ]
        counts = {
            "rows": len(rows),
            "marked": sum(marked),
            "fired": labels.count("contrast"),
            "hits": _hits(labels, marked),
            "pair_hits": _hits(labels, either),
        }
        found.append({**_head(name, len(rows), seconds), **_contrast_row(counts)})
    return [*found, *_together(found)]


def _hits(labels: Sequence[str], marked: Sequence[bool]) -> int:
    return sum(
        one == "contrast" and is_marked for one, is_marked in zip(labels, marked, strict=True)
    )


def _contrast_row(counts: Mapping[str, int]) -> Figures:
    rows, marked, fired, hits = (counts[key] for key in ("rows", "marked", "fired", "hits"))
    missed, wrong = marked - hits, fired - hits
    sure = wilson(hits, fired) if fired else None
    return {
        **counts,
        "precision": _share(hits, fired),
        "precision_interval_95": [round(sure.low, 4), round(sure.high, 4)] if sure else None,
        "precision_pair": _share(counts["pair_hits"], fired),
        "precision_of_chance": _share(marked, rows),
        "recall": _share(hits, marked),
        "accuracy": _share(rows - missed - wrong, rows),
        "accuracy_of_majority": _share(rows - marked, rows),
    }


def _together(found: Sequence[Figures]) -> list[Figures]:
    """Return one more row: all training parts together."""
    parts = [row for row in found if row["name"].endswith("_train")]
    if not parts:
        return []
    keys = ("rows", "marked", "fired", "hits", "pair_hits")
    counts = {key: sum(row[key] for row in parts) for key in keys}
    return [{"name": "all training parts", "labeller": LABELLER, **_contrast_row(counts)}]


_CONTRASTS = {"contrast", "concession"}


def _same_document(rows: Sequence[Row], index: int) -> bool:
    return rows[index]["document"] == rows[index - 1]["document"]


def abstracts(place: Place) -> list[Figures]:
    """The set `sci_abstract`, with the place of each sentence and without it."""
    sci = LabelSet.load("sci_abstract")
    found = []
    for corpus in ("csabstruct", "biorc800"):
        for name, rows in place.tables(f"{corpus}_*"):
            gold, counts_as = _mapped(rows, corpus)
            found.append(_scored(rows, gold, f"{name} with place", sci, counts_as, _places(rows)))
            found.append(_scored(rows, gold, f"{name} without place", sci, counts_as))
    return found


def default(place: Place) -> list[Figures]:
    """What the labeller answers for sets without rules: their default label."""
    found = []
    for corpus, table in (
        ("newsdiscourse", "newsdiscourse_*"),
        ("cna", "cna_zh_*"),
        ("microtexts", "argmicro_*"),
        ("law_india", "law_india_*"),
    ):
        for name, rows in place.tables(table):
            gold, counts_as = _mapped(rows, corpus)
            label_set = LabelSet.load(GoldMapping.load(corpus).label_set)
            row = _scored(rows, gold, name, label_set, counts_as)
            found.append({**row, "note": f"no rules: always {label_set.default}"})
    return found


def prose(place: Place) -> list[Figures]:
    """The share of each of the ten labels in texts without labels."""
    ten = LabelSet.load("ten_functions")
    found = []
    for name in ("en_1k.csv", "fr_1k.csv", "ru_1k.csv", "zh_1k.csv", "zh_100.csv", "*_10k.csv.gz"):
        for path in sorted((place.data / "scale").glob(name)) if place.data else ():
            rows = rows_of(path)
            labels, seconds = _labelled(rows, ten)
            shares = _shares(labels)
            suspicious = [
                key for key, share in shares.items() if share > SUSPICIOUS and key != ten.default
            ]
            found.append(
                {
                    **_head(path.name.partition(".")[0], len(rows), seconds),
                    "most_frequent": max(
                        (key for key in shares if key != ten.default),
                        key=lambda key: shares[key],
                        default="",
                    ),
                    "humour_irony": shares.get("humour_irony", 0.0),
                    "shares": shares,
                    "suspicious": suspicious,
                }
            )
    return found


def sent_alone(place: Place) -> list[Figures]:
    """The share of ordinary texts that the fence against orders sends alone."""
    tables = {
        path.name.partition(".")[0]: [row["text"] for row in rows_of(path)]
        for name in ("*_1k.csv", "*_10k.csv.gz")
        for path in (sorted((place.data / "scale").glob(name)) if place.data else ())
    }
    for name, rows in place.tables("*_train", "*_dev"):
        tables[name] = [row["text"] for row in rows]
    return trust.sent_alone(tables)


def _mapped(rows: Sequence[Row], corpus: str) -> tuple[list[str], Mapping[str, str]]:
    """Return the keys of the gold labels, and as what keys of the labeller count."""
    mapping = GoldMapping.load(corpus)
    return [mapping.gold[folded(row["label"])] for row in rows], mapping.predicted


def _places(rows: Sequence[Row]) -> list[float | None]:
    """Return the place of each row in its document, 0.0 to 1.0."""
    sizes = Counter(row["document"] for row in rows)
    seen: Counter[str] = Counter()
    places: list[float | None] = []
    for row in rows:
        document = row["document"]
        places.append(seen[document] / max(1, sizes[document] - 1))
        seen[document] += 1
    return places


def _labelled(
    rows: Sequence[Row], label_set: LabelSet, places: Sequence[float | None] | None = None
) -> tuple[list[str], float]:
    """Return the primary label of each row, and the CPU seconds."""
    texts = [row["text"] for row in rows]
    label_texts(["a", "où", "я", "的"], label_set=label_set)  # reads the cue lists
    begun = time.process_time()
    found = label_texts(texts, label_set=label_set, positions=places)
    return [labels[0] for labels in found], time.process_time() - begun


def _head(name: str, rows: int, seconds: float) -> Figures:
    return {
        "name": name,
        "labeller": LABELLER,
        "rows": rows,
        "chunks_per_cpu_second": round(rows / seconds) if seconds else None,
    }


def _scored(
    rows: Sequence[Row],
    gold: Sequence[str],
    name: str,
    label_set: LabelSet,
    counts_as: Mapping[str, str] | None = None,
    places: Sequence[float | None] | None = None,
) -> Figures:
    """Return the scores of primary labels; averages are over the labels that gold has."""
    labels, seconds = _labelled(rows, label_set, places)
    mapped = [(counts_as or {}).get(label, label) for label in labels]
    wanted, given = Counter(gold), Counter(mapped)
    right = Counter(a for a, b in zip(gold, mapped, strict=True) if a == b)
    majority, most = wanted.most_common(1)[0]
    by_label = {
        key: {
            "gold": wanted[key],
            "given": given[key],
            "precision": _share(right[key], given[key]),
            "recall": _share(right[key], wanted[key]),
        }
        for key in label_set.keys
        if wanted[key] or given[key]
    }
    f1 = {key: 2 * right[key] / (wanted[key] + given[key]) for key in wanted}
    return {
        **_head(name, len(rows), seconds),
        "label_set": label_set.name,
        "accuracy": _share(right.total(), len(rows)),
        "macro_f1": round(sum(f1.values()) / len(f1), 4),
        "majority": majority,
        "accuracy_of_majority": _share(most, len(rows)),
        "labels": by_label,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _shares(labels: Sequence[str]) -> dict[str, float]:
    return {key: round(n / len(labels), 4) for key, n in Counter(labels).most_common()}


TABLES: Mapping[str, Callable[[Place], list[Figures]]] = {
    "samples": samples,
    "seed": seed,
    "contrast": contrast,
    "abstracts": abstracts,
    "prose": prose,
    "default": default,
    "injection": lambda _: trust.injection(),
    "calibration": lambda _: trust.calibration(),
    "answers": lambda _: trust.answers(),
    "prompt_tokens": lambda _: trust.prompt_tokens(),
    "sent_alone": sent_alone,
}
"""Name in the result -> what makes the table."""


if __name__ == "__main__":
    sys.exit(main())
