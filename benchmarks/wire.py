"""How much CPU does the client take on each route, beside a bare WebSocket loop?

The simulated service answers from a process of its own, on the other core where there is one, so
every figure is simulated: it measures the client, and no model. The bare loops are `websockets`
with `json`: they ask the same service for the same answers, with the same number of events, over
the Realtime API and over the lanes of the Responses API, and do nothing with them but count.
Subjects take turns inside each round, and ratios are taken inside a round, since machines are
shared and noisy.

    python benchmarks/wire.py                  three parts, about three minutes
    python benchmarks/wire.py --rounds 2 --chunks 500 --parts cpu

Parts: `cpu` (CPU seconds per 1,000 chunks, answers at once), `rate` (chunks per second with 64
requests in flight and answers after 50 ms), `lone` (latency of one chunk after the other on a warm
connection, answers at once).

Writes performance_results/wire_<UTC time>.json with command, version and machine. Linux only: it
reads the CPU time of the service from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from analysis.bench.report import machine  # noqa: E402
from analysis.labels.label_set import LabelSet  # noqa: E402
from analysis.labels.prompt import PromptBuilder  # noqa: E402
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer  # noqa: E402
from analysis.settings import SETTINGS  # noqa: E402

PARTS = ("cpu", "rate", "lone")
ROUTES = ("realtime", "responses-ws", "rest", "decisions")
BARE = "bare realtime"
BARE_LANES = "bare lanes"
BARE_MODEL = "gpt-realtime-2.1-mini"
IN_FLIGHT = {"cpu": 32, "rate": 64, "lone": 1}
LATENCY_MS = {"cpu": 0, "rate": 50, "lone": 0}
CORE_LIMIT = 0.70
"""Largest share of a core that the service may take while a client is measured."""

UNPACED = replace(
    SETTINGS,
    requests_per_minute=10_000_000,
    tokens_per_minute=10_000_000_000,
    share_limits=False,
    learned_limits_days=0.0,
)
TEXT = "The night train was late again, as everyone on the platform had expected it to be. " * 4
"""About 85 tokens."""

INSTRUCTIONS = PromptBuilder(LabelSet.load("ten_functions"), rng=Random(1)).instructions
"""Those of the product: the service repeats them in its events."""

Figures = dict[str, Any]
Job = Callable[[str, int], Awaitable[list[float]]]
"""(base URL, chunks) -> seconds of each request; labels are checked inside."""


def main() -> int:
    """Measure the parts and write the result."""
    options = _options()
    _pin(0)
    now = datetime.now(UTC)
    rounds: dict[str, list[Figures]] = {part: _part(part, options) for part in options.parts}
    result = {
        "question": "client CPU, rate and added latency on each route, beside a bare loop",
        "simulated": True,
        "command": " ".join(
            ["python benchmarks/wire.py", *(Path(word).name for word in sys.argv[1:])]
        ),
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "text_bytes": len(TEXT.encode()),
        "parts": {part: summed(found) for part, found in rounds.items()},
        "rounds": rounds,
    }
    options.results.mkdir(exist_ok=True)
    target = options.results / f"wire_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")
    lost = sum(one["lost"] for found in rounds.values() for one in found)
    return 1 if lost else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=1_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    return parser.parse_args()


def _part(part: str, options: argparse.Namespace) -> list[Figures]:
    """Return the figures of every subject in every round of one part."""
    sizes = (1, 10) if part == "cpu" else (1,)
    subjects: dict[str, tuple[int, Job]] = {
        BARE: (1, _bare(IN_FLIGHT[part])),
        BARE_LANES: (1, _bare_lanes(IN_FLIGHT[part])),
    }
    for route in options.routes:
        for size in sizes:
            subjects[f"{route} k={size}"] = (size, _analyzer(route, size, IN_FLIGHT[part]))
    chunks = min(options.chunks, 300) if part == "lone" else options.chunks
    found = []
    with service(LATENCY_MS[part]) as (base_url, pid):
        for name, (_, job) in subjects.items():
            asyncio.run(_run(job, base_url, min(chunks, 20)))  # imports and first contact
            del name
        for number in range(options.rounds):
            for name, (size, job) in subjects.items():
                one = _measured(job, base_url, pid, chunks)
                found.append({"round": number, "subject": name, "k": size, **one})
                print(json.dumps({"part": part, **found[-1]}))
    return found


def _measured(job: Job, base_url: str, pid: int, chunks: int) -> Figures:
    service_before, wall, cpu = cpu_of(pid), time.perf_counter(), time.process_time()
    latencies = asyncio.run(_run(job, base_url, chunks))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    service_s = cpu_of(pid) - service_before
    return {
        "chunks": chunks,
        "lost": 0 if latencies else chunks,
        "client_cpu_s_per_1000": round(cpu * 1_000 / chunks, 4),
        "service_cpu_s_per_1000": round(service_s * 1_000 / chunks, 4),
        "service_core_share": round(service_s / wall, 3),
        "wall_s": round(wall, 4),
        "chunks_per_s": round(chunks / wall, 1),
        "latency_ms_p50": round(_quantile(latencies, 0.50) * 1_000, 3),
        "latency_ms_p99": round(_quantile(latencies, 0.99) * 1_000, 3),
    }


async def _run(job: Job, base_url: str, chunks: int) -> list[float]:
    return await job(base_url, chunks)


def _analyzer(route: str, size: int, in_flight: int) -> Job:
    """Return a job that labels through the analyzer API over one route."""

    async def job(base_url: str, chunks: int) -> list[float]:
        given = [(f"c{number}", TEXT) for number in range(chunks)]
        async with HybridSemanticAnalyzer(
            api_key="k",
            base_url=base_url,
            routes=(route,),
            max_concurrent=in_flight,
            settings=UNPACED,
            seed=1,
        ) as analyzer:
            verdicts = await analyzer.analyze_batch(
                given, adaptive_batching=False, chunks_per_request=size
            )
        if any(verdict.error for verdict in verdicts):
            return []
        return [verdict.latency_s or 0.0 for verdict in verdicts]

    return job


def _bare(in_flight: int) -> Job:
    """Return a job that asks one chunk per Realtime response and counts the events."""

    async def job(base_url: str, chunks: int) -> list[float]:
        import websockets

        address = f"{base_url.replace('http', 'ws', 1)}/realtime?model={BARE_MODEL}"
        headers = {"Authorization": "Bearer k"}
        sent: dict[str, float] = {}
        latencies: list[float] = []
        async with websockets.connect(
            address, additional_headers=headers, compression=None, proxy=None
        ) as socket:
            json.loads(await socket.recv())
            await socket.send(json.dumps(_SESSION))
            json.loads(await socket.recv())
            for number in range(min(in_flight, chunks)):
                sent[str(number)] = time.perf_counter()
                await socket.send(json.dumps(_question(number)))
            while len(latencies) < chunks:
                event = json.loads(await socket.recv())
                if event["type"] != "response.done":
                    continue
                rid = event["response"]["metadata"]["rid"]
                latencies.append(time.perf_counter() - sent.pop(rid))
                json.loads(event["response"]["output"][0]["arguments"])
                following = len(latencies) + len(sent)
                if following < chunks:
                    sent[str(following)] = time.perf_counter()
                    await socket.send(json.dumps(_question(following)))
        return latencies

    return job


def _bare_lanes(in_flight: int) -> Job:
    """Return a job that asks one chunk per response over lanes, 16 on a socket."""

    async def one_socket(address: str, numbers: Iterator[int], lanes: int) -> list[float]:
        import websockets

        sent: dict[str, float] = {}
        latencies: list[float] = []

        async def ask(lane: str) -> bool:
            number = next(numbers, None)
            if number is not None:
                sent[lane] = time.perf_counter()
                await socket.send(json.dumps(_create(number, lane)))
            return number is not None

        async with websockets.connect(
            address,
            additional_headers={"Authorization": "Bearer k"},
            compression=None,
            proxy=None,
        ) as socket:
            waiting = sum([await ask(f"w{number}") for number in range(lanes)])
            while waiting:
                event = json.loads(await socket.recv())
                if event["type"] != "response.completed":
                    continue
                lane = event["stream_id"]
                latencies.append(time.perf_counter() - sent.pop(lane))
                json.loads(event["response"]["output"][0]["content"][0]["text"])
                waiting -= not await ask(lane)
        return latencies

    async def job(base_url: str, chunks: int) -> list[float]:
        address = f"{base_url.replace('http', 'ws', 1)}/responses"
        numbers = iter(range(chunks))
        sockets = -(-in_flight // 16)
        found = await asyncio.gather(
            *(one_socket(address, numbers, min(16, in_flight)) for _ in range(sockets))
        )
        return [latency for latencies in found for latency in latencies]

    return job


def _create(number: int, lane: str) -> Figures:
    content = json.dumps({"chunks": [{"id": "ab3f", "text": TEXT}]})
    schema = {"name": "chunk_labels", "strict": True, "schema": _TOOL["parameters"]}
    return {
        "type": "response.create",
        "stream_id": lane,
        "model": "gpt-6-luna",
        "instructions": INSTRUCTIONS,
        "input": [{"role": "user", "content": content}],
        "store": False,
        "metadata": {"rid": str(number)},
        "reasoning": {"effort": "none"},
        "text": {"format": {"type": "json_schema", **schema}},
    }


_TOOL: Figures = {
    "type": "function",
    "name": "set_labels",
    "parameters": {
        "type": "object",
        "additionalProperties": False,
        "required": ["answers"],
        "properties": {
            "answers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["id", "labels"],
                    "properties": {
                        "id": {"type": "string"},
                        "labels": {
                            "type": "array",
                            "items": {"type": "string", "enum": ["example", "noise"]},
                        },
                    },
                },
            }
        },
    },
}
_SESSION = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": INSTRUCTIONS,
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "name": "set_labels"},
    },
}


def _question(number: int) -> Figures:
    content = json.dumps({"chunks": [{"id": "ab3f", "text": TEXT}]})
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": content}],
    }
    response = {"conversation": "none", "metadata": {"rid": str(number)}, "input": [item]}
    return {"type": "response.create", "event_id": f"e{number}", "response": response}


def summed(found: Sequence[Figures]) -> dict[str, Figures]:
    """Return each subject's medians, and its ratios to a bare loop inside the rounds.

    That is the loop over lanes for `responses-ws`, and the one over Realtime for all others.
    """
    bares = {(one["subject"], one["round"]): one for one in found if one["k"] == 1}
    result: dict[str, Figures] = {}
    for subject in dict.fromkeys(one["subject"] for one in found):
        mine = [one for one in found if one["subject"] == subject]
        own = BARE_LANES if subject.startswith(("responses-ws", BARE_LANES)) else BARE
        bare = {one["round"]: bares[own, one["round"]] for one in mine}
        ratios = [
            one["client_cpu_s_per_1000"] / bare[one["round"]]["client_cpu_s_per_1000"]
            for one in mine
        ]
        added = [one["latency_ms_p50"] - bare[one["round"]]["latency_ms_p50"] for one in mine]
        result[subject] = {
            name: _median(one[name] for one in mine)
            for name in (
                "client_cpu_s_per_1000",
                "service_cpu_s_per_1000",
                "service_core_share",
                "chunks_per_s",
                "latency_ms_p50",
                "latency_ms_p99",
            )
        } | {
            "lost": sum(one["lost"] for one in mine),
            "client_cpu_to_bare": round(statistics.median(ratios), 2),
            "latency_ms_p50_above_bare": round(statistics.median(added), 3),
            "service_below_limit": statistics.median(one["service_core_share"] for one in mine)
            < CORE_LIMIT,
        }
    return result


def _median(values: Iterator[float]) -> float:
    return round(statistics.median(values), 4)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@contextmanager
def service(latency_ms: float) -> Iterator[tuple[str, int]]:
    """Run the simulated service in a child process; yield its base URL and process id."""
    command = [sys.executable, "-m", "analysis", "simulate", "--canned"]
    command += ["--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            _pin(1, child.pid)
            yield child.stdout.readline().strip().removeprefix("base_url="), child.pid
        finally:
            child.send_signal(signal.SIGTERM)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pin(core: int, pid: int = 0) -> None:
    """Keep a process on one core, if there are two."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


if __name__ == "__main__":
    sys.exit(main())
