"""What does a run over a file take beside the labelling itself: CPU, memory, loop lag, open files?

Each figure comes from a process of its own. Answers are canned, so no figure says anything about a
model; those with the local service are simulated. With `--beside` another checkout is measured in
turns with this one, round by round, since machines are shared and noisy.

    python benchmarks/pipeline.py                         all parts, some ten minutes
    python benchmarks/pipeline.py --parts overhead --rows 10000 --rounds 3 --beside ../before

`overhead`: CPU microseconds per chunk of a whole run over a CSV file, answered in the process at
once, less those of the analyzer alone over the same chunks. `scan` reads and checks the rows,
`plan` counts packs and finds equal texts, `ledger` is its writing thread, `again` reads the rows a
second time and asks the ledger for them, `loop` is what the event loop takes more than alone,
`output` reads rows and verdicts and writes them. `auto` comes on top where no size of packs is
named: the rows are read once more to plan it. `memory`: peak MiB of a run, ten chunks in a request.
`lag`: how late a timer of the event loop is while rows are labelled over the local service, in a
process or, as `--local` has it, a thread; `own` is the CPU time of the loop's thread in the latest
one, the rest a wait for the interpreter or a core. `reconnects`: open files before and after the
connection of a route was lost again and again.

Writes performance_results/pipeline_<UTC time>.json with command, version and machine. Linux only:
it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, product
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "SEMFN_BENCHMARK_PACKAGE"
"""Names the folder of the checkout that a child measures."""
sys.path.insert(0, os.environ.get(PACKAGE, str(ROOT)))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from analysis.bench.report import machine  # noqa: E402
from analysis.connections import make_transport  # noqa: E402
from analysis.endpoint import Endpoint  # noqa: E402
from analysis.errors import TransportError  # noqa: E402
from analysis.labels.label_set import LabelSet  # noqa: E402
from analysis.labels.prompt import PromptBuilder  # noqa: E402
from analysis.pipeline.inputs import open_inputs  # noqa: E402
from analysis.pipeline.places import RunPaths  # noqa: E402
from analysis.pipeline.run import RunChoices, TableRun  # noqa: E402
from analysis.pipeline.tables import Table, scan  # noqa: E402
from analysis.records import Chunk, Item, Pack, Request  # noqa: E402
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer  # noqa: E402
from analysis.settings import DEFAULT_MODELS, SETTINGS  # noqa: E402
from analysis.testing import local_service  # noqa: E402
from analysis.transport import Transport  # noqa: E402
from analysis.transport.offline import OfflineTransport  # noqa: E402

PARTS = ("overhead", "memory", "lag", "reconnects")
ROUTES = ("realtime", "responses-ws", "rest")
IN_FLIGHT = 64
TEXT = "The night train was late again, as everyone on the platform had expected it to be. " * 4
"""About 85 tokens."""
DOCUMENT_ROWS = 40
WARM_ROWS = 300
"""Rows of a run before the measured one: imports and first contact are no cost of a chunk."""
PROBE_S = 0.002
LATENCY_MS = 20.0
FILES = "/proc/self/fd"
DROP = 0.5
"""Share of the answers that are lost together with their connection."""
UNPACED = replace(
    SETTINGS,
    requests_per_minute=10_000_000,
    tokens_per_minute=10_000_000_000,
    share_limits=False,
    learned_limits_days=0.0,
    connects_per_s=1_000.0,
    connect_burst=1_000,
    backoff_base_s=0.001,
    backoff_cap_s=0.1,
)
"""An account without limits to speak of, and a client that connects again without pause."""

Figures = dict[str, Any]


def main() -> int:
    """Measure the parts and write the result; a row without label ends it."""
    options = _options()
    if options.child:
        print(json.dumps(CHILDREN[options.child](**json.loads(options.arguments))))
        return 0
    # Without the folders of this machine.
    now, words = datetime.now(UTC), [Path(word).name for word in sys.argv[1:]]
    parts = {part: _PARTS[part](options) for part in options.parts}
    result = {
        "question": "CPU, memory, loop lag and open files of a run beside the labelling itself",
        "simulated": True,
        "command": " ".join(["python benchmarks/pipeline.py", *words]),
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "parts": parts,
    }
    options.results.mkdir(exist_ok=True)
    target = options.results / f"pipeline_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")
    return 0


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10], help="chunks in a request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--reconnects", type=int, default=10_000)
    parser.add_argument("--beside", type=Path, default=None, help="another checkout")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    parser.add_argument("--child", choices=list(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--arguments", default="{}", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# What the parent does


def run_child(name: str, package: Path, **arguments: Any) -> Figures:
    """Measure one thing in a fresh process with the package of a checkout."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", name]
    command += ["--arguments", json.dumps(arguments)]
    environ = os.environ | {PACKAGE: str(package)}
    child = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
    found: Figures = json.loads(child.stdout.splitlines()[-1])
    print(json.dumps({"part": name, "checkout": package.name} | arguments | found), flush=True)
    return found


