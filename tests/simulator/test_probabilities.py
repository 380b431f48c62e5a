"""Behaviour of the answers to single questions."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.simulator.probabilities import answer
from analysis.simulator.profile import DecisionRules


def choice(count: int) -> dict[str, Any]:
    """Return a question with so many values."""
    return {"type": "choice", "choices": [{"value": f"v{index}"} for index in range(count)]}


@given(count=st.integers(2, 255), seed=st.integers(0, 999), data=st.data())
def test_labels_lead(count: int, seed: int, data: st.DataObject) -> None:
    """Whatever the number of values: sum 1, no negative share, first label first, second second."""
    values = [f"v{index}" for index in range(count)]
    labels = data.draw(st.lists(st.sampled_from(values), max_size=2, unique=True))
    given_answer = answer(choice(count), labels, Random(seed), DecisionRules())
    shares = {each["value"]: each["probability"] for each in given_answer["probabilities"]}
    assert values == list(shares)
    assert pytest.approx(1.0, abs=1e-9) == sum(shares.values())
    assert min(shares.values()) >= 0.0
    assert 0.0 <= given_answer["confidence"] <= 1.0
    ranked = sorted(shares, key=lambda value: -shares[value])
    assert shares[given_answer["choice"]] == shares[ranked[0]]
    assert labels == ranked[: len(labels)]
    if len(labels) == 2:
        assert 0.25 <= shares[labels[1]] < shares[labels[0]]
    if len(labels) == 1:
        assert max(share for value, share in shares.items() if value != labels[0]) < 0.25


def test_label_that_is_not_offered_is_left_aside() -> None:
    """The answer is then that of a question about no chunk."""
    rules = DecisionRules()
    other, none = (answer(choice(5), keys, Random(1), rules) for keys in (("x",), ()))
    assert none == other
