"""Plays many more seeded runs than the tests do: `python -m tests.simulation.soak --seeds 20000`.

Prints how many facts each invariant looked at, the runs that broke one with their seeds, and how
to play one of them again; exit code 1 if there is one. With `--trace` every entry is printed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.simulation.invariants import INVARIANTS, check_all, name_of
from tests.simulation.seeds import scenario_of
from tests.simulation.world import World


def main() -> int:
    """Play the seeds and report; 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=20_000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trace", action="store_true", help="print what happens in each run")
    options = parser.parse_args()
    facts: Counter[str] = Counter()
    broken: dict[int, str] = {}
    for seed in range(options.first, options.first + options.seeds):
        if (problem := played(seed, facts, has_trace=options.trace)) is not None:
            broken[seed] = problem
            print(f"seed {seed}: {problem}", flush=True)
    for invariant in INVARIANTS:
        name = name_of(invariant)
        failed = sum(problem.startswith(f"{name}:") for problem in broken.values())
        print(f"{name:50} {facts[name]:12,} facts, {failed} runs broke it")
    print(f"{len(broken)}/{options.seeds} runs broke an invariant")
    for seed in list(broken)[:1]:
        print(f"again: python -m tests.simulation.soak --first {seed} --seeds 1 --trace")
    return 1 if broken else 0


def played(seed: int, facts: Counter[str], *, has_trace: bool) -> str | None:
    """Play a seed; return what was broken, with the name of the invariant first, or None."""
    scenario = scenario_of(seed)
    world = World(scenario, seed)
    try:
        facts.update(check_all(scenario, world.run()))
    except AssertionError as error:
        notes = [note.removeprefix("broken: ") for note in getattr(error, "__notes__", ())]
        return f"{notes[0] if notes else 'the run itself'}: {error}"
    finally:
        if has_trace:
            print(scenario)
            print(*(entry.shown() for entry in world.trace), sep="\n")
    return None


if __name__ == "__main__":
    sys.exit(main())