def _subjects(options: argparse.Namespace) -> dict[str, Path]:
    beside = {} if options.beside is None else {"beside": options.beside.resolve()}
    return beside | {"this": ROOT}


def _overhead(options: argparse.Namespace) -> list[Figures]:
    result, subjects = [], _subjects(options)
    for rows, size, has_documents in product(options.rows, options.k, (False, True)):
        shape = {"rows": rows, "k": size, "has_documents": has_documents}
        rounds: dict[str, list[Figures]] = {name: [] for name in subjects}
        for _ in range(options.rounds):
            for name, package in subjects.items():
                rounds[name].append(run_child("overhead", package, **shape))
        result.append(shape | {name: summed(found) for name, found in rounds.items()})
    return result


def summed(found: Sequence[Figures]) -> Figures:
    """Return median and least of each figure; other processes can only add to CPU time."""
    return {
        name: {
            "median": round(statistics.median(one[name] for one in found), 1),
            "least": min(one[name] for one in found),
        }
        for name in found[0]
    }


def _memory(options: argparse.Namespace) -> Figures:
    peaks = {rows: run_child("memory", ROOT, rows=rows) for rows in options.memory_rows}
    mib = [one["peak_mib"] for one in peaks.values()]
    return {"by_rows": peaks, "growth_mib": round(mib[-1] - mib[0], 1)}


def _lag(options: argparse.Namespace) -> list[Figures]:
    rows = options.rows[0]
    shapes = [{"k": size, "place": place} for size in options.k for place in ("process", "thread")]
    return [
        shape
        | {"simulated": True}
        | {"rounds": [run_child("lag", ROOT, rows=rows, **shape) for _ in range(options.rounds)]}
        for shape in shapes
    ]


def _reconnects(options: argparse.Namespace) -> list[Figures]:
    return [
        {"simulated": True} | run_child("reconnects", ROOT, route=route, lost=options.reconnects)
        for route in ROUTES
    ]


_PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "overhead": _overhead,
    "memory": _memory,
    "lag": _lag,
    "reconnects": _reconnects,
}


# A run over a file


class CannedAnalyzer(HybridSemanticAnalyzer):
    """Gets the same answer for every chunk at once, in the process."""

    def _transport(self, route: str) -> Transport:
        return OfflineTransport(lambda texts, topic: [("example",)] * len(texts), model="canned")


def _canned() -> CannedAnalyzer:
    # A route with many requests at once, as a paid one; nothing connects to its address.
    endpoint = Endpoint.find(api_key="k", base_url="http://127.0.0.1:9/v1")
    return CannedAnalyzer(
        endpoint=endpoint, routes=("rest",), max_concurrent=IN_FLIGHT, settings=UNPACED, seed=1
    )


