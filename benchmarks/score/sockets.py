"""The same scheduler over real sockets: against the local service, and two processes at once.

io. `makespan` calls it. Service and clients run in processes of their own; each run meets a new
service. Beside each figure stands the one of virtual time with the same numbers, whose sizes of
requests are those that the local service counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.score import constants
from benchmarks.score.constants import Regime, Sizes
from benchmarks.score.entrants import play_planned
from benchmarks.score.local import Client, clients, service, service_options
from benchmarks.score.market import Market, bound_of
from benchmarks.score.stage import Run
from benchmarks.score.table import goal_lines, reached

RUNS = 3
"""Real runs of each regime, unless it asks for more."""
PROBES = (("rest", 1), ("responses-ws", 1), ("responses-ws", 10), ("responses-ws", 20))
"""Routes and chunks of the requests whose size is asked for."""
PAIRED = ("rpm", "tpm")
"""Regimes that two processes share."""

Figures = dict[str, Any]
Row = tuple[int, int, int]
"""Chunks, input tokens and output tokens of a request, as the service counted them."""


def job_of(regime: Regime, base_url: str, seed: int, part: range | None = None) -> Figures:
    """Return a client's job: a regime, or some of its chunks."""
    part = range(regime.chunks) if part is None else part
    return {
        "base_url": base_url,
        "routes": ",".join(way.name for way in regime.ways),
        "first": part.start,
        "count": len(part),
        "characters": regime.characters,
        "pack": None,
        "seed": seed,
        "settings": {"timeout_s": regime.timeout_s},
    }


def sizes_of(rows: Sequence[Row]) -> Sizes:
    """Return the sizes behind requests of 1, 10 and 20 chunks."""
    (one, one_in, _), (few, few_in, few_out), (many, many_in, many_out) = sorted(rows)
    per_chunk = (many_in - few_in) / (many - few)
    per_answer = (many_out - few_out) / (many - few)
    instruction = many_in - many * per_chunk
    chunk = (one_in - instruction) / one
    return Sizes(
        instruction=instruction,
        chunk=chunk,
        extra_per_chunk=per_chunk - chunk,
        output_per_chunk=per_answer,
        output_per_request=many_out - many * per_answer,
    )


def measured(regime: Regime, client: Client) -> Regime:
    """Return a regime with the sizes that the local service counts.

    The client has imported what every route needs then, which no run should pay for.
    """
    with TemporaryDirectory() as folder:
        log = Path(folder) / "payments.jsonl"
        with service(["--canned", f"--payment-log={log}"]) as base_url:
            for routes, pack in PROBES:
                job = job_of(regime, base_url, 0, range(pack))
                client.ask({**job, "routes": routes, "pack": pack})
                client.hear()
        paid = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows = {one["chunks"]: (one["input_tokens"], one["output_tokens"]) for one in paid}
    return replace(regime, sizes=sizes_of([(count, *tokens) for count, tokens in rows.items()]))


