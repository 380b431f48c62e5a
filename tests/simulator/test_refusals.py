"""Behaviour of the checks that both protocols share."""

from __future__ import annotations

import pytest

from analysis.simulator.refusals import Refusal, check_fields, check_metadata, check_type


def test_fields_of_a_refusal_are_those_of_the_protocol() -> None:
    """Message, type, param and code, nothing else."""
    refusal = Refusal("text", kind="tokens", code="c", param="p")
    assert {"message": "text", "type": "tokens", "param": "p", "code": "c"} == refusal.fields()


def test_unknown_field_is_named_by_its_path() -> None:
    """At the root the path is the name alone."""
    with pytest.raises(Refusal, match=r"Unknown parameter: 'x'\."):
        check_fields({"x": 1}, ("y",), "")
    with pytest.raises(Refusal, match=r"Unknown parameter: 'session\.x'\."):
        check_fields({"x": 1}, ("y",), "session")


def test_boolean_is_no_integer() -> None:
    """JSON true must not pass for 1."""
    assert 1 == check_type(1, int, "an integer", "n")
    with pytest.raises(Refusal, match="expected an integer, but got bool"):
        check_type(True, int, "an integer", "n")


def test_metadata_bounds_are_inclusive() -> None:
    """16 pairs, keys of 64 and values of 512 characters pass; null is no metadata."""
    largest = {f"{number:064d}": "v" * 512 for number in range(16)}
    assert largest == check_metadata(largest, "metadata")
    assert {} == check_metadata(None, "metadata")
