"""Which guesses are found in the sources of the service."""

from __future__ import annotations

import re

from analysis.simulator.profile import PROFILE
from tests.conformance.switches import FOLDER, constants, switches


def test_a_marked_field_is_a_switch_and_another_is_not() -> None:
    """With its value in use and its words."""
    found = {one.name: one for one in switches()}
    assert repr(PROFILE.responses.waiting) == found["responses.waiting"].value
    assert found["responses.waiting"].words.startswith("Requests of one connection")
    assert "responses.running" not in found
    assert not any("(G)" in one.words for one in found.values())


def test_no_mark_in_a_profile_is_overlooked() -> None:
    """As many as the source has, the constants of its end included."""
    source = (FOLDER / "profile.py").read_text(encoding="utf-8")
    marks = re.findall(r"G\)", source.partition('"""\n')[2])
    own = [one for one in constants() if one.name.startswith("profile.")]
    assert len(marks) == len(list(switches())) + len(own)


def test_constants_are_found_in_every_module() -> None:
    """A string below an assignment is its text."""
    assert "rows.PROBLEMS_TOLD" in {one.name for one in constants()}
