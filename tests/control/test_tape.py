"""What a tape holds, and what it does not."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.decisions import Send
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.tape import COSTS, Recorder, blurred, spans, tickets_in
from analysis.errors import AnswerDefect, LocalProtocolError, RateLimited, TransportError
from analysis.records import Chunk, Item, Pack, RateLimit, Usage

SECRET = "Zanzibar"
UNWRITTEN = {
    "budgets",
    "in_flight",
    "learned",
    "load",
    "statistics",
    "stop_cause",
    "stop_reason",
    "stop_error",
}
"""What only looks at the scheduler."""


def ignore(name: str, message: str, fields: Mapping[str, str | float]) -> None:
    """Take an event and do nothing."""


def recorder(
    write: Callable[[str], None],
    *,
    routes: int = 1,
    cost: int = 100,
    rng: random.Random | None = None,
) -> Recorder:
    """Return a recorder of a scheduler with so many routes of one model."""
    chance = rng or random.Random(1)
    return Recorder(
        [RoutePlan(name=f"r{n}", model="m", account="a", in_flight=4) for n in range(routes)],
        write=write,
        cost_of=lambda route, pack: cost,
        rng=chance,
        new_id=lambda: f"q{chance.getrandbits(16)}",
        notify=ignore,
        now=0.0,
    )


def pack(*tickets: int) -> Pack:
    """Return a pack whose every text, id, topic and document is a secret."""
    chunk = Chunk(id=f"{SECRET} id", text=SECRET, topic=SECRET, document=SECRET)
    return Pack(items=tuple(Item(ticket=t, chunk=chunk, tokens=7) for t in tickets), topic=SECRET)


def rows_of(lines: list[str]) -> list[dict[str, Any]]:
    """Return the lines as values."""
    return [json.loads(line) for line in lines]


def answer(tape: Recorder, request_id: str, labels: Mapping[int, tuple[str, ...]]) -> None:
    """Answer a request."""
    tape.on_answer(
        request_id,
        labels=labels,
        defect=None,
        note=SECRET,
        usage=Usage(input_tokens=50, output_tokens=9),
        model="m-1",
        latency_s=0.4,
        now=1.5,
    )


def sent(tape: Recorder, now: float) -> Send:
    """Return what goes now."""
    decision = tape.poll(now=now)
    assert isinstance(decision, Send)
    return decision


def test_every_call_is_one_line_with_what_it_gave() -> None:
    """In the order of the calls."""
    lines: list[str] = []
    tape = recorder(lines.append)
    tape.offer(pack(3, 4, 5), now=0.5)
    send = sent(tape, 1.0)
    answer(tape, send.request_id, {3: ("thesis",), 4: ("noise",), 5: ("example",)})
    start, offer, poll, answered = rows_of(lines)
    assert ("start", 1, "r0") == (start["do"], start["tape"], start["plans"][0]["name"])
    row = [[t, 7, blurred(f"{SECRET} id"), blurred(SECRET)] for t in (3, 4, 5)]
    assert {
        "do": "offer",
        "now": 0.5,
        "items": row,
        "topic": blurred(SECRET),
        "order": None,
        "gave": None,
    } == offer
    assert ("Send", "3-5", [send.request_id], [["r0", "3-5", 100]]) == (
        poll["gave"]["is"],
        poll["gave"]["pack"],
        poll["ids"],
        poll["costs"],
    )
    assert [[3, [["thesis"], "r0", 1]], [4, [["noise"], "r0", 1]], [5, [["example"], "r0", 1]]] == (
        answered["gave"]
    )


def test_no_text_gets_on_the_tape() -> None:
    """Neither texts nor ids, topics, documents, notes and messages."""
    lines: list[str] = []
    tape = recorder(lines.append)
    tape.offer(pack(1), now=0.0)
    tape.on_failure(sent(tape, 0.0).request_id, AnswerDefect(SECRET, defect="not_json"), now=0.5)
    answer(tape, sent(tape, 1.0).request_id, {})
    tape.stop(SECRET, TransportError(SECRET))
    tape.take_abandoned()
    assert [] == [line for line in lines if SECRET in line]
    assert "not_json" in lines[3]


def test_everything_that_changes_a_scheduler_is_recorded() -> None:
    """A method that is missing here would make tapes that do not play."""
    methods = {name for name, _ in inspect.getmembers(Scheduler) if not name.startswith("_")}
    own = {name for name, _ in inspect.getmembers(Recorder) if not name.startswith("_")}
    assert methods - UNWRITTEN <= own
    for name in methods - UNWRITTEN:
        assert inspect.signature(getattr(Scheduler, name)) == inspect.signature(
            getattr(Recorder, name)
        ), name


def test_a_call_that_raises_is_recorded_and_raises() -> None:
    """An error of ours is an outcome, too."""
    lines: list[str] = []
    tape = recorder(lines.append)
    with pytest.raises(LocalProtocolError):
        answer(tape, "never sent", {})
    assert "LocalProtocolError" == rows_of(lines)[-1]["raised"]


def test_chance_is_written_as_drawn_and_drawn_from_the_source() -> None:
    """Others draw from the same source, so its state at the start would not do."""
    lines: list[str] = []
    tape = recorder(lines.append, rng=random.Random(7))
    tape.offer(pack(1), now=0.0)
    send = sent(tape, 0.0)
    tape.on_failure(send.request_id, RateLimited("slow", retry_after_s=2.0), now=0.1)
    twin = random.Random(7)
    assert f"q{twin.getrandbits(16)}" == send.request_id
    assert [twin.random()] == rows_of(lines)[-1]["draws"]


def test_a_cost_is_written_once_and_again_when_it_has_changed() -> None:
    """Also when so many others were asked for that it was forgotten."""
    lines: list[str] = []
    costs = {"r0": 100}
    tape = Recorder(
        [RoutePlan(name="r0", model="m", account="a", in_flight=1)],
        write=lines.append,
        cost_of=lambda route, pack: costs[route],
        rng=random.Random(1),
        new_id=iter(map(str, range(COSTS + 9))).__next__,
        notify=ignore,
        now=0.0,
    )
    tape.offer(pack(1), now=0.0)
    tape.poll(now=0.0)
    tape.on_failure("0", TransportError("lost"), now=1.0)
    for at, cost in ((20.0, 100), (40.0, 120)):
        costs["r0"] = cost
        send = sent(tape, at)
        tape.on_failure(send.request_id, TransportError("lost"), now=at + 0.1)
    found = [row["costs"] for row in rows_of(lines) if "costs" in row]
    assert [[["r0", "1", 100]], [["r0", "1", 120]]] == found


def test_what_was_lost_together_has_one_number() -> None:
    """And what was lost alone has none."""
    lines: list[str] = []
    tape = recorder(lines.append)
    first, second = object(), object()
    for ticket, loss in enumerate((first, second, first, None)):
        tape.offer(pack(ticket), now=float(ticket))
        error = TransportError("lost")
        error.loss = loss
        tape.on_failure(sent(tape, float(ticket)).request_id, error, now=float(ticket))
    errors = [row["error"] for row in rows_of(lines) if row["do"] == "on_failure"]
    assert [1, 2, 1, None] == [error.get("loss") for error in errors]


def test_events_are_named_without_their_message() -> None:
    """What the scheduler tells belongs to what it decides."""
    lines: list[str] = []
    tape = recorder(lines.append)
    tape.stop("enough")
    assert [["", "stopped"]] == rows_of(lines)[-1]["told"]


def test_statements_are_recorded_with_their_request() -> None:
    """Which request they came with decides how they are read."""
    lines: list[str] = []
    tape = recorder(lines.append)
    stated = RateLimit(name="requests", limit=60, remaining=59)
    tape.on_limits("r0", iter([stated]), now=0.5, request_id="q1")
    row = rows_of(lines)[-1]
    assert ("r0", "q1", 59) == (row["route"], row["request_id"], row["limits"][0]["remaining"])


@given(st.lists(st.integers(min_value=0, max_value=50)))
def test_spans_keep_tickets_and_order(tickets: list[int]) -> None:
    """Any tickets come back as they were."""
    assert tuple(tickets) == tickets_in(spans(tickets))


def test_spans_are_short() -> None:
    """Tickets that follow each other take one entry."""
    assert ("", "4", "3-7 12 1-2") == (
        spans([]),
        spans([4]),
        spans([3, 4, 5, 6, 7, 12, 1, 2]),
    )
