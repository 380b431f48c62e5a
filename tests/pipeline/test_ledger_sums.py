"""What unknown requests may have cost at most."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.pipeline.ledger_rows import RouteTotals, UnknownRequests
from analysis.records import GIVEN_UP, Ending, Usage
from tests.pipeline.ledger_samples import (
    ASK,
    answer,
    chunk,
    done,
    labeled,
    make_schema_1,
    opened,
    request,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.mark.asyncio
async def test_unknown_requests_are_bounded_by_their_estimates(path: Path) -> None:
    """By route and model as asked for: estimated input, and the cap of the output."""
    one, two = chunk("1"), chunk("2")
    bound = replace(ASK, estimated_input_tokens=500, max_output_tokens=60)
    with opened(path) as ledger:
        await answer(ledger, "r0", (one, labeled(one)))
        await ledger.intend(replace(request("r1", one, two), ask=bound))
        await ledger.intend(request("r2", one, route="realtime", model="x"))
        await ledger.intend(request("r3", one))
        await ledger.settle(replace(done("r3"), ending=Ending.UNKNOWN, usage=Usage()))
        await ledger.intend(request("r4", one))
        loser = replace(done("r4"), ending=Ending.UNKNOWN, code=GIVEN_UP, usage=Usage())
        await ledger.settle(loser)
        assert UnknownRequests(requests=0, chunks=0) == ledger.unknown_requests()
        now = ledger.unknown_requests(with_this_run=True)
    expected = UnknownRequests(
        requests=3,
        chunks=4,
        possible=(
            RouteTotals(
                route="realtime",
                model="x",
                requests=1,
                chunks=1,
                usage=Usage(input_tokens=10, output_tokens=80),
            ),
            RouteTotals(
                route="rest",
                model="m",
                requests=2,
                chunks=3,
                usage=Usage(input_tokens=510, output_tokens=140),
            ),
        ),
    )
    assert expected == now
    with opened(path) as ledger:
        assert expected == ledger.unknown_requests()


def test_requests_of_an_older_program_are_unbounded_and_counted(path: Path) -> None:
    """Their tokens were not recorded, and nobody makes them up."""
    make_schema_1(path)
    with opened(path) as ledger:
        unknown = ledger.unknown_requests()
    assert (1, 1, 1) == (unknown.requests, unknown.chunks, unknown.unestimated)
    assert [Usage()] == [each.usage for each in unknown.possible]


@pytest.mark.asyncio
async def test_the_sums_of_a_source_begin_where_it_was_asked_afresh(path: Path) -> None:
    """Requests with billed tokens by route and model, and all of them by state."""
    one = chunk("1")
    for name, is_fresh, counted in (("r1", False, 1), ("r2", False, 2), ("r3", True, 1)):
        with opened(path, fresh=is_fresh) as ledger:
            await answer(ledger, name, (one, labeled(one)))
            await ledger.intend(request(f"{name}-refused", one))
            no = replace(done(f"{name}-refused"), ending=Ending.REFUSED, usage=Usage())
            await ledger.settle(no)
            (found,), states = ledger.totals_of("in.csv")
            assert ((), {}) == ledger.totals_of("another")
        assert {"done": counted, "refused": counted} == states
        single = done(name).usage
        assert (counted, counted * single.input_tokens) == (
            found.requests,
            found.usage.input_tokens,
        )


@pytest.mark.asyncio
async def test_requests_are_counted_by_how_they_ended(path: Path) -> None:
    """What was never sent counts as no request of its route; codes are those of this run."""
    one = chunk("1")
    endings = (
        ("refused", "rate_limit", Ending.REFUSED),
        ("lost", "timeout", Ending.UNKNOWN),
        ("twice", GIVEN_UP, Ending.UNKNOWN),
        ("kept", "", Ending.UNSENT),
    )
    for code in ("server_error", "rate_limit"):
        with opened(path) as ledger:
            for name, given, ending in endings:
                await ledger.intend(request(f"{name} {code}", one))
                last = replace(done(f"{name} {code}"), ending=ending, usage=Usage(), model=None)
                shown = code if name == "refused" else given
                await ledger.settle(replace(last, code=shown))
            found = ledger.totals()
    (entry,) = found.run
    assert (3, 1, 1, 1) == (entry.requests, entry.refused, entry.lost, entry.given_up)
    assert ({"rate_limit": 1}, {"timeout": 1}) == (found.refusals, found.losses)
    assert (6, 2, 2) == (found.overall[0].requests, found.overall[0].refused, found.runs)
    assert 1 == found.run_states["unsent"]
