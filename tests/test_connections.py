"""What is checked before a transport is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.connections import check_service_tier, check_timeout, confident_routes
from analysis.endpoint import EMBEDDED
from analysis.errors import ConfigurationError
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SERVICE_TIERS, SETTINGS


@pytest.mark.parametrize("tier", [None, *SERVICE_TIERS])
def test_each_service_tier_is_taken(tier: str | None) -> None:
    """One route that has tiers is enough."""
    assert tier == check_service_tier(tier, ("realtime", "rest"))


@pytest.mark.parametrize(
    ("tier", "routes", "words"),
    [
        ("cheap", ("rest",), "auto, default, flex"),
        ("flex", ("realtime",), "None of the routes realtime"),
        ("flex", ("offline", "realtime"), "Leave it out"),
    ],
)
def test_a_tier_that_has_no_effect_is_refused(
    tier: str, routes: tuple[str, ...], words: str
) -> None:
    """Before anything is sent, with the values that are allowed."""
    with pytest.raises(ConfigurationError, match=words):
        check_service_tier(tier, routes)


@pytest.mark.parametrize(
    ("given", "tier", "expected"),
    [(None, None, 60.0), (None, "default", 60.0), (None, "flex", 900.0), (5, "flex", 5)],
)
def test_the_cheap_tier_gets_more_time(
    given: float | None, tier: str | None, expected: float
) -> None:
    """Unless the caller names a time."""
    assert expected == check_timeout(given, tier, SETTINGS)


def test_the_knob_counts_where_no_time_is_given() -> None:
    """As the page of settings says."""
    assert 20.0 == check_timeout(None, None, replace(SETTINGS, timeout_s=20.0))
    assert 30.0 == check_timeout(None, "flex", replace(SETTINGS, flex_timeout_s=30.0))


@pytest.mark.parametrize("given", [0, -1, float("inf"), float("nan")])
def test_a_time_out_is_a_length_of_time(given: float) -> None:
    """Anything else would never end, or end at once."""
    with pytest.raises(ConfigurationError, match="above 0"):
        check_timeout(given, None, SETTINGS)


@pytest.mark.parametrize("kind", [SemanticRestAnalyzer, HybridSemanticAnalyzer])
def test_analyzers_refuse_a_tier_that_does_not_exist(
    kind: type[SemanticRestAnalyzer] | type[HybridSemanticAnalyzer],
) -> None:
    """When they are made."""
    with pytest.raises(ConfigurationError, match="cheap"):
        kind("sk-any", service_tier="cheap")


def test_routes_that_state_a_confidence_are_named_in_order() -> None:
    """Labels of rules have none, whatever the route."""
    routes = ("rest", "decisions", "realtime")
    assert ("decisions",) == confident_routes(routes, host="api.openai.com")
    assert ("decisions",) == confident_routes(routes, host=None)
    assert () == confident_routes(routes, host=EMBEDDED)
    assert () == confident_routes(("responses-ws", "rest"), host=None)
