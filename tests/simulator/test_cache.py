"""Behaviour of the prompt cache."""

from __future__ import annotations

from dataclasses import replace

from analysis.simulator.cache import Block, PrefixCache, Rendered, tokens_of
from analysis.simulator.profile import CacheRules

LUNA = "gpt-6-luna"
PROMPT = "p" * 4_096
"""1,024 tokens."""


def explicit(chunk: str, prompt: str = PROMPT, key: str = "") -> Rendered:
    """Return a request whose prompt carries a breakpoint and whose chunk stands behind it."""
    blocks = (
        Block(role="developer", text=prompt, is_breakpoint=True),
        Block(role="user", text=chunk),
    )
    return Rendered(blocks=blocks, is_implicit=False, key=key)


def implicit(chunk: str) -> Rendered:
    """Return the same request in implicit mode, without a breakpoint."""
    blocks = (Block(role="developer", text=PROMPT), Block(role="user", text=chunk))
    return Rendered(blocks=blocks)


def charge(
    cache: PrefixCache,
    rendered: Rendered,
    now: float,
    *,
    model: str = LUNA,
    schema: bytes = b"",
    ready_at: float | None = None,
) -> tuple[int, int]:
    """Charge a request whose answer begins at once unless told otherwise."""
    size_bytes = sum(len(block.text.encode()) for block in rendered.blocks)
    return cache.charge(
        rendered,
        model=model,
        schema=schema,
        input_tokens=tokens_of(size_bytes + len(schema)),
        ready_at=now if ready_at is None else ready_at,
        now=now,
    )


def test_a_breakpoint_is_written_once_and_read_afterwards() -> None:
    """The prompt costs a write, then reads; the chunk behind it costs neither."""
    cache = PrefixCache(CacheRules())
    assert [(0, 1_024), (1_024, 0), (1_024, 0)] == [
        charge(cache, explicit(chunk * 40), now) for now, chunk in enumerate("abc")
    ]


def test_implicit_mode_writes_each_chunk() -> None:
    """The end of the user message is the breakpoint, so that nothing is ever read."""
    cache = PrefixCache(CacheRules())
    assert [(0, 1_034), (0, 1_034)] == [charge(cache, implicit(c * 40), 0.0) for c in "ab"]
    assert (1_034, 0) == charge(cache, implicit("a" * 40), 1.0)


def test_explicit_mode_without_breakpoints_writes_nothing() -> None:
    """There is no entry to read either."""
    cache = PrefixCache(CacheRules())
    bare = replace(implicit("a"), is_implicit=False)
    assert [(0, 0), (0, 0)] == [charge(cache, bare, now) for now in (0.0, 1.0)]


def test_a_prefix_below_the_minimum_is_not_kept() -> None:
    """One token less than 1,024 costs nothing extra, however long the request is."""
    cache = PrefixCache(CacheRules())
    short = explicit("c" * 400, prompt="p" * 4_092)
    assert [(0, 0), (0, 0)] == [charge(cache, short, now) for now in (0.0, 1.0)]


def test_the_whole_prefix_must_match() -> None:
    """Another model, schema, setting, key, role or prompt is another prefix."""
    cache = PrefixCache(CacheRules())
    known = explicit("a")
    charge(cache, known, 0.0)
    assert (0, 1_024) == charge(cache, known, 1.0, model="gpt-5.6-luna")
    assert (0, 1_025) == charge(cache, known, 1.0, schema=b"{}  ")
    assert (0, 1_024) == charge(cache, replace(known, settings="low"), 1.0)
    assert (0, 1_024) == charge(cache, explicit("a", key="k"), 1.0)
    assert (0, 1_024) == charge(cache, explicit("a", prompt="q" * 4_096), 1.0)
    system = (replace(known.blocks[0], role="system"), known.blocks[1])
    assert (0, 1_024) == charge(cache, replace(known, blocks=system), 1.0)
    assert (1_024, 0) == charge(cache, known, 1.0)


def test_requests_sent_together_all_write() -> None:
    """An entry can be read from the first token of its answer on."""
    cache = PrefixCache(CacheRules())
    together = [charge(cache, explicit(c), 0.0, ready_at=0.5) for c in "abc"]
    assert [(0, 1_024)] * 3 == together
    assert (0, 1_024) == charge(cache, explicit("d"), 0.4, ready_at=0.9)
    assert (1_024, 0) == charge(cache, explicit("e"), 0.5)


def test_an_entry_lives_thirty_minutes_from_its_last_use() -> None:
    """A read keeps it, and half an hour without one ends it."""
    cache = PrefixCache(CacheRules())
    told = [charge(cache, explicit("a"), now) for now in (0.0, 1_700.0, 3_400.0, 5_200.0)]
    assert [(0, 1_024), (1_024, 0), (1_024, 0), (0, 1_024)] == told


def test_a_longer_breakpoint_writes_what_is_new() -> None:
    """Four breakpoints at most are written, and what a shorter one holds is read."""
    cache = PrefixCache(CacheRules())
    charge(cache, explicit("a"), 0.0)
    blocks = (*explicit("").blocks[:1], Block(role="user", text="c" * 400, is_breakpoint=True))
    longer = Rendered(blocks=blocks, is_implicit=False)
    assert [(1_024, 100), (1_124, 0)] == [charge(cache, longer, now) for now in (1.0, 2.0)]


def test_earlier_models_read_steps_and_pay_no_write() -> None:
    """What two requests share counts in multiples of 128 from 1,024 on."""
    cache = PrefixCache(CacheRules())
    first, second = implicit("a" * 1_024 + "b" * 99), implicit("a" * 1_024 + "c" * 99)
    told = [charge(cache, one, now, model="gpt-4o-mini") for now, one in enumerate((first, second))]
    assert [(0, 0), (1_280, 0)] == told
    assert (0, 0) == charge(cache, first, 700.0, model="gpt-4o-mini")


def test_a_realtime_session_reads_what_it_shares_with_its_last_request() -> None:
    """From the second response on, in steps of 64, without a minimum and without a write."""
    cache = PrefixCache(CacheRules())
    told = [
        charge(cache, Rendered(blocks=(Block(role="user", text=text),), session=session), 0.0)
        for session, text in (
            ("s1", "a" * 480),
            ("s1", "a" * 600),
            ("s2", "a" * 480),
            ("s1", "b" + "a" * 600),
        )
    ]
    assert [(0, 0), (64, 0), (0, 0), (0, 0)] == told


def test_traffic_above_a_machine_goes_to_the_next_one() -> None:
    """With 2 per minute the third request of a minute meets an empty machine."""
    cache = PrefixCache(CacheRules(machine_rpm=2))
    told = [charge(cache, explicit(c), float(now)) for now, c in enumerate("abcde")]
    assert [(0, 1_024), (1_024, 0), (0, 1_024), (1_024, 0), (0, 1_024)] == told
    assert (1_024, 0) == charge(cache, explicit("z"), 65.0)


def test_a_cache_that_is_off_charges_nothing() -> None:
    """Neither reads nor writes."""
    cache = PrefixCache(CacheRules(is_on=False))
    assert [(0, 0), (0, 0)] == [charge(cache, explicit("a"), now) for now in (0.0, 1.0)]
