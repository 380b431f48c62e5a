"""The catalogue of faults and the seeded draw that decides which request meets one.

Pure. The service draws once per accepted request; the command reads its options through `parse`.
A fault has one probability for the whole life of the service, or a script: spans of time, each
with a probability of its own. A script can also change the limits of the account.

Faults act at four places. `REFUSALS` and `DEFECTS` act in the account and therefore on every
route. Those of frames are carried out by `mischief` for routes over a WebSocket. Those of the
delivery (`drop`, `hang`, `half_open`, `stall`, `torn`, `rejected_create`) are carried out by each
protocol. `lying_headers` bends what is reported about the limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import TypeAlias

from analysis.errors import ConfigurationError

FAULTS = {
    "drop": "the connection is cut after the request was paid, before its answer",
    "error_500": "the service answers with a server error; nothing is paid",
    "hang": "the request is paid and never answered",
    "delay": "the answer comes late by a multiple of the latency",
    "shuffle": "answers of parallel requests leave in another order",
    "half_open": "the socket stays open, and the service neither reads nor writes from then on",
    "stall": "the answer falls silent after its first delta; it is paid",
    "torn": "the connection is cut in the middle of the last frame; the answer is paid",
    "duplicate": "every frame of the answer is sent twice",
    "reorder": "neighbouring frames of the answer change places",
    "unknown_event": "an event of an unknown type stands among the frames",
    "foreign_event": "a copy of a frame with ids that nobody knows precedes it",
    "malformed": "the answer is no JSON",
    "out_of_enum": "the answer holds a label that was not offered",
    "missing_item": "the answer leaves out one chunk",
    "extra_item": "the answer holds a chunk that was not asked about",
    "doubled_item": "the answer holds one chunk twice",
    "truncated": "the answer is cut and said to be whole",
    "refusal": "the model declines to answer",
    "overloaded": "the service refuses the request with 503 server_is_overloaded",
    "slow_down": "the service refuses the request with 429 slow_down",
    "quota": "the account has no credit: 429 insufficient_quota, now and from then on",
    "rejected_create": "Realtime: an error event comes instead of response.created",
    "lying_headers": "what is reported about the limits is wrong or absent",
}
"""Name of each fault -> what it does."""

_FIRST = ("drop", "error_500", "hang", "delay", "shuffle")
"""Faults that share one sequence of numbers, in the order in which they are drawn."""
REFUSALS = ("quota", "overloaded", "slow_down")
"""Faults that refuse a request; the first one drawn counts."""
DEFECTS = (
    "refusal",
    "malformed",
    "truncated",
    "out_of_enum",
    "missing_item",
    "extra_item",
    "doubled_item",
)
"""Faults of the answer's text; the first one drawn counts."""
LIES = ("negative", "zero", "unit", "absent")
"""How a report about limits can be wrong: remaining -1; remaining 0; milliseconds as seconds;
no report at all."""
LIMIT_NAMES = {"rpm": "requests", "tpm": "tokens", "rpd": "daily requests"}
"""Option name of each limit -> the name under which `limits` keeps it."""
_LIMIT_PREFIX = "limits:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one request meets.

    At most one of `is_failed`, `is_dropped`, `is_hanging`, `is_half_open`, `is_stalled` and
    `is_torn` is set.

    Attributes:
        is_dropped: Cut the connection instead of answering.
        is_failed: Answer with a server error.
        is_hanging: Never answer.
        is_delayed: Add the delay of the profile.
        shuffle_share: Share of the shuffle window to add, 0 to 1.
        is_half_open: Instead of answering leave the socket open, silent and unread.
        is_stalled: Send the frames up to the first delta, then nothing more of this answer.
        is_torn: Cut the connection in the middle of the last frame.
        is_duplicated: Send every frame twice.
        is_reordered: Swap neighbouring frames.
        has_unknown_event: Add an event of an unknown type.
        has_foreign_event: Add a copy of a frame with foreign ids.
        is_create_rejected: Realtime: refuse to create the response.
        refused_as: Name of the fault in `REFUSALS` that refuses the request, or "".
        defect: Name of the fault in `DEFECTS` that spoils the answer, or "".
        lie: Name in `LIES` of what is wrong in the report about limits, or "".
        share: A number of this request, 0 to 1, for places and choices within it.
    """

    is_dropped: bool = False
    is_failed: bool = False
    is_hanging: bool = False
    is_delayed: bool = False
    shuffle_share: float = 0.0
    is_half_open: bool = False
    is_stalled: bool = False
    is_torn: bool = False
    is_duplicated: bool = False
    is_reordered: bool = False
    has_unknown_event: bool = False
    has_foreign_event: bool = False
    is_create_rejected: bool = False
    refused_as: str = ""
    defect: str = ""
    lie: str = ""
    share: float = 0.0

    @property
    def is_mischievous(self) -> bool:
        """Whether the frames of the answer are to be disturbed."""
        return (
            self.is_duplicated
            or self.is_reordered
            or self.has_unknown_event
            or self.has_foreign_event
        )


NO_FAULT = Draw()


def met(draw: Draw) -> dict[str, object]:
    """Return what a draw sets, by field, for a log."""
    values = {field.name: getattr(draw, field.name) for field in fields(Draw)}
    return {name: value for name, value in values.items() if value and name != "share"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpan:
    """A fault has this probability from `start_s` to before `end_s`, seconds since the start.

    Raises:
        ConfigurationError: If the fault is unknown, or a number is out of range.
    """

    kind: str
    start_s: float
    end_s: float
    probability: float

    def __post_init__(self) -> None:
        check({self.kind: self.probability})
        _check_times(f"fault {self.kind!r}", self.start_s, self.end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSpan:
    """A limit (`rpm`, `tpm` or `rpd`) has this value from `start_s` to before `end_s`.

    Raises:
        ConfigurationError: If the limit is unknown, or a number is out of range.
    """

    name: str
    start_s: float
    end_s: float
    value: int

    def __post_init__(self) -> None:
        if self.name not in LIMIT_NAMES:
            raise ConfigurationError(
                f"Limit {self.name!r} is unknown. Use one of: {', '.join(LIMIT_NAMES)}."
            )
        if self.value < 1:
            raise ConfigurationError(f"Limit {self.name!r} is {self.value}; at least 1 is needed.")
        _check_times(f"limit {self.name!r}", self.start_s, self.end_s)


Span: TypeAlias = FaultSpan | LimitSpan
"""One line of a script by time."""


def _check_times(what: str, start_s: float, end_s: float) -> None:
    if not 0 <= start_s < end_s:
        raise ConfigurationError(
            f"The span {start_s:g}-{end_s:g} of {what} cannot be used. The start must be at least "
            "0 and the end above it."
        )


def limit_changes(
    script: Iterable[Span], limits: Mapping[str, int | None]
) -> list[tuple[float, str, int | None]]:
    """Return age, name and value of each change of a limit; of two spans the later given counts."""
    spans = [span for span in script if isinstance(span, LimitSpan)]
    changes: list[tuple[float, str, int | None]] = []
    for name in LIMIT_NAMES:
        own = [span for span in spans if span.name == name]
        value = limits[name]
        for at_s in sorted({time_s for span in own for time_s in (span.start_s, span.end_s)}):
            active = [span.value for span in own if span.start_s <= at_s < span.end_s]
            changed = active[-1] if active else limits[name]
            if changed != value and at_s < math.inf:
                changes.append((at_s, name, changed))
                value = changed
    return sorted(changes, key=lambda change: change[0])


def check(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities as a new dict after checking names and ranges.

    Raises:
        ConfigurationError: If a fault is unknown or a probability is outside 0 to 1.
    """
    for name, probability in probabilities.items():
        if name not in FAULTS:
            raise ConfigurationError(f"Fault {name!r} is unknown. Use one of: {', '.join(FAULTS)}.")
        if not 0.0 <= probability <= 1.0:
            raise ConfigurationError(
                f"Probability of fault {name!r} is {probability}; allowed: 0 to 1."
            )
    return dict(probabilities)


