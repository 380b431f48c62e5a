"""What the ledger holds: order of records, first label wins, sums, misuse; against a dict."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from analysis.errors import LocalProtocolError
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.ledger_rows import (
    FIND_ROWS,
    KEEP_ROWS,
    LedgerTotals,
    RouteTotals,
    UnknownRequests,
    VerdictRow,
)
from analysis.records import GIVEN_UP, Chunk, Ending, FailureKind, Journal, Settlement, Usage
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    done,
    failed,
    key_of,
    labeled,
    labels_of,
    opened,
    request,
    rows,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv.semfn.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with opened(path) as held:
        yield held


# Order and content


@pytest.mark.asyncio
async def test_a_request_goes_from_intended_to_done_with_its_verdicts(
    ledger: Ledger, path: Path
) -> None:
    """An intent is on the disk before the ending; the ending brings usage and verdicts."""
    journal: Journal = ledger
    one = chunk("1")
    await journal.intend(request("r1", one))
    assert [("r1", 1, "rest", "m", 1, 1, "intended")] == rows(
        path, "SELECT request_id, run, route, model, chunks, attempt, state FROM request"
    )
    assert [True] == await journal.missing([one])

    await journal.settle(done("r1", (one, labeled(one, "example", "noise"))))

    tokens = "input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens"
    assert [("done", "m-2026", 100, 40, 30, 7, 5)] == rows(
        path, f"SELECT state, reported_model, {tokens} FROM request"
    )
    assert [("in.csv", "1", '["example", "noise"]', 9, 4, 3, 2, 1, "r1")] == rows(
        path, f"SELECT source, id, labels, {tokens}, request_id FROM verdict"
    )
    assert [False] == await journal.missing([one])


@pytest.mark.asyncio
async def test_lookup_returns_the_whole_verdict_in_the_order_asked(ledger: Ledger) -> None:
    """Labels, failures and gaps come back field by field, in the order of the chunks."""
    good, bad, absent = chunk("good"), chunk("bad"), chunk("absent")
    await answer(ledger, "r1", (good, labeled(good)), (bad, failed(bad)))
    expected = [
        VerdictRow(
            labels=(),
            confidence=None,
            route=None,
            model=None,
            attempts=0,
            pack=0,
            latency_s=None,
            error_kind="defect",
            error_message="why",
        ),
        None,
        VerdictRow(
            labels=("example",),
            confidence=0.5,
            route="rest",
            model="m-2026",
            attempts=2,
            pack=3,
            latency_s=0.25,
            error_kind=None,
            error_message=None,
        ),
    ]
    assert expected == ledger.lookup([bad, absent, good])


@pytest.mark.asyncio
async def test_a_long_slice_is_looked_up_in_order(ledger: Ledger) -> None:
    """More chunks than one question holds, with gaps, strange ids, and one of them twice."""
    chunks = [chunk(f"\ud800{number}") for number in range(2 * FIND_ROWS + 7)]
    await answer(ledger, "r1", *((one, labeled(one)) for one in chunks[::3]))
    expected = [True if number % 3 == 0 else None for number in range(len(chunks))]
    assert [*expected, True] == ledger.held([*chunks, chunks[0]])
    assert [] == ledger.held([])


@pytest.mark.asyncio
async def test_times_count_from_the_given_start(path: Path) -> None:
    """Times are the given start plus monotonic seconds, whatever offset the start was given in."""
    seconds = iter([100.0, 100.0, 101.5, 103.0, 160.0])
    clock: Callable[[], float] = lambda: next(seconds)  # noqa: E731 - one line says it
    with opened(path, started_at="2026-11-21T12:00:00+02:00", clock=clock) as ledger:
        await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"))))
    assert [("2026-11-21T10:00:01.500+00:00", "2026-11-21T10:00:03.000+00:00")] == rows(
        path, "SELECT sent_at, ended_at FROM request"
    )
    assert [("2026-11-21T10:00:00.000+00:00", "2026-11-21T10:01:00.000+00:00")] == rows(
        path, "SELECT started_at, ended_at FROM run"
    )


@pytest.mark.asyncio
async def test_a_chunk_counts_as_held_only_with_the_same_source_id_and_key(path: Path) -> None:
    """Another text, another id or another source has to be asked."""
    one = chunk("1")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
        others = [one, chunk("1", "other text"), chunk("2"), chunk("1 ")]
        assert [False, True, True, True] == await ledger.missing(others)
    with opened(path, sources=["other.csv"]) as ledger:
        assert [True] == await ledger.missing([one])


@pytest.mark.asyncio
async def test_failed_chunks_are_missing(ledger: Ledger) -> None:
    """A verdict with an error is held for the output and asked again."""
    empty, good = chunk("e", ""), chunk("g")
    await ledger.fail(empty, failed(empty, FailureKind.EMPTY, "no text"))
    await answer(ledger, "r1", (good, labeled(good)))
    assert [True, False] == await ledger.missing([empty, good])
    row = ledger.lookup([empty])[0]
    assert row is not None
    assert ("empty", "no text") == (row.error_kind, row.error_message)


@pytest.mark.asyncio
async def test_the_first_label_wins_and_a_late_one_is_counted(ledger: Ledger) -> None:
    """A second label changes nothing but the count; its tokens stay in the sums."""
    one = chunk("1")
    await answer(ledger, "r1", (one, labeled(one, "example")))
    await answer(ledger, "r2", (one, labeled(one, "noise")))
    assert [("example",)] == labels_of(ledger, one)
    assert (1, 200) == (ledger.totals().late, ledger.totals().run[0].usage.input_tokens)


@pytest.mark.asyncio
async def test_late_labels_are_counted_in_a_settlement_of_many_rows(ledger: Ledger) -> None:
    """Labels and failures of one request, more than fit into one statement."""
    chunks = [chunk(str(number)) for number in range(KEEP_ROWS * 2 + 5)]
    await answer(ledger, "r1", *((each, labeled(each)) for each in chunks[:50]))
    verdicts = [labeled(each) if number % 5 else failed(each) for number, each in enumerate(chunks)]
    await answer(ledger, "r2", *zip(chunks, verdicts, strict=True))
    assert 40 == ledger.totals().late
    expected = [number < 50 or number % 5 > 0 for number in range(len(chunks))]
    assert expected == ledger.held(chunks)


@pytest.mark.asyncio
async def test_the_key_of_a_chunk_is_made_once_between_question_and_answer(path: Path) -> None:
    """It hashes the whole text; another chunk with the same id has its own."""
    asked = []

    def counted(one: Chunk) -> bytes:
        asked.append(one.text)
        return key_of(one)

    one, same = chunk("1", "a"), chunk("1", "b")
    with opened(path, key_of=counted) as ledger:
        await ledger.missing([one])
        await answer(ledger, "r1", (one, failed(one)))
        assert ["a"] == asked
        await answer(ledger, "r2", (same, labeled(same)), (one, labeled(one)))
        assert ["a", "b", "a"] == asked
        assert [("example",)] * 2 == labels_of(ledger, one, same)


@pytest.mark.asyncio
async def test_a_label_replaces_a_failure_and_never_the_other_way(ledger: Ledger) -> None:
    """Failures give way to newer failures and to labels; a label stays."""
    one = chunk("1")
    await ledger.fail(one, failed(one, FailureKind.TIMEOUT, "first"))
    await ledger.fail(one, failed(one, FailureKind.DEFECT, "second"))
    assert ["second"] == [row and row.error_message for row in ledger.lookup([one])]
    await answer(ledger, "r1", (one, labeled(one)))
    await ledger.fail(one, failed(one))
    row = ledger.lookup([one])[0]
    assert row is not None
    assert (("example",), None, None) == (row.labels, row.error_kind, row.error_message)
    assert 0 == ledger.totals().late


@pytest.mark.asyncio
async def test_a_settlement_without_verdicts_keeps_ending_code_and_usage(
    ledger: Ledger, path: Path
) -> None:
    """Refused, unsent and unknown requests are recorded with their code."""
    for ending in (Ending.REFUSED, Ending.UNSENT, Ending.UNKNOWN):
        await ledger.intend(request(ending, chunk("1")))
        await ledger.settle(Settlement(request_id=ending, ending=ending, code=f"c_{ending}"))
    assert [
        ("refused", "refused", "c_refused", None),
        ("unknown", "unknown", "c_unknown", None),
        ("unsent", "unsent", "c_unsent", None),
    ] == rows(path, "SELECT request_id, state, code, reported_model FROM request")
    assert [True] == await ledger.missing([chunk("1")])


@pytest.mark.asyncio
async def test_a_late_reply_may_end_an_unknown_request(ledger: Ledger) -> None:
    """A paid answer that comes after its request was given up is kept."""
    one = chunk("1")
    await ledger.intend(request("r1", one))
    await ledger.settle(Settlement(request_id="r1", ending=Ending.UNKNOWN))
    await ledger.settle(done("r1", (one, labeled(one))))
    assert {"done": 1} == ledger.totals().run_states
    assert [("example",)] == labels_of(ledger, one)


@pytest.mark.asyncio
async def test_fresh_retires_the_verdicts_of_its_source_only(path: Path) -> None:
    """Retired labels are asked again, stay in the file, and other sources keep theirs."""
    one = chunk("1")
    for source in ("in.csv", "other.csv"):
        with opened(path, sources=[source]) as ledger:
            await answer(ledger, source, (one, labeled(one, "noise")))
    for turn in ("a", "b"):
        with opened(path, fresh=True) as ledger:
            assert ([True], [None]) == (await ledger.missing([one]), ledger.lookup([one]))
            await answer(ledger, turn, (one, labeled(one, turn)))
            assert [(turn,)] == labels_of(ledger, one)
    expected = [
        ("in.csv", 0, '["b"]'),
        ("in.csv", 3, '["noise"]'),
        ("in.csv", 4, '["a"]'),
        ("other.csv", 0, '["noise"]'),
    ]
    assert expected == rows(path, "SELECT source, retired, labels FROM verdict ORDER BY 1, 2")


@pytest.mark.asyncio
async def test_totals_sum_by_route_and_reported_model(path: Path) -> None:
    """This run and all runs are summed apart; a request without answer counts under its model."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
    with opened(path) as ledger:
        await answer(ledger, "r2", (one, failed(one)), (two, failed(two)))
        await ledger.intend(request("r3", two, route="realtime", model="asked"))
        billed = done("").usage
        one_each: dict[str, Any] = {"requests": 1, "asked": "asked"}
        asked = RouteTotals(
            route="realtime", model="asked", chunks=1, usage=Usage(), lost=1, **one_each
        )
        own = RouteTotals(
            route="rest", model="m-2026", chunks=2, usage=billed, **one_each | {"asked": "m"}
        )
        every = replace(own, requests=2, chunks=3, usage=billed + billed)
        expected = LedgerTotals(
            run=(asked, own),
            overall=(asked, every),
            run_states={"done": 1, "intended": 1},
            overall_states={"done": 2, "intended": 1},
            late=0,
            losses={"in_flight": 1},
            runs=2,
            tiers=("",),
        )
        assert expected == ledger.totals()


