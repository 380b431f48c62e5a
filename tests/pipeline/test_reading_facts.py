"""Settings by which a run reads its inputs come back from what it recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.pipeline.reading_facts import reading_facts, settings_of
from analysis.settings import SETTINGS


def test_what_cannot_be_a_setting_is_refused() -> None:
    """A record that somebody changed by hand, in words or beyond the range."""
    for value in ("many", "0"):
        with pytest.raises(ValueError, match=r"neighbour_chars|many"):
            settings_of({"neighbour_chars": value})


def test_settings_come_back_as_they_were_recorded() -> None:
    """What has nothing to do with reading stays as usual; so does what was not recorded."""
    given = replace(SETTINGS, neighbour_chars=5, title_chars=6, document_rows=7)
    assert given == settings_of(reading_facts(replace(given, small_job=3)))
    assert SETTINGS == settings_of({"routes": "rest=m"})
