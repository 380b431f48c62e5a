"""What the scheduler is told of each route before anything is sent."""

from __future__ import annotations

import random

import pytest

from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.planning import Planning
from analysis.settings import SETTINGS


def planned(service_tier: str | None, *, max_concurrent: int | None = None) -> Planning:
    """Return the plans of two routes with and one without service tiers."""
    return Planning(
        PromptBuilder(LabelSet.load("ten_functions"), rng=random.Random(1)),
        models={"responses-ws": "m", "rest": "m", "realtime": "n"},
        account="a",
        max_concurrent=max_concurrent,
        service_tier=service_tier,
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
