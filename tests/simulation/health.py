"""What an observer knows of a route: whether it is in use, by the table of breaker states.

Written from the documents; shares no code with the scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.errors import RateLimited, TransportError
from analysis.records import Ending
from analysis.settings import Settings
from tests.simulation.scenario import Entry

SLACK = 1e-6
SILENT_REQUESTS = 3
SILENT_S = 1.5
"""A route may be taken for silent from so many requests without a sign for so long."""


@dataclass(slots=True)
class Health:
    """One route.

    Attributes:
        settings: Knobs.
        recent: Its last requests: `a` answered, `f` failed.
        in_a_row: Failures without an answer between them.
        opened_at: When its pause began, or None while it is in use.
        down_since: When it left the state closed, or None.
        is_silent: It is away because no sign came, not because something failed.
        has_answered: At least once.
        pauses: Failed probes since it went down.
        probe: Request id of the probe on its way.
        losses: What was lost with sockets.
        waiting: Requests on their way -> when they were sent.
        heard_at: When it gave the last sign.
        slandered: When it was called silent and was not.
        held: Requests on their way -> their chunks.
        echoes: Copies over the same route as what they are copies of; their losses say no more.
    """

    settings: Settings
    recent: str = ""
    in_a_row: int = 0
    opened_at: float | None = None
    down_since: float | None = None
    is_silent: bool = False
    has_answered: bool = False
    pauses: int = 0
    probe: str | None = None
    losses: list[object] = field(default_factory=list)
    waiting: dict[str, float] = field(default_factory=dict)
    heard_at: float = float("-inf")
    slandered: list[str] = field(default_factory=list)
    held: dict[str, frozenset[int]] = field(default_factory=dict)
    echoes: set[str] = field(default_factory=set)

    def see(self, entry: Entry) -> None:
        """Take note of an entry of this route."""
        match entry.kind:
            case "send":
                self.waiting[entry.request_id] = entry.at
                tickets = frozenset(entry.tickets)
                if entry.is_copy and any(tickets & one for one in self.held.values()):
                    self.echoes.add(entry.request_id)
                self.held[entry.request_id] = tickets
                if entry.is_probe:
                    self.probe = entry.request_id
            case "sign":
                self.heard_at = entry.at
            case "answer" | "failure":
                self._end(entry)
            case "cancel":
                self._forget(entry)
            case "route_down" if self.opened_at is None:
                self._fall_silent(entry)

    def is_away(self, at: float) -> bool:
        """Tell whether rows that did not fail here may take another model: as documented."""
        if self.down_since is None:
            return False
        patience_s = self.settings.other_model_after_s - SLACK
        return not self.has_answered or at - self.down_since >= patience_s

    @property
    def probe_at(self) -> float:
        """Earliest time of a probe."""
        knobs = self.settings
        pause = min(knobs.breaker_open_cap_s, knobs.breaker_open_s * 1.6**self.pauses)
        return (self.opened_at or 0.0) + 0.8 * pause

    def _forget(self, entry: Entry) -> bool:
        """Forget a request that is not on its way any more; tell whether it was the probe."""
        self.waiting.pop(entry.request_id, None)
        self.held.pop(entry.request_id, None)
        is_probe = self.probe == entry.request_id
        self.probe = None if is_probe else self.probe
        return is_probe

    def _end(self, entry: Entry) -> None:
        is_probe = self._forget(entry)
        if isinstance(entry.error, TransportError) and not isinstance(entry.error, RateLimited):
            if entry.request_id in self.echoes:
                return
            self._lose(entry, is_probe=is_probe)
        else:
            self.heard_at = entry.at
            self._hear(is_answer=entry.kind == "answer", is_probe=is_probe)

    def _hear(self, *, is_answer: bool, is_probe: bool) -> None:
        """Take note that the service said something."""
        self.has_answered = self.has_answered or is_answer
        if self.opened_at is not None:
            if not (is_probe or (self.is_silent and is_answer)):
                return  # it answers a request from before
            self.recent, self.in_a_row = "", 0
            self.opened_at = self.down_since = None
            self.is_silent = False
        if is_answer:
            self.recent, self.in_a_row = self.recent + "a", 0

    def _lose(self, entry: Entry, *, is_probe: bool) -> None:
        """Take note that a request was lost."""
        if self.opened_at is not None:
            if is_probe:
                self.opened_at, self.pauses = entry.at, self.pauses + 1
            return
        loss = getattr(entry.error, "loss", None)
        if loss is not None and any(loss is one for one in self.losses):
            return
        self.losses.append(loss)
        self.recent, self.in_a_row = self.recent + "f", self.in_a_row + 1
        size = self.settings.breaker_window
        last = self.recent[-size:]
        is_half = len(last) == size and 2 * last.count("f") >= size
        is_refused = getattr(entry.error, "ending", None) is Ending.UNSENT
        if is_refused or is_half or self.in_a_row >= self.settings.breaker_failures:
            self._open(entry.at)

    def _fall_silent(self, entry: Entry) -> None:
        """Take note that the scheduler calls a route silent; it needs enough of silence for it."""
        old = [sent for sent in self.waiting.values() if entry.at - sent >= SILENT_S - SLACK]
        if len(old) < SILENT_REQUESTS or entry.at - self.heard_at < SILENT_S - SLACK:
            self.slandered.append(
                f"{entry.route} is called silent at {entry.at:.2f} s: {len(old)} requests wait, "
                f"and it spoke {entry.at - self.heard_at:.2f} s ago"
            )
        self.is_silent = True
        self._open(entry.at)

    def _open(self, at: float) -> None:
        self.opened_at = self.down_since = at
        self.pauses = 0
