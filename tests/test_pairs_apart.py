"""Labels that may not stand together: the model is told on every route, and what if it insists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.records import Failed, FailureKind, Labeled
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Job, Question, Service
from tests.observed_service import UNPACED

pytestmark = pytest.mark.asyncio

SET = str(Path(__file__).with_name("labels") / "pairs_apart.toml")
WORDS = "Never together: goal with step or tip or warning, tip with warning."
CHAT_ONLY = ("chat", "models")
TEXTS = [f"Text number {number}." for number in range(8)]


class Insisting(Service):
    """A model that gives some texts two labels that may not stand together; keeps what it was told.

    Attributes:
        told: What each request said besides its chunks.
        packs: Chunks of each request.
    """

    def __init__(self, *texts: str, **options: Any) -> None:
        self.told: list[str] = []
        self.packs: list[int] = []

        def label(asked: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
            self.packs.append(len(asked))
            return [("goal", "tip") if one in texts else ("step",) for one in asked]

        super().__init__(Answerer(name="digest-labels", label=label), **options)

    def start(self, question: Question, now: float) -> Job:
        """Answer a request and keep what it said."""
        assert question.rendered is not None
        self.told.append("\n".join(block.text for block in question.rendered.blocks))
        return super().start(question, now)


async def labelled(service: Insisting, route: str) -> list[Labeled | Failed]:
    """Label the texts in one pack over one route."""
    with start_in_thread(service) as base_url:
        async with HybridSemanticAnalyzer(
            routes=(route,),
            api_key="k",
            base_url=base_url,
            label_set=SET,
            seed=1,
            settings=replace(UNPACED, backoff_base_s=0.001),
        ) as analyzer:
            chunks = [(str(number), text) for number, text in enumerate(TEXTS)]
            return list(await analyzer.analyze_batch(chunks, chunks_per_request=8))


@pytest.mark.parametrize(
    ("route", "endpoints"),
    [("rest", None), ("rest", CHAT_ONLY), ("responses-ws", None), ("realtime", None)],
)
async def test_the_model_is_told_on_every_route_that_writes_labels(
    route: str, endpoints: tuple[str, ...] | None
) -> None:
    """Once a request, in the instructions."""
    options: dict[str, Any] = {} if endpoints is None else {"endpoints": endpoints}
    service = Insisting(**options)
    found = await labelled(service, route)
    assert [("step",)] * 8 == [verdict.labels for verdict in found]
    assert [1] == [told.count(WORDS) for told in service.told]


async def test_the_route_decisions_asks_for_one_label_and_says_nothing() -> None:
    """A pair of the set cannot come about there unless `pairs` has it."""
    service = Insisting(TEXTS[3])
    found = await labelled(service, "decisions")
    assert all(len(verdict.labels) == 1 for verdict in found)
    assert [0] == [told.count("Never together") for told in service.told]


@pytest.mark.parametrize(
    ("places", "packs"), [([3], [8, 1, 1]), ([3, 5], [8, 2, 1, 1, 1, 1])], ids=["one", "two"]
)
async def test_a_chunk_on_which_the_model_insists_fails_alone_and_says_why(
    places: list[int], packs: list[int]
) -> None:
    """The pack, those without a label if they are several, and each of them twice by itself."""
    service = Insisting(*(TEXTS[place] for place in places))
    found = await labelled(service, "rest")
    assert packs == service.packs
    others = [verdict for place, verdict in enumerate(found) if place not in places]
    assert [(("step",), 1)] * len(others) == [(one.labels, one.attempts) for one in others]
    for failed in (found[place] for place in places):
        assert isinstance(failed, Failed)
        assert (FailureKind.DEFECT, len(places) + 2) == (failed.error.kind, failed.attempts)
        assert (
            "1 of 1 chunks unanswered; the label set does not allow goal with tip"
        ) == failed.error.message
