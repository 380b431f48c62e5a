"""Labels a file like `semfn run`, and notes each label in a file once it is told of it.

    python -m tests.crash.told IN OUT ROUTE REQUESTS_AT_ONCE CHUNKS_PER_REQUEST TOLD

A line is `ID LABEL`, the last one `finished`. What stands there was promised to somebody, so it has
to outlive everything. `power.py` starts it under strace.
"""

from __future__ import annotations

import os
import sys

from analysis import analyze_file
from analysis.hooks import Hooks
from analysis.records import Labeled, Verdict


def main() -> int:
    """Label the file; returns the exit code of the run."""
    source, target, route, in_flight, pack, told = sys.argv[1:]
    notes = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def note(verdict: Verdict) -> None:
        if isinstance(verdict, Labeled):
            os.write(notes, f"{verdict.chunk_id} {verdict.labels[0]}\n".encode())

    summary = analyze_file(
        source,
        target,
        topic="crashes",
        route=route,
        max_concurrent=int(in_flight),
        max_chunks_per_request=int(pack),
        overwrite=True,
        hooks=Hooks(on_verdict=note),
    )
    os.write(notes, b"finished\n")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main())
