"""How close does the scheduler come to the shortest time that the limits allow?

The real scheduler and the designs of common scripts send the same jobs to a simulated service on
virtual time, so every figure is simulated: it measures decisions, and neither machine nor model.
The part `scale` measures this machine, `sockets` the same scheduler over real sockets against the
local service, `pair` two processes with one account.

    python benchmarks/makespan.py                         all, ten minutes
    python benchmarks/makespan.py --regimes rpm,tpm --only ours --seeds 10 --set tuning

What is simulated stands in benchmarks/score/constants.py. Seeds of the set `unseen` are for the
score: nothing is tuned on them.

Writes performance_results/makespan_<UTC time>.json and a PNG where matplotlib is installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import __version__  # noqa: E402 (the checkout comes before an installed package)
from benchmarks.scale import machine  # noqa: E402
from benchmarks.score import constants, plot, scale, sockets, table  # noqa: E402
from benchmarks.score.constants import Regime  # noqa: E402
from benchmarks.score.entrants import ENTRANTS  # noqa: E402
from benchmarks.score.stage import Run  # noqa: E402

SETS = {"tuning": constants.TUNING_SEEDS, "unseen": constants.UNSEEN_SEEDS}
PARTS = ("score", "scale", "sockets", "pair")


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the tables and write the result; 1 if chunks were lost."""
    options = arguments(words)
    started = time.perf_counter()
    now = datetime.now(UTC)
    regimes = []
    if "score" in options.parts:
        chosen = [regime for regime in constants.ALL_REGIMES if regime.name in options.regimes]
        regimes = [score(regime, options) for regime in chosen]
    document: dict[str, Any] = {
        "question": "makespan / shortest time that the limits allow, on virtual time",
        "simulated": True,
        "command": " ".join(["python benchmarks/makespan.py", *shown(words)]),
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "seed_set": options.set,
        "constants": named_constants(),
        "regimes": regimes,
    }
    if "scale" in options.parts:
        document["scale"] = scale.measure()
        print_scale(document["scale"])
    seeds = SETS[options.set][: options.seeds or 30]
    if "sockets" in options.parts:
        document["sockets"] = sockets.measure(options.regimes, seeds, options.runs)
    if "pair" in options.parts:
        document["pair"] = sockets.measure_pair(seeds, options.runs)
    document["took_s"] = round(time.perf_counter() - started, 1)
    write(document, options.results, f"makespan_{now:%Y%m%dT%H%M%SZ}")
    ours = [one for regime in regimes for one in regime["contestants"] if "goals" in one]
    real = [*document.get("sockets", []), *document.get("pair", [])]
    is_bad = any(one["doubled"] for one in ours) or any(one["lost"] for one in [*ours, *real])
    return 1 if is_bad else 0


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    names = [regime.name for regime in constants.ALL_REGIMES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--regimes", type=list_of(names), default=names, help=",".join(names))
    parser.add_argument("--seeds", type=int, help="runs of each; by default 30, or 200 of small")
    parser.add_argument("--set", choices=sorted(SETS), default="unseen", help="which seeds")
    parser.add_argument(
        "--only", type=list_of(list(ENTRANTS)), default=list(ENTRANTS), help="contestants"
    )
    parser.add_argument("--parts", type=list_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--runs", type=int, default=sockets.RUNS, help="of each, over sockets")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    options = parser.parse_args(words)
    if options.seeds is not None and not 1 <= options.seeds <= len(SETS[options.set]):
        parser.error(f"--seeds is {options.seeds}; allowed: 1 to {len(SETS[options.set])}.")
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}; at least 1 is needed.")
    return options


def list_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a reader of a list of some of these names, separated by commas."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(names)}")
        return chosen

    return read


def score(regime: Regime, options: argparse.Namespace) -> dict[str, Any]:
    """Let every contestant play a regime; print its table and return its figures."""
    count = options.seeds or max(30, regime.least_seeds)
    seeds = SETS[options.set][:count]
    playing = [name for name in options.only if ENTRANTS[name].plays(regime)]
    played = {name: ENTRANTS[name].runs(regime, seeds) for name in playing}
    figures = [table.summarize(name, runs) for name, runs in played.items()]
    if figures:
        print("\n".join(table.regime_lines(regime, figures)))
    for one in figures:
        entrant, runs = ENTRANTS[one["contestant"]], played[one["contestant"]]
        if entrant.is_ours:
            one["goals"] = table.goals(
                regime, one, largest_pack=entrant.largest_pack, is_warm=entrant.is_warm
            )
            one["by_window"] = table.by_window(runs)
            one["per_seed"] = [per_seed(run) for run in runs]
            print(f"  {one['contestant']}:")
            print("\n".join(table.goal_lines(one["goals"])))
            print(table.window_line(one["by_window"]))
    print(flush=True)
    return {
        "name": regime.name,
        "title": regime.title,
        "goal": regime.goals.ratio,
        "seeds": [seeds[0], seeds[-1]],
        "contestants": figures,
    }


def per_seed(run: Run) -> dict[str, Any]:
    """Return what tells one run of a regime from the others."""
    return {
        "seed": run.seed,
        "window_s": run.window_s,
        "is_silent": run.is_silent,
        "ratio": round(run.ratio, 4),
        "own_ratio": round(run.own_ratio, 4),
        "limited": run.limited,
        "requests": run.requests,
        "cancelled": run.cancelled,
        "late": run.late,
    }


def named_constants() -> dict[str, Any]:
    """Return all that is simulated, by the names of the constants, as plain values."""
    found = {}
    for name, value in vars(constants).items():
        if name.isupper():
            found[name] = plain(value)
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, range):
        return [value.start, value.stop - 1]
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def print_scale(found: dict[str, Any]) -> None:
    """Print the table of the scheduler's own cost."""
    print("scale: one chunk per request, no limits; CPU of this machine")
    for row in found["rows"]:
        print(
            f"  {row['chunks']:>9,} chunks: {row['cpu_us_per_chunk']:6.2f} us of CPU per chunk "
            f"({row['with_making_us']:.2f} with making it), {row['wall_s']:.1f} s"
        )
    print("\n".join(table.goal_lines(found["goals"])))


def write(document: dict[str, Any], folder: Path, name: str) -> None:
    """Write the document, and the plot where there is something to draw and to draw with."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.json"
    target.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"Wrote {target.name}")
    if document["regimes"]:
        try:
            plot.draw(document, target.with_suffix(".png"))
        except ImportError:
            print("No plot: matplotlib is not installed (pip install semfn[plot]).")
        else:
            print(f"Wrote {target.stem}.png")


def shown(words: Sequence[str] | None) -> list[str]:
    """Return the words of the command without the folders of this machine."""
    return [Path(word).name for word in (sys.argv[1:] if words is None else words)]


if __name__ == "__main__":
    sys.exit(main())