@pytest.mark.asyncio
async def test_requests_in_flight_of_a_dead_run_become_unknown(path: Path) -> None:
    """A run that ends without settling leaves requests that the next one counts as unknown."""
    with opened(path) as ledger:
        await ledger.intend(request("r1", chunk("1"), chunk("2")))
        await answer(ledger, "r2", (chunk("3"), labeled(chunk("3"))))
        assert UnknownRequests(requests=0, chunks=0) == ledger.unknown_requests()
    with opened(path) as ledger:
        unknown = ledger.unknown_requests()
        assert (1, 2) == (unknown.requests, unknown.chunks)
        assert {"done": 1, "unknown": 1} == ledger.totals().overall_states
    assert [("run_died",)] == rows(path, "SELECT code FROM request WHERE state = 'unknown'")


@pytest.mark.asyncio
async def test_a_request_that_was_given_up_is_no_loss(path: Path) -> None:
    """Its chunk was answered by another one: it is counted by itself, in this run and later."""
    one = chunk("1")
    loser = replace(done("r1"), ending=Ending.UNKNOWN, code=GIVEN_UP, usage=Usage())
    with opened(path) as ledger:
        await ledger.intend(request("r1", one))
        await answer(ledger, "r2", (one, labeled(one)))
        await ledger.settle(loser)
        assert {"done": 1, "given_up": 1} == ledger.totals().run_states
    with opened(path) as ledger:
        assert UnknownRequests(requests=0, chunks=0) == ledger.unknown_requests()
        assert {"done": 1, "given_up": 1} == ledger.totals().overall_states


