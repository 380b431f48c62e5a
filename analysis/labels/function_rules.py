"""Rules for the label set `ten_functions`, in English, French, Russian and Chinese.

Pure but for package data (cue lists, TOML), read once per language. `rules` calls it.

A label is a function of text, topic and language alone; neighbours and position play no part.
Rules fire late: a label other than the default needs a strong cue or several weak ones, and the
longer the text, the more of them, since one "for example" does not make a page an example.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from analysis.labels.cue_patterns import Cue
from analysis.labels.languages import HAN, HAN_SIZE, comparable, language_of

DEFAULT = "topic_development"
"""The label of a text without clear evidence for another one."""

_SHORT = 110
"""Up to this size a text can be a maxim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """When a label is given.

    Attributes:
        need: Points for a short text.
        step: One more point is needed for every so many characters of size.
        max_size: Longer texts never get the label.
        opening_size: Up to this size an opening cue decides.
        unaided: Further points that are needed where no strong cue counts.
    """

    label: str
    need: int = 2
    step: int = 400
    max_size: int = 2_400
    opening_size: int = 900
    unaided: int = 0

    def need_at(self, size: int) -> int:
        return self.need + size // self.step


_RULES = (
    _Rule(label="noise", step=120, max_size=360),
    _Rule(label="topic_change", max_size=300),
    _Rule(label="transition", max_size=170),
    _Rule(label="humour_irony"),
    _Rule(label="example"),
    _Rule(label="key_thesis"),
    _Rule(label="contrast", step=130, opening_size=320),
    _Rule(label="metaphor_analogy"),
    _Rule(label="lyrical_digression", need=3, unaided=1),
)
"""In order of precedence between labels with equal evidence."""

LABELS = frozenset({DEFAULT, *(rule.label for rule in _RULES)})
"""All that the rules give."""

_WHOLE = frozenset({"noise", "topic_change", "transition"})
"""Labels about the chunk as a piece of the document; they win and stand alone here."""

_PAIRS = frozenset(
    {
        ("contrast", "key_thesis"),
        ("example", "humour_irony"),
        ("humour_irony", "metaphor_analogy"),
        ("humour_irony", "contrast"),
        ("metaphor_analogy", "lyrical_digression"),
    }
)
"""Pairs, primary label first, that two strong cues may give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cues:
    """The compiled cues of one label in one language; absent lists are None.

    Attributes:
        strong: Two points for each place.
        opening: Decides at the start of a text that is not long.
        weak: One point for each list that occurs.
        cased: One point at the start of the text as written.
        unless: The label is not given where this occurs.
        opening_unless: Opening cues do not count where this occurs.
        weak_unless: Weak and cased cues do not count where this occurs.
    """

    strong: Cue | None
    opening: Cue | None
    weak: tuple[Cue, ...]
    cased: Cue | None
    unless: Cue | None
    opening_unless: Cue | None
    weak_unless: Cue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """The cues of one language.

    Attributes:
        by_label: For each label but the default.
        traps: Phrases in which a cue stands by chance; they are blanked before cues are sought.
    """

    by_label: Mapping[str, _Cues]
    traps: Cue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A text as it is looked at: `lowered` without traps, `size` in letters."""

    written: str
    lowered: str
    size: int


def stems_of(topic: str) -> tuple[str, ...]:
    """Return what to look for in a text to see that it mentions the topic."""
    words = [word for word in re.findall(r"\w+", comparable(topic)) if len(word) >= _MIN_STEM]
    stems = {word[:_MAX_STEM] for word in words if not HAN.match(word)}
    for word in re.findall(r"[\u3400-\u9fff]{2,}", topic):
        stems.update(word[start : start + 2] for start in range(len(word) - 1))
    return tuple(sorted(stems))


_MIN_STEM = 4
_MAX_STEM = 5


