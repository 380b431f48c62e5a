"""The tables of the dialects."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.wire import dialects
from analysis.wire.dialects import ABSENT, BETA, GA

from .examples import default_session


def test_only_a_forced_beta_has_a_header() -> None:
    """OpenAI ends a connection that carries it."""
    assert {"OpenAI-Beta": "realtime=v1"} == BETA.headers
    assert {} == GA.headers
    assert dialects.wanted("auto") is None
    assert (GA, BETA) == (dialects.wanted("ga"), dialects.wanted("beta"))


@pytest.mark.parametrize("name", ["", "v1", "GA"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    """The message lists what may be asked for."""
    with pytest.raises(ConfigurationError, match="auto, ga, beta"):
        dialects.wanted(name)


@pytest.mark.parametrize("mark", sorted(BETA.marks))
def test_one_field_of_its_own_shows_the_beta(mark: str) -> None:
    """Compatible servers state few of the fields."""
    found = dialects.choose({"id": "s", mark: None}, forced=None, has_conversation=False)
    assert found is BETA


def test_the_type_beats_every_other_mark() -> None:
    """A server that states the type of GA is of GA, whatever else it says."""
    session = default_session("beta", type="realtime")
    assert GA is dialects.choose(session, forced=None, has_conversation=True)


def test_the_ga_marks_are_no_beta_marks() -> None:
    """No field of a GA greeting is taken for one of beta's own."""
    assert BETA.marks.isdisjoint(default_session("ga"))
    assert BETA.marks <= default_session("beta").keys()


@pytest.mark.parametrize(
    ("session", "found"),
    [
        ({"a": {"b": 1}}, 1),
        ({"a": {"b": None}}, None),
        ({"a": {}}, ABSENT),
        ({"a": None}, ABSENT),
        ({"a": [1]}, ABSENT),
        ({}, ABSENT),
    ],
)
def test_a_field_is_found_or_absent(session: dict[str, Any], found: object) -> None:
    """Whatever a server sends in its place; None is a value."""
    assert found is dialects.find(session, ("a", "b"))


def test_a_field_is_placed_beside_others() -> None:
    """What leads to it is made once."""
    session: dict[str, Any] = {}
    dialects.place(session, ("a", "b"), 1)
    dialects.place(session, ("a", "c"), 2)
    dialects.place(session, ("d",), 3)
    assert {"a": {"b": 1, "c": 2}, "d": 3} == session
