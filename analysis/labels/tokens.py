"""Estimated tokens of a text.

Pure. Packing, limits, cost lines and prompt sizes use `estimate`; it has to be near and not low,
not exact, since `Correction` follows what the service bills: dispatch has one per route.

Every character counts as a fixed share of a token, by the script that the first byte of its UTF-8
form tells. The shares are estimates for vocabularies of the size of o200k_base, which averages
about 4.2 bytes a token in English prose, 4.0 in French, 5.5 to 6 in Russian and 3.3 to 4.0 in
Chinese (0.75 to 0.9 tokens a character). On texts of 1,000 chunks the shares give 4.3, 4.2, 5.0 and
3.7; prompts beside the texts are estimated above their count, see docs/explanation/money.md.
"""

from __future__ import annotations

import math
import operator

PRIOR_TOKENS = 3_000.0
"""Tokens as estimated that count before the first answer: two requests of ten chunks or so."""

MEMORY_TOKENS = 200_000.0
"""Tokens after which the older answers count half: some hundred requests of ten chunks."""

MOST_RATIO = 4.0
"""No text is further off; a service that bills more, or less, counts something else."""

_SHARES: dict[str, float] = {
    "l": 1 / 4.7,  # small ASCII letters
    "w": 1 / 4.7,  # spaces, tabs, line ends: a part of the word that follows
    "u": 0.40,  # ASCII capitals: words in capitals take two to three tokens
    "d": 0.45,  # digits: groups of up to three, often fewer
    "p": 0.60,  # ASCII punctuation: a token of its own in prose, merged in JSON
    "x": 0.50,  # Latin letters beyond ASCII: they cut words into more pieces
    "c": 0.35,  # Cyrillic letters
    "g": 0.50,  # Greek, Armenian, Hebrew, Arabic, Syriac letters
    "i": 0.70,  # scripts of India and South-East Asia, Georgian, Ethiopic
    "h": 0.80,  # Han characters, kana, CJK punctuation, Hangul, full-width forms
    "s": 1.00,  # dashes, curly quotes, arrows, symbols
    "e": 2.50,  # outside of the BMP: emoji, rare Han characters
}
"""Class of a character -> tokens for one of them."""

_MIXED_SCRIPTS = 1.08
"""Factor for texts with letters of two scripts: every change of script ends a token."""

_CONTINUATION = "."  # second and later bytes of a character count nothing


def _byte_classes() -> bytes:
    classes = [_CONTINUATION] * 256

    def fill(first: int, last: int, name: str) -> None:
        classes[first : last + 1] = name * (last + 1 - first)

    fill(0x00, 0x7F, "p")
    fill(0x30, 0x39, "d")
    fill(0x41, 0x5A, "u")
    fill(0x61, 0x7A, "l")
    for space in b"\t\n\r ":
        classes[space] = "w"
    fill(0xC2, 0xCD, "x")
    fill(0xCE, 0xCF, "g")
    fill(0xD0, 0xD3, "c")
    fill(0xD4, 0xDF, "g")
    fill(0xE0, 0xE1, "i")
    fill(0xE2, 0xE2, "s")
    fill(0xE3, 0xED, "h")
    fill(0xEE, 0xEE, "s")
    fill(0xEF, 0xEF, "h")
    fill(0xF0, 0xF4, "e")
    return "".join(classes).encode("ascii")


_CLASSES = _byte_classes()


_ASCII = tuple((ord(name), _SHARES[name]) for name in "lwudp")
_COMMON = tuple(_SHARES[name] for name in "lwudpxch")
_RARE = tuple((ord(name), _SHARES[name], name in "gi") for name in "sgie")
_L, _W, _U, _D, _P, _X, _C, _H = b"lwudpxch"


def estimate(text: str) -> int:
    """Return the estimated tokens of a text, >= 1 unless it is empty."""
    if text.isascii():
        count = text.encode("ascii").translate(_CLASSES).count
        return math.ceil(sum([count(name) * share for name, share in _ASCII]))
    # A lone surrogate must not stop a run here; it counts like a Han character.
    count = text.encode("utf-8", "surrogatepass").translate(_CLASSES).count
    small, capitals, cyrillic, han = count(_L), count(_U), count(_C), count(_H)
    counts = (small, count(_W), capitals, count(_D), count(_P), count(_X), cyrillic, han)
    total: float = sum(map(operator.mul, counts, _COMMON))
    scripts = (small + capitals > 0) + (cyrillic > 0) + (han > 0)
    if sum(counts) < len(text):  # most texts hold none of these, which saves a third of the time
        for name, share, is_letter in _RARE:
            found = count(name)
            total += found * share
            scripts += is_letter and found > 0
    return math.ceil(total * _MIXED_SCRIPTS if scripts > 1 else total)


class Correction:
    """How many tokens a service bills for each estimated one, by its latest answers.

    It begins with one for one, which the first answers outweigh, and forgets the oldest answers, so
    that it follows texts of another kind.

    Attributes:
        ratio: Billed tokens by estimated ones, in hundredths, so that it does not move all the
            time.
    """

    __slots__ = ("_billed", "_estimated", "ratio")

    def __init__(self) -> None:
        self._billed = self._estimated = PRIOR_TOKENS
        self.ratio = 1.0

    def __repr__(self) -> str:
        return f"Correction({self.ratio:.2f})"

    def note(self, *, estimated: int, billed: int) -> None:
        """Hear what an answered request was estimated at and billed for; 0 billed says nothing."""
        if billed <= 0 or estimated <= 0:
            return
        self._estimated += estimated
        self._billed += billed
        if self._estimated > MEMORY_TOKENS:
            self._estimated /= 2
            self._billed /= 2
        ratio = self._billed / self._estimated
        self.ratio = round(min(MOST_RATIO, max(1 / MOST_RATIO, ratio)), 2)

    def apply(self, tokens: int) -> int:
        """Return an estimate as it will probably be billed."""
        return math.ceil(tokens * self.ratio)
