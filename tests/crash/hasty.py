"""Labels a file like `semfn run`, but sends requests a second time as soon and often as can be.

    python -m tests.crash.hasty IN OUT ROUTE REQUESTS_AT_ONCE CHUNKS_PER_REQUEST

`kill.py` starts it and kills it.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from analysis import analyze_file
from analysis.settings import SETTINGS

HASTY = replace(
    SETTINGS,
    hedge_unknown_s=0.1,
    hedge_blind=1.1,
    hedge_quantile=0.5,
    hedge_floor=1.0,
    hedge_share=1.0,
    hedge_extra=1_000,
    retry_tokens=10_000,
)


def main() -> int:
    """Label the file; returns the exit code of the run."""
    source, target, route, in_flight, pack = sys.argv[1:]
    summary = analyze_file(
        source,
        target,
        topic="crashes",
        route=route,
        max_concurrent=int(in_flight),
        max_chunks_per_request=int(pack),
        settings=HASTY,
    )
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main())
