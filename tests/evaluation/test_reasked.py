"""Changed labels are told with an interval, and beside the noise of asking twice."""

from __future__ import annotations

import pytest

from analysis.evaluation.grouped import grouped_share
from analysis.evaluation.reasked import beyond_noise, changed, share_values

ALONE: dict[str, str] = {}
"""No chunk shared a request."""


def labels(words: str) -> dict[str, tuple[str, ...]]:
    """Return chunk id -> labels: a word per chunk, `a+b` for two labels, `-` for none."""
    return {
        str(place): tuple(word.split("+"))
        for place, word in enumerate(words.split())
        if word != "-"
    }


def test_without_a_common_chunk_there_is_no_figure() -> None:
    """Nothing is made up of nothing."""
    assert changed({}, labels("a b"), requests=ALONE) is None
    assert changed(labels("a -"), labels("- b"), requests=ALONE) is None
    assert beyond_noise(labels("a -"), labels("a b"), labels("- b"), requests=ALONE) is None


def test_chunks_without_a_label_on_one_side_are_left_out() -> None:
    """Three of five chunks have a label in both; one of them changed."""
    found = changed(labels("a b c - e"), labels("a x - d e"), requests=ALONE)
    assert found is not None
    assert (3, ["1"]) == (found["rows"], found["first_ids"])
    assert share_values(grouped_share([(0, 1), (1, 1), (0, 1)])) == found["primary"]
    assert share_values(grouped_share([(1, 1), (0, 1), (1, 1)])) == found["same"]


def test_a_second_label_changes_the_set_and_not_the_primary_one() -> None:
    """The order of two labels decides which is the primary one, and the set stays."""
    found = changed(labels("a+b a a+b"), labels("a a+b b+a"), requests=ALONE)
    assert found is not None
    assert (1, 2) == (found["primary"]["count"], found["any"]["count"])


def test_what_an_arm_changes_is_held_against_the_repetition() -> None:
    """Four chunks change in the arm alone, one in both, one in the repetition alone."""
    before = labels("a a a a a a a a")
    arm = labels("x x x x x a a a")
    again = labels("a a a a x x a a")
    found = beyond_noise(before, arm, again, requests=ALONE)
    assert found is not None
    assert (8, 4, 1) == (found["rows"], found["only_arm"], found["only_again"])
    assert 3 / 8 == found["difference"]
    assert pytest.approx(2 * (1 + 5) / 2**5) == found["p_value"]


def test_an_arm_that_repeats_the_noise_changes_nothing() -> None:
    """The same changes in both are noise altogether."""
    noisy = labels("x a x a")
    found = beyond_noise(labels("a a a a"), noisy, noisy, requests=ALONE)
    assert found is not None
    assert (0, 1.0) == (found["difference"], found["p_value"])


def test_rows_of_a_request_count_together() -> None:
    """Four changes in one request of two are one event: a wider interval, and no small p-value."""
    before, arm = labels("a a a a a a a a"), labels("x x x x a a a a")
    requests = {str(place): place // 4 for place in range(8)}
    alone = changed(before, arm, requests=ALONE)
    packed = changed(before, arm, requests=requests)
    assert alone is not None and packed is not None
    assert (8, 2) == (alone["primary"]["requests"], packed["primary"]["requests"])
    assert packed["primary"]["high"] > alone["primary"]["high"]
    assert alone["primary"]["high"] == packed["primary"]["high_by_rows"]
    found = beyond_noise(before, arm, before, requests=requests)
    assert found is not None
    assert (2, 4, 1.0) == (found["requests"], found["only_arm"], found["p_value"])
    assert found["low"] < 0 < found["difference"] < found["high"]


def test_a_chunk_beside_no_other_is_a_request_of_its_own() -> None:
    """Whatever the names of the others."""
    found = changed(labels("a a a"), labels("a a a"), requests={"0": "2", "1": "2"})
    assert found is not None
    assert 2 == found["same"]["requests"]
