"""One request goes before the crowd where the cache that it fills saves more than waiting costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.control.decisions import Finished, Send, WaitUntil
from analysis.control.spending import Rates
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    ModelRefused,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Ending, StopCause, Usage
from analysis.settings import SETTINGS, Settings
from tests.control.bench import LOST, UNREACHED, Bench
from tests.control.parcels import TOKENS, ids_of

RATES = Rates(input=2.0, cached=0.2, written=2.5, output=10.0)
PREFIX = 1_200
ALWAYS = replace(SETTINGS, warm_share=1.0, warm_least_usd=0.0)
"""Any wait that saves anything and is not longer than the work itself is worth while."""

WAIT_S = SETTINGS.warm_patience * (SETTINGS.latency_prior_s + SETTINGS.latency_prior_per_chunk_s)
NAMES = "abcdefgh"


def cold(
    *models: str,
    settings: Settings = ALWAYS,
    prefixes: tuple[int, ...] = (PREFIX, PREFIX, PREFIX),
    rates: Rates | None = RATES,
    accounts: str = "kkk",
    names: str = NAMES,
    foreseen: int = 100,
) -> Bench:
    """Return a bench whose routes cache a prefix, with requests for single chunks queued."""
    bench = Bench(
        *models, settings=settings, prefixes=prefixes, rates=rates, accounts=accounts, limit=4
    )
    bench.scheduler.foresee(foreseen)
    bench.offer(*names)
    return bench


def test_the_others_wait_for_the_first_answer() -> None:
    """Then all go that have a place; asked again, the wait is the same and told once."""
    bench = cold("m")
    first = bench.send()
    assert [WaitUntil(WAIT_S)] * 3 == [bench.poll() for _ in range(3)]
    assert ["cache_awaited"] == bench.told
    bench.now = 0.5
    bench.answer(first)
    assert [("r0", name) for name in "bcde"] == bench.sends()


def test_without_a_cache_all_go_at_once() -> None:
    """Also where no price is known, or a read is not cheaper than a write."""
    free = Rates(input=0.0, cached=0.0, written=0.0, output=0.0)
    dear = Rates(input=1.0, cached=1.0, written=1.0, output=1.0)
    for bench in (
        cold("m", prefixes=(0,)),
        cold("m", rates=None),
        cold("m", rates=free),
        cold("m", rates=dear),
    ):
        assert 4 == len(bench.sends())
        assert [] == bench.told


def test_a_first_request_that_hangs_is_not_waited_for_forever() -> None:
    """The others go after a multiple of the expected latency, and nobody waits anew."""
    bench = cold("m")
    hanging = bench.send()
    bench.now = WAIT_S
    assert [("r0", name) for name in "bcd"] == bench.sends()
    bench.fail(hanging, TransportError("too late", ending=Ending.UNKNOWN))
    assert isinstance(bench.poll(), Send)


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        TransportError("500", ending=Ending.REFUSED),
        ModelRefused("no"),
        RequestRejected("bad", code="invalid_request_error"),
    ],
)
def test_a_first_request_that_fails_holds_nobody_back(error: AnalysisError) -> None:
    """The crowd goes at once; none of it is waited for, also not the retry."""
    bench = cold("m")
    bench.fail(bench.send(), error)
    assert 4 == len(bench.sends())


def test_after_a_refusal_by_a_limit_only_the_limit_is_waited_for() -> None:
    """The pause is the service's; what was refused counts no attempt."""
    bench = cold("m")
    bench.fail(bench.send(), RateLimited("slow", retry_after_s=1.0))
    again = bench.next_send()
    assert 1 == again.attempt
    assert 1.0 <= bench.now <= 1.1
    assert ["rate_limited"] == bench.told
    bench.now += 1.0
    assert isinstance(bench.poll(), Send)


