"""What the scheduler itself costs: CPU per chunk of jobs up to a million, memory per waiting chunk.

Reads the CPU clock and the allocator; the service here only takes half a virtual second.
`makespan` calls it.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import deque
from dataclasses import replace
from typing import Any

from analysis.control.decisions import Send, WaitUntil
from analysis.control.scheduler import Scheduler
from analysis.records import Chunk, Item, Pack, Usage
from analysis.settings import SETTINGS
from benchmarks.score import constants
from benchmarks.score.ours import LABEL, MODEL, costs_of, plans, windows

SIZES = (10_000, 100_000, 1_000_000)
REPEATS = {10_000: 5, 100_000: 2}
"""Short runs are repeated and the fastest one counts; longer ones need no repetition."""
LATENCY_S = 0.5
WAITING = 20_000
UNPACED = replace(SETTINGS, requests_per_minute=10_000_000, tokens_per_minute=10_000_000_000)
USED = Usage(input_tokens=750, output_tokens=12)

CPU_GOAL_US = 20.0
TIME_GOAL_S = 120.0
FLAT_GOAL = 1.10
MEMORY_GOAL_BYTES = 1_000


def new_scheduler(count: int) -> Scheduler:
    """Return a scheduler that no limit holds back."""
    ids = iter(range(10 * count))
    return Scheduler(
        plans(constants.WAYS),
        cost_of=costs_of(constants.SIZES),
        rng=random.Random(0),
        new_id=lambda: str(next(ids)),
        notify=lambda name, message, fields: None,
        now=0.0,
        settings=UNPACED,
    )


def drive(count: int) -> int:
    """Label so many chunks, one per request, and return how many got a verdict."""
    scheduler, packs = new_scheduler(count), windows(count, 1, UNPACED)
    room = UNPACED.queue_packs + sum(way.in_flight for way in constants.WAYS)
    flights: deque[tuple[float, Send]] = deque()
    now, unread, settled = 0.0, 0, 0
    while True:
        while unread < room and (pack := next(packs, None)) is not None:
            scheduler.offer(pack, now=now)
            unread += 1
        while isinstance(decision := scheduler.poll(now=now), Send):
            flights.append((now + LATENCY_S, decision))
        if not flights and not isinstance(decision, WaitUntil):
            return settled
        now, send = flights.popleft()
        verdicts = scheduler.on_answer(
            send.request_id,
            labels={item.ticket: LABEL for item in send.pack.items},
            defect=None,
            note="",
            usage=USED,
            model=MODEL,
            latency_s=LATENCY_S,
            now=now,
        )
        settled += len(verdicts)
        unread -= len(verdicts)


def cpu_s(count: int) -> tuple[float, float]:
    """Return CPU and wall seconds of labelling so many chunks, their making included."""
    wall, cpu = time.perf_counter(), time.process_time()
    settled = drive(count)
    seconds = time.process_time() - cpu, time.perf_counter() - wall
    if settled != count:
        raise SystemExit(f"{settled} of {count} chunks got a verdict")
    return seconds


def making_s(count: int) -> float:
    """Return CPU seconds of making and cutting so many chunks without a scheduler."""
    cpu = time.process_time()
    for _ in windows(count, 1, UNPACED):
        continue
    return time.process_time() - cpu


def waiting_bytes(count: int) -> float:
    """Return the memory that each waiting chunk takes beside the chunk itself."""
    chunks = [Chunk(id=f"c{number}", text="x") for number in range(count)]
    scheduler = new_scheduler(count)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number, chunk in enumerate(chunks):
        item = Item(ticket=number, chunk=chunk, tokens=1)
        scheduler.offer(Pack(items=(item,)), now=0.0)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def measure(sizes: tuple[int, ...] = SIZES, waiting: int = WAITING) -> dict[str, Any]:
    """Return CPU per chunk for each size, memory per waiting chunk, and the goals beside them."""
    rows = []
    for count in sizes:
        trials = [cpu_s(count) for _ in range(REPEATS.get(count, 1))]
        cpu, wall = min(trials)
        making = min(making_s(count) for _ in range(REPEATS.get(count, 1)))
        rows.append(
            {
                "chunks": count,
                "cpu_us_per_chunk": round((cpu - making) / count * 1e6, 2),
                "with_making_us": round(cpu / count * 1e6, 2),
                "wall_s": round(wall, 2),
            }
        )
    costs = [row["cpu_us_per_chunk"] for row in rows]
    memory = waiting_bytes(waiting)
    reached = (
        ("CPU per chunk at k=1, us", CPU_GOAL_US, max(costs)),
        ("largest job, wall s", TIME_GOAL_S, rows[-1]["wall_s"]),
        ("CPU per chunk, largest / smallest", FLAT_GOAL, round(max(costs) / min(costs), 3)),
        ("bytes per waiting chunk", MEMORY_GOAL_BYTES, round(memory)),
    )
    return {
        "rows": rows,
        "goals": [
            {"what": what, "at_most": at_most, "measured": value, "reached": value <= at_most}
            for what, at_most, value in reached
        ],
    }
