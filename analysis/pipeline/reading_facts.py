"""The settings by which a run reads its inputs, as it records them and as they are read back.

Pure. `entry` records them; `joined` and the audit read an input again as its run did, so that
neighbours and titles are cut where they were, and rows have the keys that they had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analysis.settings import SETTINGS, Settings

CUTS = ("neighbour_chars", "title_chars")
"""What cuts texts that are sent beside chunks: another value may ask a row in another form."""

_RECORDED = (*CUTS, "document_rows")


def reading_facts(settings: Settings) -> dict[str, str]:
    """Return what a run records of its settings."""
    return {name: str(getattr(settings, name)) for name in _RECORDED}


def settings_of(facts: Mapping[str, str]) -> Settings:
    """Return the settings by which a run read its inputs; the usual ones where it does not say.

    Raises:
        ValueError: If what is recorded is no number, or none that a setting can have.
    """
    told: dict[str, int] = {name: int(facts[name]) for name in _RECORDED if name in facts}
    return replace(SETTINGS, **told)  # type: ignore[arg-type]
