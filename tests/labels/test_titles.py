"""What of a title is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.neighbours import CUT
from analysis.labels.titles import sent_title
from analysis.records import is_blank
from analysis.settings import SETTINGS


@pytest.mark.parametrize("given_title", [None, "", " \n", "\u200b\ufeff"])
def test_a_title_of_which_nothing_is_seen_is_none(given_title: str | None) -> None:
    """Spaces and characters without width are no title."""
    assert sent_title(given_title) is None


def test_a_long_title_is_cut_with_a_mark() -> None:
    """All of it up to the limit, then its start."""
    most = SETTINGS.title_chars
    assert "t" * most == sent_title("t" * most)
    assert "t" * most + CUT == sent_title("t" * 100_000)
    assert "ab" + CUT == sent_title("abc", 2)


@given(st.text(), st.integers(1, 20))
def test_a_title_stays_what_it_is_when_it_is_cut_again(text: str, most: int) -> None:
    """A chunk whose title was cut by a table may be handed to an analyzer."""
    once = sent_title(text, most)
    assert once == sent_title(once, most)
    assert is_blank(text) or once is None or once.startswith(text[:most])