def test_a_refused_key_stops_the_run_as_ever() -> None:
    """The waiting chunks are given up, none is sent."""
    bench = cold("m")
    first = bench.send()
    assert WaitUntil is type(bench.poll())
    bench.fail(first, AccountClosed("no such key", code="invalid_api_key"))
    assert Finished() == bench.poll()
    assert NAMES == "".join(item.chunk.id for item, _ in bench.scheduler.take_abandoned())


def test_a_void_answer_has_filled_the_cache_too() -> None:
    """The service has read the prompt."""
    bench = cold("m")
    bench.answer(bench.send(), defect="malformed_reply", names="")
    assert 4 == len(bench.sends())


def test_a_cancelled_first_request_ends_the_wait() -> None:
    """Whoever wanted it has gone."""
    bench = cold("m")
    first = bench.send()
    bench.scheduler.cancel(first.request_id, was_sent=False, now=0.0)
    assert 4 == len(bench.sends())


def test_a_run_that_is_stopped_while_it_waits_ends_with_the_first_answer() -> None:
    """What is paid for is kept, what waits is given up."""
    bench = cold("m")
    first = bench.send()
    assert WaitUntil is type(bench.poll())
    bench.scheduler.stop("interrupted", cause=StopCause.INTERRUPTED)
    assert WaitUntil(None) == bench.poll()
    assert 1 == len(bench.answer(first))
    assert 7 == len(bench.scheduler.take_abandoned())
    assert Finished() == bench.poll()


def test_routes_that_ask_alike_share_the_cache() -> None:
    """The second one waits with the first, and goes with it."""
    bench = cold("m", "m", accounts="kk")
    first = bench.send()
    assert WaitUntil(WAIT_S) == bench.poll()
    bench.answer(first)
    assert {"r0", "r1"} == {route for route, _ in bench.sends()}


def test_another_model_waits_for_nobody_and_nobody_for_it() -> None:
    """Its cache is another one."""
    bench = cold("m", "n", names="abcd")
    bench.offer(*"efgh", order=(1,))
    first = [bench.send(), bench.send()]
    assert ["r0", "r1"] == [send.route for send in first]
    assert WaitUntil(WAIT_S) == bench.poll()
    bench.answer(first[1])
    assert [("r1", "f"), ("r1", "g"), ("r1", "h")] == bench.sends()
    assert WaitUntil is type(bench.poll())


def test_a_route_without_a_cache_in_front_is_not_held() -> None:
    """Such as realtime before rest; single rows that fail on it do not wait on the other either."""
    bench = cold("m", "n", prefixes=(0, PREFIX))
    sends = [bench.send() for _ in range(4)]
    assert ["r0"] * 4 == [send.route for send in sends]
    for send in sends[:2]:
        bench.fail(send, ModelRefused("no"))
    assert ["r0", "r0", "r1", "r1"] == [bench.send().route for _ in range(4)]
    assert [] == bench.told


def test_a_crowd_that_leaves_a_dead_route_finds_the_next_one_cold() -> None:
    """One goes over, the others follow after its answer."""
    bench = cold("m", "n", prefixes=(0, PREFIX), accounts="kl")
    bench.fail(bench.send(), UNREACHED)
    assert ["route_down"] == bench.told
    over = bench.send()
    assert "r1" == over.route
    assert WaitUntil is type(bench.poll())
    assert ["route_down", "cache_awaited"] == bench.told
    bench.answer(over)
    assert ["r1"] * 4 == [route for route, _ in bench.sends()]


def test_a_route_that_goes_down_while_others_wait_lets_them_leave() -> None:
    """The first request is lost with the route; the wait ends with it."""
    bench = cold("m", "n", prefixes=(PREFIX, 0), accounts="kl")
    first = bench.send()
    assert WaitUntil is type(bench.poll())
    bench.fail(first, UNREACHED)
    assert "r1" == bench.send().route


def test_a_probe_is_the_first_request_of_a_route_that_returns() -> None:
    """It travels alone anyway, so nobody waits after it."""
    bench = cold("m")
    bench.fail(bench.send(), UNREACHED)
    probe = bench.next_send()
    assert probe.is_probe
    bench.answer(probe)
    assert 4 == len(bench.sends())
    assert "cache_awaited" not in bench.told


