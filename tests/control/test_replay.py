"""A tape plays the same run again, or says where it does not."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest

from analysis.control.decisions import Decision, Send, WaitUntil
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.leases import Share
from analysis.control.replay import Difference, replay
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.tape import Recorder
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RequestTooLarge,
    RouteAdapted,
    RouteClosed,
    TransportError,
)
from analysis.records import Chunk, Ending, Item, Pack, RateLimit, Usage


def ignore(name: str, message: str, fields: Mapping[str, str | float]) -> None:
    """Take an event and do nothing."""


def new_recorder(lines: list[str]) -> Recorder:
    """Return a recorder of a scheduler with three routes, writing to `lines`."""
    chance = random.Random(3)
    learned = Learned(requests=LearnedLimit(per_minute=6_000, window_s=2.0))
    plans = [
        RoutePlan(name=name, model=model, account=name, in_flight=2, learned=learned, latency_s=0.3)
        for name, model in (("near", "m"), ("far", "n"), ("last", "o"))
    ]
    return Recorder(
        plans,
        write=lines.append,
        cost_of=lambda route, pack: 40 * len(pack.items),
        rng=chance,
        new_id=lambda: f"q{chance.getrandbits(32)}",
        notify=ignore,
        now=0.0,
    )


def chunks(*tickets: int) -> Pack:
    """Return a pack of these tickets."""
    return Pack(
        items=tuple(
            Item(ticket=t, chunk=Chunk(id=f"c{t}", text="x", document="d"), tokens=10)
            for t in tickets
        ),
        topic="t",
    )


def errors() -> list[AnalysisError]:
    """Return an error of every kind that a request can end with."""
    lost = TransportError("cut", ending=Ending.UNSENT, code="1006", retry_after_s=0.5)
    lost.loss = object()
    defect = AnswerDefect("bad", defect="not_json")
    defect.usage = Usage(input_tokens=10)
    return [
        lost,
        defect,
        RateLimited("slow", retry_after_s=0.2, dimension="tokens per min", limit=9_000, used=9_000),
        DeadlinePassed("late"),
        RouteAdapted("other way"),
        RequestRejected("400", code="invalid"),
        RequestTooLarge("large"),
        ModelRefused("no"),
        RouteClosed("no such model"),
        AccountClosed("quota", code="insufficient_quota"),
    ]


def recorded() -> list[str]:
    """Return the tape of a run in which every method is called and every error met."""
    lines: list[str] = []
    tape = new_recorder(lines)
    endings = errors()
    tape.limit_in_flight(3)
    tape.share("near", "m", Share(part=0.5), now=0.0)
    tape.share("far", "n", Share(part=1.0, turn_in_s=math.inf, window="requests"), now=0.0)
    now = 0.0
    for ticket in range(60):
        tape.offer(chunks(2 * ticket, 2 * ticket + 1), now=now, order=(0, 1, 2))
        decision = tape.poll(now=now)
        while isinstance(decision, Send):
            _end(tape, decision, endings, now)
            decision = tape.poll(now=now)
        tape.share("far", "n", Share(part=1.0, turn_in_s=0.0, window="requests"), now=now)
        now = max(now + 0.1, decision.at or 0.0) if isinstance(decision, WaitUntil) else now + 1
        tape.take_abandoned()
    tape.offer(chunks(1_000), now=now)
    tape.offer(chunks(1_001), now=now)
    tape.withdraw(lambda pack: pack.items[0].ticket == 1_000, now=now)
    decision = tape.poll(now=now)
    assert isinstance(decision, Send)
    tape.cancel(decision.request_id, was_sent=False, now=now)
    tape.offer(chunks(1_002), now=now)
    tape.stop("enough", RouteClosed("for good"))
    tape.take_abandoned()
    tape.poll(now=now)
    return lines


def _end(tape: Recorder, send: Send, endings: list[AnalysisError], now: float) -> None:
    """End a request with the next error, or with an answer."""
    limit = RateLimit(name="requests", limit=6_000, remaining=5_000)
    tape.on_limits(send.route, [limit], now=now, request_id=send.request_id)
    tape.on_sign(send.request_id, now=now)
    if endings:
        tape.on_failure(send.request_id, endings.pop(0), now=now)
        return
    tape.on_answer(
        send.request_id,
        labels={item.ticket: ("thesis",) for item in send.pack.items},
        defect=None,
        note="",
        usage=Usage(input_tokens=30),
        model="m",
        latency_s=0.1,
        now=now,
    )


def with_row(lines: list[str], number: int, **changes: Any) -> list[str]:
    """Return the tape with a line changed, counted from 1."""
    row = json.loads(lines[number - 1]) | changes
    return [*lines[: number - 1], json.dumps(row), *lines[number:]]


def test_a_run_repeats_itself() -> None:
    """Every call with every kind of error gives what is on the tape."""
    lines = recorded()
    played = replay(lines)
    sends = sum('"is":"Send"' in line for line in lines)
    assert (None, len(lines), sends) == (played.difference, played.calls, played.sends)
    done = {json.loads(line)["do"] for line in lines}
    public = {"offer", "poll", "on_answer", "on_failure", "on_limits", "stop", "take_abandoned"}
    assert public | {"start", "on_sign", "cancel", "withdraw", "limit_in_flight", "share"} == done


class LastFirst(Scheduler):
    """Sends what was offered last."""

    def poll(self, *, now: float) -> Decision:
        """Turn the first queue round and decide."""
        self._routes[0].queue.rotate(1)
        return super().poll(now=now)


def test_another_decision_is_found_where_it_is_made() -> None:
    """With what was decided then and now."""
    lines: list[str] = []
    tape = new_recorder(lines)
    for ticket in (1, 2):
        tape.offer(chunks(ticket), now=0.0)
    tape.poll(now=0.0)
    assert replay(lines).difference is None
    difference = replay(lines, make=LastFirst).difference
    assert difference is not None
    assert (4, "poll") == (difference.line, difference.do)
    assert '"pack":"1"' in difference.expected
    assert "asks what 2 costs on near" in difference.actual


def test_a_changed_line_is_found() -> None:
    """An outcome, a number drawn by chance, an id: whatever does not fit."""
    lines = recorded()
    assert "start" == json.loads(lines[0])["do"]
    poll = next(n for n, line in enumerate(lines, 1) if '"is":"Send"' in line)
    hold = next(n for n, line in enumerate(lines, 1) if "rate_limited" in line)
    for number, changes in (
        (poll, {"gave": {"is": "Finished"}}),
        (poll, {"ids": ["q0"]}),
        (poll, {"ids": []}),
        (poll, {"ids": [*json.loads(lines[poll - 1])["ids"], "more"]}),
        (hold, {"draws": []}),
        (hold, {"told": []}),
    ):
        difference = replay(with_row(lines, number, **changes)).difference
        assert isinstance(difference, Difference), changes
        assert number == difference.line, changes


def test_a_call_that_raised_raises_again() -> None:
    """The class of the error is compared."""
    lines: list[str] = []
    tape = new_recorder(lines)
    with pytest.raises(AnalysisError):
        tape.cancel("unknown", was_sent=True, now=0.0)
    assert replay(lines).difference is None
    assert replay(with_row(lines, 2, raised="InputError")).difference is not None


def test_a_tape_that_was_cut_off_plays_to_its_end() -> None:
    """A crash may have cut its last line."""
    lines = recorded()
    played = replay([*lines[:20], lines[20][:10]])
    assert (20, None) == (played.calls, played.difference)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [], "empty"),
        (lambda lines: ["{}", *lines], "Line 1 belongs to no tape"),
        (lambda lines: ["[]"], "Line 1 belongs to no tape"),
        (lambda lines: [lines[0], "{", lines[1]], "Line 2 of the tape is no JSON"),
        (lambda lines: with_row(lines, 1, tape=99), "says 99"),
        (lambda lines: with_row(lines, 1, settings={"no_such": 1}), "no_such"),
    ],
)
def test_what_is_no_tape_of_this_release_is_refused(change: Any, told: str) -> None:
    """With the line, and what to do."""
    with pytest.raises(AnalysisError, match=told):
        replay(change(recorded()))
