"""Is every label that of its own chunk, on every route, whatever the service does?

    python -m tests.attribution                              10,000 chunks per route
    python -m tests.attribution --chunks 1000 --seeds 20     less, more often
    python -m tests.attribution --hasty                      requests sent a second time, often
    python -m tests.attribution --clock real                 without the jumps of the clock

Client and a simulated service share one process and one event loop, by default one whose clock
jumps over waits. Every figure is simulated: it measures no model and no network. Writes
performance_results/attribution_<UTC time>.json; exit code 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis import __version__
from analysis.bench.report import machine
from tests.attribution.count import Count
from tests.attribution.play import play
from tests.attribution.suites import SUITES
from tests.virtual_loop import VirtualLoop

RESULTS = Path(__file__).resolve().parents[2] / "performance_results"

CLOCKS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "virtual": VirtualLoop,
    "real": asyncio.new_event_loop,
}

COLUMNS = ("labelled", "given_up", "wrong", "lost", "unended", "requests", "copies")


def main() -> int:
    """Play the suites, print a line for each and write the result; 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], help="by default all")
    parser.add_argument("--chunks", type=int, default=10_000, help="per suite and seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--hasty", action="store_true", help="send very many a second time")
    parser.add_argument("--clock", choices=CLOCKS, default="virtual")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    now = datetime.now(UTC)
    seeds = range(options.first, options.first + options.seeds)
    runs: list[dict[str, Any]] = []
    is_good = True
    for name in options.suites or SUITES:
        for seed in seeds:
            found = _played(name, seed=seed, options=options)
            runs.append({"suite": name, "seed": seed, **found.to_dict()})
            print(_line(runs[-1]), *(f"  {key}: {what}" for key, what in found.problems().items()))
            is_good &= not found.problems()
    document = {
        "question": "labels of a route under fire: wrong, lost, waits that never ended",
        "simulated": True,
        "command": " ".join(["python -m tests.attribution", *sys.argv[1:]]),
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "clock": options.clock,
        "is_hasty": options.hasty,
        "is_good": is_good,
        "faults_asked_for": {name: dict(suite.faults) for name, suite in SUITES.items()},
        "runs": runs,
    }
    options.results.mkdir(exist_ok=True)
    target = options.results / f"attribution_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {target.name}")
    return 0 if is_good else 1


def _played(name: str, *, seed: int, options: argparse.Namespace) -> Count:
    with asyncio.Runner(loop_factory=CLOCKS[options.clock]) as runner:
        played = play(SUITES[name], chunks=options.chunks, seed=seed, is_hasty=options.hasty)
        return runner.run(played)


def _line(run: dict[str, Any]) -> str:
    shown = " ".join(f"{column}={run[column]}" for column in COLUMNS)
    again = f"again={run['again_unknown']}+{run['again_spoilt']}"
    return f"{run['suite']:<14} seed={run['seed']} {shown} {again} seconds={run['loop_s']}"


if __name__ == "__main__":
    sys.exit(main())
