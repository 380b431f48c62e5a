"""Every shipped label set works on every route, and each gives the service's labels row by row."""

from __future__ import annotations

import pytest

from analysis.labels.label_set import LabelSet
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service, digest_answerer

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
