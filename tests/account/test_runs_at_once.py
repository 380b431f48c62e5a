"""Two real processes on one account: within its limit, fair, and what one leaves goes to the other.

Takes some seconds of real time; all asserts are on counts by the times that the processes print. A
busy machine lets one of them stand still, so fair and quick is what they have to become.
"""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from analysis.account.lease_file import shared_clock
from analysis.testing import local_service
from tests.account.children import Child, is_shared, wait_until

PER_S = 50.0
START = 30
"""Requests that the service's bucket holds at first."""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_two_runs_share_one_limit_and_a_killed_one_leaves_it_to_the_other() -> None:
    """Few refusals, 40 % at least for each, and nearly all for the one that is left."""
    now = shared_clock().now
    limits: dict[str, Any] = {"rpm": START, "faults": [f"limits:rpm={60 * PER_S:g}@0-"]}
    with local_service(latency_ms=20, canned=True, **limits) as service:
        children = [Child("tests.account.labeller", service.base_url) for _ in range(2)]
        try:
            assert wait_until(lambda: all(child.draws for child in children))
            settled = now() + 1.5  # both have heard of the limits and used up what was there
            assert wait_until(lambda: now() >= settled)
            heard = len(service.events)
            assert wait_until(lambda: is_shared(children, settled, seconds=2.5))
            children[1].kill()
            killed = now()
            assert wait_until(lambda: children[0].has_drawn(0.8 * PER_S, after=killed))
        finally:
            for child in children:
                child.kill()
        happened = Counter(event["kind"] for event in service.events[heard:])
    assert happened["refused"] <= 0.02 * happened["accepted"]
