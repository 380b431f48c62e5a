"""All three analyzers against the same service: what a caller may rely on, whatever the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from analysis.errors import AccountClosed, AnalysisError, ConfigurationError
from analysis.records import Chunk, Failed, FailureKind, Labeled, Usage
from analysis.settings import SETTINGS
from tests.observed_service import (
    ANALYZERS,
    UNPACED,
    ObservedService,
    chunks_of,
    digest_label,
    serving,
    wrong_labels,
)
from tests.virtual_loop import virtual

every_analyzer = pytest.mark.parametrize("kind", ANALYZERS)

FIRST_ROUTE = {"rest": "rest", "realtime": "realtime", "hybrid": "realtime"}


@every_analyzer
@virtual
async def test_one_chunk_gets_its_label(kind: str) -> None:
    """The verdict names chunk, label, route, reported model, attempts, pack and latency."""
    async with serving(kind) as (analyzer, service):
        verdict = await analyzer.analyze_chunk("id 1", "Some text.")
        (payment,) = service.payments
    expected = Labeled(
        chunk_id="id 1",
        labels=(digest_label("Some text."),),
        route=FIRST_ROUTE[kind],
        model="digest-labels",
        attempts=1,
        pack=1,
        latency_s=verdict.latency_s,
        usage=Usage(input_tokens=payment["input_tokens"], output_tokens=payment["output_tokens"]),
    )
    assert expected == verdict
    assert 0.0 < verdict.latency_s < 1.0
    assert None is verdict.error
    assert None is verdict.confidence


@every_analyzer
@virtual
async def test_a_batch_keeps_the_order_of_the_input(kind: str) -> None:
    """Dicts, chunks and pairs may be mixed; verdicts stand in input order."""
    given = [
        {"id": "a", "text": "one"},
        Chunk(id="b", text="two"),
        ("c", "three"),
        {"id": "d", "text": "four", "topic": None, "document": "x", "more": 1},
    ]
    pairs = [("a", "one"), ("b", "two"), ("c", "three"), ("d", "four")]
    service = ObservedService(latency_ms=50, faults={"shuffle": 1.0})
    async with serving(kind, service) as (analyzer, _):
        assert [] == wrong_labels(pairs, await analyzer.analyze_batch(given))


@every_analyzer
@virtual
async def test_equal_ids_get_a_verdict_each(kind: str) -> None:
    """Two chunks of the same id, and the same object twice, are two chunks."""
    twice = Chunk(id="a", text="two")
    async with serving(kind) as (analyzer, service):
        verdicts = await analyzer.analyze_batch([("a", "one"), twice, twice, ("a", "three")])
        expected = [("a", "one"), ("a", "two"), ("a", "two"), ("a", "three")]
        assert [] == wrong_labels(expected, verdicts)
        assert 4 == service.paid_chunks()


@every_analyzer
@virtual
async def test_a_stream_yields_every_chunk_once(kind: str) -> None:
    """A generator of chunks can be streamed; each chunk comes back once."""
    given = chunks_of(130)
    async with serving(kind) as (analyzer, _):
        found = {verdict.chunk_id: verdict.labels async for verdict in analyzer.stream(iter(given))}
    assert {chunk_id: (digest_label(text),) for chunk_id, text in given} == found


@every_analyzer
@virtual
async def test_no_chunks_give_no_verdicts(kind: str) -> None:
    """An empty batch and an empty stream end at once, and nothing is sent."""
    async with serving(kind) as (analyzer, service):
        assert [] == await analyzer.analyze_batch([])
        assert [] == [verdict async for verdict in analyzer.stream(iter(()))]
        assert [] == service.spans


@every_analyzer
@virtual
async def test_estimate_sends_nothing(kind: str) -> None:
    """The estimate counts chunks, requests and tokens without a byte to the service."""
    async with serving(kind) as (analyzer, service):
        small = analyzer.estimate(chunks_of(12))
        packed = analyzer.estimate(chunks_of(12), chunks_per_request=5)
        assert (12, 12, 0) == (small.chunks, small.requests, small.unsendable)
        assert (12, 3) == (packed.chunks, packed.requests)
        assert packed.input_tokens < small.input_tokens
        assert (0, 1) == (analyzer.estimate([("a", " ")]).chunks, 1)
        assert [] == service.spans


@every_analyzer
@virtual
async def test_statistics_count_requests(kind: str) -> None:
    """The counters tell of the work done; before any they are there, too."""
    async with serving(kind) as (analyzer, _):
        assert "ten_functions" == analyzer.statistics()["label_set"]
        await analyzer.analyze_batch(chunks_of(6), chunks_per_request=2)
        found = analyzer.statistics()
        route = found["routes"][FIRST_ROUTE[kind]]
        assert (6, 0) == (found["chunks_labeled"], found["in_flight"])
        assert (3, 3, 0) == (
            route["requests_sent"],
            route["requests_answered"],
            route["requests_failed"],
        )


@every_analyzer
@virtual
async def test_close_may_be_repeated(kind: str) -> None:
    """Closing twice is closing once, also before any work; afterwards calls are refused."""
    async with serving(kind) as (analyzer, _):
        await analyzer.analyze_chunk("a", "one")
        await analyzer.close()
        await analyzer.close()
        with pytest.raises(ConfigurationError, match="is closed"):
            await analyzer.analyze_chunk("a", "one")
    async with serving(kind) as (analyzer, _):
        await analyzer.close()


@every_analyzer
@virtual
async def test_the_topic_of_the_call_beats_that_of_the_constructor(kind: str) -> None:
    """Chunk, call, constructor: the first that has a topic is what the service sees."""
    async with serving(kind, topic="mine") as (analyzer, service):
        await analyzer.analyze_chunk("a", "one", topic="call")
        await analyzer.analyze_chunk("a", "one")
        await analyzer.analyze_batch([("a", "one")], "call")
        await analyzer.analyze_batch([{"id": "a", "text": "one", "topic": "own"}], topic="call")
        async for _ in analyzer.stream([("a", "one")], topic="streamed"):
            pass
        assert ["call", "mine", "call", "own", "streamed"] == service.topics
    async with serving(kind, topic=None) as (analyzer, service):
        await analyzer.analyze_chunk("a", "one")
        assert [None] == service.topics


@every_analyzer
@virtual
async def test_what_cannot_be_sent_fails_alone(kind: str) -> None:
    """An empty text and one that is no chunk get their kind; nothing is sent for them."""
    settings = replace(UNPACED, chunk_tokens=100)
    async with serving(kind, settings=settings) as (analyzer, service):
        verdicts = await analyzer.analyze_batch(
            [("a", ""), ("b", "good"), ("c", " \u200b\n"), ("d", "word " * 500)]
        )
        assert [FailureKind.EMPTY, None, FailureKind.EMPTY, FailureKind.TOO_LONG] == [
            verdict.error and verdict.error.kind for verdict in verdicts
        ]
        assert [0, 1, 0, 0] == [verdict.attempts for verdict in verdicts]
        assert (None, None, ()) == (
            verdicts[0].semantic_function,
            verdicts[0].route,
            verdicts[0].labels,
        )
        assert 1 == service.paid_chunks()
        assert FailureKind.EMPTY is (await analyzer.analyze_chunk("e", "")).error.kind


@every_analyzer
@virtual
async def test_usage_shares_sum_to_what_was_paid(kind: str) -> None:
    """The shares of all chunks together are the tokens of the payment log, also in odd packs."""
    async with serving(kind) as (analyzer, service):
        verdicts = await analyzer.analyze_batch(chunks_of(20), chunks_per_request=7)
        total = sum((verdict.usage for verdict in verdicts), Usage())
        assert sum(paid["input_tokens"] for paid in service.payments) == total.input_tokens
        assert sum(paid["output_tokens"] for paid in service.payments) == total.output_tokens
        assert [7, 7, 6] == sorted((paid["chunks"] for paid in service.payments), reverse=True)
        assert [7] * 14 + [6] * 6 == [verdict.pack for verdict in verdicts]


@every_analyzer
@virtual
async def test_packing_follows_the_size_of_the_job(kind: str) -> None:
    """Up to 50 chunks go alone, more fill the places in flight once, and the caller can fix it."""
    requests, largest = (8, 7) if kind == "realtime" else (26, 2)
    async with serving(kind) as (analyzer, service):
        await analyzer.analyze_batch(chunks_of(50))
        assert [1] * 50 == [paid["chunks"] for paid in service.payments]
        await analyzer.analyze_batch(chunks_of(51))
        packs = [paid["chunks"] for paid in service.payments[50:]]
        assert (requests, largest, 51) == (len(packs), max(packs), sum(packs))
        await analyzer.analyze_batch(chunks_of(4), chunks_per_request=2)
        assert [2, 2] == [paid["chunks"] for paid in service.payments[50 + requests :]]


@every_analyzer
@virtual
async def test_a_small_job_is_packed_where_requests_are_scarce(kind: str) -> None:
    """Three requests a minute: fifty chunks take three requests, as the estimate said, and why."""
    knobs = replace(SETTINGS, requests_per_minute=3)
    async with serving(kind, settings=knobs) as (analyzer, service):
        assert 3 == analyzer.estimate(chunks_of(50)).requests
        verdicts = await analyzer.analyze_batch(chunks_of(50))
        assert [] == wrong_labels(chunks_of(50), verdicts)
        assert 3 == len(service.payments)
        packing = analyzer.statistics()["packing"]
        expected = (17, "requests are scarce: 3 a minute")
        assert expected == (packing["chunks_per_request"], packing["because"])


@every_analyzer
@virtual
async def test_max_concurrent_is_reached_and_never_exceeded(kind: str) -> None:
    """The service sees exactly as many requests at once as were allowed."""
    for limit in (1, 3, 90):
        async with serving(kind, max_concurrent=limit) as (analyzer, service):
            verdicts = await analyzer.analyze_batch(chunks_of(200), chunks_per_request=1)
            assert [] == wrong_labels(chunks_of(200), verdicts)
            assert limit == service.most_parallel


@every_analyzer
@virtual
async def test_calls_may_run_at_once(kind: str) -> None:
    """Many calls on one analyzer share its connections and get their own verdicts."""
    given = chunks_of(40)
    service = ObservedService(latency_ms=50, faults={"shuffle": 1.0})
    async with serving(kind, service) as (analyzer, _):
        verdicts = await asyncio.gather(
            *(analyzer.analyze_chunk(chunk_id, text) for chunk_id, text in given)
        )
        assert [] == wrong_labels(given, verdicts)
        connections = analyzer.statistics()["connections"]
        assert [1] * (kind != "rest") == [one["connections"] for one in connections.values()]


@every_analyzer
@virtual
async def test_closing_in_mid_work_keeps_what_is_answered(kind: str) -> None:
    """The rest of the batch is stopped, with a word on what was in flight; nothing raises."""
    async with serving(kind, max_concurrent=4) as (analyzer, service):
        batch = asyncio.create_task(analyzer.analyze_batch(chunks_of(40)))
        await service.until(lambda: len(service.payments) == 10)
        await analyzer.close()
        verdicts = await batch
        labeled = [verdict for verdict in verdicts if isinstance(verdict, Labeled)]
        failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
        assert (40, 0) == (len(labeled) + len(failed), analyzer.statistics()["in_flight"])
        assert {FailureKind.STOPPED} == {verdict.error.kind for verdict in failed}
        assert 4 >= sum(verdict.attempts for verdict in failed) > 0
        assert 9 <= len(labeled) <= 14


@every_analyzer
@virtual
async def test_closing_before_any_answer_raises(kind: str) -> None:
    """Nothing was answered, so the call that was cut off raises instead of naming no label."""
    async with serving(kind) as (analyzer, service):
        batch = asyncio.create_task(analyzer.analyze_batch(chunks_of(40)))
        await service.until(lambda: bool(service.spans))
        await analyzer.close()
        with pytest.raises(AnalysisError, match="analyzer was closed"):
            await batch


@every_analyzer
@virtual
async def test_a_cancelled_call_leaves_nothing_behind(kind: str) -> None:
    """Its requests in flight are given up at once, and later calls work as if it had not been."""
    service = ObservedService(latency_ms=60_000)
    async with serving(kind, service, timeout_s=600, max_concurrent=4) as (analyzer, _):
        batch = asyncio.create_task(analyzer.analyze_batch(chunks_of(40)))
        await service.until(lambda: len(service.spans) == 4)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert 0 == analyzer.statistics()["in_flight"]
        assert (
            digest_label("later")
            == (await analyzer.analyze_chunk("later", "later")).semantic_function
        )
        assert 5 == len(service.spans)


@every_analyzer
@virtual
async def test_a_time_limit_around_a_call_works(kind: str) -> None:
    """A caller's own time-out ends a call whose answer never comes."""
    service = ObservedService(faults={"hang": 1.0})
    async with serving(kind, service) as (analyzer, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await analyzer.analyze_chunk("a", "one")
        assert 0 == analyzer.statistics()["in_flight"]


@every_analyzer
@virtual
async def test_a_stream_that_is_closed_sends_no_more(kind: str) -> None:
    """After the generator is closed nothing queued goes out, and the source is not read on."""
    read: list[int] = []

    def source() -> Iterator[tuple[str, str]]:
        for number, chunk in enumerate(chunks_of(5_000)):
            read.append(number)
            yield chunk

    settings = replace(UNPACED, slice_chunks=50)
    async with serving(kind, settings=settings, max_concurrent=4) as (analyzer, service):
        stream = analyzer.stream(source(), chunks_per_request=1)
        for _ in range(10):
            await anext(stream)
        await stream.aclose()
        sent, taken = len(service.spans), len(read)
        await asyncio.sleep(30)
        assert (sent, taken) == (len(service.spans), len(read))
        assert sent <= 14
        assert 0 == analyzer.statistics()["in_flight"]
        assert [] == wrong_labels([("a", "one")], await analyzer.analyze_batch([("a", "one")]))


@every_analyzer
@virtual
async def test_a_stream_that_is_left_by_break_sends_no_more(kind: str) -> None:
    """Leaving the loop is enough: the generator is closed when nobody holds it any more."""
    async with serving(kind, max_concurrent=4) as (analyzer, service):
        async for _ in analyzer.stream(chunks_of(500), chunks_per_request=1):
            break
        await asyncio.sleep(30)
        assert len(service.spans) <= 8
        assert 0 == analyzer.statistics()["in_flight"]


@every_analyzer
@virtual
async def test_a_source_that_fails_ends_its_stream_only(kind: str) -> None:
    """What was in flight is handed out before the source's own error, and other calls go on."""

    def source() -> Iterator[tuple[str, str]]:
        yield from chunks_of(60)
        raise OSError("the disk is gone")

    settings = replace(UNPACED, slice_chunks=20)
    async with serving(kind, settings=settings, max_concurrent=5) as (analyzer, service):
        other = asyncio.create_task(analyzer.analyze_batch(chunks_of(30, 100)))
        found = []
        with pytest.raises(OSError, match="the disk is gone"):
            async for verdict in analyzer.stream(source(), chunks_per_request=1):
                found.append(verdict.chunk_id)
        assert [] == wrong_labels(chunks_of(30, 100), await other)
        assert len(found) + 30 == service.paid_chunks()


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([{"id": "a", "txt": "one"}], "'text' is missing"),
        ([{"id": 1, "text": "one"}], "its id is of the type int"),
        ([("a", None)], "its text is of the type NoneType"),
        ([("a", "one", "two")], "too many values"),
        (["ab"], "a text alone has no id"),
        ([None], "type NoneType"),
        ([{"id": "a", "text": "one", "topic": 5}], "must be a str"),
        ([("a", "half a pair \ud800")], "surrogate"),
        ("a text", "chunks is of the type str"),
        ({"id": "a", "text": "one"}, "chunks is of the type dict"),
        (None, "chunks is of the type NoneType"),
    ],
)
@every_analyzer
@virtual
async def test_bad_chunks_are_refused_before_anything_is_sent(
    kind: str, chunks: object, words: str
) -> None:
    """What cannot be read as a chunk names its fault; good chunks beside it are not sent."""
    given = [*chunks_of(2), *chunks] if isinstance(chunks, list) else chunks
    async with serving(kind) as (analyzer, service):
        with pytest.raises(ConfigurationError, match=words):
            await analyzer.analyze_batch(given)
        with pytest.raises(ConfigurationError, match=words):
            analyzer.estimate(given)
        with pytest.raises(ConfigurationError, match=words):
            async for _ in analyzer.stream(given):
                pass
        assert [] == service.spans


