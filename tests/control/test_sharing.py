"""What a scheduler tells of its limits: how busy they are, and what the next run can use."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from analysis.control.decisions import WaitUntil
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.leases import Share
from analysis.control.sharing import Known
from analysis.errors import LocalProtocolError, TransportError
from analysis.records import RateLimit
from analysis.settings import SETTINGS
from tests.control.bench import Bench

SLOW = replace(SETTINGS, requests_per_minute=60, tokens_per_minute=600_000)


def test_nothing_waits_where_nothing_is_queued() -> None:
    """Rates are those of the whole account."""
    load = Bench("m", settings=SLOW).scheduler.load("k", "m", now=0.0)
    assert (False, math.inf) == (load.is_waiting, load.ready_in_s)
    assert (1.0, 10_000.0) == (load.requests_per_s, load.tokens_per_s)


def test_a_request_waits_for_the_limits_alone() -> None:
    """One that has no place, or whose route is away, does not."""
    bench = Bench("m", limit=1, settings=SLOW)
    bench.offer("a", "b")
    send = bench.send()
    assert not bench.scheduler.load("k", "m", now=0.0).is_waiting
    bench.answer(send)
    bench.scheduler.share("k", "m", Share(part=0.0), now=0.0)
    load = bench.scheduler.load("k", "m", now=0.0)
    assert (True, math.inf, 1.0) == (load.is_waiting, load.ready_in_s, load.requests)


def test_a_route_that_is_away_keeps_nothing_waiting() -> None:
    """Its queue waits for the route."""
    bench = Bench("m", settings=SLOW)
    bench.offer(*"abcdefgh")
    for _ in range(SETTINGS.breaker_failures):
        bench.fail(bench.next_send(), TransportError("lost"))
    assert isinstance(bench.poll(), WaitUntil)
    bench.scheduler.share("k", "m", Share(part=0.0), now=bench.now)
    assert not bench.scheduler.load("k", "m", now=bench.now).is_waiting


def test_a_share_is_for_one_model_of_one_account() -> None:
    """The other route goes on; a model that nobody asks is a mistake of ours."""
    bench = Bench("m", "n", settings=SLOW)
    bench.scheduler.share("k", "m", Share(part=0.0), now=0.0)
    bench.offer("a", order=(0,))
    bench.offer("b", order=(1,))
    assert [("r1", "b")] == bench.sends()
    with pytest.raises(LocalProtocolError, match="No route asks the model o"):
        bench.scheduler.load("k", "o", now=0.0)


def test_what_was_stated_is_left_to_the_next_run() -> None:
    """Of routes that answered, with their usual latency; nothing that was entered or assumed."""
    bench = Bench("m", "n")
    bench.offer("a")
    send = bench.send()
    bench.answer(send)
    assert {} == bench.scheduler.learned()
    bench.scheduler.on_limits("r0", [RateLimit(name="requests", limit=500, remaining=499)], now=0.0)
    known = bench.scheduler.learned()
    assert ["r0"] == list(known)
    assert Learned(requests=LearnedLimit(per_minute=500.0)) == known["r0"].limits
    latency_s = known["r0"].latency_s
    assert latency_s is not None
    assert 0.0 < latency_s < 2.0


def test_a_latency_is_above_zero() -> None:
    """Anything else is a mistake of whoever made it."""
    with pytest.raises(ValueError, match="above 0"):
        Known(limits=Learned(), latency_s=0.0)
