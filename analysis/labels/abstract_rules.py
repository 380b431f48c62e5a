"""Rules for the label set `sci_abstract`: what a sentence of an abstract does.

Pure but for package data (cue lists, TOML), read once. `rules` calls it.

Each label collects points: from the place of the sentence in its abstract, where the caller knows
it, and from cues. The label with the most points wins. Without a place, a cue is needed: a sentence
without one gets the default of the set.

English cues and the points of places were tuned on labelled abstracts; those of the other
languages are the same words translated, and unmeasured.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from analysis.labels.cue_patterns import Cue
from analysis.labels.languages import comparable, language_of

LABELS = frozenset({"background", "objective", "method", "result", "conclusion", "other"})
"""All that the rules give, but for a default of the set."""

_ORDER = ("objective", "result", "conclusion", "method", "background", "other")
"""Between labels with equal points the earlier one wins: from the rarest claim to the widest."""

_ZONE_ENDS = (0.0, 0.25, 0.45, 0.7, 0.999, 1.0)
"""Last place of each zone: first sentence, early, before the middle, after it, late, last one."""

_SPOKEN = ("en", "fr", "ru", "zh")

_MOST = 2
"""Places that count for the phrases of one list."""


_Lists = tuple[tuple[int, Cue], ...]
"""Points of each phrase, and the phrases."""


def label_abstract(
    text: str, *, position: float | None, language: str, default: str
) -> tuple[str, ...]:
    """Return the label of one sentence or passage of an abstract.

    Args:
        text: The chunk.
        position: 0.0 for the first of the abstract to 1.0 for the last; None if unknown.
        language: `en`, `fr`, `ru`, `zh`, or `auto` to detect it.
        default: The label where nothing is known.
    """
    lowered = comparable(text)
    if not lowered:
        return (default,)
    tables = _tables()
    lists = tables.lists[language_of(lowered) if language == "auto" else language]
    for label, heading in tables.headings.items():
        if heading.starts(lowered):
            return (label,)
    found = {label: _cue_points(lists[label], lowered) for label in _ORDER}
    if position is None and not any(found.values()):
        return (default,)
    if position is not None:
        zone = _zone(position)
        for label in _ORDER:
            found[label] += tables.places[label][zone]
    return (max(_ORDER, key=lambda label: found[label]),)


def _cue_points(lists: _Lists, lowered: str) -> int:
    return sum(points * min(cue.count(lowered), _MOST) for points, cue in lists)


def _zone(position: float) -> int:
    return next((zone for zone, end in enumerate(_ZONE_ENDS) if position <= end), 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """What the cue file holds.

    Attributes:
        places: Label -> points in each of the six zones.
        headings: Label -> headings of its section in all languages, since a heading is often too
            short to tell the language. A sentence that begins with one has that label.
        lists: Language -> label -> cues.
    """

    places: Mapping[str, tuple[int, ...]]
    headings: Mapping[str, Cue]
    lists: Mapping[str, Mapping[str, _Lists]]


@cache
def _tables() -> _Tables:
    file = resources.files("analysis.labels") / "cues" / "sci_abstract.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return _Tables(
        places={label: tuple(tables["places"][label]) for label in _ORDER},
        headings={label: _headings(tables, label) for label in _ORDER if label != "other"},
        lists={
            language: {label: _compiled(tables[language][label], language) for label in _ORDER}
            for language in _SPOKEN
        },
    )


def _headings(tables: Mapping[str, Any], label: str) -> Cue:
    found = [heading for language in _SPOKEN for heading in tables[language][label]["heading"]]
    return Cue(found, "en", at_start=True)


def _compiled(table: Mapping[str, Any], language: str) -> _Lists:
    return tuple(
        (int(points), Cue(phrases, language))
        for points, phrases in table.items()
        if points != "heading"
    )
