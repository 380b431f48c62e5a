"""Sums over the requests of a ledger: what was asked, billed, and may have been paid for nothing.

io: reads a connection that the caller holds. Only pipeline/ledger.py uses it.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from analysis.pipeline.ledger_rows import LedgerTotals, RouteTotals, UnknownRequests
from analysis.records import GIVEN_UP, Usage

_TOTALS = """
SELECT route, coalesce(reported_model, model) AS named, count(*), sum(chunks), sum(input_tokens),
    sum(cached_tokens), sum(written_tokens), sum(output_tokens), sum(reasoning_tokens),
    model, count(*) FILTER (WHERE state = 'refused'),
    count(*) FILTER (WHERE state IN ('unknown', 'intended') AND code <> :given_up),
    count(*) FILTER (WHERE state = 'unknown' AND code = :given_up)
FROM request WHERE run >= :since AND state <> 'unsent'
GROUP BY route, named, model ORDER BY route, named, model"""

_STATES = """
SELECT CASE WHEN state = 'unknown' AND code = :given_up THEN :given_up ELSE state END AS named,
    count(*)
FROM request WHERE run >= :since GROUP BY named"""

_CODES = """
SELECT state = 'refused', CASE state WHEN 'intended' THEN 'in_flight' ELSE code END AS named,
    count(*) AS number
FROM request WHERE run = :run AND state IN ('refused', 'unknown', 'intended') AND code <> :given_up
GROUP BY 1, named ORDER BY number DESC, named"""

_SENDING_RUNS = """
SELECT facts FROM run WHERE run IN (SELECT run FROM request WHERE state <> 'unsent')"""

_RUNS_OF = """run IN (SELECT run FROM run_input WHERE source = :source)
    AND run >= (SELECT coalesce(max(retired), 0) FROM verdict WHERE source = :source)"""
"""The runs over a source since it was asked afresh, if it was."""

_BILLED_OF = f"""
SELECT route, coalesce(reported_model, model) AS named, count(*), sum(chunks), sum(input_tokens),
    sum(cached_tokens), sum(written_tokens), sum(output_tokens), sum(reasoning_tokens)
FROM request WHERE {_RUNS_OF} AND input_tokens + output_tokens > 0
GROUP BY route, named ORDER BY route, named"""  # nosec B608

_STATES_OF = f"SELECT state, count(*) FROM request WHERE {_RUNS_OF} GROUP BY state"  # nosec B608

_TOKENS = len(Usage().to_dict())

_UNKNOWN = """
SELECT route, model, count(*), sum(chunks), coalesce(sum(estimated_tokens), 0),
    coalesce(sum(max_output_tokens), 0), count(*) - count(estimated_tokens)
FROM request
WHERE code <> :given_up AND (
    state = 'unknown' AND (run < :run OR :with_this_run)
    OR state = 'intended' AND run = :run AND :with_this_run)
GROUP BY route, model ORDER BY route, model"""


def totals(connection: sqlite3.Connection, run: int) -> LedgerTotals:
    """Return the sums of this run and of all runs."""
    late = connection.execute("SELECT late FROM run WHERE run = ?", (run,))
    codes = connection.execute(_CODES, {"run": run, "given_up": GIVEN_UP}).fetchall()
    sending = [json.loads(facts) for (facts,) in connection.execute(_SENDING_RUNS)]
    return LedgerTotals(
        run=_route_totals(connection, since=run),
        overall=_route_totals(connection, since=0),
        run_states=_states(connection, since=run),
        overall_states=_states(connection, since=0),
        late=late.fetchone()[0],
        refusals={code: count for is_refused, code, count in codes if is_refused},
        losses={code: count for is_refused, code, count in codes if not is_refused},
        runs=len(sending),
        tiers=tuple(sorted({facts.get("service_tier", "") for facts in sending})),
    )


def source_totals(
    connection: sqlite3.Connection, source: str | bytes
) -> tuple[tuple[RouteTotals, ...], dict[str, int]]:
    """Return what the requests of a source were billed, and how many are in each state.

    For a source whose runs have no other one. Requests before it was last asked afresh are left
    out. The first part counts those with billed tokens only.
    """
    asked = {"source": source}
    billed = tuple(map(_entry, connection.execute(_BILLED_OF, asked)))
    return billed, dict(connection.execute(_STATES_OF, asked).fetchall())


def unknown_requests(
    connection: sqlite3.Connection, run: int, *, with_this_run: bool
) -> UnknownRequests:
    """Return the requests without a known ending, of earlier runs or of this one, too."""
    asked = {"run": run, "with_this_run": with_this_run, "given_up": GIVEN_UP}
    rows = connection.execute(_UNKNOWN, asked).fetchall()
    possible = tuple(
        RouteTotals(
            route=route,
            model=model,
            requests=requests,
            chunks=chunks,
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
        )
        for route, model, requests, chunks, input_tokens, output_tokens, _ in rows
    )
    return UnknownRequests(
        requests=sum(each.requests for each in possible),
        chunks=sum(each.chunks for each in possible),
        possible=possible,
        unestimated=sum(row[-1] for row in rows),
    )


def _route_totals(connection: sqlite3.Connection, *, since: int) -> tuple[RouteTotals, ...]:
    found = connection.execute(_TOTALS, {"since": since, "given_up": GIVEN_UP})
    return tuple(map(_entry, found))


def _entry(row: tuple[Any, ...]) -> RouteTotals:
    route, model, requests, chunks, *rest = row
    tokens, tail = rest[:_TOKENS], rest[_TOKENS:]
    return RouteTotals(
        route=route,
        model=model,
        requests=requests,
        chunks=chunks,
        usage=Usage(**dict(zip(Usage().to_dict(), tokens, strict=True))),
        **dict(zip(("asked", "refused", "lost", "given_up"), tail, strict=False)),
    )


def _states(connection: sqlite3.Connection, *, since: int) -> dict[str, int]:
    return dict(connection.execute(_STATES, {"since": since, "given_up": GIVEN_UP}).fetchall())
