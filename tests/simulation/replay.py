"""Plays the tape of a run again: `python -m tests.simulation.replay FILE`.

Prints whether every decision repeats itself, and whether the run kept the invariants; exit code 1
if one of them does not. Tapes are recorded with `analysis.recording`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from analysis import errors
from analysis.control.replay import read_tape, replay, settings_of
from analysis.control.tape import Fields, tickets_in
from analysis.errors import AnalysisError, ConfigurationError
from analysis.records import Ending, RateLimit
from tests.simulation.invariants import INVARIANTS, Invariant, name_of
from tests.simulation.pace_invariants import (
    no_bucket_overflows,
    nothing_idles,
    refusals_are_few,
    time_is_used,
    what_is_drawn_is_what_was_used,
)
from tests.simulation.route_invariants import nothing_is_left_at_the_end
from tests.simulation.scenario import Entry, Scenario, Service, Trace

NOT_ON_A_TAPE: frozenset[Invariant] = frozenset(
    {
        no_bucket_overflows,
        nothing_idles,
        nothing_is_left_at_the_end,
        refusals_are_few,
        time_is_used,
        what_is_drawn_is_what_was_used,
    }
)
"""What needs a look into the scheduler, true limits, or a run that came to its end."""


class Reader:
    """Turns the calls of a tape into a scenario and a trace.

    Attributes:
        trace: What happened, in order.
    """

    def __init__(self) -> None:
        self.trace: Trace = []
        self._services: tuple[Service, ...] = ()
        self._settings = settings_of({})
        self._now = 0.0
        self._asked: dict[str, Entry] = {}
        self._losses: dict[int, object] = {}
        self._costs: dict[tuple[str, str], int] = {}
        self._packs = 1
        self._chunks = 0
        self._numbers: dict[int, int] = {}

    def scenario(self) -> Scenario:
        """Return what is known of the run's circumstances."""
        return Scenario(
            services=self._services,
            chunks=self._chunks,
            chunks_per_request=self._packs,
            settings=self._settings,
        )

    def read(self, row: Fields) -> None:
        """Take one call."""
        self._now = row.get("now", self._now)
        for route, tickets, tokens in row.get("costs", ()):
            self._costs[route, tickets] = tokens
        if "raised" in row:
            return  # it changed nothing
        if row["do"] == "poll":
            self._tell(row)
            self._decide(row["gave"])
            return
        self._hear(row)
        self._tell(row)
        self._settle(row)

    def _tell(self, row: Fields) -> None:
        """Note the events of a call."""
        for route, name in row.get("told", ()):
            self._note("stop" if name == "stopped" else name, route=route)

    def _hear(self, row: Fields) -> None:
        """Note what the scheduler was told."""
        match row["do"]:
            case "start":
                self._start(row)
            case "offer":
                self._offer(row)
            case "on_limits":
                stated = tuple(RateLimit(**limit) for limit in row["limits"])
                self._note("stated", route=row["route"], stated=stated)
            case "on_sign":
                self._end("sign", row["request_id"])
            case "on_answer":
                self._answer(row)
            case "on_failure":
                self._end("failure", row["request_id"], error=self._error(row["error"]))
            case "cancel":
                self._end("cancel", row["request_id"])
                self._withdraw(self.trace[-1].tickets)
            case "withdraw":
                self._withdraw(tuple(map(self._number, row["unwanted"])))
            case "stop":
                self._note("stop")

    def _note(self, kind: str, **fields: Any) -> None:
        count = len(self._asked)
        self.trace.append(Entry(kind=kind, at=self._now, in_flight=count, **fields))

    def _number(self, ticket: int) -> int:
        """Return the place of a ticket among those offered, as in a scenario."""
        return self._numbers.setdefault(ticket, len(self._numbers))

    def _start(self, row: Fields) -> None:
        self._settings = settings_of(row["settings"])
        self._services = tuple(
            Service(
                name=plan["name"],
                model=plan["model"],
                account=plan["account"],
                in_flight=plan["in_flight"],
                states_limits=plan["states_limits"],
            )
            for plan in row["plans"]
        )

    def _offer(self, row: Fields) -> None:
        tickets = tuple(self._number(item[0]) for item in row["items"])
        self._chunks = len(self._numbers)
        self._packs = max(self._packs, len(tickets))
        self._note("offer", tickets=tickets)

    def _answer(self, row: Fields) -> None:
        labels = {self._number(ticket): keys[0] for ticket, *keys in row["labels"]}
        declined = frozenset(map(self._number, row["refused"]))
        usage = row["usage"]["input_tokens"] + row["usage"]["output_tokens"]
        self._end("answer", row["request_id"], labels=labels, declined=declined, usage_tokens=usage)

    def _end(self, kind: str, request_id: str, **fields: Any) -> None:
        """Note what became of a request."""
        sent = self._asked.get(request_id)
        if sent is not None:
            if kind != "sign":
                del self._asked[request_id]
            self._note(
                kind, request_id=request_id, route=sent.route, tickets=sent.tickets, **fields
            )

    def _withdraw(self, tickets: tuple[int, ...]) -> None:
        self._note("withdraw", tickets=tickets)

    def _decide(self, gave: Fields) -> None:
        match gave["is"]:
            case "WaitUntil":
                self._note("wait", until=gave["at"])
            case "Send":
                cost = self._costs[gave["route"], gave["pack"]]
                self._note(
                    "send",
                    request_id=gave["request_id"],
                    route=gave["route"],
                    tickets=tuple(map(self._number, tickets_in(gave["pack"]))),
                    cost_tokens=cost,
                    is_probe=gave["is_probe"],
                    is_copy=gave["is_copy"],
                )
                self._asked[gave["request_id"]] = self.trace[-1]

    def _settle(self, row: Fields) -> None:
        """Note the verdicts that a call gave."""
        if row["do"] in ("on_answer", "on_failure", "take_abandoned") and row.get("gave"):
            tickets = tuple(self._number(ticket) for ticket, _ in row["gave"])
            verdicts = [verdict[0] for _, verdict in row["gave"]]
            given = [one[0] if isinstance(one, list) else None for one in verdicts]
            self._note("verdicts", tickets=tickets, labels=dict(zip(tickets, given, strict=True)))

    def _error(self, plain: Fields) -> AnalysisError:
        """Return an error with what the invariants look at."""
        known = getattr(errors, plain["is"])
        error: Any = known.__new__(known, "on the tape")
        for name in ("code", "retry_after_s"):
            setattr(error, name, plain.get(name))
        error.ending = Ending(plain.get("ending", Ending.REFUSED))
        if (number := plain.get("loss")) is not None:
            error.loss = self._losses.setdefault(number, object())
        found: AnalysisError = error
        return found


def broken_by(lines: Iterable[str]) -> list[str]:
    """Return what the run of a tape did that no run may do; empty if nothing."""
    reader = Reader()
    for row in read_tape(lines):
        reader.read(row)
    scenario, problems = reader.scenario(), []
    for invariant in INVARIANTS:
        if invariant in NOT_ON_A_TAPE:
            continue
        try:
            invariant(scenario, reader.trace)
        except AssertionError as error:
            problems.append(f"{name_of(invariant)}: {error}")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a tape and report; 1 if it differs or broke an invariant, 2 if it is none."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path, help="tape of a run")
    path = parser.parse_args(arguments).file
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        played = replay(lines)
        problems = broken_by(lines)
    except (OSError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{played.calls} calls played, {played.sends} requests sent")
    if (found := played.difference) is not None:
        print(f"line {found.line}, {found.do}: the tape says {found.expected}, now {found.actual}")
    else:
        print("every decision repeats itself")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} of {len(INVARIANTS) - len(NOT_ON_A_TAPE)} invariants broken")
    return 1 if problems or found is not None else 0


if __name__ == "__main__":
    sys.exit(main())
