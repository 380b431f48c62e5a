"""The file in which a run tells of itself: written whole or not at all, and told apart.

io. pipeline/run.py writes it at its end.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from analysis.errors import LedgerError
from analysis.pipeline.dialect import cause
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import RunSummary

_TOLD = ("exit_code", "min_confidence")


def is_told(path: Path, summary: RunSummary) -> bool:
    """Tell whether the summary that is there is whole and tells of the same end."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):  # a process died before it was written
        return False
    return isinstance(found, dict) and all(
        found.get(name) == getattr(summary, name) for name in _TOLD
    )


def rows_replaced(paths: RunPaths, rows: int) -> int:
    """Return how many rows the outputs of the run before have, if they are more than these.

    0 where they are not, where an output is missing, or where that run stopped or is not known.
    """
    try:
        found = json.loads(paths.results.read_bytes())
        before = 0 if found["stopped"] else int(found["rows"])
    except (OSError, ValueError, TypeError, KeyError):  # no results, or not ours
        return 0
    return before if before > rows and all(path.is_file() for path in paths.outputs) else 0


def write_results(target: Path, summary: RunSummary) -> None:
    """Put the summary in its place.

    Raises:
        LedgerError: If it cannot be written.
    """
    text = summary.to_json()
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:  # unsynced it could be empty after a power cut
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, target)
    except OSError as error:
        raise LedgerError(
            f"Cannot write the summary {target}: {cause(error)}. Make room or mend the disk, "
            "then run the same command again."
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
