"""The rule labeller `offline-rules`: labels from cue words, without a model.

Pure but for package data (cue lists, TOML), read once per language. The offline route calls it, and
whoever starts the simulated service hands it in as the answerer.

A label is a function of text, topic and language alone; neighbours and position play no part.
Rules fire late: a label other than the default needs a strong cue or several weak ones, and the
longer the text, the more of them, since one "for example" does not make a page an example.

Cues are phrases in a small notation, so that lists stay readable and every pattern has bounded
backtracking: `(a|b)` alternatives, `(a|b)?` also none of
them, `word*` any ending, ` .. ` up to 60 characters of the same
sentence (once per cue at most), `#` a number, `~` a capitalised word (in `cased` lists only).
Text and cues are compared in lower case, with е for ё, straight apostrophes and single spaces.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from analysis.errors import ConfigurationError
from analysis.settings import LANGUAGES

DEFAULT = "topic_development"
"""The label of a text without clear evidence for another one."""

_OPENING = 900
"""Up to this size an opening cue decides."""

_SHORT = 110
"""Up to this size a text can be a maxim."""

_HAN_SIZE = 3
"""One Han character says about as much as three letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """When a label is given.

    Attributes:
        need: Points for a short text.
        step: One more point is needed for every so many characters of size.
        max_size: Longer texts never get the label.
    """

    label: str
    need: int = 2
    step: int = 400
    max_size: int = 2_400

    def need_at(self, size: int) -> int:
        return self.need + size // self.step


_RULES = (
    _Rule(label="noise", step=120, max_size=360),
    _Rule(label="topic_change", max_size=300),
    _Rule(label="transition", max_size=170),
    _Rule(label="humour_irony"),
    _Rule(label="example"),
    _Rule(label="key_thesis"),
    _Rule(label="contrast"),
    _Rule(label="metaphor_analogy"),
    _Rule(label="lyrical_digression", need=3),
)
"""In order of precedence between labels with equal evidence."""

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
        weak: One point for each pattern that occurs.
        cased: One point at the start of the text as written.
        unless: The label is not given where this occurs.
        weak_unless: Weak and cased cues do not count where this occurs.
    """

    strong: re.Pattern[str] | None
    opening: re.Pattern[str] | None
    weak: tuple[re.Pattern[str], ...]
    cased: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    weak_unless: re.Pattern[str] | None


def label_texts(
    texts: Sequence[str], topic: str | None = None, language: str = "auto"
) -> list[tuple[str, ...]]:
    """Return the labels of each text, in order; one, seldom two, of the set `ten_functions`.

    Args:
        texts: Chunks; each is labelled by itself.
        topic: What the text is about; a chunk that mentions it is less likely noise.
        language: `en`, `ru`, `fr`, `zh`, or `auto` to detect it for each text.

    Raises:
        ConfigurationError: If the language is unknown.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"Language {language!r} is unknown. Pass one of: {', '.join(LANGUAGES)}."
        )
    stems = _stems(topic or "")
    return [_label(text, stems, language) for text in texts]


def detect_language(text: str) -> str:
    """Return `zh`, `ru`, `fr` or `en`, by script first, then by diacritics and function words."""
    lowered = _normal(text)
    if not lowered.isascii():
        han = _HAN_SIZE * len(_HAN.findall(lowered))
        cyrillic = len(_CYRILLIC.findall(lowered))
        latin = len(_LATIN.findall(lowered))
        if han and han >= max(cyrillic, latin):
            return "zh"
        if cyrillic > latin:
            return "ru"
    french = len(_FRENCH_LETTERS.findall(lowered)) + len(_FRENCH_WORDS.findall(lowered))
    return "fr" if french > len(_ENGLISH_WORDS.findall(lowered)) else "en"


_HAN = re.compile(r"[\u3400-\u9fff]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_LATIN = re.compile(r"[a-z\u00df-\u024f]")
_FRENCH_LETTERS = re.compile(r"[àâçèéêëîïôùûœ]")
_FRENCH_WORDS = re.compile(
    r"\b(?:les?|la|des?|du|un|une|est|et|dans|pour|qui|que|pas|sur|avec|aux?|il|elle|nous|vous|ce"
    r"|cette|son|ses|par|plus|sont|mais|ne|ou|je|tu|oui|non|on|se|sa|mon|ma|si|y|monsieur|madame)\b|\b(?:[cdjlmnst]|qu)'"
)
_ENGLISH_WORDS = re.compile(
    r"\b(?:the|of|and|to|in|is|that|it|was|for|with|as|at|by|this|are|be|from|his|her|have|has|not"
    r"|they|we|you|an?|or|but|what|which|our)\b"
)
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "ё": "е"})


def _normal(text: str) -> str:
    return " ".join(text.lower().translate(_APOSTROPHES).split())


def _stems(topic: str) -> tuple[str, ...]:
    """Return what to look for in a text to see that it mentions the topic."""
    words = [word for word in re.findall(r"\w+", _normal(topic)) if len(word) >= _MIN_STEM]
    stems = {word[:_MAX_STEM] for word in words if not _HAN.match(word)}
    for word in re.findall(r"[\u3400-\u9fff]{2,}", topic):
        stems.update(word[start : start + 2] for start in range(len(word) - 1))
    return tuple(sorted(stems))


_MIN_STEM = 4
_MAX_STEM = 5


