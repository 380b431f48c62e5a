"""Every shipped label set works on every route, and each gives the service's labels row by row."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from analysis.arguments import one_slice
from analysis.audit.protocol import sample_chunks
from analysis.control.routes import RoutePlan
from analysis.control.sizes import fixed
from analysis.dispatch import Dispatcher
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.labels.rules import Rules, has_rules
from analysis.records import Chunk
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Service, digest_answerer
from analysis.transport.offline import OfflineTransport

pytestmark = pytest.mark.asyncio

ROUTES = ("rest", "responses-ws", "realtime", "decisions")
CHAT_ONLY = ("chat", "models")
"""Without a Responses API the route rest asks for chat completions."""

TEN_FUNCTIONS = LabelSet.load("ten_functions")
Label = Callable[[Sequence[str], str | None], Sequence[Sequence[str]]]
TEXTS = [f"Text number {number}." for number in range(24)]


@pytest.mark.parametrize("name", LabelSet.available())
async def test_labels_are_those_of_the_service_on_every_route(name: str) -> None:
    """The label is a function of the text, so a label of another row would show."""
    answerer = digest_answerer(LabelSet.load(name).keys)
    expected = [tuple(labels) for labels in answerer.label(TEXTS, None)]
    assert len(set(expected)) > 2
    with start_in_thread(Service(answerer=answerer)) as base_url:
        for route in ROUTES:
            async with HybridSemanticAnalyzer(
                routes=(route,), api_key="k", base_url=base_url, label_set=name, seed=1
            ) as analyzer:
                chunks = [(str(number), text) for number, text in enumerate(TEXTS)]
                verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=8)
            assert expected == [verdict.labels for verdict in verdicts], route


def wrong_rows(expected: Sequence[tuple[str, ...]], given: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the rows whose labels are not those of their text."""
    pairs = zip(expected, given, strict=True)
    return [row for row, (one, two) in enumerate(pairs) if one != two]


async def labels_over(
    route: str, base_url: str, label_set: str = "ten_functions"
) -> list[tuple[str, ...]]:
    """Label the texts over one route, eight in a request."""
    async with HybridSemanticAnalyzer(
        routes=(route,), api_key="k", base_url=base_url, label_set=label_set, seed=1
    ) as analyzer:
        chunks = [(str(number), text) for number, text in enumerate(TEXTS)]
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=8)
    return [verdict.labels for verdict in verdicts]


def swapping(own: Label, texts: Sequence[str]) -> tuple[list[tuple[str, ...]], Label, list[int]]:
    """Return the labels of texts, a function that swaps two of one request, and their rows."""
    expected = [tuple(labels) for labels in own(texts, None)]
    first = next(row for row in range(8, 15) if expected[row] != expected[row + 1])

    def label(asked: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        found = [tuple(labels) for labels in own(asked, topic)]
        if texts[first] in asked and texts[first + 1] in asked:
            one, two = asked.index(texts[first]), asked.index(texts[first + 1])
            found[one], found[two] = found[two], found[one]
        return found

    return expected, label, [first, first + 1]


async def test_a_planted_swap_is_found_on_every_route() -> None:
    """Two labels of one request change places in a well-formed answer: just these rows differ."""
    own = digest_answerer(TEN_FUNCTIONS.keys)
    expected, label, swapped = swapping(own.label, TEXTS)
    with start_in_thread(Service(answerer=Answerer(name=own.name, label=label))) as base_url:
        for route in ROUTES:
            given = await labels_over(route, base_url)
            assert swapped == wrong_rows(expected, given), route
    with start_in_thread(Service(answerer=own)) as base_url:
        given_by = {route: await labels_over(route, base_url) for route in ROUTES}
    assert {route: [] for route in ROUTES} == {
        route: wrong_rows(expected, given) for route, given in given_by.items()
    }


@pytest.mark.parametrize("name", LabelSet.available())
async def test_chat_completions_give_the_same_labels(name: str) -> None:
    """The form in which `rest` asks a server without a Responses API."""
    answerer = digest_answerer(LabelSet.load(name).keys)
    expected = [tuple(labels) for labels in answerer.label(TEXTS, None)]
    with start_in_thread(Service(answerer=answerer, endpoints=CHAT_ONLY)) as base_url:
        assert [] == wrong_rows(expected, await labels_over("rest", base_url, name))


async def test_a_planted_swap_is_found_in_chat_completions() -> None:
    """The two rows, and no other."""
    expected, label, swapped = swapping(digest_answerer(TEN_FUNCTIONS.keys).label, TEXTS)
    answerer = Answerer(name="digest-labels", label=label)
    with start_in_thread(Service(answerer=answerer, endpoints=CHAT_ONLY)) as base_url:
        assert swapped == wrong_rows(expected, await labels_over("rest", base_url))


@pytest.mark.parametrize("name", LabelSet.available())
async def test_the_offline_route_gives_the_labels_of_the_rules_row_by_row(name: str) -> None:
    """Where there are rules for the set, labels differ from row to row, so a swap would show."""
    labels = LabelSet.load(name)
    texts = varied_texts()
    expected = [tuple(one) for one in Rules(label_set=labels, language="auto").label(texts, None)]
    assert has_rules(labels) == (len(set(expected)) > 2)
    async with HybridSemanticAnalyzer(routes=("offline",), label_set=name, seed=1) as analyzer:
        chunks = [(str(number), text) for number, text in enumerate(texts)]
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=8)
    assert [] == wrong_rows(expected, [verdict.labels for verdict in verdicts])
    assert {"offline-rules"} == {verdict.model for verdict in verdicts}


async def test_a_planted_swap_is_found_on_the_offline_route() -> None:
    """Through the same scheduler, prompt and check of the answer as any other route."""
    rules = Rules(label_set=TEN_FUNCTIONS, language="auto")
    texts = varied_texts()
    expected, label, swapped = swapping(rules.label, texts)
    assert [] == wrong_rows(expected, await offline_labels(rules.label, texts))
    assert swapped == wrong_rows(expected, await offline_labels(label, texts))


def varied_texts() -> list[str]:
    """Return shipped texts that the rules tell apart."""
    return [chunk.text for chunk in sample_chunks()][:48]


async def offline_labels(label: Label, texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Label texts by a function in the process, eight in a request."""
    rng = random.Random(1)
    dispatcher = Dispatcher(
        [RoutePlan(name="offline", model="offline-rules", account="offline", in_flight=2)],
        transports={"offline": OfflineTransport(label)},
        builder=PromptBuilder(TEN_FUNCTIONS, rng=rng),
        timeout_s=60.0,
        on_event=lambda event: None,
        rng=rng,
    )
    chunks = [Chunk(id=str(number), text=text) for number, text in enumerate(texts)]
    found = {}
    async for chunk, verdict in dispatcher.run(one_slice(chunks), topic=None, packing=fixed(8)):
        found[chunk.id] = verdict.labels
    await dispatcher.close()
    return [found[chunk.id] for chunk in chunks]
