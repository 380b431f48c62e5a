"""How runs of earlier versions named the endpoint in the keys of rows: host with port.

io: reads ledgers. Now the key holds the host alone, so that the same service on another port is
the same one. A ledger that has runs with the other form keeps it, and what it holds is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from analysis.errors import LedgerError
from analysis.pipeline.ledger_reading import reading

ENDPOINT = "endpoint"


def as_recorded(ledger: Path, run_key: Mapping[str, str]) -> Mapping[str, str]:
    """Return a run key with the endpoint as the last run of a ledger at this host names it.

    Args:
        ledger: Of the run; it may be missing. What is wrong with it is told when it is opened.
        run_key: See `Analyzer.run_key`.
    """
    if not ledger.exists():
        return run_key
    try:
        with reading(ledger) as held:
            found = held.endpoints()
    except LedgerError:
        return run_key
    named = [one for one in found if is_at(run_key[ENDPOINT], one)]
    return {**run_key, ENDPOINT: named[0]} if named else run_key


def other_forms(
    ledgers: Iterable[str | os.PathLike[str]], run_key: Mapping[str, str], host: str
) -> list[Mapping[str, str]]:
    """Return run keys that differ by the form of the endpoint only, as ledgers have them.

    Args:
        ledgers: To be reused.
        run_key: The key of the run, as its own ledger has it.
        host: The host without a port.

    Raises:
        LedgerError: If a ledger cannot be read.
    """
    names = {host}
    for ledger in ledgers:
        with reading(ledger) as held:
            names.update(one for one in held.endpoints() if is_at(host, one))
    return [{**run_key, ENDPOINT: name} for name in sorted(names - {run_key[ENDPOINT]})]


def is_at(host: str, endpoint: str) -> bool:
    """Tell whether an endpoint is this host, with a port or without."""
    name, _, port = endpoint.rpartition(":")
    return endpoint == host or (name == host and port.isdigit())