@every_analyzer
@virtual
async def test_messages_about_bad_chunks_hold_no_text(kind: str) -> None:
    """The text of a chunk stands in no message, since messages end up in logs."""
    async with serving(kind) as (analyzer, _):
        for bad in ({"text": "secret"}, {"id": 1, "text": "secret"}, ("secret",), "secret"):
            with pytest.raises(ConfigurationError) as caught:
                await analyzer.analyze_batch([bad])
            assert "secret" not in str(caught.value)


@every_analyzer
@pytest.mark.parametrize("value", [0, 21, 2.5, True])
@virtual
async def test_chunks_per_request_is_checked(kind: str, value: object) -> None:
    """A pack holds 1 to 20 chunks; the message says so."""
    async with serving(kind) as (analyzer, service):
        with pytest.raises(ConfigurationError, match="1 to 20"):
            await analyzer.analyze_batch(chunks_of(3), chunks_per_request=value)
        assert [] == service.spans


@every_analyzer
@virtual
async def test_a_refused_key_raises_from_the_first_call(kind: str) -> None:
    """Nothing can be paid with it, so it raises, at every call, and one request is all it takes."""
    service = ObservedService(api_key="another")
    async with serving(kind, service) as (analyzer, _):
        for _ in range(2):
            with pytest.raises(AccountClosed):
                await analyzer.analyze_chunk("a", "one")
        with pytest.raises(AccountClosed):
            await analyzer.analyze_batch(chunks_of(300))
        with pytest.raises(AccountClosed):
            async for _ in analyzer.stream(chunks_of(300)):
                pass
        assert "key" in analyzer.stop_reason
        assert [] == service.payments


