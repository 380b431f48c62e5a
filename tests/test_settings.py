"""Every knob has a unit, a range that holds its default, and a reason."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import Any

import pytest

from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_MODELS, ROUTES, SETTINGS, Settings
from analysis.settings_control import FLAG

KNOBS = {entry.name: entry for entry in fields(Settings)}


def changed(name: str, value: Any) -> Settings:
    """Return the defaults with one knob changed."""
    options: dict[str, Any] = {name: value}
    return replace(SETTINGS, **options)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_takes_its_bounds_and_nothing_beyond(name: str) -> None:
    """The ends of the range are allowed; the error names knob, value, range and unit."""
    bounds = KNOBS[name].metadata
    low, high = bounds["low"], bounds["high"]
    assert low == getattr(changed(name, low), name)
    assert high == getattr(changed(name, high), name)
    beyond = [low - 1, high + 1]
    if isinstance(KNOBS[name].default, float):
        beyond.append(float("nan"))
    for value in beyond:
        with pytest.raises(ValueError, match=rf"{name} is {value}; allowed: .* {bounds['unit']}"):
            changed(name, value)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_takes_its_kind_and_no_other(name: str) -> None:
    """A number as a text is refused in one sentence; so are truth and halves where none can be."""
    default: Any = KNOBS[name].default
    wrong: list[Any]
    if KNOBS[name].metadata["unit"] == FLAG:
        kind, wrong = "True or False", ["1", None, 1.0]
    elif isinstance(default, int):
        kind, wrong = "a whole number", ["1", None, True, default + 0.5, float("nan")]
    else:
        kind, wrong = "a number", ["1", None, True]
    for value in wrong:
        own = type(value).__name__
        with pytest.raises(ValueError, match=rf"{name} is of the type {own}; it must be {kind}\."):
            changed(name, value)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_says_why_and_in_which_unit(name: str) -> None:
    """Names of durations, sizes and sums end in their unit."""
    bounds = KNOBS[name].metadata
    assert bounds["reason"]
    assert bounds["unit"]
    suffixes = {"s": "_s", "USD": "_usd", "bytes": "_bytes"}
    assert name.endswith(suffixes.get(bounds["unit"], ""))


def test_every_route_has_a_model_and_a_number_in_flight() -> None:
    """Adding a route means adding both."""
    assert set(ROUTES) == set(DEFAULT_MODELS)
    assert all(f"{route.replace('-', '_')}_in_flight" in KNOBS for route in ROUTES)


def test_the_settings_fit_together() -> None:
    """A pack of one request fits into the chunks of one; waits are shorter than the limits."""
    assert SETTINGS.backoff_base_s <= SETTINGS.backoff_cap_s <= SETTINGS.retry_after_cap_s
    assert SETTINGS.breaker_open_s <= SETTINGS.breaker_open_cap_s <= SETTINGS.outage_limit_s
    assert SETTINGS.other_model_after_s <= SETTINGS.outage_limit_s
    assert SETTINGS.breaker_failures <= SETTINGS.breaker_window


def test_settings_as_text_say_what_is_changed() -> None:
    """The signature of an analyzer stays short enough to be read."""
    assert "Settings()" == repr(SETTINGS)
    assert "Settings(rest_in_flight=3)" == repr(changed("rest_in_flight", 3))
    assert len(str(inspect.signature(HybridSemanticAnalyzer))) < 1_000