def parse(options: Iterable[str]) -> tuple[dict[str, float], tuple[Span, ...]]:
    """Read options of the forms `KIND=P`, `KIND=P@START-END` and `limits:NAME=N@START-END`.

    Times are seconds since the start; without END a span lasts for good. Of two options of the
    first form for one fault the later one wins.

    Returns:
        Fault -> probability for the first form, and the script that the others make.

    Raises:
        ConfigurationError: If an option has another form, names an unknown fault or holds a number
            out of range.
    """
    probabilities: dict[str, float] = {}
    script: list[Span] = []
    for option in options:
        name, _, rest = option.partition("=")
        number, at, times = rest.partition("@")
        try:
            start_s, end_s = _read_times(times) if at else (0.0, math.inf)
            if name.startswith(_LIMIT_PREFIX):
                limit = name.removeprefix(_LIMIT_PREFIX)
                script.append(
                    LimitSpan(name=limit, start_s=start_s, end_s=end_s, value=int(number))
                )
            elif at:
                script.append(
                    FaultSpan(kind=name, start_s=start_s, end_s=end_s, probability=float(number))
                )
            else:
                probabilities[name] = float(number)
        except ValueError as error:
            raise ConfigurationError(
                f"Fault {option!r} cannot be read. Write KIND=PROBABILITY, for example "
                "drop=0.02, KIND=PROBABILITY@START-END, for example overloaded=1@3-4, or "
                f"limits:rpm=600@10-, with one of: {', '.join(FAULTS)}."
            ) from error
    return check(probabilities), tuple(script)


