"""Behaviour of the lanes of a connection as queues."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.profile import ResponsesRules
from analysis.simulator.queues import Lanes, read_lane_name
from analysis.simulator.refusals import Refusal


def lanes(**rules: Any) -> Lanes:
    """Return lanes under these rules."""
    return Lanes(ResponsesRules(**rules))


def begun(queues: Lanes) -> list[tuple[str | None, int]]:
    """Return name and number of all requests whose turn it is."""
    taken = iter(queues.begin_next, None)
    return [(lane.name, request["n"]) for lane, request in taken]


def test_lane_carries_out_one_request_after_another() -> None:
    """The second request of a lane waits until the first one is released."""
    queues = lanes()
    lane = queues.find("a")
    queues.add(lane, {"n": 1})
    queues.add(lane, {"n": 2})
    assert [("a", 1)] == begun(queues)
    queues.release(lane)
    assert [("a", 2)] == begun(queues)


def test_lanes_run_side_by_side_up_to_the_limit() -> None:
    """Two run, the third waits, and whoever became ready first goes first."""
    queues = lanes(running=2)
    for number, name in enumerate(("a", None, "b", "c")):
        queues.add(queues.find(name), {"n": number})
    assert [("a", 0), (None, 1)] == begun(queues)
    queues.release(queues.find(None))
    assert [("b", 2)] == begun(queues)


def test_names_are_counted_and_the_default_lane_is_not() -> None:
    """After two names a third one is refused, old ones and the default lane are not."""
    queues = lanes(lane_names=2)
    for name in ("a", "b", None, "a"):
        queues.find(name)
    with pytest.raises(Refusal, match=r"maximum number of distinct stream IDs \(2\)"):
        queues.find("c")


def test_too_many_waiting_requests_are_refused() -> None:
    """What has begun does not count; the next one that would wait is a 429."""
    queues = lanes(waiting=1)
    lane = queues.find(None)
    queues.add(lane, {"n": 0})
    begun(queues)
    queues.add(lane, {"n": 1})
    with pytest.raises(Refusal, match="Slow down") as refused:
        queues.add(lane, {"n": 2})
    assert (429, "slow_down") == (refused.value.status, refused.value.code)


def test_newest_response_is_found_until_it_is_evicted() -> None:
    """Only its own id evicts it."""
    queues = lanes()
    lane = queues.find("a")
    lane.newest = ("resp_1", [])
    lane.evict("resp_0")
    assert lane is queues.holder_of("resp_1")
    lane.evict("resp_1")
    assert queues.holder_of("resp_1") is None


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 257, 5, [], "a\n"])
def test_what_is_no_name_is_refused(name: object) -> None:
    """The refusal has the documented text."""
    with pytest.raises(Refusal, match="must be a non-empty string with at most 256 characters"):
        read_lane_name(name)


@pytest.mark.parametrize("name", [None, "w07", "A_b.c-9", "x" * 256])
def test_names_are_read(name: str | None) -> None:
    """Letters, digits and three signs; nothing is the default lane."""
    assert name == read_lane_name(name)
