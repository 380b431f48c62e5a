"""The dated table of models finds names and their last days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from analysis.models import Model, ModelTable, model_table
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.profile import REALTIME_MODELS, SHUTDOWN_DATES, TEXT_MODELS


@pytest.mark.parametrize(
    ("name", "shutdown"),
    [
        ("gpt-6-luna", None),
        ("gpt-4o-mini", date(2027, 1, 14)),
        ("gpt-4o-mini-2024-07-18", date(2027, 1, 14)),
        ("gpt-4o-2024-05-13", date(2026, 10, 23)),
        ("gpt-4o-2024-11-20", date(2027, 1, 14)),
        ("gpt-realtime-2025-08-28", date(2027, 1, 20)),
        ("gpt-realtime-mini-2025-10-06", date(2026, 7, 23)),
        ("gpt-4o-realtime-preview-2024-12-17", date(2026, 5, 7)),
        ("gpt-4o-mini-audio-preview", date(2026, 5, 7)),
        ("o3-pro", date(2026, 12, 11)),
        ("gpt-4", date(2026, 10, 23)),
    ],
)
def test_a_name_is_found_with_its_last_day(name: str, shutdown: date | None) -> None:
    """A dated name has its own day, or else that of its undated name."""
    model = model_table().find(name)
    assert model is not None
    assert shutdown == model.shutdown


@pytest.mark.parametrize("name", ["gpt-7-nova", "gpt-4o-mini-tts", "offline-rules", ""])
def test_an_unknown_name_is_not_guessed(name: str) -> None:
    """A longer name is no dated one, and an unknown one has no entry."""
    assert model_table().find(name) is None


def test_the_full_name_beats_the_pattern() -> None:
    """An entry of its own is taken before one with `*`, whatever their order."""
    pattern = Model(name="old-*", shutdown=date(2026, 1, 1))
    own = Model(name="old-but-kept")
    table = ModelTable(date="2026-11-21", models={one.name: one for one in (pattern, own)})
    assert [own, pattern] == [table.find("old-but-kept"), table.find("old-other")]


def test_the_table_states_its_day() -> None:
    """The date is that of a calendar, and what is gone by then is not among the defaults."""
    day = date.fromisoformat(model_table().date)
    defaults = [
        model_table().find(name) for route, name in DEFAULT_MODELS.items() if route != "offline"
    ]
    for model in defaults:
        assert model is not None
        assert model.shutdown is None or model.shutdown > day + timedelta(days=180)


def test_the_simulated_service_announces_the_same_days() -> None:
    """Two copies of the vendor's page, kept apart on purpose, agree on every served model."""
    found = {}
    for name in TEXT_MODELS | REALTIME_MODELS:
        model = model_table().find(name)
        assert model is not None, name
        if model.shutdown is not None:
            found[name] = model.shutdown.isoformat()
    assert SHUTDOWN_DATES == found