def _read_times(text: str) -> tuple[float, float]:
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(text)
    return float(start), float(end) if end else math.inf


class Faults:
    """Draws for each request which faults it meets; the same seed gives the same sequence.

    Args:
        probabilities: Name of a fault -> probability outside the spans of the script.
        random: Gives the numbers; only the faults of the first catalogue move it, each other one
            has a sequence of its own that starts from its state.
        script: Spans with another probability; of two that overlap the later one in this order
            counts.
    """

    def __init__(
        self,
        probabilities: Mapping[str, float],
        random: Random,
        script: Iterable[FaultSpan] = (),
    ) -> None:
        self._probabilities = check(probabilities)
        self._random = random
        self._spans: dict[str, list[FaultSpan]] = {}
        for span in script:
            self._spans.setdefault(span.kind, []).insert(0, span)
        used = {name for name in FAULTS if name in self._probabilities or name in self._spans}
        self._has_first = not used.isdisjoint(_FIRST)
        copy = Random(0)
        copy.setstate(self._random.getstate())
        seed = copy.getrandbits(64)
        self._own = {n: Random(f"{seed}-{n}") for n in FAULTS if n in used and n not in _FIRST}
        self._shares = Random(f"{seed}-share")

    def __repr__(self) -> str:
        spans = [span for spans in self._spans.values() for span in spans]
        return f"Faults({self._probabilities}{f', {spans}' if spans else ''})"

    def probability(self, name: str, age_s: float) -> float:
        """Return the probability of a fault at this age of the service."""
        span = self._span(name, age_s)
        return self._probabilities.get(name, 0.0) if span is None else span.probability

    def end_s(self, name: str, age_s: float) -> float:
        """Return until which age the probability of a fault holds at least; maybe infinity."""
        span = self._span(name, age_s)
        return math.inf if span is None else span.end_s

    def _span(self, name: str, age_s: float) -> FaultSpan | None:
        spans = self._spans.get(name, ())
        return next((one for one in spans if one.start_s <= age_s < one.end_s), None)

    def draw(self, age_s: float = 0.0) -> Draw:
        """Return what the next request meets at this age of the service, in seconds.

        Every fault uses up its share of the sequence whether it is switched on or not, so that
        switching one on does not move the others.
        """
        if not self._has_first and not self._own:
            return NO_FAULT
        hits: dict[str, bool] = {}
        shuffle_share = 0.0
        if self._has_first:
            for name in _FIRST:
                hits[name] = self._random.random() < self.probability(name, age_s)
            shuffle_share = self._random.random()
        for name, chance in self._own.items():
            hits[name] = chance.random() < self.probability(name, age_s)
        share = self._shares.random() if self._own else 0.0
        if not any(hits.values()):
            return NO_FAULT
        return _drawn({name for name, is_hit in hits.items() if is_hit}, shuffle_share, share)


def _drawn(hits: set[str], shuffle_share: float, share: float) -> Draw:
    endings = ("error_500", "drop", "hang", "half_open", "stall", "torn")
    ending = next((name for name in endings if name in hits), "")
    return Draw(
        is_failed=ending == "error_500",
        is_dropped=ending == "drop",
        is_hanging=ending == "hang",
        is_half_open=ending == "half_open",
        is_stalled=ending == "stall",
        is_torn=ending == "torn",
        is_delayed="delay" in hits,
        shuffle_share=shuffle_share if "shuffle" in hits else 0.0,
        is_duplicated="duplicate" in hits,
        is_reordered="reorder" in hits,
        has_unknown_event="unknown_event" in hits,
        has_foreign_event="foreign_event" in hits,
        is_create_rejected="rejected_create" in hits,
        refused_as=next((name for name in REFUSALS if name in hits), ""),
        defect=next((name for name in DEFECTS if name in hits), ""),
        lie=LIES[int(share * len(LIES))] if "lying_headers" in hits else "",
        share=share,
    )
