"""What a run on virtual time is made of, and what is written down of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.errors import AnalysisError
from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings
from tests.simulation.accounts import Limited

COST_PER_REQUEST = 300
COST_PER_CHUNK = 60
SLOWNESS = 10.0
"""Latency in the spans in which a service is slow, as a multiple of the usual one."""

NIGHT_S = 28_800.0
"""How long the machine sleeps where a scenario says that it does."""

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one route meets; chances are per request, times in seconds of the run.

    Attributes:
        name: Name of the route.
        model: Model that is asked for.
        account: Key and host.
        in_flight: Limit of requests at once.
        drop: Chance that the connection breaks.
        cut: Chance that all requests of the route are lost at once, with their one socket.
        server_error: Chance of a 500.
        hang: Chance that nothing comes until the time-out.
        limited: Chance of a 429.
        malformed: Chance that the answer is void.
        short: Chance, per chunk, that its item is missing.
        declines: Chance, per chunk, that it is declined while the rest is answered.
        twice: Chance that an answer comes a second time.
        streams: A first event comes before the answer.
        away: Spans (from, to) in which connections are refused.
        silent: Spans in which requests are taken and nothing comes back.
        slow: Spans in which answers take ten times as long.
        closed_from: From when on the key is refused, or None.
        limited_from: From when on every request meets a 429, or None.
        hour_from: From when on, for an hour, a 429 asks to wait for the rest of it, or None.
        waits: What is wrong with the time to wait that a refusal states: `""` nothing, `absent`,
            `zero`, `short` (a quarter) or `long` (four times).
        states_limits: Its answers would tell the limits.
        names_requests: Limits are stated with the answer; else at once, and without saying of
            which request.
    """

    name: str
    model: str
    account: str = "key"
    in_flight: int = 8
    drop: float = 0.0
    cut: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    limited: float = 0.0
    malformed: float = 0.0
    short: float = 0.0
    declines: float = 0.0
    twice: float = 0.0
    streams: bool = False
    away: Spans = ()
    silent: Spans = ()
    slow: Spans = ()
    closed_from: float | None = None
    limited_from: float | None = None
    hour_from: float | None = None
    waits: str = ""
    states_limits: bool = True
    names_requests: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: services, chunks with a nature, limits of the one account if it keeps any.

    Attributes:
        services: One per route, in the order of preference.
        chunks: How many; their tickets count from 0.
        chunks_per_request: Largest pack.
        refused: Chunks that the model declines.
        deadly: Chunks that break the connection.
        rejected: Chunks that make a request invalid.
        heavy: Chunks of more tokens than a minute allows.
        feed_s: Seconds from one offer to the next.
        stop_at: When somebody stops the run, or None.
        withdraw_at: When the reader of every second pack goes away, or None.
        suspended_at: When the machine falls asleep for `NIGHT_S`, or None.
        limits: Of the account that all services share, or None.
        settings: Knobs.
    """

    services: tuple[Service, ...]
    chunks: int = 60
    chunks_per_request: int = 5
    refused: frozenset[int] = frozenset()
    deadly: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()
    heavy: frozenset[int] = frozenset()
    feed_s: float = 0.0
    stop_at: float | None = None
    withdraw_at: float | None = None
    suspended_at: float | None = None
    limits: Limited | None = None
    settings: Settings = SETTINGS

    def tokens_of(self, ticket: int) -> int:
        """Return the estimated tokens of a chunk."""
        return self.settings.tokens_per_minute + 1 if ticket in self.heavy else COST_PER_CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One limiter of the scheduler at some time.

    Attributes:
        group: Account and model.
        name: `requests` or `tokens`.
        drawn: Everything drawn so far, net of what came back.
        level: What the minute bucket holds, at most `per_minute`.
        per_minute: The limit in use.
    """

    group: tuple[str, str]
    name: str
    drawn: float
    level: float
    per_minute: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the trace.

    Attributes:
        kind: `offer`, `send`, `sign`, `answer`, `failure`, `cancel`, `withdraw`, `stated`,
            `verdicts`, `wait`, `stop`, `night`, `finished`, or the name of an event that the
            scheduler told, such as `route_down`.
        at: Seconds of the run.
        request_id: Of a send or its ending.
        route: Of a send or its ending.
        tickets: Chunks of the request, or those that get a verdict.
        labels: Ticket -> label given, for answers and verdicts; None stands for a failed chunk.
        declined: Chunks that an answer declined.
        error: Error of a failure.
        usage_tokens: Billed tokens of an answer.
        cost_tokens: What a send reserves.
        is_probe: The scheduler called a send a probe.
        is_copy: The scheduler called a send a copy of another request.
        stated: Limits that the service told.
        message: Of an event that the scheduler told.
        until: What a wait says.
        in_flight: Requests in flight, as the scheduler counts them.
        crowded: Routes without room for one more request, at a wait.
        buckets: The limiters, at a wait and at the end.
    """

    kind: str
    at: float
    request_id: str = ""
    route: str = ""
    tickets: tuple[int, ...] = ()
    labels: Mapping[int, str | None] = field(default_factory=dict)
    declined: frozenset[int] = frozenset()
    error: AnalysisError | None = None
    usage_tokens: int = 0
    cost_tokens: int = 0
    is_probe: bool = False
    is_copy: bool = False
    stated: tuple[RateLimit, ...] = ()
    message: str = ""
    until: float | None = None
    in_flight: int = 0
    crowded: frozenset[str] = frozenset()
    buckets: tuple[Bucket, ...] = ()

    def shown(self) -> str:
        """Return the entry as one line, for comparison of traces."""
        return (
            f"{self.at!r} {self.kind} {self.request_id} {self.route} {self.tickets} "
            f"{sorted(self.labels.items())} {sorted(self.declined)} {self.error!r} "
            f"{self.usage_tokens} {self.is_probe} {self.is_copy} "
            f"{self.until!r} {self.in_flight}"
        )


Trace = list[Entry]


def sends(trace: Trace) -> list[Entry]:
    """Return the sends of a trace."""
    return [entry for entry in trace if entry.kind == "send"]


def labels_of(trace: Trace) -> dict[int, str | None]:
    """Return what each chunk got."""
    return {t: label for e in trace if e.kind == "verdicts" for t, label in e.labels.items()}


def is_within(spans: Spans, now: float) -> bool:
    """Tell whether a time lies in one of the spans."""
    return any(begin <= now < end for begin, end in spans)


def true_label(ticket: int) -> str:
    """Return the label that every service gives to a chunk: it names the chunk itself."""
    return f"label-of-{ticket}"
