"""Plays many more seeded runs than the tests do: `python -m tests.simulation.soak --seeds 20000`.

Prints violations as k/n with the seeds at fault, which replay; exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.invariants import check_all
from tests.simulation.test_scheduler_runs import play, scenario_of


def main() -> int:
    """Play the seeds and report; 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=20_000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    broken = 0
    for seed in range(options.first, options.first + options.seeds):
        scenario = scenario_of(seed)
        try:
            check_all(scenario, play(scenario, seed))
        except AssertionError as error:
            broken += 1
            print(f"seed {seed}: {error}")
    print(f"{broken}/{options.seeds} runs broke an invariant")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