def make_file(path: Path, rows: int, *, has_documents: bool) -> None:
    """Write a CSV file of so many different texts."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("id", "text", "topic", "document"))
        for number in range(rows):
            document = f"d{number // DOCUMENT_ROWS}" if has_documents else ""
            writer.writerow((f"row-{number:07d}", f"{number} {TEXT}", "trains", document))


def _table_run(source: Path, analyzer: HybridSemanticAnalyzer, size: int) -> TableRun:
    jobs = open_inputs([source], source.with_name("out.csv"))
    return TableRun(
        jobs=jobs,
        paths=RunPaths.of(jobs),
        analyzer=analyzer,
        choices=RunChoices(chunks_per_request=size),
        clock=time.monotonic,
    )


def _whole_run(source: Path, analyzer: HybridSemanticAnalyzer, size: int) -> int:
    """Label a file; return the rows with a label."""
    with contextlib.closing(_table_run(source, analyzer, size)) as run:
        plan = run.prepare()
        asyncio.run(_label(run, analyzer))
        return run.finish(plan).labeled


async def _label(run: TableRun, analyzer: HybridSemanticAnalyzer) -> None:
    async with analyzer:
        await run.label()


def _check(labeled: int, rows: int) -> None:
    if labeled != rows:
        raise SystemExit(f"{labeled} of {rows} rows have a label.")


# What a child measures


def overhead(*, rows: int, k: int, has_documents: bool) -> Figures:
    """Return CPU microseconds per chunk of a run and of its parts."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.csv"
        warm = Path(folder) / "warm" / source.name
        warm.parent.mkdir()
        make_file(warm, WARM_ROWS, has_documents=has_documents)
        _whole_run(warm, _canned(), k)
        make_file(source, rows, has_documents=has_documents)
        analyzer = _canned()
        with contextlib.closing(_table_run(source, analyzer, k)) as run:
            table = run.tables[0]
            slices = list(_chunks(table))
            alone = _cpu_s(lambda: asyncio.run(_alone(slices, k)))
            slices.clear()
            packed = _cpu_s(lambda: analyzer.plan(_chunks(table), topic=None))
            scanned = _cpu_s(lambda: scan(table))
            plans = []
            prepared = _cpu_s(lambda: plans.append(run.prepare()))
            loop = time.thread_time()
            labelled = _cpu_s(lambda: asyncio.run(_label(run, analyzer)))
            loop = time.thread_time() - loop
            ledger = _cpu_of_thread("ledger-writer")
            summaries = []
            written = _cpu_s(lambda: summaries.append(run.finish(plans[0])))
        _check(summaries[0].labeled, rows)
    seconds = {
        "alone": alone,
        "overhead": prepared + labelled - alone + written,
        "scan": scanned,
        "plan": prepared - scanned,
        "ledger": ledger,
        "again": labelled - loop - ledger,
        "loop": loop - alone,
        "output": written,
        "auto": packed,
    }
    return {f"{name}_us": round(value / rows * 1e6, 1) for name, value in seconds.items()}


def _chunks(table: Table) -> Iterator[list[Chunk]]:
    return ([row.chunk for row in part] for part in table.slices())


async def _alone(slices: Sequence[Sequence[Chunk]], size: int) -> None:
    """Label the same chunks without table, ledger and output."""

    async def given() -> AsyncIterator[Sequence[Chunk]]:
        for part in slices:
            yield part

    async with _canned() as analyzer:
        found = analyzer.run(given(), topic=None, chunks_per_request=size, journal=None)
        labeled = sum([verdict.error is None async for _, verdict in found])
    _check(labeled, sum(map(len, slices)))


