"""Live tests are skipped unless they are asked for, and only then may leave this machine."""

from __future__ import annotations

import os

import pytest

from tests.probes.probe_endpoint import live_obstacle


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every live test its skip with the reason, or its socket."""
    obstacle = live_obstacle(config.getoption("markexpr"), os.environ)
    mark = pytest.mark.enable_socket if obstacle is None else pytest.mark.skip(reason=obstacle)
    for item in items:
        if item.get_closest_marker("live") is not None:
            item.add_marker(mark)
