"""Every shipped label set works on every route, and each gives the service's labels row by row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from analysis.labels.label_set import LabelSet
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Service, digest_answerer

pytestmark = pytest.mark.asyncio

ROUTES = ("rest", "responses-ws", "realtime", "decisions")
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


async def labels_over(route: str, base_url: str) -> list[tuple[str, ...]]:
    """Label the texts over one route, eight in a request."""
    async with HybridSemanticAnalyzer(
        routes=(route,), api_key="k", base_url=base_url, seed=1
    ) as analyzer:
        chunks = [(str(number), text) for number, text in enumerate(TEXTS)]
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=8)
    return [verdict.labels for verdict in verdicts]


async def test_a_planted_swap_is_found_on_every_route() -> None:
    """Two labels of one request change places in a well-formed answer: just these rows differ."""
    own = digest_answerer(LabelSet.load("ten_functions").keys)
    expected = [tuple(labels) for labels in own.label(TEXTS, None)]
    first = next(row for row in range(8, 15) if expected[row] != expected[row + 1])

    def label(texts: Sequence[str], topic: str | None) -> Sequence[Sequence[str]]:
        found = list(own.label(texts, topic))
        if TEXTS[first] in texts and TEXTS[first + 1] in texts:
            one, two = texts.index(TEXTS[first]), texts.index(TEXTS[first + 1])
            found[one], found[two] = found[two], found[one]
        return found

    with start_in_thread(Service(answerer=Answerer(name=own.name, label=label))) as base_url:
        for route in ROUTES:
            given = await labels_over(route, base_url)
            assert [first, first + 1] == wrong_rows(expected, given), route
    with start_in_thread(Service(answerer=own)) as base_url:
        given_by = {route: await labels_over(route, base_url) for route in ROUTES}
    assert {route: [] for route in ROUTES} == {
        route: wrong_rows(expected, given) for route, given in given_by.items()
    }
