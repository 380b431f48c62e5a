"""The form in which texts and cues are compared, and the language of a text.

Pure. The rule labellers call it.
"""

from __future__ import annotations

import re
import unicodedata

HAN_SIZE = 3
"""One Han character says about as much as three letters."""

HAN = re.compile(r"[\u3400-\u9fff]")
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
_SAME = str.maketrans(
    {"’": "'", "ʼ": "'", "ё": "е", "\u00ad": None, "\u200b": None, "\ufeff": None}
)


def comparable(text: str) -> str:
    """Return a text as it is compared with cues.

    Lower case, full-width and other compatible forms folded (NFKC), е for ё, straight apostrophes,
    single spaces, no soft hyphens and zero-width spaces.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.lower().translate(_SAME).split())


def detect_language(text: str) -> str:
    """Return `zh`, `ru`, `fr` or `en`, by script first, then by diacritics and function words."""
    return language_of(comparable(text))


def language_of(lowered: str) -> str:
    """Return the language of a text that `comparable` has returned."""
    if not lowered.isascii():
        han = HAN_SIZE * len(HAN.findall(lowered))
        cyrillic = len(_CYRILLIC.findall(lowered))
        latin = len(_LATIN.findall(lowered))
        if han and han >= max(cyrillic, latin):
            return "zh"
        if cyrillic > latin:
            return "ru"
    french = len(_FRENCH_LETTERS.findall(lowered)) + len(_FRENCH_WORDS.findall(lowered))
    return "fr" if french > len(_ENGLISH_WORDS.findall(lowered)) else "en"