def label_function(text: str, *, stems: Sequence[str], language: str) -> tuple[str, ...]:
    """Return the labels of one text; one, seldom two.

    Args:
        text: The chunk.
        stems: See `stems_of`; a chunk that has one of them is less likely noise.
        language: `en`, `fr`, `ru`, `zh`, or `auto` to detect it.
    """
    lowered = comparable(text)
    if _is_addresses(lowered):
        return ("noise",)
    spoken = language_of(lowered) if language == "auto" else language
    tables = _tables(spoken)
    if tables.traps is not None:
        lowered = tables.traps.blank(lowered)
    size = len(lowered) * (HAN_SIZE if spoken == "zh" else 1)
    seen = _Text(written=text, lowered=lowered, size=size)
    margins: dict[str, int] = {}
    for rule in _RULES:
        if size > rule.max_size:
            continue
        need = rule.need_at(size)
        if rule.label == "noise" and any(stem in lowered for stem in stems):
            need += 1
        margin = _margin(rule, tables.by_label[rule.label], seen, need)
        if margin >= 0:
            if rule.label in _WHOLE:
                return (rule.label,)
            margins[rule.label] = margin
    return _choice(margins)


def _is_addresses(lowered: str) -> bool:
    words = lowered.split()
    return bool(words) and all(_ADDRESS.fullmatch(word) for word in words)


_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\u2e80-\u9fff\uff00-\uffef]+|[a-z0-9_.+-]+@[\w-]+\.[^\u2e80-\u9fff\uff00-\uffef]+"
)
"""Without the letters and signs of Chinese, where a whole sentence is one word with its address."""


def _margin(rule: _Rule, cues: _Cues, seen: _Text, need: int) -> int:
    """Return how many points there are beyond the ones needed; negative if too few."""
    strong = 2 * cues.strong.count(seen.lowered) if cues.strong else 0
    if not strong:
        need += rule.unaided
    points = strong + _opening_points(rule, cues, seen)
    if points + len(cues.weak) + _MORE_WEAK < need:
        return -1  # whatever the weak cues are, which take most of the time
    points += _weak_points(rule, cues, seen)
    if points >= need and cues.unless and cues.unless.occurs(seen.lowered):
        return -1
    return points - need


_MORE_WEAK = 2
"""Weak points beyond one for each list: a cased cue, and a short maxim."""


def _opening_points(rule: _Rule, cues: _Cues, seen: _Text) -> int:
    if cues.opening is None or seen.size > rule.opening_size:
        return 0
    if not cues.opening.starts(seen.lowered):
        return 0
    if cues.opening_unless and cues.opening_unless.occurs(seen.lowered):
        return 0
    return rule.need_at(seen.size)


def _weak_points(rule: _Rule, cues: _Cues, seen: _Text) -> int:
    if cues.weak_unless and cues.weak_unless.occurs(seen.lowered):
        return 0
    points = sum(1 for cue in cues.weak if cue.counts(seen.lowered))
    if cues.cased and cues.cased.starts(seen.written):
        points += 1
    if points and rule.label == "key_thesis" and seen.size <= _SHORT:
        points += 1  # a maxim is short
    return points


def _choice(margins: Mapping[str, int]) -> tuple[str, ...]:
    """Return the label with the largest margin, with a second one that may stand beside it."""
    if not margins:
        return (DEFAULT,)
    ranked = sorted(margins, key=lambda label: -margins[label])
    first = ranked[0]
    for second in ranked[1:]:
        for pair in ((first, second), (second, first)):
            if pair in _PAIRS:
                return pair
    return (first,)


@cache
def _tables(language: str) -> _Tables:
    """Read and compile the cue lists of one language."""
    file = resources.files("analysis.labels") / "cues" / f"{language}.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    traps = tables.get("traps")
    return _Tables(
        by_label={rule.label: _compiled(tables[rule.label], language) for rule in _RULES},
        traps=Cue(traps, language) if traps else None,
    )


def _compiled(table: Mapping[str, Any], language: str) -> _Cues:
    def cue(key: str, **options: bool) -> Cue | None:
        return Cue(table[key], language, **options) if key in table else None

    return _Cues(
        strong=cue("strong"),
        opening=cue("opening", at_start=True),
        weak=tuple(Cue(group, language) for group in table.get("weak", ())),
        cased=cue("cased", at_start=True, as_written=True),
        unless=cue("unless"),
        opening_unless=cue("opening_unless"),
        weak_unless=cue("weak_unless"),
    )
