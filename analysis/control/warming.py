"""One request before the crowd, so that a prompt is written to the service's cache once.

Pure. The scheduler asks before it sends, and tells what was sent, answered and ended.

Requests that begin with the same instructions share a prefix, which a service caches. An entry can
be read once the request that wrote it was answered, so requests that go together at the start all
miss it, and each of them pays for writing it. Here the first one goes alone and the others of that
prefix wait for it.

    state of a prefix                        a request that may go now
    unknown: not read for the cache's life   goes, and is the first
    the first one is on its way              waits, where that is worth while; see below
    known: answered, or the first one ended  goes

A wait ends with any answer on the prefix, with any ending of the first request, good or bad, and at
the latest after `warm_patience` times the expected latency. So neither a failure nor a service that
hangs holds a run back, and nothing that failed is waited for again.

It is worth while if both hold:

    crowd x tokens of the prefix x (price of a write - price of a read) >= warm_least_usd
    expected latency <= warm_share x the least time that the waiting requests take

    crowd       those that would go now: waiting, with a place in flight, at most `warm_crowd` less
                one, since a cache is that of one machine and more requests a minute overflow to
                others, where they write anew
    least time  the longest of: rounds of requests in flight, requests and tokens a minute

So jobs of a few requests never wait, nor do routes without prices. Where writing costs what input
costs, the saving is the price of input less that of a read.

Routes that ask one model the same question on one account share a prefix. Realtime sessions have
none here: each has a cache of its own, which its own first request fills. A probe of a route that
was away travels alone anyway; its answer makes the prefix known. What other processes have written
is not known here.

Source: protocol notes, section 7.2 (OpenAI guide on prompt caching, autumn 2026).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.control.decisions import Notify
from analysis.control.routes import RouteState
from analysis.control.spending import MILLION
from analysis.settings import Settings


@dataclass(slots=True, kw_only=True)
class _Prefix:
    """What the requests of some routes begin with.

    Attributes:
        tokens: Of it.
        routes: That share it.
        each_usd: What a request saves that reads it and does not write it.
        first: Id of the request that is sent before the others, while it is on its way.
        until: When the others stop waiting for it.
        known_until: Up to when it is taken as cached, or given up on.
        is_told: The wait was told.
    """

    tokens: int
    routes: list[RouteState]
    each_usd: float
    first: str | None = None
    until: float = -math.inf
    known_until: float = -math.inf
    is_told: bool = False


class Warming:
    """The prefixes of a run, and who waits for which request.

    Attributes:
        foreseen: Requests that the run will still take, where somebody has counted them before.
    """

    def __init__(self, routes: Sequence[RouteState], *, notify: Notify, settings: Settings) -> None:
        """Find the prefixes; routes without a price, or with reads that save nothing, have none."""
        self.foreseen = 0
        self._notify = notify
        self._settings = settings
        found: dict[tuple[str, str, str], _Prefix] = {}
        self._by_index: dict[int, _Prefix] = {}
        for route in routes:
            plan, rates = route.plan, route.plan.rates
            if not plan.cached_prefix_tokens or rates is None or rates.written <= rates.cached:
                continue
            tokens = plan.cached_prefix_tokens
            each_usd = tokens * (rates.written - rates.cached) / MILLION
            fresh = _Prefix(tokens=tokens, routes=[], each_usd=each_usd)
            prefix = found.setdefault((plan.account, plan.model, plan.prompt), fresh)
            prefix.routes.append(route)
            self._by_index[route.index] = prefix

    def __bool__(self) -> bool:
        """Whether any route has a prefix that can be cached."""
        return bool(self._by_index)

    def foresee(self, requests: int) -> None:
        """Hear how many requests will go; of jobs that run at once the longest counts."""
        self.foreseen = max(self.foreseen, requests)

    def held_until(self, home: RouteState, over: RouteState, ahead: int, now: float) -> float:
        """Return up to when the head of a queue waits for the first request; `now`: it may go.

        Args:
            home: The route whose queue it heads.
            over: The route that would send it.
            ahead: Requests that will be queued later.
            now: Monotonic seconds.
        """
        prefix = self._by_index.get(over.index)
        if prefix is None or prefix.first is None or now >= prefix.until:
            return now
        if not self._is_worth_while(prefix, home, over, ahead):
            return now
        if not prefix.is_told:
            prefix.is_told, name = True, over.plan.name
            message = (
                f"{name} waits for its first answer: it writes {prefix.tokens:,} tokens of the "
                "prompt to the service's cache, from which the others then read."
            )
            self._notify("cache_awaited", message, {"route": name, "tokens": prefix.tokens})
        return prefix.until

    def sent(self, over: RouteState, request_id: str, chunks: int, now: float) -> None:
        """Hear that a request goes that is no probe; it may be the first of its prefix."""
        self.foreseen = max(0, self.foreseen - 1)
        prefix = self._by_index.get(over.index)
        if prefix is None or prefix.first is not None or now < prefix.known_until:
            return
        prefix.first, prefix.is_told = request_id, False
        prefix.until = now + self._settings.warm_patience * over.latency.predict(chunks)

    def answered(self, over: RouteState, now: float) -> None:
        """Hear of an answer, whatever it is worth: its prompt was read, and is cached."""
        if (prefix := self._by_index.get(over.index)) is not None:
            self._know(prefix, now)

    def ended(self, over: RouteState, request_id: str, now: float) -> None:
        """Hear that a request is not on its way any more; nobody waits for it then."""
        prefix = self._by_index.get(over.index)
        if prefix is not None and prefix.first == request_id:
            self._know(prefix, now)

    def _know(self, prefix: _Prefix, now: float) -> None:
        prefix.first, prefix.known_until = None, now + self._settings.warm_life_s

    def _is_worth_while(
        self, prefix: _Prefix, home: RouteState, over: RouteState, ahead: int
    ) -> bool:
        knobs, pack = self._settings, home.queue[0].pack
        waiting = len(home.queue) + sum(len(one.queue) for one in prefix.routes if one is not home)
        if home.queue[0].stage == 0:  # what is still to come joins the queue of the first route
            waiting = max(waiting + ahead, self.foreseen)
        at_once = sum(one.concurrency.limit for one in prefix.routes)
        free = at_once - sum(one.in_flight for one in prefix.routes)
        crowd = min(waiting, free, knobs.warm_crowd - 1)
        if crowd * prefix.each_usd < knobs.warm_least_usd:
            return False
        latency_s, pacer = over.latency.predict(len(pack.items)), over.pacer
        least_s = max(
            waiting * latency_s / at_once,
            waiting / pacer.requests.rate,
            waiting * (prefix.tokens + pack.tokens) / pacer.tokens.rate,
        )
        return latency_s <= knobs.warm_share * least_s
