"""Two hundred states of a disk that lost power; the long form is `power.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.power import MODES, cut_all
from tests.crash.tracing import why_not


@pytest.mark.skipif(why_not() != "", reason=why_not())
def test_two_hundred_power_cuts_lose_no_label_and_tear_no_output(tmp_path: Path) -> None:
    """What somebody was told of is there after a cut at any call; four times the job goes on."""
    report = cut_all(tmp_path, 200, programs=4)
    assert [] == report.violations
    assert (0, 0) == (report.lost, report.torn)
    assert report.states >= 200
    assert len(MODES) == len(report.modes)
    assert 200 < report.told
    assert 4 <= report.programs
