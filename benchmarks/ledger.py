"""How fast is the ledger beside a bare sqlite3 loop, and what CPU does it take per chunk?

The bare loop writes the same rows with the same statements, ready-made, into a file of the same
schema, with synchronous FULL and as many records in a transaction as the ledger had on average in
the round before it. Subjects take turns inside each round, and ratios are taken inside a round,
since machines are shared and noisy. No service and no model takes part.

    python benchmarks/ledger.py                   about a minute
    python benchmarks/ledger.py --rounds 3 --chunks 5000

`write`: requests of k chunks, 64 at once, each intended and settled. Before, the ledger was asked
which chunks are missing, as a run asks it, so that it knows their keys, as the bare loop does; what
that takes stands under `read`. `read`: what a run asks of the
ledger for each chunk before and after the paid work, CPU only. `texts`: finding equal texts, CPU
only; the key of the run takes its part in each of these figures.

Writes performance_results/ledger_<UTC time>.json with command, version and machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from analysis.bench.report import machine  # noqa: E402
from analysis.pipeline.duplicates import FirstTexts  # noqa: E402
from analysis.pipeline.ledger import Ledger  # noqa: E402
from analysis.records import (  # noqa: E402
    Ask,
    Chunk,
    Ending,
    Item,
    Labeled,
    Pack,
    Request,
    Settlement,
    Usage,
)

SIZES = (1, 10)
AT_ONCE = 64
TEXT = "The night train was late again, as everyone on the platform had expected it to be. " * 4
STARTED_AT = "2026-11-21T10:00:00Z"
USAGE = Usage(input_tokens=1_000, output_tokens=80)
ASK = Ask(
    instructions="",
    content="",
    schema_name="labels",
    schema={},
    max_output_tokens=80,
    tickets={},
    estimated_input_tokens=1_000,
)
_PREFIX = hashlib.sha256(b"what a run asks with")

Figures = dict[str, Any]
Exchange = tuple[Request, Settlement]


def main() -> int:
    """Measure and write the result."""
    options = _options()
    now = datetime.now(UTC)
    rounds = [
        {"round": number, "k": size, **_write_round(size, options)}
        for number in range(options.rounds)
        for size in SIZES
    ]
    for one in rounds:
        print(json.dumps(one))
    result = {
        "question": "ledger beside a bare sqlite3 loop with the same grouping; CPU per chunk",
        "command": " ".join(["python benchmarks/ledger.py", *sys.argv[1:]]),
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine() | {"sqlite": sqlite3.sqlite_version},
        "chunks": options.chunks,
        "requests_at_once": AT_ONCE,
        "write": {f"k={size}": _medians(rounds, size) for size in SIZES},
        "read": _reading(options),
        "texts": _texts(options.chunks),
        "rounds": rounds,
    }
    print(json.dumps({name: result[name] for name in ("write", "read", "texts")}, indent=1))
    options.results.mkdir(exist_ok=True)
    target = options.results / f"ledger_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are written")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    return parser.parse_args()


def _write_round(size: int, options: argparse.Namespace) -> Figures:
    exchanges = _exchanges(options.chunks, size)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        ours = _ledger(Path(folder) / "ledger.sqlite", exchanges, options.chunks)
        group = max(1, round(ours["records_per_commit"]))
        bare = _bare(Path(folder) / "bare.sqlite", exchanges, group, options.chunks)
    ratio = ours["chunks_per_s"] / bare["chunks_per_s"]
    return {"ledger": ours, "bare": bare, "ledger_to_bare": round(ratio, 3)}


def _medians(rounds: Sequence[Figures], size: int) -> Figures:
    own = [one for one in rounds if one["k"] == size]
    subjects = {
        subject: {
            name: round(statistics.median(one[subject][name] for one in own), 2)
            for name in own[0][subject]
        }
        for subject in ("ledger", "bare")
    }
    ratios = [one["ledger_to_bare"] for one in own]
    return {
        **subjects,
        "ledger_to_bare": round(statistics.median(ratios), 3),
        "ledger_to_bare_worst": min(ratios),
    }


def key_of(chunk: Chunk) -> bytes:
    """Return a key as a run makes it."""
    hasher = _PREFIX.copy()
    hasher.update(json.dumps([chunk.text, chunk.topic], ensure_ascii=True).encode())
    return hasher.digest()[:16]


def _chunks(count: int) -> list[Chunk]:
    return [Chunk(id=f"row-{number}", text=f"{number} {TEXT}") for number in range(count)]


def _exchanges(count: int, size: int) -> list[Exchange]:
    chunks = _chunks(count)
    return [
        _exchange(f"{number:016x}", chunks[start : start + size])
        for number, start in enumerate(range(0, count, size))
    ]


def _exchange(name: str, chunks: Sequence[Chunk]) -> Exchange:
    items = tuple(Item(ticket=n, chunk=chunk, tokens=85) for n, chunk in enumerate(chunks))
    shares = USAGE.shares(len(chunks))
    verdicts = tuple(
        (
            chunk,
            Labeled(
                chunk_id=chunk.id,
                labels=("example",),
                route="rest",
                model="m",
                attempts=1,
                pack=len(chunks),
                latency_s=0.5,
                usage=share,
            ),
        )
        for chunk, share in zip(chunks, shares, strict=True)
    )
    pack = Pack(items=items)
    return (
        Request(request_id=name, route="rest", model="m", pack=pack, ask=ASK, attempt=1),
        Settlement(request_id=name, ending=Ending.DONE, usage=USAGE, model="m", verdicts=verdicts),
    )


def _opened(path: Path, chunks: int) -> Ledger:
    """Open a ledger for a run whose slices hold all chunks, so that it knows the keys of all."""
    return Ledger.open(path, sources=["in.csv"], key_of=key_of, run_facts={}, started_at=STARTED_AT)


def _ledger(path: Path, exchanges: Sequence[Exchange], chunks: int) -> Figures:
    async def work(ledger: Ledger, shared: Iterator[Exchange]) -> None:
        for request, settlement in shared:
            await ledger.intend(request)
            await ledger.settle(settlement)

    async def work_all(ledger: Ledger) -> None:
        shared = iter(exchanges)
        await asyncio.gather(*(work(ledger, shared) for _ in range(AT_ONCE)))

    with _opened(path, chunks) as ledger:
        asyncio.run(_missing(ledger, [one for _, end in exchanges for one, _ in end.verdicts]))
        wall, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
        asyncio.run(work_all(ledger))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        loop = time.thread_time() - loop
        commits = ledger.commits
    return {
        "chunks_per_s": round(chunks / wall),
        "cpu_us_per_chunk": round(cpu / chunks * 1e6, 2),
        "of_it_event_loop_us": round(loop / chunks * 1e6, 2),
        "records_per_commit": round(2 * len(exchanges) / commits, 1),
    }


def _bare(path: Path, exchanges: Sequence[Exchange], group: int, chunks: int) -> Figures:
    """Write what the ledger of the same round wrote, from rows that are ready."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        schema = resources.files("analysis.pipeline").joinpath("ledger.sql")
        connection.executescript(schema.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        records = list(_records(exchanges))
        wall, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(records), group):
            connection.execute("BEGIN IMMEDIATE")
            for statements in records[start : start + group]:
                for sql, row in statements:
                    connection.execute(sql, row)
            connection.execute("COMMIT")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    connection.close()
    return {
        "chunks_per_s": round(chunks / wall),
        "cpu_us_per_chunk": round(cpu / chunks * 1e6, 2),
        "records_per_commit": group,
    }


