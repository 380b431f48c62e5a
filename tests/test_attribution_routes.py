"""Every route under fire: no label is lost or another chunk's, every wait ends, nothing is left.

1,000 chunks for each route; `python -m tests.attribution` does the same with 10,000. The second
half plants what must be found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from analysis.records import Reply, Request
from analysis.simulator.faults import FAULTS
from analysis.transport import Transport
from tests.attribution.count import Count
from tests.attribution.crossing import Crossing, Exchange, labels_only, whole
from tests.attribution.play import Wrap, play
from tests.attribution.suites import SUITES, Suite
from tests.virtual_loop import virtual

every_suite = pytest.mark.parametrize("name", SUITES)

NAMES_OF_REFUSALS = {"overloaded": "server_is_overloaded"}
"""Fault -> the code under which a client meets it, where that is another one."""


def without_faults(name: str) -> Suite:
    """Return a suite whose service does everything right."""
    return replace(SUITES[name], faults={})


def assert_sessions_came_and_went(found: Count) -> None:
    """Sockets were replaced by plan, were lost, fell silent, and brought what nobody asked for."""
    told = found.connections
    begun = found.sessions - told["connections"]  # each client may close while it opens one
    assert 0 <= begun <= 2
    assert 1 <= told["rotations"] < told["connections"]
    assert 1 <= told["reconnects"]
    assert 1 <= told["silences"]
    assert 1 <= told["late_replies"]
    assert 1 <= told["violations unknown_reply"]


@every_suite
@virtual
async def test_a_thousand_chunks_under_fire(name: str) -> None:
    """Two clients, three jobs each, every fault of the route, sessions that end all the time."""
    suite = SUITES[name]
    found = await play(suite, chunks=1_000, seed=1)
    assert {} == found.problems()
    assert 1_000 == found.labelled + len(found.given_up)
    assert 20 > len(found.given_up)
    assert {suite.served_as} == found.payments.keys()
    expected = {NAMES_OF_REFUSALS.get(fault, fault) for fault in suite.faults}
    assert expected == found.faults.keys()
    assert 0 < found.again_spoilt
    assert 0 < found.again_unknown
    assert 100 < found.read_of_others
    if found.sessions:
        assert_sessions_came_and_went(found)


@every_suite
@virtual
async def test_requests_that_are_sent_twice_all_the_time(name: str) -> None:
    """Under fire, with a copy of every request that takes longer than the half of them."""
    found = await play(SUITES[name], chunks=200, seed=3, is_hasty=True)
    assert {} == found.problems()
    assert 200 == found.labelled + len(found.given_up)
    assert 10 <= found.copies
    assert 1 <= found.endings["unknown given_up"]


def test_every_fault_is_met_by_some_route() -> None:
    """But for the one that closes the account, since nothing comes after it."""
    met = {fault for suite in SUITES.values() for fault in suite.faults}
    assert FAULTS.keys() - {"quota"} == met


@every_suite
@virtual
async def test_without_faults_everything_is_paid_once(name: str) -> None:
    """What is paid twice under fire is paid for the fire, and not for two clients at work."""
    found = await play(without_faults(name), chunks=200, seed=1)
    assert {} == found.problems()
    assert (200, [], 0) == (found.labelled, found.given_up, found.again_spoilt)


# What must be found


def crossings(exchange: Exchange, pairs: int) -> tuple[list[Crossing], Wrap]:
    """Return a wrap that crosses so many pairs of answers per client, and what it made."""
    made: list[Crossing] = []

    def wrap(inner: Transport) -> Transport:
        made.append(Crossing(inner, left=Counter(answers=2 * pairs), exchange=exchange))
        return made[-1]

    return made, wrap


@every_suite
@virtual
async def test_exchanged_answers_are_noticed_by_their_ids(name: str) -> None:
    """Pairs of requests get each other's answer: nobody believes it, and all ask again."""
    made, wrap = crossings(whole, pairs=4)
    found = await play(without_faults(name), chunks=200, seed=1, wrap=wrap)
    assert {} == found.problems()
    assert 200 == found.labelled
    exchanged = [name for one in made for name in one.exchanged if name.startswith("c")]
    assert 8 <= len(exchanged)
    assert len(exchanged) == found.again_spoilt


@every_suite
@virtual
async def test_labels_exchanged_below_the_ids_are_found_by_the_check(name: str) -> None:
    """No client can notice those, so that the count must."""
    made, wrap = crossings(labels_only, pairs=4)
    suite = without_faults(name)
    found = await play(suite, chunks=200, seed=1, wrap=wrap)
    exchanged = {name for one in made for name in one.exchanged}
    assert 8 <= len(exchanged)
    assert set(found.wrong) <= exchanged
    assert len(exchanged) - 3 <= len(found.wrong)


class Forgetful:
    """A transport that has an open connection when it was closed."""

    def __init__(self, inner: Transport) -> None:
        self.route = inner.route
        self.inner = inner

    async def open(self) -> None:
        """Open the route behind."""
        await self.inner.open()

    async def close(self) -> None:
        """Open the route behind, if it is not open."""
        await self.inner.open()

    async def ask(self, request: Request) -> Reply:
        """Ask."""
        return await self.inner.ask(request)


@every_suite
@virtual
async def test_connections_that_stay_open_are_found(name: str) -> None:
    """A transport that forgets to close leaves sockets, and says so nowhere else."""
    made: list[Forgetful] = []

    def wrap(inner: Transport) -> Transport:
        made.append(Forgetful(inner))
        return made[-1]

    found = await play(without_faults(name), chunks=20, seed=1, wrap=wrap)
    assert ["left"] == list(found.problems())
    assert found.left.sockets
    for one in made:
        await one.inner.close()
