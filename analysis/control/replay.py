"""Plays the calls of a tape on a new scheduler and compares every decision.

Pure. `python -m tests.simulation.replay FILE` uses it. The form of a tape: `control/tape.py`.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis import errors
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.leases import Share
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.spending import Rates
from analysis.control.tape import VERSION, Fields, plain_result, spans
from analysis.errors import AnalysisError, ConfigurationError
from analysis.records import Chunk, Ending, Item, Pack, RateLimit, StopCause, Usage
from analysis.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first call whose outcome is another one than on the tape.

    Attributes:
        line: Its number in the tape, from 1.
        do: Its method.
        expected: What the tape says, as JSON.
        actual: What came now.
    """

    line: int
    do: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How a tape was played.

    Attributes:
        calls: Calls played, that with the difference included.
        sends: Requests that these calls sent.
        difference: The first one, or None if the run repeats itself.
    """

    calls: int
    sends: int
    difference: Difference | None


class _OffTapeError(Exception):
    """The scheduler asks for something that it did not ask for when the tape was written."""


def read_tape(lines: Iterable[str]) -> Iterator[Fields]:
    """Yield the calls of a tape; a last line that was cut off ends it.

    Raises:
        ConfigurationError: If this is no tape, or one of another version.
    """
    rows = enumerate(lines, 1)
    version = None
    broken: int | None = None
    for number, text in rows:
        if broken is not None:
            raise ConfigurationError(f"Line {broken} of the tape is no JSON. Record it again.")
        try:
            row = json.loads(text)
        except ValueError:
            broken = number
            continue
        version = row.get("tape", version) if isinstance(row, dict) else None
        if version != VERSION:
            raise ConfigurationError(
                f"Line {number} belongs to no tape of version {VERSION}, but says {version}. "
                "Play it with the release that wrote it."
            )
        yield row
    if version is None:
        raise ConfigurationError("The tape is empty. Record a run first.")


def replay(lines: Iterable[str], *, make: Callable[..., Scheduler] = Scheduler) -> Replay:
    """Play a tape up to its end or to the first difference.

    Args:
        lines: Of the tape.
        make: Makes the scheduler.

    Raises:
        ConfigurationError: If this is no tape, or one of another version.
    """
    player = _Player(make)
    calls = sends = 0
    for row in read_tape(lines):
        calls += 1
        if (difference := player.play(row, calls)) is not None:
            return Replay(calls=calls, sends=sends, difference=difference)
        sends += row["do"] == "poll" and row["gave"]["is"] == "Send"
    return Replay(calls=calls, sends=sends, difference=None)


class _Given(random.Random):
    """Chance that gives the numbers of a tape."""

    def __init__(self) -> None:
        super().__init__(0)
        self.numbers: deque[float | int] = deque()

    def random(self) -> float:
        """Return the next number."""
        return float(self._next())

    def getrandbits(self, count: int, /) -> int:
        """Return the next number."""
        return int(self._next())

    def _next(self) -> float | int:
        if not self.numbers:
            raise _OffTapeError("draws by chance")
        return self.numbers.popleft()


class _Player:
    """A new scheduler, and what the tape gives it in place of the world."""

    def __init__(self, make: Callable[..., Scheduler]) -> None:
        self._make = make
        self._chance = _Given()
        self._ids: deque[str] = deque()
        self._costs: dict[tuple[str, str], int] = {}
        self._told: list[list[str]] = []
        self._losses: dict[int, object] = {}

    def play(self, row: Fields, number: int) -> Difference | None:
        """Play one call; return in what it differs, or None."""
        self._chance.numbers = deque(row.get("draws", ()))
        self._ids = deque(row.get("ids", ()))
        self._told.clear()
        for route, tickets, tokens in row.get("costs", ()):
            self._costs[route, tickets] = tokens
        actual: Fields = {}
        given = self._arguments(row)
        try:
            actual["gave"] = plain_result(self._act(row["do"], given))
        except _OffTapeError as error:
            actual["off_tape"] = str(error)
        except AnalysisError as error:
            actual["raised"] = type(error).__name__
        if self._told:
            actual["told"] = self._told
        if self._chance.numbers or self._ids:
            actual["left"] = [*self._chance.numbers, *self._ids]
        shown = _shown(actual)
        expected = _shown({name: row[name] for name in ("gave", "raised", "told") if name in row})
        if shown == expected:
            return None
        return Difference(line=number, do=row["do"], expected=expected, actual=shown)

    def _act(self, do: str, given: Fields) -> object:
        """Call a method."""
        if do == "start":
            self._scheduler = self._make(
                given["plans"],
                cost_of=self._cost_of,
                rng=self._chance,
                new_id=self._new_id,
                notify=self._hear,
                now=given["now"],
                settings=given["settings"],
            )
            return None
        result: object = getattr(self._scheduler, do)(**given)
        return result

    def _arguments(self, row: Fields) -> Fields:
        """Return the arguments of a row as the values that its method takes."""
        outcomes = ("do", "gave", "raised", "draws", "ids", "costs", "told", "tape", "topic")
        given = {name: value for name, value in row.items() if name not in outcomes}
        match row["do"]:
            case "start":
                given["plans"] = [plan_of(plan) for plan in row["plans"]]
                given["settings"] = settings_of(row["settings"])
            case "offer":
                del given["items"]
                given["pack"] = pack_of(row)
                given["order"] = None if row["order"] is None else tuple(row["order"])
            case "on_limits":
                given["limits"] = [RateLimit(**limit) for limit in row["limits"]]
            case "share":
                given["share"] = share_of(row["share"])
            case "on_answer":
                given["labels"] = {ticket: tuple(keys) for ticket, *keys in row["labels"]}
                given["usage"], given["note"] = Usage(**row["usage"]), ""
            case "on_failure" | "stop":
                given["error"] = None if row["error"] is None else self._error(row["error"])
                if row["do"] == "stop":
                    given["reason"] = "as on the tape"
                    given["cause"] = StopCause(row.get("cause", StopCause.INTERRUPTED))
            case "withdraw":
                unwanted = frozenset(given.pop("unwanted"))
                given["is_unwanted"] = lambda pack: pack.items[0].ticket in unwanted
        return given

    def _error(self, plain: Fields) -> AnalysisError:
        """Return the error that the tape describes; what was lost together is one object again."""
        known = getattr(errors, plain["is"])
        error: Any = known.__new__(known, "as on the tape")
        for name, value in plain.items():
            match name:
                case "is":
                    continue
                case "ending":
                    error.ending = Ending(value)
                case "usage":
                    error.usage = Usage(**value)
                case "loss" if value is not None:
                    error.loss = self._losses.setdefault(value, object())
                case _:
                    setattr(error, name, value)
        found: AnalysisError = error
        return found

    def _hear(self, name: str, message: str, told: Mapping[str, str | float]) -> None:
        self._told.append([str(told.get("route", "")), name])

    def _cost_of(self, route: str, pack: Pack) -> int:
        key = route, spans(item.ticket for item in pack.items)
        if key not in self._costs:
            raise _OffTapeError(f"asks what {key[1]} costs on {route}")
        return self._costs[key]

    def _new_id(self) -> str:
        if not self._ids:
            raise _OffTapeError("makes a request id")
        return self._ids.popleft()


def settings_of(plain: Fields) -> Settings:
    """Return the settings of a tape.

    Raises:
        ConfigurationError: If this release has other settings.
    """
    try:
        return Settings(**plain)
    except TypeError as error:
        raise ConfigurationError(
            f"The tape has other settings than this release: {error}. Play it with its own."
        ) from error


def plan_of(plain: Fields) -> RoutePlan:
    """Return the plan of a route of a tape."""
    learned = plain["learned"] and Learned(
        **{name: limit and LearnedLimit(**limit) for name, limit in plain["learned"].items()}
    )
    rates = plain.get("rates") and Rates(**plain["rates"])
    return RoutePlan(**plain | {"learned": learned, "rates": rates})


def share_of(plain: Fields) -> Share:
    """Return a share of a tape."""
    in_s = plain["turn_in_s"]
    return Share(**plain | {"turn_in_s": math.inf if in_s == "never" else in_s})


def pack_of(row: Fields) -> Pack:
    """Return the pack of an offer; its texts are empty, its ids are hashes."""
    items = tuple(
        Item(ticket=ticket, chunk=Chunk(id=chunk_id, text="", document=document), tokens=tokens)
        for ticket, tokens, chunk_id, document in row["items"]
    )
    return Pack(items=items, topic=row["topic"])


def _shown(outcome: Fields) -> str:
    return json.dumps(outcome, separators=(",", ":"), sort_keys=True)
