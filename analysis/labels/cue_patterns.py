"""Cues of the rule labellers: a small notation for phrases, and where a phrase counts.

Pure. The rule labellers call it.

The notation keeps lists readable, and every pattern has bounded backtracking: `(a|b)`
alternatives, `(a|b)?` also none of them, `word*` any ending, ` .. ` up to 60 characters of the same
sentence (once per cue at most), `#` a number, `~` a capitalised word (where texts are matched as
written).

A cue counts as a whole word, in Chinese wherever its characters stand. It does not count where it
is negated ("not like a wheel") or only spoken of (the words "for example").
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from analysis.labels.languages import comparable

BEFORE = r"[\s•*-]{0,4}"
"""What may stand before an opening cue. A dash or a quotation mark opens the speech of a person,
who does not speak for the text."""

_NEGATIONS = {
    "en": r"(?:\b(?:not|no|never|hardly|neither|nor|without)|n't) "
    r"(?:(?:a|an|the|at all|really|exactly) )?$",
    "fr": r"\b(?:pas|sans|ni|aucun|aucune|jamais|nullement) "
    r"(?:un |une |le |la |les |vraiment |d')?$",
    "ru": r"\b(?:не|нет|ни|без) (?:совсем |вполне |очень )?$",
    "zh": r"(?:不|没|无|非|不是|没有|不算|不算是)$",
}
_REACH = 20
"""Characters before a cue in which a negation is sought; the longest one fits."""

_OPENED, _CLOSED = frozenset("\"'“‘«„「『"), frozenset("\"'”’»“」』")
"""Quotation marks, in French with a blank inside."""

_EDGE = r"(?!\B\w)"  # not inside of a word
_FIRST = r"(?<!\w.)"  # the same, behind the first letter: so `re` finds places by that letter alone
_SIGNS = {
    "*": r"\w*",
    "#": r"\d+",
    "~": r"[A-ZÀ-ÖØ-ÞА-ЯЁ]\w+",
    " .. ": r"[^.!?。]{0,60}?",
}
_PIECES = re.compile(r" \.\. |\([^()]*\)\??|[*#~]")
_Node = dict[str, Any]


class Cue:
    """A list of phrases of one language, compiled.

    Args:
        phrases: In the notation above; lower case, unless `as_written`.
        language: One of `en`, `fr`, `ru`, `zh`.
        at_start: Match the beginning of a text, after blanks and bullets.
        as_written: Texts are given with their capitals.
    """

    __slots__ = ("_negation", "_pattern")

    def __init__(
        self,
        phrases: Iterable[str],
        language: str,
        *,
        at_start: bool = False,
        as_written: bool = False,
    ) -> None:
        folded = phrases if as_written else [comparable_cue(phrase) for phrase in phrases]
        self._pattern = _pattern(folded, language != "zh", BEFORE if at_start else "")
        self._negation = re.compile(_NEGATIONS[language])

    def starts(self, text: str) -> bool:
        """Tell whether the text begins with a phrase."""
        return self._pattern.match(text) is not None

    def occurs(self, text: str) -> bool:
        """Tell whether a phrase stands in the text, negated or not."""
        return self._pattern.search(text) is not None

    def count(self, text: str) -> int:
        """Return in how many places a phrase counts."""
        return sum(1 for place in self._pattern.finditer(text) if self._counts(text, place))

    def counts(self, text: str) -> bool:
        """Tell whether a phrase counts in at least one place."""
        return any(self._counts(text, place) for place in self._pattern.finditer(text))

    def blank(self, text: str) -> str:
        """Return the text with every phrase replaced by a sign that no cue has."""
        return self._pattern.sub("\N{MIDDLE DOT}", text)

    def _counts(self, text: str, place: re.Match[str]) -> bool:
        start, end = place.span()
        if start == 0:
            return True
        around = text[max(0, start - 2) : start].rstrip()[-1:], text[end : end + 2].lstrip()[:1]
        if around[0] in _OPENED and around[1] in _CLOSED:
            return False
        return self._negation.search(text[max(0, start - _REACH) : start]) is None


def comparable_cue(phrase: str) -> str:
    """Return a phrase as texts are compared, with the spaces that belong to the notation."""
    ends = phrase[: len(phrase) - len(phrase.lstrip())], phrase[len(phrase.rstrip()) :]
    return ends[0] + comparable(phrase) + ends[1]


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
    options = [
        re.escape(letter) + (_FIRST if bounded and letter.isalnum() else "") + _branches(node)
        for letter, node in root.items()
        if letter != ""
    ]
    options += [edge + cue for cue in sorted(root.get("", ()), key=len, reverse=True)]
    return re.compile(f"{before}(?:{'|'.join(options)})", re.DOTALL)


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
