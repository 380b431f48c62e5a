"""What the scheduler is told of each route before anything is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from analysis.control.learned import Learned, LearnedLimit
from analysis.control.spending import Rates
from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.planning import NO_LIMITS, Planning
from analysis.prices import price_table
from analysis.records import Chunk
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS
from tests.virtual_loop import virtual

MODELS = {"responses-ws": "m", "rest": "m", "realtime": "n"}


def planned(
    service_tier: str | None,
    *,
    max_concurrent: int | None = None,
    models: Mapping[str, str] = MODELS,
) -> Planning:
    """Return the plans of two routes with and one without service tiers."""
    return Planning(
        PromptBuilder(LabelSet.load("ten_functions"), rng=random.Random(1)),
        models=models,
        account="a",
        max_concurrent=max_concurrent,
        service_tier=service_tier,
        prices=price_table(),
        settings=SETTINGS,
    )


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (None, {"responses-ws": True, "rest": True, "realtime": True}),
        ("priority", {"responses-ws": True, "rest": True, "realtime": True}),
        ("flex", {"responses-ws": False, "rest": False, "realtime": True}),
    ],
)
def test_answers_that_may_take_minutes_are_not_asked_for_twice(
    tier: str | None, expected: dict[str, bool]
) -> None:
    """The tier `flex` is slow by its nature, on the routes that have tiers."""
    assert expected == {one.name: one.may_copy for one in planned(tier).routes}


def test_a_number_of_requests_at_once_is_that_of_every_route() -> None:
    """Copies included: they take places like any request. None returns to each route's own."""
    planning = planned(None, max_concurrent=3)
    assert [3, 3, 3] == [one.in_flight for one in planning.routes]
    planning.limit_in_flight(None)
    own = [SETTINGS.responses_ws_in_flight, SETTINGS.rest_in_flight, SETTINGS.realtime_in_flight]
    assert own == [one.in_flight for one in planning.routes]


def test_prices_follow_model_tier_and_form_of_the_question() -> None:
    """Writing to the cache costs what input costs where the table names no other price."""
    models = {"rest": "gpt-6-luna", "realtime": "gpt-realtime-2.1-mini", "decisions": "gpt-6-luna"}
    rest, realtime, decisions = (one.rates for one in planned("flex", models=models).routes)
    once, each = SETTINGS.output_tokens_per_request, SETTINGS.output_tokens_per_chunk
    flex = Rates(
        input=0.05,
        cached=0.005,
        written=0.0625,
        output=0.25,
        answer_tokens=once,
        answer_tokens_each=each,
    )
    assert flex == rest
    assert realtime is not None
    assert (0.60, 0.60, 2.40) == (realtime.input, realtime.written, realtime.output)
    assert decisions is not None
    assert (0.10, 0, 0) == (decisions.input, decisions.answer_tokens, decisions.answer_tokens_each)


def test_a_model_without_price_has_no_budget() -> None:
    """It runs without one; the message names model, route, table and cure."""
    planning = planned(None)
    assert [None] * 3 == [one.rates for one in planning.routes]
    with pytest.raises(ConfigurationError) as caught:
        planning.check_budget(1.0)
    for word in ("'m'", "responses-ws", price_table().date, "--prices"):
        assert word in str(caught.value)


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_an_amount_above_nothing(amount: float) -> None:
    """Also where all prices are known."""
    with pytest.raises(ConfigurationError, match="above 0"):
        planned(None, models={"rest": "gpt-6-luna"}).check_budget(amount)


def test_an_estimate_takes_the_learned_limits() -> None:
    """Of the route that it is for."""
    planning = planned(None, models={"rest": "gpt-6-luna"})
    learned = Learned(requests=LearnedLimit(per_minute=6.0), tokens=None)
    planning.routes = [replace(one, learned=learned) for one in planning.routes]
    tally = planning.tally("rest", None, 1)
    tally.add([Chunk(id=str(place), text="One.") for place in range(3)])
    assert 30.0 == tally.estimate().duration_s


def test_rules_in_the_process_have_no_limits() -> None:
    """Nobody counts their calls, and an estimate does not call that learned."""
    planning = planned(None, models={"rest": "m", "offline": "offline-rules"})
    assert [None, NO_LIMITS] == [one.learned for one in planning.routes]
    tally = planning.tally("offline", None, 1)
    tally.add([Chunk(id="a", text="One.")])
    assert not tally.estimate().is_learned


@virtual
async def test_a_run_by_rules_waits_for_nothing() -> None:
    """However many requests it makes; the clock of this loop moves only where somebody waits."""
    knobs = replace(SETTINGS, requests_per_minute=60, tokens_per_minute=60_000)
    async with HybridSemanticAnalyzer(routes="offline", settings=knobs) as analyzer:
        verdicts = await analyzer.analyze_batch(
            [(str(place), f"Text number {place}.") for place in range(200)], chunks_per_request=1
        )
    assert {"offline"} == {verdict.route for verdict in verdicts}
    assert asyncio.get_running_loop().time() < 1.0


def cached(told: str, models: Mapping[str, str]) -> dict[str, int]:
    """Return route -> tokens that count as cached, with every label explained so."""
    labels = LabelSet.load("ten_functions")
    longer = tuple(replace(one, definition=told, not_this="") for one in labels.labels)
    planning = Planning(
        PromptBuilder(replace(labels, labels=longer), rng=random.Random(1)),
        models=models,
        account="a",
        max_concurrent=None,
        service_tier=None,
        prices=price_table(),
        settings=SETTINGS,
    )
    return {one.name: one.cached_prefix_tokens for one in planning.routes}


def test_a_prompt_counts_as_cached_where_all_requests_share_the_cache() -> None:
    """Not in sessions, nor below what services keep, nor where only a high estimate is above it."""
    models = dict.fromkeys(("responses-ws", "rest", "decisions", "realtime"), "gpt-6-luna")
    found = cached("First, second, third. " * 18, models)
    assert found["responses-ws"] == found["rest"] > found["decisions"] > 1_200
    assert 0 == found["realtime"]
    assert {0} == set(cached("Short.", models).values())
    assert {0} == set(cached("A definition that is long enough, just about. " * 5, models).values())
