"""The simulated service runs in a process of its own and ends with the context."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from analysis.bench.service import simulated_service
from analysis.errors import ConfigurationError


def test_the_service_answers_until_the_context_is_left() -> None:
    """Its port takes connections inside and refuses them afterwards."""
    with simulated_service(0.0, 7) as service:
        port = urlsplit(service.base_url).port
        assert port is not None
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_an_ended_service_tells_its_work() -> None:
    """Paid requests and processor time; nothing before its end."""
    with simulated_service(0.0, 7) as service:
        assert (None, None) == (service.paid_requests, service.cpu_s)
    assert 0 == service.paid_requests
    assert service.cpu_s is not None
    assert 0 <= service.cpu_s < 5


def test_a_service_that_does_not_start_says_why() -> None:
    """The last line of the child's error is in the message."""
    with (
        pytest.raises(ConfigurationError, match=r"did not start: .*latency-ms"),
        simulated_service(-1.0, 7),
    ):
        pytest.fail("It started.")
