"""Two real processes that share a lease file stay within the rate, share it, and free it by dying.

Takes some seconds of real time; all asserts are on counts by the times that the processes print. A
busy machine lets one of them stand still, so fair and quick is what they have to become.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from analysis.account.lease_file import shared_clock
from analysis.settings import SETTINGS
from tests.account.children import Child, is_shared, wait_until

RATE = 200.0
BURST = 0.1 * RATE


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_two_processes_share_and_a_killed_one_frees_its_part(tmp_path: Path) -> None:
    """Together they hold the rate and a burst at most, each has 40 %; after a crash one has all."""
    now, path = shared_clock().now, str(tmp_path / "limits.sqlite")
    children = [Child("tests.account.drawer", path, peer, str(RATE)) for peer in "ab"]
    try:
        assert wait_until(lambda: all(child.draws for child in children))
        both = now() + 1.0
        assert wait_until(lambda: is_shared(children, both, seconds=1.5))
        children[1].kill()
        killed = now()
        # The one left had half before; three seconds later it has nearly all.
        assert wait_until(lambda: children[0].has_drawn(0.8 * RATE, after=killed))
    finally:
        for child in children:
            child.kill()
    # Seconds of a process that stands still are made up for by nobody, so the sum is the measure;
    # one whose lease has gone meanwhile draws until it looks, half a block at most.
    end = children[0].draws[-1]
    drawn = sum(child.count(both, end) for child in children)
    assert drawn <= RATE * (end - both) + BURST + 2 + SETTINGS.lease_block_s / 2 * RATE / 2
