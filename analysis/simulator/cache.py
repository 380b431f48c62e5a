"""The prompt cache of the account: which part of an input was read, which part was written.

Pure. `service` asks once per accepted request; the protocols say how the request is rendered.
Sources: sections 3.3 and 7.2 of the protocol notes; G marks a guess.

Three rules, by model and route:

- From GPT-5.6 on an entry is a prefix that ends at a breakpoint: in both modes at the end of a
  block that carries one, in implicit mode at the end of the last user message, too (that both
  count in implicit mode: G). A request reads the longest entry that is a prefix of it and ends at
  the end of one of its blocks, and writes up to its last breakpoint. Tokens are exact, what is
  written costs extra, nothing below `minimum_tokens` is kept.
- For earlier models every step of 128 tokens from the minimum on is an entry, and writing is free.
- A Realtime session reads what it has in common with its last request, in steps of 64 tokens.

An entry can be read from the first token of the answer that wrote it on, so that requests sent
together all write (G), until `ttl_s` after its last use. With `machine_rpm` more requests than that
per minute on one prefix go to further machines, each with a cache of its own (G).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from analysis.simulator.profile import MODELS_WITH_EARLIER_CACHE, CacheRules

BYTES_PER_TOKEN = 4
WRITES_PER_REQUEST = 4
"""Breakpoints of one request that are written, the last ones."""
ENTRIES_KEPT = 20_000
SESSIONS_KEPT = 256
ROUTED_KEPT = 2_000
"""Bounds of the memory; the oldest go first."""
MACHINES = 64
ROUTING_BYTES = 1_024
"""Start of a request by which it is sent to a machine (G)."""
SECONDS_PER_MINUTE = 60.0

_Key: TypeAlias = tuple[int, bytes]


def tokens_of(size_bytes: int) -> int:
    """Return the tokens of a text of so many UTF-8 bytes."""
    return -(-size_bytes // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part of a rendered request, in order.

    Attributes:
        role: Who says it: `developer`, `user` and so on; `instructions` for those.
        text: What it says.
        is_breakpoint: It carries a `prompt_cache_breakpoint`.
    """

    role: str
    text: str
    is_breakpoint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A request as the cache sees it; its answer schema comes beside it, in front of the blocks.

    Attributes:
        blocks: Instructions and messages in order.
        settings: What else must match: effort, verbosity and the like, as text.
        is_implicit: The end of the last user message is a breakpoint.
        key: `prompt_cache_key`; each has a cache of its own.
        session: Id of the Realtime session, or "" on other routes.
    """

    blocks: tuple[Block, ...]
    settings: str = ""
    is_implicit: bool = True
    key: str = ""
    session: str = ""


@dataclass(slots=True)
class _Entry:
    ready_at: float
    used_at: float


class PrefixCache:
    """The caches of one account; see the rules above."""

    def __init__(self, rules: CacheRules) -> None:
        self._rules = rules
        self._entries: dict[_Key, _Entry] = {}
        self._sessions: dict[str, bytes] = {}
        self._routed: dict[bytes, deque[float]] = {}

    def __repr__(self) -> str:
        return f"PrefixCache({len(self._entries)} entries, {len(self._sessions)} sessions)"

    def charge(
        self,
        rendered: Rendered,
        *,
        model: str,
        schema: bytes,
        input_tokens: int,
        ready_at: float,
        now: float,
    ) -> tuple[int, int]:
        """Take note of a request; return the tokens that it reads and those that it writes.

        Args:
            rendered: The request.
            model: The model asked for.
            schema: Encoded schema of the answer or parameters of the tool, or b"".
            input_tokens: Tokens of the whole input; neither figure is above it.
            ready_at: When the answer begins; what is written can be read from then on.
            now: When the request is accepted.
        """
        if not self._rules.is_on:
            return 0, 0
        if rendered.session:
            return min(input_tokens, self._session_tokens(rendered, schema)), 0
        if input_tokens < self._rules.minimum_tokens:
            return 0, 0
        start = f"{model}|{rendered.settings}|{rendered.key}|".encode() + schema
        machine = self._machine(start, rendered, now)
        if model in MODELS_WITH_EARLIER_CACHE:
            steps = [(machine, step) for step in self._steps(start, schema, rendered)]
            return min(input_tokens, self._read_steps(steps, ready_at, now)), 0
        return self._charge_breakpoints(start, len(schema), machine, rendered, ready_at, now)

    def _charge_breakpoints(
        self,
        start: bytes,
        size_bytes: int,
        machine: int,
        rendered: Rendered,
        ready_at: float,
        now: float,
    ) -> tuple[int, int]:
        users = [place for place, block in enumerate(rendered.blocks) if block.role == "user"]
        implicit = users[-1] if rendered.is_implicit and users else -1
        digest = blake2b(start, digest_size=16)
        ends: list[tuple[int, _Key, bool]] = []
        for place, block in enumerate(rendered.blocks):
            text = block.text.encode()
            digest.update(f"|{block.role}|{len(text)}|".encode() + text)
            size_bytes += len(text)
            if tokens_of(size_bytes) >= self._rules.minimum_tokens:
                is_written = block.is_breakpoint or place == implicit
                ends.append((tokens_of(size_bytes), (machine, digest.digest()), is_written))
        cached = 0
        for tokens, key, _ in reversed(ends):
            if self._is_read(key, now):
                cached = tokens
                break
        written = [(tokens, key) for tokens, key, is_written in ends if is_written]
        for _, key in written[-WRITES_PER_REQUEST:]:
            self._write(key, ready_at, now)
        longest = written[-1][0] if written else 0
        return cached, max(0, longest - cached)

    def _is_read(self, key: _Key, now: float, ttl_s: float | None = None) -> bool:
        entry = self._entries.get(key)
        ttl_s = self._rules.ttl_s if ttl_s is None else ttl_s
        if entry is None or entry.ready_at > now or now - entry.used_at >= ttl_s:
            return False
        entry.used_at = now
        return True

    def _write(self, key: _Key, ready_at: float, now: float) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and now - entry.used_at < self._rules.ttl_s:
            ready_at = min(ready_at, entry.ready_at)
        self._entries[key] = _Entry(ready_at, max(ready_at, now))
        if len(self._entries) > ENTRIES_KEPT:
            del self._entries[next(iter(self._entries))]

    def _steps(self, start: bytes, schema: bytes, rendered: Rendered) -> Iterator[bytes]:
        """Yield a digest for each step of the rendered text, from the minimum on."""
        whole = schema + _whole(rendered)
        digest = blake2b(start, digest_size=16)
        end, step = 0, self._rules.earlier_step_tokens * BYTES_PER_TOKEN
        first = self._rules.minimum_tokens * BYTES_PER_TOKEN
        for until in range(first, len(whole) + 1, step):
            digest.update(whole[end:until])
            end = until
            yield digest.digest()

    def _read_steps(self, steps: list[_Key], ready_at: float, now: float) -> int:
        rules = self._rules
        cached = 0
        for place in range(len(steps) - 1, -1, -1):
            if self._is_read(steps[place], now, rules.earlier_ttl_s):
                cached = rules.minimum_tokens + place * rules.earlier_step_tokens
                break
        for key in steps:
            self._write(key, ready_at, now)
        return cached

    def _session_tokens(self, rendered: Rendered, schema: bytes) -> int:
        """Return what a session's request shares with the one before it."""
        whole = schema + _whole(rendered)
        before = self._sessions.pop(rendered.session, b"")
        self._sessions[rendered.session] = whole
        if len(self._sessions) > SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]
        step = self._rules.session_step_tokens * BYTES_PER_TOKEN
        end = 0
        while end + step <= len(before) and before[end : end + step] == whole[end : end + step]:
            end += step
        return end // BYTES_PER_TOKEN

    def _machine(self, start: bytes, rendered: Rendered, now: float) -> int:
        """Return the machine that takes the request; 0 unless the prefix is asked for often."""
        most = self._rules.machine_rpm
        if most is None:
            return 0
        first = blake2b(start + _whole(rendered)[:ROUTING_BYTES], digest_size=16).digest()
        times = self._routed.pop(first, None) or deque()
        self._routed[first] = times
        if len(self._routed) > ROUTED_KEPT:
            del self._routed[next(iter(self._routed))]
        while times and now - times[0] >= SECONDS_PER_MINUTE:
            times.popleft()
        machine = min(len(times) // most, MACHINES - 1)
        if len(times) < most * MACHINES:
            times.append(now)
        return machine


def _whole(rendered: Rendered) -> bytes:
    return "\x00".join(block.text for block in rendered.blocks).encode()
