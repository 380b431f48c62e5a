"""Two real processes that share a lease file stay within the rate, share it, and free it by dying.

Takes some seconds of real time; all asserts are on counts by the times that the processes print.
"""

from __future__ import annotations

import signal
import time
from bisect import bisect_right
from pathlib import Path

import pytest

from analysis.account.lease_file import shared_clock
from analysis.settings import SETTINGS
from tests.account.children import Child

RATE = 200.0
BURST = 0.1 * RATE


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_two_processes_share_and_a_killed_one_frees_its_part(tmp_path: Path) -> None:
    """No second holds more than the rate and a burst; each has 40 %; a crash costs 3 s."""
    now, path = shared_clock().now, str(tmp_path / "limits.sqlite")
    children = [Child("tests.account.drawer", path, peer, str(RATE)) for peer in "ab"]
    try:
        time.sleep(3.5)
        children[1].kill()
        killed = now()
        time.sleep(4.2)
    finally:
        for child in children:
            child.kill()
    first, second = children
    both = max(first.draws[0], second.draws[0]) + 1.0
    drawn = [child.count(both, killed - 0.5) for child in children]
    assert min(drawn) >= 0.4 * sum(drawn)
    assert min(drawn) > 0
    # The one left had half before; three seconds later it has nearly all.
    assert first.count(killed + 3.0, killed + 4.0) >= 0.8 * RATE
    draws = sorted(first.draws + second.draws)
    most = max(bisect_right(draws, at + 1.0) - place for place, at in enumerate(draws))
    # One that stood still for longer than its lease draws until it looks, half a block at most.
    assert most <= RATE + BURST + 2 + SETTINGS.lease_block_s / 2 * RATE / 2
