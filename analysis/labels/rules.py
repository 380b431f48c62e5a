"""The rule labeller `offline-rules`: labels from cue words, without a model.

Pure. The offline route calls it, and whoever starts the simulated service hands it in as the
answerer.

Rules exist for the sets `ten_functions` and `sci_abstract`. For every other set, a user's own
included, each chunk gets the default label of the set: no rule knows its labels, and a guess would
look like knowledge. `has_rules` tells the two apart, so that a run can say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.errors import ConfigurationError
from analysis.labels import abstract_rules, function_rules
from analysis.labels.function_rules import DEFAULT
from analysis.labels.label_set import LabelSet
from analysis.settings import LANGUAGES

__all__ = ["DEFAULT", "Rules", "has_rules", "label_texts", "places_in"]


def has_rules(label_set: LabelSet) -> bool:
    """Tell whether rules know the labels of a set; without them all chunks get its default.

    What counts are the keys: a user's copy of a set with other definitions keeps its rules.
    """
    keys = set(label_set.keys)
    return keys >= function_rules.LABELS or keys >= abstract_rules.LABELS


def label_texts(
    texts: Sequence[str],
    topic: str | None = None,
    language: str = "auto",
    *,
    label_set: LabelSet | None = None,
    positions: Sequence[float | None] | None = None,
) -> list[tuple[str, ...]]:
    """Return the labels of each text, in order; one, seldom two, and allowed by the set.

    Args:
        texts: Chunks; each is labelled by itself.
        topic: What the text is about; a chunk that mentions it is less likely noise.
        language: `en`, `ru`, `fr`, `zh`, or `auto` to detect it for each text.
        label_set: Where labels come from; `ten_functions` if None.
        positions: Place of each text in its document, 0.0 for the first to 1.0 for the last, None
            where it is unknown. Only the rules of `sci_abstract` look at it.

    Raises:
        ConfigurationError: If the language is unknown.
        ValueError: If there is not one position for each text.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"Language {language!r} is unknown. Pass one of: {', '.join(LANGUAGES)}."
        )
    places = [None] * len(texts) if positions is None else positions
    if len(places) != len(texts):
        raise ValueError(f"{len(texts)} texts need as many positions, not {len(places)}.")
    if label_set is None or function_rules.LABELS.issubset(label_set.keys):
        stems = function_rules.stems_of(topic or "")
        found = [
            function_rules.label_function(text, stems=stems, language=language) for text in texts
        ]
    elif abstract_rules.LABELS.issubset(label_set.keys):
        found = [
            abstract_rules.label_abstract(
                text, position=place, language=language, default=label_set.default
            )
            for text, place in zip(texts, places, strict=True)
        ]
    else:
        found = [(label_set.default,)] * len(texts)
    if label_set is None:
        return found
    return [labels if label_set.allows(labels) else labels[:1] for labels in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules for one label set and language, as the offline route and the service call them."""

    label_set: LabelSet
    language: str = "auto"

    def label(self, texts: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        """Return the labels of the texts of a request."""
        return label_texts(texts, topic, self.language, label_set=self.label_set)

    def label_placed(
        self, texts: Sequence[str], topic: str | None, position: str | None
    ) -> list[tuple[str, ...]]:
        """Return the labels of texts that stand at a position of their document: `12-21 of 80`."""
        places = places_in(position, len(texts))
        return label_texts(texts, topic, self.language, label_set=self.label_set, positions=places)


def places_in(position: str | None, count: int) -> list[float | None]:
    """Return the positions of the chunks of one request, for `label_texts`.

    Args:
        position: Where they stand in their document, as prompts say it: `12-21 of 80`; None or
            without the total if unknown.
        count: How many chunks there are; spread evenly over the span, which may have gaps.
    """
    found = _SPAN.fullmatch(position or "")
    if found is None:
        return [None] * count
    first, total = int(found["first"]), int(found["total"])
    last = int(found["last"] or first)
    if not 1 <= first <= last <= total:
        return [None] * count
    step = (last - first) / (count - 1) if count > 1 else 0.0
    span = max(1, total - 1)
    return [(first - 1 + index * step) / span for index in range(count)]


_SPAN = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))? of (?P<total>\d{1,9})")
