"""What people write differently in the name of the same label, and which name is nearest.

Pure. `label_set` compares names, aliases and keys through `plain`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_WORDS = re.compile(r"[^\W_]+")
_OR = frozenset({"or", "или", "либо", "ou"})
_OR_INSIDE = "或"
"""Chinese has no spaces: the sign may stand inside of what looks like one word."""


def plain(spelling: str) -> str:
    """Return a spelling without what people write differently.

    That is case, width, spaces, underscores and other signs, ё and е, and the word "or" in four
    languages, for which others put a slash or a comma.
    """
    folded = unicodedata.normalize("NFKC", spelling).casefold().replace("ё", "е")
    words = _WORDS.findall(unicodedata.normalize("NFC", folded))
    return "".join(word for word in words if word not in _OR).replace(_OR_INSIDE, "")


def nearest(value: str, allowed: Iterable[str]) -> str | None:
    """Return the most similar of the allowed values, or None if there are none."""
    near = difflib.get_close_matches(value, list(allowed), n=1, cutoff=0.0)
    return near[0] if near else None
