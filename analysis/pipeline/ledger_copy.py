"""A private copy of a ledger, in which a run can be planned without a trace in the ledger itself.

io. A dry run prepares on it exactly what the run would prepare. The ledger may be in use.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from analysis.errors import LedgerError
from analysis.pipeline.ledger_reading import reading


@contextlib.contextmanager
def copied(ledger: Path) -> Iterator[Path]:
    """Give the path of a copy for as long as the context is open; no file, if there is no ledger.

    Raises:
        LedgerError: If the ledger cannot be read, or the copy cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="semfn-") as folder:
        copy = Path(folder) / ledger.name
        if ledger.exists():
            with reading(ledger) as held, contextlib.closing(sqlite3.connect(copy)) as target:
                try:
                    held.copy_to(target)
                except sqlite3.Error as error:
                    raise LedgerError(
                        f"{ledger} cannot be copied to the folder for temporary files ({error}). "
                        "Make room there, or set TMPDIR to another folder."
                    ) from error
        yield copy
