"""Every wording has stems that a text with it holds."""

from __future__ import annotations

import re

import pytest

from analysis.labels.order_wordings import CHINESE, ENGLISH, FRENCH, RUSSIAN
from tests.labels.poisoned import DISGUISED, ORDERS, PROSE

RULES = [*ENGLISH, *RUSSIAN, *FRENCH, *CHINESE]


@pytest.mark.parametrize(("stems", "pattern"), RULES)
def test_stems_are_needed_by_their_pattern(stems: tuple[str, ...], pattern: str) -> None:
    """A pattern that is found in a text without any of its stems would never be tried."""
    texts = [*(text for some in ORDERS.values() for text in some), *DISGUISED, *PROSE]
    found = [text.lower() for text in texts if re.search(pattern, text.lower(), re.DOTALL)]
    assert [] == [text for text in found if not any(stem in text for stem in stems)]
    assert stems