@every_analyzer
@virtual
async def test_after_a_paid_answer_the_rest_comes_back_as_stopped(kind: str) -> None:
    """The quota ends in mid-run: what was paid has its label, the rest is stopped."""
    service = ObservedService(latency_ms=50, accepts=20)
    given = chunks_of(60)
    async with serving(kind, service, max_concurrent=4) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(given, chunks_per_request=1)
        labeled = [place for place, one in enumerate(verdicts) if isinstance(one, Labeled)]
        assert 20 == len(labeled) == len(service.payments)
        assert [] == wrong_labels([given[n] for n in labeled], [verdicts[n] for n in labeled])
        kinds = {one.error.kind for one in verdicts if isinstance(one, Failed)}
        assert {FailureKind.STOPPED} == kinds
        later = await analyzer.analyze_chunk("later", "later")
        assert FailureKind.STOPPED is later.error.kind


@every_analyzer
@virtual
async def test_answers_under_way_at_the_stop_count(kind: str) -> None:
    """The first request to end is a refusal; those paid meanwhile are kept, and nothing raises."""
    service = ObservedService(latency_ms=50, accepts=3)
    async with serving(kind, service, max_concurrent=5) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks_of(30), chunks_per_request=1)
        assert 3 == sum(isinstance(verdict, Labeled) for verdict in verdicts)
        assert [f"c{number}" for number in range(30)] == [one.chunk_id for one in verdicts]


@every_analyzer
@virtual
async def test_a_server_error_is_tried_again(kind: str) -> None:
    """Half of the requests fail; every chunk still gets its own label."""
    service = ObservedService(latency_ms=10, faults={"error_500": 0.3, "shuffle": 1.0})
    async with serving(kind, service, settings=replace(UNPACED, attempts_per_route=20)) as (
        analyzer,
        _,
    ):
        verdicts = await analyzer.analyze_batch(chunks_of(100), chunks_per_request=1)
        assert [] == wrong_labels(chunks_of(100), verdicts)
        assert max(verdict.attempts for verdict in verdicts) > 1