@pytest.mark.parametrize(("idle_s", "sent"), [(1_799.0, 4), (1_801.0, 1)])
def test_a_cache_that_has_died_is_filled_again_by_one(idle_s: float, sent: int) -> None:
    """After half an hour without an answer."""
    bench = cold("m", names="a")
    bench.answer(bench.send())
    bench.now = idle_s
    bench.offer(*NAMES)
    assert sent == len(bench.sends())


def test_a_few_requests_never_wait() -> None:
    """By the knobs as they are: the wait would be half of their time, or save next to nothing."""
    assert 4 == len(cold("m", settings=SETTINGS, foreseen=0).sends())
    cheap = Rates(input=0.1, cached=0.01, written=0.125, output=0.5)
    assert 4 == len(cold("m", settings=SETTINGS, rates=cheap, foreseen=100_000).sends())


def test_a_long_run_waits_once() -> None:
    """Whether what is to come is counted by the packing or was foreseen for the run."""
    foreseen = cold("m", settings=SETTINGS)
    expected = cold("m", settings=SETTINGS, foreseen=0)
    expected.scheduler.expect(100, now=0.0)
    assert [1, 1] == [len(bench.sends()) for bench in (foreseen, expected)]


@pytest.mark.parametrize(("requests", "sent"), [(81, 1), (79, 4)])
def test_the_wait_is_a_small_share_of_the_run(requests: int, sent: int) -> None:
    """A twentieth: with four at once, twenty rounds are eighty requests beside the first."""
    bench = cold("m", settings=SETTINGS, foreseen=requests)
    assert sent == len(bench.sends())


@pytest.mark.parametrize(("off", "sent"), [(-1e-9, 1), (1e-9, 4)])
def test_the_saving_has_to_be_worth_the_wait(off: float, sent: int) -> None:
    """Three more would go at once; each of them would write instead of read."""
    saved = 3 * PREFIX * (RATES.written - RATES.cached) / 1e6
    bench = cold("m", settings=replace(ALWAYS, warm_least_usd=saved + off))
    assert sent == len(bench.sends())


def test_a_crowd_counts_as_far_as_one_cache_serves() -> None:
    """What overflows to other machines writes anew there, so it saves nothing for sure."""
    saved = 2 * PREFIX * (RATES.written - RATES.cached) / 1e6
    knobs = replace(ALWAYS, warm_crowd=3, warm_least_usd=saved + 1e-9)
    assert 4 == len(cold("m", settings=knobs).sends())
    assert 1 == len(cold("m", settings=replace(knobs, warm_least_usd=saved - 1e-9)).sends())


def test_a_budget_below_one_write_sends_nothing() -> None:
    """It ends the run before the first request, as without a cache."""
    bench = cold("m")
    least = RATES.most_usd(TOKENS, 1)
    bench.scheduler.cap(budget_usd=0.9 * least, seconds=None, now=0.0)
    assert Finished() == bench.poll()
    assert StopCause.BUDGET == bench.scheduler.stop_cause


def test_a_reservation_covers_a_prefix_that_is_written() -> None:
    """Every token of the input may be billed as written."""
    asked = PREFIX + 500
    written = Usage(input_tokens=asked, written_tokens=PREFIX, output_tokens=0)
    assert RATES.most_usd(asked, 1) >= RATES.bill_usd(written)
    whole = replace(written, written_tokens=asked)
    assert pytest.approx(RATES.most_usd(asked, 1)) == RATES.bill_usd(whole)


def test_the_time_of_a_run_ends_a_wait() -> None:
    """A cap by the user comes first."""
    bench = cold("m")
    bench.scheduler.cap(budget_usd=None, seconds=1.0, now=0.0)
    first = bench.send()
    assert WaitUntil(1.0) == bench.poll()
    bench.now = 1.0
    assert WaitUntil(None) == bench.poll()
    assert "a" == ids_of(first.pack)
    assert StopCause.TIME == bench.scheduler.stop_cause
