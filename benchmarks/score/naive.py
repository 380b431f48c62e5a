"""How scripts send such a job: the designs that the scheduler is compared with.

Pure. Each uses the fastest way alone, gives up no chunk and knows nothing of the package. None was
tuned; sources are named per design.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from benchmarks.score.market import Fate, Kind
from benchmarks.score.stage import Stage

PAUSE_S = 0.5
"""Between two requests of one session. Source: the scripts that the package replaces."""
WORKERS = 50
BACKOFF_S = (1.0, 60.0)
"""First and longest exponential backoff. Source: OpenAI cookbook, "How to handle rate limits"."""
PAUSE_AFTER_429_S = 15.0
"""Source: OpenAI cookbook, api_request_parallel_processor."""


class Queue:
    """Packs that wait, cut into equal sizes, on the fastest way."""

    def __init__(self, stage: Stage, *, pack: int) -> None:
        self.stage = stage
        regime = stage.market.regime
        self.way, count = regime.ways[0].name, regime.chunks
        self.packs = deque(
            tuple(range(first, min(first + pack, count))) for first in range(0, count, pack)
        )

    def take_answer(self, chunks: Sequence[int], answered: frozenset[int]) -> bool:
        """Note what was answered; queue the rest again; return whether nothing is left."""
        for chunk in answered:
            self.stage.settle(chunk, is_answered=True)
        rest = tuple(chunk for chunk in chunks if chunk not in answered)
        if rest:
            self.packs.append(rest)
        return not rest


class Workers:
    """So many workers, each with one request at a time.

    A worker pauses after an answer; after a failure it repeats its request with exponential backoff
    and full jitter, and keeps its place meanwhile.
    """

    def __init__(self, stage: Stage, *, workers: int, pause_s: float) -> None:
        self._queue = Queue(stage, pack=1)
        self._stage = stage
        self._workers = workers
        self._pause_s = pause_s

    def start(self) -> None:
        """Let every worker take its first chunk."""
        for _ in range(self._workers):
            self._next()

    def _next(self) -> None:
        if self._queue.packs:
            self._ask(self._queue.packs.popleft(), 0)

    def _ask(self, chunks: Sequence[int], failures: int) -> None:
        self._stage.send(self._queue.way, chunks, partial(self._hear, chunks, failures))

    def _hear(
        self, chunks: Sequence[int], failures: int, fate: Fate, answered: frozenset[int]
    ) -> None:
        now = self._stage.now
        if fate.kind in (Kind.ANSWERED, Kind.VOID):
            self._queue.take_answer(chunks, answered)
            self._stage.at(now + self._pause_s, self._next)
            return
        first, longest = BACKOFF_S
        wait_s = self._stage.rng.uniform(0, min(longest, first * 2.0 ** min(failures, 16)))
        self._stage.at(now + wait_s, partial(self._ask, chunks, failures + 1))


class TokenBucket:
    """Sends whatever its own count of the minute allows, and pauses for all after a 429.

    It knows both limits per minute and starts with a whole minute's worth, as the cookbook's script
    does.
    """

    def __init__(self, stage: Stage, *, pack: int) -> None:
        self._queue = Queue(stage, pack=pack)
        self._stage = stage
        regime = stage.market.regime
        self._sizes = regime.sizes
        self._limits = (float(regime.rpm), float(regime.tpm))
        self._left = [float(regime.rpm), float(regime.tpm)]
        self._at = 0.0
        self._held_until = 0.0
        self._wake_at: float | None = None

    def start(self) -> None:
        """Send what the full bucket holds."""
        self._drive()

    def _drive(self) -> None:
        stage = self._stage
        while self._queue.packs:
            ready = self._ready_at(self._queue.packs[0])
            if ready > stage.now:
                if self._wake_at is None or ready < self._wake_at:
                    self._wake_at = ready
                    stage.at(ready, partial(self._wake, ready))
                return
            chunks = self._queue.packs.popleft()
            self._left[0] -= 1
            self._left[1] -= self._sizes.reserved_tokens(len(chunks))
            stage.send(self._queue.way, chunks, partial(self._hear, chunks))

    def _wake(self, at: float) -> None:
        if self._wake_at == at:
            self._wake_at = None
            self._drive()

    def _ready_at(self, chunks: Sequence[int]) -> float:
        now = self._stage.now
        ready = self._held_until
        needs = (1, self._sizes.reserved_tokens(len(chunks)))
        for place, (limit, need) in enumerate(zip(self._limits, needs, strict=True)):
            grown = self._left[place] + limit / 60.0 * (now - self._at)
            self._left[place] = min(limit, grown)
            lacks = need - self._left[place]
            if lacks > 1e-6:
                ready = max(ready, now + lacks * 60.0 / limit)
        self._at = now
        return ready

    def _hear(self, chunks: Sequence[int], fate: Fate, answered: frozenset[int]) -> None:
        if fate.kind is Kind.LIMITED:
            self._held_until = self._stage.now + PAUSE_AFTER_429_S
        self._queue.take_answer(chunks, answered)
        self._drive()
