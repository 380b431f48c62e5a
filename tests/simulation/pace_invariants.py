"""What has to hold for the pace of every run, read from its trace alone.

As `chunk_invariants.py`: each check returns how many facts it looked at. Those on refusals and on
time apply to accounts that state their true limits; how others are met is in `test_limits.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import ceil

from analysis.errors import ModelRefused, RateLimited, RequestRejected, TransportError
from analysis.records import Ending
from tests.simulation.accounts import Limited
from tests.simulation.health import SLACK, Health
from tests.simulation.scenario import (
    COST_PER_CHUNK,
    COST_PER_REQUEST,
    Entry,
    Scenario,
    Service,
    Trace,
    sends,
)

Group = tuple[str, str]


def groups_of(scenario: Scenario) -> dict[str, Group]:
    """Return account and model of each route: those share one limiter."""
    return {service.name: (service.account, service.model) for service in scenario.services}


def what_is_drawn_is_what_was_used(scenario: Scenario, trace: Trace) -> int:
    """I5: at the end the limiters have drawn what was sent, less what came back."""
    groups = groups_of(scenario)
    requests: defaultdict[Group, float] = defaultdict(float)
    tokens: defaultdict[Group, float] = defaultdict(float)
    costs: dict[str, int] = {}
    for entry in trace:
        if entry.kind == "send":
            costs[entry.request_id] = entry.cost_tokens
            requests[groups[entry.route]] += 1
            tokens[groups[entry.route]] += entry.cost_tokens
        else:
            for change in refunds(entry, costs):
                tokens[groups[entry.route]] -= change
    checks = 0
    for bucket in (one for entry in trace if entry.kind == "finished" for one in entry.buckets):
        wanted = (requests if bucket.name == "requests" else tokens)[bucket.group]
        checks += 1
        off = abs(bucket.drawn - wanted)
        assert off <= SLACK * max(1.0, wanted), f"{bucket} instead of {wanted}"
    return checks


def refunds(entry: Entry, costs: dict[str, int]) -> Iterator[float]:
    """Yield the tokens that the ending of a request gives back."""
    cost = costs.get(entry.request_id, 0)
    if entry.kind == "answer" and entry.usage_tokens:
        yield cost - entry.usage_tokens
    if entry.kind == "failure" and is_free(entry.error):
        yield cost


def is_free(error: object) -> bool:
    """Tell whether a failure shows that nothing was generated."""
    if isinstance(error, TransportError):
        return error.ending in (Ending.REFUSED, Ending.UNSENT)
    return isinstance(error, RequestRejected) and not isinstance(error, ModelRefused)


def no_bucket_overflows(scenario: Scenario, trace: Trace) -> int:
    """I5: no bucket ever holds more than its limit.

    A limit that was just lowered holds from the next moment on.
    """
    checks = 0
    changed_at = -1.0
    for entry in trace:
        changed_at = entry.at if entry.kind == "failure" or entry.stated else changed_at
        for one in entry.buckets if entry.at > changed_at else ():
            checks += 1
            assert one.level <= one.per_minute * (1 + SLACK), f"at {entry.at:.2f} s: {one}"
    return checks


def limits_hold_in_every_window(scenario: Scenario, trace: Trace) -> int:
    """I6: requests and reserved tokens, less what came back, within burst + rate x window + one.

    The rate is that of the settings, or the largest that a service stated. A burst may be as large
    as the minute's limit, as far as answers confirmed it.
    """
    knobs, groups = scenario.settings, groups_of(scenario)
    largest = max((float(entry.cost_tokens) for entry in sends(trace)), default=0.0)
    checks = 0
    for group in set(groups.values()):
        mine = [entry for entry in trace if groups.get(entry.route) == group]
        drawn = [(e.at, 1.0) for e in sends(mine)]
        checks += len(drawn)
        assert_bounded(drawn, *limit_of(mine, "requests", knobs.requests_per_minute), 1.0)
        tokens = list(token_changes(mine))
        assert_bounded(tokens, *limit_of(mine, "tokens", knobs.tokens_per_minute), largest)
    return checks


def limit_of(trace: Trace, name: str, per_minute: float) -> tuple[float, float]:
    """Return units per minute and seconds of burst that a limiter may use.

    A burst may be a minute's worth: as far as answers confirmed it, and nobody refused.
    """
    stated = [one.limit or 0 for entry in trace for one in entry.stated if one.name == name]
    return max([per_minute, *stated]), 60.0


def token_changes(trace: Trace) -> Iterator[tuple[float, float]]:
    """Yield (time, tokens) of what is drawn, and of what may be given back as negative."""
    costs: dict[str, int] = {}
    for entry in trace:
        cost = costs.pop(entry.request_id, 0)
        if entry.kind == "send":
            costs[entry.request_id] = entry.cost_tokens
            yield entry.at, float(entry.cost_tokens)
        elif entry.kind == "answer":
            yield entry.at, float(entry.usage_tokens - cost)
        elif entry.kind in ("failure", "cancel"):
            yield entry.at, -float(cost)  # at most: some failures give nothing back
        elif entry.request_id in costs or cost:
            costs[entry.request_id] = cost


def assert_bounded(
    changes: Iterable[tuple[float, float]], per_minute: float, burst_s: float, unit: float
) -> None:
    """Any window that ends with a draw holds at most burst + rate x width + one unit.

    One pass: the level that a bucket would need is followed from draw to draw.
    """
    rate = per_minute / 60
    burst = max(2 * unit, rate * burst_s)
    level, before = burst, None
    for at, amount in changes:
        level = min(burst, level + rate * (at - (at if before is None else before))) - amount
        level, before = min(burst, level), at
        assert level >= -unit - SLACK * burst, f"{-level:.2f} above the limit at {at:.2f} s"


class Idle:
    """What an observer knows of a route that might idle: fresh chunks, a free place, room."""

    def __init__(self, scenario: Scenario, service: Service) -> None:
        knobs = scenario.settings
        cost = COST_PER_REQUEST + COST_PER_CHUNK * scenario.chunks_per_request
        self.health = Health(knobs)
        self.service = service
        # Half of what may be used is sure to be there, whatever else the limiter considers.
        self.requests = Half(knobs.requests_per_minute, 1.0, knobs.burst_s)
        self.tokens = Half(knobs.tokens_per_minute, float(cost), knobs.burst_s)
        self.is_refused = False

    def see(self, entry: Entry, groups: dict[str, Group]) -> None:
        """Take note of an entry of this route, or of one that shares its limits."""
        if entry.route == self.service.name:
            self.health.see(entry)
            self.is_refused = self.is_refused or entry.kind == "route_closed"
        if groups.get(entry.route) == (self.service.account, self.service.model):
            self.is_refused = self.is_refused or isinstance(entry.error, RateLimited)
            if entry.kind == "send":
                self.requests.draw(1.0, entry.at)
                self.tokens.draw(entry.cost_tokens, entry.at)

    def could_send(self, entry: Entry) -> bool:
        """Tell whether nothing keeps this route from sending a fresh pack at this wait."""
        is_free = entry.route == "" and self.service.name not in entry.crowded
        is_up = self.health.opened_at is None and not self.is_refused
        has_room = self.requests.has_room(entry.at) and self.tokens.has_room(entry.at)
        return is_free and is_up and has_room


class Half:
    """A bucket of half the size and half the rate; nothing comes back."""

    def __init__(self, per_minute: float, unit: float, burst_s: float) -> None:
        self.rate = per_minute / 120
        self.unit = unit
        self.most = self.level = max(unit, self.rate * burst_s)
        self.at: float | None = None

    def draw(self, amount: float, at: float) -> None:
        """Take from it, below zero if need be."""
        self.fill(at)
        self.level -= amount

    def has_room(self, at: float) -> bool:
        """Tell whether it holds one more request."""
        self.fill(at)
        return self.level >= self.unit

    def fill(self, at: float) -> None:
        """Let it refill until now."""
        passed = 0.0 if self.at is None else at - self.at
        self.level, self.at = min(self.most, self.level + self.rate * passed), at


def nothing_idles(scenario: Scenario, trace: Trace) -> int:
    """I9: a fresh chunk does not wait while the first route is up, free, and its limits have room.

    Where nobody stated or enforced other limits than those of the settings.
    """
    if scenario.limits is not None:
        return 0
    groups, checks = groups_of(scenario), 0
    idle = Idle(scenario, scenario.services[0])
    fresh: set[int] = set()
    for entry in trace:
        match entry.kind:
            case "offer":
                fresh.update(t for t in entry.tickets if t not in scenario.heavy)
            case "send" | "withdraw" | "verdicts":
                fresh.difference_update(entry.tickets)
            case "wait" if fresh and idle.could_send(entry):
                raise AssertionError(f"{len(fresh)} chunks wait for nothing at {entry.at:.2f} s")
            case "wait":
                checks += bool(fresh)
        idle.see(entry, groups)
    return checks


def states_the_truth(scenario: Scenario) -> bool:
    """Tell whether the limits of the account are stated, stable and its own."""
    limits = scenario.limits
    if limits is None or any(service.waits for service in scenario.services):
        return False
    is_true = limits.lie == "" and limits.is_named and limits.lowered_at is None
    is_alone = limits.others == 0 and limits.slow_down_above is None
    return is_true and is_alone and scenario.services[0].states_limits


def refusals_are_few(scenario: Scenario, trace: Trace) -> int:
    """I11: what was in flight before the first word on limits, five, and one in a hundred."""
    if not states_the_truth(scenario):
        return 0
    sent = sends(trace)
    heard_at = min((entry.at for entry in trace if entry.stated), default=float("inf"))
    blind = sum(entry.at <= heard_at for entry in sent)
    refused = sum(isinstance(entry.error, RateLimited) for entry in trace)
    most = blind + 5 + 0.01 * len(sent)
    assert refused <= most, f"{refused} refusals of {len(sent)} requests, {blind} sent blindly"
    return 1


def time_is_used(scenario: Scenario, trace: Trace) -> int:
    """I12: within 15 % of what the limits allow, where that takes 20 s and little fails.

    The limits count refused requests, too; that these are few is looked at above.
    """
    if not states_the_truth(scenario) or scenario.limits is None:
        return 0
    refused = sum(isinstance(entry.error, RateLimited) for entry in trace)
    failed = sum(entry.error is not None for entry in trace) - refused
    is_plain = scenario.feed_s == 0 and scenario.stop_at is None and scenario.withdraw_at is None
    least_s = bound_s(scenario, scenario.limits, refused)
    if not is_plain or failed > 0.01 * len(sends(trace)) or least_s < 20.0:
        return 0
    taken_s = trace[-1].at - trace[0].at
    assert taken_s <= 1.15 * least_s, f"{taken_s:.1f} s, and {least_s:.1f} s would do"
    return 1


def bound_s(scenario: Scenario, limits: Limited, refused: int = 0) -> float:
    """Return the seconds that no client can beat with these packs: the scarcer of two limits.

    A refused request costs a unit of the minute, and nothing of a hidden window.
    """
    count = ceil(scenario.chunks / scenario.chunks_per_request)
    is_refunded = limits.window_s in (None, 60.0)  # a hidden window keeps what was reserved
    per_request = COST_PER_REQUEST // 2 if is_refunded else COST_PER_REQUEST
    tokens = COST_PER_CHUNK * scenario.chunks + per_request * count
    seconds = 60.0 * (count + refused) / limits.rpm - 60.0 * limits.fill
    for drawn, limit in ((count, limits.rpm), (tokens, limits.tpm)):
        held = min(limit * limits.fill, max(limit / 60 * (limits.window_s or 60.0), 1.0))
        seconds = max(seconds, (drawn - held) / (limit / 60))
    return seconds