def _label(text: str, stems: Sequence[str], language: str) -> tuple[str, ...]:
    lowered = _normal(text)
    if _is_addresses(lowered):
        return ("noise",)
    spoken = detect_language(lowered) if language == "auto" else language
    size = len(lowered) * (_HAN_SIZE if spoken == "zh" else 1)
    margins: dict[str, int] = {}
    for rule in _RULES:
        if size > rule.max_size:
            continue
        points = _points(rule, _cues(spoken)[rule.label], lowered, text, size)
        need = rule.need_at(size)
        if rule.label == "noise" and any(stem in lowered for stem in stems):
            need += 1
        if points >= need:
            if rule.label in _WHOLE:
                return (rule.label,)
            margins[rule.label] = points - need
    return _choice(margins)


def _is_addresses(lowered: str) -> bool:
    words = lowered.split()
    return bool(words) and all(_ADDRESS.match(word) for word in words)


_ADDRESS = re.compile(r"https?://|www\.|[\w.+-]+@[\w-]+\.")


def _points(rule: _Rule, cues: _Cues, lowered: str, text: str, size: int) -> int:
    points = 2 * len(cues.strong.findall(lowered)) if cues.strong else 0
    if cues.opening and size <= _OPENING and cues.opening.match(lowered):
        points += rule.need_at(size)
    if not (cues.weak_unless and cues.weak_unless.search(lowered)):
        weak = sum(1 for pattern in cues.weak if pattern.search(lowered))
        if cues.cased and cues.cased.match(text):
            weak += 1
        if weak and rule.label == "key_thesis" and size <= _SHORT:
            weak += 1  # a maxim is short
        points += weak
    if points and cues.unless and cues.unless.search(lowered):
        return 0
    return points


def _choice(margins: Mapping[str, int]) -> tuple[str, ...]:
    """Return the label with the largest margin; with it a second one that is as clear."""
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
def _cues(language: str) -> Mapping[str, _Cues]:
    """Read and compile the cue lists of one language."""
    file = resources.files("analysis.labels") / "cues" / f"{language}.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    bounded = language != "zh"
    return {rule.label: _compile(tables[rule.label], bounded) for rule in _RULES}


def _compile(table: Mapping[str, Any], bounded: bool) -> _Cues:
    def pattern(key: str) -> re.Pattern[str] | None:
        return _pattern(table[key], bounded) if key in table else None

    return _Cues(
        strong=pattern("strong"),
        opening=_pattern(table["opening"], bounded, _QUOTES) if "opening" in table else None,
        weak=tuple(_pattern(group, bounded) for group in table.get("weak", ())),
        cased=_pattern(table["cased"], bounded, _QUOTES) if "cased" in table else None,
        unless=pattern("unless"),
        weak_unless=pattern("weak_unless"),
    )


_QUOTES = r"[\s\"'«“‘—–-]{0,4}"
_EDGE = r"(?!\B\w)"  # not inside of a word
_SIGNS = {
    "*": r"\w*",
    "#": r"\d+",
    "~": r"[A-ZÀ-ÖØ-ÞА-ЯЁ]\w+",
    " .. ": r"[^.!?。！？]{0,60}?",
}
_PIECES = re.compile(r" \.\. |\([^()]*\)\??|[*#~]")
_Node = dict[str, Any]


def _pattern(cues: Iterable[str], bounded: bool, before: str = "") -> re.Pattern[str]:
    """Compile cues into one pattern that shares common beginnings, as a trie.

    In a script without spaces (`bounded` false) a cue may begin and end anywhere.
    """
    edge = _EDGE if bounded else ""
    root: _Node = {}
    for cue in itertools.chain.from_iterable(map(_openings, cues)):
        piece = _PIECES.search(cue)
        literal = cue[: piece.start()] if piece else cue
        node = root
        for letter in literal:
            node = node.setdefault(letter, {})
        node.setdefault("", set()).add(_regex(cue[len(literal) :], edge) + edge)
    return re.compile(before + edge + _branches(root))


def _openings(cue: str) -> Iterable[str]:
    """Spell out the alternatives with which a cue begins; the trie needs letters in front."""
    piece = _PIECES.match(cue)
    if not piece or not cue.startswith("("):
        return (cue,)
    choices = _choices(piece.group())
    rest = cue[piece.end() :]
    return itertools.chain.from_iterable(_openings(choice + rest) for choice in choices)


def _choices(group: str) -> list[str]:
    inside = group.strip("()?").split("|")
    return [*inside, ""] if group.endswith("?") else inside


def _regex(cue: str, edge: str) -> str:
    """Translate the notation of cues into that of regular expressions."""
    parts = []
    place = 0
    for piece in _PIECES.finditer(cue):
        parts.append(re.escape(cue[place : piece.start()]))
        sign = piece.group()
        if sign.startswith("("):
            parts.append("(?:" + "|".join(_regex(one, edge) for one in _choices(sign)) + ")")
        else:
            parts.append(_SIGNS[sign] + (edge if sign == " .. " else ""))
        place = piece.end()
    return "".join(parts) + re.escape(cue[place:])


def _branches(node: _Node) -> str:
    options = [
        re.escape(letter) + _branches(child) for letter, child in node.items() if letter != ""
    ]
    options += sorted(node.get("", ()), key=len, reverse=True)
    return options[0] if len(options) == 1 else f"(?:{'|'.join(options)})"
