"""What people write differently in the name of the same label, and which name is nearest.

Pure. `label_set` compares names, aliases and keys through `plain`, then through `Readings`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping

_WORDS = re.compile(r"[^\W_]+")
_OR = frozenset({"or", "или", "либо", "ou"})
_OR_INSIDE = "或"
"""Chinese has no spaces: the sign may stand inside of what looks like one word."""

_BETWEEN = re.compile(rf"[/\\|,;、&()]|{_OR_INSIDE}|\b(?:{'|'.join(sorted(_OR))})\b")
_FEWEST_PARTS = 2

_MARK = "Mn"
_LIGATURES = {"œ": "oe", "æ": "ae"}
_TRADITIONAL = (
    "為舉書價關決況別歷曆參敘敍後類級結紹觀認讓論諷證評訴話說説調貢獻轉軼辯過問聞隱項顧預題駁張強當據換"
    "無標樣條構測點聲實審對開廣圖註銜內發離鍵響語與驗總導"
)
_SIMPLIFIED = (
    "为举书价关决况别历历参叙叙后类级结绍观认让论讽证评诉话说说调贡献转轶辩过问闻隐项顾预题驳张强当据换"
    "无标样条构测点声实审对开广图注衔内发离键响语与验总导"
)
_SIMPLER = str.maketrans(_TRADITIONAL, _SIMPLIFIED)
"""Traditional characters whose simplified forms the names of the shipped sets have."""

_NEAR = 0.6
"""Least share of equal letters, as `difflib` counts it, of what is named as nearest."""

_LISTED_SIZE = 200


def plain(spelling: str) -> str:
    """Return a spelling without what people write differently.

    That is case, width, spaces, underscores and other signs, ё and е, and the word "or" in four
    languages, for which others put a slash or a comma.
    """
    words = _WORDS.findall(unicodedata.normalize("NFC", _folded(spelling)))
    return "".join(word for word in words if word not in _OR).replace(_OR_INSIDE, "")


class Readings:
    """Finds the label of a spelling that `plain` alone does not make equal to one.

    These differ from a known spelling by accents on Latin letters, by traditional characters, or
    they name a label by two or more words with "or", a slash or a comma between them, in any order:
    each of these must be a known spelling of that label, or stand so in one. What two labels could
    claim stands for none.
    """

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        """Begin.

        Args:
            known: Spelling and key.
        """
        self._whole: dict[str, set[str]] = {}
        self._parts: dict[str, set[str]] = {}
        for spelling, key in known:
            self._whole.setdefault(bare(spelling), set()).add(key)
            for part in {bare(spelling), *parts(spelling)}:
                self._parts.setdefault(part, set()).add(key)

    def key_of(self, spelling: str) -> str | None:
        """Return the key, or None where there is none or more than one."""
        found = self._whole.get(bare(spelling), set())
        named = parts(spelling)
        if not found and len(named) >= _FEWEST_PARTS:
            found = set.intersection(*(self._parts.get(part, set()) for part in named))
        return next(iter(found)) if len(found) == 1 else None


def bare(spelling: str) -> str:
    """Return a plain spelling without accents on Latin letters, in simplified characters."""
    kept = []
    is_latin = False
    for sign in unicodedata.normalize("NFD", plain(spelling)):
        if unicodedata.category(sign) == _MARK and is_latin:
            continue
        is_latin = sign < "\u0250"
        kept.append(_LIGATURES.get(sign, sign))
    return unicodedata.normalize("NFC", "".join(kept)).translate(_SIMPLER)


def parts(spelling: str) -> frozenset[str]:
    """Return what stands between the words for "or", slashes and commas, each bare."""
    return frozenset(filter(None, map(bare, _BETWEEN.split(_folded(spelling)))))


def nearest(value: str, allowed: Iterable[str]) -> str | None:
    """Return the most similar of the allowed values, or None if none is similar."""
    near = difflib.get_close_matches(value, list(allowed), n=1, cutoff=_NEAR)
    return near[0] if near else None


def near_or_all(value: str, allowed: Iterable[str]) -> str:
    """Return words that name the nearest of the allowed values, else all, cut."""
    names = list(allowed)
    near = nearest(value, names)
    return f"there are: {listed(names)}" if near is None else f"nearest: {near}"


def near_hint(value: str, allowed: Iterable[str] | Mapping[str, str]) -> str:
    """Return words that name the nearest of the allowed values, empty if none is similar.

    Args:
        value: What was written.
        allowed: The values, or a mapping from them to what is to be named instead.
    """
    near = nearest(value, allowed)
    if near is None:
        return ""
    return f"; nearest: {allowed[near] if isinstance(allowed, Mapping) else near}"


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them, as many as one line has room for."""
    kept: list[str] = []
    size = rest = 0
    for name in names:
        size += len(name) + 2
        if size <= _LISTED_SIZE or not kept:
            kept.append(name)
        else:
            rest += 1
    return ", ".join(kept) + (f" and {rest} more" if rest else "")


def _folded(spelling: str) -> str:
    return unicodedata.normalize("NFKC", spelling).casefold().replace("ё", "е")