def over_sockets(regime: Regime, seed: int, running: Sequence[Client]) -> list[Figures]:
    """Let clients do a regime's job in equal parts, at once; return what each says.

    The first one's `seconds` are those from the common start to the last end.
    """
    count = len(running)
    edges = [regime.chunks * place // count for place in range(count + 1)]
    with service(service_options(regime, seed)) as base_url:
        began = time.perf_counter()
        for place, client in enumerate(running):
            part = range(edges[place], edges[place + 1])
            client.ask(job_of(regime, base_url, seed + place, part))
        found = [client.hear() for client in running]
        took = time.perf_counter() - began
    return [{**one, "took_s": took} for one in found]


def middle(values: Sequence[float]) -> float:
    """Return the median, rounded for people."""
    return round(median(values), 3)


def summarize(regime: Regime, runs: Sequence[Figures], simulated: Sequence[Run]) -> Figures:
    """Return the figures of a regime over sockets beside those on virtual time."""
    bound_s = bound_of(Market(regime, 0))
    seconds, virtual = [run["seconds"] for run in runs], [run.makespan_s for run in simulated]
    share = middle(seconds) / median(virtual)
    return {
        "name": regime.name,
        "title": regime.title,
        "bound_s": round(bound_s, 3),
        "seconds": [round(one, 3) for one in seconds],
        "ratio": round(median(seconds) / bound_s, 3),
        "simulated_ratio": round(median(virtual) / bound_s, 3),
        "cpu_s": middle([run["cpu_s"] for run in runs]),
        "requests": middle([run["requests"] for run in runs]),
        "simulated_requests": middle([run.requests for run in simulated]),
        "limited": middle([run["limited"] for run in runs]),
        "simulated_limited": middle([run.limited for run in simulated]),
        "lost": sum(run["lost"] for run in runs),
        "goals": [
            reached("sockets / simulated", constants.SOCKET_GOAL, round(share, 3)),
            reached("lost chunks", 0, sum(run["lost"] for run in runs)),
        ],
    }


def measure(names: Sequence[str], seeds: Sequence[int], runs: int = RUNS) -> list[Figures]:
    """Play regimes over sockets and on virtual time.

    Args:
        names: Of the regimes.
        seeds: For virtual time; the real runs take the first of them.
        runs: Real runs of each regime.
    """
    found = []
    with clients(1) as (client,):
        for template in constants.SHORT_REGIMES:
            if template.name in names:
                regime = measured(template, client)
                count = max(runs, regime.least_seeds)
                real = [over_sockets(regime, seed, [client])[0] for seed in seeds[:count]]
                virtual = [play_planned(regime, seed) for seed in seeds]
                found.append(summarize(regime, real, virtual))
                show(lines(found[-1]), found[-1])
    return found


def measure_pair(seeds: Sequence[int], runs: int = RUNS) -> list[Figures]:
    """Let two processes share one account, and one have it to itself, with the same job."""
    found = []
    with clients(2) as both:
        for template in constants.SHORT_REGIMES:
            if template.name in PAIRED:
                regime = [measured(template, client) for client in both][-1]
                alone = [over_sockets(regime, seed, both[:1]) for seed in seeds[:runs]]
                shared = [over_sockets(regime, seed, both) for seed in seeds[:runs]]
                found.append(summarize_pair(regime, alone, shared))
                show(pair_lines(found[-1]), found[-1])
    return found


def summarize_pair(
    regime: Regime, alone: Sequence[Sequence[Figures]], shared: Sequence[Sequence[Figures]]
) -> Figures:
    """Return the figures of runs in one process beside those in two."""
    one_s, two_s = (median(run[0]["took_s"] for run in runs) for runs in (alone, shared))
    firsts = [min(one["seconds"] for one in run) / run[0]["took_s"] for run in shared]
    lost = sum(one["lost"] for runs in (alone, shared) for run in runs for one in run)
    return {
        "name": regime.name,
        "title": regime.title,
        "alone_s": round(one_s, 3),
        "together_s": round(two_s, 3),
        "alone_limited": middle([sum(one["limited"] for one in run) for run in alone]),
        "together_limited": middle([sum(one["limited"] for one in run) for run in shared]),
        "first_end_share": middle(firsts),
        "lost": lost,
        "goals": [
            reached("two processes / one", constants.PAIR_GOAL, round(two_s / one_s, 3)),
            reached("lost chunks", 0, lost),
        ],
    }


def show(found: Sequence[str], figures: Figures) -> None:
    """Print the figures of a regime, the goals beside them."""
    print("\n".join([*found, *goal_lines(figures["goals"])]), flush=True)


def lines(one: Figures) -> list[str]:
    """Return the figures of a regime over sockets for people."""
    return [
        f"sockets {one['name']}: {one['title']}; {len(one['seconds'])} runs, bound "
        f"{one['bound_s']:.1f} s",
        f"  / bound {one['ratio']:.2f}, simulated {one['simulated_ratio']:.2f}; requests "
        f"{one['requests']:.0f}, {one['simulated_requests']:.0f}; 429s {one['limited']:.0f}, "
        f"{one['simulated_limited']:.0f}; CPU {one['cpu_s']:.2f} s; lost {one['lost']}",
    ]


def pair_lines(one: Figures) -> list[str]:
    """Return the figures of two processes for people."""
    return [
        f"pair {one['name']}: {one['title']}",
        f"  one process {one['alone_s']:.1f} s and {one['alone_limited']:.0f} 429s, two "
        f"{one['together_s']:.1f} s and {one['together_limited']:.0f}; the first of them was done "
        f"after {one['first_end_share']:.0%}; lost {one['lost']}",
    ]