def _cpu_s(step: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    step()
    return time.process_time() - begun


def _cpu_of_thread(name: str) -> float:
    """Return the CPU seconds of a thread of this process so far."""
    (thread,) = (one for one in threading.enumerate() if one.name == name)
    spent = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text(encoding="ascii")
    return int(spent.split()[0]) / 1e9


def memory(*, rows: int) -> Figures:
    """Return the peak MiB of a run with ten chunks in a request, and before it began."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.csv"
        make_file(source, rows, has_documents=False)
        before = _peak_mib()
        begun = time.monotonic()
        _check(_whole_run(source, _canned(), 10), rows)
        took = time.monotonic() - begun
        disk = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {
        "peak_mib": _peak_mib(),
        "before_mib": before,
        "wall_s": round(took, 1),
        "files_mib": round(disk / 2**20, 1),
    }


def _peak_mib() -> float:
    """Return the most memory that was resident; getrusage would count the parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def lag(*, rows: int, k: int, place: str) -> Figures:
    """Return how late a timer of the loop is while rows are labelled over the local service."""
    late: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder, _service(place, LATENCY_MS, ()) as base_url:
        source = Path(folder) / "in.csv"
        make_file(source, rows, has_documents=True)
        analyzer = HybridSemanticAnalyzer(
            endpoint=Endpoint.find(api_key="k", base_url=base_url), settings=UNPACED, seed=1
        )
        with contextlib.closing(_table_run(source, analyzer, k)) as run:
            plan = run.prepare()
            asyncio.run(_probed(run, analyzer, late))
            _check(run.finish(plan).labeled, rows)
    waits, (worst, own) = sorted(one for one, _ in late), max(late)
    return {
        "probes": len(waits),
        "p50_ms": round(1e3 * statistics.median(waits), 2),
        "p99_ms": round(1e3 * waits[int(0.99 * len(waits))], 2),
        "max_ms": round(1e3 * worst, 2),
        "own_of_max_ms": round(1e3 * own, 2),
    }


async def _probed(
    run: TableRun, analyzer: HybridSemanticAnalyzer, late: list[tuple[float, float]]
) -> None:
    async def probe() -> None:
        while True:
            at, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(PROBE_S)
            waited = time.perf_counter() - at - PROBE_S
            late.append((waited, time.thread_time() - own))

    watch = asyncio.create_task(probe())
    await _label(run, analyzer)
    watch.cancel()


@contextlib.contextmanager
def _service(place: str, latency_ms: float, faults: Sequence[str]) -> Iterator[str]:
    """Run the local service in a process or a thread; yield its base URL."""
    if place == "thread":
        with local_service(canned=True, latency_ms=latency_ms, faults=faults) as handle:
            yield handle.base_url
        return
    command = [sys.executable, "-m", "analysis", "simulate", "--canned"]
    command += ["--latency-ms", str(latency_ms)]
    for fault in faults:
        command += ["--fault", fault]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=quiet) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().decode().strip().removeprefix("base_url=")
        finally:
            child.terminate()


def reconnects(*, route: str, lost: int) -> Figures:
    """Return the open files of this process around so many lost connections of a route."""
    with _service("process", 0.0, [f"drop={DROP}"]) as base_url:
        return asyncio.run(_lose(route, base_url, lost))


async def _lose(route: str, base_url: str, lost: int) -> Figures:
    rng = Random(1)
    builder = PromptBuilder(LabelSet.load("ten_functions"), rng=rng)
    transport = make_transport(
        route,
        model=DEFAULT_MODELS[route],
        endpoint=Endpoint.find(api_key="k", base_url=base_url),
        builder=builder,
        timeout_s=30.0,
        on_limits=lambda *_: None,
        rng=rng,
        settings=UNPACED,
    )
    numbers = count()
    await _ask_until(transport, builder, numbers, lost=10)
    files, begun = len(os.listdir(FILES)), time.monotonic()
    asked = await _ask_until(transport, builder, numbers, lost=lost)
    after, took = len(os.listdir(FILES)), time.monotonic() - begun
    counters = getattr(transport, "counters", None)
    await transport.close()
    return {
        "lost": lost,
        "reconnects": None if counters is None else counters.reconnects,
        "asked": asked,
        "files_before": files,
        "files_after": after,
        "files_closed": len(os.listdir(FILES)),
        "wall_s": round(took, 1),
    }


async def _ask_until(
    transport: Transport, builder: PromptBuilder, numbers: Iterator[int], *, lost: int
) -> int:
    """Ask until so many connections were lost and an answer came after them; return how often."""
    asked = 0
    for number in numbers:
        chunk = Chunk(id=str(number), text=TEXT)
        pack = Pack(items=(Item(ticket=0, chunk=chunk, tokens=85),))
        request = Request(
            request_id=f"q{number}",
            route=transport.route,
            model=DEFAULT_MODELS[transport.route],
            pack=pack,
            ask=builder.ask(pack),
            attempt=1,
        )
        asked += 1
        try:
            await transport.open()
            await transport.ask(request)
        except TransportError:
            lost -= 1
        else:
            if lost <= 0:
                break
    return asked


CHILDREN: dict[str, Callable[..., Figures]] = {
    "overhead": overhead,
    "memory": memory,
    "lag": lag,
    "reconnects": reconnects,
}

if __name__ == "__main__":
    sys.exit(main())
