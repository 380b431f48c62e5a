"""A text as a reader sees it, whatever characters it is written in.

Pure. `orders` compares texts in this form: full-width letters are plain ones, characters that take
no room are gone, letters of another script that look alike are those of their word, and single
letters with spaces between them are words.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = "\u00ad\u0300-\u036f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
"""Characters without room of their own; accents that belong to a letter are one with it by then."""

_OTHER_FORMS = (
    "\u1d00-\u1dbf\u2070-\u209f\u2100-\u214f\u24b6-\u24e9\ufb00-\ufb06\uff02\uff21-\uff3a\uff41-\uff5a"
    "\U0001d400-\U0001d7ff\U0001f110-\U0001f189"
)
"""Letters in other forms: full-width, small capitals, in circles, mathematical."""

_ODD = re.compile(f"[{_HIDDEN}{_OTHER_FORMS}\U000e0020-\U000e007e]")
_UNSEEN = re.compile(f"[{_HIDDEN}]+")

_TAGS = {0xE0000 + code: code for code in range(0x20, 0x7F)}
"""The block of tags repeats ASCII in characters that nobody sees, and that models read."""

_CYRILLIC = re.compile("[\u0400-\u04ff]")
_SMALL_LATIN = re.compile("[a-z]")
_TWO_SCRIPTS = re.compile(r"\b\w*?(?:[a-z][\u0430-\u0456]|[\u0430-\u0456][a-z])\w*")

HEAD = 4
"""Letters at the beginning of a word that are compared first."""

_LATIN_LETTER, _CYRILLIC_LETTER = "[a-z\u00df-\u017f]", "[\u0400-\u04ff]"

WORD = re.compile(f"{_LATIN_LETTER}+|{_CYRILLIC_LETTER}+")
"""A word in small letters of one script; a text in Chinese has no words that could be told."""

_LATIN_HEAD, _CYRILLIC_HEAD = (
    re.compile(f"({letter}{{1,{HEAD}}}){letter}*") for letter in (_LATIN_LETTER, _CYRILLIC_LETTER)
)

_TWINS = ("aceopxyikmhtb", "асеорхуікмнтв")
_TO_LATIN = str.maketrans(_TWINS[1], _TWINS[0])
_TO_CYRILLIC = str.maketrans(_TWINS[0], _TWINS[1])


_LATIN_LONE = (" e ", " n ", " o ")
_LONE = (*_LATIN_LONE, " а ", " и ", " о ", " е ", " ， ", " 的 ", " 规 ")
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?: {1,1}[^\W\d_](?!\w)){2,}")
_SPACES = re.compile(" ")


def as_seen(text: str) -> str:
    """Return a text as a reader sees it, in small letters, with single spaces."""
    lone = _LATIN_LONE if text.isascii() else _LONE
    if " " in text and any(one in text for one in lone) and _SPACED.search(text):
        text = _SPACED.sub(lambda found: _SPACES.sub("", found[0]), text)
    if text.isascii():
        lowered = text.lower()
        if "  " not in lowered and lowered.isprintable():
            return lowered.strip()  # the same as below, in half the time
        return " ".join(lowered.split())
    if _ODD.search(text):
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text.translate(_TAGS)))
    seen = " ".join(text.lower().split())
    if _CYRILLIC.search(seen) and _SMALL_LATIN.search(seen):
        return _TWO_SCRIPTS.sub(_in_one_script, seen)
    return seen


def _in_one_script(word: re.Match[str]) -> str:
    """Return a word of two scripts in the one whose letters have no twin, or in that of most."""
    letters = word[0]
    to_latin, to_cyrillic = letters.translate(_TO_LATIN), letters.translate(_TO_CYRILLIC)
    if to_latin.isascii() != (not _SMALL_LATIN.search(to_cyrillic)):
        return to_latin if to_latin.isascii() else to_cyrillic
    is_latin = 2 * sum(letter.isascii() for letter in letters) >= len(letters)
    return to_latin if is_latin else to_cyrillic


def heads_of(seen: str) -> set[str]:
    """Return the first letters of all words of a text as it is seen, up to `HEAD` of each."""
    heads = set(_LATIN_HEAD.findall(seen))
    if not seen.isascii():
        heads.update(_CYRILLIC_HEAD.findall(seen))
    return heads