_Statement = tuple[str, tuple[Any, ...]]


def _records(exchanges: Sequence[Exchange]) -> Iterator[list[_Statement]]:
    """Yield each record as statements with their rows: an intent, then an ending with verdicts."""
    number = 1 << 32
    intend = f"INSERT INTO request VALUES ({', '.join('?' * 18)})"
    settle = (
        "UPDATE request SET state = 'done', input_tokens = ?, output_tokens = ?, "
        "reported_model = ?, ended_at = ? WHERE request_id = ?"
    )
    keep = f"INSERT INTO verdict VALUES ({', '.join('?' * 22)})"
    for request, settlement in exchanges:
        name, size = request.request_id, len(request.pack.items)
        sent = (name, 1, "rest", "m", None, size, 1, "intended", STARTED_AT, None, "")
        yield [(intend, (*sent, 0, 0, 0, 0, 0, 1_000, 80))]
        ending: list[_Statement] = [(settle, (1_000, 80, "m", STARTED_AT, name))]
        for chunk, verdict in settlement.verdicts:
            number += 1
            answer = ('["example"]', None, "rest", "m", 1, size, 0.5)
            tokens = (verdict.usage.input_tokens, 0, verdict.usage.output_tokens)
            tail = (None, None, name, 0, 0, None, 1, number)
            row = ("in.csv", chunk.id, key_of(chunk), 0, *answer, *tokens, *tail)
            ending.append((keep, row))
        yield ending


def _reading(options: argparse.Namespace) -> Figures:
    """Return CPU microseconds per chunk of the questions that a run asks, slice by slice."""
    chunks = _chunks(options.chunks)
    slices = [chunks[start : start + 500] for start in range(0, len(chunks), 500)]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "ledger.sqlite"
        _ledger(path, _exchanges(options.chunks, 10), options.chunks)
        with _opened(path, options.chunks) as ledger:
            asked: dict[str, Callable[[list[Chunk]], object]] = {
                "key": lambda part: [key_of(chunk) for chunk in part],
                "missing": lambda part: asyncio.run(_missing(ledger, part)),
                "held": ledger.held,
                "lookup": ledger.lookup,
                "changed": ledger.changed,
            }
            return {name: _cpu_us(question, slices) for name, question in asked.items()}


async def _missing(ledger: Ledger, part: Sequence[Chunk]) -> None:
    await ledger.missing(part)


def _texts(count: int) -> Figures:
    """Return the same for the list of equal texts, with one copy in ten rows."""
    chunks = [
        Chunk(id=f"row-{number}", text=f"{number % (count * 9 // 10)} {TEXT}")
        for number in range(count)
    ]
    slices = [chunks[start : start + 500] for start in range(0, len(chunks), 500)]
    with FirstTexts(key_of) as texts:
        add = _cpu_us(texts.add, slices)
        settle = time.process_time()
        copies = texts.copies
        settle = time.process_time() - settle
        found = _cpu_us(texts.first_of, slices)
    return {"copies": copies, "add": add, "sort": round(settle / count * 1e6, 2), "first_of": found}


def _cpu_us(question: Callable[[list[Chunk]], object], slices: Sequence[list[Chunk]]) -> float:
    cpu = time.process_time()
    for part in slices:
        question(part)
    cpu = time.process_time() - cpu
    return round(cpu / sum(map(len, slices)) * 1e6, 2)


if __name__ == "__main__":
    sys.exit(main())