@pytest.mark.asyncio
async def test_any_text_is_an_id_and_ids_stay_apart(path: Path) -> None:
    """NUL, lone surrogates and look-alikes are stored and told apart."""
    names = ["", "\0", "a", "a\0", "a\0b", "\ud800", "\udfff", "\\ud800", "é", "e\u0301", "1", "01"]
    chunks = [chunk(name) for name in names]
    with opened(path, sources=["in\udce9.csv"]) as ledger:
        pairs = [(each, labeled(each, str(n))) for n, each in enumerate(chunks)]
        await answer(ledger, "r1", *pairs)
        await ledger.fail(chunk("f"), failed(chunk("f"), message="bad \ud800 text"))
    with opened(path, sources=["in\udce9.csv"]) as ledger:
        assert [(str(n),) for n in range(len(names))] == labels_of(ledger, *chunks)
        assert ["bad \\ud800 text"] == [
            row and row.error_message for row in ledger.lookup([chunk("f")])
        ]


# Misuse


@pytest.mark.asyncio
async def test_one_bad_record_fails_alone_in_its_group(path: Path) -> None:
    """A request twice or a number too large is our bug; its neighbours are recorded."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await ledger.intend(request("r1", one))
        huge = replace(
            done("r2"), usage=Usage(input_tokens=1 << 70), verdicts=((two, failed(two)),)
        )
        await ledger.intend(request("r2", two))
        outcomes = await asyncio.gather(
            ledger.intend(request("r3", one)),
            ledger.intend(request("r1", one)),
            ledger.settle(huge),
            ledger.settle(done("r1", (one, labeled(one)))),
            return_exceptions=True,
        )
        expected = [type(None), LocalProtocolError, LocalProtocolError, type(None)]
        assert expected == [type(outcome) for outcome in outcomes]
        assert {"done": 1, "intended": 2} == ledger.totals().run_states
        assert [("example",), None] == labels_of(ledger, one, two)


@pytest.mark.asyncio
async def test_a_request_is_settled_once_and_only_after_its_intent(ledger: Ledger) -> None:
    """A settlement without an open request records nothing."""
    one = chunk("1")
    with pytest.raises(LocalProtocolError, match="never intended"):
        await ledger.settle(done("r1", (one, labeled(one))))
    await answer(ledger, "r2", (one, failed(one)))
    with pytest.raises(LocalProtocolError, match="has an ending already"):
        await ledger.settle(done("r2", (one, labeled(one))))
    assert [()] == labels_of(ledger, one)


@pytest.mark.asyncio
async def test_a_verdict_of_another_chunk_is_refused(ledger: Ledger) -> None:
    """A verdict stands beside its own chunk or nowhere."""
    one, two = chunk("1"), chunk("2")
    with pytest.raises(LocalProtocolError, match="not its own"):
        await ledger.fail(one, failed(two))


def test_a_key_of_the_wrong_size_is_refused(path: Path) -> None:
    """A short key could make two contents look the same."""
    with (
        opened(path, key_of=lambda _: b"short") as ledger,
        pytest.raises(LocalProtocolError, match="16 to 32 bytes, not 5"),
    ):
        ledger.lookup([chunk("1")])


# Against a model

IDS = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["x", "y"])


class LedgerAgainstDict(RuleBasedStateMachine):
    """Any order of verdicts, kills, fresh runs and sources gives what a dict would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.sqlite"
        self.loop = asyncio.Runner()
        self.source = "s1"
        self.held: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self.states: dict[str, int] = {}
        self.requests = 0

    @initialize()
    def begin(self) -> None:
        self.ledger = opened(self.path, sources=[self.source])

    @rule(source=st.sampled_from(["s1", "s2"]), fresh=st.booleans())
    def reopen(self, source: str, fresh: bool) -> None:
        self.ledger.close()
        self.source = source
        self.ledger = opened(self.path, sources=[source], fresh=fresh)
        if fresh:
            self.held = {key: value for key, value in self.held.items() if key[0] != source}
        unsettled = self.states.pop("intended", 0)
        self.states["unknown"] = self.states.get("unknown", 0) + unsettled

    @rule(name=IDS, text=TEXTS, labels=st.sampled_from([(), ("p",), ("p", "q"), ("r",)]))
    def settle(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        one, number = chunk(name, text), self.requests
        verdict = labeled(one, *labels) if labels else failed(one)
        self.loop.run(answer(self.ledger, f"r{number}", (one, verdict)))
        self.requests += 1
        self.states["done"] = self.states.get("done", 0) + 1
        key = (self.source, name, text)
        self.held[key] = self.held.get(key, ()) or labels

    @rule(name=IDS)
    def intend_only(self, name: str) -> None:
        self.loop.run(self.ledger.intend(request(f"r{self.requests}", chunk(name))))
        self.requests += 1
        self.states["intended"] = self.states.get("intended", 0) + 1

    @invariant()
    def holds_the_same(self) -> None:
        chunks = [chunk(name, text) for name in "abc" for text in "xy"]
        expected = [self.held.get((self.source, each.id, each.text)) for each in chunks]
        assert expected == labels_of(self.ledger, *chunks)
        assert [not labels for labels in expected] == self.loop.run(self.ledger.missing(chunks))
        states = {state: count for state, count in self.states.items() if count}
        assert states == self.ledger.totals().overall_states

    def teardown(self) -> None:
        self.ledger.close()
        self.loop.close()
        self.folder.cleanup()


LedgerAgainstDict.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLedgerAgainstDict = LedgerAgainstDict.TestCase
